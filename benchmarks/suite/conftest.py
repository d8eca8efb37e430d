"""The suite's options, networks and file of results.

The harness is pytest-benchmark: it runs in the environment at hand, so that what is
measured is what the user has installed, its variants are pytest's parameters, and it
writes JSON. asv builds an environment for every commit by itself, which a machine
without network cannot, and keeps results in a form of its own; here one file in the
schema of `jnst bench --output` serves `--against` and the page alike.

Nothing of a step is prepared or counted here: `jnst.bench` does, and pytest-benchmark
holds the clock. Peers are the exception: pytest-benchmark calls one function again and
again, while a fair ratio wants both in turn, so that `jnst.bench` times those itself.
"""

import importlib.metadata
import os
import time

# Before JAX is there. Seconds of compiling are to be those of compiling, not of reading
# what an earlier run left on disk; and fresh processes need room beside this one.
os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import pytest
from plans import PLANS, variants

from jnst.bench.networks import RANDOM, load_network, random_params
from jnst.bench.report import make_document
from jnst.files import check_output, write_json
from jnst.recipes import settings
from jnst.weights import save_weights


def pytest_addoption(parser):
    group = parser.getgroup("jnst")
    group.addoption("--results", metavar="FILE.json", help="where results are written")
    group.addoption("--overwrite", action="store_true", help="replace --results")
    group.addoption("--note", metavar="TEXT", help="shown beside the results")
    group.addoption("--tiny", action="store_true", help="a tiny network at 32 px")
    group.addoption(
        "--weights",
        default=RANDOM,
        metavar="NAME",
        help="of VGG19, as in `jnst bench`; by default random ones of the same shape: "
        "time does not depend on values but where an optimiser searches a line",
    )


def pytest_configure(config):
    if getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("one process at a time has the machine: leave out -n")
    if config.option.benchmark_disable:
        raise pytest.UsageError("--benchmark-disable leaves nothing to measure")
    path = config.option.results
    if path:
        try:
            check_output(path, overwrite=config.option.overwrite, suffixes=(".json",))
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None


def plan_of(config):
    if config.option.tiny:
        return PLANS["tiny"]
    return PLANS["cpu" if jax.default_backend() == "cpu" else "accelerator"]


def pytest_generate_tests(metafunc):
    plan = plan_of(metafunc.config)
    if "variant" in metafunc.fixturenames:
        found = variants(plan)
        ids = [f"{one.axis}-{one.value}" for one in found]
        metafunc.parametrize("variant", found, ids=ids)
    if "peer_px" in metafunc.fixturenames:
        metafunc.parametrize("peer_px", plan.peer_sizes)


@pytest.fixture(scope="session")
def plan(pytestconfig):
    return plan_of(pytestconfig)


@pytest.fixture(scope="session")
def vgg19(pytestconfig, plan):
    """Parameters of VGG19, and what a report says of them."""
    if pytestconfig.option.weights != RANDOM:
        return load_network(pytestconfig.option.weights)
    known = {"title": f"random VGG19, {plan.most_channels} channels at most"}
    return random_params("vgg19", most_channels=plan.most_channels), known


@pytest.fixture(scope="session")
def network(plan, vgg19):
    """Gives parameters by backbone; all but VGG19 are random."""

    def load(backbone):
        if backbone == "vgg19":
            return vgg19[0]
        return random_params(backbone, most_channels=plan.most_channels)

    return load


@pytest.fixture(scope="session")
def weights_file(vgg19, tmp_path_factory):
    """The VGG19 as a file, for processes of their own."""
    path = tmp_path_factory.mktemp("weights") / "vgg19.safetensors"
    return save_weights(vgg19[0], path, title=vgg19[1]["title"])


@pytest.fixture(scope="session")
def record(pytestconfig, plan, vgg19):
    """Takes rows; with --results the file is written anew after each."""
    asked = plan._asdict() | {"recipe": settings.record(plan.recipe)}
    options = {"plan": asked, "repeats": plan.repeats}
    document = make_document([], weights=vgg19[1], options=options)
    harness = f"pytest-benchmark {importlib.metadata.version('pytest-benchmark')}"
    document |= {"harness": harness, "note": pytestconfig.option.note}
    document |= {"starts": [], "limits": []}
    begin = time.perf_counter()

    def take(kind, row):
        document[kind].append(row)
        document["suite_s"] = time.perf_counter() - begin
        if pytestconfig.option.results:
            write_json(pytestconfig.option.results, document)

    return take


@pytest.fixture
def harness(benchmark):
    """pytest-benchmark as a timer of `jnst.bench`: one function, called so often."""

    def timer(calls, repeats):
        ((name, call),) = calls.items()
        benchmark.pedantic(call, rounds=repeats)
        return {name: list(benchmark.stats.stats.data)}

    return timer
