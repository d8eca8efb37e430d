"""What a probe finds, in one line and in numbers; and a report of many."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jnst.objective.kinds import Part

OK, LOOK, WRONG, FACT = "ok", "look", "WRONG", "-"
VERDICTS = (WRONG, LOOK, OK, FACT)
"""What a probe thinks of what it found, the worst first: against the contract of a
loss; worth a look; as it should be; a fact that is neither good nor bad."""


class Finding(NamedTuple):
    """What one probe found.

    Attributes:
      verdict: One of `VERDICTS`.
      says: One line in plain words.
      numbers: What it measured, for JSON.
      pictures: {label: image [H, W, 3] in [0, 1]}, if it made any.
    """

    verdict: str
    says: str
    numbers: Mapping[str, Any] = {}
    pictures: Mapping[str, np.ndarray] = {}


class Lab(NamedTuple):
    """What every probe is given.

    Attributes:
      part: The loss.
      scene: The pictures and the network, `jnst.examining.scene.Scene`.
      seed: Seed of all random numbers.
      tell: Called with a few words on what is being done.
    """

    part: Part
    scene: Any
    seed: int
    tell: Callable[[str], None]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Report:
    """What was found about a loss.

    Attributes:
      loss: Its name.
      kind: "style", "content" or "image".
      source: Paper or code it is from, as its row says.
      captures: What it compares, as its row says.
      options: Options it was examined with.
      layers: Layers it looked at.
      seed: Seed of all random numbers.
      size_px: Side of the pictures that it was compared with others on.
      findings: {probe: what it found}, in the order of `jnst.examining.table.PROBES`.
      seconds: {probe: seconds it took}.
    """

    loss: str
    kind: str
    source: str
    captures: str
    options: dict[str, Any]
    layers: tuple[str, ...]
    seed: int
    size_px: int
    findings: dict[str, Finding]
    seconds: dict[str, float]

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each probe."""
        return {name: found.verdict for name, found in self.findings.items()}

    @property
    def pictures(self) -> dict[str, np.ndarray]:
        """All pictures by label, float32 [H, W, 3] in [0, 1]."""
        return {
            label: picture
            for found in self.findings.values()
            for label, picture in found.pictures.items()
        }

    def document(self) -> dict[str, Any]:
        """Return all but the pictures, for `jnst.files.write_json`."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["findings"] = {
            name: {
                "verdict": found.verdict,
                "says": found.says,
                "seconds": round(self.seconds[name], 2),
                **found.numbers,
            }
            for name, found in self.findings.items()
        }
        del fields["seconds"]
        return fields

    def __repr__(self) -> str:
        """Name the loss and count the verdicts."""
        counts = [list(self.verdicts.values()).count(each) for each in VERDICTS]
        named = zip(counts, VERDICTS, strict=True)
        return f"Report({self.loss}: {', '.join(f'{n} {v}' for n, v in named if n)})"


def worst(*verdicts: str) -> str:
    """Return the worst of some verdicts."""
    return min(verdicts, key=VERDICTS.index)


def number(value: Any) -> str:
    """Return a number as a line shows it, in three digits."""
    value = float(value)
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:.3g}"
