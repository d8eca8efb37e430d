"""`stylize`: a run, from pictures to a `Result`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Unpack

import numpy as np

from jnst.base import Params
from jnst.bounds import NATURAL
from jnst.drivers.fits import check_fits
from jnst.drivers.plan import Plan, Request, make_plan
from jnst.drivers.result import Begun, Progress, Result, progress_of
from jnst.drivers.sources import ImageLike
from jnst.drivers.stages import sizes_of, weighed
from jnst.fitting import fit
from jnst.loop.history import History, join
from jnst.loop.iterate import iterate
from jnst.memory import release_freed
from jnst.recipes.changes import Changes
from jnst.recipes.recipe import Recipe


def stylize(
    content: ImageLike | Sequence[ImageLike] | None,
    style: ImageLike | Sequence[ImageLike],
    recipe: str | Recipe = "jnst",
    steps: int | None = None,
    init: ImageLike | None = None,
    seed: int | None = None,
    size_px: int | None = None,
    weights: str | Path | Params | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    on_start: Callable[[Plan], None] | None = None,
    blend: Sequence[float] | None = None,
    shape: tuple[int, int] | None = None,
    save_every: int = 0,
    extract: Callable[..., Any] | None = None,
    force: bool = False,
    devices: int | str | Sequence[int] | None = None,
    keeper: Any = None,
    **changes: Unpack[Changes],
) -> Result:
    """Optimise an image to have the content of one image and the style of others.

    Args:
      content: A path, a `PIL.Image`, or a float array [H, W, 3] in [0, 1]; None for a
        texture; a list of images of one size, or an array [N, H, W, 3], for a batch:
        N pictures in one program.
      style: The same, or a list of several, which are blended; an array [N, H, W, 3]
        for a batch. Sizes may differ. Files and Pillow's images are resized as the
        recipe says; arrays keep their size unless `size_px` is given.
      recipe: Key of `jnst.RECIPES`, or a `Recipe`.
      steps: Number of steps in all sizes together; None for the recipe's.
      init: Key of `jnst.loop.initial.INITS`, a path, or an array [H, W, 3] whose values
        outside [0, 1] are kept; None for the recipe's.
      seed: Seed of all random numbers; None for the recipe's, which is 0 in all that
        jnst has. Pictures of a batch share it.
      size_px: Size of the result, in pixels: the longer side, for files the side that
        the recipe means.
      weights: Name or path of a weights file, or parameters; None to find VGG19.
      on_progress: Called with a `Progress` after each chunk of steps.
      on_start: Called with the `Plan` before any step.
      blend: Weight of each style, >= 0; equal ones if absent.
      shape: Height and width of a texture; the style's if absent.
      save_every: Steps after which `on_progress` must be called, at least; 0 for none.
      extract: Function from an image [1, H, W, 3] in [0, 1] to {name: features
        [1, h, w, C]}, in place of VGG19; layers are its keys.
      force: Whether to try what cannot fit the memory there is.
      devices: Devices to split the run over, the same to rounding as on one: a number,
        rows of a picture each; or "4x2" for batch x rows of a batch.
      keeper: What keeps checkpoints of the run, `jnst.keep.keeper.Keeper`, and knows
        where it goes on; None for a run that is kept nowhere.
      **changes: Any field of `Recipe`, by its flat name.

    Returns:
      A `Result`: image, history, recipe in effect, seconds.

    Raises:
      ValueError: For anything no run could use, before any step.
      FileNotFoundError: For a missing image, or no weights anywhere.
      NonFiniteLossError: If a loss becomes NaN or infinite.
    """
    save_every = fit("save_every", save_every, Annotated[int, NATURAL])
    fields: dict[str, Any] = {"steps": steps, "seed": seed}
    given = {k: v for k, v in fields.items() if v is not None}
    asked = size_px, weights, extract, init, blend, shape, devices
    plan = make_plan(Request(content, style, recipe, *asked), {**changes, **given})
    if not force:
        check_fits(plan)
    begun = keeper.begin(plan) if keeper else None
    if on_start:
        on_start(plan)
    plan = weighed(begun.plan if begun else plan)
    return run(plan, on_progress, save_every, keeper=keeper, begun=begun)


def run(
    plan: Plan,
    on_progress: Callable[[Progress], None] | None,
    every: int,
    *,
    keeper: Any = None,
    begun: Begun | None = None,
) -> Result:
    """Run a plan whose weights are numbers to its end, or go on with one."""
    state, before = (begun.state, begun.history) if begun else (None, None)
    spent = (begun.seconds, begun.compile_seconds) if begun else (0.0, 0.0)
    clock: list[float] = []
    history: list[History] = [] if before is None else [before]
    times, image = spent, np.zeros(0)
    for event in iterate(sizes_of(plan, clock), state, every=every, before=before):
        history.append(event.losses)
        times = event.seconds + spent[0], event.compile_seconds + spent[1]
        if keeper:
            keeper.hear(plan, event)
        if on_progress:
            on_progress(progress_of(event))
        if event.step == event.steps:
            image = event.image
    release_freed()  # else each call leaves some MB of what it computed with
    return Result(
        image=image,
        history=join(history),
        recipe=plan.recipe,
        seconds=times[0],
        compile_seconds=times[1] + sum(clock),
        stages=list(plan.stages),
        weights=plan.weights,
        inputs=plan.inputs,
    )
