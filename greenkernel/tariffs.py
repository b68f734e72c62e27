"""What each site's electricity is like: its signal on the grid's time, and what power, work and time on it cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from greenkernel.clock import GridTime
from greenkernel.records import ClockInfo, Interval, SourceInfo
from greenkernel.run.receipt import Tariff
from greenkernel.settings import ClockConfig, Settings, SiteConfig
from greenkernel.signals.base import Signal, mean_intensity
from greenkernel.signals.grid import AcceleratedSignal
from greenkernel.signals.trace import ConstantSignal, TraceSignal

# Where a site says nothing: rounded world average of electricity's life-cycle intensity.
_DEFAULT_INTENSITY_G_PER_KWH = 480.0
# Watts of one core of a server, above idle and idle share, where a site says nothing.
_DEFAULT_BUSY_W, _DEFAULT_IDLE_W = 8.0, 2.0
# A site that names its powers has measured them; a table has not.
_STATED_ERROR, _DEFAULT_ERROR = 0.15, 0.5
# A server of 1,300 kg CO2e over four years and 64 cores is 0.58 g per core and hour; makes and lives differ a lot.
_DEFAULT_EMBODIED = Interval(
    low=0.2, mid=0.58, high=1.2, source="embodied: default, 1,300 kg over 4 years and 64 cores (SCI, ISO/IEC 21031)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteGrid:
    """A site's signal, as real time meets it, and its tariff."""

    site: str
    config: SiteConfig
    signal: Signal
    tariff: Tariff

    def sources(self, now: datetime) -> tuple[SourceInfo, ...]:
        """Where the figures of this site come from."""
        kind = f"{self.signal.kind}, {self.signal.scope}"
        return (
            SourceInfo(
                what=f"carbon intensity of {self.site}",
                source=self.signal.source,
                kind=kind,
                age_s=self.signal.age_s(now),
            ),
            SourceInfo(
                what=f"power of {self.site}", source=self.tariff.busy_w_per_core.source, kind="estimate", age_s=None
            ),
        )


def grid_time(clock: ClockConfig | None, now: datetime) -> GridTime:
    """The grid's time of a run whose first plan is made ``now``."""
    if clock is None:
        return GridTime(ClockInfo(real_start=now, grid_start=now, factor=1.0))
    start = datetime.fromisoformat(clock.grid_start)
    return GridTime(ClockInfo(real_start=now, grid_start=start, factor=clock.factor))


def site_grids(settings: Settings, grid: GridTime) -> dict[str, SiteGrid]:
    """Signal and tariff of every site.

    Raises:
        UserError: A trace cannot be read.
    """
    return {name: _site_grid(name, settings, config, grid) for name, config in settings.sites.sites.items()}


def _site_grid(name: str, settings: Settings, config: SiteConfig, grid: GridTime) -> SiteGrid:
    signal: Signal = AcceleratedSignal(_signal(name, config, settings.trace_path(config)), grid)

    def intensity(start: datetime, end: datetime) -> float:
        return mean_intensity(signal.points(start, end + timedelta(seconds=1)), start, end)

    tariff = Tariff(
        site=name,
        pue=config.pue,
        idle_w_per_core=_power(config.idle_w_per_core, _DEFAULT_IDLE_W, settings.sites_path),
        busy_w_per_core=_power(config.busy_w_per_core, _DEFAULT_BUSY_W, settings.sites_path),
        embodied_g_per_core_h=_embodied(config, settings.sites_path),
        intensity=intensity,
    )
    return SiteGrid(site=name, config=config, signal=signal, tariff=tariff)


def _signal(name: str, config: SiteConfig, trace: Path | None) -> Signal:
    zone = config.zone or name
    if trace is not None:
        return TraceSignal.from_csv(trace, zone)
    if config.intensity_g_per_kwh is not None:
        return ConstantSignal(zone, config.intensity_g_per_kwh, "constant of the sites file")
    return ConstantSignal(zone, _DEFAULT_INTENSITY_G_PER_KWH, "default: world average, no signal is set for this site")


def _power(stated_w: float | None, default_w: float, file: Path) -> Interval:
    value = default_w if stated_w is None else stated_w
    error = _DEFAULT_ERROR if stated_w is None else _STATED_ERROR
    source = "power: default table" if stated_w is None else f"power: {file.name}"
    return Interval(low=value * (1 - error), mid=value, high=value * (1 + error), source=source)


def _embodied(config: SiteConfig, file: Path) -> Interval:
    if config.embodied_g_per_core_h is None:
        return _DEFAULT_EMBODIED
    return Interval.exact(config.embodied_g_per_core_h, f"embodied: {file.name}")
