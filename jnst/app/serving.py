"""Serving the page: 127.0.0.1 alone, a private folder, nothing to or from elsewhere."""

import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from jnst.app.asked import MOST_MB
from jnst.report.page import own_file

HOST = "127.0.0.1"
LEAVE_S = 5.0
"""Seconds that a run has to reach the end of its step when the app ends."""
SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Variables that Gradio reads when it is imported."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""What a browser may load: nothing but from here."""
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
CLOSED = ("/proxy=", "/file=http", "/file/", "/runs", "/deep_link", "/monitoring")
"""Parts of addresses at which Gradio would fetch from elsewhere, or keeps records."""


def check_app() -> None:
    """Raise `ValueError` unless the extra `app` is installed."""
    if importlib.util.find_spec("gradio") is None:
        raise ValueError(
            "the app needs gradio: install the extra 'app', as in "
            "`pip install 'jnst[app]'`"
        )


def listen(port: int | None) -> socket.socket:
    """Take a port of 127.0.0.1; any free one for None.

    Raises:
      ValueError: If it is taken, or may not be had.
    """
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((HOST, port or 0))
        taken.listen()
    except OSError as error:
        taken.close()
        raise ValueError(
            f"port {port} of {HOST} cannot be had ({error.strerror}); use another "
            "--port, or leave it out for a free one"
        ) from None
    return taken


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a folder that nobody else can look into, and remove it in the end.

    Gradio keeps uploads and downloads in it; it must not be imported before.
    """
    folder = Path(tempfile.mkdtemp(prefix="jnst-app-")).resolve()
    os.environ.update(SETTINGS, GRADIO_TEMP_DIR=str(folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def guarded(app: Any) -> Any:
    """Wrap an application of ASGI: some addresses are closed, all answers have HEADERS.

    Args:
      app: The application.
    """

    async def guard(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "").lower()
        if scope["type"] == "http" and any(part in path for part in CLOSED):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"not here"})
            return

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await app(scope, receive, answer)

    return guard


def make_server(page: Any) -> Any:
    """Make a server of a page, not yet running.

    Args:
      page: Blocks of Gradio's.

    Returns:
      A `uvicorn.Server`.
    """
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI
    from gradio.themes import Soft
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    plain = ["ui-sans-serif", "system-ui", "sans-serif"]
    page.queue(max_size=64)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=HOST,
        footer_links=[],
        max_file_size=MOST_MB * 10**6,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=Soft(font=plain, font_mono=["ui-monospace", "monospace"]),
        css=own_file("jnst.report", "chart.css") + own_file("jnst.app", "page.css"),
    )
    page.has_launched = True  # else Gradio 6.31 takes any file's name for an upload
    # Other sites cannot reach the page under a name of their own.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    config = uvicorn.Config(
        guarded(app),
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    # Of a tab that is still open in the end uvicorn tells at length.
    logging.getLogger("uvicorn.error").addFilter(lambda _: not server.should_exit)
    return server


def serve(
    port: int | None, weights: str | None, *, tell: Callable[[str], None]
) -> tuple[int, bool]:
    """Serve the page until it is interrupted.

    Args:
      port: Port of 127.0.0.1; None for a free one.
      weights: Name or path of a weights file; None to find VGG19.
      tell: Is told the address.

    Returns:
      The exit code, and whether a run has let go of the process.

    Raises:
      ValueError: If the extra is missing, or the port is taken.
      FileNotFoundError: For no weights anywhere.
    """
    check_app()
    from jnst.weights import find_weights

    find_weights(weights)
    with listen(port) as taken, private_folder() as folder:
        signal.signal(signal.SIGTERM, _terminated)
        from jnst.app.desk import Desk
        from jnst.app.page import make_page

        desk = Desk(folder)
        try:
            page = make_page(desk, weights=weights, size_px=usual_size())
            server = make_server(page)
            code = _until_ended(server, taken, tell)
        finally:
            ended = desk.close(LEAVE_S)
    return code, ended


def _until_ended(server: Any, taken: socket.socket, tell: Callable[[str], None]) -> int:
    try:
        tell("http://{}:{}".format(*taken.getsockname()))
        server.run(sockets=[taken])
    except KeyboardInterrupt:
        pass  # Ctrl-C is how it is meant to end
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def usual_size() -> int:
    """Return the size in pixels that the page proposes on this device."""
    import jax

    return 256 if jax.default_backend() == "cpu" else 512


def _terminated(*about: Any) -> None:
    raise SystemExit(143)  # through all that cleans up
