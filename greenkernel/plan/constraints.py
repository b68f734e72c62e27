"""What a plan may do: until when an option may be started, kept or left."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from greenkernel.plan.problem import Floats, Problem

_ROUNDING: Final = 1e-9


class Bounds:
    """Until when, in seconds from the problem's start, an action still leaves some option that is surely in time.

    An action is safe at a slot's start if, at the upper bound of start-up and pace, either the option itself ends by
    the due date, or at the next decision another option can be entered that does; after an entry the next decision is
    made once the start-up is surely over. So whoever plans again at every slot is in time, whatever the pace.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        options = problem.options
        self._slot_s = problem.slot_s
        self.due_s = problem.due_s
        self.duration_s = np.array([o.duration_high_s for o in options])
        self.startup_s = np.array([o.startup_high_s for o in options])
        self._step_s = (np.floor(self.startup_s / problem.slot_s + _ROUNDING) + 1) * problem.slot_s
        self._repeat = np.array([o.repeat_high_s / o.duration_mid_s for o in options])
        self._enterable = [i for i, o in enumerate(options) if o.feasible]

    def need_s(self, work: Floats) -> Floats:
        """Seconds that the quickest option surely needs, start-up included, for ``work`` of any shape."""
        quickest = np.full(work.shape, math.inf)
        for i in self._enterable:
            np.minimum(quickest, self.startup_s[i] + work * self.duration_s[i], out=quickest)
        return quickest

    def keep_until_s(self, option: int, work: Floats) -> Floats:
        """Last moment to stay on an option for one more slot with ``work`` left."""
        stay_s = work * self.duration_s[option]
        if self._problem.can_move:
            later = np.maximum(0.0, work - self._slot_s / self.duration_s[option]) + self._repeat[option]
            stay_s = np.minimum(stay_s, self._slot_s + self.need_s(np.minimum(1.0, later)))
        return np.asarray(self.due_s - stay_s)

    def enter_until_s(self, option: int, work: Floats) -> Floats:
        """Last moment to begin the start-up of an option with ``work`` left."""
        enter_s = self.startup_s[option] + work * self.duration_s[option]
        if self._problem.can_move:
            step_s = self._step_s[option]
            done = max(0.0, step_s - self.startup_s[option]) / self.duration_s[option]
            later = np.maximum(0.0, work - done) + self._repeat[option]
            enter_s = np.minimum(enter_s, step_s + self.need_s(np.minimum(1.0, later)))
        return np.asarray(self.due_s - enter_s)


def entry_slots(problem: Problem) -> Floats:
    """Slots from entering an option to the first decision there: the start-up's full slots and one more."""
    return np.array([math.floor(o.startup_mid_s / problem.slot_s + _ROUNDING) + 1.0 for o in problem.options])
