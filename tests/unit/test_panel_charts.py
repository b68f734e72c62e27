"""The chart of a run: a valid spec, nothing by colour alone, small changes as data."""

import dataclasses
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import altair
import pytest

from greenkernel.panel.charts import chart_spec
from greenkernel.panel.state import PanelState
from greenkernel.records import ClockInfo
from tests.browser import states

SIMULATED = ClockInfo(real_start=states.START, grid_start=datetime(2026, 1, 5, tzinfo=UTC), factor=3600.0)


def instant(text: str) -> int:
    return round(datetime.fromisoformat(f"2026-01-05T{text}:00+00:00").timestamp() * 1000)


@pytest.mark.parametrize(
    "make",
    [states.choosing, states.running, states.done, states.failed, lambda: states.choosing(plan=None, clock=None)],
)
def test_the_spec_is_valid(make: Callable[[], PanelState]) -> None:
    """By altair's own schema, in every phase, and it is JSON."""
    spec = chart_spec(make(), zone=UTC)
    altair.Chart.from_dict(json.loads(json.dumps(spec)))
    assert {"lines", "names", "bars", "rules", "edges"} == set(spec["datasets"])


def test_every_site_has_its_name_at_its_line_and_its_own_dashes() -> None:
    """Nothing is told by colour alone; names do not cover one another."""
    spec = chart_spec(states.choosing(), zone=UTC)
    names = spec["datasets"]["names"]
    assert {"coast", "windy", "sunny"} == {name["site"] for name in names}
    heights = [name["g"] for name in names]
    assert all(b - a > 40 for a, b in itertools.pairwise(heights))
    line = next(layer for layer in spec["layer"] if layer["data"]["name"] == "lines")
    dashes = line["encoding"]["strokeDash"]["scale"]["range"]
    assert 3 == len({tuple(dash) for dash in dashes})


def test_the_plan_the_stays_now_and_due_are_where_they_belong() -> None:
    """Bars named by site, in two lanes; after the end the stays of the receipt, and no now."""
    data = chart_spec(states.running(260, moved=True), zone=UTC)["datasets"]
    bars = [(bar["lane"], bar["site"], bar["at"]) for bar in data["bars"]]
    assert ("plan", "windy", instant("09:00")) == bars[0]
    assert ("plan", "coast", instant("11:20")) == bars[1]
    assert [("was", "windy", instant("09:01")), ("was", "coast", instant("11:20"))] == bars[2:]
    assert ("due", "due 18:00", instant("18:00")) == tuple(data["rules"][1][key] for key in ("what", "label", "at"))
    after = chart_spec(states.done(), zone=UTC)["datasets"]
    assert ["due"] == [rule["what"] for rule in after["rules"]]
    assert [instant("11:20"), instant("13:12")] == [bar["to"] for bar in after["bars"] if bar["lane"] == "was"]


def test_a_simulated_grid_is_named_and_real_times_are_mapped() -> None:
    """One second is an hour: a due date in nine seconds is nine hours on the grid."""
    state = states.choosing(clock=SIMULATED, plan=None, due_at=states.START + timedelta(seconds=9))
    spec = chart_spec(dataclasses.replace(state, at=states.START), zone=UTC)
    assert "simulated" in spec["title"]["text"]
    assert "one real second is 1 h of the grid's time" in spec["title"]["subtitle"]
    assert instant("09:00") == spec["datasets"]["rules"][1]["at"]
    assert "simulated" not in chart_spec(states.choosing(), zone=UTC)["title"]["text"]


def test_times_are_those_of_the_readers_zone() -> None:
    """Nine o'clock in UTC is drawn at ten for a reader in Berlin."""
    bars = chart_spec(states.choosing(), zone=ZoneInfo("Europe/Berlin"))["datasets"]["bars"]
    assert instant("10:00") == bars[0]["at"]


def test_an_update_changes_data_only_and_a_moment_changes_nothing() -> None:
    """The frame stays for the whole run; now moves in steps that can be seen."""
    a, b = (chart_spec(states.running(n), zone=UTC) for n in (100, 200))
    assert {key: a[key] for key in a if key != "datasets"} == {key: b[key] for key in b if key != "datasets"}
    assert a["datasets"]["lines"] == b["datasets"]["lines"]
    state = states.choosing()
    moment = dataclasses.replace(state, at=state.at + timedelta(milliseconds=100))
    assert chart_spec(state, zone=UTC) == chart_spec(moment, zone=UTC)


def test_a_spec_is_small_however_many_points_there_are() -> None:
    """A week of five-minute points of three sites stays below half a megabyte."""
    point = states.INTENSITY[0].points[0]
    minutes = timedelta(minutes=5)
    points = tuple(
        dataclasses.replace(point, start=states.START + n * minutes, end=states.START + (n + 1) * minutes)
        for n in range(7 * 288)
    )
    many = tuple(dataclasses.replace(one, points=points) for one in states.INTENSITY)
    state = states.choosing(intensity=many, due_at=states.START + timedelta(days=7))
    assert len(json.dumps(chart_spec(state, zone=UTC))) < 500_000
