"""What somebody meant who typed a name that is none: synonyms, and the nearest name.

Nothing is imported here, so that the command line can guess before JAX is loaded.
"""

import difflib
from collections.abc import Collection

FIELDS: dict[str, str] = {
    # What others call it: what it is called here.
    "b1": "beta1",
    "b2": "beta2",
    "backbone": "weights",
    "callback": "on_progress",
    "content_image": "content",
    "epochs": "steps",
    "eps": "epsilon",
    "history_size": "memory",
    "image_size": "size_px",
    "imsize": "size_px",
    "init_image": "init",
    "initial": "init",
    "interpolation": "resize",
    "iterations": "steps",
    "iters": "steps",
    "layers": "style_layers",
    "loss": "style_loss",
    "lr": "learning_rate",
    "max_iter": "steps",
    "model": "weights",
    "momentum": "beta1",
    "n_steps": "steps",
    "network": "weights",
    "num_iterations": "steps",
    "num_steps": "steps",
    "optim": "optimizer",
    "random_seed": "seed",
    "rate": "learning_rate",
    "size": "size_px",
    "start": "init",
    "style_image": "style",
    "style_images": "style",
    "total_variation": "tv_weight",
    "tv": "tv_weight",
    "width": "size_px",
}
"""Synonyms of fields, and of arguments of `stylize`."""
ARGUMENTS = ("content", "style", "recipe", "blend", "shape", "extract")
ARGUMENTS += ("save_every", "on_progress", "on_start")
"""Arguments of `stylize` that are no fields."""
COMMANDS: dict[str, str] = {
    "benchmark": "bench",
    "convert": "weights",
    "download": "weights",
    "example": "demo",
    "fetch": "weights",
    "list": "recipes",
    "make_texture": "texture",
    "methods": "recipes",
    "models": "weights",
    "run": "stylize",
    "style": "stylize",
    "styles": "recipes",
    "stylise": "stylize",
    "synthesise": "texture",
    "synthesize": "texture",
    "transfer": "stylize",
}
"""Synonyms of commands, which are public names of Python too."""


def meant(name: str, options: Collection[str], *, synonyms: dict[str, str]) -> str:
    """Return which of `options` a name was most likely meant for; "" for none."""
    found = known_as(name, synonyms=synonyms)
    return found if found in options else nearest(found, options)


def nearest(name: str, options: Collection[str]) -> str:
    """Return which of `options` is spelt most like a name; "" for none."""
    near = difflib.get_close_matches(name, list(options), n=1)
    return near[0] if near else ""


def known_as(name: str, *, synonyms: dict[str, str]) -> str:
    """Return what a name is called here, spelt as Python has it."""
    plain = name.lower().strip("-").replace("-", "_")
    return synonyms.get(plain, plain)


def did_you_mean(found: str) -> str:
    """Ask for a name, for the end of a message; "" for none."""
    return f" Did you mean {found!r}?" if found else ""


def field_meant(name: str, fields: Collection[str]) -> str:
    """Ask for the field, or argument of `stylize`, that a name was meant for."""
    return did_you_mean(meant(name, [*fields, *ARGUMENTS], synonyms=FIELDS))
