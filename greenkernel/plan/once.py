"""The best plan that goes to one option once and stays there: exact over all slots, without a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from greenkernel.plan.constraints import Bounds
from greenkernel.plan.costs import Costs, Leg
from greenkernel.plan.problem import Bools, Floats, Problem, slot_starts

_ROUNDING_S: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Once:
    """The best single stay on an option; ``legs`` empty where its own upper bound ends after the due date."""

    option: int
    legs: tuple[Leg, ...]
    late_s: float
    """Seconds by which the upper bound misses the due date when begun at once; negative where it keeps it."""


def once(problem: Problem, costs: Costs, bounds: Bounds, option: int) -> Once:
    """The cheapest safe moment to begin on an option, or to stay where the run is on it already."""
    here = problem.current
    if here == option:
        late_s = problem.work_left * float(bounds.duration_s[option]) - bounds.due_s
        return Once(option, (Leg(option, None),) if late_s <= _ROUNDING_S else (), late_s)
    start_s = _moments(problem)
    work = _work_at(problem, costs, start_s)
    ends_s = start_s + bounds.startup_s[option] + work * bounds.duration_s[option]
    late_s = float(ends_s[0]) - bounds.due_s
    safe = (ends_s <= _deadline(problem, bounds) + _ROUNDING_S) | ((start_s == 0) & (late_s <= _ROUNDING_S))
    safe &= _reached(problem, costs, bounds, start_s) & problem.options[option].feasible
    safe &= here is None or problem.can_move
    if not safe.any():
        return Once(option, (), late_s)
    cost = costs.starting(option, start_s) + costs.running(option, start_s + costs.startup_s[option], work)
    cost += _before(problem, costs, start_s)
    best_s = float(start_s[np.where(safe, cost, math.inf).argmin()])
    legs = (Leg(option, best_s),) if here is None else (Leg(here, None, best_s), Leg(option, best_s))
    return Once(option, legs, late_s)


def _moments(problem: Problem) -> Floats:
    """When it may begin there: before the start now or, if it may wait, at any slot; afterwards while it runs."""
    if problem.current is None:
        return slot_starts(problem, problem.slots if problem.can_wait else 1)
    left_s = problem.work_left * problem.options[problem.current].duration_mid_s
    return slot_starts(problem, min(problem.slots, max(1, math.ceil(left_s / problem.slot_s - _ROUNDING_S))))


def _deadline(problem: Problem, bounds: Bounds) -> float:
    """When waiting must have ended in a finished run: the due date, without one the last slot's end."""
    if problem.current is None and problem.due_at is None:
        return problem.slots * problem.slot_s
    return bounds.due_s


def _work_at(problem: Problem, costs: Costs, start_s: Floats) -> Floats:
    """Work to be done there if it begins at these times."""
    here = problem.current
    if here is None:
        return np.full(start_s.shape, problem.work_left)
    left = problem.work_left - start_s / costs.duration_s[here]
    return np.asarray(np.minimum(1.0, left + problem.options[here].repeat_mid_s / costs.duration_s[here]))


def _reached(problem: Problem, costs: Costs, bounds: Bounds, start_s: Floats) -> Bools:
    """Where staying on the present option until then is safe at every slot."""
    if problem.current is None:
        return np.ones(start_s.shape, dtype=bool)
    left = problem.work_left - start_s / costs.duration_s[problem.current]
    kept = start_s <= bounds.keep_until_s(problem.current, left) + _ROUNDING_S
    return np.concatenate(([True], np.logical_and.accumulate(kept)[:-1]))


def _before(problem: Problem, costs: Costs, start_s: Floats) -> Floats:
    """Cost until then: waiting, or running where it is."""
    if problem.current is None:
        return np.asarray(start_s * costs.wait_per_s)
    done = start_s / costs.duration_s[problem.current]
    return costs.running(problem.current, np.zeros(start_s.shape), done)
