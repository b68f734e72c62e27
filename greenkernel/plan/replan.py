"""Planning again while a run goes on: stay, move now, or refuse a move that looks good but does not pay. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from greenkernel.plan import words
from greenkernel.plan.constraints import Bounds
from greenkernel.plan.costs import Leg
from greenkernel.plan.path import Solved, plan_of, search
from greenkernel.plan.problem import Impossible, Option, Problem
from greenkernel.records import Plan, Step
from greenkernel.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """What keeps a run from moving too often. After a move ``cool_down_s`` must pass; ``avoided`` sites are left alone.

    A forecast older than ``stale_after_s`` is not believed: the plan that holds is kept.
    """

    cool_down_s: float = 0.0
    moved_at: datetime | None = None
    avoided: Collection[str] = ()
    forecast_age_s: float = 0.0
    stale_after_s: float = math.inf

    def cooling_s(self, now: datetime) -> float:
        """Seconds until the run may move again."""
        return 0.0 if self.moved_at is None else max(0.0, self.cool_down_s - (now - self.moved_at).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """Go on where it is; ``plan`` None: the old one holds."""

    reason: str
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTo:
    """Move now. ``gain`` is what the rest takes less there, ``cost`` what moving takes, both in the goal's unit."""

    step: Step
    gain: float
    cost: float
    saving_g: float
    reason: str
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Stay, although ``to_site`` has a lower figure for the rest of the work: why."""

    to_site: str
    reason: str
    plan: Plan | None = None


Decision = Stay | MoveTo | Refused


def decide(current: Plan, problem: Problem, calm: Calm | None = None) -> Decision:
    """What a running job should do now.

    Args:
        current: The plan that holds.
        problem: The question now, with new forecasts and real progress; ``problem.current`` is where it runs.
        calm: The last move, sites to avoid, and the forecast's age.

    Raises:
        ValueError: The problem has no current option.
    """
    if problem.current is None:
        raise ValueError("only a run that goes on can be asked whether to move")
    calm = calm or Calm()
    problem = _without(problem, calm.avoided)
    solved = search(problem)
    if isinstance(solved, Impossible):
        return _late(problem, solved)
    if calm.forecast_age_s > calm.stale_after_s and _may_stay(solved):
        return _keep(current, solved, calm)
    plan = plan_of(problem, solved)
    if solved.legs[0].leave_s != 0:
        return _refused(solved, plan) or Stay(reason=plan.reason, plan=plan)
    cooling_s = calm.cooling_s(problem.start)
    if cooling_s > 0 and _may_stay(solved):
        site = plan.steps[0].site
        return Refused(to_site=site, reason=f"it moved a short while ago; looks again in {format_duration(cooling_s)}")
    return _move(solved, plan)


def _move(solved: Solved, plan: Plan) -> MoveTo:
    problem, costs = solved.problem, solved.costs
    staying, moving = costs.figures([Leg(_here(problem), None)]), costs.figures(solved.legs)
    cost = _moving_cost(solved, solved.legs[1].option)
    gain = staying.of(problem.goal) - moving.of(problem.goal) + cost
    return MoveTo(
        step=plan.steps[0],
        gain=gain,
        cost=cost,
        saving_g=staying.grams - moving.grams,
        reason=plan.reason,
        plan=plan,
    )


def _refused(solved: Solved, plan: Plan) -> Refused | None:
    """The best other site, were moving free; None where none is better."""
    problem, costs = solved.problem, solved.costs
    if not problem.can_move or len(plan.steps) > 1:
        return None
    staying = costs.figures([Leg(_here(problem), None)]).of(problem.goal)
    rest = {o: _rest(solved, o) for o in range(len(problem.options)) if _elsewhere(problem, problem.options[o])}
    best = min(rest, key=lambda o: rest[o], default=None)
    if best is None or rest[best] >= staying:
        return None
    gain, cost = staying - rest[best], _moving_cost(solved, best)
    site = problem.options[best].site
    if gain > cost + solved.penalty:
        why = f"{site} would gain {words.amount(problem, gain - cost)}, but might end after the due date"
        return Refused(to_site=site, reason=why, plan=plan)
    margin = f" and the margin is {words.amount(problem, solved.penalty)}" if solved.penalty > 0 else ""
    why = (
        f"{site} would take {words.amount(problem, gain)} less, but moving takes {words.amount(problem, cost)}{margin}"
    )
    return Refused(to_site=site, reason=why, plan=plan)


def _keep(current: Plan, solved: Solved, calm: Calm) -> Decision:
    """The old plan, because the forecast is too old for a new one; its moves are made where they are still safe."""
    problem, step = solved.problem, current.at(solved.problem.start)
    age = f"the forecast is {format_duration(calm.forecast_age_s)} old"
    places = {(option.site, option.cores): index for index, option in enumerate(problem.options)}
    target = _here(problem) if step is None else places.get((step.site, step.cores))
    if target == problem.current:
        return Stay(reason=f"{age}: keeps to the plan made before")
    here = problem.options[_here(problem)]
    work = np.array([min(1.0, problem.work_left + here.repeat_high_s / here.duration_mid_s)])
    if target is None or not problem.can_move or Bounds(problem).enter_until_s(target, work)[0] < 0:
        return Stay(reason=f"{age}; where the plan made before goes now is not safe: stays")
    moved = replace(solved, legs=(Leg(_here(problem), None, 0.0), Leg(target, 0.0)))
    return replace(_move(moved, plan_of(problem, moved)), reason=f"{age}: keeps to the plan made before")


def _late(problem: Problem, impossible: Impossible) -> Decision:
    """The due date cannot be promised any more: as quick as possible, wherever that is."""
    hurried = search(replace(problem, goal="time", due_at=None, min_gain=0.0))
    if isinstance(hurried, Impossible):
        return Stay(reason=f"the due date is at risk: {impossible.reason}")
    plan = plan_of(problem, hurried)
    if hurried.legs[0].leave_s != 0:
        reason = f"the due date is at risk: {impossible.reason}; no other site is quicker"
        return Stay(reason=reason, plan=replace(plan, reason=reason))
    return replace(_move(hurried, plan), reason=f"the due date is at risk; {plan.reason}")


def _without(problem: Problem, sites: Collection[str]) -> Problem:
    def kept(index: int, option: Option) -> Option:
        if option.site not in sites or index == problem.current:
            return option
        return replace(option, feasible=False, why_not="a move there failed a short while ago")

    return replace(problem, options=tuple(kept(i, option) for i, option in enumerate(problem.options)))


def _may_stay(solved: Solved) -> bool:
    return any(single.legs for single in solved.singles if single.option == solved.problem.current)


def _here(problem: Problem) -> int:
    return problem.current or 0


def _elsewhere(problem: Problem, option: Option) -> bool:
    return option.feasible and option.site != problem.options[_here(problem)].site


def _rest(solved: Solved, option: int) -> float:
    """What the rest takes on an option, were it there already."""
    now, work = np.zeros(1), np.array([solved.problem.work_left])
    return float(solved.costs.running(option, now, work)[0])


def _moving_cost(solved: Solved, option: int) -> float:
    """Start-up, transfer, repeated work and the delay's effect, in the goal's unit."""
    there = solved.costs.figures([Leg(_here(solved.problem), None, 0.0), Leg(option, 0.0)])
    return there.of(solved.problem.goal) - _rest(solved, option)
