"""Time that is passed in: the real clock, one set by hand, and the grid's, which a simulation may speed up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from greenkernel.records import ClockInfo


class Clock(Protocol):
    """Anything that knows the time and can wait."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Wait for ``duration_s`` seconds of this clock."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return datetime.now(UTC)

    def sleep(self, duration_s: float) -> None:
        """Wait for ``duration_s`` real seconds."""
        time.sleep(duration_s)


class ManualClock:
    """A clock that moves only when told; ``sleep`` moves it. For simulations and tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """The time it was last set to."""
        return self._now

    def sleep(self, duration_s: float) -> None:
        """Move on by ``duration_s`` seconds at once."""
        self.advance(duration_s)

    def advance(self, duration_s: float) -> None:
        """Move on by ``duration_s`` seconds, which may be negative: clocks do jump."""
        self._now += timedelta(seconds=duration_s)


@dataclass(frozen=True, slots=True)
class GridTime:
    """Maps real instants to the grid's: ``factor`` grid seconds pass in one real second."""

    info: ClockInfo

    def to_grid(self, real: datetime) -> datetime:
        """The grid's time at a real instant."""
        return self.info.grid_start + (real - self.info.real_start) * self.info.factor

    def to_real(self, grid: datetime) -> datetime:
        """The real instant at which the grid's clock shows ``grid``."""
        return self.info.real_start + (grid - self.info.grid_start) / self.info.factor

    @property
    def simulated(self) -> bool:
        """True where the grid's time is not the real one."""
        return self.info.factor != 1 or self.info.real_start != self.info.grid_start


def wait_until(clock: Clock, done: Callable[[], bool], *, timeout_s: float, every_s: float = 0.05) -> bool:
    """Ask ``done`` every ``every_s`` seconds until it is true or ``timeout_s`` has passed; returns its last answer."""
    deadline = clock.now() + timedelta(seconds=timeout_s)
    while not done():
        if clock.now() >= deadline:
            return False
        clock.sleep(every_s)
    return True
