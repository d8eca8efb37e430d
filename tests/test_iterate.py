"""The loop as an iterator: events, sizes, optimisers of one's own, line searches."""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from made import begin, objective_of
from tiny import batch, picture

import jnst
from jnst.loop import iterate
from jnst.loop.sizes import resized
from jnst.loop.step import run_chunk
from jnst.program import jitted

pytestmark = pytest.mark.usefixtures("quicker_compile")
CONTENT, STYLE = picture(24, 26, 1), picture(22, 20, 2)
SHALLOW = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": ("relu2_2",)}
COARSE = {"scale_ratio": 2.0, "min_size_px": 12, "scale_steps": (4, 6)}


@pytest.fixture(scope="module")
def objective(vgg19):
    return jnst.make_objective(CONTENT, STYLE, "tf-tutorial", weights=vgg19, **SHALLOW)


def test_events_tell_steps_losses_and_pictures(objective):
    events = list(jnst.iterate(objective, steps=6, every=3))
    assert [event.step for event in events][-1] == 6
    assert {3, 6} <= {event.step for event in events}
    assert sum(len(event.losses["loss"]) for event in events) == 6
    assert events[-1].image.shape == CONTENT.shape
    assert events[-1].seconds > 0 and events[0].compile_seconds > 0


def test_it_is_so_many_steps_and_leaves_the_state_alone(objective):
    start = jnst.init(objective, seed=3)
    kept = jax.tree.map(jnp.copy, start)
    losses = np.concatenate(
        [e.losses["loss"] for e in jnst.iterate(objective, start, steps=4)]
    )
    np.testing.assert_array_equal(start.image, kept.image)
    state, step, one_by_one = kept, jax.jit(jnst.step), []
    for _ in range(4):
        state, found = step(objective, state)
        one_by_one.append(float(found["loss"]))
    np.testing.assert_allclose(losses, one_by_one, rtol=1e-5)

    def body(carry, _):
        return jnst.step(objective, carry)

    _, scanned = jax.jit(lambda s: jax.lax.scan(body, s, None, length=4))(kept)
    np.testing.assert_allclose(scanned["loss"], one_by_one, rtol=1e-5)


def test_without_steps_it_takes_the_recipes(vgg19):
    found = jnst.make_objective(
        CONTENT, STYLE, "tf-tutorial", weights=vgg19, steps=3, **SHALLOW
    )
    assert list(jnst.iterate(found))[-1].step == 3
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        jnst.iterate(found, steps=0)
    with pytest.raises(ValueError, match="at least one size"):
        jnst.iterate([])


def test_one_step_is_a_run_and_a_larger_state_is_brought_down(vgg19):
    recipe = jnst.Recipe(terms=(jnst.Term("tv", "tv_mean_l2"),))
    large, small = (
        objective_of(vgg19, recipe, batch(picture(*shape)))
        for shape in ((12, 14), (6, 7))
    )
    [event] = jnst.iterate(large, steps=1)
    assert (event.step, event.steps) == (1, 1)
    [event] = jnst.iterate(small, event.state, steps=1)
    assert event.image.shape == (6, 7, 3)


def test_coarse_to_fine_is_what_stylize_does(vgg19):
    changes = {"weights": vgg19, **SHALLOW, **COARSE}
    result = jnst.stylize(CONTENT, STYLE, **changes)
    sizes = jnst.coarse_to_fine(CONTENT, STYLE, **changes)
    assert [size.steps for size in sizes] == [4, 6]
    events = list(jnst.iterate(sizes))
    losses = np.concatenate([event.losses["loss"] for event in events])
    np.testing.assert_array_equal(losses, result.history["loss"])
    shapes = [event.image.shape[:2] for event in events]
    assert shapes[0] == (12, 13) and shapes[-1] == (24, 26)
    np.testing.assert_array_equal(events[-1].image, result.image)
    with pytest.raises(ValueError, match="steps of its own"):
        jnst.iterate(sizes, steps=3)


def lengths(run):
    """Mean absolute move at each step of gradient descent on a flat loss."""
    images = [np.asarray(event.state.image) for event in run]
    return [np.abs(b - a).mean() for a, b in zip(images, images[1:], strict=False)]


