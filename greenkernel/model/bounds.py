"""How far an estimate may be off: default factors until runs have finished, then what those runs have shown.

Each end of an interval holds with its level by itself. Below 19 finished runs no bound of 95 % exists that holds for
every distribution; until then the factors are stated defaults and the source says "provisional".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from greenkernel.records import Interval

LEVEL = 0.95
NEAR = 8.0
"""Most times the largest slice's rows that still count as near."""

_FACTOR_NEAR = 1.5
_FACTOR_FAR = 1.9
_TIMES_ELSEWHERE = 1.6
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a bound depends on.

    Attributes:
        extrapolation: Work of the whole cell over that of the largest slice, >= 1.
        same_machine: The site is the machine on which the slices ran.
        unsure: What speaks against the estimate.
        scores: log(true / predicted) of finished runs like this one, oldest first.
    """

    extrapolation: float
    same_machine: bool
    unsure: tuple[str, ...] = ()
    scores: Sequence[float] = ()


def bounded(mid: float, given: Circumstances, *, what: str = "") -> Interval:
    """An interval around an estimate > 0.

    Args:
        mid: The best estimate.
        given: What the bound depends on.
        what: How the estimate was made, for the source.
    """
    runs = len(given.scores)
    needed = math.ceil(LEVEL / (1 - LEVEL) - 1e-9)
    if runs >= needed:
        below, above = _calibrated(given.scores)
        why = f"calibrated on {runs} finished runs"
    else:
        below = above = default_factor(given)
        doubts = f"; unsure: {', '.join(given.unsure)}" if given.unsure else ""
        why = f"provisional: {runs} finished runs, default factor x{above:.2g}{doubts}"
    source = f"{what}; {why}" if what else why
    return Interval(low=mid / below, mid=mid, high=mid * above, level=LEVEL, source=source)


def default_factor(given: Circumstances) -> float:
    """The stated factor between an estimate and its bounds."""
    near = given.extrapolation <= NEAR and not given.unsure
    return (_FACTOR_NEAR if near else _FACTOR_FAR) * (1.0 if given.same_machine else _TIMES_ELSEWHERE)


def unknown_time() -> Interval:
    """Seconds of a cell of which nothing is known."""
    return Interval(low=1.0, mid=600.0, high=_DAY_S, level=LEVEL, source="default: no profile")


def chance_at_most(total: Interval, limit: float) -> float:
    """Probability that a quantity stays at or below ``limit``: log-normal with its own spread on each side of mid."""
    if total.mid <= 0 or total.high <= total.low:
        return 1.0 if limit >= total.mid else 0.0
    if limit <= 0:
        return 0.0
    end = total.high if limit >= total.mid else max(total.low, 1e-12)
    spread = abs(math.log(end / total.mid))
    if spread == 0:
        return 1.0 if limit >= total.mid else 0.0
    deviations = math.log(limit / total.mid) / spread * NormalDist().inv_cdf(min(total.level, 0.999))
    return NormalDist().cdf(deviations)


def _calibrated(scores: Sequence[float]) -> tuple[float, float]:
    """Factors below and above from the order statistics that hold for a further run with the level."""
    ordered = sorted(scores)
    rank = min(math.ceil((len(ordered) + 1) * LEVEL - 1e-9), len(ordered))
    upper, lower = ordered[rank - 1], ordered[len(ordered) - rank]
    return math.exp(max(-lower, 0.0)), math.exp(max(upper, 0.0))
