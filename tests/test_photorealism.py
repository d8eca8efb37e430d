"""Edges, matting Laplacian, image norm and the AdaIN target."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_matching as twins
from tiny import batch, feature_map, picture
from worked import RTOL, X8, Y8, A, B, S, X, Y

from jnst.losses import compute, photorealism

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize(
    ("pool", "reduction", "expected"),
    [
        # losses.md, B17.
        (1, "sum", 237.65625),
        (1, "mean", 6.6015625),
        (2, "sum", 3.053222656),
        (2, "mean", 0.7633056641),
    ],
)
def test_laplacian_equals_the_catalogue(pool, reduction, expected, maybe_jit):
    options = {"pool": pool, "reduction": reduction}
    fn = maybe_jit(lambda a, b: compute("laplacian", a, b, **options))
    actual = fn(jnp.asarray(X8, jnp.float32), jnp.asarray(Y8, jnp.float32))
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


def test_edges_equal_the_catalogue():
    for image, expected in (
        (X8, [[0.171875, -0.03125], [0.375, -0.4375]]),
        (Y8, [[1.796875, -0.03125], [-0.234375, -0.640625]]),
    ):
        actual = photorealism.edges(jnp.asarray(image)[None], pool=2)
        np.testing.assert_allclose(actual[0], expected, rtol=1e-6)


@pytest.mark.parametrize("pool", [1, 3, 4])
def test_laplacian_matches_its_twin(pool):
    images = picture(13, 14, 1), picture(13, 14, 2)  # a rest, past the last block
    expected = twins.laplacian(*(i.astype(np.float64) for i in images), pool)
    actual = compute("laplacian", *images, pool=pool)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_laplacian_grows_with_the_square_of_the_pixels_and_not_with_a_constant():
    value = float(compute("laplacian", X8, Y8, pool=1))
    scaled = compute("laplacian", 255 * X8, 255 * Y8, pool=1)
    np.testing.assert_allclose(scaled / value, 255**2, rtol=1e-5)
    lifted = compute("laplacian", X8 + 0.25, Y8, pool=1)
    np.testing.assert_allclose(lifted, value, rtol=1e-5)


def test_the_matting_laplacian_equals_the_catalogue(maybe_jit):
    fn = maybe_jit(lambda v, i: compute("matting_laplacian", v, i))
    actual = fn(jnp.asarray(Y, jnp.float32), jnp.asarray(X, jnp.float32))
    np.testing.assert_allclose(actual, 1.900976125, rtol=RTOL)  # losses.md, B20


def test_our_matting_matrix_is_the_catalogues():
    # The Hessian is twice M for each colour; B20 gives three of M's entries.
    with jax.enable_x64(True):
        loss = lambda v: compute("matting_laplacian", v, X)  # noqa: E731
        hessian = jax.hessian(loss)(jnp.asarray(Y)).reshape(12, 3, 12, 3)
    matrix = np.asarray(hessian[:, 0, :, 0]) / 2
    np.testing.assert_allclose(matrix, twins.matting_matrix(X), atol=1e-9)
    np.testing.assert_allclose(
        matrix[0, [0, 1, 5]], [0.4432428067, 0.1209017299, -0.2642853277], rtol=1e-7
    )
    np.testing.assert_allclose(matrix.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(np.trace(matrix), 10.0000014, rtol=1e-8)


def test_affine_maps_of_the_content_are_photographic():
    # losses.md, B20: below 1e-7, there in float64; in float32 it is about 5e-8.
    mixed = X @ np.array([[0.2, 0.5, 0.1], [0.3, 0.2, 0.6], [0.1, 0.1, 0.9]]) + 0.1
    assert abs(float(compute("matting_laplacian", mixed, X))) < 1e-7


def test_the_matting_laplacian_matches_its_twin_on_smooth_and_flat_contents():
    smooth = picture(7, 9, 1) * 0.004 + 0.5  # covariances of 1e-6, next to epsilon
    flat = np.full((7, 9, 3), 0.3, np.float32)
    grey = np.tile(picture(7, 9, 3)[..., :1], (1, 1, 3))  # of rank one
    image = picture(7, 9, 2)
    for content in (picture(7, 9, 1), smooth, flat, grey):
        actual = compute("matting_laplacian", image, content)
        expected = twins.matting(image.astype(np.float64), content.astype(np.float64))
        np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_the_matting_laplacian_of_a_smooth_photograph_is_small_but_not_noise():
    # Large windows of slow waves: what is left of an image in its own colours is 1e-4.
    rows, columns = np.mgrid[:40, :40] / 40
    content = np.stack([rows, columns, np.sin(3 * rows * columns)], axis=-1)
    image = content**1.5
    actual = compute(
        "matting_laplacian", *(i.astype(np.float32) for i in (image, content))
    )
    with jax.enable_x64(True):
        expected = compute("matting_laplacian", image, content)
    assert 0 < float(expected) < 1e-2
    np.testing.assert_allclose(actual, expected, rtol=0.02)


def test_unusable_images_are_refused():
    with pytest.raises(ValueError, match="matting_laplacian needs a content image"):
        compute("matting_laplacian", X)
    with pytest.raises(ValueError, match="needs 3x3 pixels, got 2x4"):
        compute("matting_laplacian", X[:2], X[:2])
    with pytest.raises(ValueError, match="must be of one size, got windows of"):
        compute("matting_laplacian", X, X8)
    with pytest.raises(ValueError, match="3 pool pixels a side, got pool 4 at 8x8"):
        compute("laplacian", X8, Y8)


def test_the_image_norm_is_the_sum_of_powers():
    # losses.md, B3: the sum of |x|^6, weighted 4e-10 for pixels around 0 in 0..255.
    signed = X - 0.5
    for beta in (6.0, 2.0, 0.5):
        expected = np.sum(np.abs(signed) ** beta)
        for found in (
            compute("l_beta_norm", signed, beta=beta),
            compute("l_beta_norm", X, beta=beta, center=0.5),
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="beta must be above 0, got -1.0"):
        compute("l_beta_norm", X, beta=-1.0)


def test_the_image_norm_is_of_the_sixth_power():
    image = picture(4, 5)[None]
    expected = np.sum(np.abs(np.float64(image)) ** 6)
    np.testing.assert_allclose(compute("l_beta_norm", image), expected, rtol=1e-5)


def test_the_adain_target_equals_the_catalogue():
    # losses.md, B7.
    actual = compute("adain_target", B, A, style=S)
    np.testing.assert_allclose(actual, 1.350770717, rtol=RTOL)
    target = twins.adain(A, S)
    np.testing.assert_allclose(target[0, 0], [0.8844789316, 2.347159575], rtol=1e-9)
    with pytest.raises(ValueError, match="adain_target needs the style's features"):
        compute("adain_target", B, A)


def test_the_adain_target_matches_its_twin_and_survives_one_position():
    features, content, style = (
        feature_map(*size, seed=seed)
        for seed, size in enumerate([(5, 4), (5, 4), (3, 7)])
    )
    target = twins.adain(*(np.asarray(f[0], np.float64) for f in (content, style)))
    expected = np.mean((np.asarray(features[0]) - target) ** 2)
    actual = jax.jit(lambda f, c, s: compute("adain_target", f, c, style=s))(
        features, content, style
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    single = batch(np.ones((1, 1, 3)))
    assert np.isfinite(compute("adain_target", single, single, style=single))
