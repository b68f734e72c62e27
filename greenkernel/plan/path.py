"""The cheapest steps that keep the due date: solve a problem, or say why it cannot be solved and what would help."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from greenkernel.plan import words
from greenkernel.plan.constraints import Bounds
from greenkernel.plan.costs import Costs, Leg
from greenkernel.plan.once import Once, once
from greenkernel.plan.problem import Bools, Floats, Impossible, Problem, slot_starts
from greenkernel.plan.table import Table
from greenkernel.records import Interval, Plan, Step

_ROUNDING_S: Final = 1e-9
_SOURCE: Final = "plan: power x PUE x intensity, slot by slot"


@dataclass(frozen=True, slots=True)
class Solved:
    """The legs that were chosen, and what they were chosen from; options are those of ``problem``."""

    problem: Problem
    costs: Costs
    legs: tuple[Leg, ...]
    singles: tuple[Once, ...]
    penalty: float


def solve(problem: Problem) -> Plan | Impossible:
    """The plan that is cheapest in the goal's unit and safe for the due date.

    Exact for starts at slot boundaries with single stays; moves are found on levels of one slot of work and priced
    exactly. Nothing in it depends on anything but the problem.

    Returns:
        A plan, or why there is none and what would help.
    """
    solved = search(problem)
    return solved if isinstance(solved, Impossible) else plan_of(problem, solved)


def search(problem: Problem) -> Solved | Impossible:
    """The legs of the best plan and the single stays that it was compared with."""
    usable = _usable(problem)
    if not usable.options:
        return words.nowhere(problem)
    costs, bounds = Costs(usable), Bounds(usable)
    singles = tuple(once(usable, costs, bounds, option) for option in range(len(usable.options)))
    base = _base(usable, costs, singles)
    penalty = usable.min_gain + usable.min_gain_ratio * (base if math.isfinite(base) else 0.0)
    paths = [single.legs for single in singles if single.legs]
    if usable.can_move and len(usable.options) > 1:
        table = Table(usable, costs, bounds, penalty)
        paths.append(_follow(table))
    found = [path for path in paths if path]
    if not found:
        return words.impossible(problem, usable, singles)

    def weight(legs: tuple[Leg, ...]) -> tuple[float, int]:
        figures = costs.figures(legs)
        moves = len(legs) - 1
        cost = figures.of(usable.goal) + moves * (penalty + costs.tie_per_move) + figures.finish_s * costs.tie_per_s
        return cost, moves

    return Solved(usable, costs, min(found, key=weight), singles, penalty)


def _usable(problem: Problem) -> Problem:
    """Without the options that cannot be taken; the one it runs on stays, though it may not be entered again."""
    kept = [i for i, option in enumerate(problem.options) if option.feasible or i == problem.current]
    current = None if problem.current is None else kept.index(problem.current)
    return replace(problem, options=tuple(problem.options[i] for i in kept), current=current)


def _base(problem: Problem, costs: Costs, singles: Sequence[Once]) -> float:
    """Cost without a move: staying for a run, else the best single stay; infinite where neither is safe."""
    staying = [s for s in singles if s.legs and problem.current in (None, s.option)]
    return min((costs.figures(s.legs).of(problem.goal) for s in staying), default=math.inf)


def _follow(table: Table) -> tuple[Leg, ...]:
    """The path that the table says is cheapest, with work left exact; empty where no first action is safe."""
    walk = _Walk(table)
    if not walk.begin():
        return ()
    while walk.work > _ROUNDING_S and walk.slot < table.problem.slots:
        target = walk.target()
        if target is None:
            walk.stay()
        else:
            walk.move(target)
    return tuple(walk.legs)


class _Walk:
    """Where a path has come to: slot, option and exact work left."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._problem, self._bounds = table.problem, table.bounds
        self.legs: list[Leg] = []
        self.slot, self.option, self.work = 0, self._problem.current or 0, self._problem.work_left

    def begin(self) -> bool:
        """Take the first place; False where nothing is safe."""
        if self._problem.current is not None:
            self.legs = [Leg(self._problem.current, None)]
            return self._kept() or bool(np.isfinite(self._safe_moves()).any())
        slots = np.arange(self._problem.slots if self._problem.can_wait else 1)
        costs = self._table.costs
        at_s = slot_starts(self._problem, len(slots))
        values = self._table.enter_values(slots, self.work) + costs.arrive + (at_s * costs.wait_per_s)[:, None]
        values[~self._safe_starts(at_s)] = math.inf
        first, option = np.unravel_index(int(values.argmin()), values.shape)
        if math.isinf(values[first, option]):
            return False
        self._enter(int(first), int(option), self.work)
        return True

    def target(self) -> int | None:
        """The option to move to now; None to stay."""
        kept = self._kept()
        if kept and not self._table.leaves(self.slot, self.option, self.work):
            return None
        moves = self._safe_moves()
        best = int(moves.argmin())
        if not kept:
            return best if math.isfinite(moves[best]) else self._least_late()
        return best if moves[best] < self._table.stay_value(self.slot, self.option, self.work) else None

    def stay(self) -> None:
        """One slot on."""
        self.slot += 1
        self.work -= float(self._table.step[self.option])

    def move(self, target: int) -> None:
        """Leave now."""
        self.legs[-1] = replace(self.legs[-1], leave_s=self.slot * self._problem.slot_s)
        self._enter(self.slot, target, self._table.after_move(self.option, self.work))

    def _enter(self, slot: int, option: int, work: float) -> None:
        self.legs.append(Leg(option, slot * self._problem.slot_s))
        steps = int(self._table.entry[option])
        self.slot, self.option = slot + steps, option
        self.work = work - (1.0 - float(self._table.offset[option])) * float(self._table.step[option])

    def _kept(self) -> bool:
        """True where staying for this slot is safe."""
        now_s = self.slot * self._problem.slot_s
        if now_s + self.work * float(self._bounds.duration_s[self.option]) <= self._bounds.due_s + _ROUNDING_S:
            return True
        return now_s <= float(self._bounds.keep_until_s(self.option, np.array([self.work]))[0]) + _ROUNDING_S

    def _safe_moves(self) -> Floats:
        work = self._table.after_move(self.option, self.work)
        values = self._table.move_values(self.slot, self.option, work)
        now_s = self.slot * self._problem.slot_s
        until_s = [float(self._bounds.enter_until_s(o, np.array([work]))[0]) for o in range(len(values))]
        values[now_s > np.array(until_s) + _ROUNDING_S] = math.inf
        return values

    def _safe_starts(self, at_s: Floats) -> Bools:
        work = np.array([self.work])
        until_s = np.array([float(self._bounds.enter_until_s(o, work)[0]) for o in range(len(self._table.step))])
        if self._problem.due_at is None:
            horizon_s = self._problem.slots * self._problem.slot_s
            until_s = np.maximum(0.0, horizon_s - self._bounds.startup_s - self.work * self._bounds.duration_s)
        return at_s[:, None] <= until_s[None, :] + _ROUNDING_S

    def _least_late(self) -> int | None:
        """The option with the earliest upper bound, the present one (None) included."""
        work = self._table.after_move(self.option, self.work)
        ends_s = self._bounds.startup_s + work * self._bounds.duration_s
        ends_s[self.option] = self.work * self._bounds.duration_s[self.option]
        best = int(ends_s.argmin())
        return None if best == self.option else best


