"""The default against other recipes: a study of four contents and four styles.

    python benchmarks/quality.py --images DIR --more DIR --folder OUT --seconds 12
    python benchmarks/quality.py --images DIR --more DIR --folder OUT2 --size 64
    python benchmarks/quality.py --page            # the page from the results

With --seconds all methods have equal seconds in the loop; without, each its recipe's
own steps, by which it has converged. --images is a folder with the pictures of
`CONTENTS` and `STYLES`, --more another; one style is made here. Pictures are cut to
squares, so that methods compile once. A study that was stopped goes on in its folder.
Results are kept in `results/quality_cpu.json`, the page is `quality.md`.
"""

import argparse
import datetime
import json
from pathlib import Path

import numpy as np
from grid_energy import figures

import jnst
from jnst.files import write_json
from jnst.image import load_image, resize_image, save_image
from jnst.metrics import METRICS
from jnst.program import keep_programs
from jnst.recipes.table import RELU4_2_SCALE
from jnst.studying.table import ARROWS, by_row, number, span, spent

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results" / "quality_cpu.json", HERE / "quality.md"
CONTENTS = ("golden_gate.jpg", "tubingen.jpg", "astronaut.png", "chelsea.png")
STYLES = ("starry_night.jpg", "the_scream.jpg", "Monet.jpg")
STILL = jnst.Method("jnst, no shifts", "jnst", {"shift_px": 0})
FIRM = jnst.Method("jnst, content x4", "jnst", {"content_weight": 0.12 / RELU4_2_SCALE})
METHODS = ("jnst", STILL, FIRM, "crowsonkb", "gatys", "neural-style", "tf-tutorial")
SIDE = 512
TILES = 150
GRID = {"near_nyquist": "grid, all", "along_axes": "grid, along axes"}


def square(image):
    """Cut the middle square out, and bring it to `SIDE` pixels."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = image[top : top + side, left : left + side]
    return np.clip(resize_image(cut, (SIDE, SIDE)), 0, 1)


def mosaic(seed=0):
    """Make a style: cells of a Voronoi diagram in few colours, with dark joints."""
    rng = np.random.default_rng(seed)
    seeds = rng.uniform(0, SIDE, (TILES, 2))
    colours = rng.choice(rng.uniform(0.1, 1.0, (7, 3)), TILES)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    places = np.stack([rows, columns], axis=-1)
    distances = np.linalg.norm(places[:, :, None] - seeds, axis=-1)
    nearest = np.sort(distances, axis=-1)
    joints = (nearest[..., 1] - nearest[..., 0] < 5)[..., None]
    return np.where(joints, 0.05, colours[distances.argmin(-1)]).astype(np.float32)


def prepare(folder, images):
    """Write the squares into contents/ and styles/; return both folders."""
    found = {path.name: path for each in images for path in Path(each).iterdir()}
    places = folder / "contents", folder / "styles"
    for place, names in zip(places, (CONTENTS, STYLES), strict=True):
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = place / f"{Path(name).stem}.png"
            if not path.exists():
                save_image(path, square(load_image(found[name])))
    if not (places[1] / "mosaic.png").exists():
        save_image(places[1] / "mosaic.png", mosaic())
    return places


def shown(moment):
    """Say where the study is, once a cell."""
    if moment.done in (0, 1):
        print(f"{moment.number} of {moment.cells}: {moment.name}", flush=True)


def grids(found, styles, folder, size_px):
    """Return each method's mean grid energy over its pictures, over the styles'."""
    seen = {
        path.stem: resize_image(load_image(path), (size_px, size_px))
        for path in styles.iterdir()
    }
    rows = {}
    for record in found.records:
        image = load_image(folder / "cells" / f"{record['name']}.png")
        row = rows.setdefault(record["method"], [])
        row.append(figures(image, seen[record["style"]]))
    return {
        method: {name: float(np.mean([row[name] for row in each])) for name in GRID}
        for method, each in rows.items()
    }


def table(found, reference, grid):
    """Write a table of the study as Markdown."""
    rows = by_row(found.lines)
    names = list(dict.fromkeys(line.metric for line in found.lines))
    names = [name for name in names if METRICS[name].reference == reference]
    more = GRID if reference == "style" else {}
    heads = [f"{name} {ARROWS[METRICS[name].better]}" for name in names]
    heads = ["method", "spent", *heads, *more.values()]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for (budget, method), own in rows.items():
        cells = [method, spent(found.records, budget, method)]
        for name in names:
            text = span(own[name])
            difference = f" ({text})" if text else ""
            cells.append(f"{number(own[name].mean, 3)}{difference}")
        cells += [number(grid[method][name], 3) for name in more]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def section(found, grid, options):
    """Describe a study for the page and for the results."""
    asked = found.about["asked"]
    budget = f"{options.seconds:g} s in the loop" if options.seconds else "own steps"
    return {
        "title": f"{options.size} x {options.size} px, {budget}",
        "date": datetime.date.today().isoformat(),
        "device": asked["device"],
        "versions": asked["versions"],
        "contents": [each["name"] for each in asked["contents"]],
        "styles": [each["name"] for each in asked["styles"]],
        "tables": {kind: table(found, kind, grid) for kind in ("content", "style")},
        "grid": grid,
        "lines": found.about["statistics"]["lines"],
    }


def page(document):
    """Write the page."""
    text = (HERE / "quality_introduction.md").read_text(encoding="utf-8").rstrip()
    for each in document["studies"].values():
        text += (
            f"\n\n## {each['title']}\n\n{each['date']}, {each['device']}, JAX "
            f"{each['versions']['jax']}, jnst {each['versions']['jnst']}.\n\n"
            f"Beside the content:\n\n{each['tables']['content']}\n\n"
            f"Beside the style:\n\n{each['tables']['style']}"
        )
    return text + "\n"


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", default=".")
    parser.add_argument("--more", default=".")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    document = {"studies": {}}
    if RESULTS.exists():
        document = json.loads(RESULTS.read_text(encoding="utf-8"))
    if not options.page:
        keep_programs()
        places = prepare(options.folder, [options.images, options.more])
        folder = options.folder / "study"
        given = {"size_px": options.size, "seconds": options.seconds}
        found = jnst.study(*places, METHODS, folder=folder, on_progress=shown, **given)
        print(found.table)
        grid = grids(found, places[1], folder, options.size)
        made = section(found, grid, options)
        document["studies"][made["title"]] = made
        write_json(RESULTS, document)
    PAGE.write_text(page(document), encoding="utf-8")


if __name__ == "__main__":
    main()
