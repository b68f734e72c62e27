"""Rules that every plan keeps: more choice never costs more, the due date holds, and nothing moves for nothing."""

import math
import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from greenkernel.plan.constraints import Bounds
from greenkernel.plan.costs import Costs
from greenkernel.plan.path import solve
from greenkernel.plan.problem import Problem
from greenkernel.records import Plan
from tests.plans import HOUR, START, option, problem

HOURS = 12
traces = st.lists(st.integers(5, 500).map(float), min_size=HOURS, max_size=HOURS)


def grams(asked: Problem) -> float:
    """Grams of the plan; infinite where there is none."""
    plan = solve(asked)
    return plan.emissions_g.mid if isinstance(plan, Plan) else math.inf


def due(after_h: float, **changes: object) -> dict[str, object]:
    """A due date and waiting."""
    return {"due_at": START + timedelta(hours=after_h), "can_wait": True, **changes}


@settings(max_examples=100, deadline=None)
@given(st.lists(traces, min_size=2, max_size=3), st.integers(1, 5), st.integers(5, HOURS))
def test_more_freedom_never_costs_more(given_traces: list[list[float]], length: int, due_h: int) -> None:
    """Rule 1: now at home >= best window at home >= best site and window >= free moves >= the best hours anywhere."""
    sites = [option(f"s{i}", trace, duration_mid_s=length * HOUR) for i, trace in enumerate(given_traces)]
    chain = [
        grams(problem(sites[0], due_at=START + timedelta(hours=due_h))),
        grams(problem(sites[0], **due(due_h))),
        grams(problem(*sites, **due(due_h, can_move=False))),
        grams(problem(*sites, **due(due_h))),
        float(np.sort(np.min(given_traces, axis=0)[:due_h])[:length].sum()),
    ]
    assert chain == pytest.approx(sorted(chain, reverse=True))


@settings(max_examples=100, deadline=None)
@given(st.lists(traces, min_size=2, max_size=3), st.integers(1, 5), st.integers(1, HOURS), st.floats(0, 900))
def test_a_site_more_slack_or_cheaper_moves_never_hurt(
    given_traces: list[list[float]], length: int, due_h: int, arrive_g: float
) -> None:
    """Rule 2: adding a site, adding slack, or lowering the cost of a move never raises the optimum."""
    sites = [option(f"s{i}", t, duration_mid_s=length * HOUR, arrive_g=arrive_g) for i, t in enumerate(given_traces)]
    base = grams(problem(*sites, **due(due_h)))
    lighter = [replace(site, arrive_g=arrive_g / 2) for site in sites]
    slack = 1e-6
    assert base <= grams(problem(*sites[:-1], **due(due_h))) + slack
    assert grams(problem(*sites, **due(due_h + 1))) <= base + slack
    assert grams(problem(*lighter, **due(due_h))) <= base + slack


