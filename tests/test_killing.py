"""SIGKILL at random moments; `killing.py` is the same by hand, as often as you like."""

import pytest
from killing import killings


@pytest.mark.slow
def test_runs_that_are_killed_end_in_the_same_picture():
    told = []
    tally = killings(4, 3, steps=200, tell=told.append)
    assert sum(tally.values()) >= 4, told
