"""CPU seconds by rows and by a knob, wall seconds by cores: laws of a fixed shape through few slices.

What was compared on eleven workloads: 1, n and n log n with non-negative coefficients and relative errors was best;
free exponents and n squared fail from slices of an eighth or less. Cores follow Amdahl's law, whose serial share falls
as the constant part (starting workers) is left behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

UNSURE_RATIO = 1.4
"""Estimates that differ by more than this factor make a prediction unsure."""

_WAITING_BELOW = 0.3
# Of fewer rows the logarithm changes too fast, and what does not depend on rows covers up the rest.
_FEW_ROWS = 200
_MOST_CORES_FACTOR = 2
_LEAST_S = 1e-4
# Standard errors of log(CPU seconds) of the two kinds of estimate: median errors of 13 % and 9 % on the workloads.
_ROWS_ERROR = 0.25
_KNOB_ERROR = 0.13


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """``seconds(x) = constant + linear * x + loglinear * x * log(x)``, coefficients >= 0: never falls for x >= 1."""

    constant: float
    linear: float
    loglinear: float = 0.0

    def seconds(self, x: float) -> float:
        """CPU seconds at ``x`` rows (or units of a knob), x >= 1."""
        x = max(x, 1.0)
        return self.constant + self.linear * x + self.loglinear * x * math.log(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """CPU seconds of the whole cell and what makes them doubtful.

    Attributes:
        cpu_s: Best estimate.
        constant_s: The part of it that does not grow with the rows.
        unsure: Why the interval must be wider; empty where nothing speaks against the estimate.
    """

    cpu_s: float
    constant_s: float = 0.0
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How wall seconds of the whole cell follow from cores: ``serial_s + parallel_s / cores``.

    Attributes:
        serial_s: Wall seconds that no core takes away.
        parallel_s: CPU seconds that cores share.
        cores_most: Cores beyond this one are not promised to help.
        waits: The cell waits more than it computes.
        unsure: Why the interval must be wider.
    """

    serial_s: float
    parallel_s: float
    cores_most: int
    waits: bool = False
    unsure: tuple[str, ...] = ()

    def wall_s(self, cores: int) -> float:
        """Wall seconds on ``cores`` cores of the profiled machine; never rises with the cores."""
        return self.serial_s + self.parallel_s / max(1, min(cores, self.cores_most))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured slice as the laws see it. ``x`` counts rows (or parts of all rows), ``knob`` the knob's value."""

    x: float
    cores: int
    cpu_s: float
    wall_s: float
    serial_share: float | None = None
    idle_share: float | None = None

    @property
    def waits(self) -> bool:
        """True where it computed little of its time; being pushed aside by other work does not count as waiting."""
        if self.idle_share is not None:
            return self.idle_share > 1 - _WAITING_BELOW
        return self.cpu_s < _WAITING_BELOW * self.wall_s


def fit_law(points: Sequence[tuple[float, float]], *, with_log: bool = True) -> Law:
    """Relative-weighted non-negative least squares of seconds on 1, x and x log x.

    Two sizes cannot tell x from x log x: then it is the mean of the law with the one and the law with the other.

    Args:
        points: At least one pair of x (>= 1) and seconds (> 0).
        with_log: False leaves x log x out: counts of trees or epochs cost the same each.
    """
    sizes = len({x for x, _ in points})
    if not with_log:
        return _fitted(points, (sizes > 1, True, False))
    if sizes > 2:
        return _fitted(points, (True, True, True))
    laws = _fitted(points, (sizes > 1, True, False)), _fitted(points, (sizes > 1, False, True))
    constant, linear, loglinear = (
        float(np.mean([getattr(law, part) for law in laws])) for part in ("constant", "linear", "loglinear")
    )
    return Law(constant=constant, linear=linear, loglinear=loglinear)


def _fitted(points: Sequence[tuple[float, float]], terms: tuple[bool, bool, bool]) -> Law:
    """The law with those of its three terms that are wanted."""
    x: NDArray[np.float64] = np.array([max(point[0], 1.0) for point in points])
    seconds = np.array([max(point[1], _LEAST_S) for point in points])
    columns = np.column_stack([np.ones_like(x), x, x * np.log(x)]) * np.array(terms)
    scale = np.maximum(columns.max(axis=0), _LEAST_S)
    solution, _ = nnls(columns / scale / seconds[:, None], np.ones_like(seconds))
    constant, linear, loglinear = (float(part) for part in solution / scale)
    return Law(constant=constant, linear=linear, loglinear=loglinear)


def by_rows(points: Sequence[tuple[float, float]], rows: float) -> Estimate:
    """CPU seconds at ``rows`` from slices (rows, CPU seconds).

    The estimate is unsure where it is far from the largest slice times the ratio of rows, where cost grows faster than
    rows at the end of the slices, where there is one size only, and where the largest has few rows.
    """
    law = fit_law(points)
    cpu_s = law.seconds(rows)
    sizes = sorted({x for x, _ in points})
    means = [float(np.mean([s for x, s in points if x == size])) for size in sizes]
    in_proportion_s = means[-1] * rows / sizes[-1]
    unsure = []
    if len(sizes) == 1 and rows > sizes[0]:
        unsure.append("slices of one size only")
    if sizes[-1] < min(rows, _FEW_ROWS):
        unsure.append(f"the largest slice has {sizes[-1]:.0f} rows only")
    if rows > sizes[-1] and not cpu_s / UNSURE_RATIO <= in_proportion_s <= cpu_s * UNSURE_RATIO:
        unsure.append(f"the law of rows says {cpu_s:.3g} CPU s, the largest slice in proportion {in_proportion_s:.3g}")
    slopes = [math.log(t2 / t1) / math.log(n2 / n1) for (n1, t1), (n2, t2) in pairwise(zip(sizes, means, strict=True))]
    if slopes and slopes[-1] > 1.3:
        unsure.append(f"cost grows faster than rows (exponent {slopes[-1]:.1f})")
    return Estimate(cpu_s=cpu_s, constant_s=min(law.constant, cpu_s), unsure=tuple(unsure))


