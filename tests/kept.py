"""Runs that are stopped and go on, for the tests of checkpoints."""

import numpy as np
from tiny import picture, tiny_params

import jnst
from jnst.image import save_image
from jnst.keep.keeper import Keeper
from jnst.weights import save_weights

# One convolution of the network; two sizes; compiles in a second.
SHALLOW = {
    "style_layers": ("relu1_1",),
    "style_layer_weights": (),
    "content_layers": ("conv1_2",),
    "scale_ratio": 2.0,
    "min_size_px": 12,
    "scale_steps": (5, 7),
    "steps": 12,
    "shift_px": 0,
}


def make_inputs(folder):
    """Writes two pictures and a tiny network, and returns their paths."""
    save_weights(tiny_params(), folder / "t.safetensors", title="tiny", licence="MIT")
    save_image(folder / "content.png", picture(24, 20, 1))
    save_image(folder / "style.png", picture(20, 26, 2))
    return [str(folder / name) for name in ("content.png", "style.png")]


def stop_at(step):
    """What interrupts a run at the first event from a step on."""

    def stop(progress):
        if progress.step >= step:
            raise KeyboardInterrupt

    return stop


def stopped(step, output, contents, styles, **changes):
    """A run that is interrupted at a step; its checkpoint is in `output`.checkpoint."""
    try:
        with Keeper(output) as keeper:
            jnst.stylize(
                contents,
                styles,
                keeper=keeper,
                on_progress=stop_at(step),
                save_every=1,
                **changes,
            )
    except KeyboardInterrupt:
        return keeper
    raise AssertionError("it came to its end")


def gone_on(output, contents, styles, **changes):
    """The result of a run that goes on, and what its keeper told."""
    told = []
    with Keeper(output, tell=told.append) as keeper:
        result = jnst.stylize(contents, styles, keeper=keeper, **changes)
        keeper.done()
    return result, told


def assert_same(one, other):
    """Bits of picture and history, and the order of its names."""
    np.testing.assert_array_equal(one.image, other.image)
    assert list(one.history) == list(other.history)
    for name, values in one.history.items():
        np.testing.assert_array_equal(values, other.history[name], err_msg=name)
    assert one.recipe == other.recipe
