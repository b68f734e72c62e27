"""Energy on a site: the share of idle power that reserved cores carry, and what busy CPU seconds add."""

from __future__ import annotations

from dataclasses import dataclass

from greenkernel.records import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePower:
    """What one core draws on a site, before PUE.

    Attributes:
        idle_w_per_core: Its share of the machine's idle power, for as long as it is reserved.
        busy_w_per_core: What one CPU second per second adds.
        pue: Power usage effectiveness, >= 1.
        source: Where the figures come from.
    """

    idle_w_per_core: Interval
    busy_w_per_core: Interval
    pue: float
    source: str

    def energy_wh(self, *, cores: int, reserved_s: Interval, cpu_s: Interval) -> Interval:
        """Energy of a job that holds ``cores`` for ``reserved_s`` and computes ``cpu_s``, PUE included."""
        idle = _product(self.idle_w_per_core, reserved_s.scaled(cores / 3600 * self.pue))
        busy = _product(self.busy_w_per_core, cpu_s.scaled(self.pue / 3600))
        total = idle + busy
        return total.scaled(1.0, source=f"{self.source}; PUE {self.pue:g}; {cpu_s.source}")


def _product(one: Interval, other: Interval) -> Interval:
    """Both are >= 0; ends are multiplied, which is safe when their errors go together."""
    level = min(one.level, other.level)
    return Interval(low=one.low * other.low, mid=one.mid * other.mid, high=one.high * other.high, level=level)


def mean_power_w(energy_wh: Interval, over_s: Interval) -> Interval:
    """Mean power of an energy whose ends belong to those of a time."""
    ends = [
        3600 * energy / max(seconds, 1e-9)
        for energy, seconds in (
            (energy_wh.low, over_s.low),
            (energy_wh.mid, over_s.mid),
            (energy_wh.high, over_s.high),
        )
    ]
    return Interval(
        low=min(ends), mid=ends[1], high=max(ends), level=min(energy_wh.level, over_s.level), source=energy_wh.source
    )