def by_knob(points: Sequence[tuple[float, float]], full: float) -> Estimate:
    """CPU seconds at the knob's full value from slices at full rows (value, CPU seconds)."""
    law = fit_law(points, with_log=False)
    one_value = len({x for x, _ in points}) == 1 and full > points[0][0]
    return Estimate(
        cpu_s=law.seconds(full),
        constant_s=law.constant,
        unsure=("one value of the knob only",) if one_value else (),
    )


def combined(rows: Estimate | None, knob: Estimate | None) -> Estimate:
    """Two independent estimates by inverse variance in log space; disagreement makes unsure.

    Raises:
        ValueError: There is none.
    """
    if rows is None or knob is None:
        found = rows or knob
        if found is None:
            raise ValueError("an estimate needs slices of rows or of a knob")
        return found
    weights = (_ROWS_ERROR**-2, _KNOB_ERROR**-2)
    logs = (math.log(max(rows.cpu_s, _LEAST_S)), math.log(max(knob.cpu_s, _LEAST_S)))
    mid = math.exp(float(np.average(logs, weights=weights)))
    unsure = [*rows.unsure, *knob.unsure]
    if abs(logs[0] - logs[1]) > math.log(UNSURE_RATIO):
        unsure.append(f"rows say {rows.cpu_s:.3g} CPU s, the knob {knob.cpu_s:.3g}")
    return Estimate(cpu_s=mid, constant_s=min(rows.constant_s, mid), unsure=tuple(unsure))


def amdahl(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(a, b) of wall = a + b / cores by relative-weighted non-negative least squares.

    Args:
        points: Pairs of cores and wall seconds; of one core count only, all of it counts as serial.
    """
    cores = np.array([float(p) for p, _ in points])
    wall = np.array([max(w, _LEAST_S) for _, w in points])
    if len(set(cores.tolist())) == 1:
        return float(wall.mean()), 0.0
    design = np.column_stack([np.ones_like(cores), 1 / cores]) / wall[:, None]
    solution, _ = nnls(design, np.ones_like(wall))
    return float(solution[0]), float(solution[1])


def by_cores(runs: Sequence[Run], whole: Estimate) -> Scaling:
    """How the whole cell scales, from its slices and its CPU seconds.

    The serial share is what was seen of the largest slice on several cores, else what the walls of one size on
    several core counts say, else what that slice kept idle. The constant part of the CPU seconds is serial and does
    not grow with the rest.

    Args:
        runs: At least one slice.
        whole: CPU seconds of the whole cell.
    """
    most = _MOST_CORES_FACTOR * max(run.cores for run in runs)
    largest = max(runs, key=lambda run: (run.x, run.cores))
    if largest.waits:
        wall_s = whole.cpu_s * largest.wall_s / max(largest.cpu_s, _LEAST_S)
        reason = f"the cell waits: {largest.cpu_s:.2g} CPU s in {largest.wall_s:.2g} s"
        return Scaling(serial_s=wall_s, parallel_s=0.0, cores_most=1, waits=True, unsure=(reason,))
    group = _several_cores(runs)
    serial, total = _shares(group) if group else _shares_of_one(largest)
    if largest.cores > 1 and largest.serial_share is not None:
        serial = largest.serial_share * total
    # In the reference size the constant part is a larger share than in the whole.
    reference_s = (group[-1] if group else largest).cpu_s
    grows_s = max(reference_s - whole.constant_s, _LEAST_S)
    factor = max(whole.cpu_s - whole.constant_s, 0.0) / grows_s
    serial_s = serial * reference_s
    constant_s = min(whole.constant_s, serial_s)
    whole_serial_s = constant_s + (serial_s - constant_s) * factor
    whole_total_s = max(whole_serial_s, whole.cpu_s * total)
    unsure = () if group or largest.cores > 1 else ("slices on one core only",)
    return Scaling(serial_s=whole_serial_s, parallel_s=whole_total_s - whole_serial_s, cores_most=most, unsure=unsure)


def _several_cores(runs: Sequence[Run]) -> list[Run]:
    """The slices of the largest size that ran on more than one core count, by cores; empty where there is none."""
    for x in sorted({run.x for run in runs}, reverse=True):
        group = [run for run in runs if run.x == x]
        if len({run.cores for run in group}) > 1:
            return sorted(group, key=lambda run: run.cores)
    return []


def _shares(group: Sequence[Run]) -> tuple[float, float]:
    """Serial and total work of one size, as parts of its CPU seconds on the most cores."""
    a, b = amdahl([(run.cores, run.wall_s) for run in group])
    serial = a / max(a + b, _LEAST_S)
    most = group[-1].cpu_s
    # Two cores may share what one has for itself: work is counted as one core would do it.
    alone = float(np.mean([run.cpu_s for run in group if run.cores == group[0].cores]))
    total = alone / max(most, _LEAST_S)
    return serial * total, total


def _shares_of_one(run: Run) -> tuple[float, float]:
    if run.cores == 1:
        return 1.0, 1.0
    busy = min(max(run.cpu_s / max(run.wall_s, _LEAST_S), 1.0), float(run.cores))
    serial = (run.cores / busy - 1) / (run.cores - 1)
    return serial, 1.0
