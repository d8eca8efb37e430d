"""The objective as a value: equal to the history, and differentiable any way."""

import dataclasses
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE, IMAGE = picture(40, 47, 1), picture(36, 50, 2), picture(40, 47, 3)
PATCH = picture(6, 5, 4)
DIRECTION = np.random.default_rng(0).normal(size=PATCH.shape).astype(np.float32)
SHALLOW = {
    "style_loss": "gram",
    "style_weight": 1.0,
    "style_layers": ("relu1_1", "relu2_1"),
    "content_layers": ("relu2_2",),
    "content_weight": 1e-3,
}
WAYS = ("xla", "winograd")
"""The definition of a convolution, and the one a CPU runs fast."""


@functools.cache
def small(way="winograd", **changes):
    """An objective on a patch, through the network as a run prepares it."""
    fields = SHALLOW | {"convolution": way} | changes
    return jnst.make_objective(
        picture(6, 5, 1), picture(7, 9, 2), weights=tiny_params(channels=5), **fields
    )


@pytest.mark.parametrize("way", WAYS)
def test_forward_mode_gives_the_slope_that_reverse_mode_gives(way):
    objective = small(way)
    value, gradient = jax.jit(jax.value_and_grad(objective))(PATCH)
    again, slope = jax.jit(lambda x, v: jax.jvp(objective, (x,), (v,)))(
        PATCH, DIRECTION
    )
    np.testing.assert_allclose(again, value, rtol=1e-6)
    np.testing.assert_allclose(slope, np.vdot(gradient, DIRECTION), rtol=1e-4)


def hessian_vector(objective, mode):
    if mode == "forward over reverse":
        return lambda x, v: jax.jvp(jax.grad(objective), (x,), (v,))[1]
    return lambda x, v: jax.grad(lambda y: jnp.vdot(jax.grad(objective)(y), v))(x)


@pytest.mark.parametrize("way", WAYS)
def test_hessians_and_their_products_agree_in_every_mode(way):
    objective = small(way)
    hessian = np.asarray(jax.jit(jax.hessian(objective))(PATCH))
    size = PATCH.size
    matrix = hessian.reshape(size, size)
    scale = np.abs(matrix).max()
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-4 * scale)
    expected = (matrix @ DIRECTION.ravel()).reshape(PATCH.shape)
    for mode in ("forward over reverse", "reverse over reverse"):
        found = jax.jit(hessian_vector(objective, mode))(PATCH, DIRECTION)
        size = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * size)


def test_hessian_vector_products_are_differences_of_gradients():
    """In float64 by the definition; Winograd's, in float32, beside it."""
    with jax.enable_x64(True):
        params = tiny_params(channels=5, dtype=np.float64)
        images = (picture(6, 5, n, np.float64) for n in (1, 2))
        found = jnst.make_objective(*images, weights=params, **SHALLOW)
        patch, change = np.float64(PATCH), np.float64(DIRECTION)
        product = hessian_vector(found, "forward over reverse")
        exact = jax.jit(product)(patch, change)
        gradient = jax.jit(jax.grad(found))
        step = 1e-6
        ends = [gradient(patch + sign * step * change) for sign in (1.0, -1.0)]
        slope = np.asarray(ends[0] - ends[1], np.float64) / (2 * step)
        scale = np.abs(slope).max()
        np.testing.assert_allclose(exact, slope, rtol=0, atol=1e-5 * scale)
        exact = np.asarray(exact)
    images = (picture(6, 5, n) for n in (1, 2))
    ours = jnst.make_objective(
        *images, weights=tiny_params(channels=5), convolution="winograd", **SHALLOW
    )
    found = jax.jit(hessian_vector(ours, "forward over reverse"))(PATCH, DIRECTION)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("loss", ["wasserstein2", "chained_gram", "scaled_gram"])
def test_other_style_losses_have_hessian_vector_products(loss):
    options = {"form": "factored"} if loss == "wasserstein2" else {}
    objective = small(style_loss=loss, style_options=tuple(options.items()))
    modes = ("forward over reverse", "reverse over reverse")
    one, two = (
        np.asarray(jax.jit(hessian_vector(objective, mode))(PATCH, DIRECTION))
        for mode in modes
    )
    assert np.isfinite(one).all() and np.abs(one).max() > 0
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-3 * np.abs(one).max())


@pytest.mark.parametrize("way", WAYS)
def test_images_are_mapped(way):
    images = np.stack([picture(6, 5, seed) for seed in range(3)])
    objective = small(way)
    found, gradients = jax.jit(jax.vmap(jax.value_and_grad(objective)))(images)
    for each, value, gradient in zip(images, found, gradients, strict=True):
        alone, its = jax.jit(jax.value_and_grad(objective))(each)
        np.testing.assert_allclose(value, alone, rtol=1e-5)
        scale = np.abs(its).max()
        np.testing.assert_allclose(gradient, its, rtol=0, atol=1e-5 * scale)


