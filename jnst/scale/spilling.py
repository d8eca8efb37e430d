"""What is computed once and is too large for memory, kept in a file without a name.

Each shift of a step has content targets of its own: 32 bytes a pixel in the default
recipe, four gigabytes of eight shifts at 4096 px. They are computed when a step first
asks for them, and read when one asks again.
"""

import logging
import math
import shutil
import tempfile
import weakref
from typing import Any

import jax
import numpy as np

from jnst.files import cache_folder
from jnst.scale.weighing import bytes_of

SPARE = 2
"""Disks that have less than so many times what is to be kept are left alone."""


@jax.tree_util.register_static
class Spilled:
    """Trees of arrays by number, in a file that ends with this object.

    As a pytree it has no leaves: what it keeps is memory of what was computed, and
    changes no value.
    """

    def __init__(self, count: int) -> None:
        """Have room for `count` trees of one structure; nothing is written yet."""
        self._count = count
        self._file: Any = None
        self._there: set[int] = set()
        self._like: Any = None

    def put(self, number: int, tree: Any) -> None:
        """Keep a tree; if the disk cannot, nothing is kept from then on.

        Shapes are nothing to keep: whoever only compiles has no more.
        """
        if not all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(tree)):
            return
        try:
            self._open(tree)
            if self._file is not None:
                self._file.seek(number * self._size())
                for leaf in jax.tree.leaves(tree):
                    np.asarray(leaf).tofile(self._file)
                self._file.flush()
                self._there.add(number)
        except OSError as error:
            self._file, self._count = None, 0
            self._there.clear()
            logging.getLogger("jnst").warning(
                "the content's targets are computed anew each step: %s", error
            )

    def get(self, number: int) -> Any:
        """Return a tree that was kept, as arrays; None if it was not."""
        if number not in self._there:
            return None
        self._file.seek(number * self._size())
        return jax.tree.map(self._read, self._like)

    def _read(self, like: jax.ShapeDtypeStruct) -> jax.Array:
        count = math.prod(like.shape)
        found = np.fromfile(self._file, like.dtype, count)
        return jax.device_put(found.reshape(like.shape))

    def _size(self) -> int:
        return sum(bytes_of(leaf) for leaf in jax.tree.leaves(self._like))

    def _open(self, tree: Any) -> None:
        """Open the file at the first tree, if the disk has room for all of them."""
        if self._like is not None:
            return
        self._like = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree
        )
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        wanted = SPARE * self._count * self._size()
        if shutil.disk_usage(folder).free >= wanted:
            self._file = tempfile.TemporaryFile(dir=folder)
            weakref.finalize(self, self._file.close)
