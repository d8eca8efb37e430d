"""The cells of a study: a picture of a content, a style, a method and a budget each.

Cells of one method and of pictures of one shape follow each other, because they share
compiled programs.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnst.drivers.plan import Plan, Request, make_plan
from jnst.drivers.record import document
from jnst.drivers.result import Progress
from jnst.drivers.stages import weighed
from jnst.drivers.transfer import run
from jnst.image import resize_image
from jnst.loop.history import History, NonFiniteLossError
from jnst.recipes.changing import changed
from jnst.studying.budget import Budget, pilot, steps_within
from jnst.studying.methods import Method
from jnst.studying.pictures import Picture, pixels_of
from jnst.sweeping.members import Load


class Cell(NamedTuple):
    """One picture that a study makes."""

    content: Picture
    style: Picture
    method: Method
    budget: Budget

    @property
    def name(self) -> str:
        """Name it in names of files."""
        parts = self.content, self.style, self.method, self.budget
        return "__".join(part.name for part in parts)

    @property
    def pair(self) -> str:
        """Name its content and style."""
        return f"{self.content.name}__{self.style.name}"

    @property
    def shapes(self) -> str:
        """Name what decides whether it can be made: the method and both shapes."""
        sides = (*self.content.shape, *self.style.shape)
        return "__".join([self.method.name, *map(str, sides)])


class Setting(NamedTuple):
    """What all cells share.

    Attributes:
      size_px: Longer side of every picture.
      seed: Seed of all random numbers; None for each recipe's.
      weights: Name, path, parameters or None, as in `jnst.stylize`.
      extract: A user's own features.
      changes: Fields that all methods change.
      load: From `jnst.sweeping.members.loader`.
    """

    size_px: int
    seed: int | None
    weights: Any
    extract: Callable[..., Any] | None
    changes: Mapping[str, Any]
    load: Load


class Made(NamedTuple):
    """What came of a cell.

    Attributes:
      image: The picture, float32 [H, W, 3] in [0, 1].
      record: Flat, for a table.
      about: What a PNG carries; None where the run did not end.
    """

    image: np.ndarray
    record: dict[str, Any]
    about: dict[str, Any] | None


def make_cells(
    contents: Sequence[Picture],
    styles: Sequence[Picture],
    methods: Sequence[Method],
    budgets: Sequence[Budget],
) -> list[Cell]:
    """List all cells, in the order in which they are made."""
    pairs = [(content, style) for content in contents for style in styles]
    pairs.sort(key=lambda pair: (pair[0].shape, pair[1].shape))
    return [
        Cell(content, style, method, budget)
        for method in methods
        for content, style in pairs
        for budget in budgets
    ]


def _plan(
    cell: Cell,
    setting: Setting,
    images: tuple[Any, Any],
    *,
    steps: int | None = None,
    all_sizes: bool = False,
) -> Plan:
    """Plan a cell's run: of its own steps, of some, or with all sizes it could have."""
    method = cell.method
    changes = {**setting.changes, **method.changes}
    if setting.seed is not None:
        changes["seed"] = setting.seed
    if steps is not None or all_sizes:
        changes["steps"] = steps
    known: dict[str, str] = {}
    weights = setting.weights
    if setting.extract is None:
        preferred = changed(method.recipe, changes).run.weights
        weights, known = setting.load(weights, preferred)
    recipe, size_px = method.recipe, setting.size_px
    request = Request(*images, recipe, size_px, weights, setting.extract)
    return dataclasses.replace(make_plan(request, changes), weights=known)


def check_cells(cells: Sequence[Cell], setting: Setting) -> dict[str, dict[str, str]]:
    """Raise for what no run could use, before any work.

    Args:
      cells: From `make_cells`.
      setting: What they share.

    Returns:
      Where each method's weights are from.

    Raises:
      ValueError: Naming the method.
      FileNotFoundError: If there are no weights anywhere.
    """
    seen: set[str] = set()
    weights: dict[str, dict[str, str]] = {}
    for cell in cells:
        if cell.shapes in seen:
            continue
        seen.add(cell.shapes)
        grey = [
            np.full((*shape, 3), 0.5, np.float32)
            for shape in (cell.content.shape, cell.style.shape)
        ]
        try:
            plan = _plan(cell, setting, (grey[0], grey[1]))
        except ValueError as error:
            raise ValueError(f"method {cell.method.name}: {error}") from None
        weights[cell.method.name] = plan.weights
    return weights


