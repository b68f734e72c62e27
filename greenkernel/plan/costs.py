"""What running, starting and arriving cost in the goal's unit, and the exact figures of given steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, overload

import numpy as np

from greenkernel.plan.problem import Floats, Option, Problem
from greenkernel.records import Goal

Pace = Literal["low", "mid", "high"]

# Share of the whole cost that a whole horizon of delay counts: above rounding, below anything that matters.
_TIE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Leg:
    """Part of a path: entered at ``enter_s`` (None: it runs there already) and left at ``leave_s`` (None: the end)."""

    option: int
    enter_s: float | None
    leave_s: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a path takes: grams CO2e, Wh with PUE, money, seconds from the problem's start to the end."""

    grams: float
    energy_wh: float
    cost: float
    finish_s: float

    def of(self, goal: str) -> float:
        """The figure that a goal looks at."""
        return {"co2": self.grams, "energy": self.energy_wh, "cost": self.cost, "time": self.finish_s}[goal]


class Costs:
    """The goal's terms per option, as vectors of shape (options,).

    A vanishing cost per second is part of them, so that of equals the earlier end wins; `figures` are without it.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        options, goal = problem.options, problem.goal
        self.startup_s = _vector(options, lambda o: o.startup_mid_s)
        self.duration_s = _vector(options, lambda o: o.duration_mid_s)
        self._intensity = np.array([o.intensity for o in options], dtype=np.float64)
        self._cumulated = np.zeros((len(options), problem.slots + 1))
        np.cumsum(self._intensity * problem.slot_s, axis=1, out=self._cumulated[:, 1:])
        self._run_per_g, self._run_fixed = _per_second(options, goal)
        self._startup_per_g, self._startup_fixed = _per_startup(options, goal)
        self.arrive = _vector(options, lambda o: o.arrive_g if goal == "co2" else 0.0)
        whole = (self._run_per_g * self._intensity.mean(axis=1) + self._run_fixed) * self.duration_s
        self.scale = float(whole.min()) or 1.0
        self.tie_per_s = _TIE * self.scale / (problem.slots * problem.slot_s)
        self.tie_per_move = 1000 * _TIE * self.scale
        self._run_fixed = self._run_fixed + self.tie_per_s
        self._startup_fixed = self._startup_fixed + self.tie_per_s * self.startup_s
        self.wait_per_s = (1.0 if goal == "time" else 0.0) + self.tie_per_s

    @property
    def rate(self) -> Floats:
        """Cost of a running second in each slot, shape (slots, options)."""
        return np.ascontiguousarray((self._run_per_g[:, None] * self._intensity + self._run_fixed[:, None]).T)

    @overload
    def integral(self, option: int, until_s: float) -> float: ...
    @overload
    def integral(self, option: int, until_s: Floats) -> Floats: ...
    def integral(self, option: int, until_s: float | Floats) -> float | Floats:
        """Intensity times seconds from the start until ``until_s``, held flat beyond the slots; g/kWh s."""
        slot_s, slots = self.problem.slot_s, self.problem.slots
        until = np.asarray(until_s, dtype=np.float64)
        index = np.minimum((until / slot_s).astype(np.int64), slots - 1)
        found = self._cumulated[option, index] + (until - index * slot_s) * self._intensity[option, index]
        return float(found) if found.ndim == 0 else found

    def mean(self, option: int, start_s: Floats, length_s: float) -> Floats:
        """Mean intensity of windows of one length; at no length the intensity at their start."""
        if length_s <= 0:
            index = np.minimum((start_s / self.problem.slot_s).astype(np.int64), self.problem.slots - 1)
            return np.asarray(self._intensity[option, index])
        return (self.integral(option, start_s + length_s) - self.integral(option, start_s)) / length_s

    def starting(self, option: int, start_s: Floats) -> Floats:
        """Cost of the start-up when it begins at these times."""
        mean = self.mean(option, start_s, float(self.startup_s[option]))
        return np.asarray(self._startup_per_g[option] * mean + self._startup_fixed[option])

    def running(self, option: int, start_s: Floats, work: Floats) -> Floats:
        """Cost of working off ``work`` (fractions of the cell) from these times on without a break."""
        length_s = work * self.duration_s[option]
        grams = self.integral(option, start_s + length_s) - self.integral(option, start_s)
        return np.asarray(self._run_per_g[option] * grams + self._run_fixed[option] * length_s)

    def figures(self, legs: Sequence[Leg], pace: Pace = "mid") -> Figures:
        """Exact figures of a path; at another pace the moves stay where they are and the last leg takes longer."""
        grams = energy_wh = cost = 0.0
        work, at_s, site = self.problem.work_left, 0.0, None
        for leg in legs:
            option = self.problem.options[leg.option]
            duration_s, startup_s, power_w = _paced(option, pace)
            begin_s, entered = (at_s, 0.0) if leg.enter_s is None else (leg.enter_s, 1.0)
            free_s = np.inf if leg.leave_s is None else leg.leave_s - begin_s
            startup_s = entered * min(startup_s, free_s)
            run_s = min(work * duration_s, free_s - startup_s)
            at_s = begin_s + startup_s + run_s
            startup_kwh = entered * option.startup_wh * option.pue / 1000
            run_kwh = power_w * option.pue * run_s / 3.6e6
            grams += startup_kwh * float(self.mean(leg.option, np.array([begin_s]), startup_s)[0])
            grams += (
                power_w
                * option.pue
                / 3.6e6
                * (self.integral(leg.option, at_s) - self.integral(leg.option, at_s - run_s))
            )
            grams += option.embodied_g_per_h * (at_s - begin_s) / 3600 + entered * option.arrive_g * (
                option.site != site
            )
            energy_wh += 1000 * (startup_kwh + run_kwh)
            cost += option.price_per_kwh * (startup_kwh + run_kwh) + option.price_per_hour * (at_s - begin_s) / 3600
            if leg.leave_s is None or run_s < free_s - startup_s:
                break
            site = option.site
            work = min(1.0, work - run_s / duration_s + option.repeat_mid_s / option.duration_mid_s)
        return Figures(grams, energy_wh, cost, at_s)


def _vector(options: Sequence[Option], value: Callable[[Option], float]) -> Floats:
    return np.array([value(option) for option in options], dtype=np.float64)


def _paced(option: Option, pace: Pace) -> tuple[float, float, float]:
    if pace == "low":
        return option.duration_low_s, option.startup_mid_s, option.power_low_w
    if pace == "high":
        return option.duration_high_s, option.startup_high_s, option.power_high_w
    return option.duration_mid_s, option.startup_mid_s, option.power_w


def _per_second(options: Sequence[Option], goal: Goal) -> tuple[Floats, Floats]:
    """Cost of a running second per g/kWh, and the part of it that does not depend on the grid."""
    kilowatt_hours = _vector(options, lambda o: o.power_w * o.pue / 3.6e6)
    none = np.zeros(len(options))
    if goal == "co2":
        return kilowatt_hours, _vector(options, lambda o: o.embodied_g_per_h / 3600)
    if goal == "energy":
        return none, kilowatt_hours * 1000
    if goal == "cost":
        return none, kilowatt_hours * _vector(options, lambda o: o.price_per_kwh) + _vector(
            options, lambda o: o.price_per_hour / 3600
        )
    return none, none + 1.0


def _per_startup(options: Sequence[Option], goal: Goal) -> tuple[Floats, Floats]:
    """The same for a whole start-up."""
    kilowatt_hours = _vector(options, lambda o: o.startup_wh * o.pue / 1000)
    none = np.zeros(len(options))
    if goal == "co2":
        return kilowatt_hours, _vector(options, lambda o: o.embodied_g_per_h * o.startup_mid_s / 3600)
    if goal == "energy":
        return none, kilowatt_hours * 1000
    if goal == "cost":
        return none, kilowatt_hours * _vector(options, lambda o: o.price_per_kwh) + _vector(
            options, lambda o: o.price_per_hour * o.startup_mid_s / 3600
        )
    return none, _vector(options, lambda o: o.startup_mid_s)
