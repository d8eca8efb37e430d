"""Distances of feature maps: CFSD, Fréchet, Gram matrices, sliced Wasserstein.

Maps are a VGG's, of one picture, [H, W, C]. `in_standard_units` brings those of other
weights to the scale that published numbers have.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jnst.base import Params, Scalar, check_positive, check_same_shape, shown
from jnst.losses.gram import gram_matrix
from jnst.losses.pairs import block_rows, dots
from jnst.losses.transport import Gaussian, gaussian, wasserstein2
from jnst.losses.vectors import position_vectors
from jnst.metrics.rows import Map, Maps
from jnst.metrics.sorting import sliced_distance

UNSEEN_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
"""Layers that no shipped recipe looks at, which a test holds to."""
CFSD_LAYERS = ("relu3_1",)
FRECHET_LAYERS = ("relu2_2",)
"""The last before the second pooling, as the layer of Inception that SIFID takes."""
DIRECTIONS = 32
STANDARD_DEVIATIONS = (0.229, 0.224, 0.225)


def input_scale(params: Params) -> float:
    """Return how much larger a network's input is than ImageNet's standard units.

    Args:
      params: See `jnst.base.Params`.

    Returns:
      1 for torchvision's weights, 57.6 for the original VGG's, whose pixels are
      0..255. But for their biases, networks of ReLUs scale as their input does.
    """
    kernel = np.asarray(params["preprocess"]["kernel"], np.float64)
    own = abs(np.linalg.det(kernel)) ** (1 / 3)
    return float(own * np.prod(STANDARD_DEVIATIONS) ** (1 / 3))


def cfsd(result: Map, reference: Map) -> Scalar:
    """Compare how alike the places of each picture are to one another.

    Args:
      result: Map of the stylised picture, [H, W, C].
      reference: That of the content, of the same shape.

    Returns:
      Scalar >= 0: KL(content || result) of the softmax over j of f_i . f_j / C^2, added
      up over positions i. It grows with their number: only equal sizes compare.

    Raises:
      ValueError: If the shapes differ.

    References:
      Chung et al, "Style Injection in Diffusion" (StyleID), CVPR 2024, section 4;
      `evaluation/image_metrics.py`, `PatchSimi`: VGG19, relu3_1. The matrix of all
      pairs is made some rows at a time, and again for the derivative.
    """
    check_same_shape("result and reference", result, reference)
    ours, theirs = (position_vectors(x[None]) / x.shape[2] for x in (result, reference))

    def divergence(rows: tuple[jax.Array, jax.Array]) -> Scalar:
        own = jax.nn.log_softmax(dots(rows[0][None], ours)[0])
        other = jax.nn.log_softmax(dots(rows[1][None], theirs)[0])
        return jnp.sum(jnp.exp(other) * (other - own))

    size = block_rows(len(ours), len(ours))
    each = jax.lax.map(jax.checkpoint(divergence), (ours, theirs), batch_size=size)
    return jnp.sum(each)


def _sampled(features: Map) -> Gaussian:
    """Fit a Gaussian with the covariance of a sample, over M - 1."""
    found = gaussian(features[None])
    positions = features.shape[0] * features.shape[1]
    factor = positions / (positions - 1)
    root = factor**0.5
    return Gaussian(
        found.mean, factor * found.covariance, root * found.root, root * found.factor
    )


def frechet(result: Map, reference: Map) -> Scalar:
    """Compute the Fréchet distance of Gaussians fitted to two maps' positions.

    Args:
      result: Map of the result, [H, W, C].
      reference: That of the style, of any size.

    Returns:
      Scalar >= 0: |m1 - m2|^2 + tr(S1 + S2 - 2 (S2^1/2 S1 S2^1/2)^1/2), covariances
      over M - 1. Not comparable across sizes.

    Raises:
      ValueError: If a map has fewer than two positions, or the channels differ.

    References:
      Shaham et al, "SinGAN", ICCV 2019, SIFID: of Inception's second block; of a VGG's
      map it is a Fréchet distance and no SIFID. The last trace is a sum of singular
      values, see `jnst.losses.transport.wasserstein2`, where `sqrtm` of a singular
      product fails. The derivative is by the result alone.
    """
    for features in (result, reference):
        if features.shape[0] * features.shape[1] < 2:
            raise ValueError(f"frechet needs two positions, got {shown(features)}")
    check_same_shape("channels of result and reference", result[0, 0], reference[0, 0])
    reference = jax.lax.stop_gradient(reference)
    return wasserstein2(_sampled(result), _sampled(reference))


def _mean_ratio(parts: list[tuple[Scalar, Scalar]]) -> Scalar:
    """Average ratios; one of nothing to nothing is 0."""
    ratios = [part / jnp.where(whole > 0, whole, 1) for part, whole in parts]
    return jnp.mean(jnp.stack(ratios))


def gram(result: Maps, reference: Maps) -> Scalar:
    """Compare Gram matrices, each layer in units of the style's own.

    Args:
      result: {layer: map [H, W, C]} of the result.
      reference: The same of the style, of any size.

    Returns:
      Scalar >= 0, the mean over layers of |G - A|^2 / |A|^2: 0 for the style's own
      matrices, 1 for none at all.

    References:
      Ustyuzhaninov et al, "What does it take to generate natural textures?", ICLR
      2017, judge textures by Gram matrices of a VGG over those of the original; theirs
      adds all layers up before it divides.
    """
    parts = []
    for layer in result:
        ours, theirs = (gram_matrix(maps[layer][None]) for maps in (result, reference))
        parts.append((jnp.sum((ours - theirs) ** 2), jnp.sum(theirs**2)))
    return _mean_ratio(parts)


def sliced_wasserstein(
    result: Maps, reference: Maps, *, seed: int = 0, count: int = DIRECTIONS
) -> Scalar:
    """Compare distributions of feature vectors along directions that stay the same.

    Args:
      result: {layer: map [H, W, C]} of the result.
      reference: The same of the style, of any size.
      seed: Of the directions.
      count: How many of them there are, at every layer.

    Returns:
      Scalar >= 0, the mean over layers of the squared distance over the mean square of
      the style's map: 0 for the same distribution.

    Raises:
      ValueError: If `count` is not above 0.

    References:
      Heitz et al, "A Sliced Wasserstein Loss for Neural Texture Synthesis", CVPR 2021;
      see `jnst.losses.distributions`. Divided so that layers count alike (ours). The
      derivative is by the result alone.
    """
    check_positive("count of sliced_wasserstein", float(count))
    parts = []
    for layer in result:
        ours, theirs = (
            position_vectors(maps[layer][None]) for maps in (result, reference)
        )
        shape = (count, ours.shape[1])  # in float32: a seed means the same directions
        rows = jax.random.normal(jax.random.key(seed), shape, jnp.float32)
        rows = (rows / jnp.linalg.norm(rows, axis=1, keepdims=True)).astype(ours.dtype)
        distance = sliced_distance(ours, theirs, rows)
        parts.append((distance, jnp.mean(theirs**2)))
    return _mean_ratio(parts)
