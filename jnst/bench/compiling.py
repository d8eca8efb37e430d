"""What JAX spent on programs: tracing, lowering, compiling, and whether it found them.

JAX tells `jax.monitoring` of each. A program that JAX's cache on disk has is a hit; one
that the process has already costs nothing and is told of nowhere.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax.monitoring

SPENT = {
    "/jax/core/compile/jaxpr_trace_duration": "trace_s",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower_s",
    "/jax/core/compile/backend_compile_duration": "backend_s",
}
"""JAX's names of what it spends time on, and ours."""
FOUND = {
    "/jax/compilation_cache/cache_hits": "cache_hits",
    "/jax/compilation_cache/cache_misses": "cache_misses",
}
"""JAX's names of what it finds on disk or not, and ours."""


@contextlib.contextmanager
def watched() -> Iterator[dict[str, Any]]:
    """Watch what JAX compiles while the block runs.

    Yields:
      Filled at the end: seconds of tracing ("trace_s"), of lowering to StableHLO
      ("lower_s"), of XLA's compiling or of reading from the cache ("backend_s"); and
      "cache_hits" and "cache_misses", both 0 where no cache is kept. A function traced
      inside another counts twice in "trace_s".
    """
    spent: Counter[str] = Counter()
    told: dict[str, Any] = {}

    def on_seconds(event: str, duration_secs: float, **_: Any) -> None:
        if event in SPENT:
            spent[SPENT[event]] += duration_secs  # type: ignore[assignment]

    def on_event(event: str, **_: Any) -> None:
        if event in FOUND:
            spent[FOUND[event]] += 1

    jax.monitoring.register_event_duration_secs_listener(on_seconds)
    jax.monitoring.register_event_listener(on_event)
    try:
        yield told
    finally:
        jax.monitoring.unregister_event_duration_listener(on_seconds)
        jax.monitoring.unregister_event_listener(on_event)
        told |= {name: float(spent[name]) for name in SPENT.values()}
        told |= {name: spent[name] for name in FOUND.values()}
