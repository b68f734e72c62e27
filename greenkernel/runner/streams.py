"""Everything that the cell, its child processes and its C libraries print, as events in the order in which it came.

Text of Python's own streams goes straight out. The descriptors 1 and 2 lead into pipes, which are emptied by a thread
and before each text of Python's: what a subprocess has written before a ``print`` comes before it.
"""

from __future__ import annotations

import codecs
import ctypes
import io
import os
import select
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

from greenkernel.store.runs import LogEvent

Stream = Literal["stdout", "stderr"]
_CHUNK = 65536
_NAMES: tuple[Stream, Stream] = ("stdout", "stderr")


class Streams:
    """Takes over stdout and stderr inside ``with``.

    Args:
        emit: Gets the events; called from several threads, one at a time.
    """

    def __init__(self, emit: Callable[[LogEvent], None]) -> None:
        self._emit = emit
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")(errors="replace") for name in _NAMES}
        self._saved: list[tuple[int, int]] = []
        self._readers: dict[Stream, int] = {}
        self._kept: tuple[Any, Any] = (sys.stdout, sys.stderr)
        self._wake, self._wakeup = os.pipe()
        self._thread = threading.Thread(target=self._pump, name="greenkernel-streams", daemon=True)

    def __enter__(self) -> Streams:
        self._kept = sys.stdout, sys.stderr
        for kept in self._kept:
            kept.flush()
        for name, descriptor in zip(_NAMES, (1, 2), strict=True):
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self._saved.append((descriptor, os.dup(descriptor)))
            os.dup2(writer, descriptor)
            os.close(writer)
            self._readers[name] = reader
        sys.stdout, sys.stderr = CellStream(self, "stdout"), CellStream(self, "stderr")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout, sys.stderr = self._kept
        for kept in self._kept:
            kept.flush()
        _flush_c()
        os.write(self._wakeup, b"x")
        self._thread.join()
        with self._lock:
            self.drain()
            for descriptor, saved in self._saved:
                os.dup2(saved, descriptor)
                os.close(saved)
            self.drain()
        for name in _NAMES:
            rest = self._decoders[name].decode(b"", final=True)
            if rest:
                self._send(name, rest)
        for descriptor in (*self._readers.values(), self._wake, self._wakeup):
            os.close(descriptor)

    def write(self, name: Stream, text: str) -> None:
        """Text of Python's own stream."""
        if os.getpid() != self._pid:  # a forked child: its events would stay in its memory
            os.write(_NAMES.index(name) + 1, text.encode("utf-8", "replace"))
            return
        with self._lock:
            self.drain()
            self._send(name, text)

    def event(self, event: LogEvent) -> None:
        """Something else that takes its place among the text."""
        with self._lock:
            self.drain()
            self._emit(event)

    def drain(self) -> None:
        """Take what lies in the pipes."""
        with self._lock:
            for name, reader in self._readers.items():
                while data := _read(reader):
                    text = self._decoders[name].decode(data)
                    if text:
                        self._send(name, text)

    def _send(self, name: Stream, text: str) -> None:
        self._emit(LogEvent(at=datetime.now(UTC), kind=name, text=text))

    def _pump(self) -> None:
        while True:
            ready, _, _ = select.select([*self._readers.values(), self._wake], [], [])
            if self._wake in ready:
                return
            self.drain()


class CellStream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of the cell.

    Args:
        streams: Where text goes.
        name: Which of the two.
    """

    def __init__(self, streams: Streams, name: Stream) -> None:
        self._streams = streams
        self._name: Stream = name
        self.name = f"<{name}>"
        self.buffer = _Bytes(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Always UTF-8."""
        return "UTF-8"

    def write(self, text: str) -> int:
        """Send text at once."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self._streams.write(self._name, text)
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """It is not a terminal."""
        return False

    def fileno(self) -> int:
        """The descriptor that child processes write to."""
        return _NAMES.index(self._name) + 1

    def flush(self) -> None:
        """Take what others have written into the descriptor."""
        self._streams.drain()


class _Bytes(io.RawIOBase):
    """``sys.stdout.buffer``."""

    def __init__(self, stream: CellStream) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._stream.write(bytes(view).decode("utf-8", "replace"))
        return view.nbytes

    def writable(self) -> bool:
        return True


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, _CHUNK)
    except BlockingIOError:
        return b""


def _flush_c() -> None:
    """What C libraries hold back in their own buffers."""
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)
