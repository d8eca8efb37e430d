"""How the page is laid out: what is filled in, and what is shown."""

from typing import Any

import gradio as gr

from jnst.app.asked import LOSSES
from jnst.app.shown import picture_of, previews
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.recipes.table import RECIPES
from jnst.report.page import as_text

TABLES = {"style": STYLE_LOSSES, "content": CONTENT_LOSSES, "tv": IMAGE_LOSSES}
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Of every event: nothing flickers, and nothing is called from outside the page."""


def lay_fields(size_px: int) -> tuple[list[Any], Any]:
    """Lay out what is filled in, in the order that `page` reads; and the button."""
    content = gr.File(
        label="Photograph", file_types=["image"], height=120, elem_id="content"
    )
    styles = gr.File(
        label="Style pictures",
        file_count="multiple",
        file_types=["image"],
        height=120,
        elem_id="styles",
    )
    small = gr.HTML(elem_id="previews", padding=False)
    blend = gr.Textbox(
        label="Blend",
        info="A weight for each style, such as 0.7, 0.3; empty for equal ones.",
        visible=False,
        elem_id="blend",
    )
    recipe = gr.Dropdown(list(RECIPES), value="jnst", label="Recipe", elem_id="recipe")
    source = gr.HTML(_about("jnst"), padding=False)
    with gr.Row():
        numbers = [_number("size_px", "Size, px", str(size_px))]
        numbers += [_number("steps", "Steps", ""), _number("seed", "Seed", "")]
    with gr.Accordion("Losses", open=False):
        losses = [_loss(term, label) for term, label in LOSSES.items()]
    with gr.Accordion("Advanced", open=False):
        settings = gr.Textbox(
            label="Settings",
            info="One FIELD=VALUE a line; `jnst recipes NAME` lists all fields.",
            placeholder="learning_rate=0.05\ncontent_layers=relu4_2",
            lines=3,
            elem_id="settings",
        )
    start = gr.Button("Make the picture", variant="primary", elem_id="start")
    given = [content, styles]
    for field in given:
        _keep_local(field)
        field.change(_chosen, given, [small, blend], **QUIET)
    recipe.change(_about, recipe, source, **QUIET)
    return [*given, blend, recipe, settings, *numbers, *losses], start


def _keep_local(field: Any) -> None:
    """Take from a field of files what Gradio gives it: to download an address."""
    move = field.async_move_resource_to_block_cache

    async def move_local(path: Any) -> Any:
        if "://" in str(path):
            what = "pictures are uploaded, not fetched"
            raise gr.Error(what, print_exception=False)
        return await move(path)

    field.async_move_resource_to_block_cache = move_local


def _number(name: str, label: str, value: str) -> Any:
    return gr.Textbox(
        value,
        label=label,
        placeholder="recipe's",
        min_width=80,
        elem_id=name.replace("_", "-"),
    )


def _loss(term: str, label: str) -> Any:
    choices = [("the recipe's own", ""), *((name, name) for name in TABLES[term])]
    return gr.Dropdown(choices, value="", label=label, elem_id=f"{term}-loss")


def lay_outputs() -> list[Any]:
    """Lay out what is shown, in the order that `page` has."""
    picture = gr.HTML(picture_of(None), elem_id="picture", padding=False)
    status = gr.HTML(elem_id="status", padding=False)
    with gr.Row():
        stop = gr.Button("Stop", visible=False, elem_id="stop")
        go_on = gr.Button("Go on", visible=False, elem_id="go-on")
        download = gr.DownloadButton("Download", visible=False, elem_id="download")
    curves = gr.HTML(elem_id="curves", padding=False)
    return [stop, go_on, download, status, picture, curves]


def _about(recipe: str) -> str:
    source = as_text(RECIPES[recipe].run.source)
    summary = f"<summary>About {as_text(recipe)}</summary>"
    return f'<details class="jnst-note">{summary}{source}</details>'


def _chosen(content: str | None, styles: list[str] | None) -> tuple[Any, ...]:
    shown = previews(content, styles or [])
    return shown, gr.Textbox(visible=len(styles or []) > 1)
