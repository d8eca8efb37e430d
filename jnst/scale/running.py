"""How programs of a tiled step are called: for their results, or to compile them."""

from collections.abc import Callable
from typing import Any

import jax

from jnst.program import compiled, jitted_for, program_key

Run = Callable[..., Any]
"""Calls a function with arrays; `static` are its last arguments, `donated` positions of
arguments whose buffers it may use. The function must be defined once."""
Whole = Any
"""An array, or a tree of arrays; only their shapes where a `Run` only compiles."""


def run(
    function: Callable[..., Any],
    *arguments: Any,
    static: tuple[Any, ...] = (),
    donated: tuple[int, ...] = (),
) -> Any:
    """Call a function under `jax.jit`, with this backend's options."""
    program = jitted_for(function, arguments, static=static, donated=donated)
    return program(*arguments, *static)


class Compiling:
    """A `Run` that only compiles, and returns shapes.

    Attributes:
      seconds: What it took so far.
    """

    def __init__(self) -> None:
        """Begin with nothing compiled."""
        self.seconds = 0.0
        self._known: dict[Any, Any] = {}

    def __call__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        static: tuple[Any, ...] = (),
        donated: tuple[int, ...] = (),
    ) -> Any:
        """Compile a function, once, and return the shapes of what it gives."""
        at = program_key(function, arguments, static)
        if at not in self._known:
            more = {"static": static, "donated": donated}
            _, spent = compiled(function, arguments, **more)
            self.seconds += spent
            self._known[at] = jax.eval_shape(
                lambda *a: function(*a, *static), *arguments
            )
        return self._known[at]
