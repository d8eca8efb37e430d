"""Documents of benchmarks as `jnst bench` writes them, made up rather than measured."""

import numpy as np

TIGHT = [99.0, 99.5, 100.0, 100.0, 100.5, 101.0, 101.5]


def scaled(factor, spread=1.0):
    """Samples of that median (in units of 100 ms), so many times as wide as TIGHT."""
    return [100 * factor + spread * (value - 100) for value in TIGHT]


def row(samples, **changes):
    """A row of a case of 256 px with these samples in ms."""
    key = {"size_px": 256, "batch": 1, "dtype": "float32", "precision": "high"}
    key |= {"loss": "gram", "optimizer": "adam", "convolution": "auto"}
    key |= {"backbone": "vgg19", "label": "objective", "mode": "step", "devices": "1"}
    deciles = [float(v) for v in np.quantile(samples, [0.1, 0.9])]
    times = {"step_ms": float(np.median(samples)), "step_ms_deciles": deciles}
    return key | times | {"samples_ms": list(samples)} | changes


def document(*rows, **changes):
    """A document of these rows, from a CPU."""
    about = {"schema": "jnst-bench-1", "date": "2026-11-29T12:00:00+00:00"}
    about |= {"commit": "0123456789", "device": "cpu (x86_64, 2 cores)"}
    about |= {"device_kind": "cpu", "cpu": "some CPU, AVX2", "cores": 2}
    about |= {"versions": {"jax": "0.10.2", "jnst": "0.1.0"}}
    about |= {"weights": {"title": "tiny"}, "options": {"repeats": 7}}
    return about | {"rows": list(rows)} | changes
