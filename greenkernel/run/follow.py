"""What a run says while it goes on, read from the store in order; what repeated work prints again is shown once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from greenkernel.store.runs import LogEvent, RunStore

# So much of what was shown is remembered per stream to recognise a repetition.
_REMEMBERED = 4_000_000
_PIECES = 1000


@dataclass(slots=True)
class _Shown:
    """What one stream has shown, and how far the present epoch has repeated it."""

    text: str = ""
    position: int = 0
    repeating: bool = False
    # What came since: joined now and then only, because each joining copies all of it.
    _pieces: list[str] = field(default_factory=list)

    def repeat(self) -> None:
        """An epoch begins, which may print the same again."""
        self._join()
        self.position, self.repeating = 0, True

    def take(self, text: str) -> str:
        """The part of ``text`` that is new."""
        if self.repeating:
            left = self.text[self.position : self.position + len(text)]
            same = _common(left, text)
            self.position += same
            text = text[same:]
            if not text:
                return ""
            self.repeating = False
        self._pieces.append(text)
        if len(self._pieces) >= _PIECES:
            self._join()
        return text

    def _join(self) -> None:
        self.text = "".join((self.text, *self._pieces))[-_REMEMBERED:]
        self._pieces.clear()


@dataclass(slots=True)
class Merger:
    """Joins the output of a run's epochs into what one undisturbed run would have shown."""

    _streams: dict[str, _Shown] = field(default_factory=dict)
    # Hashes: a day of pictures must not stay in the kernel's memory.
    _displays: list[bytes] = field(default_factory=list)
    _display: int = 0
    _epoch: int = 1

    def feed(self, epoch: int, events: Iterable[LogEvent]) -> Iterator[LogEvent]:
        """Events of an epoch (epochs in order) -> those to be shown."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._display = 0
            for shown in self._streams.values():
                shown.repeat()
        for event in events:
            if event.kind in ("stdout", "stderr"):
                text = self._streams.setdefault(event.kind, _Shown()).take(event.text)
                if text:
                    yield replace(event, text=text)
            elif self._is_new_display(event):
                yield event

    def _is_new_display(self, event: LogEvent) -> bool:
        whole = json.dumps([event.kind, event.data, event.wait], sort_keys=True, default=str)
        looks = hashlib.blake2b(whole.encode(), digest_size=16).digest()
        repeated = self._display < len(self._displays) and self._displays[self._display] == looks
        if not repeated:
            del self._displays[self._display :]
            self._displays.append(looks)
        self._display += 1
        return not repeated


class Follower:
    """Reads a run's log from the store, from the beginning, without showing anything twice."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._merger = Merger()
        self._epoch = 1
        self._after = 0

    def poll(self) -> list[LogEvent]:
        """What is new since the last call."""
        found: list[LogEvent] = []
        while True:
            # Asked first: whatever the epoch has said was there before the next one was opened.
            is_last = self._store.epoch(self._epoch + 1) is None
            for sequence, events in self._store.logs(self._epoch, after=self._after):
                self._after = sequence
                found += self._merger.feed(self._epoch, events)
            if is_last:
                return found
            self._epoch, self._after = self._epoch + 1, 0


def _common(a: str, b: str) -> int:
    """Length of the common beginning."""
    if a == b:
        return len(a)
    for index, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return index
    return min(len(a), len(b))
