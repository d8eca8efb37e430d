"""Losses that keep a result photographic: LapStyle's edges, Luan's matting Laplacian.

`laplacian` is a content loss for the layer "image"; `matting_laplacian` and
`l_beta_norm` are losses on the image alone, in whichever scale the recipe optimises.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jnst.base import (
    FeatureMap,
    Image,
    Scalar,
    as_statistics_dtype,
    check_one_of,
    check_positive,
    check_same_shape,
)
from jnst.losses.elementwise import absolute, power

WINDOW = 3


def edges_side(*, pool: int = 4) -> int:
    """Return the fewest pixels a side that `laplacian` takes."""
    return 3 * pool


def edges(features: FeatureMap, *, pool: int) -> Float[Array, "1 _ _"]:
    """Pool an image, sum its channels and take the discrete Laplacian.

    Args:
      features: Image or feature map [1, H, W, C], 3 `pool` a side or more.
      pool: Side and stride of the average pooling; what is left over is dropped.

    Returns:
      [1, H // pool - 2, W // pool - 2]: four times each pixel less its neighbours.

    Raises:
      ValueError: If `pool` is below 1 or the map too small.
    """
    _, height, width, channels = features.shape
    if pool < 1 or min(height, width) < 3 * pool:
        raise ValueError(
            f"laplacian needs pool of at least 1 and 3 pool pixels a side, got pool "
            f"{pool} at {height}x{width}"
        )
    rows, columns = height // pool, width // pool
    cropped = as_statistics_dtype(features)[:, : rows * pool, : columns * pool]
    # The Laplacian of a constant is 0: without it small differences keep their digits.
    cropped -= jax.lax.stop_gradient(cropped[:, :1, :1])
    blocks = cropped.reshape(1, rows, pool, columns, pool, channels)
    grey = jnp.sum(jnp.mean(blocks, axis=(2, 4)), axis=-1)
    around = grey[:, 2:, 1:-1] + grey[:, :-2, 1:-1]
    around += grey[:, 1:-1, 2:] + grey[:, 1:-1, :-2]
    return 4 * grey[:, 1:-1, 1:-1] - around


def laplacian(
    features: FeatureMap, target: FeatureMap, *, pool: int = 4, reduction: str = "sum"
) -> Scalar:
    """Compare the Laplacians of two images.

    Args:
      features: The image being optimised, [1, H, W, 3]: the layer "image", in [0, 1].
      target: The content image, of the same shape.
      pool: Side of the average pooling before; 4 and 16 in the authors' examples.
      reduction: "sum" over pixels as in the paper, or "mean" as in the code.

    Returns:
      Scalar >= 0, of degree 2; 65025 times as large for pixels in 0..255, which the
      authors' weight of 100 is for. Blind to opposite edges in two channels.

    Raises:
      ValueError: If the shapes differ, an image is smaller than 3 `pool`, or for an
        unknown reduction.

    References:
      Li et al, "Laplacian-Steered Neural Style Transfer", ACM MM 2017, eq. 3;
      askerlee/lapstyle, `lap_style.lua`. Several poolings at once are not offered.
    """
    check_same_shape("features and target", features, target)
    check_one_of("reduction of laplacian", reduction, ("sum", "mean"))
    squares = (edges(features, pool=pool) - edges(target, pool=pool)) ** 2
    return jnp.sum(squares) if reduction == "sum" else jnp.mean(squares)


def _windows(image: Image) -> list[Float[Array, "3 _ _"]]:
    """Pixels of all 3x3 windows around their mean: nine planes [3, H - 2, W - 2].

    A list, which compiles to one pass; a stacked array is six times slower on a CPU.
    """
    _, height, width, _ = image.shape
    if min(height, width) < WINDOW:
        raise ValueError(f"matting_laplacian needs 3x3 pixels, got {height}x{width}")
    rows, columns = height - WINDOW + 1, width - WINDOW + 1
    planes = jnp.moveaxis(as_statistics_dtype(image)[0], -1, 0)
    shifted = [
        planes[:, i : i + rows, j : j + columns]
        for i in range(WINDOW)
        for j in range(WINDOW)
    ]
    mean = sum(shifted) / len(shifted)
    return [pixels - mean for pixels in shifted]


def _orthonormal(columns: list[Array]) -> list[Array]:
    """Orthonormalise columns [12, h, w] by the modified Gram-Schmidt process."""
    found: list[Array] = []
    for column in columns:
        for other in found:
            column = column - other * jnp.sum(other * column, axis=0, keepdims=True)
        lengths = jnp.sqrt(jnp.sum(column**2, axis=0, keepdims=True))
        found.append(column / lengths)
    return found


def matting_bases(
    content: Image | None, *, epsilon: float = 1e-7
) -> Float[Array, "3 9 h w"]:
    """Precompute what each 3x3 window of the content says of colours affine in its own.

    With the window's centred colours D, [9, 3], the matting Laplacian's
    D (D^T D + epsilon)^-1 D^T is W W^T, where W are the first nine rows of an
    orthonormal basis of D over sqrt(epsilon) times the identity. No inverse is formed:
    in float32 that of a covariance down to 1e-8 would be noise.

    Args:
      content: Content image [1, H, W, 3] in [0, 1], 3 pixels a side or more.
      epsilon: Added to nine times the covariances, above 0.

    Returns:
      W, [3, 9, H - 2, W - 2].

    Raises:
      ValueError: Without a content image, if it is too small or `epsilon` not above 0.

    References:
      Levin et al, "A Closed-Form Solution to Natural Image Matting", PAMI 2008, eq. 12.
    """
    check_positive("epsilon", epsilon)
    if content is None:
        raise ValueError("matting_laplacian needs a content image")
    columns = []
    for channel, window in enumerate(jnp.stack(_windows(content), axis=1)):
        ridge = jnp.zeros_like(window[:3]).at[channel].set(epsilon**0.5)
        columns.append(jnp.concatenate([window, ridge]))
    # A second pass: after one, nearly parallel columns are orthogonal to 1e-3 only.
    basis = _orthonormal(_orthonormal(columns))
    return jnp.stack([column[:9] for column in basis])


def matting_laplacian(image: Image, bases: Float[Array, "3 9 _ _"]) -> Scalar:
    """Measure how far an image is from locally affine in the content's colours.

    Args:
      image: Image being optimised, [1, H, W, 3], in the recipe's pixel scale.
      bases: From the content image of the same size, `matting_bases`.

    Returns:
      The sum over colours of V^T M V, M the content's matting Laplacian: >= 0 up to
      rounding, of degree 2, so 65025 times as large for pixels in 0..255. 0 where each
      3x3 window is an affine map of the content's. In each window it is what is left
      of the centred V when its projection on the content's colours is taken off: M
      itself is never made.

    Raises:
      ValueError: If the content image was of another size.

    References:
      Luan et al, "Deep Photo Style Transfer", CVPR 2017, eq. 2, where the weight is 1e4
      for V in 0..1; luanfujun/deep-photo-styletransfer, `getLaplacian1.m`.
    """
    windows = _windows(image)
    size = windows[0].shape[1:]
    if bases.shape[2:] != size:
        raise ValueError(
            f"image and content must be of one size, got windows of {size} and "
            f"{bases.shape[2:]}"
        )
    left = sum(pixels**2 for pixels in windows)
    for basis in bases:
        pairs = zip(basis, windows, strict=True)
        left -= sum(weight[None] * pixels for weight, pixels in pairs) ** 2
    return jnp.sum(jnp.asarray(left))


def l_beta_norm(image: Image, *, beta: float = 6.0, center: float = 0.0) -> Scalar:
    """Sum the absolute pixels to a power: keeps colours from running away.

    Args:
      image: Pixels [1, H, W, 3] in any scale.
      beta: The power, above 0.
      center: Subtracted from pixels first: a grey level in the image's scale.

    Returns:
      Scalar >= 0, of degree `beta`.

    Raises:
      ValueError: If beta is not above 0.

    References:
      Mahendran & Vedaldi, CVPR 2015, section 3.1; aravindhm/deep-goggle,
      `invert_nn.m`: beta 6 at a weight of 4e-10, for pixels in 0..255 less the mean.
    """
    check_positive("beta", beta)
    return jnp.sum(power(absolute(as_statistics_dtype(image) - center), beta))
