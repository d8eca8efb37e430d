"""Every recipe's fields against what its source says."""

import math

import pytest

from jnst.recipes import RECIPES, Recipe
from jnst.recipes.schedule import scales, steps_per_scale
from jnst.recipes.settings import field_types


def fields_of(name):
    recipe = RECIPES[name]
    return {field: getattr(recipe, field) for field in field_types(recipe)}


FIVE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
# What the sources say beyond the objective, typed from them.
SOURCES = {
    # 000: Adam(learning_rate=0.2, beta_1=0.99, epsilon=1e-1), 50 x 100 steps, uniform
    # noise of 224 x 224, clipped to [0, 1]; TensorFlow's default beta_2 is 0.999.
    "notebook-texture": dict(
        optimizer="adam_tf", learning_rate=0.2, beta1=0.99, beta2=0.999, epsilon=0.1,
        scale_steps=(5000,), init="noise", size_px=224, clip=True, pixel_scale=1.0,
        style_layers=FIVE, content_weight=0.0, tv_weight=0.0, returns="last",
    ),
    "notebook-texture-tv": dict(
        optimizer="adam_tf", learning_rate=0.2, beta1=0.99, epsilon=0.1,
        scale_steps=(5000,), init="noise", size_px=224, clip=True, pixel_scale=1.0,
        style_weight=1e-1, tv_weight=1e9, tv_loss="tv_mean_l2", content_weight=0.0,
    ),
    # 000, part 2: lr 0.001, 20 x 100 steps, longest side 512, style 224 x 224.
    "notebook-transfer": dict(
        optimizer="adam_tf", learning_rate=0.001, beta1=0.99, epsilon=0.1,
        scale_steps=(2000,), init="content", size_px=512, size_side="longer",
        style_size_px=224, style_aspect=(1, 1), clip=True,
        content_layers=("relu5_2",), style_weight=1e-2, tv_weight=1e9,
        content_weight=1e4,
    ),
    # 001: SGD, 100 * 0.9 ** (t / 100), 4000 iterations, 400 rows x 600, no clipping.
    "keras": dict(
        optimizer="sgd", learning_rate=100.0, decay_rate=0.9, decay_steps=100,
        scale_steps=(4000,), size_px=600, aspect=(2, 3), style_fit=True, clip=False,
        pixel_scale=255.0, init="content", content_layers=("relu5_2",),
        resize="nearest", content_weight=2.5e-8, style_weight=1e-6, tv_weight=1e-6,
    ),
    # 002: AdamOptimizer(2.0), 200 iterations, 300 wide x 225 high, noise ratio 0.6.
    "course": dict(
        optimizer="adam_tf", learning_rate=2.0, beta1=0.9, beta2=0.999, epsilon=1e-8,
        scale_steps=(200,), size_px=300, aspect=(3, 4), init="noise_mix", clip=False,
        pixel_scale=255.0, pooling="average", content_weight=10.0, style_weight=40.0,
        content_layers=("relu4_2",),
    ),
    # 003, as the project's issue 2 reads it: 20 rounds of at most 20, 400 rows.
    "keras-lbfgs": dict(
        optimizer="lbfgs", scale_steps=(400,), restart_every=20, size_px=400,
        size_side="height", content_layers=("relu4_2",), content_weight=0.025,
        style_weight=1.0, tv_weight=1e-4, init="content", clip=False,
        pixel_scale=255.0,
    ),
    # 004: AdamOptimizer(10.0), 1000 iterations, clipped to [-means, 255 - means], the
    # image after the update whose loss was lowest.
    "tf-eager": dict(
        optimizer="adam_tf", learning_rate=10.0, beta1=0.9, beta2=0.999, epsilon=1e-8,
        scale_steps=(1000,), clip=True, pixel_scale=255.0, init="content",
        returns="after_best", content_layers=("relu5_2",), size_px=512,
    ),
    # peers.md, 5.4, row TF: Adam .02 (.99, eps .1), 1e4, 1e-2, TV 30, clip [0, 1].
    "tf-tutorial": dict(
        optimizer="adam_tf", learning_rate=0.02, beta1=0.99, epsilon=0.1, clip=True,
        pixel_scale=1.0, scale_steps=(1000,), tv_loss="tv_sum_l1", size_px=512,
        init="content",
    ),
    # peers.md, 5.4, row LG: 512 then 800, 500 + 200 L-BFGS, content.
    "gatys": dict(
        optimizer="lbfgs_torch", learning_rate=1.0, memory=100, clip=False,
        scale_steps=(500, 200), size_px=800, size_side="shorter", init="content",
        pixel_scale=255.0, tv_weight=0.0, pooling="max",
    ),
    # peers.md, 5.2: 1000 its, 512 px, normal x 0.001, L-BFGS history 100.
    "neural-style": dict(
        optimizer="lbfgs_torch", learning_rate=1.0, memory=100, clip=False,
        scale_steps=(1000,), size_px=512, init="mean_noise", white=256.0,
        pixel_scale=256.0, content_weight=5.0, style_weight=100.0, tv_weight=1e-3,
        style_blend="statistics",
    ),
    # peers.md, 5.1.
    "crowsonkb": dict(
        optimizer="adam", learning_rate=0.02, beta1=0.9, beta2=0.99, epsilon=1e-8,
        clip=True, ema=0.99, returns="ema", scale_steps=(1000, 500), size_px=512,
        scale_ratio=math.sqrt(2), min_size_px=128, init="content", pixel_scale=1.0,
        padding="replicate", padding_layers="first", style_enlarge=False, seed=0,
        style_blend="statistics",
    ),
}  # fmt: skip


def test_every_recipe_but_our_own_is_held_to_its_source():
    assert set(SOURCES) == set(RECIPES) - {"jnst", "jnst-lbfgs"}
    assert next(iter(RECIPES)) == "jnst"


@pytest.mark.parametrize("name", SOURCES)
def test_a_recipe_says_what_its_source_says(name):
    fields = fields_of(name)
    assert {k: fields[k] for k in SOURCES[name]} == SOURCES[name]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_hashable_and_names_its_source(name):
    recipe = RECIPES[name]
    assert hash(recipe) == hash(Recipe(**fields_of(name)))
    assert recipe.source


def test_crowsonkbs_sizes_are_its_own():
    # peers.md, section 2: end scale 512 -> 128/181/256/362/512, 1000 + 4 x 500 steps.
    recipe = RECIPES["crowsonkb"]
    assert scales(512, recipe.schedule) == [128, 181, 256, 362, 512]
    assert steps_per_scale(5, recipe.schedule) == [1000, 500, 500, 500, 500]


def test_gatys_runs_512_and_then_800_pixels():
    assert scales(800, RECIPES["gatys"].schedule) == [512, 800]
    assert steps_per_scale(2, RECIPES["gatys"].schedule) == [500, 200]
