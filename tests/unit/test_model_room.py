"""Values and memory: what can never fit is said before anything runs, with the name and what to do."""

from __future__ import annotations

import pytest

from greenkernel.model.room import no_room
from greenkernel.records import Capture, Item, Payload

GIB = 1 << 30
HEAD = "0" * 64
CAPTURE = Capture(
    transformed="",
    reads=("X", "y"),
    binds=(),
    items=(
        Item(name="data.csv", kind="file", bytes=9 * GIB, why="named by the cell"),
        Item(name="y", kind="ndarray 10", bytes=GIB // 2, why="read by the cell"),
        Item(name="X", kind="ndarray 10 x 40", bytes=5 * GIB // 2, why="read by the cell"),
    ),
    payload=Payload(head=HEAD, buffers=(), bytes=3 * GIB),
)


@pytest.mark.parametrize(("most", "refused"), [(None, False), (GIB, True), (3 * GIB, False), (3 * GIB - 1, True)])
def test_values_and_memory(most: int | None, refused: bool) -> None:
    """Three gigabytes need three; files are on a disk and count for nothing; what is not known refuses nothing."""
    assert refused == (no_room(CAPTURE, most) is not None)


def test_the_largest_value_is_named() -> None:
    """With its kind and its bytes, beside both amounts."""
    assert (
        "1 GiB of memory cannot hold the 3 GiB of values that the cell reads; "
        "the largest is X (ndarray 10 x 40, 2.5 GiB)"
    ) == no_room(CAPTURE, GIB)
