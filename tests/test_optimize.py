"""One step and many: optimisers against NumPy twins, averages, best image, sizes."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from made import begin, objective_of
from tiny import batch, picture, tiny_params

import jnst
from jnst.loop.optimizers import make_optimizer, numbers_of, rule_of
from jnst.loop.sizes import resized
from jnst.loop.step import run_chunk
from jnst.losses import STYLE_LOSSES
from jnst.losses.rows import StyleLoss
from jnst.program import compiled
from jnst.recipes import RECIPES, Recipe

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(0)
# Total variation alone needs no network: its programs compile in no time.
SMOOTH = Recipe(content_weight=0.0, style_weight=0.0, tv_weight=1.0, learning_rate=0.05)
STEP = jax.jit(jnst.step)


def changed(**changes):
    return dataclasses.replace(SMOOTH, **changes)


def shown(state, recipe=SMOOTH):
    """What is shown of a state, [1, H, W, 3]."""
    return jnst.shown(objective_of(tiny_params(), recipe), state)[None]


def walk(params, recipe, steps, image=None, key=KEY):
    """States before the first step and after each, and the loss before each."""
    image = batch(picture(6, 7)) * recipe.pixel_scale if image is None else image
    state = begin(recipe, image, key)
    objective, states, losses = objective_of(params, recipe), [state], []
    for _ in range(steps):
        state, found = STEP(objective, state)
        states.append(state)
        losses.append(float(found["loss"]))
    return states, losses


def updates_of(recipe, gradients):
    """What an optimiser adds to an image for a sequence of gradients."""
    fields, image = recipe.optimization, jnp.zeros(gradients.shape[1:])
    rule, numbers = rule_of(fields), numbers_of(fields)

    def body(carry, gradient):
        step, state = carry
        optimizer = make_optimizer(rule, numbers, step)
        update, state = optimizer.update(gradient, state, image)
        return (step + 1, state), update

    first = jnp.zeros((), jnp.int32), make_optimizer(rule, numbers, 0).init(image)
    return jax.jit(lambda g: jax.lax.scan(body, first, g)[1])(gradients)


def gradients(steps=12):
    values = np.random.default_rng(0).normal(size=(steps, 1, 2, 2, 3))
    return jnp.asarray(values, jnp.float32)


def adam_twin(slopes, rate, beta1, beta2, epsilon, form):
    """Kingma & Ba 2015, algorithm 1 ("pytorch"), or TensorFlow's order of terms."""
    m = v = np.zeros(slopes.shape[1:])
    for t, g in enumerate(np.asarray(slopes, np.float64), start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        if form == "pytorch":
            denominator = np.sqrt(v) / np.sqrt(1 - beta2**t) + epsilon
            yield -rate / (1 - beta1**t) * m / denominator
        else:  # tf.keras: alpha = lr sqrt(1 - b2^t) / (1 - b1^t)
            alpha = rate * np.sqrt(1 - beta2**t) / (1 - beta1**t)
            yield -alpha * m / (np.sqrt(v) + epsilon)


@pytest.mark.parametrize(
    ("optimizer", "form"), [("adam", "pytorch"), ("adam_tf", "tensorflow")]
)
@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_adam_equals_its_twin(optimizer, form, epsilon):
    recipe = Recipe(
        optimizer=optimizer, learning_rate=0.2, beta1=0.99, beta2=0.9, epsilon=epsilon
    )
    expected = list(adam_twin(gradients(), 0.2, 0.99, 0.9, epsilon, form))
    actual = updates_of(recipe, gradients())
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6)


def test_the_two_forms_of_adam_differ_where_epsilon_is_large():
    # Source 000's beta_1 0.99 and epsilon 0.1: the first update differs by a factor.
    first = [
        np.asarray(updates_of(Recipe(optimizer=name, epsilon=0.1), gradients(1)))
        for name in ("adam", "adam_tf")
    ]
    assert np.abs(first[0] / first[1] - 1).max() > 0.5


def test_the_schedule_of_source_001_decays_continuously():
    # losses.md, A2: lr at t = 0, 50, 100, 250, 4000.
    expected = {0: 100, 50: 94.868330, 100: 90, 250: 76.843347, 4000: 1.4780883}
    ones = jnp.ones((4001, 1, 1, 1, 3))
    rates = -np.asarray(updates_of(RECIPES["keras"], ones))[:, 0, 0, 0, 0]
    np.testing.assert_allclose(
        rates[list(expected)], list(expected.values()), rtol=2e-6
    )


