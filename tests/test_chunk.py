"""What an accelerator wants of a chunk: no host in it, no constants, state donated."""

import re

import jax
import numpy as np
import pytest

import jnst
from jnst.bench.cases import OBJECTIVE, Case
from jnst.bench.topology import abstract_arguments
from jnst.loop.step import run_chunk

RECIPES = {
    "objective": OBJECTIVE,
    "objective in bfloat16": jnst.Recipe(dtype="bfloat16", tv_weight=1.0),
    "jnst": jnst.RECIPES["jnst"],
    "lbfgs": jnst.Recipe(optimizer="lbfgs_torch"),
}
HOST = ("callback", "infeed", "outfeed", "stablehlo.send", "stablehlo.recv")
LARGEST_CONSTANT = 1000
COUNT = jax.ShapeDtypeStruct((), np.int32)


@pytest.fixture(scope="module", params=RECIPES)
def lowered(request, vgg19):
    """A chunk's arguments and StableHLO, as `jnst.program` lowers it."""
    arguments = abstract_arguments(Case(RECIPES[request.param], 32), vgg19)
    jitted = jax.jit(run_chunk, static_argnums=3, donate_argnums=1)
    return arguments, jitted.lower(*arguments, COUNT, 3).as_text()


def test_a_chunk_never_waits_for_the_host(lowered):
    _, text = lowered
    assert "stablehlo.while" in text
    assert not [word for word in HOST if word in text]


def test_a_chunk_donates_every_array_of_its_state(lowered):
    arguments, text = lowered
    signature = text[text.index("@main(") : text.index("->", text.index("@main("))]
    donated = signature.count("tf.aliasing_output") + signature.count(
        "jax.buffer_donor"
    )
    assert donated == len(jax.tree.leaves(arguments[1]))


def test_a_chunk_has_no_large_constant(lowered):
    # A splat such as dense<0.0> costs nothing, however large its shape.
    _, text = lowered
    written = re.findall(r"dense<(\"0x[^\"]*\"|\[[^>]*\])>", text)
    assert all(len(each) <= LARGEST_CONSTANT for each in written)


def test_bfloat16_convolutions_are_so_forward_and_backward(vgg19):
    recipe = RECIPES["objective in bfloat16"]
    arguments = abstract_arguments(Case(recipe, 32), vgg19)
    traced = jax.jit(run_chunk, static_argnums=3).trace(*arguments, COUNT, 3)
    text = traced.lower(lowering_platforms=("tpu",)).as_text()
    kernels = re.findall(r"tensor<3x3x\d+x\d+x(\w+)>\) -> tensor<1x.*x(\w+)>", text)
    convolutions = 13  # up to conv5_1, whose features are the deepest
    assert kernels == [("bf16", "bf16")] * (2 * convolutions)
    outputs = re.findall(r"stablehlo.convolution.*-> tensor<1x1x4x4x(\w+)>", text)
    assert outputs == ["f32"] * 5  # Gram matrices of the five style layers
