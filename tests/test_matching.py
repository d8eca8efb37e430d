"""Contextual, nearest-neighbour and patch losses: worked values, twins, sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_matching as twins
from compiled import computed
from tiny import feature_map
from worked import RTOL, A, B, S, X, Y

from jnst.losses import STYLE_LOSSES, compute, matching, pairs, patches

pytestmark = pytest.mark.usefixtures("quick_compile")

PX, PY = X[:, :, :2], Y[:, :, :2]
INPUTS = {"A,B": (A, B), "A,S": (A, S), "X,Y": (X, Y), "Y,X": (Y, X), "PX,PY": (PX, PY)}


@pytest.mark.parametrize(
    ("name", "options", "pair", "expected"),
    [
        # losses.md, B14.
        ("contextual", {"bandwidth": 0.1}, "X,Y", 0.4046336438),
        ("contextual", {"bandwidth": 0.2}, "X,Y", 0.4044408079),
        ("contextual", {}, "X,Y", 0.4464228222),
        (
            "contextual",
            {"bandwidth": 0.1, "half_distance": True},
            "X,Y",
            0.4046336024,
        ),
        ("contextual", {"half_distance": True}, "X,Y", 0.446437742),
        ("contextual", {"bandwidth": 0.1, "log_epsilon": 1e-5}, "X,Y", 0.4046186564),
        ("contextual", {"log_epsilon": 1e-5}, "X,Y", 0.4464071952),
        ("contextual", {}, "Y,X", 0.3443821323),
        ("contextual", {}, "A,S", 0.001435598522),
        # B15, where 1e-8 is added to lengths: 3e-7 of the first value.
        ("nnfm", {}, "A,S", 0.03389748103),
        ("nnfm", {}, "X,Y", 0.03697897969),
        # B16.
        ("mrf", {"patch": 2}, "PX,PY", 3.21875),
        ("mrf", {"patch": 2, "reduction": "mean"}, "PX,PY", 0.06705729167),
        ("mrf", {"patch": 2, "reduction": "half_sum"}, "PX,PY", 1.609375),
    ],
)
def test_losses_equal_the_catalogue(name, options, pair, expected, maybe_jit):
    fn = maybe_jit(lambda a, b: compute(name, a, b, **options))
    actual = fn(*(jnp.asarray(f, jnp.float32) for f in INPUTS[pair]))
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


def test_nearest_neighbours_equal_the_catalogue():
    for (ours, theirs), expected in (
        ((A, S), [3, 3, 1, 0, 1, 2]),
        ((X, Y), [7, 3, 10, 2, 8, 11, 4, 8, 7, 5, 5, 6]),
    ):
        units = [
            pairs.unit_vectors(jnp.asarray(twins.rows_of(f))) for f in (ours, theirs)
        ]
        assert pairs.nearest(*units).tolist() == expected
    ours, theirs = (patches.patch_map(jnp.asarray(f)[None], patch=2) for f in (PX, PY))
    every = jnp.arange(6)
    units = [pairs.unit_vectors(patches.patches_of(f, every)) for f in (ours, theirs)]
    assert pairs.nearest(*units).tolist() == [2, 0, 2, 0, 0, 5]
    assert twins.mrf_matches(PX, PY, 2).tolist() == [2, 0, 2, 0, 0, 5]


TWINS = {
    "contextual": [
        ({}, twins.contextual),
        ({"bandwidth": 0.2}, lambda a, b: twins.contextual(a, b, 0.2)),
        (
            {"half_distance": True, "log_epsilon": 1e-5},
            lambda a, b: twins.contextual(a, b, 0.5, True, 1e-5),
        ),
    ],
    "nnfm": [({}, twins.nnfm)],
    "mrf": [
        ({}, twins.mrf),
        ({"stride": 2}, lambda a, b: twins.mrf(a, b, 3, 2)),
        (
            {"patch": 2, "reduction": "mean"},
            lambda a, b: twins.mrf(a, b, 2, 1, "mean"),
        ),
    ],
}
CASES = [(name, *case) for name, cases in TWINS.items() for case in cases]


@pytest.mark.parametrize(("name", "options", "twin"), CASES)
@pytest.mark.parametrize("sizes", [((5, 4), (5, 4)), ((6, 5), (4, 9))])
def test_losses_match_their_twins_at_equal_and_other_sizes(name, options, twin, sizes):
    ours, theirs = (feature_map(*size, 3, seed) for seed, size in enumerate(sizes))
    fn = jax.jit(lambda a, b: computed(name, a, b, **options))
    expected = twin(*(np.asarray(f[0], np.float64) for f in (ours, theirs)))
    # Contextual loss divides by the smallest distance, which float32 rounds to 1e-7.
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-4)


@pytest.mark.parametrize("name", TWINS)
def test_blocks_change_neither_value_nor_gradient(name, monkeypatch):
    with jax.enable_x64(True):
        ours = feature_map(7, 5, seed=1, dtype=np.float64)
        theirs = feature_map(6, 6, seed=2, dtype=np.float64)
        found = []
        for entries in (2**23, 8 * 36, 1):  # one block; some; a row each
            monkeypatch.setattr(pairs, "BLOCK_ENTRIES", entries)
            fn = jax.jit(jax.value_and_grad(lambda x: compute(name, x, theirs)))
            found.append(fn(ours))
    for value, gradient in found[1:]:
        np.testing.assert_allclose(value, found[0][0], rtol=1e-12)
        np.testing.assert_allclose(gradient, found[0][1], rtol=1e-9, atol=1e-12)


# losses.md, D1; of mrf at 2x2 patches, half the digits are given.
SCALING = [
    ("contextual", {}, (X, Y), {"tile": 4.1, "dup": 1, "x2": 1}),
    ("nnfm", {}, (A, B), {"tile": 1, "dup": 1, "x2": 1}),
    ("mrf", {"patch": 2}, (PX, PY), {"tile": 4.5, "dup": 2, "x2": 4}),
    (
        "mrf",
        {"patch": 2, "reduction": "mean"},
        (PX, PY),
        {"tile": 0.78, "dup": 1, "x2": 4},
    ),
]
CHANGES = {
    "tile": lambda f: np.tile(f, (2, 2, 1)),
    "dup": lambda f: np.concatenate([f, f], axis=2),
    "x2": lambda f: 2 * f,
}


@pytest.mark.parametrize(("name", "options", "inputs", "ratios"), SCALING)
def test_losses_scale_as_measured(name, options, inputs, ratios):
    before = float(computed(name, *inputs, **options))
    for change, ratio in ratios.items():
        after = float(computed(name, *map(CHANGES[change], inputs), **options))
        rough = change == "tile" and ratio != 1
        np.testing.assert_allclose(after / before, ratio, rtol=0.05 if rough else 1e-4)


@pytest.mark.parametrize(
    ("name", "blind"), [("contextual", 1), ("nnfm", 1), ("mrf", 0)]
)
def test_positions_count_for_patches_alone(name, blind):
    ours, theirs = feature_map(6, 6, seed=1), feature_map(6, 6, seed=2)
    order = np.random.default_rng(0).permutation(36)
    shuffled = ours.reshape(36, 3)[order].reshape(ours.shape)
    values = [float(computed(name, x, theirs)) for x in (ours, shuffled)]
    assert np.isclose(*values, rtol=1e-5) == bool(blind)


@pytest.mark.parametrize("name", TWINS)
def test_a_key_draws_the_same_samples_again_and_another_key_others(name):
    ours, theirs = feature_map(6, 6, seed=1), feature_map(6, 6, seed=2)
    draw = jax.jit(lambda key: compute(name, ours, theirs, key, samples=7))
    first, again, other = (float(draw(jax.random.key(s))) for s in (1, 1, 2))
    assert first == again != other
    everything = float(compute(name, ours, theirs))
    np.testing.assert_allclose(
        compute(name, ours, theirs, jax.random.key(1), samples=0), everything, rtol=1e-6
    )
    with pytest.raises(ValueError, match="samples must be at least 0, got -1"):
        compute(name, ours, theirs, jax.random.key(1), samples=-1)


@pytest.mark.parametrize("name", ["nnfm", "mrf"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_mean_over_keys_is_the_whole_loss(name, reduction):
    options = {"reduction": reduction} if name == "mrf" else {}
    ours, theirs = feature_map(6, 6, seed=1), feature_map(6, 6, seed=2)
    draw = jax.jit(
        jax.vmap(lambda key: computed(name, ours, theirs, key, samples=8, **options))
    )
    values = np.asarray(draw(jax.random.split(jax.random.key(0), 4000)))
    error = values.std() / np.sqrt(len(values))
    whole = float(computed(name, ours, theirs, **options))
    assert abs(values.mean() - whole) < 4 * error < 0.05 * whole


def test_equal_maps_draw_equal_samples_of_a_contextual_loss():
    features = feature_map(8, 8, seed=1)
    loss = computed("contextual", features, features, jax.random.key(3), samples=9)
    np.testing.assert_allclose(loss, 0, atol=1e-6)


def test_zero_vectors_are_alike_and_unlike_all_others():
    units = pairs.unit_vectors(jnp.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(1 - pairs.dots(units, units), 1 - np.eye(2), atol=1e-6)
    gradient = jax.grad(lambda x: jnp.sum(pairs.unit_vectors(x)))(jnp.zeros((1, 2)))
    assert gradient.tolist() == [[0, 0]]


def test_the_last_patch_of_a_side_is_always_there():
    expected = {(5, 2, 2): [0, 2, 3], (5, 3, 2): [0, 2], (3, 3, 2): [0]}
    for arguments, starts in expected.items():
        assert patches._starts(*arguments).tolist() == starts


def test_unusable_options_are_refused():
    for options, message in (
        ({"patch": 4}, "4 positions a side or more, got 3x4"),
        ({"patch": 0}, "patch and stride must be at least 1, got 0, 1"),
        ({"reduction": "means"}, "unknown reduction of mrf 'means'. Did you mean"),
    ):
        with pytest.raises(ValueError, match=message):
            compute("mrf", X, Y, **options)
    with pytest.raises(ValueError, match="bandwidth must be above 0, got 0.0"):
        compute("contextual", X, Y, bandwidth=0.0)


def test_rows_share_the_functions_they_are_documented_by():
    assert STYLE_LOSSES["contextual"].distance is matching.contextual
    assert not STYLE_LOSSES["mrf"].size_free and STYLE_LOSSES["nnfm"].size_free


def test_contextual_is_above_0_at_equality_where_target_vectors_repeat(maybe_jit):
    """One of 16 vectors given twice leaves 15 affinities of 1: log(16 / 15)."""
    rng = np.random.default_rng(0)
    apart = jnp.asarray(rng.random((1, 4, 4, 5)), jnp.float32)
    repeated = apart.at[0, 0, 0].set(apart[0, 1, 1])
    fn = maybe_jit(lambda x: compute("contextual", x, x))
    np.testing.assert_allclose(fn(apart), 0, atol=1e-5)
    np.testing.assert_allclose(fn(repeated), np.log(16 / 15), rtol=1e-4)