def counting():
    """A transformation that moves every pixel by the number of steps so far."""

    def init(image):
        return {"count": jnp.zeros((), jnp.int32)}

    def update(gradient, state, image=None):
        count = state["count"] + 1
        move = jnp.full_like(gradient, count.astype(gradient.dtype))
        return move, {"count": count}

    return optax.GradientTransformation(init, update)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (counting(), [1, 2, 3, 4, 5, 6]),
        (optax.chain(optax.sign_sgd(1.0), optax.scale(0.0), counting()), range(1, 7)),
        (
            optax.chain(
                optax.scale(0.0),
                optax.stateless(lambda u, p: jax.tree.map(jnp.ones_like, u)),
                optax.scale_by_schedule(lambda count: 10.0 + count),
            ),
            [10, 11, 12, 13, 14, 15],
        ),
    ],
    ids=["own", "chained", "schedule"],
)
def test_an_own_optimizer_counts_steps_over_all_sizes(vgg19, optimizer, expected):
    changes = {"scale_ratio": 2.0, "min_size_px": 12, "scale_steps": (3, 3)}
    recipe = jnst.Recipe(
        terms=(jnst.Term("tv", "tv_mean_l2"),),
        optimizer=optimizer,
        clip=False,
        **changes,
    )
    moves, before = [], None
    for event in jnst.iterate(
        jnst.coarse_to_fine(CONTENT, STYLE, recipe, weights=vgg19), every=1
    ):
        mean = float(np.mean(event.state.image))
        if before is not None:
            moves.append(mean - before)
        before = mean
    np.testing.assert_allclose(moves, list(expected)[1:], rtol=0, atol=0.05)


def test_a_cooldown_shortens_an_own_optimizers_steps_as_well(vgg19):
    recipe = jnst.Recipe(
        terms=(jnst.Term("tv", "tv_mean_l2"),), optimizer=counting(), clip=False,
        cooldown=0.5, scale_steps=(4,),
    )  # fmt: skip
    found = jnst.make_objective(CONTENT, STYLE, recipe, weights=vgg19)
    images = [float(e.state.image.mean()) for e in jnst.iterate(found, every=1)]
    moves = np.diff([CONTENT.mean(), *images])
    np.testing.assert_allclose(moves, [1, 2, 3, 4 * 0.5], rtol=1e-3)


def test_what_does_nothing_is_said(vgg19, caplog):
    changes = {"weights": vgg19, "steps": 1, **SHALLOW}
    with caplog.at_level(logging.WARNING, "jnst"):
        jnst.stylize(
            CONTENT, STYLE, optimizer=optax.sgd(0.1), learning_rate=0.5, **changes
        )
        jnst.stylize(CONTENT, STYLE, optimizer="sgd", beta1=0.5, **changes)
        jnst.stylize(CONTENT, STYLE, optimizer="adam", beta1=0.5, **changes)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("learning_rate=0.5 does nothing: your own transformation")
    assert said[1] == "beta1=0.5 does nothing: optimizer=sgd does not take it"


def test_a_row_of_the_table_is_an_optimizer(vgg19, monkeypatch):
    monkeypatch.setitem(jnst.OPTIMIZERS, "lion", optax.lion)
    result = jnst.stylize(
        CONTENT, STYLE, "tf-tutorial", optimizer="lion", learning_rate=0.01, steps=3,
        init="noise", weights=vgg19, **SHALLOW,
    )  # fmt: skip
    assert result.recipe.optimizer == "lion"
    assert result.history["loss"][-1] < result.history["loss"][0]
    with pytest.raises(ValueError, match="Did you mean 'lion'"):
        jnst.Recipe(optimizer="lyon")
    with pytest.raises(ValueError, match="an optax transformation such as"):
        jnst.Recipe(optimizer=3)


def test_rates_compile_nothing(vgg19):
    changes = {"weights": vgg19, "steps": 2, **SHALLOW}
    jnst.stylize(CONTENT, STYLE, **changes)
    rates = {"learning_rate": 0.5, "beta1": 0.5, "decay_rate": 0.5, "epsilon": 1e-3}
    result = jnst.stylize(CONTENT, STYLE, **changes, **rates, ema=0.5, seed=5)
    assert result.compile_seconds < 0.1


def evaluations(vgg19, optimizer, steps, **changes):
    """How often the loss of a pixel's square is evaluated in a run, and its losses."""
    seen = []

    def loss(found):
        jax.debug.callback(lambda: seen.append(1))
        return jnp.sum((found["image"] - 0.3) ** 2)

    recipe = jnst.Recipe(
        terms=(jnst.Term("square", loss, ("image",)),),
        optimizer=optimizer,
        clip=False,
        **changes,
    )
    objective = objective_of(vgg19, recipe)
    state, step, losses = begin(recipe, batch(picture(6, 7))), jax.jit(jnst.step), []
    for _ in range(steps):
        state, found = step(objective, state)
        losses.append(float(found["loss"]))
    jax.effects_barrier()
    return len(seen), losses


def test_a_line_search_starts_from_what_it_has_kept(vgg19):
    """A step evaluates where the search looks; its one term is the value it kept."""
    few, losses = evaluations(vgg19, "lbfgs", 1)
    more, _ = evaluations(vgg19, "lbfgs", 2)
    assert losses == sorted(losses, reverse=True)
    assert more - few == 1  # the search's first try is right
    assert evaluations(vgg19, "sgd", 3)[0] == 3


