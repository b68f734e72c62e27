"""Emissions of given steps: item by item, the same as the planner's own figure."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from greenkernel.plan.path import solve
from greenkernel.plan.score import Draw, emissions_of
from greenkernel.records import Plan, SignalPoint, Step
from greenkernel.signals.base import mean_intensity
from tests.plans import HOUR, START, option, problem


def hours(after: float) -> datetime:
    """So many hours after START."""
    return START + timedelta(hours=after)


def draw(values: list[float], **changes: float) -> Draw:
    """1 kW at hourly intensities."""
    points = [
        SignalPoint(start=hours(i), end=hours(i + 1), intensity_g_per_kwh=value) for i, value in enumerate(values)
    ]
    return Draw(power_w=1000, intensity=lambda start, end: mean_intensity(points, start, end), **changes)


def test_every_item_is_told_apart() -> None:
    """Running, start-up, transfer on another site only, embodied, energy; all with PUE where it belongs."""
    draws = {
        ("a", 1): draw([100] * 9, pue=1.5, startup_s=HOUR, startup_wh=200, arrive_g=7, embodied_g_per_h=10),
        ("a", 2): draw([100] * 9, arrive_g=7),
    }
    first = Step(site="a", cores=1, start=hours(0), end=hours(3))
    second = Step(site="a", cores=2, start=hours(3), end=hours(4.5))
    one, two = emissions_of([first, second], draws)
    assert (300, 30, 7, 30, 3300) == pytest.approx(
        (one.running_g, one.startup_g, one.transfer_g, one.embodied_g, one.energy_wh)
    )
    assert (150, 0, 0, 0, 1500) == pytest.approx(
        (two.running_g, two.startup_g, two.transfer_g, two.embodied_g, two.energy_wh)
    )
    assert 367 == pytest.approx(one.total_g)


def test_a_plans_figure_is_the_score_of_its_steps() -> None:
    """Two independent ways to the same grams, over a plan with a wait, a start-up and a move."""
    rng = np.random.default_rng(5)
    windy, coast = [300.0, 300, 9, 9, 9, 400, 400, 400, 400, 400], [*rng.uniform(350, 400, 5), 40.0, 41, 42, 43, 44]
    extra = {"pue": 1.3, "startup_s": 1500.0, "startup_wh": 80.0, "arrive_g": 2.0, "embodied_g_per_h": 3.0}
    draws = {("windy", 1): draw(windy, **extra), ("coast", 1): draw(coast, **extra)}
    startup_s = extra.pop("startup_s")
    sites = [
        option(name, values, startup_mid_s=startup_s, **extra) for name, values in (("windy", windy), ("coast", coast))
    ]
    plan = solve(problem(*sites, can_wait=True, due_at=hours(10)))
    assert isinstance(plan, Plan)
    assert [("windy", hours(2)), ("coast", hours(5))] == [(step.site, step.start) for step in plan.steps]
    scored = emissions_of(plan.steps, draws)
    assert plan.emissions_g.mid == pytest.approx(sum(item.total_g for item in scored))
    assert plan.energy_wh.mid == pytest.approx(sum(item.energy_wh for item in scored))
