"""Memory, power and bounds: generous where it kills, provisional until runs have finished."""

from __future__ import annotations

import math

import numpy as np
import pytest

from greenkernel.model.bounds import Circumstances, bounded, chance_at_most, unknown_time
from greenkernel.model.memory import fit_line, memory
from greenkernel.model.power import SitePower, mean_power_w
from greenkernel.records import Interval

MIB = 1 << 20


@pytest.mark.parametrize(
    ("same_machine", "extrapolation", "unsure", "factor"),
    [
        (True, 8.0, (), 1.5),
        (True, 16.0, (), 1.9),
        (True, 8.0, ("a doubt",), 1.9),
        (False, 8.0, (), 1.5 * 1.6),
        (False, 16.0, (), 1.9 * 1.6),
    ],
)
def test_default_factors(same_machine: bool, extrapolation: float, unsure: tuple[str, ...], factor: float) -> None:
    """Without finished runs the stated factor holds, and the source says that it is provisional."""
    given = Circumstances(extrapolation=extrapolation, same_machine=same_machine, unsure=unsure)
    interval = bounded(100.0, given)
    assert (100 / factor, 100 * factor) == pytest.approx((interval.low, interval.high))
    assert "provisional: 0 finished runs" in interval.source
    assert all(doubt in interval.source for doubt in unsure)


def test_nineteen_runs_replace_the_defaults() -> None:
    """Below 19 finished runs the default stays; from then on the worst of them is the bound."""
    scores = [0.01 * k for k in range(18)]
    given = Circumstances(extrapolation=4.0, same_machine=True, scores=scores)
    assert "provisional: 18 finished runs" in bounded(1.0, given).source
    calibrated = bounded(1.0, Circumstances(extrapolation=4.0, same_machine=True, scores=[*scores, 0.25]))
    assert math.exp(0.25) == pytest.approx(calibrated.high)
    assert 1.0 == calibrated.low
    assert "calibrated on 19" in calibrated.source


def test_calibrated_bounds_keep_their_promise() -> None:
    """Over 2,000 draws of 40 past runs, 95 % of the next ones or more stay below the bound."""
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(2000):
        scores = rng.normal(0, 0.3, 41)
        given = Circumstances(extrapolation=4.0, same_machine=True, scores=scores[:40].tolist())
        kept += bool(bounded(1.0, given).high >= math.exp(scores[40]))
    assert 0.945 <= kept / 2000 <= 0.99


@pytest.mark.parametrize(("limit", "chance"), [(0.0, 0.0), (50.0, 0.05), (100.0, 0.5), (200.0, 0.95), (1e6, 1.0)])
def test_chance_is_read_from_the_interval(limit: float, chance: float) -> None:
    """Each end of the interval holds with its level; mid is even odds."""
    interval = Interval(low=50.0, mid=100.0, high=200.0, level=0.95)
    assert chance == pytest.approx(chance_at_most(interval, limit), abs=1e-6)


def test_nothing_known_says_so() -> None:
    """Without a profile the interval goes from a second to a day."""
    unknown = unknown_time()
    assert (1.0, 86400.0, "default: no profile") == (unknown.low, unknown.high, unknown.source)
    assert 0.5 < chance_at_most(unknown, 3600.0) < 0.95


@pytest.mark.parametrize("points", [[(0.05, 110.0), (0.5, 200.0)], [(0.1, 120.0), (0.2, 140.0), (0.4, 180.0)]])
def test_memory_grows_on_a_line(points: list[tuple[float, float]]) -> None:
    """100 MiB and 200 MiB for all rows are found from slices, and the limit holds the data once more."""
    found = memory([(x, peak * MIB) for x, peak in points], 10 * MIB)
    room = 1.25 if len(points) > 2 else 1.6
    assert 300 * MIB == pytest.approx(found.mid)
    assert 300 * MIB * room + 74 * MIB == pytest.approx(found.high)


def test_scattered_peaks_do_not_pass_the_gate() -> None:
    """Three peaks off the line get the larger room."""
    assert not fit_line([(0.1, 100.0), (0.2, 300.0), (0.4, 250.0)]).passed
    assert "x1.6" in memory([(0.1, 100.0), (0.2, 300.0), (0.4, 250.0)], 0).source


def test_memory_is_never_below_what_was_seen() -> None:
    """A falling line is not believed, and a peak that is not on it counts."""
    assert 400.0 == memory([(0.1, 300.0), (0.5, 200.0)], 0, seen_bytes=400.0).mid


def test_energy_is_idle_share_and_busy_seconds() -> None:
    """Two cores at 2 W for an hour and one CPU hour at 9 W are 13 Wh, times PUE."""
    power = SitePower(
        idle_w_per_core=Interval.exact(2.0, "set"), busy_w_per_core=Interval.exact(9.0, "set"), pue=1.5, source="set"
    )
    hour = Interval(low=1800.0, mid=3600.0, high=7200.0)
    energy = power.energy_wh(cores=2, reserved_s=hour, cpu_s=hour)
    assert 13 * 1.5 == pytest.approx(energy.mid)
    assert (energy.mid / 2, energy.mid * 2) == pytest.approx((energy.low, energy.high))
    assert 13 * 1.5 == pytest.approx(mean_power_w(energy, hour).mid)
