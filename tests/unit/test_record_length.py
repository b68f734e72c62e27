"""Lengths of iterables, told without taking an item."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from greenkernel.runner.record_length import known_length


def counted() -> Iterator[int]:
    """A generator function's length is nobody's business."""
    yield from range(3)


@pytest.mark.parametrize(
    ("expected", "iterable"),
    [
        (3, [1, 2, 3]),
        (4, range(4)),
        (5, (x for x in range(5))),
        (5, (y for y in (x for x in range(5)))),
        (3, (x for _, x in enumerate("abc"))),
        (2, (x for x, _ in zip([1, 2, 3], "ab", strict=False))),
        (6, (x for x in itertools.product("ab", [1, 2, 3]))),
        (2, map(str, [1, 2])),
        (None, (x for x in range(5) if x % 2)),
        (None, (x for x in range(5) for _ in range(2))),
        (None, (x for x in counted())),
        (None, itertools.count()),
    ],
)
def test_length(expected: int | None, iterable: Any) -> None:
    """Exact, or None."""
    assert expected == known_length(iterable)


def test_no_item_is_taken() -> None:
    """Asking does not consume."""
    items = (x for x in range(5))
    known_length(items)
    assert [0, 1, 2, 3, 4] == list(items)


def test_a_used_up_generator_has_no_length() -> None:
    """Its frame is gone."""
    items = (x for x in range(2))
    list(items)
    assert known_length(items) is None
