"""Compiled programs: built once for each recipe and shape, kept for the process.

`jax.jit` would do the same, but hides how long compiling took; a benchmark must not.
"""

import functools
import hashlib
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from jaxtyping import PyTree

from jnst.files import cache_folder
from jnst.losses import CONTENT_LOSSES, IMAGE_LOSSES, STYLE_LOSSES
from jnst.memory import release_freed
from jnst.optimize import run_chunk
from jnst.recipe import Recipe

PIXEL_STEPS = {"cpu": 1e5}
"""Pixels times steps between two looks: about half a second on two cores."""
ACCELERATOR_PIXEL_STEPS = 3e7
MAX_CHUNK = 100
COMPILER_OPTIONS = {
    # XLA gives matrix products to YNNPACK, which packs a large second factor anew each
    # time; with Eigen's a step takes 0.73 of the time at 128 px, 0.95 at 256 px. Kept
    # in order of memory, not of concurrency, it takes 0.95 of that.
    "cpu": {
        "xla_cpu_experimental_ynn_fusion_type": "",
        "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
    },
}
"""XLA's options by backend, where the ones it comes with are not the fastest."""


@functools.cache
def compiler_options() -> dict[str, str | bool]:
    """Return `COMPILER_OPTIONS` of this backend, none if this jaxlib knows them not."""
    options: dict[str, str | bool] = {**COMPILER_OPTIONS.get(jax.default_backend(), {})}
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return {}
    return options


def _processor() -> str:
    """Name what programs for this CPU may use, since homes are shared by machines."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    flags = [line for line in lines if line.startswith(("flags", "Features"))][:1]
    words = "".join([platform.machine(), platform.processor(), *flags])
    return hashlib.sha256(words.encode()).hexdigest()[:16]


@functools.cache
def keep_programs() -> Path | None:
    """Keep compiled programs on disk, so that a later process need not compile.

    Does nothing where the user has set JAX's own `jax_compilation_cache_dir`, or turned
    `jax_enable_compilation_cache` off, or where the folder cannot be written. JAX reads
    programs from the folder, and trusts them: it is this user's alone.

    Returns:
      The folder now in use, `programs/` in `jnst.files.cache_folder()`; or None.
    """
    config: Any = jax.config
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:
        return None
    if sys.platform == "darwin":  # large programs read back crash jaxlib below 0.10
        return None
    folder = cache_folder() / "programs" / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.parent.chmod(0o700)
    except OSError:
        return None
    config.update("jax_compilation_cache_dir", str(folder))
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    compilation_cache.reset_cache()  # else JAX keeps to what it found at its first
    return folder


def _abstract(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


@functools.lru_cache(maxsize=64)
def _compile(
    function: Callable[..., Any],
    static: tuple[Any, ...],
    leaves: tuple[jax.ShapeDtypeStruct, ...],
    tree: Any,
    rows: tuple[Any, ...],
) -> Any:
    del rows  # a key alone: a row may be written anew under its old name

    def bound(*arguments: Any) -> Any:  # fresh each time, unknown to JAX's own cache
        return function(*arguments, *static)

    donated = (0,) if function is run_chunk else ()
    jitted = jax.jit(bound, donate_argnums=donated)
    lowered = jitted.lower(*jax.tree.unflatten(tree, leaves))
    program = lowered.compile(compiler_options=compiler_options())
    release_freed()
    return program


def _rows(recipe: Recipe) -> tuple[Any, ...]:
    return (
        STYLE_LOSSES[recipe.style_loss],
        CONTENT_LOSSES[recipe.content_loss],
        IMAGE_LOSSES[recipe.tv_loss],
    )


def compiled(
    function: Callable[..., Any], arguments: tuple[Any, ...], recipe: Recipe, *more: Any
) -> tuple[Callable[..., Any], float]:
    """Compile a function for arguments of these shapes, or find it compiled.

    Args:
      function: `run_chunk`, whose first argument is donated, or `make_targets`.
      arguments: Leading arguments, trees of arrays.
      recipe: The next argument, hashable.
      *more: The arguments after it, hashable.

    Returns:
      The program, to be called with `arguments` alone; and the seconds it took.
    """
    keep_programs()
    leaves, tree = jax.tree.flatten(_abstract(arguments))
    start = time.perf_counter()
    static = (recipe, *more)
    program = _compile(function, static, tuple(leaves), tree, _rows(recipe))
    return program, time.perf_counter() - start


def chunk_lengths(steps: int, shape: tuple[int, int], every: int) -> tuple[int, int]:
    """Choose how many steps pass before Python looks, and how many a program runs.

    Args:
      steps: Steps at this size.
      shape: Height and width of the image.
      every: Steps after which Python must look, 0 for no such wish.

    Returns:
      The largest divisor of `steps` (and `every`) that takes about half a second, so
      that one program serves the whole size; and as many steps a program, but 1 on a
      CPU, where XLA runs the convolutions of a `lax.scan` body almost three times
      slower than those outside (jaxlib 0.10.2).
    """
    backend = jax.default_backend()
    budget = PIXEL_STEPS.get(backend, ACCELERATOR_PIXEL_STEPS)
    longest = int(np.clip(budget / (shape[0] * shape[1]), 1, MAX_CHUNK))
    whole = np.gcd(steps, every) if every else steps
    look = max(n for n in range(1, longest + 1) if whole % n == 0)
    return look, 1 if backend == "cpu" else look
