"""Peak memory of the whole cell from the peaks of its slices: a straight line, and room for what it cannot know.

On eleven workloads the line was 5 % off in the mean and 28 % too low at worst; too little kills the run, too much only
makes it harder to place, so the upper end is generous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from greenkernel.records import Interval

_GATE = 0.99
_ROOM_IF_STRAIGHT = 1.25
_ROOM_ELSE = 1.6
_EXTRA_BYTES = 64 << 20
_LEVEL = 0.98
_NOTHING_KNOWN = (128 << 20, 512 << 20, 1 << 30)
_TIMES_DATA = (1, 3, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """``bytes(x) = base + slope * x`` through peaks of memory, and how straight they lie (``r2``, None below three)."""

    base: float
    slope: float
    r2: float | None

    def bytes(self, x: float) -> float:
        """Peak bytes at ``x``, the part of the whole cell's work."""
        return self.base + self.slope * x

    @property
    def passed(self) -> bool:
        """True where three sizes or more lie on the line well enough to trust it."""
        return self.r2 is not None and self.r2 > _GATE


def fit_line(points: Sequence[tuple[float, float]]) -> Line:
    """Non-negative least squares of peak bytes on 1 and x; of points with one x the highest counts.

    Args:
        points: At least one pair of x (the part of the whole in (0, 1]) and bytes.
    """
    highest: dict[float, float] = {}
    for x, peak in points:
        highest[x] = max(peak, highest.get(x, 0.0))
    xs, peaks = np.array(list(highest)), np.array(list(highest.values()))
    if len(xs) == 1:
        return Line(base=float(peaks[0]), slope=0.0, r2=None)
    scale = float(peaks.max()) or 1.0
    solution, residual = nnls(np.column_stack([np.ones_like(xs), xs]), peaks / scale)
    base, slope = (float(part) * scale for part in solution)
    spread = float(((peaks - peaks.mean()) ** 2).sum()) / scale**2
    r2 = None if len(xs) < 3 else (1.0 if spread == 0 else 1 - float(residual) ** 2 / spread)
    return Line(base=base, slope=slope, r2=r2)


def memory(points: Sequence[tuple[float, float]], capture_bytes: int, *, seen_bytes: float = 0.0) -> Interval:
    """Peak bytes of the whole cell; ``high`` is the limit to give it.

    Args:
        points: Pairs of x and peak bytes of slices, children included; empty: nothing is known.
        capture_bytes: What travels; it is held once more while it is read in.
        seen_bytes: The highest peak of slices that do not belong on the line.
    """
    if not points:
        ends = [float(b + t * capture_bytes) for b, t in zip(_NOTHING_KNOWN, _TIMES_DATA, strict=True)]
        return Interval(low=ends[0], mid=ends[1], high=ends[2], source="default: no profile")
    line = fit_line(points)
    seen = max(seen_bytes, *(peak for _, peak in points))
    mid = max(line.bytes(1.0), seen)
    room = _ROOM_IF_STRAIGHT if line.passed else _ROOM_ELSE
    why = f"R² {line.r2:.3f}" if line.r2 is not None else "straightness not known from two sizes"
    return Interval(
        low=min(seen, mid),
        mid=mid,
        high=mid * room + capture_bytes + _EXTRA_BYTES,
        level=_LEVEL,
        source=f"line through the peaks of {len(points)} slices ({why}), limit x{room}",
    )
