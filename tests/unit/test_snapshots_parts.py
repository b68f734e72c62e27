"""The small parts of snapshots: what arrays take, when to write, and which bytes are written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from greenkernel.records import Payload
from greenkernel.runner.snapshots.pace import Pace
from greenkernel.runner.snapshots.parts import Copies, Parts
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


def test_copies_are_kept_as_they_were(tmp_path: Path) -> None:
    """What was large and new is copied, and its address is that of its bytes then; the rest is kept at once."""
    parts = Parts(tmp_path, KEY, ())
    known, changing, second = np.arange(2_000_000.0), np.ones(2_000_000), np.full(2_000_000, 2.0)
    parts.put(known.data)
    expected = [keyed_hash(KEY, one.data.cast("B")) for one in (changing, known, changing, second)]
    copies = Copies(parts, 20_000_000)
    head = copies.put(b"head")
    names = [copies.put(one.data) for one in (changing, known, changing, second)]
    assert [False, True, False, True] == [one == address for one, address in zip(names, expected, strict=True)]
    assert copies.close()
    changing += 1
    payload = copies.keep(Payload(head=head, buffers=tuple(names)))
    assert (keyed_hash(KEY, b"head"), tuple(expected)) == (payload.head, payload.buffers)
    assert {payload.head, *expected} == {path.name for path in tmp_path.iterdir() if path.is_file()}


def test_memory_of_one_array_is_not_taken_for_another(tmp_path: Path) -> None:
    """Arrays that are made only to be written may follow each other at one address."""
    parts = Parts(tmp_path, KEY, ())
    copies = Copies(parts, 1 << 30)
    names = [copies.put(np.full(2_000_000, float(n)).data) for n in range(4)]
    copies.close()
    payload = copies.keep(Payload(head="", buffers=tuple(names)))
    assert [keyed_hash(KEY, np.full(2_000_000, float(n)).data.cast("B")) for n in range(4)] == list(payload.buffers)


def test_nothing_is_copied_where_memory_is_short(tmp_path: Path) -> None:
    """It is then kept at once, while the cell waits."""
    parts = Parts(tmp_path, KEY, ())
    copies = Copies(parts, 15_999_999)
    array = np.arange(2_000_000)
    assert keyed_hash(KEY, array.data.cast("B")) == copies.put(array.data)
    assert not copies.close()


def test_a_pod_may_have_no_numpy() -> None:
    """All of the runner is there without it."""
    script = "import sys; sys.modules['numpy'] = None; import greenkernel.runner.main, greenkernel.runner.shell"
    assert "" == subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
