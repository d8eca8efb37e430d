"""Sums of outer products of feature vectors: what Gram matrices are made of.

The same sum in two forms, of which each platform gets its own. A TPU splits a lone
image into tiles before its convolutions; a matrix of all positions makes it join the
tiles again and copy the whole map, for a 1x1 convolution's kernel gradient, which is
the same sum, it does not: with it a step at 512 px on a v5e accesses a fifth fewer
bytes (`jnst bench --topology`). To choose otherwise, change `FORM_BY_PLATFORM`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jnst.base import FeatureMap, as_statistics_dtype
from jnst.losses.vectors import position_vectors

Matrix = Float[Array, "c c"]


class Form(NamedTuple):
    """One way to compute the sum.

    Attributes:
      products: From a map [1, H, W, C] to F^T F, [C, C].
      pull: From a map and a symmetric matrix S to F S, of the map's shape and type.
    """

    products: Callable[[FeatureMap], Matrix]
    pull: Callable[[FeatureMap, Matrix], FeatureMap]


def _statistics_dtype(features: FeatureMap) -> Any:
    return jnp.promote_types(features.dtype, jnp.float32)


def _matrix_products(features: FeatureMap) -> Matrix:
    vectors = position_vectors(features)
    return vectors.T @ vectors


def _matrix_pull(features: FeatureMap, symmetric: Matrix) -> FeatureMap:
    pulled = position_vectors(features) @ symmetric
    return pulled.reshape(features.shape).astype(features.dtype)


# Kernel [1, 1, C, C]: channels stand in for the batch, the image is the window.
_KERNEL_GRADIENT = lax.ConvDimensionNumbers((3, 0, 1, 2), (3, 0, 1, 2), (2, 3, 0, 1))


def _convolution_products(features: FeatureMap) -> Matrix:
    products = lax.conv_general_dilated(
        features,
        features,
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=_KERNEL_GRADIENT,
        preferred_element_type=_statistics_dtype(features),
    )
    return products[0, 0]


def _convolution_pull(features: FeatureMap, symmetric: Matrix) -> FeatureMap:
    pulled = lax.conv_general_dilated(
        as_statistics_dtype(features),
        symmetric[None, None],
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return pulled.astype(features.dtype)


FORMS: dict[str, Form] = {
    "matrix": Form(_matrix_products, _matrix_pull),
    "convolution": Form(_convolution_products, _convolution_pull),
}
FORM_BY_PLATFORM = {"tpu": "convolution"}
"""Key of `FORMS` for a platform that is not served best by "matrix"."""


def _on_platform(part: str, *arguments: Array) -> Array:
    rows = {k: getattr(FORMS[form], part) for k, form in FORM_BY_PLATFORM.items()}
    default = getattr(FORMS["matrix"], part)
    return lax.platform_dependent(*arguments, default=default, **rows)


@jax.custom_vjp
def outer_products(features: FeatureMap) -> Matrix:
    """Sum f f^T over the feature vectors f of all positions.

    The sum is symmetric, and so its derivative needs one product F (S + S^T) where
    differentiating F^T F as written takes two.

    Args:
      features: Feature map [1, H, W, C].

    Returns:
      F^T F for F of shape [H W, C], in float32 for bfloat16 maps.
    """
    return _on_platform("products", features)


def _forward(features: FeatureMap) -> tuple[Matrix, FeatureMap]:
    return outer_products(features), features


def _backward(features: FeatureMap, cotangent: Matrix) -> tuple[FeatureMap]:
    return (_on_platform("pull", features, cotangent + cotangent.T),)


outer_products.defvjp(_forward, _backward)
