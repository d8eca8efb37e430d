"""`jnst.losses.compute` as one program, kept by name and options.

Eager, every operation of a loss is compiled by itself, and every block and scan each
time anew: ten times as long. That eager and compiled values agree is tested once for
each loss (test_loss_contracts.py) and wherever `maybe_jit` stands.
"""

import functools

import jax

from jnst.losses import compute


@functools.cache
def _program(name, options):
    return jax.jit(functools.partial(compute, name, **dict(options)))


def computed(name, *arrays, masks=None, style=None, **options):
    """As `compute`, with tuples in place of lists; layers in the order of names."""
    program = _program(name, tuple(sorted(options.items())))
    given = {"masks": masks, "style": style}
    return program(*arrays, **{k: v for k, v in given.items() if v is not None})