@settings(max_examples=100, deadline=None)
@given(st.lists(traces, min_size=2, max_size=4), st.integers(1, HOURS))
def test_free_moves_take_the_greenest_site_of_every_hour(given_traces: list[list[float]], length: int) -> None:
    """Rule 3 for a job that does not pause: begun now, with free moves, it pays the least of every hour."""
    sites = [option(f"s{i}", trace, duration_mid_s=length * HOUR) for i, trace in enumerate(given_traces)]
    assert float(np.min(given_traces, axis=0)[:length].sum()) == pytest.approx(grams(problem(*sites)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_planning_again_at_every_slot_keeps_the_due_date(data: st.DataObject) -> None:
    """Rule 4: whatever pace and start-up come out within the bounds, a run that began is done by the due date."""
    dice = random.Random(data.draw(st.integers(0, 2**32)))
    sites = [_uncertain(f"s{i}", data.draw(traces), dice) for i in range(data.draw(st.integers(1, 3)))]
    due_s = dice.uniform(0.6, 2.0) * min(site.startup_high_s + site.duration_high_s for site in sites)
    asked = problem(*sites, due_at=START + timedelta(seconds=due_s), can_wait=True)
    asked = replace(asked, can_move=dice.random() < 0.8)
    assume(isinstance(solve(asked), Plan))
    assert _really_runs(asked, dice) <= due_s + 1e-3


def _uncertain(name: str, trace: list[float], dice: random.Random) -> object:
    mid_s, startup_s = dice.uniform(1, 5) * HOUR, dice.uniform(0, 1.5) * HOUR
    return option(
        name,
        trace,
        duration_mid_s=mid_s,
        duration_high_s=mid_s * dice.uniform(1, 1.8),
        startup_mid_s=startup_s,
        startup_high_s=startup_s * dice.uniform(1, 1.8),
    )


def _really_runs(asked: Problem, dice: random.Random) -> float:
    """Follow plans made anew at every hour, at a pace drawn anew from the worst half of the bounds; the end in s."""
    slot, work, here, ready_s = 0, 1.0, None, 0.0
    while True:
        plan = solve(_from_here(asked, slot, work, here))
        if isinstance(plan, Plan):
            step = plan.at(asked.when(slot * HOUR))
            wanted = next((i for i, o in enumerate(asked.options) if step and o.site == step.site), None)
        else:
            assert here is not None, "a run that waits must not find that it has waited too long"
            wanted = here
        if wanted is not None and wanted != here:
            here = wanted
            chosen = asked.options[here]
            ready_s = slot * HOUR + dice.uniform(chosen.startup_mid_s, chosen.startup_high_s)
            slot = math.floor(ready_s / HOUR)  # nobody decides while it starts
        slot += 1
        if here is None:
            continue
        chosen = asked.options[here]
        pace_s = dice.choice((chosen.duration_high_s, dice.uniform(chosen.duration_mid_s, chosen.duration_high_s)))
        run_s = slot * HOUR - ready_s
        if run_s >= work * pace_s:
            return ready_s + work * pace_s
        work, ready_s = work - run_s / pace_s, slot * HOUR


def _from_here(asked: Problem, slot: int, work: float, here: int | None) -> Problem:
    options = tuple(
        replace(o, intensity=np.append(o.intensity, np.full(slot, o.intensity[-1]))[slot : slot + asked.slots])
        for o in asked.options
    )
    return replace(asked, start=asked.when(slot * HOUR), options=options, work_left=work, current=here)


@settings(max_examples=100, deadline=None)
@given(
    traces, st.integers(1, 8), st.floats(0, 2), st.integers(0, 2), st.sampled_from(["co2", "energy", "cost", "time"])
)
def test_equal_sites_never_move(trace: list[float], length: int, startup_h: float, here: int, goal: str) -> None:
    """Rule 5: where all sites are equal the run stays, even where a move would cost nothing."""
    # A start-up without energy would be a free pause, which is worth something.
    startup = {"startup_mid_s": startup_h * HOUR, "startup_wh": 1000 * startup_h}
    sites = [option(s, trace, duration_mid_s=length * HOUR, **startup) for s in "abc"]
    plan = solve(problem(*sites, current=here, goal=goal))
    assert isinstance(plan, Plan)
    assert ["abc"[here]] == [step.site for step in plan.steps]


def test_flat_signals_never_wait_nor_move() -> None:
    """Equal figures at all times: it begins now on one site and ends there."""
    plan = solve(problem(option("a", [250.0] * HOURS), option("b", [250.0] * HOURS), **due(11)))
    assert isinstance(plan, Plan)
    assert [START] == [step.start for step in plan.steps]


@settings(max_examples=60, deadline=None)
@given(st.lists(traces, min_size=2, max_size=3), st.integers(1, 6), st.integers(6, HOURS))
def test_dear_moves_leave_the_static_best(given_traces: list[list[float]], length: int, due_h: int) -> None:
    """Rule 5: with moves of infinite cost the plan is the best site and window."""
    sites = [option(f"s{i}", trace, duration_mid_s=length * HOUR) for i, trace in enumerate(given_traces)]
    best = min(sum(t[i : i + length]) for t in given_traces for i in range(due_h - length + 1))
    plan = solve(problem(*sites, **due(due_h, min_gain=1e9)))
    assert isinstance(plan, Plan)
    assert (1, best) == (len(plan.steps), pytest.approx(plan.emissions_g.mid))


def test_swapped_traces_swap_the_destination() -> None:
    """The plan follows the signal, not a site's name or place in the list."""
    one, two = [10.0] * 3 + [400.0] * 9, [400.0] * 3 + [20.0] * 9
    for traces_now, expected in (((one, two), ["a", "b"]), ((two, one), ["b", "a"])):
        plan = solve(problem(option("a", traces_now[0]), option("b", traces_now[1])))
        assert isinstance(plan, Plan)
        assert expected == [step.site for step in plan.steps]


@settings(max_examples=100, deadline=None)
@given(st.lists(traces, min_size=2, max_size=3), st.floats(0.001, 1000), st.floats(0, 2), st.booleans())
def test_scaled_intensities_change_no_decision(
    given_traces: list[list[float]], factor: float, startup_h: float, running: bool
) -> None:
    """Rule 8: multiplying all intensities by a constant gives the same steps."""
    found = []
    for scale in (1.0, factor):
        sites = [
            option(f"s{i}", [scale * g for g in trace], startup_mid_s=startup_h * HOUR, startup_wh=150.0 * startup_h)
            for i, trace in enumerate(given_traces)
        ]
        found.append(solve(problem(*sites, current=0 if running else None, min_gain_ratio=0.05, can_wait=not running)))
    plain, scaled = found
    assert isinstance(plain, Plan)
    assert isinstance(scaled, Plan)
    assert plain.steps == scaled.steps or plain.emissions_g.mid * factor == pytest.approx(
        scaled.emissions_g.mid, rel=1e-6
    )


def test_a_safe_entry_leaves_a_way_out() -> None:
    """An option that may be too slow can be entered only while a quick one can still be reached after its start-up."""
    green = option("green", [1.0] * HOURS, duration_high_s=20 * HOUR, startup_mid_s=600, startup_high_s=1.5 * HOUR)
    quick = option("quick", [1.0] * HOURS, duration_mid_s=3 * HOUR)
    asked = problem(green, quick, due_at=START + timedelta(hours=10))
    left_h = 2 + (1 - 0.5 / 20) * 3
    assert (10 - left_h) * HOUR == pytest.approx(Bounds(asked).enter_until_s(0, np.ones(1))[0])
    assert -11.5 * HOUR == pytest.approx(Bounds(replace(asked, can_move=False)).enter_until_s(0, np.ones(1))[0])


def test_integrals_are_exact() -> None:
    """Intensity over time at any instants, beyond the last slot too."""
    costs = Costs(problem(option("a", [100.0, 200.0])))
    assert [0, 50, 100, 200, 300, 500] == pytest.approx(
        list(costs.integral(0, np.array([0, 0.5, 1, 1.5, 2, 3]) * HOUR) / HOUR)
    )


def test_a_slow_site_is_left_at_the_last_safe_moment() -> None:
    """The green but unsure site is left at the last slot from which the quick one is surely done in time."""
    green = option("green", [10.0] * HOURS, duration_mid_s=8 * HOUR, duration_high_s=20 * HOUR)
    quick = option("quick", [300.0] * HOURS, duration_mid_s=2 * HOUR, startup_mid_s=3 * HOUR)
    asked = problem(green, quick, due_at=START + timedelta(hours=10), current=0)
    until_s = Bounds(asked).keep_until_s(0, np.array([1.0, 0.25, 0.125]))
    assert [10 - 1 - 3 - 1.9, 10 - 1 - 3 - 0.4, 10 - 2.5] == pytest.approx(list(until_s / HOUR))
    plan = solve(asked)
    assert isinstance(plan, Plan)
    assert [("green", 6.0), ("quick", 9.5)] == [
        (step.site, (step.end - START) / timedelta(hours=1)) for step in plan.steps
    ]
