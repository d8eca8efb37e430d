"""`--alpha keep`: pictures of a run with the transparency of its content."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jnst.drivers.plan import Plan
    from jnst.watching.watcher import Watcher

Save = Callable[..., None]
"""As `jnst.image.save_image`: of a path, an image and `metadata`."""

alpha_option = click.option(
    "--alpha",
    type=click.Choice(["white", "keep"]),
    default="white",
    show_default=True,
    help="What was transparent in CONTENT: white, or transparent again.",
)


def keep_alpha(path: str | None) -> "tuple[Watcher, Save]":
    """Return what writes pictures with a file's transparency, and what reads that.

    It is read as the run begins, since the file may go meanwhile.

    Args:
      path: The file; None for opaque pictures.
    """
    from jnst.image import load_alpha, resize_alpha, save_image
    from jnst.watching.watcher import Watcher

    known: list[Any] = []

    def start(plan: "Plan") -> None:
        alpha = None if path is None else load_alpha(path)
        if alpha is not None:
            known[:] = [alpha, plan.recipe.schedule.resize]

    def save(to: Any, image: Any, *, metadata: Any = None) -> None:
        alpha = None
        if known:
            alpha = resize_alpha(known[0], image.shape[:2], method=known[1])
        save_image(to, image, metadata=metadata, alpha=alpha)

    return Watcher(start), save
