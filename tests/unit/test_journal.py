"""The journal: a cache that explains, and that may be lost."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenkernel.errors import TemporaryError, UserError
from greenkernel.run.journal import Entry, Journal

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def entry(run: str, *, is_open: bool = True) -> Entry:
    return Entry(id=run, name="n", created_at=NOW, open=is_open, state="running", detail="")


def test_entries_and_notes(tmp_path: Path) -> None:
    """Runs are known once, updated in place, and explained by their notes in order."""
    journal = Journal(tmp_path / "journal.sqlite")
    journal.add(entry("a"))
    journal.add(entry("a"))
    journal.update("a", state="done", detail="fine", is_open=False)
    journal.note("a", "first", NOW)
    journal.note("a", "second", NOW)
    assert [("a", "done", "fine", False)] == [(e.id, e.state, e.detail, e.open) for e in journal.entries()]
    assert [] == journal.entries(only_open=True)
    assert ["first", "second"] == [text for _, text in journal.notes("a")]
    journal.forget(["a"])
    assert [] == journal.entries()


def test_two_processes_worth_of_journals(tmp_path: Path) -> None:
    """What one writes the other sees."""
    one, two = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    one.add(entry("a"))
    assert ["a"] == [e.id for e in two.entries()]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_journal_that_nobody_has_is_closed(tmp_path: Path) -> None:
    """At once, so that its disk can be taken away."""
    journal = Journal(tmp_path / "journal.sqlite")
    journal.add(entry("a"))

    def held() -> list[Path]:
        links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return [path for path in links if str(path.readlink()).startswith(str(tmp_path))]

    assert held()
    del journal
    assert [] == held()


@pytest.mark.parametrize("damage", ["garbage", "newer"])
def test_a_journal_that_cannot_be_used_is_put_aside(damage: str, tmp_path: Path) -> None:
    """A damaged journal, or one of a newer version, is kept beside and a new one is begun."""
    path = tmp_path / "journal.sqlite"
    if damage == "garbage":
        path.write_bytes(b"not a database" * 100)
    else:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
    Journal(path).add(entry("a"))
    assert ["a"] == [e.id for e in Journal(path).entries()]
    assert 1 == len([p for p in tmp_path.iterdir() if "damaged" in p.name])


def _damaged_inside(path: Path) -> None:
    """Its first page is whole, so that it opens."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def test_damage_behind_the_first_page(tmp_path: Path) -> None:
    """It is found when the journal is opened."""
    path = tmp_path / "journal.sqlite"
    Journal(path).add(entry("a"))
    _damaged_inside(path)
    assert [] == Journal(path).entries()
    assert [path.name] == [p.name for p in tmp_path.iterdir() if p.suffix == ".sqlite"]


@pytest.mark.parametrize("fault", ["damaged", "removed"])
def test_a_journal_that_is_lost_while_it_is_in_use(fault: str, tmp_path: Path) -> None:
    """Whoever has it open goes on with the new one, and sees what others write there."""
    path = tmp_path / "journal.sqlite"
    one, two = Journal(path), Journal(path)
    one.add(entry("a"))
    two.note("a", "seen")
    if fault == "damaged":
        _damaged_inside(path)
    else:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(f"journal.sqlite{suffix}").unlink(missing_ok=True)
    one.add(entry("b"))
    two.add(entry("c"))
    assert {"b", "c"} == {e.id for e in one.entries()} - {"a"}
    assert {"b", "c"} == {e.id for e in two.entries()} - {"a"}


def test_a_journal_that_another_holds_is_not_put_aside(tmp_path: Path) -> None:
    """It is whole: who comes too late is told so, and finds everything there later."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, patience_s=0.1)
    journal.add(entry("a"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TemporaryError, match=r"cannot be used \(database is locked\)\. See to it"):
            journal.add(entry("b"))
        with pytest.raises(UserError, match="database is locked"):
            Journal(path, patience_s=0.1)
    assert ["a"] == [e.id for e in Journal(path).entries()]
    assert [] == [p for p in tmp_path.iterdir() if "damaged" in p.name]
