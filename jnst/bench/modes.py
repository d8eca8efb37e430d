"""What of a step is run: the loss alone, the loss and its gradient, or all of it.

The step is the loop's own program. The other two are the objective called as a user
would call it, on one image that stays.
"""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array

from jnst.loop.history import History, join
from jnst.objective.value import Objective, add_up, over_batch, terms_at
from jnst.program import compiled
from jnst.splitting import fetched

Losses = dict[str, Array]


def _terms(objective: Objective, image: Array) -> Losses:
    return terms_at(objective, image, key=jax.random.key(0))


def forward(objective: Objective, images: Array) -> Losses:
    """Compute "loss" and the weighted terms of images, [N, 1, H, W, 3] for a batch."""
    found = over_batch(objective, _terms, images)
    return {"loss": add_up(found), **found}


def gradient(objective: Objective, images: Array) -> tuple[Losses, Array]:
    """Compute the same and the gradient with respect to the images."""

    def one(objective: Objective, image: Array) -> tuple[Losses, Array]:
        def value(x: Array) -> tuple[Array, Losses]:
            found = _terms(objective, x)
            return add_up(found), found

        (loss, found), slope = jax.value_and_grad(value, has_aux=True)(image)
        return {"loss": loss, **found}, slope

    return over_batch(objective, one, images)


PARTS: dict[str, tuple[Callable[..., Any], float]] = {
    "forward": (forward, 0.5),
    "gradient": (gradient, 1.0),
}
"""Modes that are not the whole step, and their share of its operations as counted by
hand: a backward pass to the image has as many as a forward pass, and the optimiser's
are not counted."""
MODES = (*PARTS, "step")
"""All modes, see `jnst.bench.cases.Case`."""


def repeated(
    mode: str, objective: Objective, images: Array, times: int
) -> tuple[Callable[[], list[History]], Any, float]:
    """Compile a part of a step.

    Args:
      mode: Key of `PARTS`.
      objective: What is evaluated.
      images: In the optimiser's scale.
      times: Evaluations a call; an accelerator is not waited for between them.

    Returns:
      A function that evaluates and waits, and returns the losses as a step's; the
      `jax.stages.Compiled`; and the seconds of compiling.
    """
    function, _ = PARTS[mode]
    program, seconds = compiled(function, (objective, images))
    lowered = program.lower(objective, images).compile()

    def run() -> Losses:
        found = program(objective, images)
        return found if mode == "forward" else found[0]

    def call() -> list[History]:
        several = [fetched(each) for each in in_a_row(run, times)]
        return [join([{k: v[..., None] for k, v in x.items()} for x in several])]

    return call, lowered, seconds


def in_a_row(run: Callable[[], Any], times: int) -> list[Any]:
    """Call so many times and wait: for each on a CPU, elsewhere for all of them.

    XLA's CPU may run programs that do not wait for each other side by side; on an
    accelerator they queue, and waiting for each would measure the host.
    """
    alone, found = jax.default_backend() == "cpu", []
    for _ in range(times):
        result = run()
        found.append(jax.block_until_ready(result) if alone else result)
    return jax.block_until_ready(found)
