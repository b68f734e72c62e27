"""Write the made-up carbon-intensity traces of three example zones; run as a script it renews the committed ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Variant = Literal["demo", "flat", "swapped"]

ZONES: Final[tuple[str, ...]] = ("WINDY", "SUNNY", "COAST")
TRACE_START: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""Hour 0 of every trace."""

TRACE_HOURS: Final = 7 * 24
FLAT_G_PER_KWH: Final = 250.0

_Hours = NDArray[np.float64]
_SEED = 20260105


def trace_values(*, variant: Variant = "demo") -> dict[str, _Hours]:
    """Carbon intensity of each zone and hour, in g CO2e/kWh.

    Args:
        variant: `demo`: WINDY is greenest for 25 hours, then COAST, whose gale lasts until hour 49.
            `swapped`: the two exchanged.
            `flat`: all zones equal and constant.

    Returns:
        Zone -> array of shape (168,); the same at every call.
    """
    if variant == "flat":
        return {zone: np.full(TRACE_HOURS, FLAT_G_PER_KWH) for zone in ZONES}
    hours = np.arange(TRACE_HOURS, dtype=np.float64)
    shapes: dict[str, Callable[[_Hours], _Hours]] = {"WINDY": _windy, "SUNNY": _sunny, "COAST": _coast}
    values = {
        zone: np.round(shape(hours) * _noise(np.random.default_rng([_SEED, number])), 1)
        for number, (zone, shape) in enumerate(shapes.items())
    }
    if variant == "swapped":
        values["WINDY"], values["COAST"] = values["COAST"], values["WINDY"]
    return values


def write_traces(folder: Path, *, variant: Variant = "demo") -> list[Path]:
    """Write one CSV file per zone: `datetime,zone,intensity_g_per_kwh`, a row per hour, times in UTC.

    Args:
        folder: Where to write; made if missing, files of the same names are replaced.
        variant: As for trace_values.

    Returns:
        The files, in the order of ZONES.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for zone, values in trace_values(variant=variant).items():
        rows = [f"{_stamp(hour)},{zone},{value:.1f}\n" for hour, value in enumerate(values.tolist())]
        path = folder / f"{zone.lower()}.csv"
        # newline="" because the files are compared byte by byte on every system.
        path.write_text("datetime,zone,intensity_g_per_kwh\n" + "".join(rows), encoding="utf-8", newline="")
        written.append(path)
    return written


def _stamp(hour: int) -> str:
    return (TRACE_START + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _step(hours: _Hours, *, at: float, width: float) -> _Hours:
    """From 0 to 1 around an hour."""
    return np.asarray(1.0 / (1.0 + np.exp(-(hours - at) / width)))


def _windy(hours: _Hours) -> _Hours:
    """A gale that dies down: about 30 g, then about 420 g from hour 27 on."""
    return 30.0 + 390.0 * _step(hours, at=25.5, width=0.6) + 4.0 * np.sin(2 * np.pi * hours / 24.0)


def _coast(hours: _Hours) -> _Hours:
    """The same gale passing over the coast: about 540 g, about 90 g from hour 25 to 49, then about 330 g."""
    arrives, leaves = _step(hours, at=23.5, width=0.5), _step(hours, at=50.0, width=0.7)
    return 540.0 - 450.0 * arrives + 240.0 * leaves + 6.0 * np.sin(2 * np.pi * (hours - 5.0) / 24.0)


def _sunny(hours: _Hours) -> _Hours:
    """Sun by day, coal by night: 380 g at night, 300 g at noon."""
    height = np.clip(np.sin(np.pi * (hours % 24.0 - 6.0) / 12.0), 0.0, None)
    return np.asarray(375.0 - 75.0 * height)


def _noise(rng: np.random.Generator) -> _Hours:
    """Factors near one whose deviation, about 2 %, decays over a few hours."""
    shocks = rng.normal(0.0, 0.012, TRACE_HOURS)
    deviation = np.zeros(TRACE_HOURS)
    for hour in range(1, TRACE_HOURS):
        deviation[hour] = 0.75 * deviation[hour - 1] + shocks[hour]
    return np.asarray(1.0 + deviation)


if __name__ == "__main__":
    write_traces(Path(__file__).parent / "traces")
