"""What a program would compute, read from its jaxpr without running it."""

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from jnst.linear import WAYS


def _inner(value):
    if isinstance(value, ClosedJaxpr):
        yield value.jaxpr
    elif isinstance(value, Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _inner(each)


def equations(jaxpr, inside=None):
    """Every equation with the jnst primitive it is in, None for none.

    Args:
      jaxpr: From `jax.make_jaxpr`, or part of one.
      inside: Name of the primitive that it is a part of.

    Yields:
      (equation, name), those of calls, loops, branches and of our own primitives on
      every platform included.
    """
    jaxpr = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    for equation in jaxpr.eqns:
        yield equation, inside
        for value in equation.params.values():
            for each in _inner(value):
                yield from equations(each, inside)
        for way in WAYS.get(equation.primitive, {}).values():
            avals = [x.aval for x in equation.invars]
            shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in avals]
            yield from equations(jax.make_jaxpr(way)(*shapes), equation.primitive.name)


def named(jaxpr, *names):
    """The equations of these primitives, with the jnst primitive each is in."""
    return [pair for pair in equations(jaxpr) if pair[0].primitive.name in names]
