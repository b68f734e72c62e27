"""The journal: which runs there are and what was decided, in sqlite. A cache that explains; the store has the truth."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from greenkernel.errors import TemporaryError, UserError

T = TypeVar("T")
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
    A disk that is full or cannot be written is no reason to do that: it is said.

    Args:
        path: The file.
        patience_s: How long to wait for another process that writes.
    """

    def __init__(self, path: Path, *, patience_s: float = 20.0) -> None:
        self.path = path
        self._patience_s = patience_s
        self._local = threading.local()
        self._open()

    def add(self, entry: Entry) -> None:
        """Know a run; one that is known already is left as it is."""
        row = (entry.id, entry.name, entry.created_at.isoformat(), entry.open, entry.state, entry.detail)
        self._write(lambda db: db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?)", row))

    def update(self, run: str, *, state: str, detail: str, is_open: bool) -> None:
        """Say where a run stands; nothing is written where nothing has changed."""
        query = (
            "UPDATE runs SET state = ?1, detail = ?2, open = ?3 WHERE id = ?4"
            " AND (state != ?1 OR detail != ?2 OR open != ?3)"
        )
        self._write(lambda db: db.execute(query, (state, detail, is_open, run)))

    def entries(self, *, only_open: bool = False) -> list[Entry]:
        """Known runs, newest first."""
        query = "SELECT id, name, created_at, open, state, detail FROM runs"
        query += " WHERE open" if only_open else ""
        rows = self._read(f"{query} ORDER BY created_at DESC, id")
        return [_entry(row) for row in rows]

    def note(self, run: str, text: str, at: datetime | None = None) -> None:
        """Write down what was decided or seen."""
        row = (run, (at or datetime.now(UTC)).isoformat(), text)
        self._write(lambda db: db.execute("INSERT INTO events VALUES (?, ?, ?)", row))

    def notes(self, run: str) -> list[tuple[datetime, str]]:
        """What was written down of a run, in order."""
        rows = self._read("SELECT at, text FROM events WHERE run = ? ORDER BY at, rowid", run)
        return [(datetime.fromisoformat(at), text) for at, text in rows]

    def forget(self, runs: Sequence[str]) -> None:
        """Remove runs that are gone from the store."""

        def remove(db: sqlite3.Connection) -> None:
            for run in runs:
                db.execute("DELETE FROM runs WHERE id = ?", (run,))
                db.execute("DELETE FROM events WHERE run = ?", (run,))

        self._write(remove)

    def _open(self) -> None:
        try:
            self._prepare()
        except sqlite3.OperationalError as e:  # the file may be whole
            raise self._unusable(e) from e
        except sqlite3.DatabaseError:
            self._put_aside()
            self._prepare()

    def _prepare(self) -> None:
        with closing(self._connect()) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise sqlite3.DatabaseError(f"the journal is of version {version}")
            (state,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_VERSION}")
            db.commit()

    def _put_aside(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        for suffix in ("", "-wal", "-shm"):
            try:
                Path(f"{self.path}{suffix}").rename(f"{self.path}.damaged-{stamp}{suffix}")
            except FileNotFoundError:
                continue
            except OSError as e:
                raise self._unusable(e) from e

    def _unusable(self, error: Exception) -> UserError:
        return UserError(
            f"the journal {self.path} cannot be used ({error})",
            what_to_do=f"See to it that {self.path.parent} can be written and that its disk has room",
        )

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=self._patience_s)
        # A cache need not survive a power cut: no wait for the disk at each line.
        db.execute("PRAGMA synchronous = OFF")
        return db

    def _db(self) -> sqlite3.Connection:
        """This thread's connection; a new one where somebody has put the file aside, or has removed it."""
        if getattr(self._local, "file", None) is None or self._local.file != self._file():
            self._open()
            self._local.held, self._local.file = _Held(self._connect()), self._file()
        held: _Held = self._local.held
        return held.db

    def _file(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return None

    def _write(self, act: Callable[[sqlite3.Connection], object]) -> None:
        def whole(db: sqlite3.Connection) -> None:
            with db:
                act(db)

        self._do(whole)

    def _read(self, query: str, *values: str) -> list[Any]:
        return self._do(lambda db: db.execute(query, values).fetchall())

    def _do(self, act: Callable[[sqlite3.Connection], T]) -> T:
        try:
            try:
                return act(self._db())
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:  # it was damaged while it was in use
                self._local.file = None
                return act(self._db())
        except sqlite3.OperationalError as e:
            raise TemporaryError(str(self._unusable(e))) from e


class _Held:
    """Closes a connection that nobody has any more; by itself it would wait for the garbage collector, files open."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # it is another thread's
            self.db.close()


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
