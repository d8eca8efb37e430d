"""The page itself: fields on the left, the picture on the right, made with Gradio.

A handler that starts a run watches it until it ends; the run does not depend on it.
"""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from jnst.app.asked import LOSSES, NUMBERS, Asked, plan_of
from jnst.app.desk import DONE, ENDED, Desk, Job, told
from jnst.app.layout import QUIET, lay_fields, lay_outputs
from jnst.app.shown import (
    buttons_of,
    curves_of,
    failure,
    picture_of,
    status_of,
)
from jnst.image import save_image

LOOK_S = 0.2
"""Seconds between two looks at a run."""
DRAW_S = 1.0
"""Seconds between two drawings of the curves."""
Updates = tuple[Any, ...]


def make_page(desk: Desk, *, weights: str | None, size_px: int) -> gr.Blocks:
    """Make the page.

    Args:
      desk: Where its runs go.
      weights: Name or path of a weights file; None to find VGG19.
      size_px: Size that it proposes.
    """
    with gr.Blocks(title="jnst", analytics_enabled=False) as page:
        gr.Markdown("# jnst\nGive a photograph the style of a painting.")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                fields, start = lay_fields(size_px)
            with gr.Column(scale=3, min_width=320):
                outputs = lay_outputs()
        outputs = [start, *outputs]
        stop, go_on = outputs[1], outputs[2]

        async def begin(request: gr.Request, *values: Any) -> AsyncIterator[Updates]:
            session = str(request.session_hash)
            yield _busy()
            try:
                plan, notes = await asyncio.to_thread(
                    plan_of, _asked(values), weights=weights
                )
                desk.begin(session, plan, notes=notes)
            except Exception as error:
                yield _refused(desk, session, error)
                return
            async for updates in _watch(desk, session):
                yield updates

        async def resume(request: gr.Request) -> AsyncIterator[Updates]:
            session = str(request.session_hash)
            try:
                desk.go_on(session)
            except Exception as error:
                yield _refused(desk, session, error)
                return
            async for updates in _watch(desk, session):
                yield updates

        def halt(request: gr.Request) -> None:
            desk.stop(str(request.session_hash))

        def leave(request: gr.Request) -> None:
            desk.forget(str(request.session_hash))

        usual = {**QUIET, "concurrency_limit": None}
        start.click(begin, fields, outputs, **usual)
        go_on.click(resume, None, outputs, **usual)
        stop.click(halt, None, None, **usual)
        page.unload(leave)
    return page


def _asked(values: tuple[Any, ...]) -> Asked:
    content, styles, blend, recipe, settings, *rest = values
    texts = [text or "" for text in rest]
    return Asked(
        content=content,
        styles=styles or [],
        blend=blend or "",
        recipe=recipe,
        settings=settings or "",
        numbers=dict(zip(NUMBERS, texts, strict=False)),
        losses=dict(zip(LOSSES, texts[len(NUMBERS) :], strict=True)),
    )


def _busy() -> Updates:
    """Answer the press of the button, before the pictures are read."""
    gone = gr.Button(visible=False)
    line = '<div class="jnst-status" role="status">Reading the pictures.</div>'
    hidden = gr.DownloadButton(visible=False)
    start = gr.Button(interactive=False)
    return start, gr.skip(), gone, hidden, line, gr.skip(), gr.skip()


def _refused(desk: Desk, session: str, error: Exception) -> Updates:
    """Show why nothing was begun; what was stopped before can still go on."""
    buttons = _buttons(desk.jobs.get(session))
    shown = failure(told(error, desk.folder))
    return *buttons, gr.skip(), shown, gr.skip(), gr.skip()


def _buttons(job: Job | None) -> Updates:
    start, stop, go_on = buttons_of(job)
    waits = job is not None and job.stopping
    return (
        gr.Button(interactive=start),
        gr.Button(visible=stop, interactive=not waits),
        gr.Button(visible=go_on),
    )


async def _watch(desk: Desk, session: str) -> AsyncIterator[Updates]:
    """Show a job whenever it has changed, until it ends."""
    job = desk.jobs.get(session)
    seen, drawn, drawn_at = None, 0, 0.0
    while job is not None:
        state, latest, before = job.state, job.latest, desk.before(job)
        step = latest.step if latest else 0
        now = state, job.stopping, step, before
        stale = step > drawn and time.monotonic() - drawn_at > DRAW_S
        draw = stale or state in ENDED
        if now != seen or stale:
            yield await asyncio.to_thread(_updates, desk, job, before, draw)
            seen = now
        if draw:
            drawn, drawn_at = step, time.monotonic()
        if state in ENDED:
            return
        await asyncio.sleep(LOOK_S)


def _updates(desk: Desk, job: Job, before: int, draw: bool) -> Updates:
    curves = curves_of(job) if draw else gr.skip()
    shown = status_of(job, before), picture_of(job), curves
    return *_buttons(job), _download(desk, job), *shown


def _download(desk: Desk, job: Job) -> Any:
    """Write the picture of a job that has ended, and offer it."""
    if job.state not in ENDED or job.latest is None:
        return gr.DownloadButton(visible=False)
    about = job.plan.content.about if job.plan.content else {}
    stem = re.sub(r"[^\w-]+", "_", Path(str(about.get("name"))).stem)[:60]
    folder = Path(desk.folder) / "results" / secrets.token_hex(8)
    folder.mkdir(parents=True)
    path = folder / f"{stem}-jnst.png"
    if job.result is not None:
        job.result.save(path)
        label = "Download picture with its recipe (PNG)"
    else:
        save_image(path, job.latest.image)
        label = "Download as it is now (PNG, no recipe)"
    main = "primary" if job.state == DONE else "secondary"
    return gr.DownloadButton(label, value=str(path), visible=True, variant=main)
