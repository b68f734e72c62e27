"""The journal: which runs there are and what was decided, in sqlite. A cache that explains; the store has the truth."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created_at TEXT NOT NULL, open INTEGER NOT NULL,
    state TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    run TEXT NOT NULL, at TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_run ON events (run, at);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A run as the journal knows it."""

    id: str
    name: str
    created_at: datetime
    open: bool
    state: str
    detail: str


class Journal:
    """One file per home, shared by kernels and controller.

    A damaged file, or one of a newer version, is put aside and a new one is begun: `sync` fills it from the store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        try:
            self._prepare()
        except sqlite3.DatabaseError:
            self._put_aside()
            self._prepare()

    def add(self, entry: Entry) -> None:
        """Know a run; one that is known already is left as it is."""
        row = (entry.id, entry.name, entry.created_at.isoformat(), entry.open, entry.state, entry.detail)
        with self._write() as db:
            db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?)", row)

    def update(self, run: str, *, state: str, detail: str, is_open: bool) -> None:
        """Say where a run stands; nothing is written where nothing has changed."""
        with self._write() as db:
            db.execute(
                "UPDATE runs SET state = ?1, detail = ?2, open = ?3 WHERE id = ?4"
                " AND (state != ?1 OR detail != ?2 OR open != ?3)",
                (state, detail, is_open, run),
            )

    def entries(self, *, only_open: bool = False) -> list[Entry]:
        """Known runs, newest first."""
        query = "SELECT id, name, created_at, open, state, detail FROM runs"
        query += " WHERE open" if only_open else ""
        rows = self._db().execute(f"{query} ORDER BY created_at DESC, id").fetchall()
        return [_entry(row) for row in rows]

    def note(self, run: str, text: str, at: datetime | None = None) -> None:
        """Write down what was decided or seen."""
        with self._write() as db:
            db.execute("INSERT INTO events VALUES (?, ?, ?)", (run, (at or datetime.now(UTC)).isoformat(), text))

    def notes(self, run: str) -> list[tuple[datetime, str]]:
        """What was written down of a run, in order."""
        rows = self._db().execute("SELECT at, text FROM events WHERE run = ? ORDER BY at, rowid", (run,)).fetchall()
        return [(datetime.fromisoformat(at), text) for at, text in rows]

    def forget(self, runs: Sequence[str]) -> None:
        """Remove runs that are gone from the store."""
        with self._write() as db:
            for run in runs:
                db.execute("DELETE FROM runs WHERE id = ?", (run,))
                db.execute("DELETE FROM events WHERE run = ?", (run,))

    def _prepare(self) -> None:
        with closing(self._connect()) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise sqlite3.DatabaseError(f"the journal is of version {version}")
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_VERSION}")
            db.commit()

    def _put_aside(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").rename(f"{self.path}.damaged-{stamp}{suffix}")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=20.0)
        # A cache need not survive a power cut: no wait for the disk at each line.
        db.execute("PRAGMA synchronous = OFF")
        return db

    def _db(self) -> sqlite3.Connection:
        if getattr(self._local, "db", None) is None:
            self._local.db = self._connect()
        db: sqlite3.Connection = self._local.db
        return db

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._db() as db:
            yield db


def _entry(row: tuple[str, str, str, int, str, str]) -> Entry:
    run, name, created_at, is_open, state, detail = row
    return Entry(
        id=run,
        name=name,
        created_at=datetime.fromisoformat(created_at),
        open=bool(is_open),
        state=state,
        detail=detail,
    )
