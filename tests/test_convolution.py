"""Convolutions: Winograd's against the definition, and which layer takes which."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_network as references
from jax.test_util import check_grads
from tiny import batch, picture, tiny_params

import jnst
from jnst.network import convolution, vgg
from jnst.network import winograd as algorithm
from jnst.network.convolution import COLUMNS, WINOGRAD, convolve, prepare
from jnst.network.winograd import transformed_kernel
from jnst.objective.features import make_network

# Winograd's rounding in float32, relative to the largest value; measured 3e-7 to 3e-6.
TOLERANCE = 1e-5
# Of the length of the result, of noise, with factors in bfloat16; measured 4.1e-3 and
# 1.4e-2, where the definition's has 2.3e-3 by the rounding of kernel and result.
HALF_ERRORS = {2: (3e-3, 6e-3), 4: (6e-3, 2e-2)}
SIZES = [(1, 1), (2, 3), (4, 4), (5, 9), (13, 18), (40, 33)]


@pytest.fixture(params=[2, 4], ids=["F(2x2)", "F(4x4)"])
def tile(request):
    return request.param


def maps_and_layer(height, width, inputs=5, outputs=3, n=1):
    rng = np.random.default_rng(height + width)
    maps = rng.normal(0.5, 1, (n, height, width, inputs)).astype(np.float32)
    kernel = rng.normal(0, 1, (3, 3, inputs, outputs)).astype(np.float32)
    bias = rng.normal(0, 1, outputs).astype(np.float32)
    return jnp.asarray(maps), {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}


def slow_convolution(maps, kernel):
    """Loops over the kernel's nine taps, in float64, map by map."""
    kernel, none = np.float64(kernel), np.zeros(kernel.shape[3])
    return np.stack([references.convolve(np.float64(x), kernel, none) for x in maps])


def winograd(maps, kernel):
    """The convolution alone."""
    return algorithm.winograd(maps, kernel, jnp.zeros((1, 1, 1, 1)), False)


def with_winograd(layer, tile):
    return {"bias": layer["bias"], WINOGRAD: transformed_kernel(layer["kernel"], tile)}


def assert_close(actual, expected):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE * largest)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_winograd_is_the_definition(maybe_jit, height, width, tile):
    maps, layer = maps_and_layer(height, width)
    actual = maybe_jit(lambda x, k: winograd(x, k))(
        maps, transformed_kernel(layer["kernel"], tile)
    )
    expected = slow_convolution(maps, layer["kernel"])
    assert actual.shape == expected.shape
    assert_close(actual, expected)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_gradient_of_winograd_is_that_of_the_definition(height, width, tile):
    maps, layer = maps_and_layer(height, width)
    rng = np.random.default_rng(1)
    pull = jnp.asarray(rng.normal(0, 1, (1, height, width, 3)), jnp.float32)
    _, back = jax.vjp(
        lambda x: winograd(x, transformed_kernel(layer["kernel"], tile)), maps
    )
    # The adjoint: a convolution with the kernel flipped in space, channels swapped.
    flipped = np.asarray(layer["kernel"])[::-1, ::-1].swapaxes(2, 3)
    assert_close(back(pull)[0], slow_convolution(pull, flipped))


def test_winograd_is_linear_in_its_maps_so_its_gradient_is_exact_in_float64(tile):
    """<g, W x> = <W^T g, x>, for the float32 transforms, checked in float64 sums."""
    maps, layer = maps_and_layer(9, 11)
    kernel = transformed_kernel(layer["kernel"], tile)
    found, back = jax.vjp(lambda x: winograd(x, kernel), maps)
    pull = jnp.asarray(np.random.default_rng(2).normal(0, 1, found.shape), jnp.float32)
    one = np.vdot(np.float64(pull), np.float64(found))
    other = np.vdot(np.float64(back(pull)[0]), np.float64(maps))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_kernel_of_one_one_shifts_the_map(tile):
    """Worked by hand: a 1 left of the middle reads the pixel to the left."""
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 0] = 1
    maps = jnp.arange(20, dtype=jnp.float32).reshape(1, 4, 5, 1)
    found = winograd(maps, transformed_kernel(jnp.asarray(kernel), tile))
    expected = np.pad(np.arange(20.0).reshape(4, 5), ((0, 0), (1, 0)))[:, :5]
    np.testing.assert_allclose(found[0, ..., 0], expected, atol=2e-5)


