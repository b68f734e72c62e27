"""The journal: a cache that explains, and that may be lost."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

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