def test_a_line_search_records_every_term_of_a_sum(vgg19):
    """It keeps their sum alone: the terms are evaluated at the image."""
    terms = (jnst.Term("tv", "tv_mean_l2"), jnst.Term("range", "l_beta_norm"))
    recipe = jnst.Recipe(terms=terms, optimizer="lbfgs", clip=False)
    objective = objective_of(vgg19, recipe)
    state, step = begin(recipe, batch(picture(6, 7))), jax.jit(jnst.step)
    for _ in range(2):
        expected = objective.terms(state.image[0])
        state, found = step(objective, state)
        assert set(found) == {"loss", "tv", "range"}
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5)


def test_a_line_search_is_as_good_as_without_memory_where_pixels_are_clipped(vgg19):
    recipe = jnst.Recipe(
        terms=(jnst.Term("tv", "tv_mean_l2"),), optimizer="lbfgs", clip=True
    )
    objective = objective_of(vgg19, recipe)
    state, step = begin(recipe, batch(3 * picture(6, 7) - 1)), jax.jit(jnst.step)
    for _ in range(4):
        before = float(objective(state.image[0]))
        state, found = step(objective, state)
        np.testing.assert_allclose(found["loss"], before, rtol=1e-5)


def test_a_momentum_of_ones_own_goes_on_at_the_next_size(vgg19):
    recipe = jnst.Recipe(
        terms=(jnst.Term("tv", "tv_mean_l2"),), optimizer=optax.sgd(0.1, momentum=0.9)
    )
    first = begin(recipe, batch(picture(6, 7)))
    trace = first.optimizer[0]._replace(trace=jnp.full((1, 6, 7, 3), 2.0))
    state = dataclasses.replace(first, optimizer=(trace, *first.optimizer[1:]))
    large = objective_of(vgg19, recipe, jnp.full((1, 12, 14, 3), 0.5))
    after = resized(large, state).optimizer[0].trace
    np.testing.assert_allclose(after, np.full((1, 12, 14, 3), 2.0), rtol=1e-6)


SMOOTH = (jnst.Term("tv", "tv_mean_l2"),)


@pytest.mark.parametrize("length", [1, 4])
def test_it_looks_after_so_many_steps_of_the_whole_run(vgg19, monkeypatch, length):
    monkeypatch.setattr(iterate, "chunk_lengths", lambda pixels: (100, length))
    recipe = jnst.Recipe(
        terms=SMOOTH, scale_ratio=2.0, min_size_px=6, scale_steps=(15, 8, 27)
    )
    sizes = jnst.coarse_to_fine(CONTENT, STYLE, recipe, weights=vgg19)
    assert [size.steps for size in sizes] == [15, 8, 27]
    events = list(jnst.iterate(sizes, every=10))
    assert [event.step for event in events] == [10, 15, 20, 23, 30, 40, 50]
    counts = [event.losses["loss"].size for event in events]
    assert counts == [10, 5, 5, 3, 7, 10, 10]


@pytest.mark.parametrize("steps", [127, 1009, 206])
@pytest.mark.parametrize("every", [0, 50])
def test_steps_without_a_useful_divisor_run_in_long_chunks(steps, every):
    done, looks = 0, 0
    while done < steps:
        done += iterate.next_look(100, done, steps - done, every)
        looks += 1
    assert done == steps
    assert looks == -(-steps // (every or 100))


def test_one_program_takes_chunks_of_any_length(vgg19, monkeypatch):
    """As on accelerators, whose programs take many steps."""
    found = jnst.make_objective(
        CONTENT, STYLE, jnst.Recipe(terms=SMOOTH), weights=vgg19
    )

    def losses(length):
        monkeypatch.setattr(iterate, "chunk_lengths", lambda pixels: (5, length))
        events = list(jnst.iterate(found, steps=7))
        assert [event.step for event in events] == [5, 7]
        return np.concatenate([event.losses["loss"] for event in events])

    jitted(run_chunk, static=1, donated=(1,)).clear_cache()
    several = losses(5)
    assert jitted(run_chunk, static=1, donated=(1,))._cache_size() == 1
    np.testing.assert_allclose(several, losses(1), rtol=1e-5)
    assert len(several) == 7 and len(set(several.tolist())) == 7


def test_a_run_that_goes_on_keeps_its_average(vgg19):
    recipe = jnst.Recipe(terms=SMOOTH, ema=0.9, returns="ema")
    objective = objective_of(vgg19, recipe, batch(picture(6, 7)))
    state = begin(recipe, batch(picture(6, 7, 1)))
    for _ in range(2):
        state, _ = jnst.step(objective, state)
    (event,) = jnst.iterate(objective, state, steps=1)
    expected, _ = jnst.step(objective, state)
    for ours, other in (
        (event.state.image, expected.image),
        (event.state.ema, expected.ema),
    ):
        np.testing.assert_allclose(ours, other, rtol=1e-6)
