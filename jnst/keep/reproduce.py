"""Make a picture again from what it tells of itself, and say how equal the two are."""

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jnst.drivers.plan import Plan, Request, make_plan
from jnst.drivers.record import device, versions
from jnst.drivers.result import Progress, Result
from jnst.drivers.transfer import stylize
from jnst.files import StrPath
from jnst.image import levels_of, save_image
from jnst.keep.by_hash import find_network, find_pictures
from jnst.keep.told import Told, read_document, read_told, texts_of

SCHEMA = "jnst-reproduce-1"


class Ready(NamedTuple):
    """All that it takes to make a picture again.

    Attributes:
      told: How it was made.
      paths: Where its pictures are, by their SHA-256.
      weights: Name or path of its weights.
      notes: What may make the two differ, in lines.
    """

    told: Told
    paths: dict[str, Path]
    weights: Any
    notes: list[str]


def prepare(
    picture: StrPath,
    *,
    record: StrPath | None = None,
    inputs: StrPath | None = None,
    weights: StrPath | None = None,
    on_file: Callable[[], Any] = lambda: None,
) -> Ready:
    """Read how a picture was made, and find what it was made of.

    Args:
      picture: A PNG of jnst's, or the JSON of `--history`.
      record: JSON of `--history`, where the picture tells nothing.
      inputs: A folder to search for pictures and weights, with its subfolders.
      weights: Name or path of weights to take, whatever is recorded.
      on_file: Called for each file that is read in the search.

    Raises:
      FileNotFoundError: If the picture is not there.
      ValueError: If it tells too little, or something is missing.
    """
    source = picture if record is None else record
    told = read_told(_document(source), where=source)
    beside = Path(picture).absolute().parent
    paths = find_pictures(told.files, beside, inputs, on_file)
    folders = [(beside, False), *([(Path(inputs), True)] if inputs else [])]
    network = weights or find_network(told.weights, folders)
    return Ready(told, paths, network, _notes(told))


def _document(path: StrPath) -> dict[str, Any]:
    """Read a document; where there is none, say where another may be."""
    try:
        return read_document(path)
    except FileNotFoundError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{error}; if there is a file of its --history, name it with --record"
        ) from error


def _notes(told: Told) -> list[str]:
    """Say what of a run is not made again as it was."""
    batch, notes = told.document.get("batch"), []
    if isinstance(batch, list) and len(batch) == 2:
        notes.append("it was one of a batch, and is made alone: last digits may differ")
    if told.devices is not None and _devices(told) is None:
        count = math.prod(told.devices)
        notes.append(f"it was made on {count} devices, now on one: last digits differ")
    return notes


