"""Neural style transfer in JAX: real VGG19, published losses, honest numbers.

`stylize` makes a picture. `make_objective` gives what it minimises as a value, a
pytree that is called with an image and can be differentiated in any way; `init`, `step`
and `shown` optimise it, `iterate` runs it chunk by chunk, `coarse_to_fine` lists the
sizes of a run. `features` looks inside the network, `losses.compute` tries a loss on
raw arrays; `RECIPES` holds the published methods. Names are imported when first used,
so that `jnst --help` needs no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jnst.guesses import COMMANDS, did_you_mean, meant

if TYPE_CHECKING:
    from jnst import losses as losses
    from jnst import metrics as metrics
    from jnst.drivers.disagree import disagree as disagree
    from jnst.drivers.objectives import coarse_to_fine as coarse_to_fine
    from jnst.drivers.objectives import features as features
    from jnst.drivers.objectives import make_objective as make_objective
    from jnst.drivers.result import Progress as Progress
    from jnst.drivers.result import Result as Result
    from jnst.drivers.transfer import stylize as stylize
    from jnst.examining.report import examine as examine
    from jnst.keep.saving import load as load
    from jnst.keep.saving import save as save
    from jnst.loop.history import NonFiniteLossError as NonFiniteLossError
    from jnst.loop.iterate import Event as Event
    from jnst.loop.iterate import iterate as iterate
    from jnst.loop.optimizers import OPTIMIZERS as OPTIMIZERS
    from jnst.loop.state import State as State
    from jnst.loop.state import init as init
    from jnst.loop.state import shown as shown
    from jnst.loop.step import step as step
    from jnst.network.layers import BACKBONES as BACKBONES
    from jnst.objective.term import Term as Term
    from jnst.objective.value import Objective as Objective
    from jnst.program import keep_programs as keep_programs
    from jnst.recipes.recipe import Recipe as Recipe
    from jnst.recipes.table import RECIPES as RECIPES
    from jnst.studying.driver import study as study
    from jnst.studying.methods import Method as Method
    from jnst.sweeping.driver import sweep as sweep
    from jnst.watching.notebook import show_progress as show_progress
    from jnst.weights import load_weights as load_weights

__version__ = "0.1.0"

_HOMES = {
    "stylize": "drivers.transfer",
    "sweep": "sweeping.driver",
    "study": "studying.driver",
    "make_objective": "drivers.objectives",
    "init": "loop.state",
    "step": "loop.step",
    "shown": "loop.state",
    "iterate": "loop.iterate",
    "coarse_to_fine": "drivers.objectives",
    "disagree": "drivers.disagree",
    "examine": "examining.report",
    "save": "keep.saving",
    "load": "keep.saving",
    "features": "drivers.objectives",
    "show_progress": "watching.notebook",
    "load_weights": "weights",
    "keep_programs": "program",
    "losses": "losses",
    "metrics": "metrics",
    "Method": "studying.methods",
    "Term": "objective.term",
    "Recipe": "recipes.recipe",
    "Objective": "objective.value",
    "State": "loop.state",
    "Event": "loop.iterate",
    "Progress": "drivers.result",
    "Result": "drivers.result",
    "NonFiniteLossError": "loop.history",
    "RECIPES": "recipes.table",
    "OPTIMIZERS": "loop.optimizers",
    "BACKBONES": "network.layers",
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        guess = did_you_mean(meant(name, __all__, synonyms=COMMANDS))
        raise AttributeError(f"module 'jnst' has no attribute {name!r}.{guess}")
    module = importlib.import_module(f"jnst.{_HOMES[name]}")
    return module if _HOMES[name] == name else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
