"""An objective as a checkpoint has it: what is compiled as JSON, shapes of the rest.

The network's parameters are left out and named by their hash. The structure of what is
left is made anew from the tables of losses, as `make_objective` makes it.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from jnst.base import Params, shown
from jnst.keep.leaves import Arrays, to_arrays
from jnst.loop.initial import INITS
from jnst.loop.optimizers import NUMBERS, OPTIMIZERS, Rule
from jnst.loop.state import Begin, Start
from jnst.network.convolution import LARGE_IMAGE, PREPARED, prepare
from jnst.objective.features import Network, NetworkOptions
from jnst.objective.kinds import Part
from jnst.objective.making import Pictures, content_targets, make_targets
from jnst.objective.term import OWN, TABLES
from jnst.objective.turns import Turns
from jnst.objective.value import Objective, Structure
from jnst.recipes.settings import read_tuples
from jnst.scale.spilling import Spilled
from jnst.weights import list_weights, load_weights, tensors_sha256

OBJECTIVE = "objective"


def document_of(objective: Objective) -> dict[str, Any]:
    """Tell all of an objective that is no array, as JSON has it.

    Raises:
      ValueError: If a function is in it, which no file can hold.
    """
    network, structure, turns = objective.extract, objective.structure, objective.turns
    if not isinstance(network, Network):
        raise ValueError(
            "the objective's features are a function (`extract`), which no file can "
            "hold: keep state with tools of your own, such as orbax"
        )
    begin = objective.start.begin
    return {
        "network": network.options._asdict(),
        "params_sha256": tensors_sha256(to_arrays(network.params, "")),
        "layers": sorted(network.params),
        "prepared": any({*layer} & {*PREPARED} for layer in network.params.values()),
        "structure": structure._asdict()
        | {"parts": [_part(part) for part in structure.parts], "mesh": None},
        "targets": sorted(objective.targets),
        "turned": None if turns is None else sorted(turns.targets),
        "spilled": turns is not None and turns.kept is not None,
        "init": begin.init,
        "rule": rule_document(begin.rule),
    }


def _part(part: Part) -> dict[str, Any]:
    if part.kind == OWN:
        raise ValueError(
            f"term {part.name!r} is a function, which no file can hold: add it to a "
            "table of jnst.losses and name it"
        )
    if TABLES[part.kind].get(part.loss) is not part.row:
        raise ValueError(f"the {part.kind} loss {part.loss!r} is in no table any more")
    return {k: v for k, v in part._asdict().items() if k != "row"}


def rule_document(rule: Rule) -> dict[str, Any]:
    """Tell what of an optimiser is compiled.

    Raises:
      ValueError: If the optimiser is none of the table's.
    """
    names = [k for k, factory in OPTIMIZERS.items() if factory is rule.optimizer]
    if not names:
        raise ValueError(
            "the optimizer is a transformation, which no file can hold: add it to "
            "jnst.OPTIMIZERS and name it"
        )
    return rule._asdict() | {"optimizer": names[0]}


def rule_from(document: Mapping[str, Any]) -> Rule:
    """Make a rule of what `rule_document` made of it."""
    name = document["optimizer"]
    if name not in OPTIMIZERS:
        raise ValueError(f"has optimizer {shown(name)}, which jnst.OPTIMIZERS has not")
    return Rule(**{**document, "optimizer": OPTIMIZERS[name]})


def structure_from(document: Mapping[str, Any]) -> Structure:
    """Make a structure of what `document_of` made of it, for one device."""
    parts = []
    for each in document["parts"]:
        kind, loss = each["kind"], each["loss"]
        if loss not in TABLES.get(kind, {}):
            raise ValueError(f"has the {kind} loss {shown(loss)}, which no table has")
        lists = {k: read_tuples(each[k]) for k in ("layers", "options")}
        parts.append(Part(**{**each, **lists, "row": TABLES[kind][loss]}))
    batched = tuple(document["batched"])
    return Structure(**{**document, "parts": tuple(parts), "batched": batched})


def params_from(document: Mapping[str, Any], weights: Any) -> PyTree:
    """Find parameters by their hash, prepared as they were.

    Args:
      document: From `document_of`.
      weights: Name or path of a weights file, or parameters; None to look at all that
        is at hand.

    Raises:
      ValueError: If none are the same.
    """
    names = set(document["layers"])
    for params in _candidates(weights):
        depth = [k for k in params if k.startswith("conv") and k in names]
        order = [k for k in params if k.startswith("conv")]
        deepest = [k for k, known in zip(order, depth, strict=False) if k == known]
        # Neither how large the pictures were is told, nor what the device multiplied.
        dtype = document["network"]["dtype"]
        types = dict.fromkeys((dtype, "float32"))
        ways = itertools.product(("auto", "winograd"), (0, LARGE_IMAGE), types)
        known = ways if document["prepared"] else [("xla", 0, None)]
        for choice, pixels, factors in known if deepest else ():
            how = {"convolution": choice, "pixels": pixels, "factors": factors}
            found = prepare(params, deepest[-1:], dtype=dtype, **how)
            if tensors_sha256(to_arrays(found, "")) == document["params_sha256"]:
                return found
    where = "at hand" if weights is None else f"in {shown(weights)}"
    raise ValueError(
        f"needs the network's parameters of SHA-256 {document['params_sha256'][:12]}, "
        f"which are not {where}: give weights=..., the name or path of their file"
    )


def _candidates(weights: Any) -> Iterator[Params]:
    if isinstance(weights, Mapping):
        yield dict(weights)
        return
    if weights is not None:
        yield load_weights(weights)
        return
    for name in [None, *(row["name"] for row in list_weights() if row["found"])]:
        try:
            yield load_weights(name)
        except (OSError, ValueError):
            continue


def network_from(document: Mapping[str, Any], params: PyTree) -> Network:
    """Make the network of an objective."""
    return Network(params, NetworkOptions(**document["network"]))


def objective_like(
    document: Mapping[str, Any], arrays: Arrays, network: Network
) -> Objective:
    """Return the shapes of an objective, computing nothing.

    Args:
      document: From `document_of`.
      arrays: Its leaves; they say how large pictures are, and how many styles.
      network: With its parameters.

    Raises:
      ValueError: If an array is missing, or is none of an objective's.
    """
    structure = structure_from(document["structure"])
    start = _start(document, arrays, structure.batch)
    shares = _like(arrays, ".shares", 1)
    batched = [part for part in structure.parts if part.name in structure.batched]
    several = (structure.batch,) if any(p.kind == "style" for p in batched) else ()
    style = jax.ShapeDtypeStruct((*several, 1, *start.shape, 3), jnp.float32)
    pictures = Pictures(start.content, [style] * shares.shape[0], shares)
    seen = jax.eval_shape(lambda n, p: make_targets(n, p, structure), network, pictures)
    targets = {name: seen[name] for name in document["targets"]}
    factors = {
        kind: {
            part.name: _like(arrays, f".{kind}['{part.name}']", rank, rank + 1)
            for part in structure.parts
            if kind == "weights" or part.layers
        }
        for kind, rank in (("weights", 0), ("layer_weights", 1))
    }
    turns = _turns(document, arrays, structure, network, pictures)
    return Objective(
        extract=None,
        targets=targets,
        weights=factors["weights"],
        layer_weights=factors["layer_weights"],
        shares=shares,
        start=start,
        structure=structure,
        turns=turns,
    )


def _turns(
    document: Mapping[str, Any],
    arrays: Arrays,
    structure: Structure,
    network: Network,
    pictures: Pictures,
) -> Turns | None:
    if document["turned"] is None:
        return None
    shifts = _like(arrays, ".turns.shifts", 2)
    count = shifts.shape[0]
    shift = jax.ShapeDtypeStruct((2,), jnp.int32)
    found = jax.eval_shape(
        lambda n, p, s: content_targets(n, p, s, structure), network, pictures, shift
    )

    def stacked(name: str) -> PyTree:
        at = int(name in structure.batched)
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                (*x.shape[:at], count, *x.shape[at:]), x.dtype
            ),
            found[name],
        )

    targets = {name: stacked(name) for name in document["turned"]}
    content = None
    if f"{OBJECTIVE}.turns.content" in arrays:
        content = _like(arrays, ".turns.content", 4)
    kept = Spilled(count) if document["spilled"] else None
    return Turns(shifts, targets, content, kept)


def _start(document: Mapping[str, Any], arrays: Arrays, batch: int | None) -> Start:
    if document["init"] not in INITS:
        raise ValueError(f"begins with {shown(document['init'])}, which is none")
    several = (1,) if batch is not None else ()
    pictures = {
        name: _like(arrays, f".start.{name}", 4, 4 + len(several))
        if f"{OBJECTIVE}.start.{name}" in arrays or name != "first"
        else None
        for name in ("content", "style", "first")
    }
    return Start(
        **pictures,
        zero=_like(arrays, ".start.zero", 1),
        seed=_like(arrays, ".start.seed", 0, len(several)),
        numbers={
            k: _like(arrays, f".start.numbers['{k}']", 0, len(several)) for k in NUMBERS
        },
        steps=_like(arrays, ".start.steps", 0),
        begin=Begin(document["init"], rule_from(document["rule"])),
    )


def _like(arrays: Arrays, name: str, *ranks: int) -> Any:
    """Return an array's shape, if it is there and has one of these numbers of axes."""
    found = arrays.get(OBJECTIVE + name)
    if found is None or found.ndim not in ranks:
        has = "not there" if found is None else f"of shape {list(found.shape)}"
        raise ValueError(f"is none of an objective: {name[1:]!r} is {has}")
    return jax.ShapeDtypeStruct(found.shape, found.dtype)
