import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from greenkernel.demo.make_traces import TRACE_HOURS, TRACE_START, ZONES, trace_values, write_traces

COMMITTED = Path(__file__).parents[2] / "greenkernel" / "demo" / "traces"


def test_committed_traces_are_the_scripts_output(tmp_path: Path) -> None:
    """The files in the repository are byte for byte what the script writes."""
    made = write_traces(tmp_path)
    assert {path.name: path.read_bytes() for path in sorted(COMMITTED.glob("*.csv"))} == {
        path.name: path.read_bytes() for path in sorted(made)
    }


def test_readme_says_made_up() -> None:
    """Nobody can take the traces for measurements: the file beside them says so."""
    assert "invented" in (COMMITTED / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("zone", ZONES)
def test_file_has_a_row_per_hour_in_utc(zone: str) -> None:
    """Seven days of hourly rows, without a gap, of one zone and with positive intensities."""
    with (COMMITTED / f"{zone.lower()}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = [datetime.fromisoformat(row["datetime"]) for row in rows]
    assert [TRACE_START + timedelta(hours=hour) for hour in range(TRACE_HOURS)] == times
    assert {UTC} == {time.tzinfo for time in times}
    assert {zone} == {row["zone"] for row in rows}
    assert all(float(row["intensity_g_per_kwh"]) > 0 for row in rows)


def test_windy_is_greenest_first_and_then_coast() -> None:
    """The greenest zone changes at hour 25, in the middle of the demo's run, and not again before hour 50."""
    values = trace_values()
    greenest = [min(ZONES, key=lambda zone: values[zone][hour]) for hour in range(TRACE_HOURS)]
    assert ["WINDY"] * 25 + ["COAST"] * 25 == greenest[:50]


@pytest.mark.parametrize(
    ("zone", "first", "last", "low", "high"),
    [
        ("WINDY", 0, 22, 20, 40),
        ("WINDY", 28, 70, 380, 450),
        ("COAST", 0, 20, 490, 570),
        ("COAST", 27, 47, 75, 105),
        ("COAST", 54, 168, 300, 360),
        ("SUNNY", 0, 168, 280, 400),
    ],
)
def test_level_of_a_zone(zone: str, first: int, last: int, low: float, high: float) -> None:
    """Each zone stays within its level, so a move from WINDY to COAST saves about 60 % and is worth its cost."""
    part = trace_values()[zone][first:last]
    assert low <= part.min()
    assert high >= part.max()


def test_sunny_follows_the_sun_and_never_wins_a_day() -> None:
    """Noon is far greener than midnight every day, and no whole day's mean beats the best of the others."""
    days = {zone: values.reshape(7, 24) for zone, values in trace_values().items()}
    assert (days["SUNNY"][:, 12] < days["SUNNY"][:, 0] - 50).all()
    assert (days["SUNNY"].mean(axis=1) > np.minimum(days["WINDY"], days["COAST"]).mean(axis=1)).all()


def test_swapped_exchanges_windy_and_coast_only() -> None:
    """In the swapped variant the greenest zone is the other one, with the same figures."""
    plain, swapped = trace_values(), trace_values(variant="swapped")
    pairs = {"WINDY": "COAST", "COAST": "WINDY", "SUNNY": "SUNNY"}
    assert all(np.array_equal(plain[before], swapped[after]) for before, after in pairs.items())
    assert not np.array_equal(plain["WINDY"], swapped["WINDY"])


def test_flat_gives_no_reason_to_move(tmp_path: Path) -> None:
    """In the flat variant every row of every file has one and the same intensity."""
    write_traces(tmp_path, variant="flat")
    lines = [line for path in tmp_path.glob("*.csv") for line in path.read_text().splitlines()[1:]]
    assert len(ZONES) * TRACE_HOURS == len(lines)
    assert {"250.0"} == {line.rpartition(",")[2] for line in lines}
