"""N pictures in one program: equal to N runs alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import picture

import jnst
from jnst.bench.cases import OBJECTIVE, Case, make_pictures
from jnst.bench.measure import on_host
from jnst.bench.prepared import prepare

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENTS = np.stack([picture(24, 26, seed) for seed in (1, 2, 3)])
STYLES = np.stack([picture(22, 20, seed) for seed in (4, 5, 6)])
SHALLOW = {
    "style_layers": ("relu1_1", "relu2_1"),
    "content_layers": ("relu2_2",),
    "init": "noise",
    "steps": 4,
    "epsilon": 1e-5,  # or Adam makes whole steps of gradients that are but rounding
}


def alone(params, content, style, recipe, **changes):
    return jnst.stylize(content, style, recipe, weights=params, **SHALLOW | changes)


@pytest.mark.parametrize("several", ["contents", "styles", "both"])
@pytest.mark.parametrize("recipe", ["jnst", "gatys"])
def test_each_picture_runs_as_if_alone(vgg19, several, recipe):
    contents = CONTENTS if several != "styles" else CONTENTS[0]
    styles = STYLES if several != "contents" else STYLES[0]
    batch = alone(vgg19, contents, styles, recipe)
    assert batch.image.shape == (3, 24, 26, 3)
    assert all(v.shape == (3, 4) for v in batch.history.values())
    for n, one in enumerate(batch.each()):
        content = contents[n] if contents.ndim == 4 else contents
        style = styles[n] if styles.ndim == 4 else styles
        single = alone(vgg19, content, style, recipe)
        for name, values in single.history.items():
            np.testing.assert_allclose(one.history[name], values, rtol=1e-4)
        np.testing.assert_allclose(one.image, single.image, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_a_batch_goes_from_coarse_to_fine_too(vgg19):
    changes = {"scale_ratio": 2.0, "min_size_px": 12, "scale_steps": (2, 2)}
    batch = alone(vgg19, CONTENTS, STYLES[0], "jnst", **changes)
    assert [stage.shape for stage in batch.stages] == [(12, 13), (24, 26)]
    single = alone(vgg19, CONTENTS[1], STYLES[0], "jnst", **changes)
    np.testing.assert_allclose(
        batch.history["loss"][1], single.history["loss"], rtol=1e-4
    )


def test_a_list_of_contents_is_a_batch_and_a_list_of_styles_a_blend(vgg19):
    listed = alone(vgg19, list(CONTENTS), [STYLES[0], STYLES[1]], "jnst")
    single = alone(vgg19, CONTENTS[2], [STYLES[0], STYLES[1]], "jnst")
    np.testing.assert_allclose(
        listed.history["loss"][2], single.history["loss"], rtol=1e-4
    )


def test_the_middle_takes_batches(vgg19):
    objective = jnst.make_objective(
        CONTENTS, STYLES, "tf-eager", weights=vgg19, **SHALLOW
    )
    losses = jax.jit(objective)(CONTENTS)
    assert losses.shape == (3,)
    state = jnst.init(objective, seed=[0, 1, 2])
    assert np.abs(state.image[0] - state.image[1]).max() > 0.1
    after, found = jax.jit(jnst.step)(objective, state)
    assert found["loss"].shape == (3,)
    assert jnst.shown(objective, after).shape == CONTENTS.shape
    single = jnst.make_objective(
        CONTENTS[1], STYLES[1], "tf-eager", weights=vgg19, **SHALLOW
    )
    np.testing.assert_allclose(losses[1], single(CONTENTS[1]), rtol=1e-5)
    assert "batch=3" in repr(objective)


def test_a_line_search_runs_in_a_batch(vgg19):
    fields = {"content_weight": 0.0, "style_layers": ("relu1_1",), "steps": 2}
    batch = alone(vgg19, CONTENTS, STYLES[0], "keras-lbfgs", **fields)
    single = alone(vgg19, CONTENTS[0], STYLES[0], "keras-lbfgs", **fields)
    np.testing.assert_allclose(
        batch.history["loss"][0], single.history["loss"], rtol=1e-4
    )


def test_a_batch_has_diagnostics(vgg19):
    batch = alone(vgg19, CONTENTS, STYLES[0], "tf-eager", diagnostics=True, steps=2)
    assert batch.history["cosine_content_style"].shape == (3, 2)


def test_a_benchmarks_batch_is_the_products(vgg19):
    case = Case(OBJECTIVE, 32, 2)
    prepared = prepare(case, vgg19)
    measured = on_host(prepared.step())["loss"]
    pictures = make_pictures(case)
    objective = jnst.make_objective(
        pictures.contents[:, 0], pictures.style[0], OBJECTIVE, weights=vgg19
    )
    state = jnst.init(objective, pictures.first[:, 0])
    _, losses = jax.jit(jnst.step)(objective, state)
    np.testing.assert_allclose(measured[:, 0], losses["loss"], rtol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_an_objective_of_a_batch_takes_as_many_images(vgg19, count):
    fields = {"weights": vgg19, "terms": (jnst.Term("tv", "tv_mean_l2"),)}
    objective = jnst.make_objective(CONTENTS[:2], STYLES[0], **fields)
    with pytest.raises(
        ValueError, match=r"must be \[2, H, W, 3\], got \[" + str(count)
    ):
        jnst.init(objective, CONTENTS[:count])


@pytest.mark.parametrize(
    ("content", "style", "words"),
    [
        (CONTENTS, STYLES[:2], "batches of 2 and 3 images"),
        ([CONTENTS[0], CONTENTS[1][:20]], STYLES[0], "images of one size, got content"),
        ([], STYLES[0], "content is a list of no images"),
        (CONTENTS[:0], STYLES[0], "content is a batch of no images"),
        ([CONTENTS], STYLES[0], "content must be a list of images"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(vgg19, content, style, words):
    with pytest.raises(ValueError, match=words):
        jnst.stylize(content, style, weights=vgg19)


def test_a_loss_that_is_not_finite_names_the_picture(vgg19):
    bad = dict(optimizer="sgd", learning_rate=1e30, clip=False, ema=0.0, cooldown=0.0)
    with pytest.raises(jnst.NonFiniteLossError, match="picture 0 of the batch") as info:
        alone(vgg19, CONTENTS, STYLES[0], "jnst", returns="last", **bad)
    assert info.value.image.shape == (24, 26, 3)
    assert np.isfinite(info.value.image).all()


def test_seeds_and_rates_are_mapped(vgg19):
    objective = jnst.make_objective(
        CONTENTS[0], STYLES[0], "tf-eager", weights=vgg19, **SHALLOW
    )

    def first_loss(seed):
        return jnst.step(objective, jnst.init(objective, seed=seed))[1]["loss"]

    found = jax.jit(jax.vmap(first_loss))(jnp.arange(3))
    assert len(set(found.tolist())) == 3
    np.testing.assert_allclose(found[1], first_loss(1), rtol=1e-5)
    state = jnst.init(objective)

    def moved(rate):
        after, _ = jnst.step(objective, state.with_numbers(learning_rate=rate))
        return jnp.abs(after.image - state.image).mean()

    rates = jnp.array([0.5, 1.0, 2.0])
    found = jax.jit(jax.vmap(moved))(rates)
    np.testing.assert_allclose(found / found[1], rates, rtol=0.2)

    def own(rate):
        begun = jnst.init(objective, optimizer=optax.sgd(rate))
        return jnst.step(objective, begun)[0].image

    one, two = jax.jit(jax.vmap(own))(jnp.array([1e-9, 1e-7]))
    assert np.abs(two - state.image).max() > np.abs(one - state.image).max()
    with pytest.raises(ValueError, match="unknown number of an optimiser 'rate'"):
        state.with_numbers(rate=1.0)