def run_again(
    ready: Ready,
    *,
    on_start: Callable[[Plan], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    force: bool = False,
) -> Result:
    """Run what made a picture.

    Args:
      ready: From `prepare`.
      on_start: As in `jnst.stylize`, as all that follows.
      on_progress: Called after each chunk of steps.
      force: Whether to try what cannot fit the memory.

    Raises:
      ValueError: For what no run could use.
    """
    told, paths = ready.told, ready.paths
    init = told.init
    given: dict[str, Any] = {
        "content": None if told.content is None else paths[told.content.sha256],
        "style": [paths[style.sha256] for style in told.styles],
        "recipe": told.recipe,
        "init": init if init is None or isinstance(init, str) else paths[init.sha256],
        "weights": ready.weights,
        "blend": told.blend,
        "devices": _devices(told),
    }
    given["shape"] = _shape(told, given)
    return stylize(**given, on_start=on_start, on_progress=on_progress, force=force)


def _devices(told: Told) -> str | None:
    """Return on how many devices one picture was, as a user asks for them.

    None for one, or where so many are not here.
    """
    sides = told.devices[1:] if told.devices else (1, 1)
    if not 1 < math.prod(sides) <= jax.device_count():
        return None
    return f"{sides[0]}x{sides[1]}"


def _shape(told: Told, given: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the shape that a texture was asked for in; None if there was none.

    It is not recorded as such: it was asked for where sizes are not what they would be.
    """
    recorded = told.document.get("stages")
    if given["content"] is not None or not isinstance(recorded, list) or not recorded:
        return None
    names = ("content", "style", "recipe", "weights", "init", "blend")
    request = Request(**{name: given[name] for name in names})
    try:
        stages = [stage._asdict() for stage in make_plan(request, {}).stages]
    except ValueError:  # too small without a shape
        stages = []
    if json.loads(json.dumps(stages)) == recorded:
        return None
    last = recorded[-1].get("shape") if isinstance(recorded[-1], Mapping) else None
    if isinstance(last, list) and len(last) == 2:
        return last[0], last[1]
    return None


class Difference(NamedTuple):
    """How far a picture and the one made again are apart.

    Attributes:
      equal: Whether nothing differs that can be compared.
      largest: Of 8-bit pixels in levels of 255, or of losses, relative; None where
        sizes differ.
      share: Part of the values that differ.
      text: The same in words.
    """

    equal: bool
    largest: float | None
    share: float
    text: str


def compare(picture: StrPath, result: Result) -> Difference:
    """Hold a picture, or a history, to the run that was made again.

    Args:
      picture: The picture, or the JSON of `--history`.
      result: The run.
    """
    if Path(picture).suffix.lower() == ".json":
        return _of_histories(read_document(picture), result)
    with tempfile.TemporaryDirectory(prefix="jnst-") as folder:
        again = Path(folder, "again").with_suffix(Path(picture).suffix.lower())
        save_image(again, result.image)  # what the format loses, both have lost
        one, other = levels_of(picture), levels_of(again)
    if one.shape != other.shape:
        sizes = (f"{x.shape[1]}x{x.shape[0]}" for x in (one, other))
        text = "sizes differ: {} px, made again {} px (width x height)".format(*sizes)
        return Difference(False, None, 1.0, text)
    away = np.abs(one.astype(int) - other.astype(int))
    largest, share = int(away.max()), float(np.mean(away > 0))
    if not largest:
        return Difference(True, 0, 0.0, "largest pixel difference 0: equal bit for bit")
    text = (
        f"largest pixel difference {largest} of 255, {share:.2%} of the values differ"
    )
    return Difference(False, largest, share, text)


def _of_histories(document: Mapping[str, Any], result: Result) -> Difference:
    """Hold the losses of every step to those recorded."""
    history = document.get("history")
    losses = history.get("loss") if isinstance(history, Mapping) else None
    again = np.asarray(result.history["loss"], np.float64)
    try:
        one = np.asarray(losses, np.float64)
    except (TypeError, ValueError):
        one = np.zeros(0)
    if one.shape != again.shape:
        text = f"the history has no loss of each of the {again.size} steps"
        return Difference(False, None, 1.0, text)
    away = np.abs(one - again)
    if not away.any():
        text = f"all {again.size} losses are equal bit for bit"
        return Difference(True, 0, 0.0, text)
    largest = float(np.max(away / np.maximum(np.abs(again), np.finfo(float).tiny)))
    text = f"losses differ by {largest:.2g} at most, relative"
    return Difference(False, largest, float(np.mean(away > 0)), text)


def differing(told: Told) -> dict[str, tuple[str, str]]:
    """Return what is not as it was: {version or "device": (then, now)}."""
    then, now = texts_of(told.document.get("versions")), versions()
    found = {
        name: (then.get(name, "unknown"), now[name])
        for name in now
        if then.get(name) != now[name]
    }
    was = told.document.get("device")
    was = was if isinstance(was, str) else "unknown"
    return found | ({"device": (was, device())} if was != device() else {})


def report(
    picture: StrPath, ready: Ready, result: Result, difference: Difference
) -> dict[str, Any]:
    """Gather all that was found, for JSON."""
    told = ready.told
    loss = float(np.mean(result.history["loss"][..., -1]))
    return {
        "schema": SCHEMA,
        "picture": str(picture),
        "equal": difference.equal,
        "largest_difference": difference.largest,
        "differing_share": difference.share,
        "text": difference.text,
        "final_loss": {"then": told.document.get("final_loss"), "now": loss},
        "differs": {k: list(v) for k, v in differing(told).items()},
        "notes": ready.notes,
        "inputs": [
            {**each._asdict(), "path": str(ready.paths[each.sha256])}
            for each in told.files
        ],
        "weights": {
            "then": told.weights.get("tensors_sha256"),
            "now": result.weights.get("tensors_sha256"),
        },
        "seconds": result.seconds,
    }
