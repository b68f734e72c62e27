"""Durations, sizes and amounts, both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenkernel.errors import UserError
from greenkernel.units import (
    format_amount,
    format_bytes,
    format_duration,
    format_interval,
    parse_bytes,
    parse_duration_s,
)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (10800, "+3h"),
        (10800, "3h"),
        (5400, "90min"),
        (5400, "1.5 h"),
        (18720, "5 h 12"),
        (9000, "2h30"),
        (9000, "2h30m"),
        (90, "1 min 30 s"),
        (273600, "3 d 4 h"),
        (45, "45s"),
        (0.25, "250ms"),
        (7200, "2 hours"),
    ],
)
def test_durations_are_read(expected: float, text: str) -> None:
    """Each way in which people write a duration gives its seconds."""
    assert expected == parse_duration_s(text)


@pytest.mark.parametrize("text", ["", "+", "90", "h", "3 weeks", "-3h", "3h 2d", "3h 4h", "1,5h", "3h soon", "12 s 4"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A duration without a unit, with an unknown one or in the wrong order is refused with an example."""
    with pytest.raises(UserError, match="such as 3h"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [
        ("0 s", 0),
        ("0.4 s", 0.4),
        ("4.2 s", 4.21),
        ("42 s", 42.4),
        ("1 min", 59.7),
        ("1 min 30 s", 90),
        ("12 min", 725),
        ("1 h", 3599),
        ("5 h 12", 18720),
        ("5 h 05", 18300),
        ("47 h", 47 * 3600),
        ("3 d 4 h", 273600),
        ("2 d", 48 * 3600),
        ("-12 min", -725),
        ("for ever", float("inf")),
    ],
)
def test_durations_are_written(expected: str, seconds: float) -> None:
    """Two units at most, and rounding never shows sixty of anything."""
    assert expected == format_duration(seconds)


@given(st.floats(min_value=0, max_value=1e7))
def test_a_written_duration_is_read_back(seconds: float) -> None:
    """Writing and reading again stays within the rounding that the text shows."""
    assert parse_duration_s(format_duration(seconds)) == pytest.approx(seconds, rel=0.05, abs=0.06)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (4 * 1024**3, "4GiB"),
        (4 * 1024**3, "4Gi"),
        (4 * 1000**3, "4G"),
        (4 * 1000**3, "4 gb"),
        (1536, "1.5 KiB"),
        (512 * 1024**2, "512Mi"),
        (1000, "1000"),
        (7, "7 B"),
    ],
)
def test_sizes_are_read(expected: int, text: str) -> None:
    """With an i powers of 1024, without it powers of 1000, as Kubernetes has it."""
    assert expected == parse_bytes(text)


@pytest.mark.parametrize("text", ["", "much", "4 Q", "GiB", "-1G", "4GiB/s"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """A size that cannot be read is refused with an example."""
    with pytest.raises(UserError, match="4GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("expected", "size"),
    [
        ("0 B", 0),
        ("812 B", 812),
        ("1 KiB", 1024),
        ("1.5 MiB", 1.5 * 2**20),
        ("40 GiB", 40 * 2**30),
        ("1 MiB", 2**20 - 1),
    ],
)
def test_sizes_are_written(expected: str, size: float) -> None:
    """Powers of 1024 with two digits."""
    assert expected == format_bytes(size)


@pytest.mark.parametrize(
    ("expected", "value", "unit"),
    [
        ("41.2 g", 41.23, "g"),
        ("1.23 kg CO2e", 1234.0, "g CO2e"),
        ("1.00 kg", 999.9, "g"),
        ("412 mg", 0.4123, "g"),
        ("88.0 Wh", 88.0, "Wh"),
        ("1.50 kWh", 1500.0, "Wh"),
        ("12.0 mWh", 0.012, "Wh"),
        ("0 g", 0.0, "g"),
        ("1234 EUR", 1234.0, "EUR"),
        ("0.0123 EUR", 0.0123, "EUR"),
        ("-41.2 g", -41.23, "g"),
    ],
)
def test_amounts_are_written(expected: str, value: float, unit: str) -> None:
    """Three significant digits; grams and watt hours get prefixes, money does not."""
    assert expected == format_amount(value, unit)


@pytest.mark.parametrize(
    ("expected", "low", "mid", "high", "unit"),
    [
        ("41 g (36-48)", 36.2, 41.4, 48.1, "g"),
        ("41.2 g (41.0-41.5)", 41.0, 41.2, 41.5, "g"),
        ("1.2 kg CO2e (0.9-1.6)", 900.0, 1200.0, 1600.0, "g CO2e"),
        ("0.012 EUR (0.010-0.015)", 0.01, 0.012, 0.015, "EUR"),
        ("-3.0 g (-5.0 to 1.0)", -5.0, -3.0, 1.0, "g"),
        ("0 Wh (0-20)", 0.0, 0.0, 20.0, "Wh"),
        ("5.00 g", 5.0, 5.0, 5.0, "g"),
        ("0 g CO2e", 1e-18, 3e-18, 8e-18, "g CO2e"),
    ],
)
def test_intervals_are_written(expected: str, low: float, mid: float, high: float, unit: str) -> None:
    """The ends have the digits of the middle, and an interval without width has no ends."""
    assert expected == format_interval(low, mid, high, unit)
