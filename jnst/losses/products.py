"""Sums of outer products of feature vectors: what Gram matrices are made of.

The same sum in two forms, of which each platform gets its own. A TPU splits a lone
image into tiles before its convolutions; a matrix of all positions makes it join the
tiles again and copy the whole map, for a 1x1 convolution's kernel gradient, which is
the same sum, it does not: with it a step at 512 px on a v5e accesses a fifth fewer
bytes (`jnst bench --topology`). To choose otherwise, change `FORM_BY_PLATFORM`; a batch
takes matrices everywhere. Maps of bfloat16 are multiplied as they are, which is exact,
and summed in float32: nothing is copied to widen them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.base import HIGHEST, FeatureMap, as_statistics_dtype, matmul, statistics_dtype
from jnst.linear import linear

Matrix = Float[Array, "c c"]
Products = Float[Array, "_ _"]
Vector = Float[Array, "c"]


class Form(NamedTuple):
    """One way to compute the two products, each the transpose of the other.

    Attributes:
      products: From maps [1, H, W, C] and [1, H, W, D] to F^T G, [C, D].
      pull: From a map and a matrix S [C, D] to F S, of the map's type.
    """

    products: Callable[[FeatureMap, FeatureMap], Products]
    pull: Callable[[FeatureMap, Products], FeatureMap]


def _matrix_products(left: FeatureMap, right: FeatureMap) -> Products:
    return lax.dot_general(
        left.reshape(-1, left.shape[-1]),
        right.reshape(-1, right.shape[-1]),
        (((0,), (0,)), ((), ())),
        precision=HIGHEST,
        preferred_element_type=statistics_dtype(left),
    )


def _split_products(left: FeatureMap, right: FeatureMap) -> Products:
    return lax.dot_general(
        left,
        right,
        (((0, 1, 2), (0, 1, 2)), ((), ())),
        precision=HIGHEST,
        preferred_element_type=statistics_dtype(left),
    )


def _matrix_pull(features: FeatureMap, matrix: Products) -> FeatureMap:
    pulled = matmul(as_statistics_dtype(features), matrix[None, None])
    return pulled.astype(features.dtype)


# Kernel [1, 1, C, C]: channels stand in for the batch, the image is the window.
_KERNEL_GRADIENT = lax.ConvDimensionNumbers((3, 0, 1, 2), (3, 0, 1, 2), (2, 3, 0, 1))


def _convolution_products(left: FeatureMap, right: FeatureMap) -> Products:
    products = lax.conv_general_dilated(
        left,
        right,
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=_KERNEL_GRADIENT,
        precision=HIGHEST,
        preferred_element_type=statistics_dtype(left),
    )
    return products[0, 0]


def _convolution_pull(features: FeatureMap, matrix: Products) -> FeatureMap:
    pulled = lax.conv_general_dilated(
        as_statistics_dtype(features),
        matrix[None, None],
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=HIGHEST,
    )
    return pulled.astype(features.dtype)


FORMS: dict[str, Form] = {
    "matrix": Form(_matrix_products, _matrix_pull),
    "convolution": Form(_convolution_products, _convolution_pull),
    "split": Form(_split_products, _matrix_pull),
}
FORM_BY_PLATFORM = {"tpu": "convolution"}
"""Key of `FORMS` for a platform that is not served best by "matrix"."""
SPLIT_FORM = "split"
"""The same for a program of several devices: joined to one axis, rows and columns could
not stay apart on the devices, and each would get the whole map."""


def _others(part: str) -> dict[str, Any]:
    return {k: getattr(FORMS[form], part) for k, form in FORM_BY_PLATFORM.items()}


cross_products = linear(
    "cross_products",
    _matrix_products,
    {
        0: lambda cotangent, right: _pull(right, cotangent.T),
        1: lambda cotangent, left: _pull(left, cotangent),
    },
    platforms=_others("products"),
    several=FORMS[SPLIT_FORM].products,
)
_pull = linear(
    "pulled_products",
    _matrix_pull,
    {
        0: lambda cotangent, matrix: _pull(cotangent, matrix.T),
        1: lambda cotangent, features: cross_products(features, cotangent),
    },
    platforms=_others("pull"),
)


@jax.custom_jvp
def outer_products(features: FeatureMap) -> Matrix:
    """Sum f f^T over the feature vectors f of all positions.

    The sum is symmetric: with T = F^T dF its derivative is T + T^T, and so one product
    where differentiating F^T F as written takes two, in either mode.

    Args:
      features: Feature map [1, H, W, C].

    Returns:
      F^T F for F of shape [H W, C], in float32 for bfloat16 maps.
    """
    return cross_products(features, features)


@outer_products.defjvp
def _tangent(
    primals: tuple[FeatureMap], tangents: tuple[FeatureMap]
) -> tuple[Matrix, Matrix]:
    half = cross_products(primals[0], tangents[0])
    return outer_products(primals[0]), half + half.T


@jax.custom_jvp
def centred_products(features: FeatureMap) -> tuple[Vector, Matrix]:
    """Average the feature vectors f, and sum (f - mean) (f - mean)^T.

    Vectors are centred before they are multiplied: the difference of the sum of f f^T
    and the mean's is below float32's rounding where deviations are small. Deviations
    sum to 0, so the derivative does not go through the mean inside them.

    Args:
      features: Feature map [1, H, W, C].

    Returns:
      The mean vector [C], and the sum [C, C].
    """
    mean = jnp.mean(features, axis=(0, 1, 2))
    return mean, outer_products(features - mean[None, None, None])


@centred_products.defjvp
def _centred_tangent(
    primals: tuple[FeatureMap], tangents: tuple[FeatureMap]
) -> tuple[tuple[Vector, Matrix], tuple[Vector, Matrix]]:
    mean, products = centred_products(*primals)
    half = cross_products(primals[0] - mean[None, None, None], tangents[0])
    return (mean, products), (jnp.mean(tangents[0], axis=(0, 1, 2)), half + half.T)
