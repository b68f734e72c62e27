"""Laws of time: known laws are found again under noise, and never contradict common sense."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenkernel.model.time import Estimate, Run, amdahl, by_cores, by_knob, by_rows, combined, fit_law

SECONDS = st.floats(0.05, 5000.0)


@pytest.mark.parametrize(
    ("law", "tolerance"),
    [
        (lambda n: 2.0 + 0.001 * n, 0.10),
        (lambda n: 0.002 * n, 0.10),
        (lambda n: 1.0 + 1e-4 * n * math.log(n), 0.25),
        (lambda n: 3e-4 * n * math.log(n), 0.25),
    ],
)
def test_a_known_law_is_found_from_an_eighth(law: Callable[[float], float], tolerance: float) -> None:
    """Slices of 1/64, 1/32 and 1/8 with 2 % of noise give the whole within the stated tolerance."""
    noise = np.random.default_rng(0).normal(1.0, 0.02, 3)
    rows = 200_000
    points = [(rows * part, law(rows * part) * n) for part, n in zip((1 / 64, 1 / 32, 1 / 8), noise, strict=True)]
    assert law(rows) == pytest.approx(by_rows(points, rows).cpu_s, rel=tolerance)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([(1000, 1.0)], "one size only"),
        ([(1000, 1.0), (4000, 16.0)], "faster than rows"),
        ([(1000, 5.0), (2000, 5.1)], "in proportion"),
        ([(12, 2.6), (50, 7.9)], "50 rows only"),
        ([(1000, 1.0), (8000, 8.0)], None),
    ],
)
def test_doubts_are_said(points: list[tuple[float, float]], reason: str | None) -> None:
    """What speaks against an estimate is in its words; where nothing does, there are none."""
    unsure = "; ".join(by_rows(points, 64_000).unsure)
    assert (reason or "") in unsure
    assert bool(reason) == bool(unsure)


def test_two_sizes_stand_between_linear_and_loglinear() -> None:
    """An eighth and a sixty-fourth lie on both laws: neither law is given up for the other."""
    for law in (lambda n: 0.001 * n, lambda n: 1e-4 * n * math.log(n)):
        points = [(1000.0, law(1000.0)), (8000.0, law(8000.0))]
        assert law(64_000.0) == pytest.approx(by_rows(points, 64_000).cpu_s, rel=0.2)


def test_a_knob_is_a_straight_line() -> None:
    """Three and ten trees with a constant part give a hundred."""
    assert 1 + 0.5 * 100 == pytest.approx(by_knob([(3, 2.5), (10, 6.0)], 100).cpu_s)


def test_two_estimates_meet_between_and_disagreement_is_said() -> None:
    """The knob, which is the better one, pulls harder; far apart makes unsure."""
    both = combined(Estimate(cpu_s=50.0), Estimate(cpu_s=100.0))
    assert math.sqrt(50 * 100) < both.cpu_s < 100
    assert "the knob 100" in both.unsure[0]
    assert () == combined(Estimate(cpu_s=100.0), Estimate(cpu_s=110.0)).unsure


@pytest.mark.parametrize("serial", [0.0, 0.1, 0.5, 1.0])
def test_amdahl_is_found_from_two_core_counts(serial: float) -> None:
    """Serial and shared seconds come back from the walls on one and two cores."""
    walls = [(p, 10 * (serial + (1 - serial) / p)) for p in (1, 2)]
    assert (10 * serial, 10 * (1 - serial)) == pytest.approx(amdahl(walls), abs=1e-6)


def test_what_was_seen_of_the_threads_beats_walls_of_a_busy_machine() -> None:
    """A slice that could use two cores all the time is shared work, even if others kept it from doing so."""
    run = Run(x=0.1, cores=2, cpu_s=10.0, wall_s=11.0, serial_share=0.0, idle_share=0.0)
    assert 50.0 == pytest.approx(by_cores([run], Estimate(cpu_s=100.0)).wall_s(2))


def test_the_constant_part_stays_serial_and_does_not_grow() -> None:
    """Starting workers takes two of four seconds of the slice, and two of the whole."""
    run = Run(x=0.1, cores=2, cpu_s=4.0, wall_s=3.0, serial_share=0.5, idle_share=0.0)
    scaling = by_cores([run], Estimate(cpu_s=22.0, constant_s=2.0))
    assert 2.0 == pytest.approx(scaling.serial_s)
    assert 2.0 + 20.0 / 2 == pytest.approx(scaling.wall_s(2))


@pytest.mark.parametrize(
    ("idle_share", "cpu_s", "waits"), [(None, 0.5, True), (0.9, 0.5, True), (0.1, 0.5, False), (None, 4.0, False)]
)
def test_a_waiting_cell_is_promised_no_cores(idle_share: float | None, cpu_s: float, waits: bool) -> None:
    """Half a CPU second in five is waiting, unless its threads were seen to want the cores that others had."""
    run = Run(x=0.1, cores=2, cpu_s=cpu_s, wall_s=5.0, idle_share=idle_share)
    scaling = by_cores([run], Estimate(cpu_s=10 * cpu_s))
    assert waits == scaling.waits
    if waits:
        assert 50.0 == pytest.approx(scaling.wall_s(2)) == pytest.approx(scaling.wall_s(1))


def test_nothing_is_promised_beyond_twice_the_profiled_cores() -> None:
    """Eight cores are as good as four where two were profiled."""
    scaling = by_cores([Run(x=0.1, cores=2, cpu_s=4.0, wall_s=2.0)], Estimate(cpu_s=40.0))
    assert scaling.wall_s(4) == scaling.wall_s(8) < scaling.wall_s(2)


@given(points=st.lists(st.tuples(st.floats(1, 1e6), SECONDS), min_size=1, max_size=5), rows=st.floats(1, 1e7))
@settings(max_examples=150, deadline=None)
def test_more_rows_never_take_less(points: list[tuple[float, float]], rows: float) -> None:
    """Whatever the slices were, twice the rows take as long or longer."""
    law = fit_law(points)
    assert law.seconds(rows) <= law.seconds(2 * rows) * (1 + 1e-9)


@given(
    serial=st.one_of(st.none(), st.floats(0, 1)),
    walls=st.lists(st.tuples(st.integers(1, 8), SECONDS), min_size=1, max_size=4),
    whole=SECONDS,
    constant=st.floats(0, 10),
)
@settings(max_examples=150, deadline=None)
def test_more_cores_never_take_longer(
    serial: float | None, walls: list[tuple[int, float]], whole: float, constant: float
) -> None:
    """Whatever the slices were, one more core takes as long or less, and a time above zero."""
    runs = [Run(x=0.1, cores=p, cpu_s=w, wall_s=w, serial_share=serial) for p, w in walls]
    scaling = by_cores(runs, Estimate(cpu_s=whole, constant_s=min(constant, whole)))
    times = [scaling.wall_s(cores) for cores in range(1, 12)]
    assert sorted(times, reverse=True) == times
    assert times[-1] > 0