def test_points_are_closed_under_the_negative_inverse(tile):
    points = algorithm.POINTS[tile]
    finite = [p for p in points if p]
    assert {-1 / p for p in finite} == set(finite)
    assert 0 in points  # whose partner is infinity


def test_transforms_convolve_one_row_exactly(tile):
    """Toom-Cook in exact arithmetic: one tile of a row, from float64 matrices."""
    kernel, transform, output, turned, turned_output = map(
        np.float64, algorithm.matrices(tile)
    )
    rng = np.random.default_rng(0)
    row, taps = rng.normal(size=tile + 2), rng.normal(size=3)
    plain = output @ ((kernel @ taps) * (transform @ row))
    flipped = turned_output @ ((kernel @ taps) * (turned @ row))
    np.testing.assert_allclose(plain, np.correlate(row, taps, "valid"), atol=1e-6)
    np.testing.assert_allclose(flipped, np.convolve(row, taps, "valid"), atol=1e-6)


@pytest.mark.parametrize("backward", [False, True])
def test_strips_join_without_a_seam(monkeypatch, backward, tile):
    maps, layer = maps_and_layer(33, 20, outputs=5)
    kernel = transformed_kernel(layer["kernel"], tile)
    whole = algorithm._convolved(maps, kernel, backward)
    monkeypatch.setattr(algorithm, "STRIP_TILES", {2: 5, 4: 5})
    monkeypatch.setattr(algorithm, "STRIP_NUMBERS", 0)
    apart = algorithm._convolved(maps, kernel, backward)
    assert_close(apart, whole)


@pytest.mark.parametrize("few", [0, 10**6])
def test_both_orders_of_the_product_agree(monkeypatch, few, tile):
    maps, layer = maps_and_layer(12, 20)
    monkeypatch.setattr(algorithm, "FEW_TILES", few)
    found = algorithm._convolved(maps, transformed_kernel(layer["kernel"], tile), False)
    assert_close(found, slow_convolution(maps, layer["kernel"]))


@pytest.mark.parametrize("rectify", [False, True])
def test_bias_and_relu_in_one_piece_are_those_after_it(rectify, maybe_jit, tile):
    maps, layer = maps_and_layer(9, 14)
    kernel, bias = (
        transformed_kernel(layer["kernel"], tile),
        layer["bias"].reshape(1, 1, 1, -1),
    )
    weights = jnp.cos(jnp.arange(9 * 14 * 3.0)).reshape(1, 9, 14, 3)

    def joined(x):
        return jnp.sum(weights * algorithm.winograd(x, kernel, bias, rectify))

    def after(x):
        found = winograd(x, kernel) + bias
        return jnp.sum(weights * (jax.nn.relu(found) if rectify else found))

    for differentiate in (lambda f: f, jax.grad):
        found, expected = (maybe_jit(differentiate(f))(maps) for f in (joined, after))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_batches_and_vmap_convolve_each_map(tile):
    maps, layer = maps_and_layer(9, 6, n=3)
    kernel = transformed_kernel(layer["kernel"], tile)
    expected = slow_convolution(maps, layer["kernel"])
    assert_close(winograd(maps, kernel), expected)
    each = jax.vmap(lambda x: winograd(x[None], kernel)[0])(maps)
    assert_close(each, expected)


def test_a_frozen_kernel_has_no_gradient(tile):
    maps, layer = maps_and_layer(4, 4)
    kernel = transformed_kernel(layer["kernel"], tile)
    gradient = jax.grad(lambda k: jnp.sum(winograd(maps, k)))(kernel)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("padding", ["constant", "edge", "reflect"])
def test_every_border_equals_the_twin(padding, tile):
    maps, layer = maps_and_layer(6, 7)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), padding)
    expected = slow_convolution(padded, layer["kernel"])[:, 1:-1, 1:-1]
    expected = expected + np.asarray(layer["bias"])
    assert_close(convolve(maps, layer, padding=padding), expected)
    if padding == "constant":
        assert_close(
            convolve(maps, with_winograd(layer, tile), padding=padding), expected
        )


