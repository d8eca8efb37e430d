"""Compiled programs: `jax.jit`'s own, with compiling apart, and kept on disk if asked.

What is compiled is decided by the structure of the arguments; `jax.jit` keeps programs
for the process. Compiling is a call of its own, so that a benchmark can time it.
"""

import functools
import inspect
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from jnst.files import cache_folder
from jnst.memory import release_freed
from jnst.processor import cpu_digest, multiplies_bfloat16

YNNPACK = "xla_cpu_experimental_ynn_fusion_type"
COMPILER_OPTIONS = {
    # XLA gives matrix products to YNNPACK, which packs a large second factor anew each
    # time; with Eigen's a step takes 0.73 of the time at 128 px, 0.95 at 256 px. Kept
    # in order of memory, not of concurrency, it takes 0.95 of that.
    "cpu": {
        YNNPACK: "",
        "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
    },
}
"""XLA's options by backend, where the ones it comes with are not the fastest. A program
in bfloat16 keeps YNNPACK, where the CPU multiplies that: Eigen converts to float32, and
a step takes 1.3 to 1.6 times as long (256 and 512 px, AMD EPYC, avx512_bf16)."""

MOST_PROGRAMS = 16
"""Programs kept of one function: more than a run has sizes. Each takes up to 14 MiB,
a new shape two of them, and 300 of the memory maps that a process may have (65530 on
Linux), beyond which XLA aborts."""

_HELD: weakref.WeakKeyDictionary[Any, set[Any]] = weakref.WeakKeyDictionary()
"""What each function under `jax.jit` was compiled for since it was last cleared."""

_FOLDERS: list[Path] = []
"""Where `keep_programs` keeps them, once it does."""

FOUND_S = 0.1
"""A program that took less was found, or is small: it leaves no memory to give back,
and asking the C library takes 20 ms."""


def in_half(arguments: Any) -> bool:
    """Tell whether a program for these arguments multiplies in bfloat16."""
    leaves = jax.tree.leaves(arguments)
    given = any(getattr(x, "dtype", None) == jnp.bfloat16 for x in leaves)
    return given and multiplies_bfloat16()


@functools.cache
def compiler_options(*, half: bool = False) -> dict[str, str | bool]:
    """Return `COMPILER_OPTIONS` of this backend, none if this jaxlib knows them not.

    Args:
      half: See `in_half`.
    """
    options: dict[str, str | bool] = {**COMPILER_OPTIONS.get(jax.default_backend(), {})}
    if half:
        options.pop(YNNPACK, None)
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return {}
    return options


@functools.cache
def keep_programs() -> Path | None:
    """Keep compiled programs on disk, so that a later process need not compile.

    The command line calls this; a library must not touch a process that is not its own,
    so `stylize` does not. Call it once, before anything is compiled.

    Does nothing where the user has set JAX's own `jax_compilation_cache_dir`, or turned
    `jax_enable_compilation_cache` off, or where the folder cannot be written. JAX reads
    programs from the folder, and trusts them: it is this user's alone.

    Returns:
      The folder now in use, `programs/` in `jnst.files.cache_folder()`; or None.
    """
    config: Any = jax.config
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:
        return None
    folder = cache_folder() / "programs" / cpu_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.parent.chmod(0o700)
    except OSError:
        return None
    config.update("jax_compilation_cache_dir", str(folder))
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    compilation_cache.reset_cache()  # else JAX keeps to what it found at its first
    _FOLDERS.append(folder)
    return folder


@functools.cache
def jitted(
    function: Callable[..., Any],
    *,
    static: int,
    donated: tuple[int, ...],
    half: bool = False,
) -> Any:
    """Return a module's function under `jax.jit`, with this backend's options.

    Args:
      function: A function that is defined once; its last arguments are static.
      static: How many.
      donated: Positions of arguments whose buffers it may use.
      half: See `in_half`.
    """
    count = len(inspect.signature(function).parameters)
    return jax.jit(
        function,
        static_argnums=tuple(range(count - static, count)),
        donate_argnums=donated,
        compiler_options=compiler_options(half=half),
    )


def jitted_for(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    static: tuple[Any, ...] = (),
    donated: tuple[int, ...] = (),
) -> Any:
    """Return `jitted` as these arguments, see `compiled`, want it."""
    how = {"static": len(static), "donated": donated, "half": in_half(arguments)}
    return jitted(function, **how)


def compiled(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    static: tuple[Any, ...] = (),
    donated: tuple[int, ...] = (),
) -> tuple[Any, float]:
    """Compile a function for arguments of these shapes, or find it compiled.

    Args:
      function: A function that is defined once.
      arguments: Its leading arguments, trees of arrays.
      static: Its last arguments, hashable.
      donated: Positions of arguments whose buffers it may use.

    Returns:
      The function under `jax.jit`, which compiles nothing any more when it is called
      with all these arguments; and the seconds it took.
    """
    start = time.perf_counter()
    program = jitted_for(function, arguments, static=static, donated=donated)
    _make_room(program, program_key(function, arguments, static))
    lowered = program.lower(*arguments, *static)
    lowered.compile()
    seconds = time.perf_counter() - start
    if seconds > FOUND_S:
        release_freed()
    return program, seconds


def forget(program: Any) -> None:
    """Free the memory of programs that have done their work, if the disk has them.

    Those that make the targets of one size take 40 MiB, and 0.3 s to be read again;
    without `keep_programs` they stay for the next call.

    Args:
      program: A function from `compiled`.
    """
    if _FOLDERS:
        program.clear_cache()
        _HELD.pop(program, None)


def program_key(
    function: Callable[..., Any], arguments: Any, static: tuple[Any, ...]
) -> Any:
    """Return what is equal for calls that one program serves, on the same devices."""
    leaves, tree = jax.tree.flatten(arguments)
    shapes = tuple((np.shape(x), getattr(x, "dtype", type(x))) for x in leaves)
    return function, static, tree, shapes


def _make_room(program: Any, key: Any) -> None:
    """Forget a function's programs where there are too many and this is another."""
    held = _HELD.setdefault(program, set())
    if key not in held and program._cache_size() >= MOST_PROGRAMS:
        program.clear_cache()
        held.clear()
    held.add(key)
