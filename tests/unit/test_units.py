"""Durations, bytes and amounts, as people write them and as they are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenkernel.errors import UserError
from greenkernel.units import format_bytes, format_duration, format_interval, parse_bytes, parse_duration_s


@pytest.mark.parametrize(
    ("expected", "text"),
    [(10800, "3h"), (5400, "90min"), (5400, "1h30m"), (18720, "5 h 12"), (90, "90"), (0.5, "0.5s"), (86400, "1d")],
)
def test_durations_are_read(expected: float, text: str) -> None:
    """Every usual way to write a duration."""
    assert expected == parse_duration_s(text)


@pytest.mark.parametrize("text", ["", "h", "3x", "3h,", "-3h", "0s", "three"])
def test_bad_durations(text: str) -> None:
    """What is no duration, or none that can be waited for, is refused."""
    with pytest.raises(UserError):
        parse_duration_s(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [(4 * 2**30, "4GiB"), (4 * 2**30, "4G"), (4 * 10**9, "4 GB"), (1536, "1.5k"), (100, "100"), (100, "100B")],
)
def test_bytes_are_read(expected: int, text: str) -> None:
    """Binary and decimal units."""
    assert expected == parse_bytes(text)


@pytest.mark.parametrize("text", ["", "GiB", "4 XB", "-1", "0", "1.2.3G"])
def test_bad_bytes(text: str) -> None:
    """What is no size is refused."""
    with pytest.raises(UserError):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("expected", "seconds"),
    [("0.3 s", 0.3), ("42 s", 42), ("1 min", 60), ("5 min 12 s", 312), ("5 h 12 min", 18720), ("2 d 3 h", 183600)],
)
def test_durations_are_shown(expected: str, seconds: float) -> None:
    """Two steps at most."""
    assert expected == format_duration(seconds)
    assert f"-{expected}" == format_duration(-seconds)


@given(st.integers(10, 10**9))
def test_durations_survive(seconds: int) -> None:
    """What is shown can be read again and is at most one small step off."""
    shown = format_duration(seconds)
    step = 3600 if " d" in shown else 60 if " h" in shown else 1
    assert abs(parse_duration_s(shown) - seconds) <= step


@pytest.mark.parametrize(
    ("expected", "number"), [("0 B", 0), ("1.0 KiB", 1024), ("4.0 GiB", 2**32), ("20 MiB", 20 * 2**20)]
)
def test_bytes_are_shown(expected: str, number: int) -> None:
    """Binary units, few digits."""
    assert expected == format_bytes(number)


@pytest.mark.parametrize(
    ("expected", "low", "mid", "high"),
    [
        ("4.1 g (2.9-6.0)", 2.9, 4.1, 6.0),
        ("410 g (290-600)", 290, 410, 600),
        ("0.041 g (0.029-0.060)", 0.029, 0.041, 0.06),
        ("5.0 g", 5, 5, 5),
        ("0 g", 0, 0, 0),
    ],
)
def test_intervals_are_shown(expected: str, low: float, mid: float, high: float) -> None:
    """The same number of decimals for all three, none that mean nothing."""
    assert expected == format_interval(low, mid, high, "g")
