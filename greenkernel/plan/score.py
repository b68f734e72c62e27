"""Emissions of given steps by the one formula, power x PUE x intensity over time, for plans, baselines and stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenkernel.records import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one site with so many cores takes. Power and start-up energy are before PUE.

    ``intensity`` gives the exact mean g CO2e/kWh over a time.
    """

    power_w: float
    intensity: Callable[[datetime, datetime], float]
    pue: float = 1.0
    startup_s: float = 0.0
    startup_wh: float = 0.0
    arrive_g: float = 0.0
    embodied_g_per_h: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEmissions:
    """Grams CO2e of one step by item, and its energy with PUE."""

    step: Step
    running_g: float
    startup_g: float
    transfer_g: float
    embodied_g: float
    energy_wh: float

    @property
    def total_g(self) -> float:
        """Sum of the items."""
        return self.running_g + self.startup_g + self.transfer_g + self.embodied_g


def emissions_of(steps: Sequence[Step], draws: Mapping[tuple[str, int], Draw]) -> tuple[StepEmissions, ...]:
    """Exact emissions of steps, each of which begins with a start-up; arriving on another site moves the payload.

    Args:
        steps: In order.
        draws: By site and cores; every step's must be there.
    """
    found, site = [], ""
    for step in steps:
        draw = draws[step.site, step.cores]
        found.append(_emissions(step, draw, arrives=step.site != site))
        site = step.site
    return tuple(found)


def _emissions(step: Step, draw: Draw, *, arrives: bool) -> StepEmissions:
    ready = min(step.end, step.start + timedelta(seconds=draw.startup_s))
    run_s = (step.end - ready).total_seconds()
    run_kwh = draw.power_w * draw.pue * run_s / 3.6e6
    startup_kwh = draw.startup_wh * draw.pue / 1000
    return StepEmissions(
        step=step,
        running_g=run_kwh * draw.intensity(ready, step.end),
        startup_g=startup_kwh * draw.intensity(step.start, ready),
        transfer_g=draw.arrive_g if arrives else 0.0,
        embodied_g=draw.embodied_g_per_h * (step.end - step.start).total_seconds() / 3600,
        energy_wh=1000 * (run_kwh + startup_kwh),
    )
