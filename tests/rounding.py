"""An accelerator's products on a CPU: factors rounded to bfloat16 unless exact ones.

A TPU left to itself multiplies float32 in one pass: both factors are rounded to
bfloat16, products and sums are not. Here every product that is not of the highest
precision does the same, those that derivatives and our own primitives make included.
"""

import contextlib

import jax
import jax.numpy as jnp
from jax.extend.core.primitives import conv_general_dilated_p, dot_general_p

from jnst.linear import linear

EXACT = (jax.lax.Precision.HIGHEST,) * 2
PRODUCTS = {
    "dot_general": dot_general_p,
    "conv_general_dilated": conv_general_dilated_p,
}


# A product rounds its factors and no more: transposed, rounding changes nothing.
_rounded = linear(
    "rounded",
    lambda x: jax.lax.reduce_precision(x, 8, 7),
    {0: lambda cotangent: cotangent},
)


def rounded(x):
    """Round float32 to bfloat16; other types stay."""
    return _rounded(x) if x.dtype == jnp.float32 else x


@contextlib.contextmanager
def products_rounded(*names):
    """Round factors of these `PRODUCTS`, of all by default, while programs are made.

    Programs made before and after know nothing of it: what JAX keeps is thrown away.
    """

    def rounding(bind):
        def call(left, right, **options):
            if options["precision"] != EXACT:
                left, right = rounded(left), rounded(right)
            return bind(left, right, **options)

        return call

    chosen = [PRODUCTS[name] for name in names or PRODUCTS]
    jax.clear_caches()
    for product in chosen:
        product.bind = rounding(product.bind)
    try:
        yield
    finally:
        for product in chosen:
            del product.bind
        jax.clear_caches()
