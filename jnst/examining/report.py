"""`examine`: all probes on one loss, one after the other."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from jnst.base import Params, check_one_of
from jnst.bounds import SEED, Range
from jnst.drivers.sources import ImageLike
from jnst.examining.finding import WRONG, Finding, Lab, Report
from jnst.examining.scene import Scene, make_scene
from jnst.examining.subject import make_subject
from jnst.examining.table import PROBES
from jnst.fitting import fit
from jnst.memory import release_freed
from jnst.network.layers import IMAGE_LAYER, backbone_of, canonical_layer

SIZE_PX = 64
LEAST_PX, MOST_PX = 32, 512
"""Of `size_px`: relu5_1 has two positions a side at the least."""


def chosen_probes(probes: Sequence[str], *, quick: bool) -> list[str]:
    """List the probes that are asked for, in the table's order.

    Raises:
      ValueError: For an unknown probe.
    """
    for name in probes:
        check_one_of("probe", name, PROBES)
    wanted = probes or [k for k, row in PROBES.items() if row.quick or not quick]
    return [name for name in PROBES if name in wanted]


def _ask(lab: Lab, name: str) -> Finding:
    """Run a probe; what stops it is what it found."""
    try:
        return PROBES[name].run(lab)
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever a user's loss raises
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Finding(WRONG, f"stopped by {text[:160]}", {"error": text})


def examine_in(
    scene: Scene,
    loss: str,
    *,
    options: Mapping[str, Any] | None = None,
    layers: Sequence[str] = (),
    probes: Sequence[str] = (),
    quick: bool = False,
    on_probe: Callable[[str, str], None] | None = None,
) -> Report:
    """Examine a loss on pictures and a network that are there already.

    Args:
      scene: From `make_scene`; what it computes for one loss serves the next.
      loss: As in `examine`, as all that follows.
      options: Options of the loss.
      layers: Layers it looks at.
      probes: Keys of `PROBES`.
      quick: Whether costs and pictures are left out.
      on_probe: Called with a probe and a few words on what it does now.

    Returns:
      A `Report`.

    Raises:
      ValueError: For an unknown loss, layer, option or probe.
    """
    wanted = chosen_probes(probes, quick=quick)
    backbone = backbone_of(scene.params)
    named = (k if k == IMAGE_LAYER else canonical_layer(k, backbone) for k in layers)
    part = make_subject(loss, layers=tuple(named), options=options)
    findings, seconds = {}, {}
    for name in wanted:

        def tell(words: str, name: str = name) -> None:
            if on_probe:
                on_probe(name, words)

        tell("")
        start = time.perf_counter()
        findings[name] = _ask(Lab(part, scene, scene.seed, tell), name)
        seconds[name] = time.perf_counter() - start
        release_freed()
    row = part.row
    about = part.loss, part.kind, row.source, row.captures, dict(part.options)
    rest = part.layers, scene.seed, scene.size_px
    return Report(*about, *rest, findings, seconds)


def examine(
    loss: str,
    *,
    weights: str | Path | Params | None = None,
    seed: int = 0,
    quick: bool = False,
    size_px: int = SIZE_PX,
    content: ImageLike = None,
    style: ImageLike = None,
    options: Mapping[str, Any] | None = None,
    layers: Sequence[str] = (),
    probes: Sequence[str] = (),
    on_probe: Callable[[str, str], None] | None = None,
) -> Report:
    """Examine one loss before any long run: is it right, and what is it like.

    Args:
      loss: Key of `STYLE_LOSSES`, `CONTENT_LOSSES` or `IMAGE_LOSSES`.
      weights: As in `jnst.stylize`.
      seed: Seed of all random numbers.
      quick: Whether costs and pictures are left out.
      size_px: Side of the pictures on which losses are compared with each other, 32 at
        least.
      content: Content image, as in `jnst.stylize`; that of the demo if absent. Its
        middle is taken, as a square.
      style: Style image, the same.
      options: Options of the loss.
      layers: Layers it looks at; a recipe's own of its kind if none.
      probes: Keys of `jnst.examining.table.PROBES`; all if none.
      on_probe: Called with a probe and a few words on what it does now.

    Returns:
      A `Report`: `findings` has for each probe a verdict ("ok", "look", "WRONG", or "-"
      for a fact), a line in words and the numbers; `document()` is for JSON.

    Raises:
      ValueError: For an unknown loss, layer, option or probe, or what is no picture.
      FileNotFoundError: If there are no weights, or a picture is missing.
    """
    chosen_probes(probes, quick=quick)
    make_subject(loss, layers=tuple(layers), options=options)
    seed = fit("seed", seed, Annotated[int, SEED])
    size_px = fit("size_px", size_px, Annotated[int, Range(LEAST_PX, MOST_PX)])
    scene = make_scene(
        content=content,
        style=style,
        weights=weights,
        size_px=size_px,
        seed=seed,
        layers=layers,
    )
    more = {"options": options, "layers": layers, "probes": probes}
    return examine_in(scene, loss, quick=quick, on_probe=on_probe, **more)
