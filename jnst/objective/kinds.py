"""What each kind of term compares: its targets, computed once a size, and its losses.

Everything here is pure. To add a kind of term, write the two functions and add a row to
`KINDS`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import Features, Options, Scalar, Statistic, matmul, shown
from jnst.losses.gradients import normalise_gradient
from jnst.losses.rows import with_options
from jnst.objective.features import View

Losses = Float[Array, "_"]
"""One loss a layer, or one in all where layers are not told apart; unweighted."""
Shares = Float[Array, "_"]


class Part(NamedTuple):
    """A term as it is compiled: no number that a program can take as an array.

    Attributes:
      name: Its name.
      kind: Key of `KINDS`.
      loss: Name of the loss, for messages.
      row: Row of the table that the loss is from, or the user's function.
      layers: See `Term`, as all that follows.
      options: Options of the loss.
      pyramid: Levels of the pyramid.
      blend: How several styles join.
    """

    name: str
    kind: str
    loss: str
    row: Any
    layers: tuple[str, ...]
    options: Options
    pyramid: int
    blend: str


class Against(NamedTuple):
    """What the losses of a term are held against.

    Attributes:
      target: What the term's kind made of the pictures.
      shares: Weight of each of several styles.
      key: PRNG key of this step.
      normalise: Whether every layer's gradient is divided by its L1 norm.
    """

    target: Any
    shares: Shares
    key: Array
    normalise: bool


def _chosen(features: Features, part: Part) -> Features:
    return {layer: features[layer] for layer in part.layers}


def _checked(part: Part, loss: Callable[..., Any]) -> Callable[..., Scalar]:
    """Let a loss raise `ValueError` with its name if it gives no scalar."""

    def scalar(*arguments: Any, **options: Any) -> Scalar:
        value = loss(*arguments, **options)
        found = jnp.asarray(value) if isinstance(value, float) else value
        shape, dtype = (getattr(found, name, None) for name in ("shape", "dtype"))
        if shape != () or not jnp.issubdtype(dtype or int, jnp.floating):
            given = f"a {dtype}" if shape == () else shown(found)
            raise ValueError(
                f"loss {part.loss!r} of term {part.name!r} must be a scalar, got "
                f"{given}"
            )
        return jnp.asarray(found)

    return scalar


def _by_layer(
    part: Part, loss: Callable[..., Any], features: Features, target: Any
) -> Losses:
    """Compute the loss of each layer, or one in all for a joint loss."""
    if getattr(part.row, "joint", False):
        return jnp.stack([loss(_chosen(features, part), target)])
    return jnp.stack([loss(features[k], target[k]) for k in part.layers])


def _over_levels(values: Sequence[Losses]) -> Losses:
    return values[0] if len(values) == 1 else jnp.mean(jnp.stack(values), axis=0)


def statistics(part: Part, features: Features) -> Statistic:
    """Summarise features as a style loss does, by layer unless joint."""
    statistic = with_options(part.row.statistic, dict(part.options))
    chosen = _chosen(features, part)
    if part.row.joint:
        return statistic(chosen)
    return {layer: statistic(found) for layer, found in chosen.items()}


def mixed(part: Part, styles: tuple[Statistic, ...], shares: Shares) -> Any:
    """Join several styles' statistics into one, where the term says so."""
    if part.blend != "statistics" or len(styles) == 1:
        return styles
    mix = with_options(part.row.blend, dict(part.options))
    weights = list(shares)
    if part.row.joint:
        return (mix(styles, weights),)
    return ({k: mix([each[k] for each in styles], weights) for k in part.layers},)


def _style_targets(
    part: Part, content: View | None, styles: Sequence[View], shares: Shares
) -> tuple[Any, ...]:
    """Statistics of every style, at each level of the pyramid."""
    levels = zip(*(style.levels[: part.pyramid] for style in styles), strict=True)
    return tuple(
        mixed(part, tuple(statistics(part, each) for each in level), shares)
        for level in levels
    )


def _style_losses(part: Part, view: View, against: Against) -> Losses:
    found = []
    levels = zip(view.levels, view.sizes, against.target, strict=False)
    for features, size, styles in levels:
        options = dict(part.options) | {"image_size": size}
        options |= {"key": against.key} if part.row.keyed else {}
        statistic = with_options(part.row.statistic, options)
        distance = with_options(part.row.distance, options)

        def loss(x: Any, known: Any, statistic=statistic, distance=distance) -> Any:
            return distance(statistic(x), known)

        loss = _checked(part, loss)
        loss = normalise_gradient(loss) if against.normalise else loss
        each = [_by_layer(part, loss, features, style) for style in styles]
        found.append(
            each[0] if len(each) == 1 else matmul(against.shares, jnp.stack(each))
        )
    return _over_levels(found)


def _content_targets(
    part: Part, content: View | None, styles: Sequence[View], shares: Shares
) -> tuple[Any, ...]:
    """What the content's features are made into, at each level of the pyramid."""
    del shares
    if content is None:
        raise ValueError(f"term {part.name!r} needs a content image")
    target = with_options(part.row.target, dict(part.options))
    style = styles[0].levels if part.row.needs_style else None
    return tuple(
        {k: target(level[k], style[n][k] if style else None) for k in part.layers}
        for n, level in enumerate(content.levels[: part.pyramid])
    )


def _content_losses(part: Part, view: View, against: Against) -> Losses:
    options = dict(part.options) | ({"key": against.key} if part.row.keyed else {})
    loss = _checked(part, with_options(part.row.distance, options))
    loss = normalise_gradient(loss) if against.normalise else loss
    levels = zip(view.levels, against.target, strict=False)
    return _over_levels([_by_layer(part, loss, *level) for level in levels])


def _image_targets(
    part: Part, content: View | None, styles: Sequence[View], shares: Shares
) -> Any:
    """Constants of a loss on pixels; nothing where the image alone will do."""
    del styles, shares
    if part.row.constants is None:
        return None
    if content is None:
        raise ValueError(f"term {part.name!r} needs a content image")
    return with_options(part.row.constants, dict(part.options))(content.pixels)


def _image_losses(part: Part, view: View, against: Against) -> Losses:
    value = _checked(part, with_options(part.row.value, dict(part.options)))
    constants = () if part.row.constants is None else (against.target,)
    return jnp.stack([value(view.image, *constants)])


def _no_targets(
    part: Part, content: View | None, styles: Sequence[View], shares: Shares
) -> None:
    del part, content, styles, shares


def _own_losses(part: Part, view: View, against: Against) -> Losses:
    loss = _checked(part, part.row)
    loss = normalise_gradient(loss) if against.normalise else loss
    levels = view.levels[: part.pyramid]
    return _over_levels([loss(_chosen(level, part)).reshape(1) for level in levels])


class Kind(NamedTuple):
    """A kind of term.

    Attributes:
      targets: From a part, what it sees of the content (None for a texture) and of the
        styles, and the styles' shares, to what it compares with.
      losses: From a part, what it sees of the image and what it is held against, to
        `Losses`.
    """

    targets: Callable[..., Any]
    losses: Callable[..., Losses]


KINDS: dict[str, Kind] = {
    "style": Kind(_style_targets, _style_losses),
    "content": Kind(_content_targets, _content_losses),
    "image": Kind(_image_targets, _image_losses),
    "own": Kind(_no_targets, _own_losses),
}
"""By what `jnst.objective.term.kind_of` says of a loss."""
