"""Means, slots and the rule that unlike figures are never ranked."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenkernel.errors import UserError
from greenkernel.records import SignalPoint
from greenkernel.signals.base import Kind, Scope, comparable, mean_intensity, sample
from greenkernel.signals.trace import ConstantSignal

START = datetime(2026, 1, 5, tzinfo=UTC)


def steps(*values: float, minutes: float = 60) -> list[SignalPoint]:
    """Points of equal length from START."""
    step = timedelta(minutes=minutes)
    return [
        SignalPoint(start=START + i * step, end=START + (i + 1) * step, intensity_g_per_kwh=value)
        for i, value in enumerate(values)
    ]


def after(minutes: float) -> datetime:
    """So many minutes after START."""
    return START + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("expected", "start_min", "end_min"),
    [(100, 0, 60), (150, 0, 120), (125, 0, 80), (200, 70, 90), (100, 30, 30), (200, 60, 60), (175, 45, 105)],
)
def test_mean_is_weighted_by_time(expected: float, start_min: float, end_min: float) -> None:
    """Parts of a step count by their length; a single instant has the value that holds there."""
    assert expected == pytest.approx(mean_intensity(steps(100, 200), after(start_min), after(end_min)))


@pytest.mark.parametrize(("start_min", "end_min"), [(-1, 60), (60, 121), (120, 120), (60, 0)])
def test_a_mean_over_unknown_time_is_refused(start_min: float, end_min: float) -> None:
    """A time that the points do not cover, or one that runs backwards, gives no figure."""
    with pytest.raises(ValueError, match=r"cover|backwards"):
        mean_intensity(steps(100, 200), after(start_min), after(end_min))


def test_slots_are_means_of_what_they_overlap() -> None:
    """Slots shorter and longer than the steps, and not aligned to them."""
    assert np.allclose([100, 100, 200, 200], sample(steps(100, 200), START, 1800, 4))
    assert np.allclose([150, 350], sample(steps(100, 200, 300, 400), START, 7200, 2))
    assert np.allclose([125, 225], sample(steps(100, 200, 300), after(15), 3600, 2))


@given(st.lists(st.floats(0, 1000), min_size=3, max_size=9), st.integers(1, 7), st.floats(0, 59))
def test_slots_agree_with_means(values: list[float], slots: int, offset_min: float) -> None:
    """Every slot is the mean over its time, for any values, number of slots and offset."""
    points = steps(*values)
    slot_s = 3600 * (len(values) - 1) / slots
    start = after(offset_min)
    expected = [
        mean_intensity(points, start + timedelta(seconds=i * slot_s), start + timedelta(seconds=(i + 1) * slot_s))
        for i in range(slots)
    ]
    assert np.allclose(expected, sample(points, start, slot_s, slots), atol=1e-4)


@pytest.mark.parametrize("slots", [3, 4])
def test_slots_beyond_the_points_are_refused(slots: int) -> None:
    """Nothing is made up for slots that no point covers."""
    with pytest.raises(ValueError, match="do not cover"):
        sample(steps(100, 200), START, 3600, slots)


@pytest.mark.parametrize(("kind", "scope"), [("marginal", "lifecycle"), ("average", "direct"), ("marginal", "direct")])
def test_unlike_signals_are_never_ranked(kind: Kind, scope: Scope) -> None:
    """Mixing average with marginal, or life cycle with direct, is refused with both named."""
    ours, theirs = ConstantSignal("DE", 400), ConstantSignal("SE", 25, kind=kind, scope=scope)
    with pytest.raises(UserError, match=f"DE is average lifecycle, SE is {kind} {scope}"):
        comparable([ours, ours, theirs])


def test_like_signals_may_be_ranked() -> None:
    """Signals of one kind and scope, or none at all, pass."""
    comparable([ConstantSignal("DE", 400, kind="marginal"), ConstantSignal("SE", 25, kind="marginal")])
    comparable([])
