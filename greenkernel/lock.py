"""A lock between processes that is gone with them, on every system: transactions of sqlite on a file of its own."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from greenkernel.errors import UserError


class Lock:
    """Held by one (`take`) or by many at once (`share`).

    Args:
        path: The file.

    Raises:
        UserError: The file cannot be used at all; so do `take` and `share`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.OperationalError as e:
            raise self._unusable(e) from e

    def take(self, *, patience_s: float = 0.0) -> bool:
        """Hold it alone; False where somebody else has held it for ``patience_s`` seconds."""
        return self._begin(patience_s, "BEGIN EXCLUSIVE")

    def share(self, *, patience_s: float = 0.0) -> bool:
        """Hold it with others that share it; False where one has held it alone for ``patience_s`` seconds."""
        return self._begin(patience_s, "BEGIN", "SELECT 1 FROM sqlite_master")

    def release(self) -> None:
        """Let go."""
        self._db.close()

    def _begin(self, patience_s: float, *statements: str) -> bool:
        try:
            self._db.execute(f"PRAGMA busy_timeout = {round(patience_s * 1000)}")
            for statement in statements:
                self._db.execute(statement).fetchall()
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                return False
            raise self._unusable(e) from e
        return True

    def _unusable(self, error: Exception) -> UserError:
        return UserError(
            f"the lock {self._path} cannot be used ({error})",
            what_to_do="See to it that the home folder can be written and that its disk has room",
        )
