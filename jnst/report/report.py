"""The page of a run: pictures with a slider, frames, curves, layers, recipe, facts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jnst.drivers.plan import Plan
from jnst.recipes.recipe import Recipe
from jnst.report import facts
from jnst.report.analysis import LayerLoss, Seen
from jnst.report.chart import Axis, Curve, chart
from jnst.report.page import as_text, embedded, make_page, own_file

MOST_PX, STYLE_PX, FRAME_PX = 1024, 512, 256
"""Longer sides of embedded pictures; larger ones are reduced."""


class Frame(NamedTuple):
    """The image on its way.

    Attributes:
      step: Steps done.
      loss: The loss before the last of them.
      image: [H, W, 3] in [0, 1], or [N, H, W, 3].
    """

    step: int
    loss: float
    image: np.ndarray


class Looked(NamedTuple):
    """What the objective sees of one picture, see `jnst.report.analysis`.

    Attributes:
      layers: Losses by layer of the first image and of the last.
      grams: {picture: {layer: Gram matrix}}: "style 1", ..., "content", "first image",
        "result"; and "style", what all styles together ask for.
    """

    layers: list[LayerLoss]
    grams: Mapping[str, Mapping[str, np.ndarray]]


class Shown(NamedTuple):
    """What a report shows.

    Attributes:
      plan: Plan of the run.
      recipe: The recipe in effect, its weights numbers.
      note: What is to be said above all, "" for nothing: how a run ended early.
      images: The pictures of the result, one or those of a batch.
      histories: Losses of each.
      seconds: Time in the loop.
      compile_seconds: Time of compiling; None where nobody knows.
      frames: The image on its way.
      seen: What each picture was made of.
      looked: What the objective sees of each; empty for nothing, and `why` then says
        why.
      why: See there.
    """

    plan: Plan
    recipe: Recipe
    note: str
    images: Sequence[np.ndarray]
    histories: Sequence[Mapping[str, np.ndarray]]
    seconds: float
    compile_seconds: float | None
    frames: Sequence[Frame]
    seen: Sequence[Seen]
    looked: Sequence[Looked]
    why: str


def make_report(shown: Shown) -> str:
    """Return the page."""
    plan, count = shown.plan, len(shown.images)
    title = title_of(plan)
    parts = [f"<h1>{as_text(title)}</h1>"]
    if shown.note:
        parts.append(f'<p class="note">{as_text(shown.note)}</p>')
    for n in range(count):
        parts += [f"<h2>Picture {n + 1} of {count}</h2>"] if count > 1 else []
        parts += [_compared(shown, n), _styles(shown, n)]
    parts += ["<h2>Frames</h2>", _frames(shown)]
    parts += ["<h2>Losses</h2>", *_each(shown, lambda n: _curves(shown, n))]
    parts += ["<h2>Losses by layer</h2>", _layers_note(shown)]
    if shown.looked:
        parts += _each(shown, lambda n: facts.layer_table(shown.looked[n].layers))
        parts += _each(shown, lambda n: _grams(shown, n))
    steps = len(np.atleast_2d(shown.histories[0]["loss"])[0]) if count else 0
    parts += ["<h2>Recipe</h2>", facts.recipe_table(shown.recipe, plan.name or None)]
    parts += ["<h2>Inputs</h2>", facts.input_table(plan.inputs, plan.weights)]
    times = shown.seconds, shown.compile_seconds
    parts += ["<h2>Run</h2>", facts.run_table(plan.stages, steps, *times)]
    parts.append(facts.version_table())
    names = ("report.css", "chart.css", "report.js")
    css, charts, js = (own_file("jnst.report", name) for name in names)
    return make_page(title, "\n".join(parts), css=css + charts, js=js)


def title_of(plan: Plan) -> str:
    """Name what is made of what."""
    styles = " and ".join(_name(style.about, "an array") for style in plan.styles)
    if plan.content is None:
        return f"A texture like {styles}"
    return f"{_name(plan.content.about, 'An array')} in the style of {styles}"


def _name(about: Any, otherwise: str) -> str:
    """Name a picture, or those of a batch."""
    if isinstance(about, list):
        return ", ".join(dict.fromkeys(_name(each, otherwise) for each in about))
    return about.get("name") or otherwise


def _each(shown: Shown, part: Callable[[int], str]) -> list[str]:
    """Make a part for each picture, under its number where there are several."""
    count = len(shown.images)
    heads = [f"<h3>Picture {n + 1}</h3>" if count > 1 else "" for n in range(count)]
    return [head + part(n) for n, head in enumerate(heads)]


def _before(seen: Seen) -> tuple[str, np.ndarray]:
    """Return what a result is held against: the content, or a texture's beginning."""
    if seen.content is None:
        return "first image", seen.first
    return "content", seen.content


