"""The planner against one that tries everything, and against figures worked out by hand."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings

from greenkernel.plan.path import solve
from greenkernel.plan.problem import Impossible, Problem, choose_grid
from greenkernel.records import Plan
from tests.plans import HOUR, START, cheapest, option, problem, problems


def hours(after: float) -> datetime:
    """So many hours after START."""
    return START + timedelta(hours=after)


def planned(asked: Problem) -> Plan:
    """The plan of a problem that has one."""
    plan = solve(asked)
    assert isinstance(plan, Plan), plan
    return plan


def shown(plan: Plan) -> list[tuple[str, float, float]]:
    """Site, start and end in hours of each step."""
    return [(s.site, (s.start - START) / timedelta(hours=1), (s.end - START) / timedelta(hours=1)) for s in plan.steps]


@settings(max_examples=300, deadline=None)
@given(problems(aligned=True))
def test_whole_slots_are_solved_exactly(asked: Problem) -> None:
    """Where durations and start-ups are whole slots the plan has the least grams of all plans, or there is none."""
    plan, least = solve(asked), cheapest(asked)
    assert math.isinf(least) == isinstance(plan, Impossible)
    if isinstance(plan, Plan):
        assert least == pytest.approx(plan.emissions_g.mid, rel=1e-6, abs=1e-6)


@settings(max_examples=300, deadline=None)
@given(problems())
def test_any_lengths_are_solved_to_a_few_percent(asked: Problem) -> None:
    """At any lengths feasibility is exact, no plan is below the least, and the figure is that of a real path."""
    plan, least = solve(asked), cheapest(asked)
    assert math.isinf(least) == isinstance(plan, Impossible)
    if isinstance(plan, Plan):
        assert least * (1 - 1e-9) - 1e-6 <= plan.emissions_g.mid <= 1.05 * least + 1.0


def test_a_path_between_all_dirty_slots_is_found() -> None:
    """Two moves whose start-ups are no whole slots, for nothing at all, where one move costs 11 g."""
    a = option("a", [0.0] * 7, duration_mid_s=3.5 * HOUR, power_w=500.0, startup_mid_s=0.4 * HOUR, arrive_g=30.0)
    b = option("b", [0.0] * 4 + [30.0, 0.0, 0.0], duration_mid_s=5.5 * HOUR, power_w=500.0)
    b = replace(b, startup_mid_s=1.4 * HOUR, startup_high_s=2.1 * HOUR)
    c = option("c", [0.0, 0.0, 10.0, 0.0, 20.0, 0.0, 30.0], startup_mid_s=HOUR)
    asked = problem(a, b, c, work_left=0.8125, due_at=START + timedelta(seconds=30_398))
    assert 0.0 == cheapest(asked) == planned(asked).emissions_g.mid


def test_moves_are_planned_where_they_pay() -> None:
    """The greener site changes after two hours; start-up, energy and transfer are in the figure, the time is local."""
    windy, coast = option("windy", [10.0] * 2 + [400.0] * 8), option("coast", [400.0] * 2 + [50.0] * 8)
    free = planned(problem(windy, coast))
    assert [("windy", 0, 2), ("coast", 2, 4)] == shown(free)
    assert 2 * 10 + 2 * 50 == pytest.approx(free.emissions_g.mid)
    heavy = replace(coast, startup_mid_s=HOUR, startup_high_s=HOUR, startup_wh=100, arrive_g=7)
    dear = planned(problem(windy, heavy))
    assert [("windy", 0, 2), ("coast", 2, 5)] == shown(dear)
    assert 2 * 10 + 7 + 0.1 * 50 + 2 * 50 == pytest.approx(dear.emissions_g.mid)
    assert "windy now, then coast from 02:00 (in 2 h): 132 g CO2e instead of" in dear.reason
    there = planned(problem(windy, heavy, zone=ZoneInfo("Europe/Berlin")))
    assert "then coast from 03:00 (in 2 h)" in there.reason


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ([("windy", 0, 2), ("coast", 2, 4)], {}),
        ([("windy", 0, 4)], {"arrive_g": 701}),
        ([("windy", 0, 2), ("coast", 2, 4)], {"arrive_g": 699}),
        ([("windy", 0, 4)], {"startup_wh": 14_020}),
        ([("windy", 0, 2), ("coast", 2, 4)], {"startup_wh": 13_980}),
        ([("windy", 0, 4)], {"min_gain": 701}),
        ([("windy", 0, 2), ("coast", 2, 4)], {"min_gain": 699}),
        ([("windy", 0, 4)], {"min_gain_ratio": 0.88}),
        ([("windy", 0, 2), ("coast", 2, 4)], {"min_gain_ratio": 0.85}),
        ([("windy", 0, 4)], {"can_move": False}),
        ([("windy", 0, 4)], {"feasible": False}),
    ],
)
def test_a_running_job_moves_only_for_more_than_it_costs(expected: list[object], changes: dict[str, object]) -> None:
    """The move gains 700 of 820 g: one gram of transfer, start-up or margin more and it stays."""
    mine = {name: changes.pop(name) for name in ("arrive_g", "startup_wh", "feasible") if name in changes}
    windy = option("windy", [10.0] * 2 + [400.0] * 8)
    coast = option("coast", [400.0] * 2 + [50.0] * 8, **mine)
    assert expected == shown(planned(problem(windy, coast, current=0, **changes)))


@pytest.mark.parametrize(
    ("expected", "grams", "repeat_h"), [("coast", 300, 2.0), ("windy", 320, 2.4), ("windy", 320, 99)]
)
def test_repeated_work_is_priced(expected: str, grams: float, repeat_h: float) -> None:
    """One hour is left: 320 g here, or that hour and what is done again at 100 g each there."""
    windy, coast = option("windy", [320.0] * 9, repeat_mid_s=repeat_h * HOUR), option("coast", [100.0] * 9)
    plan = planned(problem(windy, coast, current=0, work_left=0.25))
    assert [expected] == [step.site for step in plan.steps]
    assert grams == pytest.approx(plan.emissions_g.mid)


def test_waiting_for_the_best_window() -> None:
    """It waits only where it may, and takes the cheapest window that ends in time at the upper bound."""
    site = option("home", [300, 300, 100, 100, 100, 100, 20, 20, 20, 20], duration_high_s=5 * HOUR)
    assert [("home", 0, 4)] == shown(planned(problem(site)))
    assert [("home", 5, 9)] == shown(planned(problem(site, can_wait=True)))
    due_8 = planned(problem(site, can_wait=True, due_at=hours(8)))
    assert [("home", 3, 7)] == shown(due_8)
    assert hours(8) == due_8.finish_latest_at
    assert "instead of 800 g CO2e for starting there now" in due_8.reason


def test_the_due_date_holds_at_the_upper_bound() -> None:
    """A green site that may take too long is used only while a quicker one is still in time."""
    green = option("green", [10.0] * 12, duration_high_s=9 * HOUR)
    quick = option("quick", [300.0] * 12, duration_mid_s=2 * HOUR)
    assert [("green", 0, 4)] == shown(planned(problem(green, quick, due_at=hours(8))))
    alone = planned(problem(green, quick, due_at=hours(8), can_move=False))
    assert [("quick", 0, 2)] == shown(alone)
    plan = planned(problem(green, quick, due_at=hours(8)))
    assert (hours(4), hours(8)) == (plan.finish_at, plan.finish_latest_at)
    assert "if it runs late it moves" in plan.reason
    assert ["quick"] == [a.site for a in plan.alternatives if a.finish_at is not None]


def test_impossible_says_why_and_what_would_help() -> None:
    """Too late at the upper bound: the quickest site, by how much, and the sites that would do but for something."""
    slow = option("slow", [10.0] * 12, duration_high_s=6 * HOUR)
    gone = option("gone", [10.0] * 12, duration_mid_s=HOUR, feasible=False, why_not="it does not answer")
    answer = solve(problem(slow, gone, due_at=hours(5)))
    assert isinstance(answer, Impossible)
    assert hours(6) == answer.best_finish_at
    assert "no site is surely done by 05:00: the quickest, slow (1 core), may need until 06:00, 1 h" in answer.reason
    assert "a due date 1 h later, 06:00" == answer.what_would_help[0]
    assert "the best estimate for slow (1 core) is in time" in answer.what_would_help[1]
    assert "gone (1 core), if it were not that it does not answer" == answer.what_would_help[2]


def test_no_site_at_all() -> None:
    """Without a usable option each one's reason is told."""
    gone = option("gone", [10.0], feasible=False, why_not="it does not answer")
    answer = solve(problem(gone))
    assert isinstance(answer, Impossible)
    assert "gone (1 core): it does not answer" in answer.reason


