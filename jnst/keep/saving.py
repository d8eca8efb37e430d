"""`jnst.save` and `jnst.load`: objective and state of one's own loop, as a file."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from jnst.base import Params, shown
from jnst.drivers.record import versions
from jnst.files import StrPath, check_output
from jnst.keep.leaves import to_arrays, to_tree
from jnst.keep.objectives import (
    OBJECTIVE,
    document_of,
    network_from,
    objective_like,
    params_from,
    rule_document,
    rule_from,
)
from jnst.keep.runs import STATE, state_of
from jnst.keep.storage import read_checkpoint, write_checkpoint
from jnst.loop.state import State
from jnst.objective.value import Objective
from jnst.scale.meshes import make_mesh
from jnst.splitting import put

KIND = "objective"


def save(path: StrPath, objective: Objective, state: State) -> None:
    """Write an objective and a state, so that a loop of one's own can go on.

    The network's parameters are left out: `load` finds them again by their hash.

    Args:
      path: The file, in safetensors' format; it is replaced.
      objective: What is minimised, from `jnst.make_objective`.
      state: From `jnst.init` or `jnst.step`.

    Raises:
      ValueError: If a function is in them (a loss, `extract`, an optimiser that no
        table has), which no file can hold; or the file cannot be written.
    """
    check_output(path, overwrite=True)
    document = {
        "kind": KIND,
        **document_of(objective),
        "state_rule": rule_document(state.rule),
        "shape": [int(n) for n in state.image.shape[-3:-1]],
        "versions": versions(),
    }
    bare = dataclasses.replace(objective, extract=None)
    arrays = {**to_arrays(bare, OBJECTIVE), **to_arrays(state, STATE)}
    write_checkpoint(Path(path), arrays, document)


def load(
    path: StrPath,
    *,
    weights: str | Path | Params | None = None,
    devices: Any = None,
) -> tuple[Objective, State]:
    """Read what `save` wrote.

    Args:
      path: The file.
      weights: Name or path of the weights file, or parameters; None to look for the
        same ones among those at hand.
      devices: Devices to split it over, as in `jnst.stylize`; None for one.

    Returns:
      The objective and the state: `jnst.step` goes on with them, to the same bits.

    Raises:
      FileNotFoundError: If there is no such file.
      ValueError: If it is damaged, of another version, no file of `save`, or needs
        parameters or losses that are not there.
    """
    where = Path(path)
    if not where.exists():
        raise FileNotFoundError(f"no file {str(path)!r}")
    try:
        arrays, document = read_checkpoint(where)
        if document.get("kind") != KIND:
            raise ValueError("is of a run, which `jnst resume` goes on with")
        network = network_from(document, params_from(document, weights))
        like = objective_like(document, arrays, network)
        free = f"{OBJECTIVE}.targets"
        bare = to_tree(arrays, like, OBJECTIVE, free=free)
        rule, batch = rule_from(document["state_rule"]), bare.structure.batch
        numbers = {k: arrays[f"{STATE}.numbers['{k}']"] for k in bare.start.numbers}
        one = {k: v.reshape(-1)[0] for k, v in numbers.items()}
        state = to_tree(arrays, state_of(rule, one, document["shape"], batch), STATE)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} {error}") from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        why = shown(f"{type(error).__name__} {error}")
        raise ValueError(f"{str(path)!r} is no file of jnst.save: {why}") from None
    objective = dataclasses.replace(bare, extract=network)
    mesh = make_mesh(devices, batch)
    return _spread(objective, mesh), put(jax.device_put(state), mesh, batch=batch)


def _spread(objective: Objective, mesh: Mesh | None) -> Objective:
    """Bring an objective to the devices that `make_objective` would have it on."""
    structure = objective.structure._replace(mesh=mesh)
    objective = dataclasses.replace(objective, structure=structure)
    if mesh is None:
        return jax.device_put(objective)
    styles = {part.name for part in structure.parts if part.kind == "style"}

    def targets(found: dict[str, Any]) -> dict[str, Any]:
        return {
            k: put(
                v,
                mesh,
                whole=k in styles,
                batch=structure.batch if k in structure.batched else None,
            )
            for k, v in found.items()
        }

    turns = objective.turns
    if turns is not None:
        turns = turns._replace(shifts=put(turns.shifts, mesh, whole=True))
        turns = turns._replace(targets=targets(turns.targets))
    return dataclasses.replace(
        put(dataclasses.replace(objective, targets={}, turns=None), mesh, whole=True),
        targets=targets(objective.targets),
        turns=turns,
    )
