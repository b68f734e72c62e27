"""A signal of the grid's time shown in real time, for simulations in which an hour passes in a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from greenkernel.clock import GridTime
from greenkernel.records import SignalPoint
from greenkernel.signals.base import Kind, Scope, Signal


class AcceleratedSignal:
    """Another signal, read at the grid's time of each real instant.

    Args:
        inner: The signal in the grid's time.
        grid: How real time maps to the grid's.
    """

    def __init__(self, inner: Signal, grid: GridTime) -> None:
        self._inner = inner
        self._grid = grid

    @property
    def zone(self) -> str:
        """The inner signal's zone."""
        return self._inner.zone

    @property
    def kind(self) -> Kind:
        """The inner signal's kind."""
        return self._inner.kind

    @property
    def scope(self) -> Scope:
        """The inner signal's scope."""
        return self._inner.scope

    @property
    def source(self) -> str:
        """The inner signal's source, and that its time is simulated."""
        if not self._grid.simulated:
            return self._inner.source
        return f"{self._inner.source}, read at simulated grid time ({self._grid.info.factor:g} x)"

    def points(self, start: datetime, end: datetime) -> Sequence[SignalPoint]:
        """The inner signal's points, with their times mapped to real ones."""
        real = self._grid.to_real
        return [
            replace(
                point,
                start=real(point.start),
                end=real(point.end),
                issued_at=None if point.issued_at is None else real(point.issued_at),
            )
            for point in self._inner.points(self._grid.to_grid(start), self._grid.to_grid(end))
        ]

    def age_s(self, now: datetime) -> float:
        """Age in real seconds."""
        return self._inner.age_s(self._grid.to_grid(now)) / self._grid.info.factor
