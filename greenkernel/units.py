"""Durations, bytes and amounts: how people write them, and how they are shown."""

from __future__ import annotations

import math
import re

from greenkernel.errors import UserError

_DURATIONS_S = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {
    **{unit: 1024**power for power, unit in enumerate(("b", "kib", "mib", "gib", "tib"))},
    **{unit: 1024**power for power, unit in enumerate(("", "k", "m", "g", "t"))},
    **{unit: 1000**power for power, unit in enumerate(("b", "kb", "mb", "gb", "tb"))},
}


def parse_duration_s(text: str) -> float:
    """``3h``, ``90min``, ``1h30m``, ``5 h 12`` or plain seconds -> seconds.

    Raises:
        UserError: It cannot be read, or is not positive.
    """
    plain = text.strip().lower().replace(" ", "")
    hours = re.fullmatch(r"(\d+)h(\d{1,2})", plain)
    if hours:
        return int(hours[1]) * 3600.0 + int(hours[2]) * 60.0
    parts = re.findall(r"(\d+(?:\.\d+)?)([a-z]*)", plain)
    whole = "".join(number + unit for number, unit in parts)
    if not parts or whole != plain or any(unit not in _DURATIONS_S for _, unit in parts if unit):
        raise UserError(f"{text!r} is no duration", what_to_do="Write it like 90min, 3h or 1h30m")
    seconds = sum(float(number) * _DURATIONS_S[unit or "s"] for number, unit in parts)
    if seconds <= 0:
        raise UserError(f"{text!r} is no duration", what_to_do="It must be longer than nothing")
    return seconds


def parse_bytes(text: str) -> int:
    """``4GiB``, ``4G`` (both binary), ``4GB`` (decimal) or plain bytes -> bytes.

    Raises:
        UserError: It cannot be read, or is not positive.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]*)", text.strip().lower().replace(" ", ""))
    if not match or match[2] not in _BYTES or float(match[1]) <= 0:
        raise UserError(f"{text!r} is no size", what_to_do="Write it like 512MiB or 4GiB")
    return int(float(match[1]) * _BYTES[match[2]])


def format_duration(duration_s: float) -> str:
    """``0.3 s``, ``42 s``, ``5 min 12 s``, ``5 h 12 min``, ``2 d 3 h``: two steps at most."""
    if duration_s < 0:
        return f"-{format_duration(-duration_s)}"
    if duration_s < 9.95:
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    for big, small, name, part in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if whole >= big:
            more = whole % big // small
            return f"{whole // big} {name} {more} {part}" if more else f"{whole // big} {name}"
    return f"{whole} s"


def format_bytes(number: float) -> str:
    """Binary units with three digits at most."""
    value, units = float(number), ["B", "KiB", "MiB", "GiB", "TiB"]
    while abs(value) >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if value >= 10 or units[0] == "B" else f"{value:.1f} {units[0]}"


def format_interval(low: float, mid: float, high: float, unit: str) -> str:
    """``4.1 g (2.9-6.0)``: two or three significant digits, the same number of decimals for all three."""
    digits = _decimals(max(abs(low), abs(mid), abs(high)))
    if low == mid == high:
        return f"{mid:.{digits}f} {unit}".rstrip()
    return f"{mid:.{digits}f} {unit} ({low:.{digits}f}-{high:.{digits}f})"


def _decimals(size: float) -> int:
    if size == 0 or not math.isfinite(size):
        return 0
    return min(6, max(0, 1 - math.floor(math.log10(size))))
