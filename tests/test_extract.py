"""Any features: a network of one's own, its layers, balance, diagnostics, compare."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from tiny import picture

import jnst
from jnst.studying.methods import of_losses

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE, IMAGE = picture(24, 26, 1), picture(22, 20, 2), picture(24, 26, 3)


class Small(nn.Module):
    """Two convolutions of four channels."""

    @nn.compact
    def __call__(self, image):
        first = nn.relu(nn.Conv(4, (3, 3), name="first")(image))
        pooled = nn.avg_pool(first, (2, 2), strides=(2, 2))
        return {"first": first, "second": nn.relu(nn.Conv(4, (3, 3))(pooled))}


@pytest.fixture(scope="module")
def variables():
    return Small().init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


@pytest.fixture(scope="module")
def extract(variables):
    return lambda image: Small().apply(variables, image)


LAYERS = {"style_layers": ("first", "second"), "content_layers": ("second",)}


def test_a_flax_network_of_ones_own_is_optimised(extract):
    result = jnst.stylize(
        CONTENT, STYLE, "tf-tutorial", steps=4, extract=extract, init="noise", **LAYERS
    )
    assert result.image.shape == CONTENT.shape and result.weights == {}
    assert result.history["loss"][-1] < result.history["loss"][0]


def test_the_value_is_the_loss_on_its_features(extract):
    objective = jnst.make_objective(
        CONTENT, STYLE, "tf-eager", extract=extract, **LAYERS
    )
    ours, theirs, held = (extract(x[None]) for x in (IMAGE, STYLE, CONTENT))
    style = np.mean([jnst.losses.compute("gram", ours[k], theirs[k]) for k in ours])
    content = np.mean((ours["second"] - held["second"]) ** 2)
    found = objective.terms(IMAGE)
    np.testing.assert_allclose(found["style"], 1e-2 * style, rtol=1e-5)
    np.testing.assert_allclose(found["content"], 1e3 * content, rtol=1e-5)


def test_variables_of_a_partial_are_leaves_and_compile_nothing_anew(variables):
    traces = []

    @jax.jit
    def value(objective, image):
        traces.append(1)
        return objective(image)

    def apply(variables, image):
        return Small().apply(variables, image)

    found = []
    for scale in (1.0, 0.5):
        scaled = jax.tree.map(lambda leaf, s=scale: s * leaf, variables)
        objective = jnst.make_objective(
            CONTENT, STYLE, "tf-eager", extract=Partial(apply, scaled), **LAYERS
        )
        found.append(float(value(objective, IMAGE)))
    assert len(traces) == 1 and found[0] != found[1]


def test_a_new_loss_is_balanced_on_features_the_recipe_does_not_know(extract):
    result = jnst.stylize(
        CONTENT, STYLE, steps=2, extract=extract, style_loss="bn_statistics",
        diagnostics=True, **LAYERS,
    )  # fmt: skip
    assert len(result.recipe.style_layer_weights) == 2
    assert np.isfinite(result.history["gradient_norm_style"]).all()


def test_losses_are_compared_on_them(extract):
    found = jnst.study(
        CONTENT, STYLE, of_losses(["gram", "mean_std"]), extract=extract, size_px=26,
        steps=2, metrics=["ssim"], **LAYERS,
    )  # fmt: skip
    assert [record["error"] for record in found.records] == ["", ""]
    assert all(0 < record["ssim"] < 1 for record in found.records)


def test_pixels_and_a_function_of_all_layers(extract):
    whole = jnst.Term("whole", lambda found: sum(jnp.mean(x) for x in found.values()))
    objective = jnst.make_objective(
        CONTENT, STYLE, jnst.Recipe(terms=(whole,)), extract=extract
    )
    expected = sum(float(jnp.mean(x)) for x in extract(IMAGE[None]).values())
    np.testing.assert_allclose(objective(IMAGE), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"style_layers": ("third",)}, "layer, in style_layers: layer 'third'"),
        ({"extract": lambda x: x}, "must return {name: features"),
        ({"extract": lambda x: {"a": x[0]}}, "got .24, 26, 3. for 'a'"),
        ({"weights": "vgg19"}, "leave weights out"),
    ],
)
def test_features_that_cannot_be_used_are_refused(extract, change, words):
    with pytest.raises(ValueError, match=words) as info:
        jnst.make_objective(CONTENT, STYLE, **{"extract": extract, **LAYERS, **change})
    assert "\n" not in str(info.value)


def test_features_is_pure_on_arrays(vgg19):
    image = jnp.asarray(IMAGE)

    def energy(x):
        return jnp.sum(jnst.features(x, "relu2_1", vgg19)["relu2_1"] ** 2)

    gradient = jax.jit(jax.grad(energy))(image)
    assert gradient.shape == image.shape and float(jnp.abs(gradient).max()) > 0
    both = jnp.stack([image, image[::-1]])
    found = jnst.features(both, ["relu2_1"], vgg19)["relu2_1"]
    assert found.shape == (2, 12, 13, 4)
    mapped = jax.vmap(energy)(both)
    np.testing.assert_allclose(mapped, jnp.sum(found**2, axis=(1, 2, 3)), rtol=1e-5)
    with pytest.raises(ValueError, match=r"must be \[H, W, 3\]"):
        jnst.features(jnp.zeros((4, 4)), "relu1_1", vgg19)
