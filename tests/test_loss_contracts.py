"""What every row of every loss table must do, whoever adds it.

Everything is parametrised from the tables: a new row is covered without a change here.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import computed
from jax.test_util import check_grads
from tiny import batch, feature_map, picture

from jnst import losses
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.losses.rows import RUN_TIME_OPTIONS, option_names, with_options

PAIRED = [*STYLE_LOSSES, *CONTENT_LOSSES]
ALL = [*PAIRED, *IMAGE_LOSSES]
SIZE_FREE = [name for name, row in STYLE_LOSSES.items() if row.size_free]
ROWS = STYLE_LOSSES | CONTENT_LOSSES | IMAGE_LOSSES
KEY = jax.random.key(0)
# Options under which the gradient is that of the value; by default a bandwidth taken
# from the features is constant in it.
WHOLE_GRADIENT = {"mmd_gaussian": {"sigma2": 1.0}}

# Factor on the sides of inputs, where what a loss has by default needs more pixels.
ENLARGED = {"laplacian": 2}


def joint(name):
    return name in STYLE_LOSSES and STYLE_LOSSES[name].joint


def inputs(name, seed, dtype=np.float32, height=8, width=6):
    """Features (or an image) that the loss `name` takes, seeded."""
    height, width = (side * ENLARGED.get(name, 1) for side in (height, width))
    if name in IMAGE_LOSSES:
        return batch(picture(height, width, seed), dtype)
    if joint(name):
        shapes = {
            "relu1_1": (height, width, 3),
            "relu2_1": (height // 2, width // 2, 4),
        }
        return {k: feature_map(*s, seed + 7, dtype) for k, s in shapes.items()}
    return feature_map(height, width, 4, seed, dtype)


def stripes(features):
    """Masks [2, H, W] of the even and the odd columns; a tiling's are their tiling."""
    _, height, width, _ = features.shape
    even = np.arange(width) % 2 == 0
    return np.stack([np.tile(half, (height, 1)) for half in (even, ~even)]) * 1.0


def loss_of(name, target, call=computed, **options):
    """A function of the generated features alone: (features) -> scalar.

    `target` is what the row compares with: features of the style or of the content, or
    for losses on the image the content image.
    """
    row = ROWS[name]
    key = [KEY] if getattr(row, "keyed", False) else []
    extra = {"style": target} if getattr(row, "needs_style", False) else {}
    guided = "masks" in option_names(*losses.functions_of(name))

    def loss(x):
        masks = {"masks": (stripes(x), stripes(target))} if guided else {}
        return call(name, x, target, *key, **extra, **masks, **options)

    return loss


def case(name, dtype=np.float32, **options):
    """A loss with its target bound, and features to evaluate it at."""
    return loss_of(name, inputs(name, 3, dtype), **options), inputs(name, 4, dtype)


def test_no_two_tables_share_a_name():
    assert len(set(ALL)) == len(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_row_names_its_source(name):
    assert ROWS[name].source
    assert ROWS[name].captures


@pytest.mark.parametrize("name", PAIRED)
def test_the_distance_is_zero_at_equality_and_above_it_elsewhere(name, quick_compile):
    fn, features = case(name)
    scale = float(fn(features))
    assert scale > 0
    at_equality = float(loss_of(name, features)(features))
    assert abs(at_equality) <= 1e-5 * max(1, scale)


@pytest.mark.parametrize("name", ALL)
def test_the_gradient_equals_finite_differences(name, quick_compile):
    with jax.enable_x64(True):
        options = WHOLE_GRADIENT.get(name, {})
        fn, features = case(name, np.float64, **options)
        # A step of 1e-6 in float64 has errors of about 1e-9 relative. JAX's own, 1e-4,
        # changes the order of values that a loss sorts.
        check_grads(
            jax.jit(fn),
            (features,),
            order=1,
            modes=["rev"],
            rtol=1e-5,
            atol=1e-7,
            eps=1e-6,
        )


@pytest.mark.parametrize("name", ALL)
def test_forward_mode_gives_the_slope_that_reverse_mode_gives(name, quick_compile):
    fn, features = case(name)
    rng = np.random.default_rng(5)
    change = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), features
    )
    both = jax.jit(lambda x, v: (jax.grad(fn)(x), jax.jvp(fn, (x,), (v,))[1]))
    gradient, slope = both(features, change)
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(change), strict=True)
    products = [np.float64(g) * np.float64(v) for g, v in pairs]
    size = sum(np.abs(each).sum() for each in products)
    expected = sum(each.sum() for each in products)
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-5 * size)


def test_the_hessian_of_gram_on_raw_arrays_is_that_of_its_definition():
    with jax.enable_x64(True):
        features, target = (
            np.random.default_rng(n).normal(size=(3, 2, 2)) for n in (0, 1)
        )

        def as_written(x):
            grams = [v.reshape(-1, 2).T @ v.reshape(-1, 2) / 6 for v in (x, target)]
            return jnp.mean((grams[0] - grams[1]) ** 2)

        def ours(x):
            return losses.compute("gram", x, target)

        found, expected = (jax.hessian(fn)(features) for fn in (ours, as_written))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def special_inputs(name):
    """Pairs (generated, target) at which careless formulas give NaN."""
    plain, zero = inputs(name, 1), jax.tree.map(jnp.zeros_like, inputs(name, 1))
    one_channel = jax.tree.map(lambda x: x.at[..., 0].set(0.5), plain)
    return {
        "flat": (jax.tree.map(lambda x: jnp.full_like(x, 0.5), plain), plain),
        "zero": (zero, plain),
        "towards zero": (plain, zero),
        "both zero": (zero, zero),
        "equal": (plain, plain),
        "a constant channel": (one_channel, plain),
        "two equal channels": (
            jax.tree.map(lambda x: x.at[..., 1].set(x[..., 0]), plain),
            plain,
        ),
    }


