"""Neural style transfer in JAX: real VGG19, published losses, honest numbers.

`stylize` makes a picture, `features` looks inside the network, `losses.compute` tries
a loss on raw arrays; `RECIPES` holds the published methods.
"""

from jnst import losses as losses
from jnst import vgg as vgg
from jnst.api import features as features
from jnst.api import stylize as stylize
from jnst.recipe import Recipe as Recipe
from jnst.recipes import RECIPES as RECIPES
from jnst.run import NonFiniteLossError as NonFiniteLossError
from jnst.run import Progress as Progress
from jnst.run import Result as Result
from jnst.weights import load_weights as load_weights

__version__ = "0.1.0"
