"""How a loss changes with its features: the columns of losses.md, table D1."""

import numpy as np
from compiled import computed


def tile(features):
    """Four times the positions, with the same statistics."""
    return np.tile(features, (2, 2, 1))


def duplicate(features):
    """Every channel twice."""
    return np.concatenate([features, features], axis=2)


def permute(features):
    """The positions in another order."""
    order = np.random.default_rng(0).permutation(len(features.reshape(-1, 1)) // 2)
    return features.reshape(-1, features.shape[2])[order].reshape(features.shape)


def ratios(name, generated, target, **options):
    """f(changed) / f(original) for "tile", "dup", "x2" (both maps), "perm" (ours)."""
    doubled = dict(options)
    if "directions" in options:
        doubled["directions"] = tuple(d + d for d in options["directions"])
    changed = {
        "tile": computed(name, tile(generated), tile(target), **options),
        "dup": computed(name, duplicate(generated), duplicate(target), **doubled),
        "x2": computed(name, 2 * generated, 2 * target, **options),
        "perm": computed(name, permute(generated), target, **options),
    }
    original = float(computed(name, generated, target, **options))
    return {what: float(value) / original for what, value in changed.items()}
