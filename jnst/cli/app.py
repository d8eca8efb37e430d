"""`jnst app`: the page in a browser, on this machine alone."""

import os
import sys
import webbrowser

import click

from jnst.cli.own import losses_from, optimizer_from


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="A free one if absent.")
@click.option(
    "--open/--no-browser",
    "opens",
    default=None,
    help="Open a browser; by default where there is a desktop.",
)
@click.option("--weights", help="Name or path of a weights file.")
@losses_from
@optimizer_from
def app(port: int | None, opens: bool | None, weights: str | None) -> int:
    """Serve a page on 127.0.0.1 that makes pictures; Ctrl-C ends it.

    Uploads and results lie in a private folder until then. One picture is made at a
    time; nothing is sent anywhere.
    """
    from jnst.app.serving import serve
    from jnst.program import keep_programs

    keep_programs()

    def tell(address: str) -> None:
        click.echo(address)
        click.echo("Ctrl-C ends it.", err=True)
        if has_desktop() if opens is None else opens:
            webbrowser.open(address)

    code, ended = serve(port, weights, tell=tell)
    if not ended:  # a program that is being compiled cannot be stopped
        sys.stdout.flush()
        os._exit(code)
    return code


def has_desktop() -> bool:
    """Tell whether a browser would have a window to open."""
    displays = os.environ.get("DISPLAY"), os.environ.get("WAYLAND_DISPLAY")
    return any(displays) or sys.platform in ("win32", "darwin")
