"""Fixtures that several test files share."""

import jax
import pytest
from tiny import tiny_params

# A mistaken broadcast of [C] against [1, H, W, C] is an error, not a silent result.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Tests leave nothing in the home folder; those of the cache turn it on themselves.
jax.config.update("jax_enable_compilation_cache", False)


@pytest.fixture(params=[lambda fn: fn, jax.jit], ids=["eager", "jit"])
def maybe_jit(request):
    """Runs a test twice: as written, and compiled."""
    return request.param


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Lets go of the programs of a file: all together take more maps than Linux has."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def vgg19():
    """A VGG19 of four channels a layer, with Caffe's preprocessing."""
    return tiny_params("vgg19")


@pytest.fixture(scope="session")
def vgg16():
    """A VGG16 of four channels a layer, with Caffe's preprocessing."""
    return tiny_params("vgg16")


@pytest.fixture
def quick_compile():
    """Compiles without XLA's optimisations: three times faster where run once."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
