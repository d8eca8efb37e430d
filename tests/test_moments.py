"""Losses on channels one by one: worked values, twins, scaling, flat channels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_statistics as twins
from compiled import computed
from scaling import ratios
from tiny import feature_map
from worked import PAIRS, RTOL, A, B

from jnst.losses import compute, moments

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.parametrize(
    ("name", "options", "pair", "expected"),
    [
        # losses.md, B6.
        ("bn_statistics", {}, "A,B", 0.01634341292),
        ("bn_statistics", {}, "A,S", 0.1459716849),
        ("bn_statistics", {}, "X,Y", 0.002203582852),
        # losses.md, B7.
        ("mean_std", {}, "A,B", 0.2554299214),
        ("mean_std", {}, "A,S", 0.7298256319),
        ("mean_std", {}, "X,Y", 0.1143640732),
        ("mean_std", {"form": "lua"}, "A,B", 0.03268682584),
        ("mean_std", {"form": "lua"}, "A,S", 0.2919433698),
        ("mean_std", {"form": "lua"}, "X,Y", 0.006610748556),
        ("mean_std", {"form": "pytorch"}, "A,B", 0.01783245945),
        ("mean_std", {"form": "pytorch"}, "A,S", 0.1723606648),
        ("mean_std", {"form": "pytorch"}, "X,Y", 0.002282939978),
        # losses.md, B12.
        ("cmd", {"moments": 1}, "A,S", 0.01574952705),
        ("cmd", {"moments": 3}, "A,S", 0.03217299813),
        ("cmd", {}, "A,B", 0.03101937019),
        ("cmd", {}, "A,S", 0.03322699213),
        ("cmd", {}, "X,Y", 0.01648149601),
    ],
)
def test_losses_equal_the_catalogue(name, options, pair, expected):
    actual = computed(name, *PAIRS[pair], **options)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        # losses.md, D1: tile, dup C, x2 (CMD's sigmoid is not homogeneous).
        ("bn_statistics", {}, (1, 1, 4)),
        ("mean_std", {}, (1, 1.414, 2)),
        ("mean_std", {"form": "lua"}, (1, 2, 4)),
        ("mean_std", {"form": "pytorch"}, (0.935, 1, 4)),
        ("cmd", {}, (1, 1.414, None)),
    ],
)
def test_losses_scale_as_the_catalogue_says(name, options, expected):
    found = ratios(name, A, B, **options)
    for what, ratio in zip(("tile", "dup", "x2"), expected, strict=True):
        if ratio is not None:
            np.testing.assert_allclose(found[what], ratio, rtol=1e-3)  # 3 digits
    np.testing.assert_allclose(found["perm"], 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "twin", "options"),
    [
        ("bn_statistics", twins.bn_statistics, {}),
        ("mean_std", twins.mean_std, {"form": "paper"}),
        ("mean_std", twins.mean_std, {"form": "lua"}),
        ("mean_std", twins.mean_std, {"form": "pytorch"}),
        ("cmd", twins.cmd, {}),
        ("cmd", twins.cmd, {"moments": 2}),
        ("cmd", twins.cmd, {"moments": 7, "squash": "none"}),
    ],
)
def test_losses_match_their_twins(name, twin, options, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(7, 3, seed=2)
    fn = maybe_jit(lambda a, b: compute(name, a, b, **options))
    expected = twin(*(np.asarray(f[0], np.float64) for f in (ours, theirs)), **options)
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


def test_bn_statistics_are_the_lua_form_over_the_channels():
    # losses.md, D1: 0.0327 = 2 * 0.0163 on two channels.
    ours, theirs = feature_map(seed=1), feature_map(seed=2)
    lua = computed("mean_std", ours, theirs, form="lua")
    np.testing.assert_allclose(
        computed("bn_statistics", ours, theirs), lua / 3, rtol=1e-6
    )


FORMS = [
    ("bn_statistics", {}),
    *(("mean_std", {"form": form}) for form in moments.MEAN_STD_FORMS),
    *(("cmd", {"squash": squash}) for squash in moments.SQUASHES),
]


@pytest.mark.parametrize(("name", "options"), FORMS)
@pytest.mark.parametrize("value", [0.0, 0.1, 300.0])
def test_flat_channels_have_finite_gradients_in_every_form(name, options, value):
    flat = jnp.full((1, 5, 4, 3), value)
    fn = jax.jit(jax.grad(lambda x, y: computed(name, x, y, **options)))
    for target in (flat, feature_map(seed=2)):
        assert np.isfinite(fn(flat, target)).all()


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_a_single_position_has_a_finite_gradient(name, options):
    one = feature_map(1, 1, seed=1)
    fn = jax.grad(lambda x: computed(name, x, feature_map(seed=2), **options))
    assert np.isfinite(fn(one)).all()


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="unknown form of mean_std 'papr'. Did you"):
        compute("mean_std", A, B, form="papr")
    with pytest.raises(ValueError, match="unknown squash of cmd 'tanh'"):
        compute("cmd", A, B, squash="tanh")
    with pytest.raises(ValueError, match="moments of cmd must be at least 1, got 0"):
        compute("cmd", A, B, moments=0)