def make_cell(
    cell: Cell,
    setting: Setting,
    pilots: dict[str, list[float]],
    on_progress: Callable[[Progress], None] | None,
) -> Made:
    """Make one cell.

    Args:
      cell: The cell.
      setting: What all cells share.
      pilots: Seconds of a step at each size, by method and shapes; what is needed and
        missing is measured and added.
      on_progress: As in `jnst.stylize`.

    Returns:
      The picture and its record. A run that is stopped because a loss is not finite
      has an error, and the last good image.
    """
    images = pixels_of(cell.content), pixels_of(cell.style)
    budget, steps, times = cell.budget, None, None
    try:
        if budget.kind == "seconds":
            steps, times = _steps(cell, setting, images, pilots)
        elif budget.amount is not None:
            steps = int(budget.amount)
        plan = _weighed(_plan(cell, setting, images, steps=steps), images[0])
        result = run(plan, on_progress, 0)
    except NonFiniteLossError as stopped:
        image, history, error = stopped.image, stopped.history, str(stopped)
        record = _record(cell, image, history, error=error)
        return Made(image, record, None)
    result = dataclasses.replace(result, inputs=_inputs(cell))
    record = _record(
        cell,
        result.image,
        result.history,
        seconds=result.seconds,
        compile_seconds=result.compile_seconds,
    )
    record["pilot_step_seconds"] = " ".join(f"{t:.6g}" for t in times or ())
    return Made(result.image, record, document(result))


def _steps(
    cell: Cell, setting: Setting, images: tuple[Any, Any], pilots: dict[str, Any]
) -> tuple[int, list[float]]:
    """Find how many steps a cell's seconds have room for, and how long one takes."""
    plan = _plan(cell, setting, images, all_sizes=True)
    shapes = ["x".join(map(str, s.shape + s.styles[0])) for s in plan.stages]
    key = " ".join([cell.method.name, *shapes])
    if key not in pilots:
        pilots[key] = pilot(_weighed(plan, images[0]))
    seconds = float(cell.budget.amount or 0)
    return steps_within(seconds, pilots[key], plan.recipe.schedule), pilots[key]


def _weighed(plan: Plan, content: np.ndarray) -> Plan:
    """Balance a plan; a loss that no weight would balance stops the run at once."""
    try:
        return weighed(plan)
    except ValueError as error:
        image = np.clip(resize_image(content, plan.stages[-1].shape), 0, 1)
        raise NonFiniteLossError(str(error), image, {}) from None


def _inputs(cell: Cell) -> dict[str, Any]:
    """Tell where a cell's pictures are from, as a picture's record has it."""
    recipe = cell.method.recipe
    return {
        "recipe_name": recipe if isinstance(recipe, str) else None,
        "content": cell.content.about,
        "styles": [cell.style.about],
        "blend": None,
        "init": None,
    }


def _record(
    cell: Cell,
    image: np.ndarray,
    history: History,
    *,
    error: str = "",
    seconds: float | None = None,
    compile_seconds: float | None = None,
) -> dict[str, Any]:
    """Tell what came of a cell: numbers and texts, nothing nested."""

    def at(name: str, where: int) -> float | None:
        return float(history[name][where]) if name in history else None

    return {
        "content": cell.content.name,
        "style": cell.style.name,
        "method": cell.method.name,
        "budget": cell.budget.label,
        "steps": len(history.get("loss", ())),
        "seconds": seconds,
        "compile_seconds": compile_seconds,
        "height": image.shape[0],
        "width": image.shape[1],
        "loss_first": at("loss", 0),
        "loss_last": at("loss", -1),
        "style_first": at("style", 0),
        "style_last": at("style", -1),
        "pilot_step_seconds": "",
        "error": error,
    }
