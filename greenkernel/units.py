"""Durations, times of day, sizes, energy, grams and money: read from options, written into tables and sentences."""

from __future__ import annotations

import math
import re
from datetime import datetime, tzinfo
from typing import Final

from greenkernel.errors import UserError

_SECONDS: Final = {"d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001}
_DURATION_WORDS: Final = {
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "h"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    "ms": "ms",
}
_BYTES: Final[dict[str, int]] = {
    "": 1,
    **{word: 1000**power for power, word in enumerate(("k", "m", "g", "t"), start=1)},
    **{f"{word}b": 1000**power for power, word in enumerate(("k", "m", "g", "t"), start=1)},
    **{f"{word}i": 1024**power for power, word in enumerate(("k", "m", "g", "t"), start=1)},
    **{f"{word}ib": 1024**power for power, word in enumerate(("k", "m", "g", "t"), start=1)},
    "b": 1,
}
_SCALED: Final = {"g": (("t", 1e6), ("kg", 1e3), ("g", 1.0), ("mg", 1e-3)), "Wh": (("MWh", 1e6), ("kWh", 1e3))}
_SMALL_WH: Final = (("Wh", 1.0), ("mWh", 1e-3))


def parse_duration_s(text: str) -> float:
    """Seconds of a duration such as ``3h``, ``+90min``, ``1.5 h``, ``5 h 12`` or ``1 min 30 s``.

    A number without a unit may only follow a unit and then counts the next smaller one (``5 h 12``).

    Raises:
        UserError: It cannot be read.
    """
    rest = text.strip().removeprefix("+").lstrip()
    pieces = re.findall(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", rest)
    if not pieces or "".join(re.split(r"\s+", rest)) != "".join(number + unit for number, unit in pieces):
        raise _no_duration(text)
    total, last = 0.0, ""
    for number, word in pieces:
        unit = _DURATION_WORDS.get(word.lower()) if word else {"d": "h", "h": "min", "min": "s"}.get(last)
        if unit is None or (last and _SECONDS[unit] >= _SECONDS[last]):
            raise _no_duration(text)
        total += float(number) * _SECONDS[unit]
        last = unit
    return total


def parse_bytes(text: str) -> int:
    """Bytes of a size such as ``4GiB`` or ``512Mi`` (powers of 1024), ``4G`` or ``4 GB`` (powers of 1000), ``1048576``.

    Raises:
        UserError: It cannot be read.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    factor = _BYTES.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise UserError(f"{text!r} is no size", what_to_do="Write a number with its unit, such as 4GiB or 512MiB")
    return round(float(match[1]) * factor)


def clock_text(when: datetime, zone: tzinfo | None, *, today: datetime, seconds: bool = False) -> str:
    """A time of day in a zone (None: the machine's), with its date where that is another one."""
    here = when.astimezone(zone)
    time = f"{here:%H:%M:%S}" if seconds else f"{here:%H:%M}"
    return time if here.date() == today.astimezone(zone).date() else f"{here:%d %b} {time}"


def format_duration(duration_s: float) -> str:
    """A duration with two units at most: ``0.4 s``, ``42 s``, ``1 min 30 s``, ``5 h 12``, ``3 d 4 h``."""
    if not math.isfinite(duration_s):
        return "for ever" if duration_s > 0 else str(duration_s)
    sign, seconds = ("-" if duration_s < 0 else ""), abs(duration_s)
    if seconds < 9.95:
        return f"{sign}{seconds:.1f}".removesuffix(".0") + " s"
    if seconds < 59.5:
        return f"{sign}{seconds:.0f} s"
    if seconds < 599.5:
        return sign + _two(round(seconds), 60, " min", " s")
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{sign}{minutes} min"
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{sign}{hours} h" + (f" {rest:02d}" if rest else "")
    return sign + _two(round(minutes / 60), 24, " d", " h")


def counted(number: int, noun: str) -> str:
    """``1 record``, ``2 records``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_bytes(size_bytes: float) -> str:
    """A size in powers of 1024: ``812 B``, ``1.5 MiB``, ``40 GiB``."""
    value, unit = float(size_bytes), "B"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1023.5:
            break
        value, unit = value / 1024, bigger
    if unit == "B":
        return f"{value:.0f} B"
    return f"{value:.{0 if abs(value) >= 9.95 else 1}f}".removesuffix(".0") + f" {unit}"


def format_amount(value: float, unit: str, *, digits: int = 3) -> str:
    """A number with so many significant digits and a fitting prefix.

    Args:
        value: In ``unit``.
        unit: ``g`` and ``Wh``, alone or as the first word (``g CO2e``), get prefixes; others, such as ``EUR``, do not.
        digits: How many digits say something.
    """
    value = _not_noise(value)
    name, factor = _prefix(abs(value), unit)
    value /= factor
    return f"{_plain(value, _decimals(value, digits))} {name}".rstrip()


def format_interval(low: float, mid: float, high: float, unit: str) -> str:
    """An estimate with its ends: ``41 g (36-48)``; three digits where it is narrow, two where it is wide.

    Args:
        low: The lower end, in ``unit``.
        mid: The best estimate.
        high: The upper end.
        unit: As for `format_amount`.
    """
    low, mid, high = (_not_noise(end) for end in (low, mid, high))
    name, factor = _prefix(max(abs(mid), abs(high) / 10), unit)
    low, mid, high = low / factor, mid / factor, high / factor
    digits = 2 if high - low > 0.1 * abs(mid) else 3
    decimals = _decimals(mid if mid else high, digits)
    shown = f"{_plain(mid, decimals)} {name}".rstrip()
    if low == high:
        return shown
    joint = "-" if low >= 0 else " to "
    return f"{shown} ({_plain(low, decimals)}{joint}{_plain(high, decimals)})"


def _not_noise(value: float) -> float:
    """Zero for what is left of a difference of equal numbers."""
    return 0.0 if abs(value) < 1e-12 else value


def _prefix(size: float, unit: str) -> tuple[str, float]:
    word, space, rest = unit.partition(" ")
    steps = _SCALED.get(word, ())
    if word == "Wh":
        steps += _SMALL_WH
    for name, factor in steps:
        if size >= 0.9995 * factor:
            return name + space + rest, factor
    name, factor = steps[-1] if steps and size > 0 else (word, 1.0)
    return name + space + rest, factor


def _decimals(value: float, digits: int) -> int:
    if value == 0:
        return 0
    rounded = abs(float(f"{value:.{digits - 1}e}"))
    return min(9, max(0, digits - 1 - math.floor(math.log10(rounded))))


def _plain(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _two(small_units: int, ratio: int, big_name: str, small_name: str) -> str:
    big, small = divmod(small_units, ratio)
    return f"{big}{big_name}" + (f" {small}{small_name}" if small else "")


def _no_duration(text: str) -> UserError:
    return UserError(f"{text!r} is no duration", what_to_do="Write it with units, such as 3h, 90min or 1 h 30")
