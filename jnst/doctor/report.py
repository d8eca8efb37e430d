"""All checks in order, and their report; what goes wrong in one is a finding."""

from collections.abc import Callable
from typing import Any

from jnst.doctor.device import devices
from jnst.doctor.finding import (
    BROKEN,
    Finding,
    Found,
    in_a_line,
    names_of_user,
    without_names,
)
from jnst.doctor.folders import caches, weights
from jnst.doctor.machine import disk, memory, versions
from jnst.doctor.processor import instructions
from jnst.doctor.smoke import smoke

SCHEMA = "jnst-doctor-1"
CHECKS: dict[str, Callable[[], Found]] = {
    "versions": versions,
    "device": devices,
    "cpu": instructions,
    "memory": memory,
    "disk": disk,
    "weights": weights,
    "cache": caches,
    "smoke run": smoke,
}
"""What is looked at, in this order."""
NEEDS_DEVICE = ("cpu", "memory", "smoke run")
"""Checks that would tell nothing new where JAX finds no device."""


def checked(name: str) -> Found:
    """Run one check; an error is what it found.

    Args:
      name: Key of `CHECKS`.
    """
    try:
        return CHECKS[name]()
    except Exception as error:  # whatever it is: a doctor must not fall ill
        kind = type(error).__name__
        words = f"this check failed with {kind}: {in_a_line(error)[:300]}"
        advice = "report this with the output of `jnst doctor --json`"
        return Found({"error": kind}, [Finding(name, BROKEN, words, advice)])


def diagnose(on_stage: Callable[[str], Any]) -> dict[str, Any]:
    """Run all checks.

    Args:
      on_stage: Called with what is about to be looked at.

    Returns:
      {"schema", "well", "findings": [{"topic", "state", "text", "advice"}], "facts":
      {topic: {...}}}, without the user's name and folder.
    """
    facts, findings = {}, []
    for name in CHECKS:
        if name in NEEDS_DEVICE and "backend" not in facts["device"]:
            continue
        on_stage(name)
        found = checked(name)
        facts[name] = found.facts
        findings += found.findings
    return report(facts, findings)


def report(facts: dict[str, Any], findings: list[Finding]) -> dict[str, Any]:
    """Gather facts and findings in a document, as `diagnose` returns it."""
    document = {
        "schema": SCHEMA,
        "well": all(finding.state != BROKEN for finding in findings),
        "findings": [finding._asdict() for finding in findings],
        "facts": facts,
    }
    home, user = names_of_user()
    return without_names(document, home=home, user=user)
