"""Others that run the same objective, timed in turn with us and held to our losses.

To add a peer, add a function to `PEERS` that makes a `Peer` of a case.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jnst.base import Params
from jnst.bench import three_passes
from jnst.bench.agreement import WARMUP, Losses, Peer, check_agreement, peer_fields
from jnst.bench.cases import Case
from jnst.bench.measure import Row, on_host
from jnst.bench.prepared import Prepared, network_of, objective_of
from jnst.bench.torch_setup import check_torch_recipe, import_torch, make_torch
from jnst.loop.state import init
from jnst.program import compiled


def check_pattern(case: Case) -> None:
    """Raise `ValueError` for what is not in the pattern of Keras' example."""
    three_passes.check_terms(case.recipe.objective.terms)
    if case.batch != 1:
        raise ValueError(f"--peer keras runs one image at a time, got {case.batch}")


def make_three_passes(case: Case, params: Params, prepared: Prepared) -> Peer:
    """Set up the pattern of Keras' example, see `jnst.bench.three_passes`.

    Raises:
      ValueError: For a batch, or a recipe that the pattern does not have.
    """
    check_pattern(case)
    objective, first, _ = objective_of(case, network_of(case, params))
    state = init(objective, first)
    given = objective.start.content, objective.start.style
    look, length = prepared.steps_per_call, prepared.steps_per_run
    numbers = jnp.arange(length)
    carry = jax.tree.map(jnp.copy, (state.image, state.optimizer))
    arguments = objective, carry, state, given, numbers
    program, _ = compiled(three_passes.run_steps, arguments, donated=(1,))
    box = [carry, 0]

    def step() -> list[dict[str, jax.Array]]:
        found = []
        for _ in range(look // length):
            here = numbers + box[1]
            box[0], losses = program(objective, box[0], state, given, here)
            box[1] += length
            found.append(losses)
        jax.block_until_ready(box[0])
        return found

    name = "three passes (Keras example's pattern)"

    def check(ours: Losses) -> None:
        theirs = on_host([one for _ in range(WARMUP) for one in step()])
        check_agreement(name, ours, theirs, case.recipe.dtype)

    def row(seconds: dict[str, list[float]], steps: int) -> Row:
        return peer_fields(name, name, seconds, steps)

    return Peer({name: step}, check, row)


PEERS: dict[str, Callable[[Case, Params, Prepared], Peer]] = {
    "torch": make_torch,
    "keras": make_three_passes,
}
"""Peers by what `--peer` takes."""


def check_peer(peer: str, cases: Sequence[Case]) -> None:
    """Raise `ValueError` before any work if a peer cannot run one of the cases."""
    if peer == "torch":
        import_torch()
    for case in cases:
        if (case.devices, case.mode) != ("1", "step"):
            raise ValueError(
                "--peer runs whole steps on one device: leave --devices and --modes out"
            )
        if peer == "torch":
            check_torch_recipe(case.recipe)
        else:
            check_pattern(case)
