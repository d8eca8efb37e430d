"""The network: layer names, depth, poolings, paddings and sizes, against its twin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_network
from tiny import batch, feature_map, picture, tiny_arrays, tiny_params

from jnst.network import layers, vgg
from jnst.network.pooling import POOLINGS, pool

pytestmark = pytest.mark.usefixtures("quick_compile")
ALL_19 = layers.layer_names("vgg19")
DEEP = ("conv1_1", "relu1_2", "pool1", "relu2_1", "relu3_4", "pool4", "relu5_1")
# Float32 after 13 convolutions against float64: relative to the layer's largest value.
ATOL = 2e-5


def assert_features_equal(found, expected, names):
    for name in names:
        scale = np.abs(expected[name]).max()
        assert found[name].shape == (1, *expected[name].shape), name
        np.testing.assert_allclose(
            found[name][0] / scale, expected[name] / scale, rtol=0, atol=ATOL
        )


def run(params, image, names, **options):
    fn = jax.jit(lambda p, x: vgg.extract(p, x, names, **options))
    return fn(params, batch(image))


def twin(image, backbone="vgg19", **options):
    arrays = jax.tree.map(lambda x: np.float64(np.float32(x)), tiny_arrays(backbone))
    options["backbone"] = backbone
    return references_network.network(arrays, image.astype(np.float64), **options)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("relu4_2", "relu4_2"),
        ("conv4_2", "conv4_2"),  # before the ReLU
        ("block4_conv2", "relu4_2"),  # Keras: past the ReLU
        ("block5_pool", "pool5"),
        ("pool3", "pool3"),
        ("r42", "relu4_2"),  # Gatys' notebook
        ("p4", "pool4"),
        # torchvision's indices, losses.md, section 0.
        ("features.0", "conv1_1"),
        ("features.1", "relu1_1"),
        ("features.6", "relu2_1"),
        ("features.11", "relu3_1"),
        ("features.20", "relu4_1"),
        ("features.22", "relu4_2"),
        ("features.29", "relu5_1"),
        ("features.36", "pool5"),
    ],
)
def test_every_spelling_names_its_layer(name, canonical):
    assert layers.canonical_layer(name, "vgg19") == canonical


@pytest.mark.parametrize(
    ("name", "backbone", "words"),
    [
        ("relu4_5", "vgg19", "unknown layer of vgg19 'relu4_5'. Did you mean 'relu4_"),
        ("relu3_4", "vgg16", "unknown layer of vgg16 'relu3_4'"),
        ("features.37", "vgg19", "unknown layer of vgg19 'features.37'"),
        ("", "vgg19", "unknown layer of vgg19 ''"),
        ("relu1_1", "vgg18", "unknown backbone 'vgg18'. Did you mean 'vgg1"),
    ],
)
def test_unknown_layers_are_refused(name, backbone, words):
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        layers.canonical_layer(name, backbone)


def test_features_are_named_as_they_were_asked_for(vgg19):
    names = ("block1_conv1", "relu1_1", "features.1")
    found = run(vgg19, picture(6, 5), names)
    assert tuple(sorted(found)) == tuple(sorted(names))
    np.testing.assert_array_equal(found["block1_conv1"], found["relu1_1"])


@pytest.mark.parametrize(
    ("deepest", "convolutions"),
    [("conv1_1", 1), ("relu1_1", 1), ("pool1", 2), ("relu4_2", 10), ("relu5_1", 13)],
)
def test_the_network_is_computed_only_as_deep_as_asked(vgg19, deepest, convolutions):
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    names = ("relu1_1", deepest) if deepest != "conv1_1" else (deepest,)
    jaxpr = jax.make_jaxpr(lambda x: vgg.extract(vgg19, x, names))(image)
    assert str(jaxpr).count("conv_general_dilated[") == convolutions


def test_all_layers_of_vgg19_equal_the_twin(vgg19):
    image = picture(35, 38)
    assert_features_equal(run(vgg19, image, ALL_19), twin(image), ALL_19)


def test_all_layers_of_vgg16_equal_the_twin(vgg16):
    image, names = picture(32, 33), layers.layer_names("vgg16")
    assert len(names) == 31  # torchvision's features of VGG16
    assert_features_equal(run(vgg16, image, names), twin(image, "vgg16"), names)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("rescale", "ceil"), [(True, False), (False, True)])
def test_every_pooling_equals_the_twin_on_odd_sizes(vgg19, pooling, rescale, ceil):
    image = picture(23, 37)
    options = {"pooling": pooling, "pooling_rescale": rescale, "pooling_ceil": ceil}
    found = run(vgg19, image, DEEP, **options)
    assert_features_equal(found, twin(image, until="relu5_1", **options), DEEP)


@pytest.mark.parametrize("padding", vgg.PADDINGS)
@pytest.mark.parametrize("padding_layers", ["all", "first"])
def test_every_padding_equals_the_twin(vgg19, padding, padding_layers):
    image, names = picture(33, 40), DEEP[:5]
    options = {"padding": padding, "padding_layers": padding_layers}
    found = run(vgg19, image, names, **options)
    assert_features_equal(found, twin(image, until="relu3_4", **options), names)


@pytest.mark.parametrize("kind", POOLINGS)
@pytest.mark.parametrize("ceil", [False, True])
def test_pooling_alone_equals_the_twin(kind, ceil, maybe_jit):
    x = feature_map(5, 6, 3)
    fn = maybe_jit(lambda x: pool(x, kind, rescale=True, ceil=ceil))
    expected = references_network.pool(np.asarray(x[0], np.float64), kind, True, ceil)
    np.testing.assert_allclose(fn(x)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_zeros_has_a_finite_gradient(kind):
    total = lambda x: pool(x, kind, rescale=False, ceil=True).sum()  # noqa: E731
    assert np.isfinite(jax.grad(total)(jnp.zeros((1, 3, 4, 2)))).all()


def test_half_precision_activations_are_near_and_stay_half(vgg19):
    image = picture(32, 32)
    full = run(vgg19, image, ("relu1_1", "relu4_1"))
    half = run(vgg19, image, ("relu1_1", "relu4_1"), dtype="bfloat16")
    for name, expected in full.items():
        assert half[name].dtype == jnp.bfloat16
        error = np.abs(np.float32(half[name]) - expected).mean()
        assert error < 0.05 * np.abs(expected).mean(), name


def test_preprocessing_is_caffes(vgg19):
    # Keras' preprocess_input: BGR in 0..255 minus (103.939, 116.779, 123.68).
    image = picture(2, 3)
    expected = 255 * image[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    actual = vgg.preprocess(vgg19, batch(image))[0]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)


def test_the_mean_pixel_is_what_the_network_sees_as_zero(vgg19):
    colour = np.array([123.68, 116.779, 103.939]) / 255  # red, green, blue
    np.testing.assert_allclose(vgg.mean_pixel(vgg19), colour, rtol=1e-5)


def test_too_small_an_image_is_refused_with_the_size_it_needs(vgg19):
    with pytest.raises(ValueError) as info:
        vgg.extract(vgg19, batch(picture(9, 120)), ("relu5_1",))
    assert str(info.value) == (  # design.md, section 7
        "image is 9x120 (height x width) but relu5_1 of vgg19 needs at least 16 pixels "
        "a side; use a larger size_px"
    )


@pytest.mark.parametrize(
    ("layer", "options", "needed"),
    [
        ("relu1_1", {}, 1),
        ("relu2_1", {}, 2),
        ("pool5", {}, 32),
        ("relu5_1", {"pooling_ceil": True}, 1),
        ("relu2_1", {"padding": "reflect"}, 4),
        ("relu1_1", {"padding": "reflect"}, 2),
        ("relu3_1", {"padding": "reflect", "pooling_ceil": True}, 5),
        ("relu3_1", {"padding": "reflect", "padding_layers": "first"}, 4),
    ],
)
def test_the_smallest_image_passes_and_one_pixel_less_does_not(
    vgg19, layer, options, needed
):
    found = run(vgg19, picture(needed, 40), (layer,), **options)
    assert min(found[layer].shape) > 0
    if needed > 1:
        with pytest.raises(ValueError, match=f"needs at least {needed} pixels a side"):
            vgg.extract(vgg19, batch(picture(needed - 1, 40)), (layer,), **options)


def test_a_network_of_any_width_is_read_from_its_parameters():
    params = tiny_params(channels=6)
    assert run(params, picture(4, 4), ("relu2_1",))["relu2_1"].shape == (1, 2, 2, 6)


@pytest.mark.parametrize("option", ["pooling", "padding", "padding_layers"])
def test_unknown_options_are_refused(vgg19, option):
    with pytest.raises(ValueError, match=f"unknown {option} 'none'. Options: "):
        vgg.extract(vgg19, batch(picture(4, 4)), ("relu1_1",), **{option: "none"})


def test_no_layers_give_no_features(vgg19):
    assert vgg.extract(vgg19, batch(picture(4, 4)), ()) == {}


def test_poolings_rescale_as_the_peer_measured():
    # crowsonkb/style-transfer-pytorch, VGGFeatures.poolings and pooling_scales.
    scales = {name: row.rescale for name, row in POOLINGS.items()}
    assert scales == {"max": 1.0, "average": 2.0, "l2": 0.78}