def with_product(layer):
    columns = layer["kernel"].reshape(-1, layer["kernel"].shape[-1])
    return {"bias": layer["bias"], COLUMNS: columns}


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("padding", ["constant", "edge", "reflect"])
def test_one_product_is_the_definition_at_every_border(padding, rectify, maybe_jit):
    maps, layer = maps_and_layer(6, 7, n=2)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), padding)
    expected = slow_convolution(padded, layer["kernel"])[:, 1:-1, 1:-1]
    expected = expected + np.asarray(layer["bias"])
    expected = np.maximum(expected, 0) if rectify else expected
    how = {"padding": padding, "rectify": rectify}
    found = maybe_jit(lambda x: convolve(x, with_product(layer), **how))(maps)
    assert_close(found, expected)


@pytest.mark.parametrize("rectify", [False, True])
def test_the_gradient_of_one_product_is_that_of_differences(rectify):
    given = jax.tree.map(np.float64, maps_and_layer(4, 5))
    weights = np.cos(np.arange(4 * 5 * 3.0)).reshape(1, 4, 5, 3)
    with jax.enable_x64(True):
        maps, layer = jax.tree.map(jnp.asarray, given)

        def energy(x):
            how = {"padding": "reflect", "rectify": rectify}
            found = convolve(jnp.asarray(x), with_product(layer), **how)
            return jnp.sum(weights * found**2)

        check_grads(energy, (maps,), order=1, modes=["rev"], rtol=1e-6)


@pytest.mark.parametrize(
    ("padding", "dtype"), [("edge", "float32"), ("constant", "float16")]
)
def test_what_winograd_does_not_do_is_refused(padding, dtype, tile):
    maps, layer = maps_and_layer(6, 7)
    with pytest.raises(ValueError, match="set convolution=xla"):
        convolve(maps.astype(dtype), with_winograd(layer, tile), padding=padding)


def test_a_recipe_that_winograd_cannot_serve_is_refused_or_left_to_xla():
    with pytest.raises(ValueError, match="convolution=winograd needs padding=zeros"):
        jnst.Recipe(convolution="winograd", padding="reflect")
    params = tiny_params(channels=64)
    network = make_network(params, jnst.Recipe(padding="reflect").objective)
    assert transformed(network.params) == []


def transformed(params):
    return [name for name, layer in params.items() if WINOGRAD in layer]


def test_prepare_goes_as_deep_as_asked_and_skips_pixels():
    found = prepare(tiny_params(), ["image", "block3_conv1"], convolution="winograd")
    assert transformed(found) == ["conv1_2", "conv2_1", "conv2_2", "conv3_1"]


def test_auto_leaves_narrow_layers_to_xla():
    assert transformed(prepare(tiny_params(), ["relu5_1"], convolution="auto")) == []


def test_auto_takes_winograd_on_a_cpu_for_wide_layers():
    params = prepare(tiny_params(channels=64), ["relu2_1"], convolution="auto")
    on_cpu = jax.default_backend() == "cpu"
    assert transformed(params) == (["conv1_2", "conv2_1"] if on_cpu else [])


def test_auto_takes_one_product_on_a_cpu_for_the_first_layer_alone():
    def with_columns(**how):
        found = prepare(tiny_params(channels=64), ["relu2_1"], **how)
        return [name for name, layer in found.items() if COLUMNS in layer]

    on_cpu = jax.default_backend() == "cpu"
    assert with_columns(convolution="auto") == (["conv1_1"] if on_cpu else [])
    for how in ({"convolution": "xla"}, {"convolution": "winograd"}):
        assert with_columns(**how) == []
    halved = with_columns(convolution="auto", dtype="bfloat16")
    assert halved == (["conv1_1"] if on_cpu else [])


@pytest.mark.parametrize(("pixels", "tiles"), [(0, [36, 16]), (100, [36, 36])])
def test_kernels_with_many_outputs_have_small_tiles_for_small_images(
    monkeypatch, pixels, tiles
):
    monkeypatch.setattr(convolution, "SMALL_TILES_FROM", 9)
    monkeypatch.setattr(convolution, "LARGE_IMAGE", 100)
    params = {**tiny_params(channels=8), "conv2_1": tiny_params(channels=9)["conv2_1"]}
    found = prepare(params, ["relu2_1"], convolution="winograd", pixels=pixels)
    assert [found[k][WINOGRAD].shape[0] for k in ("conv1_2", "conv2_1")] == tiles


