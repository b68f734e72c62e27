"""Recorded traces: reading, holes, revisions, what lies beyond the data, and every mistake with its line."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from greenkernel.clock import GridTime
from greenkernel.errors import UserError
from greenkernel.records import ClockInfo
from greenkernel.signals.base import Signal, mean_intensity, sample
from greenkernel.signals.grid import AcceleratedSignal
from greenkernel.signals.trace import ConstantSignal, TraceSignal

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
TRACES = Path(__file__).parents[2] / "greenkernel" / "demo" / "traces"


def trace(*values: float | None, step: timedelta = HOUR) -> TraceSignal:
    """A trace from START on; None leaves a hole."""
    recorded = {START + i * step: value for i, value in enumerate(values) if value is not None}
    return TraceSignal("Z", recorded, source="test")


def write(folder: Path, *lines: str) -> Path:
    """A trace file with these lines after the header."""
    path = folder / "z.csv"
    path.write_text("\n".join(["datetime,zone,intensity_g_per_kwh", *lines, ""]), encoding="utf-8")
    return path


def gap_free(signal: Signal, start: datetime, end: datetime) -> bool:
    """True where points cover the time and touch one another."""
    points = signal.points(start, end)
    touching = all(a.end == b.start for a, b in pairwise(points))
    return touching and points[0].start <= start and points[-1].end >= end


def test_demo_trace_is_read() -> None:
    """The committed example has its hours, is not estimated, and is as old as its end."""
    signal = TraceSignal.from_csv(TRACES / "windy.csv", "WINDY")
    points = signal.points(START, START + 168 * HOUR)
    assert 168 == len(points)
    assert not any(point.estimated or point.forecast for point in points)
    assert (0.0, 3600.0) == (signal.age_s(START), signal.age_s(START + 169 * HOUR))


def test_file_may_mix_zones_revisions_order_and_notations(tmp_path: Path) -> None:
    """Other zones are passed over, the last of equal times wins, offsets and times without one are UTC."""
    path = write(
        tmp_path,
        "2026-01-05T01:00:00Z,Z,20",
        "2026-01-05T00:00:00,Z,1",
        "2026-01-05T00:00:00Z,OTHER,999",
        "2026-01-05T03:00:00+01:00,Z,30",
        "",
        "2026-01-05T00:00:00Z,Z,10",
    )
    points = TraceSignal.from_csv(path, "Z").points(START, START + 3 * HOUR)
    assert [10, 20, 30] == [point.intensity_g_per_kwh for point in points]


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        ("line 2: '2026-13-05' is no time", ["2026-13-05,Z,1"]),
        ("line 3: '12,5' is no carbon intensity", ["2026-01-05T00:00Z,Z,1", '2026-01-05T01:00Z,Z,"12,5"']),
        ("line 2: 4 values instead of 3", ["2026-01-05T00:00Z,Z,12,5"]),
        ("line 2: 'nan' is no carbon intensity", ["2026-01-05T00:00Z,Z,nan"]),
        ("line 2: '-4' is no carbon intensity", ["2026-01-05T00:00Z,Z,-4"]),
        ("no value for zone 'Z'. It has A, B", ["2026-01-05T00:00Z,B,1", "2026-01-05T00:00Z,A,1"]),
        ("no value for zone 'Z'. Give it", ["2026-01-05T00:00Z,Z,"]),
        ("steps are of 120 minutes", ["2026-01-05T00:00Z,Z,1", "2026-01-05T02:00Z,Z,1"]),
        ("steps are of 1 minutes", ["2026-01-05T00:00Z,Z,1", "2026-01-05T00:01Z,Z,1"]),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, expected: str, lines: list[str]) -> None:
    """Each mistake in a file is said in one sentence with the place."""
    path = write(tmp_path, *lines)
    with pytest.raises(UserError) as caught:
        TraceSignal.from_csv(path, "Z")
    assert expected in str(caught.value)
    assert "z.csv" in str(caught.value)


def test_wrong_columns_and_missing_files(tmp_path: Path) -> None:
    """A file that is no trace, no text, or not there is refused by name."""
    other = tmp_path / "other.csv"
    other.write_text("time,value\n")
    with pytest.raises(UserError, match=r"other.csv, line 1: the columns"):
        TraceSignal.from_csv(other, "Z")
    other.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"other.csv: the trace cannot be read"):
        TraceSignal.from_csv(other, "Z")
    with pytest.raises(UserError, match=r"none.csv: the trace cannot be read"):
        TraceSignal.from_csv(tmp_path / "none.csv", "Z")


def test_beyond_the_data_comes_the_mean_of_seven_same_hours() -> None:
    """Nine days of data: hour 3 of any later day is the mean of the last seven hours 3, and is marked."""
    days = [[float(100 * day + hour) for hour in range(24)] for day in range(9)]
    signal = trace(*[value for day in days for value in day])
    for later in (9, 10, 30):
        when = START + timedelta(days=later, hours=3)
        point = signal.points(when, when + HOUR)[0]
        assert sum(100 * day + 3 for day in range(2, 9)) / 7 == pytest.approx(point.intensity_g_per_kwh)
        assert (True, True) == (point.estimated, point.forecast)


def test_beyond_two_days_of_data_comes_the_mean_of_two() -> None:
    """With fewer than seven days, those that exist are used; before the data it is the same, seen from its start."""
    signal = trace(*[float(hour) for hour in range(48)])
    after, before = START + 50 * HOUR, START - 22 * HOUR
    assert [14.0] == [point.intensity_g_per_kwh for point in signal.points(after, after + HOUR)]
    assert [14.0] == [point.intensity_g_per_kwh for point in signal.points(before, before + HOUR)]


def test_less_than_a_day_is_held_flat() -> None:
    """Where there is no same hour yet, the nearest known value holds, marked as estimated."""
    signal = trace(10, 20, 30)
    later = signal.points(START + 5 * HOUR, START + 30 * HOUR)
    assert {(30.0, True)} == {(point.intensity_g_per_kwh, point.estimated) for point in later}
    assert 10.0 == signal.points(START - 5 * HOUR, START)[0].intensity_g_per_kwh


def test_a_hole_is_filled_from_the_days_before() -> None:
    """A null in the middle is the same hour's mean, marked, and the hours around it are not."""
    values: list[float | None] = [float(hour % 24) for hour in range(72)]
    values[50] = None
    points = trace(*values).points(START + 49 * HOUR, START + 52 * HOUR)
    assert [(1.0, False), (2.0, True), (3.0, False)] == [(p.intensity_g_per_kwh, p.estimated) for p in points]


