"""Numbers of devices: which cases, what efficiency; runs are in eight_devices.py."""

import pytest

from jnst.bench.cases import OBJECTIVE, Case
from jnst.bench.scaling import (
    count_of,
    scaled_cases,
    scaling_table,
    with_efficiency,
)
from jnst.bench.session import case_name

CASE = Case(OBJECTIVE, 256)


def test_devices_count_rows_times_columns():
    assert [count_of(each) for each in ("1", "8", "4x2")] == [1, 8, 8]


def test_one_number_is_no_scaling():
    assert scaled_cases([CASE], ["1"], ["strong"]) == [CASE]
    [case] = scaled_cases([CASE], ["4x2"], ["weak"])
    assert (case.size_px, case.devices, case.scaling) == (256, "4x2", "")


def test_strong_keeps_the_picture_and_weak_lets_it_grow():
    cases = scaled_cases([CASE], ["1", "2", "4", "8"], ["strong", "weak"])
    assert [case.size_px for case in cases[:4]] == [256] * 4
    # By hand: 256 times the root of 2, 4 and 8 is 362.0, 512 and 724.1.
    assert [case.size_px for case in cases[4:]] == [256, 352, 512, 736]
    assert {case.base_px for case in cases} == {256}
    assert len({case_name(case) for case in cases}) == 7  # the first are one program
    begun = scaled_cases([CASE], ["2", "8"], ["weak"])
    assert [case.size_px for case in begun] == [256, 512]


@pytest.mark.parametrize(
    ("devices", "kinds", "message"),
    [
        (["1", "2"], ["stong"], "Did you mean 'strong'"),
        (["1", "x"], ["strong"], "devices must be a number such as 4"),
    ],
)
def test_what_is_no_scaling_is_refused(devices, kinds, message):
    with pytest.raises(ValueError, match=message):
        scaled_cases([CASE], devices, kinds)


def rows_of(cases, speeds):
    rows = []
    for case, speed in zip(cases, speeds, strict=True):
        row = {"size_px": case.size_px, "batch": 1, "dtype": "f", "loss": "gram"}
        row |= {"devices": case.devices, "scaling": case.scaling}
        row |= {"base_px": case.base_px, "step_ms": 1.0, "mpx_steps_per_s": speed}
        rows.append(with_efficiency(row, rows))
    return rows


def test_efficiency_is_speed_a_device_by_that_of_the_first():
    sizes = [CASE, CASE._replace(size_px=512)]
    cases = scaled_cases(sizes, ["1", "4"], ["strong", "weak"])
    rows = rows_of(cases, [10.0, 30.0, 10.0, 36.0, 20.0, 40.0, 8.0, 40.0])
    assert [row["speedup"] for row in rows] == [1, 3, 1, 3.6, 1, 2, 1, 5]
    assert [row["efficiency"] for row in rows] == [1, 0.75, 1, 0.9, 1, 0.5, 1, 1.25]
    lines = scaling_table(rows).splitlines()
    assert len(lines) == 2 + 8 and "75.0%" in lines[3] and "weak" in lines[4]


def test_the_first_may_have_several_devices():
    cases = scaled_cases([CASE], ["2", "4x2"], ["strong"])
    rows = rows_of(cases, [10.0, 20.0])
    assert [row["efficiency"] for row in rows] == [1, 0.5]


def test_rows_of_no_scaling_or_no_time_are_left_alone():
    row = {"size_px": 32, "step_ms": 2.0}
    assert with_efficiency(row, []) is row
    failed = {"size_px": 32, "scaling": "weak", "error": "out of memory"}
    assert with_efficiency(failed, []) is failed
    assert scaling_table([row, failed]) == ""
