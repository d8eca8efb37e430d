"""The faults that `.ci/mutants.py` tries: cosmic-ray's operators and two of our own."""

from collections.abc import Iterator
from typing import Any

import cosmic_ray.plugins
import parso
from cosmic_ray.ast import is_number
from cosmic_ray.operators.operator import Operator

# Replacing + by << is a type error that any test sees: it would flatter the score.
ARITHMETIC = {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}


class Times1000(Operator):
    """Replaces a float, such as an epsilon, by a thousand times as much."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        """Yield the place of a float above zero."""
        if is_number(node) and set(node.value) & set(".e") and float(node.value):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Write the other number."""
        text = f"{node.prefix}{float(node.value) * 1000!r}"
        return parso.python.tree.Number(text, node.start_pos)

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: the tests of cosmic-ray do not see it."""
        return ()


class NoKeyword(Operator):
    """Drops a keyword argument of a call, such as a precision."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        """Yield the places of the keyword arguments."""
        for each in self._keywords(node):
            yield each.start_pos, each.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Take the argument and the comma after it out."""
        gone = self._keywords(node)[index]
        at = node.children.index(gone)
        end = at + 1 + (node.children[at + 1 : at + 2] == [","])
        node.children[at:end] = []
        return node

    @staticmethod
    def _keywords(node: Any) -> list[Any]:
        if getattr(node, "type", "") not in ("arglist", "trailer"):
            return []
        found = [x for x in node.children if x.type == "argument"]
        return [x for x in found if x.children[1] == "="]

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: the tests of cosmic-ray do not see it."""
        return ()


def operators() -> dict[str, Operator]:
    """Return the operators by name: cosmic-ray's, less type errors, and ours."""
    found: dict[str, Operator] = {"Times1000": Times1000(), "NoKeyword": NoKeyword()}
    for name in cosmic_ray.plugins.operator_names():
        kind, *pair = name.removeprefix("core/").split("_")
        bits = pair == ["BitAnd", "BitOr"]
        numbers = kind == "ReplaceBinaryOperator" and set(pair) <= ARITHMETIC
        others = not pair or kind == "ReplaceComparisonOperator" or pair[-1] == "USub"
        others |= pair[0:1] == ["Delete"] or pair == ["USub", "UAdd"]
        if not kind.startswith("Variable") and (bits or numbers or others):
            found[name.removeprefix("core/")] = cosmic_ray.plugins.get_operator(name)()
    return found
