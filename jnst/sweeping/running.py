"""The members of a sweep, group by group: run, judged, kept."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jnst.drivers.plan import Plan, renumbered
from jnst.loop.iterate import Event
from jnst.recipes.schedule import Stage
from jnst.sweeping.folder import Finished, finished, keep, write_metrics
from jnst.sweeping.grid import labels
from jnst.sweeping.judging import judge
from jnst.sweeping.members import Group, Load, Member, plan_of
from jnst.sweeping.table import make_record
from jnst.sweeping.together import run_members

Known = dict[int, Finished]
"""What is known of the members that have ended, by number."""


class Job(NamedTuple):
    """All that is decided before a sweep runs.

    Attributes:
      groups: The members, by program.
      load: From `jnst.sweeping.members.loader`.
      metrics: Names of metrics.
      weights: The VGG of metrics that need one.
      folder: Where members are kept; None for nowhere.
      at_once: Members that run side by side; None for what suits the device.
    """

    groups: list[Group]
    load: Load
    metrics: Sequence[str]
    weights: Any
    folder: Path | None
    at_once: int | None


class SweepProgress(NamedTuple):
    """What a sweep tells after each chunk of steps, and as each member ends.

    Attributes:
      done: Members that have ended.
      members: Members of the sweep.
      running: Where in the grid those are that run now.
      share: Share of all steps times pixels that is done.
      seconds: Since this call began to run members.
      seconds_left: About how many more there will be; None while nobody can know.
    """

    done: int
    members: int
    running: list[str]
    share: float
    seconds: float
    seconds_left: float | None


Tell = Callable[[Sequence[Member], float], None]


def _work(stages: Sequence[Stage], steps: int | None = None) -> float:
    """Count steps times pixels of a member, or of its first so many steps."""
    done, left = 0.0, sum(s.steps for s in stages) if steps is None else steps
    for stage in stages:
        few = min(left, stage.steps)
        done += float(few * stage.shape[0] * stage.shape[1])
        left -= few
    return done


def _teller(
    groups: Sequence[Group],
    known: Known,
    on_progress: Callable[[SweepProgress], None] | None,
) -> Tell:
    """Return what tells how far a sweep is, and about how long it will take."""
    work = {m.number: _work(g.stages) for g in groups for m in g.members}
    whole, start = sum(work.values()), time.perf_counter()
    before = sum(work[number] for number in known)

    def tell(running: Sequence[Member], more: float) -> None:
        if on_progress is None:
            return
        done = sum(work[number] for number in known) + more
        seconds = time.perf_counter() - start
        left = seconds / (done - before) * (whole - done) if done > before else None
        where = [labels(member.point) for member in running]
        spans = done / whole, seconds, left
        on_progress(SweepProgress(len(known), len(work), where, *spans))

    return tell


def known_members(job: Job) -> Known:
    """Read what an earlier call has kept of members that have ended."""
    found: Known = {}
    for member in (m for group in job.groups for m in group.members):
        known = finished(job.folder, member.number) if job.folder else None
        if known is not None:
            found[member.number] = known
    return found


def run_all(
    job: Job, known: Known, on_progress: Callable[[SweepProgress], None] | None
) -> None:
    """Run the members of which nothing is known, and add what becomes of each.

    Args:
      job: What is decided.
      known: Of members that have ended; more are added.
      on_progress: Called with a `SweepProgress`.
    """
    tell = _teller(job.groups, known, on_progress)
    tell([], 0.0)
    for group in job.groups:
        todo = [m for m in group.members if m.number not in known]
        ended = [m.number for m in group.members if m.number in known]
        unjudged = [n for n in ended if set(job.metrics) - set(known[n].metrics)]
        if not (todo or unjudged):
            continue
        plan = plan_of(group.members[0], job.load)
        for number in unjudged:
            known[number] = _judged(job, plan, known[number])
            if job.folder:
                write_metrics(job.folder, number, known[number].metrics)
        if todo:
            _run_group(job, plan, todo, known, tell)


def _judged(job: Job, plan: Plan, found: Finished) -> Finished:
    """Add the metrics that a member has not yet been judged by."""
    names = [name for name in job.metrics if name not in found.metrics]
    more = judge(found.image, plan, names, job.weights)
    return found._replace(metrics=found.metrics | more)


def _run_group(
    job: Job, plan: Plan, todo: Sequence[Member], known: Known, tell: Tell
) -> None:
    """Run members of one group, and keep each as it ends."""
    plans = [renumbered(plan, each.request, each.changes) for each in todo]

    def hear(places: Sequence[int], event: Event) -> None:
        more = len(places) * _work(plan.stages, event.step)
        tell([todo[n] for n in places], more)

    for n, outcome in run_members(plans, at_once=job.at_once, on_event=hear):
        member, result = todo[n], outcome.result
        spans = result.seconds, result.compile_seconds
        found = Finished(result.image, result.history, *spans, {}, outcome.error)
        found = _judged(job, plan, found)
        if job.folder:
            keep(job.folder, member.number, member.point, found, result)
        known[member.number] = found
        tell([], 0.0)


def records_of(job: Job, known: Known) -> list[dict[str, Any]]:
    """Make the records of all members that have ended, in the grid's order."""
    pairs = [
        (member, recipe)
        for group in job.groups
        for member, recipe in zip(group.members, group.recipes, strict=True)
        if member.number in known
    ]
    return [
        make_record(member, recipe.run.seed, known[member.number])
        for member, recipe in sorted(pairs, key=lambda pair: pair[0].number)
    ]
