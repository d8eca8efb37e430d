"""Metrics of raw arrays: worked values of the reference, and twins in NumPy.

Worked values are of modern.md, M9 to M15, and losses.md, section C, whose float32
tolerance is 2e-5.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_metrics as references
from references_metrics import blocks, q
from tiny import picture, tiny_arrays, tiny_lpips, tiny_params
from worked import X8, Y8, A, B, S, X, Y

import jnst
from jnst import metrics
from jnst.losses.distributions import sliced_wasserstein
from jnst.metrics import colours, dists, features, lpips
from jnst.metrics.sorting import sliced_distance, sorted_values

RTOL = 2e-5
pytestmark = pytest.mark.usefixtures("quick_compile")


def f32(array):
    return np.asarray(array, np.float32)


def computed(name, result, reference, **options):
    return float(metrics.compute(name, f32(result), f32(reference), **options))


NOISE = q(35, 16, 20, 3), 0.75 * q(35, 16, 20, 3) + 0.25 * q(36, 16, 20, 3)
SMALL = q(31, 6, 5, 3), q(32, 6, 5, 3)


@pytest.mark.parametrize(
    ("name", "result", "reference", "options", "expected"),
    [
        ("cfsd", 32 * q(30, 3, 4, 5), 32 * q(29, 3, 4, 5), {}, 366.8623054),
        ("cfsd", 32 * q(29, 3, 4, 5), 32 * q(30, 3, 4, 5), {}, 374.0790567),
        ("cfsd", B, A, {}, 1.47255737),
        ("histogram", *SMALL, {}, 0.8690553007),
        ("histogram", *SMALL, {"bins": 16}, 0.8412718715),
        ("histogram", X8, Y8, {}, 0.8201494075),
        ("frechet", q(33, 6, 7, 4), q(34, 5, 8, 4), {}, 0.04400011112),
        ("frechet", A, B, {}, 0.4709462217),
        ("frechet", A, S, {}, 0.4555301174),
        ("frechet", X, Y, {}, 0.01088947229),
        ("ssim", *NOISE, {}, 0.9213281506),
    ],
)
def test_values_are_those_of_the_reference(name, result, reference, options, expected):
    found = computed(name, result, reference, **options)
    np.testing.assert_allclose(found, expected, rtol=RTOL)


@pytest.mark.parametrize(
    ("shape", "odd", "expected"),
    [
        # pytorch-msssim 1.0.0, float64, torch 2.14.1.
        ((161, 170), "zeros", 0.9366555386),
        ((163, 176), "zeros", 0.9368769229),
    ],
)
def test_ms_ssim_is_that_of_pytorch_msssim(shape, odd, expected):
    x, noise = q(35, *shape, 3), q(36, *shape, 3)
    found = computed("ms_ssim", x, 0.75 * x + 0.25 * noise, odd=odd)
    np.testing.assert_allclose(found, expected, rtol=RTOL)
    assert (
        abs(computed("ms_ssim", x, 0.75 * x + 0.25 * noise, odd="edge") - found) > 1e-4
    )


def test_an_odd_line_is_halved_as_either_source_does():
    from jnst.metrics.structure import _halved

    line = jnp.asarray([[[1.0], [2.0], [5.0]]] * 2)  # 2 x 3
    np.testing.assert_array_equal(_halved(line, "zeros")[0, :, 0], [0.5, 3.5])
    np.testing.assert_array_equal(_halved(line, "edge")[0, :, 0], [1.5, 5.0])


def test_ssim_of_smooth_pictures_is_the_twins():
    x, y = blocks(3, 20, 18), blocks(5, 20, 18)
    np.testing.assert_allclose(computed("ssim", x, y), references.ssim(x, y), rtol=RTOL)


def test_the_histogram_is_the_twins_entry_by_entry():
    found = colours.rgb_uv(jnp.asarray(f32(SMALL[0])))
    expected = references.rgb_uv(SMALL[0])
    np.testing.assert_allclose(expected.max(), 0.03374279742, rtol=1e-9)  # M10
    np.testing.assert_allclose(found, expected, rtol=5e-4, atol=1e-9)
    coarse = colours.rgb_uv(jnp.asarray(f32(SMALL[0])), bins=16)
    np.testing.assert_allclose(coarse[0, 8, 8], 0.0006195543217, rtol=1e-4)
    np.testing.assert_allclose(coarse.max(), 0.312402224, rtol=RTOL)


def test_pictures_above_256_are_made_256_square_for_the_histogram():
    large = blocks(3, 512, 512)
    found = colours.rgb_uv(jnp.asarray(f32(large)), bins=8)
    small = references.halved_by_points(large)
    expected = colours.rgb_uv(jnp.asarray(f32(small)), bins=8)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("size", [(6, 5), (3, 5), (7, 4)])
def test_colour_is_the_root_of_the_twins_sliced_distance(size):
    x, y = q(31, 6, 5, 3), q(32, *size, 3)
    expected = np.sqrt(references.sliced(x, y, colours.directions(32)))
    np.testing.assert_allclose(computed("colour", x, y), expected, rtol=RTOL)


def test_directions_are_spread_evenly():
    rows = colours.directions(32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(rows.T @ rows / 32, np.eye(3) / 3, atol=0.02)
    shifted = computed("colour", 0.5 * NOISE[0], 0.5 * NOISE[0] + 0.3)
    np.testing.assert_allclose(shifted, 0.3, rtol=0.02)  # |d| / root 3


def test_cfsd_is_the_twins_over_several_blocks_of_rows(monkeypatch):
    from jnst.losses import pairs

    monkeypatch.setattr(pairs, "BLOCK_ENTRIES", 100)  # blocks of 5 and a part
    maps = [f32(3 * q(seed, 4, 5, 6)) for seed in (1, 2)]
    found = jax.jit(lambda a, b: features.cfsd(a, b))(*maps)
    np.testing.assert_allclose(found, references.cfsd(*maps), rtol=RTOL)


@pytest.mark.parametrize("shape", [(3, 3, 12), (9, 8, 4)])
def test_frechet_is_the_twins_with_few_positions_and_with_many(shape):
    x, y = q(1, *shape), 2 * q(2, 4, 5, shape[2])
    expected = references.frechet(x, y)
    np.testing.assert_allclose(computed("frechet", x, y), expected, rtol=RTOL)


def test_gram_and_sliced_wasserstein_are_the_twins_through_the_network(vgg19):
    x, y = picture(16, 18, 1), picture(20, 16, 2)
    layers = features.UNSEEN_LAYERS
    ours, theirs = (
        {k: np.float64(v[0]) for k, v in jnst.features(z, layers, vgg19).items()}
        for z in (x, y)
    )
    found = computed("gram", x, y, weights=vgg19)
    np.testing.assert_allclose(found, references.gram(ours, theirs), rtol=1e-4)
    rows = jax.random.normal(jax.random.key(3), (8, 4), jnp.float32)
    rows = np.float64(rows / jnp.linalg.norm(rows, axis=1, keepdims=True))
    expected = np.mean(
        [
            references.sliced(ours[k], theirs[k], rows) / (theirs[k] ** 2).mean()
            for k in layers
        ]
    )
    options = {"weights": vgg19, "seed": 3, "count": 8}
    found = computed("sliced_wasserstein", x, y, **options)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_sliced_distance_is_that_of_the_style_loss():
    ours, theirs = jnp.asarray(f32(q(1, 12, 5))), jnp.asarray(f32(q(2, 9, 5)))
    rows = np.random.default_rng(0).normal(size=(6, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    directions = tuple(map(tuple, rows.tolist()))
    expected = sliced_wasserstein(ours, theirs, directions=directions)
    found = sliced_distance(ours, theirs, jnp.asarray(f32(rows)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_values_sorted_by_their_bits_are_sorted():
    rows = np.float32([[0.5, -0.0, -2, 3e-40, np.inf, -np.inf, 0, -1e-42, 1e30, -7]])
    np.testing.assert_array_equal(sorted_values(jnp.asarray(rows)), np.sort(rows))


def test_layers_that_gram_looks_at_are_those_that_no_recipe_does():
    looked_at = {
        layer
        for recipe in jnst.RECIPES.values()
        for term in recipe.objective.terms
        for layer in term.layers
    }
    assert "relu1_1" in looked_at
    for name in ("gram", "sliced_wasserstein"):
        assert len(metrics.METRICS[name].layers) == 4
        assert not looked_at & set(metrics.METRICS[name].layers)


def test_a_layer_of_lpips_has_the_reference_values():
    ones = jnp.ones(2)
    pair = jnp.asarray(f32(A)), jnp.asarray(f32(B))
    found = lpips.layer_distance(*pair, ones)
    np.testing.assert_allclose(found, 0.2451028338, rtol=RTOL)
    found = lpips.layer_distance(*pair, jnp.asarray([0.3, 0.7]))
    np.testing.assert_allclose(found, 0.1368779844, rtol=RTOL)
    found = lpips.layer_distance(jnp.asarray(f32(X)), jnp.asarray(f32(Y)), jnp.ones(3))
    np.testing.assert_allclose(found, 0.613611997, rtol=RTOL)


def test_lpips_is_the_twins_on_a_small_alexnet():
    weights = tiny_lpips()
    plain = jax.tree.map(np.float64, weights)
    x, y = blocks(3, 36, 33), blocks(5, 36, 33)

    def expected(a, b):
        maps = [references.alexnet(plain["network"], z) for z in (a, b)]
        triples = zip(*maps, plain["heads"], strict=True)
        return sum(references.lpips_layer(*each) for each in triples)

    found = computed("lpips_alex", x, y, weights=weights)
    np.testing.assert_allclose(found, expected(x, y), rtol=1e-4)
    grey = expected(references.grey(x), references.grey(y))
    found = computed("lpips_grey", x, y, weights=weights)
    np.testing.assert_allclose(found, grey, rtol=1e-4)
    assert abs(grey - expected(x, y)) > 1e-3
    factor = computed("artfid_content", x, y, weights=weights)
    np.testing.assert_allclose(factor, 1 + expected(x, y), rtol=1e-5)


def test_grey_is_pillows_at_every_level():
    ramp = np.stack(np.meshgrid(np.arange(0, 256, 5), np.arange(256)), axis=-1) / 255
    colours_ = f32(np.concatenate([ramp, ramp[::-1, :, :1]], axis=-1))
    found = np.asarray(lpips.as_grey(jnp.asarray(colours_)))
    np.testing.assert_allclose(found, references.grey(np.float64(colours_)), atol=1e-6)
    # M11: the network's input at [2, 3] of q(31; 6, 5, 3).
    exact = lpips.as_grey(jnp.asarray(f32(SMALL[0])))[2, 3]
    input_ = (np.float64(exact) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = [-0.4910523161, -0.3725490196, -0.148671024]
    np.testing.assert_allclose(input_, expected, rtol=RTOL)


def test_the_pooling_of_dists_is_the_twins():
    x = q(33, 6, 7, 4)
    found = np.asarray(dists.hann_pool(jnp.asarray(f32(x))[None])[0])
    np.testing.assert_allclose(found, references.hann_pool(x), rtol=RTOL)
    np.testing.assert_allclose(found.sum(), 22.4734836, rtol=RTOL)  # M12
    np.testing.assert_allclose(found[0, 0, 0], 0.4756021673, rtol=RTOL)


def test_the_score_of_dists_is_the_references():
    x = [q(31, 6, 5, 3)[:5, :, :2], q(7, 4, 5, 3)]
    y = [q(32, 6, 5, 3)[:5, :, :2], q(7, 4, 5, 3)[::-1]]
    alpha = 1 + np.arange(5) / 8
    arrays = jax.tree.map(lambda z: jnp.asarray(f32(z)), (x, y, alpha, 2 * alpha[::-1]))
    found = dists.similarity(*arrays)
    np.testing.assert_allclose(found, 0.6826802682, rtol=RTOL)  # M12
    expected = references.dists_similarity(x, y, alpha, 2 * alpha[::-1])
    np.testing.assert_allclose(found, expected, rtol=RTOL)
    quarter = jnp.full(2, 0.25)
    one = [jnp.asarray(f32(A))], [jnp.asarray(f32(B))]
    np.testing.assert_allclose(  # losses.md, C
        dists.similarity(*one, quarter, quarter), 0.4283548705, rtol=RTOL
    )


def test_means_far_above_deviations_leave_structure_its_digits():
    x, y = 100 + q(1, 6, 5, 2), 100 + q(2, 6, 5, 2)
    zeros, ones = np.zeros(2), np.ones(2)
    expected = references.dists_similarity([x], [y], zeros, ones)
    arrays = jax.tree.map(lambda z: jnp.asarray(f32(z)), ([x], [y], zeros, ones))
    np.testing.assert_allclose(dists.similarity(*arrays), expected, rtol=1e-4)


def test_dists_looks_through_vgg16_with_its_own_pooling():
    import references_network

    arrays = tiny_arrays("vgg16")
    x, found = picture(18, 21, 4), []
    z = x @ arrays["preprocess"]["kernel"] + arrays["preprocess"]["bias"]
    for block, count in enumerate((2, 2, 3, 3, 3), start=1):
        z = references.hann_pool(z) if block > 1 else z
        for index in range(1, count + 1):
            layer = arrays[f"conv{block}_{index}"]
            z = np.maximum(
                references_network.convolve(z, layer["kernel"], layer["bias"]), 0
            )
        found.append(z)
    maps = jax.jit(dists.stages)(tiny_params("vgg16"), jnp.asarray(x))
    np.testing.assert_array_equal(maps[0], x)
    for ours, theirs in zip(maps[1:], found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_the_scale_of_a_networks_input_is_read_from_it(vgg19):
    np.testing.assert_allclose(features.input_scale(vgg19), 255 * 0.226, rtol=1e-3)
    kernel = jnp.diag(1 / jnp.array([0.229, 0.224, 0.225]))
    torch = {"preprocess": {"kernel": kernel}}
    np.testing.assert_allclose(features.input_scale(torch), 1, rtol=1e-6)
