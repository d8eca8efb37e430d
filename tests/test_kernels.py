"""Maximum mean discrepancies: worked values, twins, blocks, sampling, estimators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_statistics as twins
from compiled import computed
from scaling import ratios
from tiny import feature_map
from worked import PAIRS, RTOL, A, B

from jnst.losses import STYLE_LOSSES, compute, kernels

pytestmark = pytest.mark.usefixtures("quick_compile")


def plain(features):
    return np.asarray(features[0], np.float64)


@pytest.mark.parametrize(
    ("name", "options", "pair", "expected"),
    [
        # losses.md, B6.
        ("mmd_linear", {}, "A,B", 0.01779513889),
        ("mmd_linear", {}, "A,S", 0.06336805556),
        ("mmd_linear", {}, "X,Y", 0.003987630208),
        ("mmd_polynomial", {}, "A,B", 1.121643066),
        ("mmd_polynomial", {}, "A,S", 2.019639757),
        ("mmd_polynomial", {}, "X,Y", 0.005332628886),
        ("mmd_polynomial", {"c": 1.0}, "A,S", 2.146375868),
        ("mmd_gaussian", {"sigma2": 1.0}, "A,B", 0.06930466599),
        ("mmd_gaussian", {"sigma2": 1.0}, "A,S", 0.07829934743),
        ("mmd_gaussian", {"sigma2": 1.0}, "X,Y", 0.004209731392),
        ("mmd_gaussian", {"estimator": "linear"}, "A,B", -0.3713682588),
        ("mmd_gaussian", {"estimator": "linear"}, "X,Y", -1.52373967),
    ],
)
def test_discrepancies_equal_the_catalogue(name, options, pair, expected):
    actual = computed(name, *PAIRS[pair], **options)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize(
    ("pair", "gamma"), [("A,B", 0.3059760956), ("X,Y", 2.401876466)]
)
def test_the_bandwidth_of_the_linear_estimator_is_the_catalogues(pair, gamma):
    # losses.md, B6: gamma is 1 / (2 sigma2).
    by_itself = computed("mmd_gaussian", *PAIRS[pair], estimator="linear")
    told = computed(
        "mmd_gaussian", *PAIRS[pair], estimator="linear", sigma2=1 / (2 * gamma)
    )
    np.testing.assert_allclose(told, by_itself, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        # losses.md, D1: tile, dup C, x2.
        ("mmd_linear", {}, (1, 2, 4)),
        ("mmd_polynomial", {}, (1, 4, 16)),
        ("mmd_gaussian", {"sigma2": 1.0}, (1, 1.39, 1.99)),
    ],
)
def test_discrepancies_scale_as_the_catalogue_says(name, options, expected):
    found = ratios(name, A, B, **options)
    actual = [found[what] for what in ("tile", "dup", "x2")]
    np.testing.assert_allclose(actual, expected, rtol=4e-3)  # printed to 3 digits
    np.testing.assert_allclose(found["perm"], 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "twin", "options"),
    [
        ("mmd_linear", twins.mmd_linear, {}),
        ("mmd_polynomial", twins.mmd_polynomial, {}),
        ("mmd_polynomial", twins.mmd_polynomial, {"c": 0.7}),
        ("mmd_gaussian", twins.mmd_gaussian, {}),
        ("mmd_gaussian", twins.mmd_gaussian, {"multiplier": 3.0}),
        ("mmd_gaussian", twins.mmd_gaussian, {"sigma2": 0.5}),
    ],
)
def test_discrepancies_match_their_twins(name, twin, options, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(7, 3, seed=2)
    fn = maybe_jit(lambda a, b: compute(name, a, b, **options))
    expected = twin(plain(ours), plain(theirs), **options)
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


@pytest.mark.parametrize("size", [(5, 4), (7, 3)], ids=["equal", "unequal sizes"])
def test_the_linear_estimator_matches_its_twin(size, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(*size, seed=2)
    fn = maybe_jit(
        lambda a, b: compute("mmd_gaussian", a, b, estimator="linear", multiplier=2.0)
    )
    expected = twins.mmd_gaussian_linear_time(plain(ours), plain(theirs), 2.0)
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


def test_the_polynomial_without_offset_is_grams_scale_mmd():
    ours, theirs = feature_map(seed=1), feature_map(6, 5, seed=2)
    gram = computed("gram", ours, theirs, scale="mmd")
    np.testing.assert_allclose(
        computed("mmd_polynomial", ours, theirs), gram, rtol=1e-6
    )


def test_blocks_change_neither_value_nor_gradient(monkeypatch):
    ours, theirs = feature_map(seed=1), feature_map(6, 5, seed=2)
    found = []
    # 20 rows all at once, and in blocks of 1, 1 and 2, 3 and 5 (the last not full).
    for entries in (kernels.BLOCK_ENTRIES, 1, 40, 100, 1000):
        monkeypatch.setattr(kernels, "BLOCK_ENTRIES", entries)
        fn = jax.value_and_grad(lambda x: compute("mmd_gaussian", x, theirs))
        found.append(jax.jit(fn)(ours))
    for value, gradient in found[1:]:
        np.testing.assert_allclose(value, found[0][0], rtol=1e-5)
        np.testing.assert_allclose(gradient, found[0][1], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("samples", [0, 20, 2048])
def test_enough_samples_are_all_positions(samples):
    ours, theirs = feature_map(seed=1), feature_map(seed=2)
    key = jax.random.key(0)
    actual = computed("mmd_gaussian", ours, theirs, key, samples=samples)
    expected = twins.mmd_gaussian(plain(ours), plain(theirs))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_without_a_key_the_middle_of_every_run_of_positions_is_compared():
    ours, theirs = feature_map(6, 4, seed=1), feature_map(6, 2, seed=2)
    actual = computed("mmd_gaussian", ours, theirs, samples=4)
    # Runs of 6 and of 3 positions.
    chosen = [
        plain(f).reshape(-1, 1, 3)[at]
        for f, at in ((ours, [3, 9, 15, 21]), (theirs, [1, 4, 7, 10]))
    ]
    np.testing.assert_allclose(actual, twins.mmd_gaussian(*chosen), rtol=1e-5)


def test_sampled_values_repeat_with_the_key_and_average_to_the_exact_one():
    ours, theirs = feature_map(16, 16, seed=1), feature_map(12, 20, seed=2) + 0.5
    fn = jax.jit(
        jax.vmap(
            lambda key: computed(
                "mmd_gaussian", ours, theirs, key, samples=64, sigma2=2.0
            )
        )
    )
    keys = jax.random.split(jax.random.key(0), 200)
    found = np.asarray(fn(keys))
    np.testing.assert_array_equal(found, fn(keys))
    assert found.std() > 0
    exact = twins.mmd_gaussian(plain(ours), plain(theirs), sigma2=2.0)
    # Four standard errors, and the bias of at most 2 / samples that is documented.
    error = 4 * found.std() / np.sqrt(len(found))
    assert exact - error <= found.mean() <= exact + error + 2 / 64


def test_the_linear_estimator_repeats_with_the_key_and_is_unbiased():
    ours, theirs = feature_map(5, 4, seed=1), feature_map(5, 4, seed=2) + 0.5
    fn = jax.jit(
        jax.vmap(
            lambda key: computed(
                "mmd_gaussian", ours, theirs, key, estimator="linear", sigma2=2.0
            )
        )
    )
    keys = jax.random.split(jax.random.key(1), 4000)
    found = np.asarray(fn(keys)) / 10  # a sum over 10 pairs
    np.testing.assert_array_equal(found, np.asarray(fn(keys)) / 10)
    exact = twins.mmd_gaussian_unbiased(plain(ours), plain(theirs), 2.0)
    error = found.std() / np.sqrt(len(found))
    assert error < 0.1 * exact  # the test can tell
    np.testing.assert_allclose(found.mean(), exact, rtol=0, atol=4 * error)


def test_sampled_maps_of_equal_features_stay_at_distance_zero():
    features = feature_map(16, 16, seed=1)
    actual = computed("mmd_gaussian", features, features, jax.random.key(0), samples=64)
    np.testing.assert_allclose(actual, 0, rtol=0, atol=1e-6)


def test_the_bandwidth_is_constant_in_the_gradient():
    with jax.enable_x64(True):
        ours, theirs = (jnp.asarray(f) for f in (A, B))
        sigma2 = twins.mean_squared_distance(A, B) / 2
        free = jax.grad(lambda x: computed("mmd_gaussian", x, theirs))(ours)
        fixed = jax.grad(lambda x: computed("mmd_gaussian", x, theirs, sigma2=sigma2))
        np.testing.assert_allclose(free, fixed(ours), rtol=1e-9, atol=1e-12)


def test_means_of_several_styles_blend():
    one, other = feature_map(seed=1), feature_map(seed=2)
    joined = jnp.concatenate([one, other], axis=1)
    for name in ("mmd_linear", "mmd_polynomial"):
        row = STYLE_LOSSES[name]
        mixed = row.blend([row.statistic(f) for f in (one, other)], [0.5, 0.5])
        assert float(row.distance(mixed, row.statistic(joined))) < 1e-10, name


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mmd_gaussian", {"estimator": "exakt"}, "unknown estimator .* Did you mean"),
        ("mmd_gaussian", {"sigma2": 0.0}, "sigma2 of mmd_gaussian must be above 0"),
        ("mmd_gaussian", {"multiplier": -1.0}, "multiplier of mmd_gaussian must be"),
        ("mmd_gaussian", {"samples": -1}, "samples of mmd_gaussian must be at least"),
        ("mmd_polynomial", {"c": -1.0}, "c of mmd_polynomial must be at least 0"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        compute(name, A, B, **options)


def test_one_position_makes_no_pair():
    with pytest.raises(ValueError, match="needs two positions"):
        compute("mmd_gaussian", A[:1, :1], B, estimator="linear")