def test_weights_may_be_tracers_and_are_what_they_are_called():
    objective = small()
    terms = jax.jit(objective.terms)(PATCH)
    double = jax.jit(objective.with_weights(style=2.0).terms)(PATCH)
    np.testing.assert_allclose(double["style"], 2 * terms["style"], rtol=1e-6)
    np.testing.assert_allclose(double["content"], terms["content"], rtol=1e-6)
    weights = jnp.array([0.5, 1.0, 3.0])
    found = jax.jit(jax.vmap(lambda w: objective.with_weights(style=w)(PATCH)))(weights)
    rest = sum(v for k, v in terms.items() if k != "style")
    np.testing.assert_allclose(found, weights * terms["style"] + rest, rtol=1e-5)
    slope = jax.jit(jax.grad(lambda w: objective.with_weights(style=w)(PATCH)))(1.0)
    np.testing.assert_allclose(slope, terms["style"], rtol=1e-6)
    with pytest.raises(ValueError, match="'stile'. Did you mean 'style'"):
        objective.with_weights(stile=1.0)


def test_new_weights_and_targets_of_the_same_shapes_compile_nothing():
    traces = []

    @jax.jit
    def value(objective, image):
        traces.append(1)
        return objective(image)

    first = float(value(small(), PATCH))
    assert float(value(small().with_weights(style=0.1), PATCH)) < first
    fields = SHALLOW | {"learning_rate": 0.5, "seed": 3, "content_weight": 7.0}
    other = jnst.make_objective(
        picture(6, 5, 8),
        picture(7, 9, 9),
        weights=tiny_params(channels=5, seed=1),
        convolution="winograd",
        **fields,
    )
    assert float(value(other, PATCH)) != first
    assert len(traces) == 1
    value(small(style_loss="covariance"), PATCH)
    assert len(traces) == 2


def test_an_objective_is_a_pytree_that_can_be_recomputed():
    objective = small()
    leaves, structure = jax.tree.flatten(objective)
    assert all(hasattr(leaf, "shape") for leaf in leaves)
    same = jax.tree.map(lambda leaf: leaf, objective)
    assert hash(structure) == hash(jax.tree.structure(same))
    gradient = jax.jit(jax.grad(objective))(PATCH)
    again = jax.jit(jax.grad(jax.checkpoint(same)))(PATCH)
    largest = np.abs(gradient).max()  # a small one is a difference of such
    np.testing.assert_allclose(again, gradient, rtol=0, atol=1e-6 * largest)
    assert repr(objective).startswith("Objective(content=0.001, style=1")


def test_what_an_objective_is_made_of_cannot_be_changed():
    fields = {"style_layers": ("pixels",), "content_layers": ("pixels",)}
    fields["extract"] = lambda image: {"pixels": image}
    own = jnst.make_objective(picture(6, 5, 1), picture(7, 9, 2), **fields)
    for each in (small(), own):
        with pytest.raises(dataclasses.FrozenInstanceError):
            each.extract.params = None
    with pytest.raises(TypeError):
        jnst.Recipe("gram")


def test_a_keyed_loss_takes_a_key():
    objective = small(style_loss="sliced_wasserstein")
    value = jax.jit(lambda key: objective(PATCH, key=key))
    one, two = value(jax.random.key(1)), value(jax.random.key(2))
    assert one != two and one == value(jax.random.key(1))
    np.testing.assert_allclose(
        jax.jit(objective)(PATCH), value(jax.random.key(0)), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.stack([PATCH, PATCH]), "use jax.vmap for several"),
        (PATCH[..., 0], r"image must be \[H, W, 3\], got \[6, 5\]"),
        (np.uint8(255 * PATCH), "floats in"),
        (picture(6, 7), "same shape"),
    ],
)
def test_what_is_no_image_of_this_objective_is_refused(image, words):
    with pytest.raises(ValueError, match=words):
        small()(image)


def test_a_result_survives_pickling(vgg19):
    result = jnst.stylize(CONTENT, STYLE, weights=vgg19, steps=1, **SHALLOW)
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.image, result.image)
    assert again.recipe == result.recipe
    assert again.history.keys() == result.history.keys()


def test_an_objective_survives_pickling():
    again = pickle.loads(pickle.dumps(small()))
    np.testing.assert_array_equal(jax.jit(again)(PATCH), jax.jit(small())(PATCH))