def test_a_cooldown_shortens_the_last_steps_of_a_run(vgg19):
    """Of 6 steps the last 4 are 1, 3/4, 2/4, 1/4 as long as without."""
    recipe, image = changed(optimizer=optax.sgd(1.0), clip=False), batch(picture(6, 7))
    objective = objective_of(vgg19, recipe)
    state = dataclasses.replace(
        begin(recipe, image), end=jnp.asarray(6.0), cooldown=jnp.asarray(4.0)
    )
    lengths = []
    for _ in range(6):
        endless = dataclasses.replace(state, end=jnp.asarray(jnp.inf))
        usual = STEP(objective, endless)
        before, (state, _) = state.image, STEP(objective, state)
        whole = np.abs(usual[0].image - before).sum()
        lengths.append(float(np.abs(state.image - before).sum() / whole))
    np.testing.assert_allclose(lengths, [1, 1, 1, 0.75, 0.5, 0.25], rtol=1e-3)


def test_optaxs_lbfgs_decreases_the_loss(vgg19):
    losses = walk(vgg19, changed(optimizer="lbfgs", clip=False), 6)[1]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_clipping_keeps_pixels_in_their_range_and_its_absence_does_not(vgg19, scale):
    ascent = {"optimizer": optax.sgd(-20 * scale), "pixel_scale": scale}
    clipped = walk(vgg19, changed(clip=True, **ascent), 2)[0][-1].image
    assert float(clipped.min()) == 0 and float(clipped.max()) == scale
    free = walk(vgg19, changed(clip=False, **ascent), 2)[0][-1].image
    assert float(free.min()) < 0 and float(free.max()) > scale
    seen = shown(walk(vgg19, changed(clip=False, **ascent), 2)[0][-1])
    assert 0 <= float(seen.min()) and float(seen.max()) <= 1


def test_the_average_is_the_weighted_mean_of_all_images(vgg19):
    recipe = changed(ema=0.3, returns="ema")
    states, _ = walk(vgg19, recipe, 4)
    # crowsonkb's EMA: the first image counts, then each step's; divided by what is in.
    weights = 0.7 * 0.3 ** np.arange(4, -1, -1)
    images = np.stack([state.image for state in states])
    expected = np.tensordot(weights / (1 - 0.3**5), images, axes=1)
    actual = shown(states[-1])
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_the_average_without_a_step_is_the_first_image(vgg19):
    recipe = changed(ema=0.99, returns="ema")
    image = batch(picture(6, 7))
    seen = shown(begin(recipe, image))
    np.testing.assert_allclose(seen, image, rtol=1e-5)


def test_best_is_the_image_evaluated_and_after_best_the_one_behind_it(vgg19):
    # Descent: the last evaluated image is the best, its successor was not evaluated.
    states, losses = walk(vgg19, changed(returns="best"), 4)
    assert losses == sorted(losses, reverse=True)
    np.testing.assert_array_equal(states[-1].best, states[-2].image)
    states, _ = walk(vgg19, changed(returns="after_best"), 4)
    np.testing.assert_array_equal(states[-1].best, states[-1].image)
    # Ascent: the first image stays the best; source 004 keeps the one behind it.
    uphill = {"optimizer": optax.sgd(-1.0), "clip": False}
    for returns, at in (("best", 0), ("after_best", 1)):
        recipe = changed(returns=returns, **uphill)
        states, losses = walk(vgg19, recipe, 4)
        assert losses == sorted(losses)
        np.testing.assert_array_equal(states[-1].best, states[at].image)
        np.testing.assert_allclose(states[-1].best_loss, losses[0], rtol=1e-6)


def test_restarting_is_beginning_again_from_where_one_is(vgg19):
    restarted = walk(vgg19, changed(restart_every=2), 6)[0][-1].image
    expected = None
    for _ in range(3):
        expected = walk(vgg19, SMOOTH, 2, expected)[0][-1].image
    np.testing.assert_allclose(restarted, expected, rtol=1e-6)
    assert np.abs(restarted - walk(vgg19, SMOOTH, 6)[0][-1].image).max() > 1e-3


def test_a_state_is_itself_alone_and_cannot_be_changed():
    state, same = (begin(SMOOTH, batch(picture(6, 7))) for _ in range(2))
    assert state == state and state != same and hash(state) != hash(same)
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.image = None  # type: ignore


def at_size(params, recipe, height, width):
    """The objective of a recipe at another size."""
    return objective_of(params, recipe, jnp.full((1, height, width, 3), 0.5))


def moments(state):
    leaf = lambda x: isinstance(x, optax.ScaleByAdamState)  # noqa: E731
    found = jax.tree.leaves(state.optimizer, is_leaf=leaf)
    return next(x for x in found if leaf(x))


