"""The table of probes, in the order of a report."""

from collections.abc import Callable
from typing import NamedTuple

from jnst.examining.costs import costs
from jnst.examining.features import curvature, rounding, sizes
from jnst.examining.finding import Finding, Lab
from jnst.examining.formula import degenerates, equality
from jnst.examining.invariance import invariance
from jnst.examining.pictures import pictures
from jnst.examining.resemblance import resemblance
from jnst.examining.slopes import gradient


class Probe(NamedTuple):
    """One question to a loss.

    Attributes:
      run: From a `Lab` to what was found.
      quick: Whether it is asked when there is little time.
      network: Whether it needs the weights of a network.
    """

    run: Callable[[Lab], Finding]
    quick: bool = True
    network: bool = True


PROBES: dict[str, Probe] = {
    "equality": Probe(equality, network=False),
    "gradient": Probe(gradient, network=False),
    "degenerate": Probe(degenerates, network=False),
    "invariance": Probe(invariance),
    "sizes": Probe(sizes),
    "rounding": Probe(rounding),
    "curvature": Probe(curvature),
    "costs": Probe(costs, quick=False, network=False),
    "resemblance": Probe(resemblance),
    "pictures": Probe(pictures, quick=False),
}
