"""Sorted values against sorted values: of channels, and along random directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_statistics as twins
from scaling import ratios
from tiny import feature_map
from worked import PAIRS, RTOL, A, B, S

from jnst.losses import compute

pytestmark = pytest.mark.usefixtures("quick_compile")

# losses.md, B11.
TWO = ((0.6, 0.8), (-0.8, 0.6), (1.0, 0.0))
THREE = ((0.6, 0.8, 0.0), (0.0, 0.6, -0.8), (0.0, 0.0, 1.0))
COARSE = {"reduction": "mean", "bins": 256}


def plain(features):
    return np.asarray(features[0], np.float64)


@pytest.mark.parametrize(
    ("name", "options", "pair", "expected"),
    [
        # losses.md, B10.
        ("histogram", {}, "A,B", 0.515625),
        ("histogram", {}, "A,S", 2.277777778),
        ("histogram", {}, "X,Y", 0.15234375),
        ("histogram", {"reduction": "mean"}, "A,B", 0.04296875),
        ("histogram", {"reduction": "mean"}, "A,S", 0.1898148148),
        ("histogram", {"reduction": "mean"}, "X,Y", 0.004231770833),
        ("histogram", COARSE, "A,B", 0.04341095686),
        ("histogram", COARSE, "X,Y", 0.00420361095),
        # losses.md, B11.
        ("sliced_wasserstein", {"directions": TWO}, "A,B", 0.2171180556),
        ("sliced_wasserstein", {"directions": TWO[:1]}, "A,B", 0.23),
        ("sliced_wasserstein", {"directions": TWO[1:2]}, "A,B", 0.4005208333),
        ("sliced_wasserstein", {"directions": TWO[2:]}, "A,B", 0.02083333333),
        ("sliced_wasserstein", {"directions": TWO}, "A,S", 0.228591821),
        ("sliced_wasserstein", {"directions": THREE}, "X,Y", 0.006072048611),
    ],
)
def test_losses_equal_the_catalogue(name, options, pair, expected):
    actual = compute(name, *PAIRS[pair], **options)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize(
    ("target", "match"),
    [
        # losses.md, B10: R(A), in the order of A's positions.
        (B, [[1, 2], [0.5, 1], [3, 0.375], [2, 1.25], [1.5, 0.5], [0.25, 2.25]]),
        (
            S,
            [
                [0.7916667, 2.375],
                [0.625, 0.9166667],
                [2, 0.25],
                [1.5, 1.5833333],
                [0.9583333, 0.5],
                [0.5, 3],
            ],
        ),
    ],
)
def test_the_gradient_of_the_histogram_is_twice_the_way_to_the_match(target, match):
    gradient = jax.grad(lambda x: compute("histogram", x, target))(
        jnp.asarray(A, jnp.float32)
    )
    expected = 2 * (A.reshape(6, 2) - match)
    np.testing.assert_allclose(gradient.reshape(6, 2), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        # losses.md, D1: tile, dup C, x2.
        ("histogram", {}, (4, 2, 4)),
        ("histogram", {"reduction": "mean"}, (1, 1, 4)),
        ("sliced_wasserstein", {"directions": TWO}, (1, 2, 4)),
    ],
)
def test_losses_scale_as_the_catalogue_says(name, options, expected):
    found = ratios(name, A, B, **options)
    actual = [found[what] for what in ("tile", "dup", "x2")]
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    np.testing.assert_allclose(found["perm"], 1, rtol=1e-5)


SIZES = pytest.mark.parametrize("size", [(5, 4), (7, 3), (2, 5), (10, 4)])


@SIZES
@pytest.mark.parametrize("options", [{}, {"reduction": "mean"}, COARSE], ids=str)
def test_the_histogram_matches_its_twin(options, size, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(*size, seed=2)
    fn = maybe_jit(lambda a, b: compute("histogram", a, b, **options))
    expected = twins.histogram(plain(ours), plain(theirs), **options)
    # With bins, a value that rounding moves across an edge changes its square by 1 %.
    tolerance = 1e-3 if "bins" in options else 1e-5
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=tolerance)


@SIZES
def test_sliced_wasserstein_matches_its_twin(size, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(*size, seed=2)
    fn = maybe_jit(lambda a, b: compute("sliced_wasserstein", a, b, directions=THREE))
    expected = twins.sliced_wasserstein(plain(ours), plain(theirs), np.array(THREE))
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


def test_drawn_directions_repeat_with_the_key_and_average_to_all_directions():
    fn = jax.jit(jax.vmap(lambda key: compute("sliced_wasserstein", A, S, key)))
    keys = jax.random.split(jax.random.key(0), 2000)
    found = np.asarray(fn(keys))
    np.testing.assert_array_equal(found, fn(keys))
    expected = twins.sliced_wasserstein_on_every_direction(A, S)
    error = found.std() / np.sqrt(len(found))
    assert error < 0.01 * expected  # the test can tell
    np.testing.assert_allclose(found.mean(), expected, rtol=0, atol=4 * error)


def test_as_many_directions_are_drawn_as_there_are_channels():
    # One direction of one channel is +1 or -1: the loss is that of the channel.
    one, other = A[..., :1], B[..., :1]
    actual = compute("sliced_wasserstein", one, other, jax.random.key(3))
    expected = compute("histogram", one, other, reduction="mean")
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_directions_are_made_unit_vectors():
    longer = tuple(tuple(7 * x for x in direction) for direction in TWO)
    actual = compute("sliced_wasserstein", A, B, directions=longer)
    np.testing.assert_allclose(actual, 0.2171180556, rtol=RTOL)


@pytest.mark.parametrize("shape", [(2, 2), (3, 1), (1, 5)])
def test_a_tiled_style_and_a_tiled_image_are_as_the_plain_ones(shape):
    tiled = np.tile(A, (*shape, 1))
    key = jax.random.key(0)
    for pair in ((tiled, A), (A, tiled)):
        actual = compute("sliced_wasserstein", *pair, key)
        np.testing.assert_allclose(actual, 0, rtol=0, atol=1e-10)


def test_a_constant_style_channel_matches_itself_with_bins():
    flat = np.full_like(B, 0.5)
    value, gradient = jax.value_and_grad(
        lambda x: compute("histogram", x, flat, bins=256)
    )(jnp.asarray(A, jnp.float32))
    np.testing.assert_allclose(value, np.sum((A - 0.5) ** 2), rtol=1e-5)
    np.testing.assert_allclose(gradient, 2 * (A - 0.5), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("histogram", {"reduction": "men"}, "unknown reduction of histogram 'men'"),
        ("histogram", {"bins": -1}, "bins of histogram must be at least 0, got -1"),
        ("sliced_wasserstein", {}, "pass key, or directions"),
        (
            "sliced_wasserstein",
            {"directions": THREE},
            r"must be \[K, 2\] for 2 channels",
        ),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        compute(name, A, B, **options)
