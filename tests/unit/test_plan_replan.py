"""Deciding again while a run goes on: move, stay, or refuse with the figures."""

from dataclasses import replace
from datetime import timedelta

import pytest

from greenkernel.plan.path import solve
from greenkernel.plan.problem import Problem
from greenkernel.plan.replan import Calm, MoveTo, Refused, Stay, decide
from greenkernel.records import Plan
from tests.plans import HOUR, START, option, problem

WINDY = option("windy", [400.0] * 10)
COAST = option("coast", [50.0] * 10, arrive_g=100, startup_wh=1000)


def first(asked: Problem) -> Plan:
    """The plan that held so far: staying where it is."""
    plan = solve(replace(asked, can_move=False, due_at=None))
    assert isinstance(plan, Plan)
    return plan


def test_a_move_that_pays_has_its_gain_and_cost() -> None:
    """1,600 g for staying, 200 g for the work there, 150 g for transfer and start-up."""
    asked = problem(WINDY, COAST, current=0)
    move = decide(first(asked), asked)
    assert isinstance(move, MoveTo)
    assert ("coast", START) == (move.step.site, move.step.start)
    assert (1400, 150, 1250) == pytest.approx((move.gain, move.cost, move.saving_g))
    assert "coast now: 350 g CO2e instead of 1.6 kg CO2e for staying" in move.reason


def test_repeated_work_counts_as_cost() -> None:
    """Half is left, and a move does an hour again: 50 g of that besides the rest."""
    asked = problem(replace(WINDY, repeat_mid_s=HOUR, repeat_high_s=HOUR), COAST, current=0, work_left=0.5)
    move = decide(first(asked), asked)
    assert isinstance(move, MoveTo)
    assert (700, 200, 500) == pytest.approx((move.gain, move.cost, move.saving_g))


def test_a_move_that_does_not_pay_is_refused_with_the_figures() -> None:
    """With a tenth of the work left the gain of 140 g is less than the 150 g that moving takes."""
    asked = problem(WINDY, COAST, current=0, work_left=0.1, min_gain=5)
    answer = decide(first(asked), asked)
    assert isinstance(answer, Refused)
    assert "coast" == answer.to_site
    wanted = "coast would take 140 g CO2e less, but moving takes 150 g CO2e and the margin is 5.0 g CO2e"
    assert wanted == answer.reason
    assert answer.plan is not None


def test_a_move_that_is_not_safe_is_refused() -> None:
    """A greener site whose upper bound misses the due date is named as such."""
    slow = replace(COAST, duration_high_s=9 * HOUR)
    asked = problem(WINDY, slow, current=0, due_at=START + timedelta(hours=4))
    answer = decide(first(asked), asked)
    assert isinstance(answer, Refused)
    assert "might end after the due date" in answer.reason


def test_nothing_better_is_a_plain_stay() -> None:
    """Where no site has a lower figure there is nothing to refuse; neither where moves are not wanted."""
    asked = problem(COAST, WINDY, current=0)
    assert isinstance(decide(first(asked), asked), Stay)
    fixed = problem(WINDY, COAST, current=0, can_move=False)
    assert isinstance(decide(first(fixed), fixed), Stay)


def test_a_later_move_is_a_stay_for_now() -> None:
    """The plan may hold a move to come; now it stays, and the plan says so."""
    asked = problem(option("windy", [20.0] * 2 + [400.0] * 8), option("coast", [400.0] * 2 + [50.0] * 8), current=0)
    answer = decide(first(asked), asked)
    assert isinstance(answer, Stay)
    assert answer.plan is not None
    assert ["windy", "coast"] == [step.site for step in answer.plan.steps]


def test_cool_down_after_a_move() -> None:
    """A short while after a move the next one is refused; later it is made."""
    asked = problem(WINDY, COAST, current=0)
    early = Calm(cool_down_s=600, moved_at=START - timedelta(seconds=100))
    answer = decide(first(asked), asked, early)
    assert isinstance(answer, Refused)
    assert "looks again in 8 min 20 s" in answer.reason
    late = replace(early, moved_at=START - timedelta(seconds=601))
    assert isinstance(decide(first(asked), asked, late), MoveTo)


def test_the_due_date_goes_before_the_cool_down() -> None:
    """Where staying is not safe it moves all the same."""
    slow = replace(COAST, duration_high_s=9 * HOUR)
    asked = problem(slow, WINDY, current=0, due_at=START + timedelta(hours=4))
    calm = Calm(cool_down_s=600, moved_at=START)
    answer = decide(first(asked), asked, calm)
    assert isinstance(answer, MoveTo)
    assert "windy" == answer.step.site


def test_a_failed_site_is_left_alone_for_a_while() -> None:
    """The next best site is taken meanwhile."""
    third = option("third", [60.0] * 10)
    asked = problem(WINDY, COAST, third, current=0)
    for avoided, expected in (({"coast"}, "third"), (set(), "coast")):
        cheap = replace(asked, options=(WINDY, replace(COAST, arrive_g=0, startup_wh=0), third))
        answer = decide(first(asked), cheap, Calm(avoided=avoided))
        assert isinstance(answer, MoveTo)
        assert expected == answer.step.site


def test_a_stale_forecast_keeps_the_plan_made_before() -> None:
    """With an old forecast it neither invents moves nor forgets those that were planned."""
    asked = problem(WINDY, COAST, current=0)
    stale = Calm(forecast_age_s=7200, stale_after_s=3600)
    stays = decide(first(asked), asked, stale)
    assert isinstance(stays, Stay)
    assert "the forecast is 2 h old: keeps to the plan made before" == stays.reason
    going = solve(asked)
    assert isinstance(going, Plan)
    dear = replace(asked, options=(WINDY, replace(COAST, arrive_g=1e6)))
    assert isinstance(decide(going, dear, stale), MoveTo)
    assert isinstance(decide(going, replace(dear, can_move=False), stale), Stay)


def test_a_run_that_is_late_hurries() -> None:
    """Where no plan is safe any more it goes where it ends first, or stays if that is here."""
    quick = option("quick", [500.0] * 10, duration_mid_s=2 * HOUR)
    asked = problem(WINDY, quick, current=0, due_at=START + timedelta(hours=1))
    answer = decide(first(asked), asked)
    assert isinstance(answer, MoveTo)
    assert "quick" == answer.step.site
    assert answer.reason.startswith("the due date is at risk; quick now: 2 h instead of 4 h for staying")
    there = replace(asked, current=1)
    stays = decide(first(there), there)
    assert isinstance(stays, Stay)
    assert "no other site is quicker" in stays.reason
    assert stays.plan is not None
    assert ["quick"] == [step.site for step in stays.plan.steps]


def test_only_a_run_can_be_asked() -> None:
    """Before the start there is nothing to decide again."""
    asked = problem(WINDY, COAST)
    with pytest.raises(ValueError, match="goes on"):
        decide(first(asked), asked)
