"""Gram and covariance losses: worked values, twins, sizes, several styles."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references
from tiny import feature_map
from worked import PAIRS, RTOL, A, B, S, X, Y

from jnst.losses import STYLE_LOSSES, compute, gram

pytestmark = pytest.mark.usefixtures("quick_compile")

SEED002 = json.loads(
    (Path(__file__).parent / "data" / "seed002_inputs.json").read_text()
)


def seed002(name):
    entry = SEED002[name]
    return np.asarray(entry["values"], np.float32).reshape(entry["shape"])


# losses.md, section 1, the columns "A,B" and "X,Y"; the scale "image" at 3x4 pixels.
SECTION_1 = {
    "hw": (0.2804107666, 0.0005925143207),
    "image": (0.007789187961, 0.0001481285802),
    "gatys": (0.07010269165, 0.0001481285802),
    "chw_sum": (0.2804107666, 0.0005925143207),
    "chw": (0.07010269165, 6.583492452e-05),
    "mmd": (1.121643066, 0.005332628886),
    "raw": (10.0947876, 0.08532206217),
}


def options_of(scale):
    return {"scale": scale} | ({"image_size": (3, 4)} if scale == "image" else {})


def test_every_scale_has_a_worked_value():
    assert set(SECTION_1) == set(gram.SCALES)


@pytest.mark.parametrize("scale", SECTION_1)
@pytest.mark.parametrize("column", [0, 1], ids=["A,B", "X,Y"])
def test_gram_equals_section_1_under_every_scale(scale, column):
    generated, target = ((A, B), (X, Y))[column]
    actual = compute("gram", generated, target, **options_of(scale))
    np.testing.assert_allclose(actual, SECTION_1[scale][column], rtol=RTOL)


@pytest.mark.parametrize(
    ("name", "options", "pair", "expected"),
    [
        # losses.md, end of section 1: maps of unequal size.
        ("gram", {}, "A,S", 0.5049099392),
        ("gram", {"scale": "chw"}, "A,S", 0.1262274848),
        ("gram", {"scale": "mmd"}, "A,S", 2.019639757),
        ("covariance", {}, "A,S", 0.2321722714),
        # Section 1, the rows that are no multiple of the Gram difference.
        ("covariance", {}, "A,B", 0.2608997204),
        ("covariance", {}, "X,Y", 0.0001628020336),
        ("scaled_gram", {}, "A,B", 0.5860012724),
        ("scaled_gram", {}, "X,Y", 0.02849014793),
        ("scaled_gram", {}, "A,S", 0.8694413266),  # B5
        # A2, A3 and A4.
        ("gram", {"scale": "image", "image_size": (3, 4)}, "U,UT", 2.329732165e-05),
        ("gram", {"scale": "image", "image_size": (400, 600)}, "A,B", 1.94729699e-11),
        ("gram", {"scale": "gatys"}, "U,UT", 0.0001179426908),
        ("gram", {}, "U,UT", 0.0004717707634),
    ],
)
def test_losses_equal_the_catalogue(name, options, pair, expected):
    actual = compute(name, *PAIRS[pair], **options)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


def test_statistics_equal_the_catalogue():
    # losses.md, section 0: G(A), G(S) and cov(A), cov(S).
    for features, raw in (
        (A, [[15.8125, 6.5625], [6.5625, 14.625]]),
        (S, [[5.8125, 5.1875], [5.1875, 12.6875]]),
    ):
        actual = gram.gram_matrix(jnp.asarray(features, jnp.float32)[None])
        positions = features.shape[0] * features.shape[1]
        np.testing.assert_allclose(actual * positions, raw, rtol=1e-6)
    expected = [[0.96701389, -0.62847222], [-0.62847222, 0.65972222]]
    actual = gram.covariance(jnp.asarray(A, jnp.float32)[None])
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_sums_over_layers_equal_the_catalogue():
    pairs = PAIRS["A,B"], PAIRS["U,UT"]
    plain = sum(float(compute("gram", *pair)) for pair in pairs)
    np.testing.assert_allclose(plain, 0.2808825374, rtol=RTOL)  # A1
    course = 10 * float(compute("quarter_mean", A, B)) + 40 * sum(
        0.2 * float(compute("gram", *pair, scale="gatys")) for pair in pairs
    )
    np.testing.assert_allclose(course, 3.768145283, rtol=RTOL)  # A3
    eager = float(compute("mean_squared", A, B)) + 1e1 * plain / 20  # 1/2 each
    np.testing.assert_allclose(eager, 1.282552083 + 0.2808825374 / 2, rtol=RTOL)


def test_gram_matrix_matches_the_definition(maybe_jit):
    features = feature_map(seed=0)  # [1, 5, 4, 3]
    actual = maybe_jit(gram.gram_matrix)(features)
    expected = references.raw_gram(np.asarray(features[0], np.float64)) / 20
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", SECTION_1)
def test_every_scale_matches_its_twin(scale, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(seed=2)
    options = options_of(scale)
    fn = maybe_jit(lambda a, b: compute("gram", a, b, **options))
    twin = references.gram_loss(
        *(np.asarray(f[0], np.float64) for f in (ours, theirs)), **options
    )
    np.testing.assert_allclose(fn(ours, theirs), twin, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("scaled_gram", references.scaled_gram_loss),
        ("covariance", references.covariance_loss),
    ],
)
def test_other_second_order_losses_match_their_twins(name, twin, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(7, 3, seed=2)
    fn = maybe_jit(lambda a, b: compute(name, a, b))
    expected = twin(*(np.asarray(f[0], np.float64) for f in (ours, theirs)))
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


def test_the_gradient_of_the_gatys_scale_is_the_papers():
    # Gatys et al, CVPR 2016, eq. 6 without the ReLU: f (G - A) / (C^2 M^2).
    f = A.reshape(6, 2)
    difference = references.raw_gram(A) - references.raw_gram(B)
    expected = (f @ difference / (2**2 * 6**2)).reshape(A.shape)
    loss = lambda x: compute("gram", x, B, scale="gatys")  # noqa: E731
    actual = jax.grad(loss)(jnp.asarray(A, jnp.float32))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_source_002_prints_these_style_values():
    # a_S is a_C; the notebook prints J_style_layer = 9.19028.
    actual = compute("gram", seed002("a_G"), seed002("a_C"), scale="gatys")
    np.testing.assert_allclose(actual, 9.19028, rtol=0, atol=5e-6)
    np.testing.assert_allclose(actual, 9.190278329, rtol=1e-6)  # NumPy, the catalogue


def test_source_002_prints_this_gram_matrix():
    # Its A is unrolled, [n_C, n_H n_W] = [3, 2]: as a feature map [1, 1, 2, 3].
    features = jnp.asarray(seed002("A").T.reshape(1, 1, 2, 3))
    actual = gram.gram_matrix(features) * 2
    expected = SEED002["gram"]["expected"]
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_source_002_prints_this_total_cost():
    # np.random.seed(3): J_content, J_style = two randn(); alpha 10, beta 40.
    entry = SEED002["total_cost"]
    rng = np.random.RandomState(3)
    content, style = rng.randn(), rng.randn()
    assert (content, style) == (entry["J_content"], entry["J_style"])
    np.testing.assert_allclose(10 * content + 40 * style, 35.34667875478276, rtol=1e-15)


@pytest.mark.parametrize(
    ("scale", "ratio"), [("hw", 1), ("gatys", 1), ("raw", 16), ("chw", 1), ("mmd", 1)]
)
def test_tiling_both_maps_scales_as_measured(scale, ratio):
    # losses.md, D1, the column "tile"; at a fixed image size "image" grows as "raw".
    tiled = [np.tile(f, (2, 2, 1)) for f in (A, B)]
    before, after = (compute("gram", *f, scale=scale) for f in ((A, B), tiled))
    np.testing.assert_allclose(after / before, ratio, rtol=1e-5)


def test_blended_grams_are_weighted_means():
    rows = [STYLE_LOSSES["gram"].statistic(feature_map(seed=s)) for s in (1, 2)]
    mixed = gram.blend_grams(rows, [0.25, 0.75])
    expected = 0.25 * np.asarray(rows[0].matrix) + 0.75 * np.asarray(rows[1].matrix)
    np.testing.assert_allclose(mixed.matrix, expected, rtol=1e-6)
    np.testing.assert_allclose(mixed.positions, 20, rtol=1e-6)
