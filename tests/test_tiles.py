"""Loss and gradient by tiles: those of the whole image, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.losses import IMAGE_LOSSES
from jnst.network.layers import Section
from jnst.objective.value import add_up, terms_at
from jnst.scale import windows
from jnst.scale.evaluation import evaluate
from jnst.scale.windows import lay_out, reach, spans

pytestmark = pytest.mark.usefixtures("quick_compile")
PARAMS = tiny_params()
LAYERS = {
    "style_layers": ("relu1_1", "pool1", "conv3_1"),
    "content_layers": ("relu2_2",),
    "style_layer_weights": (3.0, 1.0, 1.0),
}
FIELDS = {"weights": PARAMS, "recipe": "jnst", "shift_px": 0, **LAYERS}
FIELDS |= {"style_loss": "gram", "style_weight": 1.0, "content_weight": 1.0}
LOSS, GRADIENT = 1e-5, 1e-4


def objective_of(shape=(39, 46), **changes):
    given = picture(*shape, 1), picture(30, 25, 2)
    return jnst.make_objective(*given, **(FIELDS | changes))


def tiled(objective, tile_px):
    """The same with tiles of any size, also below what a recipe may ask for."""
    structure = objective.structure._replace(tile_px=tile_px)
    return dataclasses.replace(objective, structure=structure)


@jax.jit
def whole(objective, image):
    def value(x):
        terms = terms_at(objective, x, key=jax.random.key(0))
        return add_up(terms), terms

    (loss, terms), gradient = jax.value_and_grad(value, has_aux=True)(image)
    return loss, gradient, terms


def check_equal(objective, tile_px, image):
    loss, gradient, terms = whole(objective, image)
    found = evaluate(tiled(objective, tile_px), image, jax.random.key(0))
    np.testing.assert_allclose(found[0], loss, rtol=LOSS)
    assert {*found[2]} == {*objective.names}
    for name, value in terms.items():
        np.testing.assert_allclose(found[2][name], value, rtol=LOSS)
    error = jnp.abs(found[1] - gradient).max() / jnp.abs(gradient).max()
    assert float(error) < GRADIENT
    return float(error)


@pytest.mark.parametrize("side", [16, 37, 64, 65, 130])
@pytest.mark.parametrize(
    ("tile", "margin", "stride"), [(16, 8, 4), (7, 4, 2), (5, 1, 1)]
)
def test_cores_cover_an_axis_once_and_margins_are_kept(side, tile, margin, stride):
    length, found = spans(side, tile, margin, stride)
    covered = [n for each in found for n in range(each.begin, min(each.end, side))]
    assert covered == list(range(side))
    for each in found:
        low, high = each.start, each.start + length
        assert 0 <= low and high <= side and low % stride == each.begin % stride == 0
        assert low == 0 or each.begin - low >= margin
        assert high == side or high - side % stride - each.end >= margin
    assert (side - length) % stride == 0


def test_a_section_looks_as_far_as_its_convolutions():
    first = Section("", "pool2", ())
    assert reach("vgg19", first) == (8, 4)  # 1 + 1 + 2 + 2 pixels, in whole strides
    assert reach("vgg19", Section("pool2", "pool3", ())) == (4, 2)
    assert reach("vgg16", Section("pool4", "relu5_1", ())) == (1, 1)


def test_what_is_small_enough_is_seen_whole():
    pieces = lay_out("vgg19", ["relu5_1"], (300, 200), tile_px=64, ceil=False)
    assert [p.section.end for p in pieces] == ["pool2", "pool3", "relu5_1"]
    assert [p.whole for p in pieces] == [False, False, True]
    alone = lay_out("vgg19", ["relu5_1"], (64, 60), tile_px=64, ceil=False)
    assert [p.section.end for p in alone] == ["relu5_1"] and alone[0].whole


POOLINGS = [
    {"pooling": "average", "padding": "reflect", "padding_layers": "all"},
    {"pooling": "l2", "pooling_ceil": True, "padding": "replicate"},
    {"padding": "replicate", "padding_layers": "all", "white": 256.0},
    {"convolution": "winograd", "padding": "zeros", "content_loss": "half_sum"},
]


@pytest.mark.parametrize(
    "changes", POOLINGS, ids=lambda x: "-".join(map(str, x.values()))
)
def test_tiles_give_loss_and_gradient_of_the_whole(changes):
    objective = objective_of(**changes)
    image = jnp.asarray(picture(39, 46, 3))[None] * objective.structure.pixel_scale
    check_equal(objective, 16, image)


def test_what_comes_after_pool2_may_be_whole():
    pieces = lay_out("vgg19", ["conv3_1"], (39, 46), tile_px=24, ceil=False)
    assert [p.whole for p in pieces] == [False, True]
    check_equal(objective_of(), 24, jnp.asarray(picture(39, 46, 3))[None])


def test_a_margin_that_is_too_small_would_be_seen(monkeypatch):
    monkeypatch.setattr(windows, "reach", lambda *given: (4, 4))
    image = jnp.asarray(picture(39, 46, 3))[None]
    with pytest.raises(AssertionError):
        check_equal(objective_of(), 16, image)


def test_deep_sections_and_the_default_loss_are_the_same_in_tiles():
    changes = {"style_loss": "wasserstein2", "style_layers": ("relu1_1", "relu4_1")}
    changes |= {"content_layers": ("relu4_2",), "style_layer_weights": (1.0, 1.0)}
    changes |= {"style_options": (("form", "factored"),)}
    objective = objective_of((70, 61), **changes)
    image = jnp.asarray(picture(70, 61, 3))[None]
    pieces = lay_out("vgg19", ["relu4_2"], (70, 61), tile_px=12, ceil=False)
    assert [p.whole for p in pieces] == [False, False, True]
    check_equal(objective, 12, image)


def test_two_styles_and_terms_on_pixels_are_the_same_in_tiles():
    terms = (
        *jnst.RECIPES["jnst"].objective.terms,
        jnst.Term("edges", "laplacian", ("image",), 0.1),
        jnst.Term("mine", lambda maps: jnp.mean(maps["image"] ** 3), ("image",)),
    )
    given = FIELDS | {"terms": terms, "blend": (0.3, 0.7)}
    styles = [picture(30, 25, 2), picture(20, 33, 4)]
    objective = jnst.make_objective(picture(39, 46, 1), styles, **given)
    check_equal(objective, 16, jnp.asarray(picture(39, 46, 3))[None])


CHANNELS = [name for name, row in IMAGE_LOSSES.items() if row.channels]


@pytest.mark.parametrize("name", CHANNELS)
def test_a_loss_on_pixels_is_that_of_its_channels(name):
    row, image = IMAGE_LOSSES[name], jnp.asarray(picture(9, 11, 5))[None]
    each = jnp.stack([row.value(image[..., n : n + 1]) for n in range(3)])
    joined = jnp.mean(each) if row.channels == "mean" else jnp.sum(each)
    np.testing.assert_allclose(joined, row.value(image), rtol=2e-6)
