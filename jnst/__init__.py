"""Neural style transfer in JAX: real VGG19, published losses, honest numbers.

`stylize` makes a picture, `features` looks inside the network, `losses.compute` tries
a loss on raw arrays; `RECIPES` holds the published methods. Names are imported when
first used, so that `jnst --help` needs no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jnst import losses as losses
    from jnst import vgg as vgg
    from jnst.api import features as features
    from jnst.api import stylize as stylize
    from jnst.recipe import Recipe as Recipe
    from jnst.recipes import RECIPES as RECIPES
    from jnst.result import NonFiniteLossError as NonFiniteLossError
    from jnst.result import Progress as Progress
    from jnst.result import Result as Result
    from jnst.weights import load_weights as load_weights

__version__ = "0.1.0"

_HOMES = {
    "stylize": "api",
    "features": "api",
    "Recipe": "recipe",
    "RECIPES": "recipes",
    "NonFiniteLossError": "result",
    "Progress": "result",
    "Result": "result",
    "load_weights": "weights",
}
_MODULES = ("losses", "vgg")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _MODULES:
        return importlib.import_module(f"jnst.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"jnst.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'jnst' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
