"""What the planner is asked: options on a grid of equal slots, the work left, the goal and the due date."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenkernel.records import Goal

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SLOTS_MAX: Final = 672
WORK_SLOTS_MAX: Final = 96
_SLOT_LENGTHS_S: Final = (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Option:
    """One site with one number of cores.

    ``duration_*`` is the whole cell, from 0 to 1, without the start-up; ``low`` and ``high`` are its bounds. Powers and
    ``startup_wh`` are before PUE. ``intensity`` is g CO2e/kWh per slot, shape (slots,). ``arrive_g`` are the grams of
    bringing the payload here. ``repeat_*`` are the seconds of work here that a move away does again, because no record
    holds them: on average and at most. ``feasible`` False keeps the option out of plans; ``why_not`` is the reason.
    """

    site: str
    cores: int
    duration_low_s: float
    duration_mid_s: float
    duration_high_s: float
    power_low_w: float
    power_w: float
    power_high_w: float
    intensity: Floats
    startup_mid_s: float = 0.0
    startup_high_s: float = 0.0
    startup_wh: float = 0.0
    pue: float = 1.0
    price_per_kwh: float = 0.0
    price_per_hour: float = 0.0
    embodied_g_per_h: float = 0.0
    arrive_g: float = 0.0
    repeat_mid_s: float = 0.0
    repeat_high_s: float = 0.0
    feasible: bool = True
    why_not: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.duration_low_s <= self.duration_mid_s <= self.duration_high_s:
            raise ValueError(f"{self.label}: durations need 0 < low <= mid <= high")
        if not 0 <= self.power_low_w <= self.power_w <= self.power_high_w:
            raise ValueError(f"{self.label}: powers need 0 <= low <= mid <= high")
        if not 0 <= self.startup_mid_s <= self.startup_high_s:
            raise ValueError(f"{self.label}: start-up needs 0 <= mid <= high")
        if not 0 <= self.repeat_mid_s <= self.repeat_high_s:
            raise ValueError(f"{self.label}: repeated work needs 0 <= mid <= high")

    @property
    def label(self) -> str:
        """Site and cores in words."""
        return f"{self.site} ({self.cores} core{'s' if self.cores != 1 else ''})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """One planning question. Slots begin at ``start``, which is now; intensities are held flat beyond the last slot.

    ``work_left`` is in (0, 1]. ``current`` is the option that it runs on, None before the start. A move must gain more
    than ``min_gain`` (goal's unit) and ``min_gain_ratio`` times the cost of not moving. ``can_wait`` allows a later
    start; without a due date it must then end within the slots, so keep their end fixed when planning again. Reasons
    tell times in ``zone``; None is the machine's.
    """

    start: datetime
    slot_s: float
    slots: int
    options: tuple[Option, ...]
    work_left: float = 1.0
    current: int | None = None
    due_at: datetime | None = None
    goal: Goal = "co2"
    min_gain: float = 0.0
    min_gain_ratio: float = 0.0
    can_wait: bool = False
    can_move: bool = True
    currency: str = "EUR"
    zone: tzinfo | None = None

    def __post_init__(self) -> None:
        if not 0 < self.work_left <= 1:
            raise ValueError(f"work left must be in (0, 1], got {self.work_left}")
        if self.slots < 1 or self.slot_s <= 0:
            raise ValueError("a plan needs at least one slot of more than no length")
        for option in self.options:
            if option.intensity.shape != (self.slots,):
                raise ValueError(f"{option.label}: {option.intensity.shape} intensities for {self.slots} slots")

    @property
    def due_s(self) -> float:
        """Seconds from the start to the due date; infinite without one."""
        return math.inf if self.due_at is None else (self.due_at - self.start).total_seconds()

    def when(self, after_s: float) -> datetime:
        """The time so many seconds after the start."""
        return self.start + timedelta(seconds=after_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Impossible:
    """No plan keeps the due date at the upper bound: why, what would help, the earliest end that can be promised."""

    reason: str
    what_would_help: tuple[str, ...]
    best_finish_at: datetime | None = None


def choose_grid(durations_s: Sequence[float], horizon_s: float) -> tuple[float, int]:
    """A slot length and a number of slots for options of these durations.

    Args:
        durations_s: Best estimates of the work left on each option, start-up included.
        horizon_s: Time to look ahead, such as until the due date.

    Returns:
        ``slot_s`` and ``slots``: as fine as `SLOTS_MAX` slots and `WORK_SLOTS_MAX` slots of work allow.
    """
    longest_s = max(durations_s)
    horizon_s = max(horizon_s, longest_s)
    finest_s = max(horizon_s / SLOTS_MAX, longest_s / WORK_SLOTS_MAX)
    fitting = [length for length in _SLOT_LENGTHS_S if length >= finest_s]
    slot_s = float(fitting[0]) if fitting else finest_s
    return slot_s, max(1, math.ceil(round(horizon_s / slot_s, 9)))


def slot_starts(problem: Problem, slots: int) -> Floats:
    """Seconds from the problem's start to the start of each of the first slots."""
    return np.arange(slots, dtype=np.float64) * problem.slot_s
