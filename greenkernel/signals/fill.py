"""Recorded steps of one length, made gap-free: holes and what lies beyond the data are filled and marked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
US: Final = 1_000_000
_DAY_US: Final = 86_400 * US
_DAYS_BACK: Final = 7


@dataclass(frozen=True, slots=True)
class Piece:
    """A value over [start_us, end_us), in microseconds since 1970; ``estimated`` where it was filled in."""

    start_us: int
    end_us: int
    value: float
    estimated: bool
    beyond: bool
    """True after the last recorded value."""


class Filled:
    """Recorded values by start, each holding for one step at most.

    What is not recorded is the mean of the last seven recorded values at the same time of day; the last value is held
    where the record is shorter than a day.

    Args:
        values: Start in microseconds since 1970 -> value; at least one.
        step_us: Length of a step in microseconds.
    """

    def __init__(self, values: Mapping[int, float], step_us: int) -> None:
        self._starts = sorted(values)
        self._values = [values[start] for start in self._starts]
        self._step = step_us
        self.first_us = self._starts[0]
        self.end_us = self._starts[-1] + step_us

    def pieces(self, start_us: int, end_us: int) -> Iterator[Piece]:
        """Pieces without a gap that cover [start_us, end_us)."""
        at = start_us
        while at < end_us:
            piece = self._piece(at)
            yield piece
            at = piece.end_us

    def _piece(self, at: int) -> Piece:
        index = self._index(at)
        following = self._starts[index + 1] if index + 1 < len(self._starts) else None
        beyond = at >= self.end_us
        if index >= 0 and at < self._starts[index] + self._step:
            start = self._starts[index]
            end = start + self._step if following is None else min(start + self._step, following)
            return Piece(start, end, self._values[index], False, beyond)
        start = self.first_us + (at - self.first_us) // self._step * self._step
        end = start + self._step if following is None else min(start + self._step, following)
        if index >= 0:
            start = max(start, self._starts[index] + self._step)
        return Piece(start, end, self._estimate(start), True, beyond)

    def _index(self, at: int) -> int:
        return bisect_right(self._starts, at) - 1

    def _recorded(self, at: int) -> float | None:
        index = self._index(at)
        if index < 0 or at >= self._starts[index] + self._step:
            return None
        return self._values[index]

    def _estimate(self, at: int) -> float:
        held = self._values[max(0, self._index(at))]
        if self.end_us - self.first_us < _DAY_US:
            return held
        if at < self.first_us:
            nearest = at + -((at - self.first_us) // _DAY_US) * _DAY_US
            days = [nearest + day * _DAY_US for day in range(_DAYS_BACK)]
        else:
            back = max(1, (at - self.end_us) // _DAY_US + 1)
            days = [at - (back + day) * _DAY_US for day in range(_DAYS_BACK)]
        same = [value for day in days if (value := self._recorded(day)) is not None]
        return sum(same) / len(same) if same else held


def to_us(when: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (when - EPOCH) // timedelta(microseconds=1)


def from_us(when_us: int) -> datetime:
    """The aware time in UTC of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=when_us)
