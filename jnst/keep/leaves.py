"""Pytrees as NumPy arrays by name, and back again.

What is on disk is leaves alone. The structure they belong to is made anew, by
`jax.eval_shape` of whatever made it first, and every leaf is held to it: its name,
shape and type.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from jnst.splitting import fetched

Arrays = dict[str, np.ndarray]


def is_key(leaf: Any) -> bool:
    """Tell whether a leaf is a PRNG key, or the shape of one."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def named(tree: PyTree, prefix: str) -> dict[str, Any]:
    """Return a tree's leaves by name: the prefix and the way to each."""
    pairs, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {prefix + jax.tree_util.keystr(path): leaf for path, leaf in pairs}


def to_arrays(tree: PyTree, prefix: str) -> Arrays:
    """Copy a tree's leaves to the host, by name.

    Args:
      tree: Arrays, PRNG keys among them.
      prefix: Of their names.

    Returns:
      NumPy arrays that share no memory with the tree: its buffers may be given up.
    """
    plain = jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree)
    found = named(fetched(plain), prefix)
    return {name: np.array(_storable(np.asarray(x))) for name, x in found.items()}


def _storable(array: np.ndarray) -> np.ndarray:
    """Return an array as safetensors' NumPy knows it, which has no bfloat16."""
    return array.view(np.uint16) if array.dtype == jnp.bfloat16 else array


def to_tree(
    arrays: Mapping[str, np.ndarray], like: PyTree, prefix: str, *, free: str = ""
) -> PyTree:
    """Rebuild a tree from arrays by name.

    Args:
      arrays: From `to_arrays`; those of other prefixes are left alone.
      like: A tree of the same structure; of its leaves shape and type are looked at.
      prefix: Of their names.
      free: Prefix of names whose shapes may be others, of as many axes.

    Returns:
      The tree, of NumPy arrays and PRNG keys.

    Raises:
      ValueError: If a name is missing or too many, or a shape or a type is another.
    """
    wanted = named(like, prefix)
    known = {name for name in arrays if name.startswith(prefix)}
    for name in [*(wanted.keys() - known), *(known - wanted.keys())]:
        what = "lacks" if name in wanted else "has"
        raise ValueError(f"it {what} {name!r}, which this run has {_not(name, wanted)}")
    found = [
        _leaf(name, arrays[name], leaf, free=bool(free) and name.startswith(free))
        for name, leaf in wanted.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), found)


def _not(name: str, wanted: Mapping[str, Any]) -> str:
    return "" if name in wanted else "not"


def _leaf(name: str, array: np.ndarray, like: Any, *, free: bool) -> Any:
    shape, dtype = like.shape, like.dtype
    if is_key(like):
        data = jax.eval_shape(jax.random.key_data, like)
        shape, dtype = data.shape, data.dtype
    half = dtype == jnp.bfloat16
    same = len(array.shape) == len(shape) if free else array.shape == shape
    if not same or array.dtype != (np.uint16 if half else dtype):
        raise ValueError(
            f"its {name!r} is {array.dtype} {list(array.shape)}, where this run has "
            f"{dtype} {list(shape)}"
        )
    if is_key(like):
        with jax.transfer_guard("allow"):
            data = jnp.asarray(array)  # of the usual kind, as all keys are
            return jax.random.wrap_key_data(data)
    return array.view(jnp.bfloat16) if half else array
