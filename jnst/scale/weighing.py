"""What programs need in memory, by XLA's own account, with no array made.

`Weighing` is a `Run` that compiles, and returns shapes: whoever is given it goes
through a run as usual, holds shapes and lets them go as it would arrays, and the most
that was held at once is what the run needs.
"""

import math
import time
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jnst.program import jitted_for, program_key


class Held(jax.ShapeDtypeStruct):
    """Shape and type of an array that would be in memory while this object is."""


def bytes_of(leaf: Any) -> int:
    """Return the bytes of an array, or of one of that shape; those of a key too."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.eval_shape(jax.random.key_data, leaf)
    return math.prod(leaf.shape) * leaf.dtype.itemsize


class Weighing:
    """A `Run` that compiles, returns shapes, and counts what would be held.

    Attributes:
      seconds: What compiling took so far.
      held: Bytes of all arrays alive now.
      most: Bytes of the most that was needed at once.
    """

    def __init__(self) -> None:
        """Begin with nothing held."""
        self.seconds = 0.0
        self.held = 0
        self.most = 0
        self._known: dict[Any, tuple[Any, int]] = {}
        self._alive: dict[int, int] = {}

    def hold(self, tree: Any) -> Any:
        """Count the leaves of a tree as held, each once, while they are alive."""
        for leaf in jax.tree.leaves(tree):
            if id(leaf) not in self._alive:
                size = bytes_of(leaf)
                weakref.finalize(leaf, self._let_go, id(leaf)).atexit = False
                self._alive[id(leaf)] = size
                self.held += size
        self.most = max(self.most, self.held)
        return tree

    def _let_go(self, name: int) -> None:
        self.held -= self._alive.pop(name, 0)

    def __call__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        static: tuple[Any, ...] = (),
        donated: tuple[int, ...] = (),
    ) -> Any:
        """Compile a function, once, and return the shapes of what it gives."""
        self.hold(arguments)
        at = program_key(function, arguments, static)
        if at not in self._known:
            self._known[at] = self._compiled(function, arguments, static, donated)
        found, more = self._known[at]
        self.most = max(self.most, self.held + more)
        for leaf in jax.tree.leaves([arguments[n] for n in donated]):
            self._let_go(id(leaf))
        return self.hold(jax.tree.map(lambda x: Held(x.shape, x.dtype), found))

    def _compiled(
        self, function: Any, arguments: Any, static: Any, donated: tuple[int, ...]
    ) -> tuple[Any, int]:
        """Return what a function gives, as shapes, and its bytes beside arguments."""
        begun = time.perf_counter()
        program = jitted_for(function, arguments, static=static, donated=donated)
        needs = program.lower(*arguments, *static).compile().memory_analysis()
        self.seconds += time.perf_counter() - begun
        found = jax.eval_shape(lambda *a: function(*a, *static), *arguments)
        new = needs.output_size_in_bytes - needs.alias_size_in_bytes
        return found, needs.temp_size_in_bytes + max(0, new)