def plan_of(asked: Problem, solved: Solved) -> Plan:
    """The record of the legs that were found for a problem."""
    problem, legs = solved.problem, solved.legs
    low, mid, high = (solved.costs.figures(legs, pace) for pace in ("low", "mid", "high"))
    return Plan(
        steps=_steps(problem, legs, mid.finish_s),
        made_at=problem.start,
        goal=problem.goal,
        emissions_g=_interval(low.grams, mid.grams, high.grams),
        energy_wh=_interval(low.energy_wh, mid.energy_wh, high.energy_wh),
        cost=_interval(low.cost, mid.cost, high.cost),
        finish_at=problem.when(mid.finish_s),
        finish_latest_at=problem.when(min(max(high.finish_s, mid.finish_s), problem.due_s)),
        reason=words.reason(problem, solved.costs, legs, solved.singles, solved.penalty),
        alternatives=words.alternatives(asked, problem, solved.costs, legs, solved.singles),
    )


def _steps(problem: Problem, legs: Sequence[Leg], finish_s: float) -> tuple[Step, ...]:
    steps = []
    for leg in legs:
        option = problem.options[leg.option]
        begin_s, end_s = leg.enter_s or 0.0, finish_s if leg.leave_s is None else leg.leave_s
        if end_s > begin_s:
            start, end = problem.when(begin_s), problem.when(end_s)
            steps.append(Step(site=option.site, cores=option.cores, start=start, end=end))
    return tuple(steps)


def _interval(low: float, mid: float, high: float) -> Interval:
    return Interval(low=min(low, mid), mid=mid, high=max(mid, high), source=_SOURCE)
