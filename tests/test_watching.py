"""Watchers of a run: who is told what, in which order, and which looks are taken."""

import numpy as np
import pytest

from jnst.drivers.result import Progress
from jnst.watching.watcher import Watcher, chosen, in_a_row, watched

PARTS = ("start", "update", "finish", "close")


def noting(name, notes, fails=()):
    """A watcher that notes what it is told, and raises in the parts that fail."""

    def part(which):
        def told(what):
            notes.append((name, which, what))
            if which in fails:
                raise OSError(f"{name} cannot {which}")

        return told

    return Watcher(*(part(which) for which in PARTS))


def at(step, steps):
    return Progress(step, steps, (1, 1), {}, np.zeros((1, 1, 3)), 0.0, {})


def test_all_are_told_in_order_and_closed():
    notes = []
    with watched([noting("a", notes), noting("b", notes), Watcher()]) as shows:
        for which in PARTS[:3]:
            getattr(shows, which)(which)
    told = [(name, which, which) for which in PARTS[:3] for name in "ab"]
    assert notes == [*told, ("a", "close", None), ("b", "close", None)]


def test_all_are_closed_with_what_ended_the_run_even_if_one_cannot():
    notes, stop = [], KeyboardInterrupt()
    watchers = [noting("a", notes, fails=["close"]), noting("b", notes)]
    with pytest.raises(OSError, match="a cannot close"), watched(watchers):
        raise stop
    assert notes[0] == ("a", "close", stop)
    assert [note[:2] for note in notes] == [("a", "close"), ("b", "close")]


def test_one_that_cannot_write_does_not_undo_what_came_before():
    notes = []
    watchers = [noting("a", notes), noting("b", notes, fails=["finish"])]
    with pytest.raises(OSError, match="b cannot"), watched(watchers) as shows:
        shows.finish("result")
    assert notes[0] == ("a", "finish", "result")
    assert isinstance(notes[-1][2], OSError)


@pytest.mark.parametrize(
    ("looks", "every", "count", "taken"),
    [
        ([1, 2, 3, 4, 5], 2, 1, [2, 4, 5]),
        ([10, 20, 30, 40], 0, 2, [20, 40]),
        ([3, 6, 9, 10], 0, 100, [3, 6, 9, 10]),  # never more than there are
        ([7, 8, 9, 10], 0, 3, [7, 10]),  # a mark that was passed is due at once
        ([10], 0, 5, [10]),
    ],
)
def test_looks_are_spread_over_the_run_and_the_last_is_taken(
    looks, every, count, taken
):
    is_due = chosen(every, count)
    assert [step for step in looks if is_due(at(step, looks[-1]))] == taken


def test_pictures_of_a_batch_stand_side_by_side():
    batch = np.stack([np.full((2, 3, 3), n, np.float32) for n in range(2)])
    assert in_a_row(batch).shape == (2, 6, 3)
    assert in_a_row(batch)[0, 0, 0] == 0 and in_a_row(batch)[0, 5, 0] == 1
    assert in_a_row(batch[0]) is not None and in_a_row(batch[0]).shape == (2, 3, 3)
