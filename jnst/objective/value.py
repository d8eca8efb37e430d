"""The objective as a value: a pytree that is called with an image.

Its leaves are the arrays: the network's parameters, the targets, the weights. All else
is its structure, which decides what is compiled. So `jax.jit` takes an objective as an
argument and compiles nothing for new weights, or new targets of the same shapes; and
what differs between members of a batch or of a sweep is a leading axis of some leaves.
"""

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.tree_util import register_dataclass
from jaxtyping import Array, PyTree

from jnst.base import Image, Scalar, check_one_of, vdot
from jnst.objective.features import look
from jnst.objective.kinds import KINDS, Against, Losses, Part
from jnst.splitting import BATCH


class Structure(NamedTuple):
    """What a program is compiled for.

    Attributes:
      parts: The terms, in order.
      pixel_scale: See `ObjectiveFields`, as the next two.
      normalize_gradients: Whether every layer's gradient is normalised.
      diagnostics: Whether a step tells gradient norms and cosines of the terms.
      batch: Number of pictures; None for one, without a leading axis.
      batched: Names of the terms whose targets have that axis.
      mesh: Devices that a picture is split over, `jnst.splitting`; None for one device.
      tile_px: Side of the tiles by which `jnst.step` works through the image; 0 for
        the whole at once, as calls of an objective always do.
    """

    parts: tuple[Part, ...]
    pixel_scale: float = 1.0
    normalize_gradients: bool = False
    diagnostics: bool = False
    batch: int | None = None
    batched: tuple[str, ...] = ()
    mesh: Mesh | None = None
    tile_px: int = 0


@register_dataclass
@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Objective:
    """A weighted sum of terms, to be called with an image; a pytree.

    Make one with `jnst.make_objective`.

    Attributes:
      extract: Where features come from, `jnst.objective.features`.
      targets: What each term compares with, by its name.
      weights: Factor of each term, a scalar; [N] where pictures of a batch differ.
      layer_weights: Factors of the layers, of terms that have layers; the same.
      shares: Weight of each of several styles, summing to 1.
      start: What a run begins with, `jnst.loop.start.Start`; no value depends on it.
      structure: What is compiled.
      turns: What differs from step to step, `jnst.objective.turns`; only `jnst.step`
        and what is built on it looks at it. None where nothing does.
      shift: Rows and columns by which the network sees the image rolled; None for none.
    """

    extract: PyTree
    targets: PyTree
    weights: PyTree
    layer_weights: PyTree
    shares: PyTree
    start: PyTree
    structure: Structure = dataclasses.field(metadata={"static": True})
    turns: PyTree = None
    shift: PyTree = None

    def __call__(self, image: Any, key: Any = None) -> Array:
        """Compute the loss of an image.

        Args:
          image: RGB in [0, 1] (values outside are kept), [H, W, 3]; [N, H, W, 3] for a
            batch of N.
          key: PRNG key for losses that sample; `jax.random.key(0)` if absent.

        Returns:
          Scalar, or [N] for a batch.

        Raises:
          ValueError: If the image has another shape, or not that of the content.
        """
        return add_up(self.terms(image, key))

    def terms(self, image: Any, key: Any = None) -> dict[str, Array]:
        """Compute the weighted terms, whose sum is the loss; arguments as the call."""
        key = jax.random.key(0) if key is None else key
        missing = [name for name in self.names if name not in self.targets]
        if missing:
            raise ValueError(
                f"the targets of term {missing[0]!r} are too large to be kept: "
                "jnst.step computes them in tiles; a call needs tile_px=none"
            )
        found = _terms(self, as_images(image, self.structure.batch), key)
        return {name: found[name] for name in self.names}  # jit sorts them

    def with_weights(self, **weights: Any) -> "Objective":
        """Return the objective with other weights of some terms.

        Args:
          **weights: By name of a term: a number or a scalar array, tracers included;
            of a batch, one a picture will do. It replaces the weight of the recipe.

        Raises:
          ValueError: For a term that this objective does not have.
        """
        for name in weights:
            check_one_of("term of this objective", name, self.weights)
        arrays = {k: jnp.asarray(w, jnp.float32) for k, w in weights.items()}
        return dataclasses.replace(self, weights=self.weights | arrays)

    def __repr__(self) -> str:
        """Name the terms with their weights."""
        terms = ", ".join(f"{k}={_text(self.weights.get(k))}" for k in self.names)
        batch = self.structure.batch
        return f"Objective({terms}{f', batch={batch}' if batch else ''})"

    @property
    def names(self) -> list[str]:
        """Names of the terms, in order."""
        return [part.name for part in self.structure.parts]


@jax.jit
def _terms(objective: Objective, images: Array, key: Array) -> dict[str, Array]:
    """Compile the terms once, wherever an objective is called from."""
    images = images * objective.structure.pixel_scale
    return over_batch(objective, terms_at, images, key=key)


def _text(weight: Any) -> str:
    try:
        return f"{float(weight):g}"
    except (TypeError, jax.errors.JAXTypeError):  # a tracer, or several
        return "..."


