"""What a run shows while it goes on, and what it keeps if it does not end."""

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from jnst.drivers.plan import Plan
    from jnst.drivers.result import Progress, Result


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


class Reporter:
    """A progress bar on standard error that also owns a run's files.

    As a context it keeps the image so far where a run is interrupted, and the last
    good one where its loss stops being finite.
    """

    def __init__(self, outputs: Any) -> None:
        """Show a bar for a run whose files are `outputs`."""
        self.outputs = outputs
        self.latest: Progress | None = None
        self.balancing: list[str] = []
        self.bar = new_bar(
            desc="preparing",
            unit="step",
            bar_format="{desc}: {n_fmt} steps [{elapsed}]",
            leave=False,
        )

    def __enter__(self) -> "Reporter":
        """Return itself."""
        return self

    def start(self, plan: "Plan") -> None:
        """Say what is about to run, where, and on which weights."""
        from jnst.bench.bfloat16 import slow_bfloat16
        from jnst.drivers.record import device

        sizes = ", ".join(f"{s.shape[1]}x{s.shape[0]}" for s in plan.stages)
        known = plan.weights
        self.bar.write(
            f"{sizes} px (width x height); {known.get('title') or 'given weights'}, "
            f"{known.get('source', '')} sha256 {known.get('tensors_sha256', '')[:12]}; "
            f"{device()}",
            file=sys.stderr,
        )
        slow = slow_bfloat16([plan.recipe.dtype])
        if slow:
            self.bar.write(f"jnst: warning: {slow}", file=sys.stderr)
        terms = plan.recipe.objective.terms
        self.balancing = [term.name for term in terms if term.weight == "balance"]
        self.bar.leave, self.bar.delay = True, 0
        self.bar.bar_format = None
        self.bar.desc = "compiling"
        self.bar.total = sum(stage.steps for stage in plan.stages)
        self.bar.reset(self.bar.total)

    def update(self, progress: "Progress") -> None:
        """Show a chunk's losses and keep its image in mind."""
        self.latest = progress
        height, width = progress.shape
        self.bar.set_description_str(f"{width}x{height}", refresh=False)
        losses = {name: f"{value:.3g}" for name, value in progress.losses.items()}
        self.bar.set_postfix(losses, refresh=False)
        self.bar.update(progress.step - self.bar.n)
        every = self.outputs.save_every
        if every and progress.step % every == 0:
            path = Path(self.outputs.image)
            self._save(
                path.with_name(f"{path.stem}_{progress.step:06d}{path.suffix}"),
                progress.image,
            )

    def _save(self, path: str | Path, image: Any, about: Any = None) -> None:
        from jnst.image import save_image

        save_image(path, image, metadata=about)

    def finish(self, result: "Result") -> None:
        """Write picture, history and plot, and name them on standard output."""
        from jnst.drivers.record import document, with_history
        from jnst.files import write_json
        from jnst.plots import plot_history

        self.bar.close()
        for term in result.recipe.objective.terms:
            if term.name in self.balancing:
                weights = ", ".join(f"{w:.4g}" for w in term.layer_weights)
                click.echo(
                    f"balanced {term.loss}: {term.name}_weight={term.weight:.4g} "
                    f"{term.name}_layer_weights={weights}",
                    err=True,
                )
        about = document(result)
        self._save(self.outputs.image, result.image, about)
        click.echo(self.outputs.image)
        if self.outputs.history:
            write_json(self.outputs.history, with_history(about, result.history))
            click.echo(self.outputs.history)
        if self.outputs.plot:
            plot_history(
                self.outputs.plot, result.history, title=about["recipe_name"] or ""
            )
            click.echo(self.outputs.plot)
        click.echo(
            f"{result.seconds:.1f} s in the loop, {result.compile_seconds:.1f} s "
            f"compiling, loss {about['final_loss']:.4g}",
            err=True,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep what there is if the run did not end."""
        self.bar.close()
        image = getattr(error, "image", None)
        if isinstance(error, KeyboardInterrupt) and self.latest:
            image = self.latest.image
        if image is not None:
            self._save(self.outputs.image, image)
            click.echo(f"the last good image is kept in {self.outputs.image}", err=True)
        history = getattr(error, "history", None)
        if history is not None and self.outputs.history:
            from jnst.files import write_json

            write_json(self.outputs.history, {"history": history, "error": str(error)})