def _compared(shown: Shown, n: int) -> str:
    """Return before and after, one above the other with a slider between them."""
    what, before = _before(shown.seen[n])
    images = [
        embedded(before, f"before: {what}", most_px=MOST_PX),
        embedded(shown.images[n], "after: the result", most_px=MOST_PX),
    ]
    small = " small" if before.shape[1] < STYLE_PX else ""
    return (
        f'<figure class="compare{small}"><div class="both">{"".join(images)}</div>'
        f'<label hidden><span>before: {as_text(what)}</span><input type="range" '
        'min="0" max="100" value="50" step="0.5" aria-label="how much of before">'
        "<span>after</span></label></figure>"
    )


def _styles(shown: Shown, n: int) -> str:
    plan, seen = shown.plan, shown.seen[n]
    figures = []
    for source, share, image in zip(plan.styles, plan.shares, seen.styles, strict=True):
        about = source.about[n] if isinstance(source.about, list) else source.about
        name = _name(about, "an array")
        also = f", {share:.0%}" if len(plan.styles) > 1 else ""
        figures.append(
            f"<figure>{embedded(image, f'style: {name}', most_px=STYLE_PX)}"
            f"<figcaption>style: {as_text(name)}{also}</figcaption></figure>"
        )
    return f'<div class="row">{"".join(figures)}</div>'


def _frames(shown: Shown) -> str:
    figures = []
    for frame in shown.frames:
        for image in np.reshape(frame.image, (-1, *frame.image.shape[-3:])):
            height, width = image.shape[:2]
            about = f"step {frame.step}, {width}x{height} px, loss {frame.loss:.4g}"
            figures.append(
                f"<figure>{embedded(image, about, most_px=FRAME_PX)}"
                f"<figcaption>{as_text(about)}</figcaption></figure>"
            )
    return f'<div class="row frames">{"".join(figures)}</div>'


def _curves(shown: Shown, n: int) -> str:
    """Return the curves of every term, and of what `diagnostics` added."""
    history, steps = shown.histories[n], Axis("step")
    ends = np.cumsum([stage.steps for stage in shown.plan.stages])[:-1]
    marks = [float(end) for end in ends if end < len(history["loss"])]
    groups: dict[str, list[Curve]] = {"": [], "gradient_norm_": [], "cosine_": []}
    for name in sorted(history, key=lambda k: k != "loss"):
        kind = next((k for k in groups if k and name.startswith(k)), "")
        x = np.arange(len(history[name]))
        groups[kind].append(Curve(name.removeprefix(kind), x, history[name]))
    axes = {
        "": Axis("weighted loss", log=True),
        "gradient_norm_": Axis("norm of the gradient", log=True),
        "cosine_": Axis("cosine of two gradients"),
    }
    return "".join(
        chart(curves, steps, axes[kind], marks=marks)
        for kind, curves in groups.items()
        if curves
    )


def _layers_note(shown: Shown) -> str:
    if not shown.looked:
        return f"<p>{as_text(shown.why)}</p>"
    return (
        "<p>Of the last size, without shifts: <i>at start</i> is the image that the "
        "recipe begins with, <i>at end</i> the result. Losses are unweighted; the last "
        "column is what the result's loss is the sum of.</p>"
    )


def _grams(shown: Shown, n: int) -> str:
    """Return how Gram matrices were and became: distances, and their eigenvalues."""
    grams, (before, _) = shown.looked[n].grams, _before(shown.seen[n])
    if not grams:
        return ""
    lines = [name for name in grams if name != "style"]
    charts = []
    for layer, style in grams["style"].items():
        ranks = np.arange(1, len(style) + 1)
        curves = [Curve(name, ranks, spectrum(grams[name][layer])) for name in lines]
        axes = Axis("rank", log=True), Axis(f"{layer}: eigenvalue", log=True)
        charts.append(chart(curves, *axes))
    return (
        "<h3>Gram matrices</h3><p>Distance from the style's, as a share of its norm, "
        "and the eigenvalues of each, from the largest.</p>"
        f"{facts.gram_table(before, grams, 'style')}"
        f'<div class="row charts">{"".join(charts)}</div>'
    )


def spectrum(gram: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of a Gram matrix from the largest; rounding errors are 0.

    Args:
      gram: [C, C], symmetric.

    Returns:
      [C], float64, >= 0.
    """
    values = np.linalg.eigvalsh(np.asarray(gram, np.float64))[::-1]
    least = 1e-7 * max(float(values[0]), 0.0)  # float32 knows no smaller ones
    return np.where(values > least, values, 0.0)
