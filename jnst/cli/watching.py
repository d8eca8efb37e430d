"""Options for who wants to watch a run, and the watchers that they ask for."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from jnst.watching.watcher import Watcher

REPORT = "report.html"
"""Name of a report whose file is not named; it lies beside the picture."""
OPTIONS = (
    click.option(
        "--report",
        is_flag=False,
        flag_value="",
        metavar="[FILE.html]",
        help=f"One page of all there is to see; {REPORT} beside the picture.",
    ),
    click.option("--frames", type=click.Path(), metavar="DIR", help="Numbered PNGs."),
    click.option(
        "--animation", type=click.Path(), help="The run as .gif, .webp or .mp4."
    ),
    click.option(
        "--frames-every",
        type=click.IntRange(1),
        metavar="N",
        help="Steps between two frames of these, or TensorBoard's pictures.",
    ),
    click.option(
        "--tensorboard", type=click.Path(), metavar="DIR", help="Events to look at."
    ),
    click.option("--preview", is_flag=True, help="Show the picture on the terminal."),
)


class Watching(NamedTuple):
    """What was asked for, by the names of the options.

    `after` is the step that a run which was stopped goes on from.
    """

    report: str | None = None
    frames: str | None = None
    animation: str | None = None
    frames_every: int | None = None
    tensorboard: str | None = None
    preview: bool = False
    after: int = 0


def watching_from(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def checked(asked: Watching, output: str, *, overwrite: bool) -> Watching:
    """Return what was asked for with all files named; raise before any work.

    Args:
      asked: From the options.
      output: The picture.
      overwrite: Whether files that exist may be replaced.

    Raises:
      ValueError: If something could not be written, or shown.
    """
    from jnst.files import check_output
    from jnst.image.animation import ANIMATION_SUFFIXES, check_animation
    from jnst.watching.folders import check_folder
    from jnst.watching.frames import FRAMES
    from jnst.watching.tensorboard import EVENTS, check_tensorboard

    if asked.report == "":
        asked = asked._replace(report=str(Path(output).with_name(REPORT)))
    if asked.report is not None:
        check_output(asked.report, suffixes=(".html",), overwrite=overwrite)
    if asked.animation is not None:
        check_output(asked.animation, suffixes=ANIMATION_SUFFIXES, overwrite=overwrite)
        check_animation(asked.animation)
    own = overwrite or asked.after > 0  # a run that goes on keeps what it wrote
    if asked.frames is not None:
        check_folder(asked.frames, FRAMES, overwrite=own)
    if asked.tensorboard is not None:
        check_tensorboard()
        check_folder(asked.tensorboard, EVENTS, overwrite=own)
    taken = asked.frames, asked.animation, asked.tensorboard
    if asked.frames_every and not any(taken):
        raise ValueError(
            "--frames-every says how often: use --frames, --animation or --tensorboard"
        )
    return asked


def files_of(asked: Watching) -> list[str]:
    """List the files that will be written."""
    return [name for name in (asked.report, asked.animation) if name]


def watchers_of(asked: Watching) -> "list[Watcher]":
    """Return the watchers, each of which names what it wrote on standard output."""
    from jnst.report.writer import write_report
    from jnst.watching.frames import save_film, save_frames
    from jnst.watching.tensorboard import log_events

    every, after = asked.frames_every or 0, asked.after
    makers: list[tuple[str | None, Callable[[str], Watcher]]] = [
        (asked.report, write_report),
        (asked.frames, lambda folder: save_frames(folder, every=every, after=after)),
        (asked.animation, lambda path: save_film(path, every=every)),
        (
            asked.tensorboard,
            lambda folder: log_events(folder, every=every, after=after),
        ),
    ]
    found = [_naming(path, make(path)) for path, make in makers if path]
    return [*_preview(), *found] if asked.preview else found


def _preview() -> "list[Watcher]":
    """Return who draws on standard error, or say in a line why nobody does."""
    from jnst.watching.preview import cannot_preview, show_preview

    why = cannot_preview(sys.stderr.isatty(), os.environ)
    if why:
        click.echo(f"jnst: warning: no preview: {why}", err=True)
        return []

    def write(text: str) -> None:
        from tqdm import tqdm

        with tqdm.external_write_mode(file=sys.stderr):  # the bar makes room
            sys.stderr.write(text)
            sys.stderr.flush()

    true = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")

    def size() -> tuple[int, int]:
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
        return columns or 80, rows or 24  # some terminals do not tell

    return [show_preview(write, size, true)]


def _naming(path: str, watcher: "Watcher") -> "Watcher":
    """Let a watcher name its file once that is written."""

    def finish(result: Any) -> None:
        watcher.finish(result)
        click.echo(path)

    return watcher._replace(finish=finish)
