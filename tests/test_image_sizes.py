"""Sizes of images and resizing."""

import jax
import numpy as np
import pytest
from pictures import image_array

from jnst.image import RESIZE_METHODS, fit_shape, resize_image


@pytest.mark.parametrize(
    ("shape", "size_px", "options", "expected"),
    [
        ((300, 451), 512, {}, (341, 512)),  # 340.6
        ((451, 300), 512, {"side": "longer"}, (512, 341)),
        ((300, 451), 512, {"side": "shorter"}, (512, 770)),  # 769.7
        ((300, 451), 150, {"side": "height"}, (150, 226)),  # 225.5, to even
        ((300, 451), 512, {"enlarge": False}, (300, 451)),
        ((300, 451), 100, {"enlarge": False}, (67, 100)),  # 66.5, from 66.52
        ((300, 451), 400, {"side": "shorter", "enlarge": False}, (300, 451)),
        ((300, 451), 512, {"aspect": (1, 1)}, (512, 512)),
        ((300, 451), 512, {"aspect": (400, 200)}, (512, 256)),
        ((300, 451), 512, {"aspect": (400, 200), "enlarge": False}, (300, 150)),
        ((300, 451), 512, {"aspect": (1.0, 1.5), "side": "height"}, (512, 768)),
        ((1, 5000), 100, {}, (1, 100)),
        ((7, 7), 1, {}, (1, 1)),
    ],
)
def test_fit_shape_gives_the_size_asked_for(shape, size_px, options, expected):
    assert fit_shape(shape, size_px, **options) == expected


@pytest.mark.parametrize("side", ["longer", "shorter", "height"])
def test_fit_shape_hits_its_side_exactly_at_any_size(side):
    measure = {"longer": max, "shorter": min, "height": lambda shape: shape[0]}[side]
    for size_px in range(1, 700, 13):
        for shape in ((300, 451), (451, 300), (333, 333), (997, 13)):
            assert measure(fit_shape(shape, size_px, side=side)) == size_px


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (((4, 4), 8), {"side": "longest"}, "unknown side 'longest'. Did you mean"),
        (((4, 4), 0), {}, "size_px must be above 0"),
        (((0, 4), 8), {}, "height must be above 0"),
        (((4, 4), 8), {"aspect": (1, -1)}, "aspect must be above 0"),
    ],
)
def test_fit_shape_refuses_what_makes_no_sense(arguments, options, expected):
    with pytest.raises(ValueError, match=expected):
        fit_shape(*arguments, **options)


@pytest.mark.parametrize("method", RESIZE_METHODS)
@pytest.mark.parametrize("shape", [(3, 4), (6, 8), (13, 5), (1, 1), (24, 32)])
def test_resizing_keeps_range_type_and_constants(method, shape):
    image = image_array() * 4 - 2
    before = image.copy()
    resized = resize_image(image, shape, method=method)
    assert resized.shape == (*shape, 3) and resized.dtype == np.float32
    assert image.min() <= resized.min() and resized.max() <= image.max()
    np.testing.assert_array_equal(image, before)
    flat = np.full((6, 8, 3), 0.123456, np.float32)
    resized = resize_image(flat, shape, method=method)
    np.testing.assert_allclose(resized, 0.123456, rtol=1e-6)


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_the_same_size_is_an_equal_copy(method):
    image = image_array()
    same = resize_image(image, (6, 8), method=method)
    np.testing.assert_array_equal(same, image)
    assert not np.shares_memory(same, image)


@pytest.mark.parametrize("shape", [(3, 4), (5, 11), (13, 5), (17, 31)])
def test_bilinear_point_matches_jax_without_antialiasing(shape):
    image = image_array()
    expected = jax.image.resize(image, (*shape, 3), "linear", antialias=False)
    actual = resize_image(image, shape, method="bilinear_point")
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "twin"), [("bilinear", "linear"), ("lanczos", "lanczos3")]
)
def test_filters_match_jax_with_antialiasing(method, twin):
    image = image_array(24, 32)
    for shape in ((6, 8), (10, 20), (48, 40)):
        expected = jax.image.resize(image, (*shape, 3), twin, antialias=True)
        expected = np.clip(expected, image.min(), image.max())
        actual = resize_image(image, shape, method=method)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_halving_by_bilinear_point_averages_four_pixels():
    image = image_array()
    expected = image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]
    actual = resize_image(image, (3, 4), method="bilinear_point")
    np.testing.assert_allclose(actual, expected / 4, rtol=0, atol=1e-6)


def test_nearest_takes_pixels_as_they_are():
    image = image_array()
    actual = resize_image(image, (12, 16), method="nearest")
    np.testing.assert_array_equal(actual, image.repeat(2, 0).repeat(2, 1))


def test_resizing_does_not_quantise_to_eight_bits():
    ramp = np.linspace(0, 1e-3, 64, dtype=np.float32)[None, :, None]
    ramp = np.repeat(np.repeat(ramp, 4, 0), 3, 2)
    assert len(np.unique(resize_image(ramp, (4, 128)))) > 100


def test_resizing_takes_any_number_of_channels():
    mask = image_array()[..., :1]
    assert resize_image(mask, (3, 3)).shape == (3, 3, 1)


def test_an_unknown_method_or_size_is_refused():
    with pytest.raises(ValueError, match="unknown resize method 'bicubik'. Did you"):
        resize_image(image_array(), (3, 3), method="bicubik")
    with pytest.raises(ValueError, match="height and width must be above 0"):
        resize_image(image_array(), (0, 3))