@pytest.mark.parametrize("name", ALL)
def test_value_and_gradient_are_finite_everywhere(name, quick_compile):
    def value(x, target):
        return loss_of(name, target)(x)

    fn = jax.jit(jax.value_and_grad(value))
    for what, pair in special_inputs(name).items():
        loss, gradient = fn(*pair)
        assert np.isfinite(loss), what
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient)), what


@pytest.mark.parametrize("name", ALL)
def test_eager_compiled_and_mapped_values_agree(name):
    fn, first = case(name)
    second = inputs(name, 5)
    as_written = loss_of(name, inputs(name, 3), losses.compute)
    eager = [float(as_written(first)), float(as_written(second))]
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second)
    mapped = jax.jit(jax.vmap(fn))(both)
    # 1e-4: Wasserstein-2 is a small difference of traces.
    np.testing.assert_allclose(mapped, eager, rtol=1e-4)
    np.testing.assert_allclose(jax.jit(fn)(first), eager[0], rtol=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_bfloat16_features_change_the_value_by_two_percent_at_most(name, quick_compile):
    half = lambda tree: jax.tree.map(lambda x: x.astype(jnp.bfloat16), tree)  # noqa: E731
    fn, features = case(name)
    rough = loss_of(name, half(inputs(name, 3)))(half(features))
    assert rough.dtype == jnp.float32  # statistics are never kept in half precision
    np.testing.assert_allclose(rough, fn(features), rtol=0.02)


@pytest.mark.parametrize("name", SIZE_FREE)
def test_an_image_and_its_own_tiling_are_at_distance_zero(name, quick_compile):
    features = inputs(name, 1)
    tiled = jax.tree.map(lambda x: jnp.tile(x, (1, 2, 2, 1)), features)
    scale = float(loss_of(name, inputs(name, 2))(features))
    assert abs(float(loss_of(name, features)(tiled))) <= 2e-5 * max(1, scale)


@pytest.mark.parametrize("name", SIZE_FREE)
def test_a_style_of_another_size_is_compared(name, quick_compile):
    fn = loss_of(name, inputs(name, 2, height=4, width=10))
    assert float(fn(inputs(name, 1))) > 0


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_statistics_are_arrays_that_carry_no_gradient_to_a_fixed_target(name):
    leaves = jax.tree.leaves(STYLE_LOSSES[name].statistic(inputs(name, 1)))
    assert leaves
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)


@pytest.mark.parametrize("name", ALL)
def test_options_reach_the_functions_that_name_them(name):
    for function in losses.functions_of(name):
        for option in option_names(function):
            bound = with_options(function, {option: "value", "another": 1})
            assert bound.keywords == {option: "value"}
    plain = with_options(losses.functions_of(name)[0], {"another": 1})
    assert plain.keywords == {}


@pytest.mark.parametrize("name", ALL)
def test_an_unknown_option_is_refused_in_one_line(name):
    known = option_names(*losses.functions_of(name))
    with pytest.raises(ValueError) as info:
        losses.compute(name, inputs(name, 1), inputs(name, 2), wrong_option=1)
    message = str(info.value)
    assert "\n" not in message and repr(name) in message and "wrong_option" in message
    assert all(option in message for option in known) or "no options" in message


@pytest.mark.parametrize("name", [n for n in STYLE_LOSSES if STYLE_LOSSES[n].blend])
def test_a_blend_of_equal_statistics_is_that_statistic(name):
    row = STYLE_LOSSES[name]
    statistic = row.statistic(inputs(name, 1))
    mixed = row.blend([statistic, statistic], [0.3, 0.7])
    pairs = zip(jax.tree.leaves(mixed), jax.tree.leaves(statistic), strict=True)
    for actual, expected in pairs:
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_keyed_rows_take_a_key_and_the_others_do_not():
    for name, row in (STYLE_LOSSES | CONTENT_LOSSES).items():
        assert ("key" in option_names(row.distance)) == row.keyed, name


def test_an_unknown_loss_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="unknown loss 'grams'. Did you mean 'gram'?"):
        losses.compute("grams", np.zeros((2, 2, 1)), np.zeros((2, 2, 1)))


def test_a_missing_target_and_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="'gram' compares two arrays"):
        losses.compute("gram", np.zeros((2, 2, 1)))
    with pytest.raises(ValueError, match=r"must be \[H, W, C\] .* got \(2, 2\)"):
        losses.compute("gram", np.zeros((2, 2)), np.zeros((2, 2)))


def test_run_time_options_are_no_recipe_options():
    assert RUN_TIME_OPTIONS == ("key", "image_size", "masks")
