"""What programs need in memory, against the arrays of real runs."""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_params

from jnst.drivers.plan import Request, make_plan
from jnst.drivers.stages import objective_at
from jnst.loop.state import init
from jnst.loop.step import run_chunk, tiled_step
from jnst.planning.needs import needs_of
from jnst.planning.targets import find_target
from jnst.program import compiled
from jnst.scale.running import run
from jnst.scale.weighing import Held, Weighing, bytes_of

pytestmark = pytest.mark.usefixtures("quicker_compile")
LBFGS = {"optimizer": "lbfgs", "memory": 5, "cooldown": 0.0}
FIELDS = {"style_loss": "gram", "style_weight": 1.0, "content_weight": 1.0}


def squared(x):
    return x @ x


def doubled(x):
    return 2 * x


def planned(size_px, **changes):
    pair = picture(size_px, size_px, 1), picture(size_px, size_px, 2)
    return make_plan(Request(*pair, "jnst", None, tiny_params()), FIELDS | changes)


def test_bytes_are_those_of_arrays():
    assert bytes_of(jnp.zeros((3, 5), jnp.bfloat16)) == 30
    assert bytes_of(Held((3, 5), jnp.float32)) == 60
    assert bytes_of(jax.random.key(0)) == 8  # two words of 32 bits


def test_what_is_let_go_is_no_longer_held():
    weighing = Weighing()
    x = weighing.hold(Held((100, 100), jnp.float32))
    assert weighing.held == weighing.most == 40_000
    weighing.hold((x, x))
    assert weighing.held == 40_000  # once
    y = weighing(squared, x)
    assert (y.shape, y.dtype) == ((100, 100), jnp.float32)
    assert weighing.held == 80_000 and weighing.most >= 80_000
    del x
    gc.collect()
    assert weighing.held == 40_000
    spent = weighing.seconds
    z = weighing(squared, y)
    assert weighing.seconds == spent > 0  # compiled once
    assert z is not y


def test_a_donated_buffer_is_used_again():
    shape = Held((1000, 100), jnp.float32)
    plain, donating = Weighing(), Weighing()
    plain(doubled, shape)
    donating(doubled, shape, donated=(0,))
    assert plain.most == 800_000
    assert donating.most == 400_000


@pytest.mark.parametrize("changes", [{}, pytest.param(LBFGS, marks=pytest.mark.slow)])
def test_a_run_needs_what_its_own_program_says(changes):
    """The same program, compiled for arrays; and what the pictures take beside it."""
    plan = planned(48, **changes)
    stage = plan.stages[-1]
    objective, _ = objective_at(plan, stage)
    state = init(objective)
    arguments = objective, state, np.int32(1)
    program, _ = compiled(run_chunk, arguments, static=(1,), donated=(1,))
    needs = program.lower(*arguments, 1).compile().memory_analysis()
    wanted = needs.argument_size_in_bytes + needs.temp_size_in_bytes
    wanted += needs.output_size_in_bytes - needs.alias_size_in_bytes
    found = needs_of(plan, stage, find_target(None)).program
    others = 12 * 48**2 * 4  # content and style, and those of the start
    assert wanted - 500 <= found <= wanted + others + 500


class Counting:
    """A `Run` that runs, and sees how much is in memory whenever it is called."""

    def __init__(self):
        """Begin with nothing seen."""
        self.most, self.before = 0, {id(x) for x in jax.live_arrays()}

    def __call__(self, function, *arguments, **how):
        """Call the function and count."""
        found = run(function, *arguments, **how)
        arrays = {id(x): x for x in jax.live_arrays() if not x.is_deleted()}
        sizes = [bytes_of(x) for k, x in arrays.items() if k not in self.before]
        self.most = max(self.most, sum(sizes))
        return found


@pytest.mark.parametrize("most_kept", [pytest.param(2**30, marks=pytest.mark.slow), 0])
def test_a_step_in_tiles_holds_what_a_real_one_does(monkeypatch, most_kept):
    """Arrays between programs: what a program uses within itself is XLA's account."""
    from jnst.scale import building

    monkeypatch.setattr(building, "MOST_KEPT", most_kept)
    monkeypatch.setattr(
        Weighing,
        "_compiled",
        lambda self, function, arguments, static, donated: (
            jax.eval_shape(lambda *a: function(*a, *static), *arguments),
            0,
        ),
    )
    plan = planned(160, tile_px=64, shift_px=4)
    gc.collect()
    counting = Counting()
    kernels = {id(x): x for x in jax.tree.leaves(plan.extract)}
    counting.before -= set(kernels)
    objective, _ = objective_at(plan, plan.stages[-1])
    state = init(objective)
    tiled_step(objective, state, run=counting, donate=True)
    from jnst.planning import needs

    found, _ = needs._here(plan, plan.stages[-1])
    assert abs(found / counting.most - 1) < 0.1
