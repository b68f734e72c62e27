"""The small parts of snapshots: what arrays take, when to write, and which bytes are written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from greenkernel.runner.snapshots.pace import Pace
from greenkernel.runner.snapshots.parts import Parts
from greenkernel.runner.snapshots.sizes import array_bytes
from greenkernel.store.hashing import keyed_hash

KEY = b"k" * 32
ONE = np.zeros(100)


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (800, np.zeros(100)),
        (1600, {"a": [np.zeros(100)], "b": (np.zeros(100),)}),
        (800, SimpleNamespace(w=np.zeros(100), name="x")),
        (1600, pd.DataFrame({"a": np.zeros(100), "b": np.ones(100)})),
        (8000 * 1000, [np.zeros(1000) for _ in range(1000)]),
        (800, [ONE, {"again": ONE}, np]),
        (0, ["text", 3, None]),
    ],
    ids=["array", "containers", "attributes", "frame", "many", "twice", "none"],
)
def test_bytes_of_arrays(expected: int, value: Any) -> None:
    """Arrays are found in what holds them."""
    assert expected == array_bytes({"value": value})


def test_writing_stays_below_its_share() -> None:
    """However costly it is, between two snapshots lie fifty times as many seconds; and more where losses are rare."""
    pace = Pace(3600.0, 0)
    pace.wrote(10.0)
    assert 500.0 == pace.least_s()
    pace.wrote(0.1)
    assert 5.0 == pace.least_s()
    assert pace.wait_s(first=False) == pytest.approx((2 * 0.1 * 3600) ** 0.5)


def test_each_content_is_written_once(tmp_path: Path) -> None:
    """What is known is not written again, whether small or large, and what was forgotten is."""
    parts = Parts(tmp_path, KEY, [keyed_hash(KEY, b"known")])
    large = np.arange(2_000_000).data
    assert keyed_hash(KEY, b"known") == parts.put(b"known")
    assert keyed_hash(KEY, large.cast("B")) == parts.put(large)
    assert keyed_hash(KEY, large.cast("B")) == parts.put(large)
    assert 16_000_000 == parts.bytes_written
    assert [keyed_hash(KEY, large.cast("B"))] == [path.name for path in tmp_path.iterdir() if path.is_file()]
    parts.forget([keyed_hash(KEY, large.cast("B"))])
    parts.put(large)
    assert 32_000_000 == parts.bytes_written


def test_large_parts_that_look_alike(tmp_path: Path) -> None:
    """Two arrays that differ in one element have addresses of their own."""
    parts = Parts(tmp_path, KEY, ())
    one = np.zeros(2_000_000)
    other = one.copy()
    other[1_234_567] = 1
    assert parts.put(one.data) != parts.put(other.data)
    assert 2 == sum(path.is_file() for path in tmp_path.iterdir())
