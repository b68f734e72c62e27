"""The backward pass: cost to the end from every slot, option and amount of work left, with moves at slot boundaries.

Each option has its own levels of work, one slot of its own work apart or a whole part of that. Staying then goes from
level to level without rounding, and the cost of a stay to the end is linear between levels; only the places of later
moves are interpolated, and small problems get finer levels for them.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenkernel.plan.constraints import Bounds, entry_slots
from greenkernel.plan.costs import Costs
from greenkernel.plan.problem import Bools, Floats, Problem, slot_starts

Indices = NDArray[np.int64]
_ROUNDING_S: Final = 1e-9
_FINEST: Final = 16
# Gathered values that take about 40 ms on a laptop.
_GATHERED: Final = 6_500_000


class Table:
    """Costs to the end under moves that cost ``move_penalty`` more than they really do.

    ``stay[t, o, i]``: of staying on option ``o`` for slot ``t`` with ``i`` levels of its work left, and going on best;
    ``better[t, o, i]``: leaving at once is cheaper or needed.

    Args:
        problem: The question; every option may be entered where ``feasible``.
        costs: Its terms.
        bounds: What is safe.
        move_penalty: Decision cost of each move, in the goal's unit.
    """

    def __init__(self, problem: Problem, costs: Costs, bounds: Bounds, move_penalty: float) -> None:
        self.problem, self.costs, self.bounds = problem, costs, bounds
        self.step = problem.slot_s / costs.duration_s
        self.entry = entry_slots(problem).astype(np.int64)
        self.offset = costs.startup_s / problem.slot_s - (self.entry - 1)
        self.repeat = np.array([o.repeat_mid_s for o in problem.options]) / costs.duration_s
        self.parts = self._finest()
        self.arrive = costs.arrive + move_penalty + costs.tie_per_move
        self._site = np.unique([o.site for o in problem.options], return_inverse=True)[1]
        self._saved = np.where(self._site[:, None] == self._site[None, :], costs.arrive[None, :], 0.0)
        self._closed = np.array([math.inf if not o.feasible else 0.0 for o in problem.options])
        self._fill()

    def stay_value(self, slot: int, option: int, work: float) -> float:
        """Cost to the end of staying for this slot, for any amount of work."""
        level = work / self.step[option] * self.parts
        below = int(level)
        low, high = self.stay[slot, option, below : below + 2]
        return float(low + (level - below) * (high - low))

    def leaves(self, slot: int, option: int, work: float) -> bool:
        """True where leaving may be cheaper than staying at one of the neighbouring levels."""
        below = int(work / self.step[option] * self.parts)
        return bool(self.better[slot, option, below : below + 2].any())

    def enter_values(self, slots: Indices, work: float) -> Floats:
        """Cost to the end of entering each option at these slots, arrival not counted; shape (len(slots), options)."""
        level = (work / self.step + self.offset) * self.parts
        below = level.astype(np.int64)
        at = slots[:, None] + self.entry - 1
        every = np.arange(len(self.step))
        low, high = self.stay[at, every, below], self.stay[at, every, below + 1]
        return np.asarray(low + (level - below) * (high - low) + self._begin[slots] + self._closed)

    def move_values(self, slot: int, option: int, work: float) -> Floats:
        """Cost to the end of moving from an option to each other one now; infinite for the option itself."""
        found = self.enter_values(np.array([slot]), work)[0] + self.arrive - self._saved[option]
        found[option] = math.inf
        return np.asarray(found)

    def after_move(self, option: int, work: float) -> float:
        """Work left after leaving an option: what no record holds is done again."""
        return min(1.0, work + float(self.repeat[option]))

    def _fill(self) -> None:
        slots, options, parts = self.problem.slots, len(self.problem.options), self.parts
        levels = (math.ceil(self._top() / float(self.step.min())) + 2) * parts + 1
        share = np.arange(levels) / parts
        rate = self.costs.rate * self.problem.slot_s
        later = int(self.entry.max())
        self.stay = np.empty((slots + later, options, levels))
        self.stay[slots:] = rate[-1][:, None] * share
        self.better = np.zeros((slots, options, levels), dtype=bool)
        self._begin = self._beginnings(rate)
        moves = _Moves(self, levels)
        value = self.stay[slots].copy()
        flat = value.reshape(-1)
        for slot in range(slots - 1, -1, -1):
            now = self.stay[slot]
            now[:, :parts] = rate[slot][:, None] * share[:parts]
            np.add(value[:, :-parts], rate[slot][:, None], out=now[:, parts:])
            value[...] = now
            best, leave = moves.best(slot, flat[moves.columns])
            flat[moves.columns] = best
            self.better[slot].reshape(-1)[moves.columns] = leave

    def _top(self) -> float:
        """Most work that any state may have left."""
        problem = self.problem
        return 1.0 if self.repeat.any() else min(1.0, problem.work_left + float(self.step.max()))

    def _finest(self) -> int:
        """Levels per slot of work that the size of the problem allows."""
        slots_of_work = float(np.ceil(self._top() / self.step).sum())
        gathered = self.problem.slots * len(self.step) * slots_of_work
        return int(min(_FINEST, max(1, _GATHERED // gathered)))

    def _beginnings(self, slot_rate: Floats) -> Floats:
        """Start-up, less the part of its last slot that the level counts as work; shape (slots, options)."""
        slots = np.arange(self.problem.slots)
        start_s = slot_starts(self.problem, self.problem.slots)
        found = np.empty_like(slot_rate)
        for option in range(len(self.step)):
            last = np.minimum(slots + self.entry[option] - 1, self.problem.slots - 1)
            found[:, option] = self.costs.starting(option, start_s) - self.offset[option] * slot_rate[last, option]
        return found


class _Moves:
    """The moves from every level of every option, as one gather per slot: rows are targets, columns are levels left."""

    def __init__(self, table: Table, levels: int) -> None:
        problem, step, parts = table.problem, table.step, table.parts
        self._table, self._slot_s = table, problem.slot_s
        self._stride = len(step) * levels
        reach = 1.0 if table.repeat.any() else problem.work_left
        source, level = np.divmod(np.arange(self._stride), levels)
        used = (level > 0) & ((level - 1) * step[source] < reach * parts)
        self.columns = np.flatnonzero(used)
        source, work = source[used], level[used] * step[source[used]] / parts
        new = np.minimum(1.0, work + table.repeat[source])
        target = (new[None, :] / step[:, None] + table.offset[:, None]) * parts
        below = np.minimum(target.astype(np.int64), levels - 2)
        rows = np.arange(len(step))[:, None]
        self._low = (table.entry[:, None] - 1) * self._stride + rows * levels + below
        self._high = self._low + 1
        self._share = target - below
        self._extra = (table.arrive + table._closed)[:, None] - table._saved[source].T
        self._extra[rows == source[None, :]] = math.inf
        self._room = np.empty((2, *target.shape))
        self._limit(source, work, new)

    def _limit(self, source: Indices, work: Floats, new: Floats) -> None:
        """Until when staying and each move are safe."""
        bounds = self._table.bounds
        options = range(len(self._table.step))
        self._keep_until_s = np.empty(work.shape)
        for option in options:
            mine = source == option
            self._keep_until_s[mine] = bounds.keep_until_s(option, work[mine])
        self._enter_until_s = np.array([bounds.enter_until_s(option, new) for option in options])
        self._first_s = float(min(self._keep_until_s.min(), self._enter_until_s.min()))

    def best(self, slot: int, stay: Floats) -> tuple[Floats, Bools]:
        """Cheapest safe cost of each column, and whether it is by leaving."""
        values, high = self._room
        flat = self._table.stay.reshape(-1)[slot * self._stride :]
        flat.take(self._low, out=values, mode="clip")
        flat.take(self._high, out=high, mode="clip")
        high -= values
        high *= self._share
        values += high
        values += self._table._begin[slot][:, None]
        values += self._extra
        if slot * self._slot_s > self._first_s + _ROUNDING_S:
            return self._best_safe(slot * self._slot_s, stay, values)
        moved = values.min(axis=0)
        return np.minimum(stay, moved), moved < stay

    def _best_safe(self, now_s: float, stay: Floats, values: Floats) -> tuple[Floats, Bools]:
        """The same among safe actions. Where none is, no path may come; its value only serves to interpolate."""
        values[self._enter_until_s < now_s - _ROUNDING_S] = math.inf
        moved = values.min(axis=0)
        kept = np.where(self._keep_until_s < now_s - _ROUNDING_S, math.inf, stay)
        best = np.minimum(kept, moved)
        return np.where(np.isinf(best), stay, best), moved < kept
