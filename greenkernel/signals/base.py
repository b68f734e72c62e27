"""What a signal is, and how its points become means over a time and slots for the planner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from greenkernel.errors import UserError
from greenkernel.records import SignalPoint

Kind = Literal["average", "marginal"]
Scope = Literal["lifecycle", "direct"]


class Signal(Protocol):
    """Carbon intensity of one zone, in g CO2e per kWh, past and future."""

    @property
    def zone(self) -> str:
        """The grid zone, as its source calls it."""
        ...

    @property
    def kind(self) -> Kind:
        """Average or marginal; never compared with one another."""
        ...

    @property
    def scope(self) -> Scope:
        """Life cycle or direct; never compared with one another."""
        ...

    @property
    def source(self) -> str:
        """Where the figures come from, for receipts."""
        ...

    def points(self, start: datetime, end: datetime) -> Sequence[SignalPoint]:
        """Points in order and without a gap that cover [start, end); the first may begin earlier, the last end later.

        What the source does not know is filled and marked ``estimated``.
        """
        ...

    def age_s(self, now: datetime) -> float:
        """Seconds since the newest figure that the source has; 0 where its figures reach ``now``."""
        ...


def comparable(signals: Iterable[Signal]) -> None:
    """Make sure that figures of these signals may be ranked against one another.

    Raises:
        UserError: They mix average with marginal, or life cycle with direct.
    """
    first: Signal | None = None
    for signal in signals:
        first = first or signal
        ours, theirs = (first.kind, first.scope), (signal.kind, signal.scope)
        if ours != theirs:
            raise UserError(
                f"{first.zone} is {' '.join(ours)}, {signal.zone} is {' '.join(theirs)}: "
                "such intensities cannot be ranked against one another",
                what_to_do="Give every site a signal of the same kind and scope",
            )


def mean_intensity(points: Sequence[SignalPoint], start: datetime, end: datetime) -> float:
    """Time-weighted mean over [start, end) in g/kWh, exact for points that hold over their whole time.

    Args:
        points: In order, without a gap, covering the time asked for.
        start: First instant.
        end: Not before ``start``; where equal, the intensity at that instant.

    Raises:
        ValueError: The points do not cover the time.
    """
    if end < start:
        raise ValueError(f"a time from {start} to {end} runs backwards")
    if end == start:
        return _covering(points, start).intensity_g_per_kwh
    weighted, covered = 0.0, timedelta(0)
    for point in points:
        overlap = min(point.end, end) - max(point.start, start)
        if overlap > timedelta(0):
            weighted += point.intensity_g_per_kwh * overlap.total_seconds()
            covered += overlap
    if covered != end - start:
        raise ValueError(f"points cover {covered} of {end - start} from {start}")
    return weighted / covered.total_seconds()


def sample(points: Sequence[SignalPoint], start: datetime, slot_s: float, slots: int) -> NDArray[np.float64]:
    """Means of equal slots, for the planner.

    Args:
        points: In order, without a gap, covering ``slots`` slots from ``start``.
        start: Start of the first slot.
        slot_s: Length of a slot in seconds, above 0.
        slots: Number of slots.

    Returns:
        g/kWh, shape (slots,).

    Raises:
        ValueError: The points do not cover the slots.
    """
    end = start + timedelta(seconds=slot_s * slots)
    slack = timedelta(microseconds=slots)  # ends of points are rounded to microseconds
    if not points or points[0].start > start or points[-1].end < end - slack:
        raise ValueError(f"points do not cover {slots} slots of {slot_s} s from {start}")
    edges_s = np.array([(p.start - start).total_seconds() for p in points] + [(points[-1].end - start).total_seconds()])
    values = np.array([p.intensity_g_per_kwh for p in points])
    integral = np.concatenate(([0.0], np.cumsum(values * np.diff(edges_s))))
    wanted_s = np.minimum(np.arange(slots + 1) * slot_s, edges_s[-1])
    totals = np.diff(np.interp(wanted_s, edges_s, integral))
    return np.asarray(totals / np.diff(wanted_s))


def _covering(points: Sequence[SignalPoint], when: datetime) -> SignalPoint:
    for point in points:
        if point.start <= when < point.end:
            return point
    raise ValueError(f"no point covers {when}")
