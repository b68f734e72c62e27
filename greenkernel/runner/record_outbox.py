"""Records of tasks that ran in this process, on their way to the store without a file in between."""

from __future__ import annotations

import threading

# What waits beyond this, because the store is slow, goes to the disk.
_MOST_BYTES = 64 << 20


class Outbox:
    """Filled by the threads of tasks, emptied by the reporter's."""

    def __init__(self) -> None:
        self._waiting: dict[str, bytes] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, name: str, record: bytes) -> bool:
        """Take a sealed record; False where too much waits already."""
        with self._lock:
            if self._bytes + len(record) > _MOST_BYTES:
                return False
            self._waiting[name] = record
            self._bytes += len(record)
            return True

    def waiting(self) -> list[tuple[str, bytes]]:
        """What is to be shipped."""
        with self._lock:
            return list(self._waiting.items())

    def shipped(self, name: str) -> None:
        """One is in the store."""
        with self._lock:
            self._bytes -= len(self._waiting.pop(name))