@pytest.mark.parametrize("minutes", [5, 15, 30, 60])
def test_every_step_length_is_gap_free(minutes: int) -> None:
    """Before, within and beyond the data, with a hole in it, points touch and cover the time asked for."""
    values = [float(i) for i in range(40)] + [None] * 3 + [float(i) for i in range(40)]
    signal = trace(*values, step=timedelta(minutes=minutes))
    odd = timedelta(minutes=7, seconds=11)
    assert gap_free(signal, START - 3 * HOUR + odd, START + 100 * HOUR + odd)
    assert 100 == len(sample(signal.points(START, START + 100 * HOUR), START, 3600, 100))


def test_a_constant_is_one_marked_point() -> None:
    """A constant covers any time, says that it is an estimate, and has no points for no time."""
    signal = ConstantSignal("Z", 250, "yearly mean")
    assert 250 == mean_intensity(signal.points(START, START + HOUR), START, START + HOUR)
    assert signal.points(START, START + HOUR)[0].estimated
    assert [] == list(signal.points(START, START))
    assert 0.0 == signal.age_s(START)


def test_an_hour_of_the_grid_in_a_second() -> None:
    """At factor 3600 hour n of the trace is second n of the run, and nothing is lost between points."""
    real = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
    grid = GridTime(ClockInfo(real_start=real, grid_start=START, factor=3600))
    signal = AcceleratedSignal(TraceSignal.from_csv(TRACES / "coast.csv", "COAST"), grid)
    inner = TraceSignal.from_csv(TRACES / "coast.csv", "COAST").points(START, START + 60 * HOUR)
    shown = sample(signal.points(real, real + timedelta(seconds=60)), real, 1.0, 60)
    assert [point.intensity_g_per_kwh for point in inner] == pytest.approx(list(shown))
    assert gap_free(signal, real, real + timedelta(seconds=300))
    assert "simulated" in signal.source
    assert 1.0 == pytest.approx(signal.age_s(real + timedelta(seconds=169)))
