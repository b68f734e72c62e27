"""What a run says while it goes on, read from the store in order; what repeated work prints again is shown once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from greenkernel.store.runs import LogEvent, RunStore

# So much of what was shown is remembered per stream to recognise a repetition.
_REMEMBERED = 4_000_000
_PIECES = 1000
_STREAMS: tuple[Literal["stdout"], Literal["stderr"]] = ("stdout", "stderr")
_IN_TIMES = "0123456789.:-e "
_ENDS = ("\n", "\r")
_UNITS = "s|secs?|seconds?|ms|milliseconds?|us|µs|μs|ns|m|mins?|minutes?|h|hrs?|hours?"
# 3.1 s, 1e-05 seconds, 12:03:59, 2026-01-05
_TIMES = re.compile(
    rf"[ ]*(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?\s*(?:{_UNITS})\b|\d{{1,2}}(?::\d\d){{1,2}}(?:\.\d+)?|\d{{4}}-\d\d-\d\d)"
)


@dataclass(slots=True)
class _Shown:
    """What one stream has shown, and how far the present epoch has repeated it.

    An epoch prints from the beginning of the cell, or from where it goes on. Lines are compared, times in them aside:
    what took 3.1 s at first may take 2.9 s the next time. From the first other difference on everything is shown again.
    """

    text: str = ""
    position: int = 0
    repeating: bool = False
    # Characters shown before ``text``, which are not remembered.
    forgotten: int = 0
    # Characters that the cell has printed, by its own count; and where that stands in what is shown, if they differ:
    # from the count at the left on, so many more are shown than were counted.
    counted: int = 0
    shifts: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    # Of the present line: what has come and was shown before, and what has come and is not compared yet.
    _begun: str = ""
    held: str = ""
    # What came since: joined now and then only, because each joining copies all of it.
    _pieces: list[str] = field(default_factory=list)

    def repeat(self, count: int = 0) -> None:
        """What follows may be the same again, from where the cell had printed ``count`` characters."""
        self._join()
        self.shifts = [one for one in self.shifts if one[0] <= count] or [(0, 0)]
        self.counted = count
        self.position = count + self.shifts[-1][1] - self.forgotten
        self.repeating = 0 <= self.position <= len(self.text)
        self._begun = self.held = ""

    def take(self, text: str) -> str:
        """The part of ``text`` that is new."""
        self.counted += len(text)
        if self.repeating:
            self.held += text
            text = self._differing()
            if self.repeating:
                return ""
            self._ends_with(text)
            if not text:
                return ""
        self._pieces.append(text)
        if len(self._pieces) >= _PIECES:
            self._join()
        return text

    def _differing(self) -> str:
        """What of the held text is to be shown; while it repeats what was shown, nothing is."""
        while self.held:
            if self.position >= len(self.text):
                return self._new(self.held)
            before = self.text[self.position : _line_end(self.text, self.position)]
            now = self.held[: _line_end(self.held, 0)]
            if before[-1] not in _ENDS and now.startswith(before):  # so far had the epoch before come
                return self._new(self.held[len(before) :])
            if now[-1] in _ENDS:
                if before != now and _without_times(before) != _without_times(now):
                    return self._new(self._line_again() + self.held)
                self.position += len(before)
                self._begun, self.held = "", self.held[len(now) :]
                self._shift()
            elif before.startswith(now):
                self.position += len(now)
                self._begun, self.held = self._begun + now, ""
            elif not _may_become_same(before, now):
                return self._new(self._line_again() + self.held)
            else:
                return ""  # the rest of the line decides
        return ""

    def _shift(self) -> None:
        """Lines of which only times differ may be of different lengths."""
        more = self.forgotten + self.position - (self.counted - len(self.held))
        if more != self.shifts[-1][1]:
            self.shifts.append((self.counted - len(self.held), more))

    def _line_again(self) -> str:
        """What stands before a line that is shown although it differs in its middle or behind an unfinished one."""
        return ("" if self.text.endswith(_ENDS) else "\n") + self._begun

    def _new(self, text: str) -> str:
        self.repeating, self.held, self._begun = False, "", ""
        return text

    def rest(self) -> str:
        """What was held back to be compared, where nothing more comes to compare it with."""
        if not self.held:
            return ""
        text = self._new(self._line_again() + self.held)
        self._ends_with(text)
        self._pieces.append(text)
        return text

    def _ends_with(self, text: str) -> None:
        """It is known again what is shown of all that was counted: it will end with this text."""
        self.shifts.append((self.counted, self.forgotten + len(self.text) + len(text) - self.counted))

    def _join(self) -> None:
        whole = "".join((self.text, *self._pieces))
        self.forgotten += max(0, len(whole) - _REMEMBERED)
        self.text = whole[-_REMEMBERED:]
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
        for event in events:
            if event.kind == "go_on":
                self._epoch = epoch
                yield from self._go_on(event.data or {}, event.at)
                continue
            if epoch != self._epoch:
                self._epoch = epoch
                yield from self._go_on({"stdout": 0, "stderr": 0, "displays": 0}, event.at)
            if event.kind in _STREAMS:
                text = self._streams.setdefault(event.kind, _Shown()).take(event.text)
                if text:
                    yield replace(event, text=text)
            elif self._is_new_display(event):
                yield event

    def _go_on(self, said: Mapping[str, Any], at: datetime) -> Iterator[LogEvent]:
        """Until now the cell had printed and shown so much, and what it says next comes after that.

        What is still held back to be compared is shown where it comes before that.
        """
        for kind in _STREAMS:
            shown = self._streams.setdefault(kind, _Shown())
            if said[kind] >= shown.counted and (text := shown.rest()):
                yield LogEvent(at=at, kind=kind, text=text)
            shown.repeat(said[kind])
        self._display = min(said["displays"], len(self._displays))

    def holds(self) -> bool:
        """True where text waits for the rest of its line."""
        return any(shown.held for shown in self._streams.values())

    def rest(self, at: datetime) -> Iterator[LogEvent]:
        """What is left to be shown of the last epoch, which has ended."""
        for kind in _STREAMS:
            if kind in self._streams and (text := self._streams[kind].rest()):
                yield LogEvent(at=at, kind=kind, text=text)

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
                if self._merger.holds() and (result := self._store.result()) is not None:
                    found += self._merger.rest(result.finished_at)
                return found
            self._epoch, self._after = self._epoch + 1, 0


def _line_end(text: str, start: int) -> int:
    """Where the line ends that begins at ``start``: behind its end sign, or where the text ends."""
    ends = [at + 1 for sign in _ENDS if (at := text.find(sign, start)) >= 0]
    return min(ends, default=len(text))


def _may_become_same(line: str, beginning: str) -> bool:
    """True where the first difference may turn out to be one between times."""
    at = next((i for i, (one, other) in enumerate(zip(line, beginning, strict=False)) if one != other), -1)
    return line[at] in _IN_TIMES or beginning[at] in _IN_TIMES


def _without_times(line: str) -> str:
    return _TIMES.sub("#", line)
