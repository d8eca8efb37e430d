"""Which devices a run is split over: from what a user asks for to a mesh.

One picture is split by rows, or by rows and columns. A batch is split by pictures, as
far as their number divides, and then by rows: both in one program. Columns are for
pictures whose maps all divide: see `_check_columns`.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jnst.base import shown
from jnst.network.layers import IMAGE_LAYER, canonical_layer, layer_names
from jnst.objective.fields import ObjectiveFields, active_terms
from jnst.objective.term import OWN, TABLES, Term, kind_of
from jnst.splitting import AXES

OWN_WHOLE = "nobody knows whether XLA can split a function of your own"
FORMS = "a number such as 4, or numbers with x between such as 4x2"


def make_mesh(devices: Any, batch: int | None) -> Mesh | None:
    """Make the mesh that a user asks for.

    Args:
      devices: A number of devices; or numbers, as text "4x2" or a tuple: rows x columns
        of one picture, batch x rows (x columns) of a batch. None for one device, or for
        all where a run has several processes.
      batch: Number of pictures; None for one.

    Returns:
      A mesh of the axes `AXES`; None for one device.

    Raises:
      ValueError: If it is something else, or more devices than JAX has.
    """
    if devices is None and jax.process_count() > 1:
        devices = jax.device_count()
    if devices is None:
        return None
    shape = mesh_shape(counts_of(devices), batch)
    asked, known = math.prod(shape), jax.devices()
    if asked == 1:
        return None
    if asked > len(known):
        hint = (
            f"; for as many on a CPU set XLA_FLAGS=--xla_force_host_platform_device_"
            f"count={asked}"
            if known[0].platform == "cpu"
            else ""
        )
        raise ValueError(
            f"devices={_text(devices)} needs {asked}, JAX has {len(known)} "
            f"({known[0].platform}){hint}"
        )
    if asked % jax.process_count():
        raise ValueError(
            f"devices={_text(devices)} must be a multiple of the {jax.process_count()} "
            "processes"
        )
    return mesh_of(_even(known, asked), shape)


def mesh_of(devices: Sequence[Any], shape: tuple[int, int, int]) -> Mesh:
    """Make a mesh of these devices, by batch, rows and columns."""
    grid = np.asarray(devices, object).reshape(shape)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def _even(known: Sequence[Any], asked: int) -> list[Any]:
    """Choose as many devices of each process."""
    each = asked // jax.process_count()
    by_process = [
        [d for d in known if d.process_index == k][:each]
        for k in range(jax.process_count())
    ]
    return [device for found in by_process for device in found]


def counts_of(devices: Any) -> tuple[int, ...]:
    """Read one number to three, each at least 1.

    Raises:
      ValueError: If it is something else.
    """
    parts: Any = devices
    if isinstance(devices, str):
        match = re.fullmatch(r"\d+([xX]\d+){0,2}", devices.strip())
        parts = re.split("[xX]", devices.strip()) if match else ()
    elif isinstance(devices, int) and not isinstance(devices, bool):
        parts = (devices,)
    whole = isinstance(parts, list | tuple) and 1 <= len(parts) <= len(AXES)
    known = isinstance(devices, str) or (
        whole and all(type(n) is int or isinstance(n, np.integer) for n in parts)
    )
    counts: tuple[int, ...] = ()
    if whole and known:
        counts = tuple(int(n) for n in parts)
    if not counts or min(counts) < 1:
        raise ValueError(f"devices must be {FORMS}, got {shown(devices)}")
    return counts


def sides_of(mesh: Mesh) -> tuple[int, int]:
    """Return how many devices are along rows and columns of a picture."""
    return mesh.shape[AXES[1]], mesh.shape[AXES[2]]


def mesh_shape(counts: tuple[int, ...], batch: int | None) -> tuple[int, int, int]:
    """Say how many devices are along batch, rows and columns.

    Raises:
      ValueError: If pictures do not divide, or there are more numbers than axes.
    """
    first, *rest = counts
    if batch is None:
        if len(rest) > 1:
            raise ValueError(
                f"devices={_text(counts)} is for a batch; one picture is split by rows "
                "and columns, such as 4x2"
            )
        return 1, first, rest[0] if rest else 1
    members = math.gcd(first, batch)
    if not rest:
        return members, first // members, 1
    if batch % first:
        raise ValueError(
            f"devices={_text(counts)} puts a batch on {first} groups of devices, which "
            f"{batch} pictures do not divide into; use devices={members}x{rest[0]}"
        )
    return first, rest[0], rest[1] if len(rest) > 1 else 1


def _text(devices: Any) -> str:
    several = isinstance(devices, list | tuple)
    return "x".join(str(n) for n in devices) if several else str(devices).strip()


def check_splits(
    fields: ObjectiveFields,
    counts: tuple[int, int],
    shapes: Sequence[tuple[int, int]],
    *,
    styles: Sequence[tuple[int, int]] = (),
) -> None:
    """Raise `ValueError` for what cannot be split over devices, before any work.

    Args:
      fields: What is compared.
      counts: Devices along rows and columns of a picture.
      shapes: Height and width of the picture at each size of a run.
      styles: The same of all its styles, which are split too.
    """
    if fields.tile_px not in ("none", "auto"):
        raise ValueError(
            f"tile_px={fields.tile_px} works through the image on one device; leave "
            "devices or tile_px out"
        )
    if fields.convolution == "winograd":
        raise ValueError(
            "convolution=winograd cannot be split over devices: it would gather whole "
            "maps; set convolution=auto"
        )
    rows, columns = counts
    if rows * columns == 1:
        return
    for term in active_terms(fields.terms):
        kind = kind_of(term.loss)
        row = None if kind == OWN else TABLES[kind][str(term.loss)]
        whole = OWN_WHOLE if kind == OWN else getattr(row, "whole", "")
        if whole:
            raise ValueError(
                f"{term.name}_loss={str(term.loss)!r} cannot be split over devices: "
                f"{whole}; use devices=1"
            )
    for height, width in shapes[-1:]:
        if height < rows or width < columns:
            raise ValueError(
                f"an image of {height}x{width} (height x width) cannot be split over "
                f"{rows}x{columns} devices; use fewer devices or a larger size_px"
            )
    if columns > 1:
        _check_columns(fields, counts, [*shapes, *styles])


def _check_columns(
    fields: ObjectiveFields,
    counts: tuple[int, int],
    shapes: Sequence[tuple[int, int]],
) -> None:
    """Raise for what XLA may compute wrongly: maps split twice that do not divide.

    In a program whose kernels are constants, as where `jax.jit` closes over an
    objective, pooled maps of 2 to 5 positions on 4 x 2 or 2 x 4 devices are wrong by
    more than their size (jaxlib 0.10.2, Shardy). Maps that divide, with two rows and
    two columns or more a device, are right to 1e-15 in float64, as are all by rows.
    """
    times = max((_poolings(term) for term in active_terms(fields.terms)), default=0)
    least = [2**times * count for count in counts]
    for shape in shapes:
        if any(side % n or side < 2 * n for side, n in zip(shape, least, strict=True)):
            raise ValueError(
                f"devices={_text(counts)} splits columns too, which XLA computes right "
                f"only where all maps divide: height a multiple of {least[0]}, width "
                f"of {least[1]}, twice that or more, got {shape[0]}x{shape[1]}; split "
                f"rows alone, devices={math.prod(counts)}"
            )


def _poolings(term: Term) -> int:
    """Count the poolings before the deepest layer of a term, its pyramid's too."""
    names, found = layer_names("vgg19"), 0
    for layer in term.layers:
        if layer != IMAGE_LAYER:
            depth = names.index(canonical_layer(layer, "vgg19"))
            found = max(found, sum(x.startswith("pool") for x in names[: depth + 1]))
    return found + term.pyramid - 1
