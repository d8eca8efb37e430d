"""What the suite measures: a base case, and what is varied one axis at a time.

To add a variant, add it to a `Plan` (a size, a loss) or an axis to `variants`. Pictures
and networks are seeded: without real weights every machine runs the same numbers.
"""

import dataclasses
from typing import NamedTuple

from jnst.bench.cases import OBJECTIVE, Case, with_loss
from jnst.recipes.recipe import Recipe

LOSSES = ("mean_std", "wasserstein2", "nnfm")  # cheaper than Gram, dearer, a matching
OPTIMIZERS = ("lbfgs", "lbfgs_torch")


class Plan(NamedTuple):
    """How much is measured; `tiny` is for a test of the suite itself."""

    base_px: int  # every axis but size is varied at this one
    sizes: tuple[int, ...]
    batches: tuple[int, ...]
    peer_sizes: tuple[int, ...]
    start_px: int  # cold start
    matmul: int  # side of the square matrices whose product is the limit
    dtypes: tuple[str, ...] = ("bfloat16",)
    losses: tuple[str, ...] = LOSSES
    optimizers: tuple[str, ...] = OPTIMIZERS
    most_channels: int = 512
    repeats: int = 7
    warmup: int = 2
    starts: int = 3  # fresh processes
    recipe: Recipe = OBJECTIVE


SHALLOW = dataclasses.replace(
    OBJECTIVE, style_layers=("relu1_1", "relu2_1"), content_layers=("relu1_2",)
)
PLANS = {
    "cpu": Plan(
        base_px=128,
        sizes=(64, 128, 256, 512),
        batches=(2,),
        peer_sizes=(128, 256),
        start_px=256,
        matmul=3072,
    ),
    "accelerator": Plan(
        base_px=512,
        sizes=(256, 512, 1024, 2048),
        batches=(4,),
        peer_sizes=(512, 1024),
        start_px=512,
        matmul=16384,
    ),
    "tiny": Plan(
        base_px=32,
        sizes=(32,),
        losses=LOSSES[:1],
        optimizers=OPTIMIZERS[1:],
        batches=(2,),
        peer_sizes=(32,),
        start_px=32,
        matmul=128,
        most_channels=4,
        repeats=2,
        warmup=1,
        starts=1,
        recipe=SHALLOW,
    ),
}


class Variant(NamedTuple):
    """A case, which axis it belongs to, and the network it runs."""

    axis: str
    value: str
    case: Case
    backbone: str = "vgg19"


def changed(case, **fields):
    """Change fields of a case's recipe."""
    return case._replace(recipe=dataclasses.replace(case.recipe, **fields))


def variants(plan):
    """List the variants of a plan; the base case is one of the sizes."""
    base = Case(plan.recipe, plan.base_px)
    axes = {
        "size": {f"{n}px": base._replace(size_px=n) for n in plan.sizes},
        "dtype": {name: changed(base, dtype=name) for name in plan.dtypes},
        "loss": {
            name: base._replace(recipe=with_loss(base.recipe, name))
            for name in plan.losses
        },
        "optimizer": {name: changed(base, optimizer=name) for name in plan.optimizers},
        "batch": {str(n): base._replace(batch=n) for n in plan.batches},
        "convolution": {
            name: changed(base, convolution=name) for name in ("xla", "winograd")
        },
    }
    found = [
        Variant(axis, value, case)
        for axis, cases in axes.items()
        for value, case in cases.items()
    ]
    return [*found, Variant("backbone", "vgg16", base, "vgg16")]
