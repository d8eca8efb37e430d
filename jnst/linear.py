"""Linear functions that know their own transpose, and what a batch of them is.

JAX transposes what a function is written as. Where we know a better transpose (the
same algorithm with another matrix, a product that need not be taken twice) a function
becomes a primitive: value, forward and reverse mode of any order, `jit`, `vmap`, `scan`
and `checkpoint` all work, which neither `jax.custom_vjp` (no forward mode) nor
`jax.custom_derivatives.linear_call` (no batches) gives.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Function = Callable[..., jax.Array]
Axes = Sequence[int | None]
Batch = Callable[[Function, Sequence[Any], Axes], jax.Array]
"""What a batch is: from a function, its operands and the axis that each has more (None
for none) to the stacked results."""


WAYS: dict[Primitive, Mapping[str | None, Function]] = {}
"""What each primitive computes, by platform, None for all others: a jaxpr tells no more
than a primitive's name."""


def mapped(function: Function, operands: Sequence[Any], axes: Axes) -> jax.Array:
    """Take a batch by `jax.vmap` of the function as written."""
    return jax.vmap(function, in_axes=tuple(axes))(*operands)


def in_front(operands: Sequence[Any], axes: Axes, shared: Sequence[int]) -> list[Any]:
    """Bring the axis of a batch to the front, of all operands but those shared."""
    pairs = list(zip(operands, axes, strict=True))
    size = next(x.shape[axis] for x, axis in pairs if axis is not None)
    return [
        jnp.moveaxis(x, axis, 0)
        if axis is not None
        else x
        if n in shared
        else jnp.broadcast_to(x, (size, *x.shape))
        for n, (x, axis) in enumerate(pairs)
    ]


def merged(*shared: int) -> Batch:
    """Take a batch by joining its axis with the first one of all operands, N.

    Args:
      *shared: Positions of operands that have no N, such as kernels. Where one of these
        differs from member to member, they are taken one by one.
    """

    def batch(function: Function, operands: Sequence[Any], axes: Axes) -> jax.Array:
        if any(axes[n] is not None for n in shared):
            each = in_front(operands, axes, ())
            return jax.lax.map(lambda member: function(*member), tuple(each))
        each = in_front(operands, axes, shared)
        size = next(len(x) for n, x in enumerate(each) if n not in shared)
        joined = [
            x if n in shared else x.reshape(-1, *x.shape[2:])
            for n, x in enumerate(each)
        ]
        found = function(*joined)
        return found.reshape(size, -1, *found.shape[1:])

    return batch


def _lowering(way: Function, apart: Function) -> Any:
    """Lower one way for one device, another for several."""
    one, many = (mlir.lower_fun(f, multiple_results=False) for f in (way, apart))

    def lower(context: Any, *operands: Any) -> Any:
        known = context.module_context.axis_context
        return (many if getattr(known, "num_devices", 1) > 1 else one)(
            context, *operands
        )

    return lower


def linear(
    name: str,
    function: Function,
    transposes: Mapping[int, Function],
    *,
    batch: Batch = mapped,
    platforms: Mapping[str, Function] | None = None,
    several: Function | None = None,
    like: Callable[..., Any] | None = None,
) -> Function:
    """Make a primitive of a function that is linear in some of its operands.

    Args:
      name: What it is called in a jaxpr.
      function: A pure function of arrays alone.
      transposes: By position of an operand that it is linear in: from the cotangent
        and the other operands, in order, to that operand's cotangent. An operand that
        is not named here is frozen: it has no derivative.
      batch: What a batch of it is.
      platforms: By platform, another way to compute the same there.
      several: Another way where a program is for several devices, and the platform
        has none of its own.
      like: From the operands to the `ShapeDtypeStruct` of the result, where tracing the
        function for it would take long.

    Returns:
      The function.
    """
    primitive = Primitive(name)
    call = primitive.bind

    def shape(*operands: Any) -> ShapedArray:
        found = (like or functools.partial(jax.eval_shape, function))(*operands)
        return ShapedArray(found.shape, found.dtype)

    def tangent(position: int, change: Any, *operands: Any) -> Any:
        return call(*operands[:position], change, *operands[position + 1 :])

    def both(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        found = call(*primals)
        changes = [
            tangent(n, change, *primals)
            for n, change in enumerate(tangents)
            if n in transposes and type(change) is not ad.Zero
        ]
        if not changes:
            return found, ad.Zero(jax.typeof(found).to_tangent_aval())
        return found, functools.reduce(ad.add_tangents, changes)

    def transpose(cotangent: Any, *operands: Any) -> list[Any]:
        found: list[Any] = [None] * len(operands)
        for n, operand in enumerate(operands):
            if not ad.is_undefined_primal(operand):
                continue
            if type(cotangent) is ad.Zero:
                found[n] = ad.Zero(operand.aval)
            else:
                found[n] = transposes[n](cotangent, *operands[:n], *operands[n + 1 :])
        return found

    def take_batch(operands: Sequence[Any], axes: Axes) -> tuple[Any, int]:
        return batch(function if batch is mapped else call, operands, axes), 0

    jitted = jax.jit(call)

    def alone(*operands: Any) -> Any:
        with jax.disable_jit(False):  # else it would be asked for itself
            return jitted(*operands)

    primitive.def_impl(alone)
    primitive.def_abstract_eval(shape)
    ad.primitive_jvps[primitive] = both
    ad.primitive_transposes[primitive] = transpose
    batching.primitive_batchers[primitive] = take_batch
    ways: dict[str | None, Function] = {None: function}
    ways.update(platforms or {})
    WAYS[primitive] = ways
    for platform, way in ways.items():
        apart = several if several and platform is None else way
        mlir.register_lowering(primitive, _lowering(way, apart), platform=platform)
    return call