@pytest.mark.parametrize(
    ("expected", "goal", "figure"),
    [
        ("green", "co2", "40 g CO2e"),
        ("frugal", "energy", "2.0 kWh"),
        ("cheap", "cost", "0.40 EUR"),
        ("quick", "time", "2 h"),
    ],
)
def test_goals(expected: str, goal: str, figure: str) -> None:
    """Each goal takes the site that is best by it, and says its figure."""
    plan = planned(
        problem(
            option("green", [10.0] * 8, price_per_kwh=0.5),
            option("frugal", [300.0] * 8, power_w=500.0, price_per_kwh=1.0),
            option("cheap", [300.0] * 8, price_per_kwh=0.05, price_per_hour=0.05),
            option("quick", [300.0] * 8, power_w=3000.0, duration_mid_s=2 * HOUR, price_per_kwh=0.5),
            goal=goal,
        )
    )
    assert [expected] == [step.site for step in plan.steps]
    assert f"{expected} now: {figure}, the least of 4 sites" in plan.reason


def test_figures_are_intervals() -> None:
    """Low and high are the same steps at the low and high power and pace, with PUE, start-up, embodied and price."""
    site = option(
        "home",
        [100.0] * 20,
        duration_low_s=3 * HOUR,
        duration_high_s=6 * HOUR,
        power_low_w=800.0,
        power_high_w=1500.0,
        startup_mid_s=HOUR,
        startup_high_s=2 * HOUR,
        startup_wh=200.0,
        pue=1.5,
        embodied_g_per_h=10.0,
        price_per_kwh=0.2,
        price_per_hour=1.0,
        arrive_g=3.0,
    )
    plan = planned(problem(site))
    shift = 3 + 0.2 * 1.5 * 100
    grams, wh, cost = plan.emissions_g, plan.energy_wh, plan.cost
    assert [shift + 360 + 40, shift + 600 + 50, shift + 1350 + 80] == pytest.approx([grams.low, grams.mid, grams.high])
    assert [300 + 3600, 300 + 6000, 300 + 13500] == pytest.approx([wh.low, wh.mid, wh.high])
    assert [0.06 + 0.72 + 4, 0.06 + 1.2 + 5, 0.06 + 2.7 + 8] == pytest.approx([cost.low, cost.mid, cost.high])
    assert (hours(5), hours(8)) == (plan.finish_at, plan.finish_latest_at)


