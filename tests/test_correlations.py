"""Relatives of the Gram loss: shifts in space and in value, chains, regions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_statistics as twins
from compiled import computed
from scaling import ratios
from tiny import feature_map
from worked import PAIRS, RTOL, UT, A, B, S, U

from jnst.losses import STYLE_LOSSES, compute, correlations

pytestmark = pytest.mark.usefixtures("quick_compile")

# losses.md, section 0: a deeper layer of U and UT.
V = np.array([[[1, 0.5, 2], [0.25, 1.5, 0]]])
VT = np.array([[[0.5, 1, 1], [1.25, 0, 0.75]]])

# losses.md, B19.
MASKS_A = np.array([[[1, 1, 0], [1, 1, 0]], [[0, 0, 1], [0, 0, 1]]], np.float64)
MASKS_S = np.array([[[1, 0], [1, 1]], [[0, 1], [0, 0]]], np.float64)
SOFT_A = np.array([[[0.25, 1, 0.5], [0, 0.75, 0]]])
SOFT_S = np.array([[[1, 0.5], [0.25, 0]]])


def plain(features):
    return np.asarray(features[0], np.float64)


@pytest.mark.parametrize(
    ("name", "options", "pair", "expected"),
    [
        # losses.md, B8.
        ("shifted_gram", {}, "A,B", 0.1904093424),
        ("shifted_gram", {}, "X,Y", 0.0005368216293),
        ("shifted_gram", {"offsets": (2,)}, "X,Y", 0.001669763047),
        # The mean over offsets.
        (
            "shifted_gram",
            {"offsets": (1, 2)},
            "X,Y",
            (0.0005368216293 + 0.001669763047) / 2,
        ),
        # losses.md, B9; without a shift, Gram's scale "gatys".
        ("activation_shift_gram", {}, "A,B", 0.06420262655),
        ("activation_shift_gram", {}, "X,Y", 0.0003536512822),
        ("activation_shift_gram", {"shift": 0.0}, "A,B", 0.07010269165),
        ("activation_shift_gram", {"shift": 0.0}, "X,Y", 0.0001481285802),
    ],
)
def test_losses_equal_the_catalogue(name, options, pair, expected):
    actual = computed(name, *PAIRS[pair], **options)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize(
    ("shift", "expected"), [(0.0, 0.005413214366), (1.0, 0.01114034653)]
)
def test_the_chain_equals_the_catalogue(shift, expected):
    # losses.md, B9.
    ours, theirs = ({"relu1_1": a, "relu2_1": b} for a, b in ((U, V), (UT, VT)))
    actual = computed("chained_gram", ours, theirs, shift=shift)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize(
    ("masks", "options", "expected"),
    [
        # losses.md, B19.
        ((MASKS_A, MASKS_S), {}, 0.4943839179),
        ((MASKS_A, MASKS_S), {"scaling": "code"}, 1.977535672),
        ((SOFT_A, SOFT_S), {}, 0.05115303022),
    ],
)
def test_the_guided_gram_equals_the_catalogue(masks, options, expected):
    actual = computed("guided_gram", A, S, masks=masks, **options)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


def test_statistics_equal_the_catalogue():
    one = lambda f: jnp.asarray(f, jnp.float32)[None]  # noqa: E731
    # losses.md, B8: Gx_1(A) over H (W - 1) = 4 pairs, Gy_1(A) over (H - 1) W = 3.
    right, down = correlations.shifted_grams(one(A))[0]
    np.testing.assert_allclose(right * 4, [[4.5, 5.875], [6.625, 5.5]], rtol=1e-6)
    np.testing.assert_allclose(down * 3, [[2.625, 9.375], [5.5625, 3.9375]], rtol=1e-6)
    # losses.md, B9: G(U, V) / (2 sqrt(6) 8), the first row.
    (matrix,) = correlations.chained_grams({"relu1_1": one(U), "relu2_1": one(V)})
    row = [0.02750891801, 0.07734391440, 0.03189439769]
    np.testing.assert_allclose(matrix[0] / (2 * np.sqrt(6)), row, rtol=1e-6)
    # losses.md, B19: G_1(A).
    found = correlations.guided_grams(one(A), masks=MASKS_A).matrices[0]
    expected = [[1.703125, 1.640625], [1.640625, 2.09375]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # losses.md, D1: tile, dup C, x2 (a shift of values is not homogeneous).
        ("shifted_gram", (0.693, 1, 16)),
        ("activation_shift_gram", (1, 1, None)),
        ("guided_gram", (1, 1, 16)),  # one region: as Gatys' Gram
    ],
)
def test_losses_scale_as_the_catalogue_says(name, expected):
    found = ratios(name, A, B)
    for what, ratio in zip(("tile", "dup", "x2"), expected, strict=True):
        if ratio is not None:
            np.testing.assert_allclose(found[what], ratio, rtol=1e-3)  # 3 digits
    same = abs(found["perm"] - 1) < 1e-5
    assert same == (name != "shifted_gram")


@pytest.mark.parametrize(
    ("name", "twin", "options"),
    [
        ("shifted_gram", twins.shifted_gram, {}),
        ("shifted_gram", twins.shifted_gram, {"offsets": (1, 2)}),
        ("activation_shift_gram", twins.activation_shift_gram, {}),
        ("activation_shift_gram", twins.activation_shift_gram, {"shift": -0.3}),
    ],
)
def test_losses_match_their_twins(name, twin, options, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(7, 3, seed=2)
    fn = maybe_jit(lambda a, b: compute(name, a, b, **options))
    expected = twin(plain(ours), plain(theirs), **options)
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


def chain(height, width, seed):
    """Three layers, each half the size of the one before."""
    shapes = (
        (height, width, 2),
        (height // 2, width // 2, 3),
        (height // 4, width // 4, 4),
    )
    names = ("relu1_1", "relu2_1", "relu3_1")
    return {
        name: feature_map(*shape, seed + at)
        for at, (name, shape) in enumerate(zip(names, shapes, strict=True))
    }


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_a_chain_of_three_layers_matches_its_twin(shift, maybe_jit):
    ours, theirs = chain(8, 4, seed=1), chain(4, 12, seed=5)
    fn = maybe_jit(lambda a, b: compute("chained_gram", a, b, shift=shift))
    expected = twins.chained_gram(
        *([plain(f) for f in each.values()] for each in (ours, theirs)), shift
    )
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


def test_a_chain_follows_the_order_it_is_given_in():
    # "shallow" sorts behind "deep".
    ours, theirs = ({"shallow": a, "deep": b} for a, b in ((U, V), (UT, VT)))
    actual = compute("chained_gram", ours, theirs)
    np.testing.assert_allclose(actual, 0.005413214366, rtol=RTOL)


def test_a_deeper_layer_that_lost_a_row_to_pooling_is_enlarged_too():
    ours = {"relu1_1": feature_map(5, 7, 2), "relu2_1": feature_map(2, 3, 3)}
    theirs = {"relu1_1": feature_map(9, 6, 2, 1), "relu2_1": feature_map(4, 3, 3, 1)}
    assert float(computed("chained_gram", ours, theirs)) > 0


@pytest.mark.parametrize("scaling", ["formula", "code"])
def test_the_guided_gram_matches_its_twin(scaling, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(7, 3, seed=2)
    rng = np.random.default_rng(0)
    masks = rng.uniform(0, 1, (3, 5, 4)), rng.uniform(0, 1, (3, 7, 3))
    fn = maybe_jit(
        lambda a, b, *m: compute("guided_gram", a, b, masks=m, scaling=scaling)
    )
    expected = twins.guided_gram(plain(ours), plain(theirs), masks, scaling)
    arrays = [jnp.asarray(each, jnp.float32) for each in masks]
    np.testing.assert_allclose(fn(ours, theirs, *arrays), expected, rtol=1e-5)


@pytest.mark.parametrize("empty", ["ours", "theirs", "both", "all"])
def test_an_empty_region_is_skipped(empty):
    ours, theirs = feature_map(seed=1), feature_map(seed=2)
    masks = np.random.default_rng(0).uniform(0, 1, (2, 3, 5, 4))
    if empty in ("ours", "both"):
        masks[0, 1] = 0
    if empty in ("theirs", "both"):
        masks[1, 1] = 0
    if empty == "all":
        masks[:] = 0
    fn = jax.jit(
        jax.value_and_grad(lambda x, m: computed("guided_gram", x, theirs, masks=m))
    )
    value, gradient = fn(ours, tuple(jnp.asarray(m, jnp.float32) for m in masks))
    expected = twins.guided_gram(plain(ours), plain(theirs), masks)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()


def test_without_masks_the_guided_gram_is_gatys():
    ours, theirs = feature_map(seed=1), feature_map(6, 5, seed=2)
    gram = computed("gram", ours, theirs, scale="gatys")
    np.testing.assert_allclose(computed("guided_gram", ours, theirs), gram, rtol=1e-5)


def test_masks_of_the_image_are_resampled_to_the_layer():
    left = np.zeros((1, 16, 8))
    left[:, :, :4] = 1
    features = feature_map(8, 4, seed=1)
    small = correlations.guided_grams(features, masks=left[:, ::2, ::2])
    whole = correlations.guided_grams(features, masks=left)
    # Antialiasing leaves a soft edge one position wide.
    np.testing.assert_allclose(whole.matrices, small.matrices, rtol=0, atol=0.2)
    ones = correlations.guided_grams(features, masks=np.ones((1, 16, 8)))
    expected = correlations.guided_grams(features)
    np.testing.assert_allclose(ones.matrices, expected.matrices, rtol=1e-5, atol=1e-6)


def test_matrices_of_several_styles_blend():
    one, other = feature_map(seed=1), feature_map(seed=2)
    joined = jnp.concatenate([one, other], axis=1)
    row = STYLE_LOSSES["activation_shift_gram"]
    mixed = row.blend([row.statistic(f) for f in (one, other)], [0.5, 0.5])
    np.testing.assert_allclose(mixed, row.statistic(joined), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("offsets", [(), (0,), (2,), (1, 5)])
def test_offsets_that_do_not_fit_are_refused(offsets):
    with pytest.raises(
        ValueError, match=r"offsets of shifted_gram must be 1 to 1 .*2x3"
    ):
        compute("shifted_gram", A, B, offsets=offsets)


def test_chains_of_one_layer_or_towards_larger_ones_are_refused():
    with pytest.raises(ValueError, match="chained_gram needs two layers or more"):
        compute("chained_gram", {"relu1_1": U}, {"relu1_1": UT})
    with pytest.raises(ValueError, match="relu2_1 .* is larger than relu1_1"):
        compute(
            "chained_gram",
            {"relu1_1": V, "relu2_1": U},
            {"relu1_1": VT, "relu2_1": UT},
        )


def test_wrong_masks_and_scalings_are_refused():
    with pytest.raises(ValueError, match="unknown scaling of guided_gram 'formla'"):
        compute("guided_gram", A, S, scaling="formla")
    with pytest.raises(ValueError, match=r"masks must be \[regions, H, W\], got"):
        compute("guided_gram", A, S, masks=(MASKS_A[0], MASKS_S[0]))
    with pytest.raises(ValueError, match="same regions in both images, got 2 and 1"):
        compute("guided_gram", A, S, masks=(MASKS_A, MASKS_S[:1]))


def test_positions_are_added_up_at_their_nearest_neighbours():
    maps = np.random.default_rng(0).normal(size=(1, 7, 6, 2))
    expected = np.zeros((1, 3, 4, 2))
    for row in range(7):
        for column in range(6):  # the centre of a pixel falls into one of the smaller
            at = int((row + 0.5) / 7 * 3), int((column + 0.5) / 6 * 4)
            expected[0, *at] += maps[0, row, column]
    found = correlations._added_up(jnp.asarray(maps, jnp.float32), 3, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
