"""What a run shows while it goes on, and the files it leaves, as watchers of it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jnst.cli import watching
from jnst.cli.stopping import has_come
from jnst.cli.transparent import Save, keep_alpha

if TYPE_CHECKING:
    from jnst.cli.run_options import Outputs
    from jnst.drivers.plan import Plan
    from jnst.drivers.result import Progress, Result
    from jnst.watching.watcher import Watcher

Write = Callable[[Any, Callable[[Any], Any]], None]
"""Writes a file at a path by a function of a path."""


def new_bar(**given: Any) -> Any:
    """Return a bar on standard error: drawn seldom in a log, not if all ends at once.

    Args:
      **given: Arguments of `tqdm.tqdm`.
    """
    from tqdm import tqdm

    usual = {
        "file": sys.stderr,
        "mininterval": 0.1 if sys.stderr.isatty() else 5.0,
        "dynamic_ncols": True,
        "delay": 1,  # bad input ends sooner, and then one line is all there is
    }
    return tqdm(**usual | given)


def watchers_of(outputs: "Outputs") -> "list[Watcher]":
    """Return who watches a run: the bar, and those that write its files."""
    reading, save = keep_alpha(outputs.alpha)
    keeper = outputs.keeper
    write: Write = keeper.write if keeper else lambda path, by: by(path)

    def noted(path: Any, image: Any, *, metadata: Any = None) -> None:
        write(path, lambda to: save(to, image, metadata=metadata))

    keeping = keep_picture(outputs.image, noted, outputs.metadata)
    found = [show_bar(keeper), reading, keeping]
    if outputs.save_every:
        found.append(save_often(outputs.image, outputs.save_every, noted))
    if outputs.history:
        found.append(write_history(outputs.history, write))
    if outputs.plot:
        found.append(draw_history(outputs.plot, write))
    return [*found, *watching.watchers_of(outputs.watching)]


def show_bar(keeper: Any = None) -> "Watcher":
    """Show a progress bar on standard error, and what a run is and took.

    Args:
      keeper: What keeps the run, and tells of it above the bar; None for nothing.
    """
    from jnst.watching.watcher import Watcher

    balancing: list[str] = []
    bar = new_bar(
        desc="preparing",
        unit="step",
        bar_format="{desc}: {n_fmt} steps [{elapsed}]",
        leave=False,
    )
    if keeper is not None:
        keeper.tell = lambda line: bar.write(line, file=sys.stderr)

    def start(plan: "Plan") -> None:
        for line in introduced(plan):
            bar.write(line, file=sys.stderr)
        terms = plan.recipe.objective.terms
        balancing.extend(term.name for term in terms if term.weight == "balance")
        bar.leave, bar.delay, bar.bar_format, bar.desc = True, 0, None, "compiling"
        bar.total = sum(stage.steps for stage in plan.stages)
        bar.reset(bar.total)
        if keeper is not None:
            bar.n = bar.initial = keeper.begun

    def update(progress: "Progress") -> None:
        height, width = progress.shape
        bar.set_description_str(f"{width}x{height}", refresh=False)
        losses = {name: f"{value:.3g}" for name, value in progress.losses.items()}
        bar.set_postfix(losses, refresh=False)
        bar.update(progress.step - bar.n)

    def finish(result: "Result") -> None:
        bar.close()
        for line in concluded(result, balancing):
            click.echo(line, err=True)

    return Watcher(start, update, finish, lambda error: bar.close())


def introduced(plan: "Plan") -> list[str]:
    """Say what is about to run, where, and on which weights."""
    from jnst.bench.bfloat16 import slow_bfloat16
    from jnst.cli.main import printable
    from jnst.drivers.record import device

    sizes = ", ".join(f"{s.shape[1]}x{s.shape[0]}" for s in plan.stages)
    known = {name: printable(text) for name, text in plan.weights.items()}
    slow = slow_bfloat16([plan.recipe.dtype])
    return [
        f"{sizes} px (width x height); {known.get('title') or 'given weights'}, "
        f"{known.get('source', '')} sha256 {known.get('tensors_sha256', '')[:12]}; "
        f"{device()}",
        *([f"jnst: warning: {slow}"] if slow else []),
    ]


def concluded(result: "Result", balancing: list[str]) -> list[str]:
    """Say what a run found and took; the terms in `balancing` were weighed by it."""
    from jnst.drivers.record import document

    lines = []
    for term in result.recipe.objective.terms:
        if term.name in balancing:
            weights = ", ".join(f"{w:.4g}" for w in term.layer_weights)
            lines.append(
                f"balanced {term.loss}: {term.name}_weight={term.weight:.4g} "
                f"{term.name}_layer_weights={weights}"
            )
    return [
        *lines,
        f"{result.seconds:.1f} s in the loop, {result.compile_seconds:.1f} s "
        f"compiling, loss {document(result)['final_loss']:.4g}",
    ]


def keep_picture(path: str, save: Save, metadata: bool) -> "Watcher":
    """Write the picture, with its record if asked, and name it on standard output.

    Where a run is interrupted the image so far is kept, and the last good one where its
    loss stops being finite.
    """
    from jnst.drivers.record import document
    from jnst.watching.watcher import Watcher

    latest: list[Any] = []

    def update(progress: "Progress") -> None:
        latest[:] = [progress.image]

    def finish(result: "Result") -> None:
        save(path, result.image, metadata=document(result) if metadata else None)
        click.echo(path)

    def close(error: BaseException | None) -> None:
        image = getattr(error, "image", None)
        ended = isinstance(error, KeyboardInterrupt) or has_come()
        if error and ended and latest:
            image = latest[0]
        if image is not None:
            save(path, image)
            click.echo(f"the last good image is kept in {path}", err=True)

    return Watcher(update=update, finish=finish, close=close)


def save_often(path: str, every: int, save: Save) -> "Watcher":
    """Write a numbered picture beside `path` after every so many steps."""
    from jnst.watching.watcher import Watcher

    whole = Path(path)

    def update(progress: "Progress") -> None:
        if progress.step % every == 0:
            name = f"{whole.stem}_{progress.step:06d}{whole.suffix}"
            save(whole.with_name(name), progress.image)

    return Watcher(update=update)


def write_history(path: str, write: Write) -> "Watcher":
    """Write the losses of all steps as JSON, of a run that failed too."""
    from jnst.drivers.record import document, with_history
    from jnst.files import write_json
    from jnst.watching.watcher import Watcher

    def finish(result: "Result") -> None:
        about = with_history(document(result), result.history)
        write(path, lambda to: write_json(to, about))
        click.echo(path)

    def close(error: BaseException | None) -> None:
        history = getattr(error, "history", None)
        if history is not None:
            write_json(path, {"history": history, "error": str(error)})

    return Watcher(finish=finish, close=close)


def draw_history(path: str, write: Write) -> "Watcher":
    """Plot the losses of all steps."""
    from jnst.plots import plot_history
    from jnst.watching.watcher import Watcher

    def finish(result: "Result") -> None:
        title = result.inputs["recipe_name"] or ""
        write(path, lambda to: plot_history(to, result.history, title=title))
        click.echo(path)

    return Watcher(finish=finish)
