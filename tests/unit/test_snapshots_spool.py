"""Snapshots on their way to a real store: how many stay, what of earlier epochs goes, and what there is no room for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest

from greenkernel.errors import PermanentError
from greenkernel.records import Capture, EpochOpen, Payload, Progress, RecordRef
from greenkernel.runner.collect import Before
from greenkernel.runner.files import FilesBefore
from greenkernel.runner.report import Reporter
from greenkernel.runner.snapshots.spool import SnapshotSpool
from greenkernel.runner.snapshots.state import Moment
from greenkernel.store.inner import Inner
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.runs import RunStore
from greenkernel.store.snapshots import Place, Said, SnapshotStore, newest_first

KEY = b"k" * 32
NOW = datetime(2026, 1, 5, tzinfo=UTC)
KILO = 100_000
CAPTURE = Capture(transformed="", reads=(), binds=(), items=(), payload=Payload(head="0" * 64))
MOMENT = Moment(
    before=Before.of({}, CAPTURE, Inner()),
    names={},
    local={},
    loops={},
    settings={},
    contexts={},
    calls={},
    value=None,
    modules=(),
    owned={},
)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(ObjectStore(StoreAddress(url=(tmp_path / "store").as_uri())), KEY, "r")


class Cell:
    """A runner of one epoch whose cell has no names and writes a file."""

    def __init__(
        self, store: RunStore, folder: Path, epoch: int = 1, *, room: Callable[[], int | None] = lambda: None
    ) -> None:
        self.folder, self._work = folder / f"parts-{epoch}", folder / f"work-{epoch}"
        for made in (self.folder, self._work):
            made.mkdir(exist_ok=True)
        files = FilesBefore(self._work, ())
        believed = [RecordRef(name=n, epoch=e, bytes=b) for e in range(1, epoch) for n, b in store.records(e)]
        self.spool = SnapshotSpool(store, KEY, epoch, self.folder, files, (), lambda: 0.0, believed=believed, room=room)

    def keep(self, content: bytes) -> None:
        (self._work / "data").write_bytes(content)
        self.spool.write(MOMENT, Place(statement=1), Said(), {})
        waiting = self.spool.waiting()
        assert waiting is not None
        self.spool.ship(waiting)


def parts(store: RunStore) -> list[int]:
    """Bytes of the contents of files that are in the store, sorted; the rest of a snapshot is small."""
    return sorted(size for size in SnapshotStore(store, KEY).parts().values() if size >= KILO)


def snapshots(store: RunStore, *epochs: int) -> list[str]:
    return [name.removesuffix(".snap")[-11:] for epoch in epochs for name, _ in store.records(epoch)]


def test_the_last_two_stay(store: RunStore, tmp_path: Path) -> None:
    """Older ones go with their parts."""
    cell = Cell(store, tmp_path)
    for size in (1, 2, 3):
        cell.keep(b"x" * size * KILO)
    assert (["0001-000002", "0001-000003"], [2 * KILO, 3 * KILO]) == (snapshots(store, 1), parts(store))
    assert sum(SnapshotStore(store, KEY).parts().values()) == cell.spool.stored_bytes


def test_those_of_earlier_epochs_go(store: RunStore, tmp_path: Path) -> None:
    """As soon as there are two of this epoch; so however often a run moves, it has two."""
    for epoch in (1, 2, 3):
        cell = Cell(store, tmp_path, epoch)
        assert 2 * (epoch > 1) == len(parts(store))
        for size in (1, 2):
            cell.keep(b"%d" % epoch * size * KILO)
    assert ["0003-000001", "0003-000002"] == snapshots(store, 1, 2, 3)
    assert [KILO, 2 * KILO] == parts(store)


def test_a_fenced_runner_removes_nothing(store: RunStore, tmp_path: Path) -> None:
    """What a later epoch has left, and what it relies on, stays when one that comes back ships its last snapshot."""
    old = Cell(store, tmp_path, 1)
    for size in (1, 2):
        old.keep(b"1" * size * KILO)
    new = Cell(store, tmp_path, 2)
    store.open_epoch(
        EpochOpen(run="r", epoch=2, site="b", cores=1, memory_bytes=1, opened_at=NOW, trigger="plan", reason="")
    )
    new.keep(b"2" * 3 * KILO)
    old.keep(b"1" * 4 * KILO)
    assert [KILO, 2 * KILO, 3 * KILO, 4 * KILO] == parts(store)


def test_a_process_that_begins_once_more(store: RunStore, tmp_path: Path) -> None:
    """Its snapshots are newer than those that it has left before, and take their place."""
    for value in (b"1", b"2"):
        cell = Cell(store, tmp_path)
        for size in (1, 2, 3):
            cell.keep(value * size * KILO)
    refs = tuple(RecordRef(name=name, epoch=1, bytes=size) for name, size in store.records(1))
    newest = SnapshotStore(store, KEY).read(newest_first(refs)[0])
    assert newest.files[0].blob is not None
    assert b"2" * 3 * KILO == bytes(SnapshotStore(store, KEY).get(newest.files[0].blob))
    assert [2 * KILO, 3 * KILO] == parts(store)


def test_one_where_there_is_no_room_for_two(store: RunStore, tmp_path: Path) -> None:
    """Snapshots that are small enough by themselves take the place of the last one."""
    cell = Cell(store, tmp_path, room=lambda: 5 * KILO)
    for size in (30, 40, 45):
        cell.keep(b"x" * (size * KILO // 10))
    assert (["0001-000003"], [45 * KILO // 10]) == (snapshots(store, 1), parts(store))


def test_one_that_is_too_large(store: RunStore, tmp_path: Path) -> None:
    """It is given up with the reason, leaves nothing on the disk, and the last one stays; later ones may fit again."""
    cell = Cell(store, tmp_path, room=lambda: 5 * KILO)
    cell.keep(b"a" * 3 * KILO)
    for value in (b"b", b"c"):
        with pytest.raises(PermanentError, match=r"takes 59. KiB, and 488 KiB are left .* \(run_size\)"):
            cell.keep(value * 6 * KILO)
    assert [] == [path for path in cell.folder.iterdir() if path.is_file()]
    assert (["0001-000001"], [3 * KILO]) == (snapshots(store, 1), parts(store))
    cell.keep(b"b" * KILO)
    assert (["0001-000001", "0001-000002"], [KILO, 3 * KILO]) == (snapshots(store, 1), parts(store))


def test_records_without_room_are_left_out(store: RunStore, tmp_path: Path) -> None:
    """Those of this process and of workers; the share that is kept is known."""
    folder = tmp_path / "spool"
    folder.mkdir()
    reporter = Reporter(store, 1, folder, lambda: Progress(epoch=1, at=NOW), lambda: None)
    reporter.most_bytes = 2500
    for name in ("a.rec", "b.rec"):
        assert reporter.outbox.put(name, b"x" * 1000)
    (folder / "c.rec").write_bytes(b"x" * 1000)
    reporter.ship()
    reporter.ship()
    assert [("a.rec", 1000), ("b.rec", 1000)] == store.records(1)
    assert (1, 2 / 3, []) == (reporter.left_out, reporter.kept_share, reporter.outbox.waiting())
    (folder / "d.rec").write_bytes(b"x" * 400)
    reporter.ship()
    assert 3 == len(store.records(1))


def test_what_is_large_is_written_while_the_cell_goes_on(store: RunStore, tmp_path: Path) -> None:
    """It is shipped as it was when the cell stood still; the time that it took is told."""
    cell, told = Cell(store, tmp_path), Queue[tuple[float, str | None]]()
    w = np.arange(4_000_000.0)
    moment = replace(MOMENT, names={"w": w})
    cell.spool.write(
        moment, Place(statement=1), Said(), {"w": w}, copies_bytes=1 << 30, wrote=lambda *word: told.put(word)
    )
    w[:] = -1
    took_s, reason = told.get(timeout=60)
    assert took_s > 0
    assert reason is None
    assert cell.spool.is_busy
    snapshot = cell.spool.waiting()
    assert snapshot is not None
    cell.spool.ship(snapshot)
    assert not cell.spool.is_busy
    found = [SnapshotStore(store, KEY).get(part) for part in snapshot.payload.buffers]
    assert [np.arange(4_000_000.0).tobytes()] == [bytes(part) for part in found]


def test_copies_that_cannot_be_written(store: RunStore, tmp_path: Path) -> None:
    """The reason is told to the cell that has gone on, and the next one is written."""
    room = [1 << 20]
    cell, told = Cell(store, tmp_path, room=lambda: room[0]), Queue[tuple[float, str | None]]()
    write: dict[str, Any] = {"copies_bytes": 1 << 30, "wrote": lambda *word: told.put(word)}
    w = np.arange(4_000_000.0)
    for expected, more in (("a snapshot takes", 1 << 30), ("None", 0)):
        cell.spool.write(replace(MOMENT, names={"w": w}), Place(statement=1), Said(), {"w": w}, **write)
        assert str(told.get(timeout=60)[1]).startswith(expected)
        assert (cell.spool.waiting() is None) == (expected != "None")
        room[0] = more
        w += 1
    cell.spool.settle(0)