def as_images(image: Any, batch: int | None) -> Array:
    """Give an image [H, W, 3] its axis of one; check the shape of a batch.

    Raises:
      ValueError: If it is no float image, or not as many as the batch has.
    """
    image = jnp.asarray(image)
    wanted = "[H, W, 3]" if batch is None else f"[{batch}, H, W, 3]"
    shape_fits = image.ndim == (3 if batch is None else 4) and image.shape[-1] == 3
    if not shape_fits or (batch is not None and len(image) != batch):
        hint = "; use jax.vmap for several" if image.ndim == 4 and not batch else ""
        raise ValueError(f"image must be {wanted}, got {list(image.shape)}{hint}")
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"image must be floats in [0, 1], got {image.dtype}")
    return image[None] if batch is None else image[:, None]


def axes_of(objective: Objective) -> Any:
    """Return which leaves have the axis of a batch, as `jax.vmap` takes it."""
    batched = objective.structure.batched
    targets = {k: 0 if k in batched else None for k in objective.targets}
    weights = {k: 0 if jnp.ndim(w) else None for k, w in objective.weights.items()}
    layers = objective.layer_weights.items()
    layer_weights = {k: 0 if jnp.ndim(w) > 1 else None for k, w in layers}
    nothing: dict[str, Any] = dict.fromkeys(("extract", "shares", "start"))
    factors = {"weights": weights, "layer_weights": layer_weights}
    turns = objective.turns
    if turns is not None:
        axes = {k: 0 if k in batched else None for k in turns.targets}
        turns = turns._replace(shifts=None, targets=axes)
    return dataclasses.replace(
        objective, targets=targets, turns=turns, **factors, **nothing
    )


def over_batch(objective: Objective, function: Any, value: Any, **more: Any) -> Any:
    """Apply a function of an objective and a value, to each member of a batch if any.

    Args:
      objective: The objective.
      function: Takes an objective without a batch, a value and `more`.
      value: An array or pytree, with the axis of the batch in every leaf.
      **more: Shared by all.
    """
    if objective.structure.batch is None:
        return function(objective, value, **more)

    def one(member: Objective, each: Any) -> Any:
        return function(member, each, **more)

    axes, name = (axes_of(objective), 0), BATCH if objective.structure.mesh else None
    return jax.vmap(one, in_axes=axes, spmd_axis_name=name)(objective, value)


def add_up(terms: dict[str, Array]) -> Array:
    """Add up terms in their order."""
    return jax.tree.reduce(jnp.add, list(terms.values()))


def layer_losses(objective: Objective, image: Image, key: Array) -> dict[str, Losses]:
    """Compute every term's losses by layer, unweighted.

    Args:
      objective: The objective, of one picture.
      image: Image in the optimiser's scale, [1, H, W, 3].
      key: PRNG key of this step.

    Returns:
      {term: one loss a layer, or one in all}.
    """
    structure = objective.structure
    pixels = image / structure.pixel_scale
    how = {"shift": objective.shift, "mesh": structure.mesh}
    view = look(objective.extract, image, pixels, structure.parts, **how)
    return losses_of(objective, view, key)


def losses_of(objective: Objective, view: Any, key: Array) -> dict[str, Losses]:
    """Compute `layer_losses` from what the terms see of an image."""
    found, structure = {}, objective.structure
    for part in structure.parts:
        target = objective.targets[part.name]
        against = Against(target, objective.shares, key, structure.normalize_gradients)
        found[part.name] = KINDS[part.kind].losses(part, view, against)
    return found


def weighed(objective: Objective, losses: dict[str, Losses]) -> dict[str, Scalar]:
    """Weigh layers and terms."""
    found = {}
    for name, values in losses.items():
        layers = objective.layer_weights.get(name)
        one = values[0]
        if layers is not None and values.shape == layers.shape:
            one = vdot(layers, values)
        found[name] = objective.weights[name] * one
    return found


def terms_at(objective: Objective, image: Image, *, key: Array) -> dict[str, Scalar]:
    """Compute the weighted terms of one picture; arguments as `layer_losses`."""
    return weighed(objective, layer_losses(objective, image, key))


def _cosine(first: Image, second: Image) -> Scalar:
    norms = jnp.linalg.norm(first) * jnp.linalg.norm(second)
    return vdot(first, second) / jnp.maximum(norms, jnp.finfo(first.dtype).tiny)


def diagnose(objective: Objective, image: Image, key: Array) -> dict[str, Scalar]:
    """Compute the norm of each term's gradient and the cosine between any two.

    Args:
      objective: The objective, of one picture.
      image: Image in the optimiser's scale, [1, H, W, 3].
      key: PRNG key of this step.

    Returns:
      {"gradient_norm_TERM": scalar >= 0, "cosine_TERM_TERM": scalar in [-1, 1]}.
    """
    terms, pull = jax.vjp(lambda x: terms_at(objective, x, key=key), image)
    zero = jax.tree.map(jnp.zeros_like, terms)
    gradients = {k: pull(zero | {k: jnp.ones_like(terms[k])})[0] for k in terms}
    found = {f"gradient_norm_{k}": jnp.linalg.norm(g) for k, g in gradients.items()}
    for one, other in itertools.combinations(objective.names, 2):
        found[f"cosine_{one}_{other}"] = _cosine(gradients[one], gradients[other])
    return found
