"""Signals without a network: a recorded trace from a CSV file, and a constant."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

from greenkernel.errors import UserError
from greenkernel.records import SignalPoint
from greenkernel.signals.base import Kind, Scope
from greenkernel.signals.fill import US, Filled, from_us, to_us

COLUMNS: Final = ("datetime", "zone", "intensity_g_per_kwh")
_STEP_MIN_US: Final = 5 * 60 * US
_STEP_MAX_US: Final = 60 * 60 * US


class TraceSignal:
    """Recorded intensities of one zone, repeated by their own daily shape where the record ends.

    Args:
        zone: The zone.
        values: Start -> g/kWh, aware times, steps of 5 to 60 minutes.
        source: Where they come from.
        kind: Average or marginal.
        scope: Life cycle or direct.

    Raises:
        UserError: There are no values, or their steps are not of 5 to 60 minutes.
    """

    def __init__(
        self,
        zone: str,
        values: Mapping[datetime, float],
        *,
        source: str,
        kind: Kind = "average",
        scope: Scope = "lifecycle",
    ) -> None:
        self.zone = zone
        self.kind: Kind = kind
        self.scope: Scope = scope
        self.source = source
        by_us = {to_us(when): value for when, value in values.items()}
        self._filled = Filled(by_us, _step_us(sorted(by_us), source))

    @classmethod
    def from_csv(cls, path: Path, zone: str, *, kind: Kind = "average", scope: Scope = "lifecycle") -> Self:
        """Read ``datetime,zone,intensity_g_per_kwh`` (UTC); other zones are passed over, an empty value is a hole.

        Of rows with the same time the last one wins, as a revision does.

        Raises:
            UserError: The file cannot be read, or a line is not as it should be; names file and line.
        """
        values, others = _read(path, zone)
        if not values:
            known = f"It has {', '.join(sorted(others))}" if others else "Give it at least one row"
            raise UserError(f"there is no value for zone {zone!r}", where=str(path), what_to_do=known)
        return cls(zone, values, source=f"trace {path.name}", kind=kind, scope=scope)

    def points(self, start: datetime, end: datetime) -> Sequence[SignalPoint]:
        """Recorded points; ``estimated`` fills holes, ``forecast`` marks what lies after the last record."""
        return [
            SignalPoint(
                start=from_us(piece.start_us),
                end=from_us(piece.end_us),
                intensity_g_per_kwh=piece.value,
                kind=self.kind,
                scope=self.scope,
                estimated=piece.estimated,
                forecast=piece.beyond,
            )
            for piece in self._filled.pieces(to_us(start), to_us(end))
        ]

    def age_s(self, now: datetime) -> float:
        """Seconds since the record's end."""
        return max(0.0, (to_us(now) - self._filled.end_us) / US)


class ConstantSignal:
    """The same intensity always, such as a yearly mean.

    Args:
        zone: The zone.
        intensity_g_per_kwh: The intensity.
        source: Where it comes from.
        kind: Average or marginal.
        scope: Life cycle or direct.
    """

    def __init__(
        self,
        zone: str,
        intensity_g_per_kwh: float,
        source: str = "constant",
        *,
        kind: Kind = "average",
        scope: Scope = "lifecycle",
    ) -> None:
        self.zone = zone
        self.source = source
        self.kind: Kind = kind
        self.scope: Scope = scope
        self._intensity_g_per_kwh = intensity_g_per_kwh

    def points(self, start: datetime, end: datetime) -> Sequence[SignalPoint]:
        """One point; ``estimated``, because no grid is constant."""
        if end <= start:
            return []
        value = self._intensity_g_per_kwh
        return [
            SignalPoint(
                start=start, end=end, intensity_g_per_kwh=value, kind=self.kind, scope=self.scope, estimated=True
            )
        ]

    def age_s(self, now: datetime) -> float:
        """A constant does not age."""
        return 0.0


def _step_us(starts: Sequence[int], source: str) -> int:
    if not starts:
        raise UserError("there are no values", where=source)
    differences = Counter(after - before for before, after in pairwise(starts))
    if not differences:
        return _STEP_MAX_US
    step = min(differences, key=lambda length: (-differences[length], length))
    if not _STEP_MIN_US <= step <= _STEP_MAX_US:
        raise UserError(
            f"its steps are of {step / US / 60:g} minutes", where=source, what_to_do="Use steps of 5 to 60 minutes"
        )
    return step


def _read(path: Path, zone: str) -> tuple[dict[datetime, float], set[str]]:
    values: dict[datetime, float] = {}
    others: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = tuple(name.strip() for name in next(rows, []))
            if header != COLUMNS:
                wanted = f"Make the first line {','.join(COLUMNS)}"
                raise UserError("the columns are not those of a trace", where=f"{path}, line 1", what_to_do=wanted)
            for row in rows:
                if not row:
                    continue
                when, row_zone, value = _row(row, f"{path}, line {rows.line_num}")
                if row_zone != zone:
                    others.add(row_zone)
                elif value is not None:
                    values[when] = value
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise UserError(f"the trace cannot be read ({e})", where=str(path), what_to_do="Check the path") from e
    return values, others


def _row(row: Sequence[str], where: str) -> tuple[datetime, str, float | None]:
    if len(row) != len(COLUMNS):
        raise UserError(
            f"{len(row)} values instead of {len(COLUMNS)}",
            where=where,
            what_to_do="Write datetime,zone,intensity with a point in the number, such as 41.5",
        )
    time, zone, text = (value.strip() for value in row)
    try:
        when = datetime.fromisoformat(time)
    except ValueError as e:
        raise UserError(
            f"{time!r} is no time", where=where, what_to_do="Write it in UTC, such as 2026-01-05T00:00:00Z"
        ) from e
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    if not text:
        return when, zone, None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UserError(
            f"{text!r} is no carbon intensity", where=where, what_to_do="Write g CO2e per kWh, such as 41.5"
        )
    return when, zone, value