@pytest.mark.parametrize(("least", "tiles"), [(24 * 20 + 1, 16), (24 * 20, 36)])
def test_a_run_chooses_tiles_by_its_last_size(monkeypatch, least, tiles):
    monkeypatch.setattr(convolution, "SMALL_TILES_FROM", 8)
    monkeypatch.setattr(convolution, "LARGE_IMAGE", least)
    objective = jnst.make_objective(
        picture(24, 20),
        picture(40, 40, seed=1),
        weights=tiny_params(channels=8),
        convolution="winograd",
    )
    assert objective.extract.params["conv1_2"][WINOGRAD].shape[0] == tiles


def test_kernels_of_other_types_are_left_alone():
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), tiny_params())
    assert transformed(prepare(params, ["relu5_1"], convolution="winograd")) == []


def test_an_unknown_convolution_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'winograd'"):
        prepare(tiny_params(), ["relu1_1"], convolution="vinograd")
    with pytest.raises(ValueError, match="Did you mean 'winograd'"):
        jnst.Recipe(convolution="vinograd")


def test_features_through_winograd_are_those_of_the_definition():
    params, layers = tiny_params(channels=8), ("relu1_2", "relu3_1", "relu5_1")
    image = batch(picture(40, 52))
    plain = vgg.extract(params, image, layers)
    found = vgg.extract(prepare(params, layers, convolution="winograd"), image, layers)
    for layer in layers:
        assert_close(found[layer], plain[layer])


@pytest.mark.parametrize("pull", [False, True], ids=["value", "gradient"])
def test_bfloat16_is_rounded_where_products_and_layers_are_alone(tile, pull):
    """Transforms and sums are in float32: errors of factors alone remain."""
    maps, layer = maps_and_layer(17, 30, inputs=32, outputs=24)
    kernel = np.asarray(layer["kernel"])
    factor = transformed_kernel(layer["kernel"], tile).astype(jnp.bfloat16)
    run, expected = functools.partial(winograd, kernel=factor), kernel
    given = maps.astype(jnp.bfloat16)
    if pull:
        given = maps_and_layer(17, 30, inputs=24)[0].astype(jnp.bfloat16)
        run = jax.vjp(run, maps.astype(jnp.bfloat16))[1]
        expected = kernel[::-1, ::-1].swapaxes(2, 3)
    with jax.numpy_dtype_promotion("strict"):
        found = jax.tree.leaves(run(given))[0]
    assert found.dtype == jnp.bfloat16
    expected = slow_convolution(given, expected)
    error = np.linalg.norm(np.float64(found) - expected)
    least, most = HALF_ERRORS[tile]
    assert least < error / np.linalg.norm(expected) < most


@pytest.mark.parametrize(("native", "most"), [(False, 2e-2), (True, 6e-2)])
def test_a_kernel_is_in_bfloat16_where_that_is_multiplied(monkeypatch, native, most):
    monkeypatch.setattr(convolution, "multiplies_bfloat16", lambda: native)
    given = {"convolution": "winograd", "dtype": "bfloat16"}
    params, image = tiny_params(channels=8), batch(picture(40, 52))
    layers = ("relu1_2", "relu3_1")
    prepared = prepare(params, layers, **given)
    kernels = {prepared[name][WINOGRAD].dtype for name in transformed(prepared)}
    assert kernels == {np.dtype(jnp.bfloat16 if native else np.float32)}
    plain = vgg.extract(params, image, layers)
    with jax.numpy_dtype_promotion("strict"):
        found = vgg.extract(prepared, image, layers, dtype="bfloat16")
    for layer in layers:
        assert found[layer].dtype == jnp.bfloat16
        error = np.linalg.norm(np.float32(found[layer]) - plain[layer])
        assert error < most * np.linalg.norm(plain[layer])


@pytest.mark.slow
def test_a_run_through_winograd_is_that_of_the_definition(vgg19):
    images = picture(24, 20), picture(22, 26, seed=1)
    fields = {"steps": 3, "weights": vgg19, "content_layers": ("relu2_2",)}
    fields["style_layers"] = ("relu1_1", "relu2_1", "relu3_1")
    runs = [
        jnst.stylize(*images, "tf-tutorial", convolution=way, **fields)
        for way in ("xla", "winograd")
    ]
    losses = [run.history["loss"] for run in runs]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
