"""One measured figure and its limit, and the ways to measure."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure that must not exceed its limit."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def kept(self) -> bool:
        """True where the limit holds."""
        return self.value <= self.limit


def median_s(call: Callable[[], object], *, times: int, warm_up: int = 1) -> float:
    """Median wall seconds of a call."""
    measured = []
    for number in range(warm_up + times):
        began = time.perf_counter()
        call()
        if number >= warm_up:
            measured.append(time.perf_counter() - began)
    return statistics.median(measured)
