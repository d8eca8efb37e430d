"""STROTSS: worked values and twins of each part, hypercolumns, self-similarity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references_matching as twins
from compiled import computed
from jax.test_util import check_grads
from tiny import batch, feature_map, picture
from worked import RTOL, A, B, S, X, Y

from jnst.losses import compute, hypercolumns, pairs

pytestmark = pytest.mark.usefixtures("quick_compile")

INPUTS = {"A,B": (A, B), "A,S": (A, S), "X,Y": (X, Y)}
PARTS = {"remd": twins.remd, "moment": twins.moment}


@pytest.mark.parametrize(
    ("part", "pair", "expected"),
    [
        # losses.md, B13.
        ("remd", "A,B", 0.01484956837),
        ("remd", "A,S", 0.03389747062),
        ("remd", "X,Y", 0.03697894957),
        ("moment", "A,B", 0.5146484375),
        ("moment", "A,S", 0.6378038194),
        ("moment", "X,Y", 0.03934883777),
        ("palette", "X,Y", 0.195201673),
    ],
)
def test_parts_equal_the_catalogue(part, pair, expected, maybe_jit):
    fn = maybe_jit(lambda a, b: compute("strotss", a, b, part=part))
    actual = fn(*(jnp.asarray(f, jnp.float32) for f in INPUTS[pair]))
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize(
    ("pair", "expected"), [("A,B", 0.8655093311), ("X,Y", 0.6499064792)]
)
def test_self_similarity_equals_the_catalogue(pair, expected, maybe_jit):
    fn = maybe_jit(lambda a, b: compute("self_similarity", a, b))
    actual = fn(*(jnp.asarray(f, jnp.float32) for f in INPUTS[pair]))
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


def test_the_total_equals_the_catalogue():
    # B13: w = 4 with the content, A against S, and the palette of X and Y.
    parts = {p: float(computed("strotss", A, S, part=p)) for p in PARTS}
    palette = float(computed("strotss", X, Y, part="palette"))
    content = float(computed("self_similarity", A, B))
    total = 4 * content + parts["remd"] + parts["moment"] + palette / 4
    np.testing.assert_allclose(total / 6, 0.6970898388, rtol=RTOL)
    # Our whole has no content, and no palette for two channels: (remd + moment) / 6.
    whole = computed("strotss", A, S, content_weight=4.0)
    np.testing.assert_allclose(whole, (parts["remd"] + parts["moment"]) / 6, rtol=1e-6)


def test_the_whole_is_its_parts_under_their_weights():
    parts = {p: float(computed("strotss", X, Y, part=p)) for p in (*PARTS, "palette")}
    for m, w in ((1.0, 0.0), (0.5, 4.0)):
        whole = computed("strotss", X, Y, moment_weight=m, content_weight=w)
        extra = parts["moment"] + parts["palette"] / max(w, 1)
        expected = (parts["remd"] + m * extra) / (w + 1 + m)
        np.testing.assert_allclose(whole, expected, rtol=1e-5)


def three_layers(seed, height=8, width=6, dtype=np.float32):
    return {
        "image": batch(picture(height, width, seed), dtype),
        "relu2_1": feature_map(height // 2, width // 2, 4, seed + 1, dtype),
        "relu3_1": feature_map(height // 4, width // 4, 5, seed + 2, dtype),
    }


def arrays(layers):
    return {name: np.asarray(f[0], np.float64) for name, f in layers.items()}


def test_hypercolumns_match_their_twin_at_any_sizes():
    for height, width in ((8, 6), (9, 7)):  # halves, and not quite halves
        layers = three_layers(1, height, width)
        positions = jnp.asarray([0, 3, 17, height * width - 1])
        actual = jax.jit(hypercolumns.hypercolumns)(layers, positions)
        expected = twins.rows_of(twins.hypercolumns(arrays(layers)))
        np.testing.assert_allclose(actual, expected[positions], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("part", PARTS)
def test_parts_match_their_twins_on_layers_of_another_size(part):
    ours, theirs = three_layers(1), three_layers(2, 9, 11)
    fn = jax.jit(lambda a, b: computed("strotss", a, b, part=part))
    columns = (twins.hypercolumns(arrays(each)) for each in (ours, theirs))
    expected = PARTS[part](*columns)
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


def test_the_palette_is_that_of_the_image_among_the_layers():
    ours, theirs = three_layers(1), three_layers(2, 9, 11)
    expected = twins.palette(arrays(ours)["image"], arrays(theirs)["image"])
    actual = computed("strotss", ours, theirs, part="palette")
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    same = computed("strotss", ours, ours, part="palette")
    np.testing.assert_allclose(same, np.sqrt(1e-5 / 3), rtol=1e-3)  # clipped at 1e-5


def test_an_image_is_told_by_its_channels():
    maps = feature_map(3, 6, 4, seed=1), feature_map(3, 6, 4, seed=2)
    named = [{"features": each} for each in maps]
    np.testing.assert_allclose(
        computed("strotss", *maps), computed("strotss", *named), rtol=1e-6
    )


def test_self_similarity_matches_its_twin():
    ours, theirs = feature_map(seed=1), feature_map(seed=2)
    expected = twins.self_similarity(
        *(np.asarray(f[0], np.float64) for f in (ours, theirs))
    )
    np.testing.assert_allclose(
        computed("self_similarity", ours, theirs), expected, rtol=1e-5
    )


def test_blocks_change_neither_value_nor_gradient(monkeypatch):
    with jax.enable_x64(True):
        layers = [three_layers(seed, dtype=np.float64) for seed in (1, 2)]
        maps = [feature_map(6, 5, seed=s, dtype=np.float64) for s in (1, 2)]
        found = []
        for entries in (2**23, 40):  # one block; some
            monkeypatch.setattr(pairs, "BLOCK_ENTRIES", entries)
            style = jax.value_and_grad(lambda x: compute("strotss", x, layers[1]))
            content = jax.value_and_grad(
                lambda x: compute("self_similarity", x, maps[1])
            )
            found.append(
                jax.tree.leaves((jax.jit(style)(layers[0]), jax.jit(content)(maps[0])))
            )
    for each in found[1:]:
        for actual, expected in zip(each, found[0], strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


CHANGES = {
    "tile": lambda f: np.tile(f, (2, 2, 1)),
    "dup": lambda f: np.concatenate([f, f], axis=2),
    "x2": lambda f: 2 * f,
}


@pytest.mark.parametrize(
    ("name", "part"), [("strotss", "remd"), ("strotss", "moment"), ("self", "")]
)
def test_losses_scale_as_measured(name, part):
    # losses.md, D1; "moment" grows between 2 and 4 times with the features.
    name, options = (name, {"part": part}) if part else ("self_similarity", {})
    before = float(computed(name, A, B, **options))
    for change, apply in CHANGES.items():
        ratio = float(computed(name, apply(A), apply(B), **options)) / before
        if (change, part) == ("x2", "moment"):
            assert 2 < ratio < 4
        else:
            np.testing.assert_allclose(ratio, 1, rtol=1e-4)


def test_a_key_draws_the_same_samples_again_and_another_key_others():
    layers = three_layers(1), three_layers(2)
    maps = feature_map(seed=1), feature_map(seed=2)
    for draw in (
        lambda key: computed("strotss", *layers, key, samples=9, style_samples=9),
        lambda key: computed("self_similarity", *maps, key, samples=9),
    ):
        first, again, other = (
            float(jax.jit(draw)(jax.random.key(s))) for s in (1, 1, 2)
        )
        assert first == again != other


def test_sampling_takes_the_same_positions_of_both_images():
    features = feature_map(seed=1)
    loss = computed("self_similarity", features, features, jax.random.key(1), samples=5)
    assert float(loss) == 0


def test_parallel_vectors_have_no_shares():
    flat = jnp.full((1, 4, 4, 3), 0.3)
    other = feature_map(4, 4, seed=1)
    value, gradient = jax.value_and_grad(
        lambda x: computed("self_similarity", x, other)
    )(flat)
    np.testing.assert_allclose(value, 1, rtol=1e-5)  # all of the other's shares
    assert np.abs(gradient).max() == 0


def test_gradients_of_all_parts_equal_finite_differences():
    with jax.enable_x64(True):
        ours, theirs = (three_layers(s, dtype=np.float64) for s in (1, 2))
        for part in ("remd", "palette", "whole"):  # which has the moments beside
            fn = jax.jit(lambda x, p=part: computed("strotss", x, theirs, part=p))
            check_grads(
                fn, (ours,), order=1, modes=["rev"], rtol=1e-5, atol=1e-7, eps=1e-6
            )


def test_unusable_options_are_refused():
    for name, options, message in (
        ("strotss", {"part": "palette"}, "needs the layer 'image'"),
        ("strotss", {"part": "wole"}, "Did you mean 'whole'"),
        ("self_similarity", {"samples": 3}, "samples of self_similarity needs a key"),
    ):
        with pytest.raises(ValueError, match=message):
            compute(name, A, B, **options)
    with pytest.raises(ValueError, match="features and target must have the same"):
        compute("self_similarity", A, S)


def test_a_single_map_is_the_image_if_it_has_three_channels():
    assert list(hypercolumns.all_layers(feature_map(5, 4, 3))) == ["image"]
    assert list(hypercolumns.all_layers(feature_map(3, 3, 4))) == ["features"]
