"""The choice as rows, and what is left of a run."""

import dataclasses
from datetime import UTC, timedelta

import pytest

from greenkernel.panel.rows import remaining_s, site_rows
from greenkernel.records import Interval, Progress
from tests.browser import states


def rows(**changes: object) -> dict[str, object]:
    return {row.site: row for row in site_rows(states.choosing(**changes), zone=UTC)}


def test_the_recommended_row_is_first_and_has_the_figures_and_the_reason_of_the_plan() -> None:
    """The plan waits and moves, so its own figures count; its reason is on the row."""
    first, *others = site_rows(states.choosing(), zone=UTC)
    assert ("windy", 2, True, True) == (first.site, first.cores, first.can, first.ticked)
    assert ("13:15 (latest 14:10)", "48 g (38-58)", "330 Wh (264-396)") == (first.finish, first.emissions, first.energy)
    assert states.PLAN.reason == first.remark
    assert [False, False] == [row.ticked for row in others]


def test_other_rows_have_the_core_count_of_least_emissions_if_they_start_now() -> None:
    """Two feasible core counts of one site: the greener one is shown, with ends for every figure."""
    coast = rows()["coast"]
    assert (1, "128 g (96-160)", "97%") == (coast.cores, coast.emissions, coast.chance)
    assert "16:37 (15:05-18:08)" == coast.finish
    assert "22 g CO2e more" in coast.remark


def test_sites_that_cannot_come_last_with_the_reason() -> None:
    """The prediction's refusal and the planner's count alike; nothing is promised for them."""
    refused = dataclasses.replace(states.PLAN.alternatives[0], finish_at=None, why_not="the run may not move")
    shown = site_rows(states.choosing(plan=dataclasses.replace(states.PLAN, alternatives=(refused,))), zone=UTC)
    assert ["windy", "coast", "sunny"] == [row.site for row in shown]
    assert [(True, states.PLAN.reason), (False, "the run may not move")] == [(r.can, r.remark) for r in shown[:2]]
    assert "2 h 17 after the due date" in shown[2].remark
    assert "" == shown[2].finish


def test_without_a_plan_nothing_is_recommended() -> None:
    """Sites are in the order of their emissions then."""
    shown = site_rows(states.choosing(plan=None, impossible="no site is surely done by 18:00"), zone=UTC)
    assert [("windy", False), ("coast", False), ("sunny", False)] == [(row.site, row.ticked) for row in shown]


@pytest.mark.parametrize(("p_due", "chance"), [(None, ""), (0.999, "> 99%"), (0.5, "50%"), (0.001, "< 1%")])
def test_a_chance_is_never_said_to_be_sure(p_due: float | None, chance: str) -> None:
    """No due date, no chance; the ends are open."""
    only = states.prediction("a", 1, 1.0, p_due=p_due)
    (row,) = site_rows(states.choosing(plan=None, predictions=(only,)), zone=UTC)
    assert chance == row.chance


def test_short_runs_are_shown_with_their_seconds_and_steady_rows_do_not_change() -> None:
    """Between two looks within five seconds the text is the same, so that nothing is sent."""
    short = states.choosing(plan=None, predictions=(states.prediction("a", 1, 0.02),))
    (row,) = site_rows(short, zone=UTC)
    assert "09:02:24 (09:02:03-09:02:44)" == row.finish
    later = dataclasses.replace(short, at=short.at + timedelta(seconds=4))
    assert (row,) == site_rows(later, zone=UTC)


def test_what_is_left_comes_from_the_tasks_that_are_left() -> None:
    """280 tasks of 36.5 s with the prediction's own spread; after the end of the tasks from the prediction."""
    left = remaining_s(states.running(120))
    assert left is not None
    assert (round(280 * 36.5 * 0.8), 280 * 36.5, round(280 * 36.5 * 1.2)) == (
        round(left.low),
        left.mid,
        round(left.high),
    )


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"epochs": ()}, False),
        ({"progress": None}, True),
        ({"progress": None, "epochs": (states.FIRST, states.SECOND)}, False),
        ({"progress": None, "predictions": ()}, False),
    ],
)
def test_what_is_left_is_said_only_where_it_is_known(changes: dict[str, object], known: bool) -> None:
    """Before the start and after a move without word of the runner nothing is known."""
    assert known == (remaining_s(states.running(120, **changes)) is not None)


def test_what_was_not_measured_is_not_known() -> None:
    """From a second to a day is no prediction: no figures are shown, and nothing is said to be left."""
    guess = states.prediction("windy", 2, 0.1, time_s=Interval(low=1.0, mid=600.0, high=86400.0))
    (row,) = site_rows(states.choosing(plan=None, predictions=(guess,)), zone=UTC)
    assert ("not known", "", "", True) == (row.finish, row.energy, row.emissions, row.can)
    (row,) = site_rows(states.choosing(predictions=(guess,)), zone=UTC)
    assert ("not known", True) == (row.finish, row.ticked)
    assert "not measured" in row.remark
    assert remaining_s(states.running(120, progress=None, predictions=(guess,))) is None


def test_what_is_left_of_tasks_that_wait_comes_from_their_number() -> None:
    """Tasks that take hardly any CPU time are not about to be done."""
    progress = Progress(
        epoch=1, at=states.START, tasks_done=50, reused_tasks=10, tasks_total=90, wall_s=20.0, cpu_s=1.0, left_cpu_s=0.1
    )
    left = remaining_s(states.running(120, progress=progress))
    assert left is not None
    assert 20.0 == left.mid
