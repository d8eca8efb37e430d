"""Steps that see the image shifted in turn: `shift_px`."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.objective.turns import at_turn, shifts_of
from jnst.objective.value import terms_at

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE = picture(24, 32, 1), picture(24, 32, 2)
IMAGE = picture(24, 32, 3)
LAYERS = {"style_layers": ("relu1_1", "relu2_1"), "content_layers": ("relu3_1",)}


PARAMS = tiny_params()


def objective_of(shift_px, content=CONTENT, style=STYLE, **changes):
    changes = {"recipe": "jnst", "style_layer_weights": (1.0, 1.0), **LAYERS} | changes
    given = {"weights": PARAMS, "shift_px": shift_px}
    return jnst.make_objective(content, style, **given, **changes)


@pytest.mark.parametrize("size", [2, 4, 8, 16])
def test_shifts_meet_every_row_column_and_window_equally_often(size):
    shifts = shifts_of(size)
    for axis in (0, 1):
        assert sorted(shifts[:, axis]) == list(range(size))
    windows = {tuple(row) for row in shifts % 2}
    assert len(windows) == min(size, 4)
    assert shifts[0].tolist() == [0, 0] and shifts.dtype == np.int32


@pytest.mark.parametrize("batch", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_step_sees_image_and_content_rolled_and_pixels_as_they_are(batch):
    content = np.stack([CONTENT, CONTENT[::-1]]) if batch else CONTENT
    objective = objective_of(4, content)
    state = jnst.init(objective, np.stack([IMAGE] * 2) if batch else IMAGE)
    for turn, shift in enumerate(shifts_of(4)):
        now = dataclasses.replace(state, step=jnp.full_like(state.step, turn))
        _, losses = jnst.step(objective, now)
        for number, each in enumerate(content if batch else [content]):
            rolled = objective_of(0, np.roll(each, shift, (0, 1)))
            terms = rolled.terms(np.roll(IMAGE, shift, (0, 1)))
            still = objective_of(0, each).terms(IMAGE)
            found = {k: float(np.atleast_1d(v)[number]) for k, v in losses.items()}
            for name in ("content", "style"):
                np.testing.assert_allclose(found[name], float(terms[name]), rtol=2e-5)
            np.testing.assert_allclose(found["tv"], float(still["tv"]), rtol=2e-6)
    assert {tuple(x) for x in np.asarray(objective.turns.shifts)} == {
        tuple(x) for x in shifts_of(4)
    }


def test_an_objective_that_is_called_does_not_shift():
    np.testing.assert_array_equal(objective_of(8)(IMAGE), objective_of(0)(IMAGE))
    assert objective_of(0).turns is None and objective_of(1).turns is None


def test_the_gradient_rolls_back():
    objective = objective_of(4)
    with_shift = at_turn(objective, jnp.int32(3))
    image, key = jnp.asarray(IMAGE)[None], jax.random.key(0)

    def style(objective, image):
        return terms_at(objective, image, key=key)["style"]

    found = jax.grad(style, argnums=1)(with_shift, image)
    shift = tuple(shifts_of(4)[3])
    plain = jax.grad(style, argnums=1)(objective_of(0), jnp.roll(image, shift, (1, 2)))
    back = jnp.roll(plain, (-shift[0], -shift[1]), (1, 2))
    np.testing.assert_allclose(found, back, atol=1e-5 * float(jnp.abs(back).max()))


def test_a_function_of_features_turns_it_off_and_one_of_pixels_does_not():
    def sums(maps):
        return sum(jnp.mean(x**2) for x in maps.values())

    ours = jnst.RECIPES["jnst"].objective.terms
    for layer, turns in (("relu1_1", False), ("image", True)):
        terms = (*ours, jnst.Term("mine", sums, (layer,)))
        objective = objective_of(4, terms=terms)
        assert (objective.turns is not None) is turns


def test_a_texture_turns_without_content():
    objective = objective_of(4, None)
    assert objective.turns.targets == {}
    state, losses = jnst.step(objective, jnst.init(objective))
    assert np.isfinite(losses["loss"])


def test_an_optimiser_that_remembers_gradients_sees_one_function():
    assert jnst.RECIPES["jnst"].shift_px == 8
    fields = {"weights": PARAMS, "cooldown": 0, **LAYERS}
    for optimizer, asked, expected in (
        ("lbfgs", {}, False),
        ("lbfgs_torch", {}, False),
        ("lbfgs", {"shift_px": 4}, True),
        ("sgd", {}, True),
    ):
        changes = {"optimizer": optimizer, **fields, **asked}
        objective = jnst.make_objective(CONTENT, STYLE, **changes)
        assert (objective.turns is not None) is expected, optimizer