def test_a_quick_run_may_end_before_its_move() -> None:
    """At the low pace the work is done before the planned move, so nothing of the second site is in the low figure."""
    quick = {"duration_low_s": 1.5 * HOUR, "power_low_w": 1000.0}
    windy = option("windy", [10.0] * 2 + [400.0] * 8, **quick)
    coast = option("coast", [400.0] * 2 + [50.0] * 8, arrive_g=5, **quick)
    plan = planned(problem(windy, coast))
    assert ["windy", "coast"] == [step.site for step in plan.steps]
    assert (15, 20 + 5 + 100) == pytest.approx((plan.emissions_g.low, plan.emissions_g.mid))


def test_work_beyond_the_slots_is_held_flat() -> None:
    """A job longer than the forecast is priced at the last slot's intensity beyond it."""
    assert 100 + 3 * 50 == pytest.approx(planned(problem(option("home", [100.0, 50.0]))).emissions_g.mid)


def test_alternatives_have_figures_or_reasons() -> None:
    """Every other site is listed: dearer by how much, too late by how much, or why it cannot be used."""
    plan = planned(
        problem(
            option("green", [10.0] * 8),
            option("brown", [110.0] * 8),
            option("late", [1.0] * 8, duration_high_s=7 * HOUR),
            option("full", [1.0] * 8, feasible=False, why_not="no cores are free"),
            due_at=hours(5),
            can_move=False,
        )
    )
    assert {
        "brown": "400 g CO2e more",
        "late": "may need until 07:00, 2 h after the due date",
        "full": "no cores are free",
    } == {other.site: other.why_not for other in plan.alternatives}


def test_more_cores_are_options_of_their_own() -> None:
    """Restarting with other cores on the same site is a move without a transfer."""
    one = option("home", [10.0] * 6, arrive_g=50)
    four = option("home", [10.0] * 6, cores=4, duration_mid_s=HOUR, power_w=500.0, arrive_g=50)
    plan = planned(problem(one, four, current=0))
    assert [("home", 4)] == [(step.site, step.cores) for step in plan.steps]
    assert 5 == pytest.approx(plan.emissions_g.mid)


@pytest.mark.parametrize(
    ("durations_s", "horizon_s"), [([60], 90), ([60], 86_400), ([21_600, 90_000], 172_800), ([1e6], 1e6), ([0.3], 0.3)]
)
def test_grid_is_fine_enough_and_bounded(durations_s: list[float], horizon_s: float) -> None:
    """The slots cover the horizon, are at most 672, and at most 96 of them are work."""
    slot_s, slots = choose_grid(durations_s, horizon_s)
    assert slot_s * slots >= max(horizon_s, *durations_s, 0) - 1e-6
    assert slots <= 672
    assert max(durations_s) / slot_s <= 96


@pytest.mark.parametrize("work_left", [0.0, -0.1, 1.01])
def test_a_problem_without_work_is_refused(work_left: float) -> None:
    """Work left is a share of the cell that is not done."""
    with pytest.raises(ValueError, match="work left"):
        problem(option("home", [1.0]), work_left=work_left)


def test_intensities_must_fit_the_slots() -> None:
    """One intensity for each slot, or the option is named."""
    with pytest.raises(ValueError, match=r"home \(1 core\)"):
        problem(option("home", [1.0]), slots=2)


def test_the_same_problem_gives_the_same_plan() -> None:
    """Rule 9: planning twice gives byte-identical records."""
    rng = np.random.default_rng(9)
    sites = [option(name, rng.uniform(10, 500, 60).tolist(), startup_mid_s=900.0) for name in "abc"]
    asked = problem(*sites, due_at=datetime(2026, 1, 6, tzinfo=UTC), can_wait=True)
    assert repr(solve(asked)) == repr(solve(asked))
