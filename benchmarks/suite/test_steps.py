"""One step of the user's own loop: size, type, loss, optimiser, batch and more."""

import pytest

from jnst.bench.cases import Case
from jnst.bench.peers import PEERS
from jnst.bench.session import run_cases


def measured(*arguments, **options):
    """Run one case; what does not fit the device is told and skipped."""
    (row,) = run_cases(*arguments, **options)
    return row


def test_step(variant, network, plan, harness, record, benchmark):
    benchmark.group = variant.axis
    params = network(variant.backbone)
    row = measured([variant.case], params, repeats=plan.repeats, timer=harness)
    record("rows", row | {"axis": variant.axis})
    if "error" in row:
        pytest.skip(row["error"])
    benchmark.extra_info |= {"step_ms": row["step_ms"], "compile_s": row["compile_s"]}


@pytest.mark.parametrize("peer", PEERS)
def test_peer_in_turn_with_us(peer, peer_px, network, plan, record):
    if peer == "torch":
        pytest.importorskip("torch", reason="needs the extra 'torch'")
    case = Case(plan.recipe, peer_px)
    row = measured([case], network("vgg19"), repeats=plan.repeats, peer=peer)
    record("rows", row | {"axis": "peer"})
    if "error" in row:
        pytest.skip(row["error"])