@pytest.mark.parametrize("optimizer", ["adam", "adam_tf"])
@pytest.mark.parametrize("moments_", ["resized", "rescaled"])
def test_adams_moments_are_carried_to_the_next_size(vgg19, optimizer, moments_):
    recipe = changed(optimizer=optimizer, ema=0.9, moments=moments_)
    before = walk(vgg19, recipe, 3)[0][-1]
    after = resized(at_size(vgg19, recipe, 9, 10), before)
    resize = functools.partial(jax.image.resize, shape=(1, 9, 10, 3))
    small, large = moments(before), moments(after)
    less = 1.0 if moments_ == "resized" else 6 * 7 / (9 * 10)  # a mean's derivative
    mu, nu = less * resize(small.mu, method="cubic"), resize(small.nu, method="linear")
    np.testing.assert_allclose(large.mu, mu, rtol=1e-6)
    assert float(large.nu.min()) >= 0
    np.testing.assert_allclose(large.nu, less**2 * nu, rtol=1e-6)
    assert int(large.count) == 3 and int(after.step) == 3
    average = before.ema / (1 - before.ema_left)
    image = jnp.clip(resize(average, method="cubic"), 0, 1)
    np.testing.assert_allclose(after.image, image, rtol=1e-6)
    np.testing.assert_allclose(after.ema / (1 - after.ema_left), image, rtol=1e-5)


def test_rescaled_moments_are_those_that_a_mean_has_at_the_next_size(vgg19):
    """The mean square of 0.5 - 0.2: its derivative is 0.6 over the number of values."""
    recipe = changed(
        moments="rescaled", tv_weight=0.0, content_weight=1.0, content_layers=("image",)
    )

    def after_a_step(height, width):
        image, content = (jnp.full((1, height, width, 3), x) for x in (0.5, 0.2))
        objective = objective_of(vgg19, recipe, content)
        return STEP(objective, begin(recipe, image))[0]

    carried = moments(resized(at_size(vgg19, recipe, 12, 14), after_a_step(6, 7)))
    own = moments(after_a_step(12, 14))
    np.testing.assert_allclose(own.mu, 0.1 * 0.6 / (12 * 14 * 3), rtol=1e-5)
    np.testing.assert_allclose(carried.mu, own.mu, rtol=1e-5)
    np.testing.assert_allclose(carried.nu, own.nu, rtol=1e-5)


def test_other_optimizers_start_again_at_the_next_size(vgg19):
    recipe = changed(optimizer="lbfgs_torch", learning_rate=1.0)
    after = resized(at_size(vgg19, recipe, 9, 10), walk(vgg19, recipe, 3)[0][-1])
    assert int(after.optimizer.updates) == 0 and int(after.step) == 3


def test_a_chunk_of_steps_is_so_many_steps(vgg19):
    states, losses = walk(vgg19, SMOOTH, 5)
    chunk = jax.jit(run_chunk, static_argnums=3)
    state, history = chunk(objective_of(vgg19, SMOOTH), states[0], np.int32(5), 8)
    np.testing.assert_allclose(history["loss"][:5], losses, rtol=1e-6)
    np.testing.assert_allclose(state.image, states[-1].image, rtol=1e-6)
    assert int(state.step) == 5


def test_donating_the_state_leaves_the_callers_image_alone(vgg19):
    image = batch(picture(6, 7))
    kept = np.array(image)
    objective = objective_of(vgg19, SMOOTH)
    state = jnst.init(objective, image[0])
    arguments = objective, state, np.int32(1)
    program, _ = compiled(run_chunk, arguments, static=(1,), donated=(1,))
    after, _ = program(*arguments, 1)
    assert state.image.is_deleted() and not image.is_deleted()
    program(objective, after, np.int32(1), 1)
    np.testing.assert_array_equal(image, kept)


def test_a_keyed_loss_draws_anew_each_step_and_the_same_for_the_same_key(
    vgg19, monkeypatch
):
    def distance(statistic, target, *, key):
        return jnp.mean((statistic - target) ** 2) * jax.random.uniform(key)

    row = StyleLoss(lambda f: jnp.mean(f), distance, keyed=True)
    monkeypatch.setitem(STYLE_LOSSES, "drawn", row)
    recipe = Recipe(style_loss="drawn", style_layers=("relu1_1",), content_weight=0.0,
                    optimizer=optax.sgd(0.0))  # fmt: skip
    objective = objective_of(vgg19, recipe, None, [batch(picture(8, 8, 2))])

    def draws(key):
        state, losses = begin(recipe, batch(picture(6, 7)), key), []
        for _ in range(3):
            state, found = STEP(objective, state)
            losses.append(float(found["loss"]))
        return losses

    first = draws(jax.random.key(1))
    assert len(set(first)) == 3
    assert draws(jax.random.key(1)) == first
    assert draws(jax.random.key(2)) != first

    def seeded(seed):
        state = jnst.init(objective, picture(6, 7), seed=seed)
        return float(STEP(objective, state)[1]["loss"])

    assert seeded(1) == seeded(1) != seeded(2)
