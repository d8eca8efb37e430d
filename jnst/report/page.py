"""A page that is one file: its style and script are inside, and nothing else runs.

Pictures are JPEG in data URIs. The page's policy allows the style and the script by
their digests and refuses all else, so that no name of a picture can become code.
"""

import base64
import hashlib
import importlib.resources
from html import escape
from typing import Any

import numpy as np

from jnst.image import encode_jpeg, fit_shape, resize_image


def make_page(title: str, body: str, *, css: str, js: str) -> str:
    """Return a page of HTML.

    Args:
      title: Of the page, as text.
      body: HTML, in which every word that came from outside went through `as_text`.
      css: Style beside `page.css`.
      js: The script; the page must be whole without it.
    """
    css = own_file("jnst.report", "page.css") + css
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(css)}'; "
        f"script-src '{_digest(js)}'; base-uri 'none'; form-action 'none'"
    )
    return "\n".join([
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{as_text(title)}</title><style>{css}</style></head><body>",
        body,
        f"<script>{js}</script></body></html>",
        "",
    ])  # fmt: skip


def own_file(package: str, name: str) -> str:
    """Read a text file that lies beside a package's modules."""
    file = importlib.resources.files(package) / name
    return file.read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def as_text(value: Any) -> str:
    """Return a value as HTML that shows it and does nothing.

    Control characters, marks that turn the direction of writing, and what is no
    character at all (bytes of a file's name) are shown by their numbers.
    """
    shown = (
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in str(value)
    )
    return escape("".join(shown))


def embedded(image: np.ndarray, about: str, *, most_px: int) -> str:
    """Return an element that holds a picture.

    Args:
      image: RGB [H, W, 3]; clipped to [0, 1].
      about: What it shows, for who cannot see it.
      most_px: Longer side of what is kept; a larger picture is reduced.
    """
    height, width = image.shape[:2]
    if max(height, width) > most_px:
        image = resize_image(image, fit_shape((height, width), most_px))
    data = base64.b64encode(encode_jpeg(np.clip(image, 0, 1))).decode()
    return (
        f'<img loading="lazy" width="{width}" height="{height}" '
        f'alt="{as_text(about)}" src="data:image/jpeg;base64,{data}">'
    )
