"""What a run needs, counted before it, and the line that refuses what cannot fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst import memory
from jnst.cli.main import main
from jnst.drivers import fits
from jnst.drivers.plan import Request, make_plan
from jnst.drivers.stages import objective_at
from jnst.image import save_image
from jnst.loop.step import run_chunk
from jnst.program import compiled
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quick_compile")
CONTENT, STYLE = picture(40, 60, 1), picture(48, 44, 2)


def planned(recipe="jnst", size_px=64, weights=None, **changes):
    weights = tiny_params() if weights is None else weights
    return make_plan(Request(CONTENT, STYLE, recipe, size_px, weights), changes)


def test_maps_are_counted_as_vgg19_makes_them():
    """Simonyan & Zisserman 2015, table 1, column E: channels over 4 a pooling."""
    wide = {"conv3_4": {"bias": jnp.zeros(256)}}
    for block, (count, channels) in enumerate(
        ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)), start=1
    ):
        for index in range(1, count + 1):
            wide[f"conv{block}_{index}"] = {"bias": jnp.zeros(channels)}
    maps = fits.map_floats(wide, ["relu5_1", "relu1_1"])
    kept = sum(size for name, size in maps.items() if name.startswith("conv"))
    assert kept == 2 * 64 + 2 * 128 / 4 + 4 * 256 / 16 + 4 * 512 / 64 + 512 / 256
    assert maps["relu3_1"] == 16 and "pool5" not in maps and "conv5_2" not in maps
    assert fits.map_floats(wide, []) == {}


def test_a_run_that_fits_is_left_alone_and_another_names_a_size_that_does():
    plan = planned()
    need = fits.need_of(plan)
    fits.check_fits(plan, room=int(need.total) + 1)
    with pytest.raises(ValueError) as info:
        fits.check_fits(plan, room=int(need.total / 2))
    message = str(info.value)
    assert "\n" not in message and "64x43" in message and "force" in message
    side = int(message.split("size_px=")[1].split()[0])
    assert 32 <= side < 64
    smaller = planned(size_px=side)
    fits.check_fits(smaller, room=int(need.total / 2))


def test_more_is_needed_for_batches_lbfgs_and_float32():
    plain = fits.need_of(planned())
    batch = Request(np.stack([CONTENT] * 3), STYLE, "jnst", 64, tiny_params())
    assert fits.need_of(make_plan(batch, {})).total == 3 * plain.total
    half = planned(dtype="bfloat16")
    assert fits.need_of(half).step == plain.step / 2
    many = planned(optimizer="lbfgs", memory=50, cooldown=0.0, shift_px=0)
    few = planned(optimizer="lbfgs", memory=10, cooldown=0.0, shift_px=0)
    # Two arrays of the image's size for each pair that is kept.
    assert fits.need_of(many).state - fits.need_of(few).state == 4 * 3 * 2 * 40


def test_the_least_of_what_linux_says_is_available(monkeypatch):
    told = {"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:  4096 kB\n"}
    monkeypatch.setattr(memory, "_read", lambda path: told.get(path, ""))
    assert memory.available_bytes() == 4096 * 1024
    told |= {"/sys/fs/cgroup/memory.max": "3000000\n"}
    told |= {"/sys/fs/cgroup/memory.current": "1000000\n"}
    assert memory.available_bytes() == 2_000_000
    told["/sys/fs/cgroup/memory.stat"] = "anon 900000\ninactive_file 100000\n"
    assert memory.available_bytes() == 2_100_000  # it would give up files it has read
    told["/sys/fs/cgroup/memory.max"] = "max\n"
    assert memory.available_bytes() == 4096 * 1024
    told.clear()
    assert memory.available_bytes() is None
    fits.check_fits(planned())  # nobody knows: it is tried


def test_the_command_refuses_in_one_line_and_force_tries(tmp_path, monkeypatch, capsys):
    save_image(tmp_path / "content.png", CONTENT)
    save_image(tmp_path / "style.png", STYLE)
    save_weights(tiny_params(), tmp_path / "tiny.safetensors")
    monkeypatch.chdir(tmp_path)
    words = "stylize content.png style.png -o out.png --size 48 --steps 1".split()
    words += ["--weights", "tiny.safetensors"]
    monkeypatch.setattr(fits, "available_bytes", lambda: 100_000)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "48x32" in error and "--force" in error
    assert not (tmp_path / "out.png").exists()
    assert main([*words, "--force"]) == 0
    assert (tmp_path / "out.png").exists()


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("recipe", ["jnst", "tf-tutorial"])
def test_the_count_is_near_what_xla_asks_for(recipe):
    """From 96 to 160 px, within 25 %: what does not grow with pixels falls out."""
    weights = jnst.load_weights("vgg19")
    temp = []
    for side in (96, 160):
        pair = picture(side, side, 1), picture(side, side, 2)
        plan = make_plan(Request(*pair, recipe, None, weights), {})
        objective, _ = objective_at(plan, plan.stages[-1])
        state = jnst.init(objective)
        arguments = objective, state, np.int32(1)
        program, _ = compiled(run_chunk, arguments, static=(1,), donated=(1,))
        analysis = program.lower(*arguments, 1).compile().memory_analysis()
        temp.append(analysis.temp_size_in_bytes)
    slope = (temp[1] - temp[0]) / (160**2 - 96**2)
    assert abs(fits.need_of(plan).step / slope - 1) < 0.25
    jax.clear_caches()
