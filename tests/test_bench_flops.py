"""Hand counts of operations, against counting one by one and published figures."""

import dataclasses
import itertools

import pytest
from tiny import tiny_params

from jnst.bench.cases import OBJECTIVE
from jnst.bench.flops import step_flops
from jnst.bench.networks import random_params
from jnst.network.layers import BACKBONES

CONTENT_ONLY = dataclasses.replace(OBJECTIVE, style_weight=0.0, tv_weight=0.0)


def slow_forward(size, channels, deepest):
    """Multiply-adds of a forward pass, each counted by itself."""
    count, incoming = 0, 3
    for block, convolutions in enumerate(BACKBONES["vgg19"], start=1):
        for index in range(1, convolutions + 1):
            for _ in itertools.product(range(size), range(size), range(channels)):
                count += sum(1 for _ in itertools.product(range(9), range(incoming)))
            incoming = channels
            if f"relu{block}_{index}" == deepest:
                return count, size
        size //= 2
    raise AssertionError(deepest)


@pytest.mark.parametrize("deepest", ["relu1_1", "relu2_1", "relu3_2"])
def test_convolutions_equal_counting_one_by_one(deepest):
    recipe = dataclasses.replace(CONTENT_ONLY, content_layers=(deepest,))
    forward, _ = slow_forward(9, 4, deepest)
    # 2 operations a multiply-add, once forward and once back to the input.
    assert step_flops(recipe, tiny_params(), 9) == 2 * 2 * forward


def test_gram_adds_a_matrix_and_its_gradient():
    layers = ("relu1_1", "relu2_1")
    both = dataclasses.replace(
        OBJECTIVE, style_layers=layers, content_layers=("relu2_1",)
    )
    other = dataclasses.replace(both, style_loss="mean_std")
    added = step_flops(both, tiny_params(), 12) - step_flops(other, tiny_params(), 12)
    pairs = 4 * 4 * (12 * 12 + 6 * 6)  # C x C products, each a sum over positions
    assert added == 2 * 2 * pairs


def test_the_published_network_has_its_published_cost():
    # He et al, CVPR 2016, table 1 and section 3.4: VGG-19 takes 19.6e9 multiply-adds at
    # 224 px, of which the three dense layers are 0.124e9.
    whole = dataclasses.replace(CONTENT_ONLY, content_layers=("relu5_4",))
    forward = step_flops(whole, random_params("vgg19"), 224) / 4
    assert forward == pytest.approx(19.6e9 - 0.124e9, rel=3e-3)


def test_poolings_that_round_up_and_pyramids_are_counted():
    params = tiny_params()
    up = dataclasses.replace(CONTENT_ONLY, pooling_ceil=True)
    assert step_flops(up, params, 33) > step_flops(CONTENT_ONLY, params, 33)
    flat = dataclasses.replace(OBJECTIVE, content_weight=0.0)
    levels = dataclasses.replace(flat, style_pyramid=2)
    coarse = step_flops(flat, params, 32)
    assert step_flops(levels, params, 64) == step_flops(flat, params, 64) + coarse


def test_a_step_of_no_fixed_cost_is_not_counted():
    for changes in ({"optimizer": "lbfgs"}, {"diagnostics": True}):
        recipe = dataclasses.replace(OBJECTIVE, **changes)
        assert step_flops(recipe, tiny_params(), 32) is None
    torch_like = dataclasses.replace(OBJECTIVE, optimizer="lbfgs_torch")
    assert step_flops(torch_like, tiny_params(), 32) is not None
