"""What the loops of a woven statement call: where a round ends something may be done, and mostly nothing is.

Between two points at which something is due a loop runs in the interpreter alone: `map` takes a tick from a list for
each round, and who wants to be called at the end of the present one empties the list.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from greenkernel.runner.record_length import known_length
from greenkernel.runner.snapshots.contexts import Contexts
from greenkernel.runner.snapshots.sources import MOST_COUNTED, Seen, is_plain, kept_by, note
from greenkernel.runner.snapshots.weave import Loop, targets_of, value_of_target, withs_around
from greenkernel.store.imports import silence
from greenkernel.store.snapshots import LoopPlace

_FIRST_TICKS, _MOST_TICKS = 16, 1 << 16
_BLOCK, _QUICK_ROUND_S = 256, 2e-6
# A loop inside of a loop that begins anew so often is none to stop at: the outer one is.
_MANY, _QUICK_S = 200, 0.001


@dataclass(frozen=True, slots=True)
class Entry:
    """How a loop is entered that was under way; ``source`` is the rest of what it goes over, where that is known."""

    place: LoopPlace
    source: Iterator[Any] | None
    innermost: bool
    total: int | None = None


class Board:
    """The loops of one statement, or of one call of a function.

    Args:
        block: The statement, or the body of the function.
        loops: Its loops in the order of their numbers.
        due: Is called at the end of a round, if anything is due, with the number of the loop and the frame it is in.
        entries: By number, how to enter loops that were under way.
        entered: Is called when the innermost of them has been entered.
        differs: Is called where data that were made once more are not the same; it does not return.
    """

    def __init__(
        self,
        block: Sequence[ast.stmt],
        loops: Sequence[Loop],
        due: Callable[[int, Any], None],
        *,
        contexts: Contexts,
        entries: dict[int, Entry] | None = None,
        entered: Callable[[], None] = lambda: None,
        differs: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.block = block
        self.loops = loops
        self.due = due
        self.contexts = contexts
        self.entries = entries or {}
        self.entered = entered
        self.differs = differs
        self.entering = bool(self.entries)
        self.quiet = contextlib.ExitStack()
        self.armed = False
        self.lock = threading.Lock()
        self.hooks: list[ForHook | WhileHook] = [
            ForHook(self, number, loop) if isinstance(loop, ast.For) else WhileHook(self, number)
            for number, loop in enumerate(loops)
        ]

    def named(self) -> dict[str, object]:
        """The hooks by the names that `weave.fitted` wants."""
        return {**{str(n): hook for n, hook in enumerate(self.hooks)}, "guard": Guard(self), "with": self.contexts}

    def arm(self, *, on: bool) -> None:
        """From the end of the present round on, call at each one; or no longer. May be called from any thread."""
        with self.lock:
            self.armed = on
            for hook in self.hooks:
                hook.arm(on=on)

    def trouble(self, number: int) -> str | None:
        """Why the loops around one, or itself, cannot be entered in the middle; None where they can."""
        reasons = (self.hooks[one].trouble() for one in self.chain(number))
        outside = (self.contexts.trouble(one) for one in withs_around(self.loops[number], self.block))
        return next((reason for reason in (*reasons, *outside) if reason is not None), None)

    def chain(self, number: int) -> list[int]:
        """The loops around one, outermost first, and itself."""
        loop = self.loops[number]
        return [n for n, other in enumerate(self.loops[: number + 1]) if any(one is loop for one in ast.walk(other))]


class Guard:
    """Says whether statements are passed for the first time."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def first(self) -> bool:
        """On the way into the innermost loop."""
        return self._board.entering

    def later(self) -> bool:
        """In the rounds to come."""
        return not self._board.entering

    def quiet(self) -> None:
        """Data are about to be made once more: what is printed for it has been printed."""
        if self._board.entering:
            self._board.quiet.enter_context(silence())


class ForHook:
    """A ``for`` loop.

    Attributes:
        source: What is left of what it goes over.
        seen: What it was given, where its data are counted.
        why_not: Why its place cannot travel; None where it can.
        total: How many rounds it has; None where that is not known.
        has_begun: True once it has been entered.
        over: What the woven loop calls with its data.
    """

    def __init__(self, board: Board, number: int, loop: ast.For) -> None:
        self._board = board
        self._number = number
        self._loop = loop
        self._ticks: list[None] = []
        self._starts = 0
        self._first_start_s = 0.0
        self.source: Iterator[Any] = iter(())
        self.seen: Seen | None = None
        self.why_not: str | None = None
        self.total: int | None = None
        self.has_begun = False
        self.over: Callable[[Any], Iterator[Any]] = self._over

    def arm(self, *, on: bool) -> None:
        """See `Board.arm`."""
        if on:
            self._ticks.clear()

    def place(self) -> LoopPlace:
        """Where it is."""
        if self.seen is None:
            return LoopPlace(number=self._number)
        return LoopPlace(number=self._number, counted=True, done=self.seen.count, digest=self.seen.digest)

    def trouble(self) -> str | None:
        """Why its place cannot travel now."""
        if self.seen is not None and self.seen.count > MOST_COUNTED:
            return f"it has more than {MOST_COUNTED} rounds over data that are made anew by a move"
        return self.why_not

    def left(self) -> int | None:
        """Rounds to come, as far as that can be told."""
        if self.seen is not None:
            return None if self.total is None else self.total - self.seen.count
        return known_length(self.source) if is_plain(self.source) else None

    @property
    def targets(self) -> list[str]:
        """The names that it binds."""
        return targets_of(self._loop) or []

    def names_bound(self, frame: Any) -> bool:
        """False where the body has deleted what the loop had bound."""
        bound: bool = set(self.targets) <= set(frame.f_locals)
        return bound

    def _over(self, data: Any) -> Iterator[Any]:
        entry = self._board.entries.pop(self._number, None)
        self.has_begun = True
        source = entry.source if entry is not None and entry.source is not None else iter(data)
        self.total = _length_of(data) if entry is None or entry.source is None else entry.total
        how = kept_by(source)
        self.why_not = None if how in ("itself", "counted") else how
        self.seen = Seen() if how == "counted" else None
        self.source = source if self.seen is None else note(source, self.seen)
        if entry is None:
            self._watch_starts()
            return itertools.chain.from_iterable(self._chunks())
        self._go_to(entry)
        self._board.quiet.close()
        if entry.innermost:
            self._board.entering = False
            self._board.entered()
            return itertools.chain.from_iterable(self._chunks())
        # The present round's item is bound already, or to what the body has made of it.
        present = value_of_target(self._loop, sys._getframe(1).f_locals)
        return itertools.chain([present], itertools.chain.from_iterable(self._chunks()))

    def _go_to(self, entry: Entry) -> None:
        if not entry.place.counted:
            return
        self._board.quiet.enter_context(silence())
        for _ in range(entry.place.done):
            next(self.source, None)
        if self.seen is None or self.seen.digest != entry.place.digest:
            self._board.differs("a loop's data are not the same when they are made once more")

    def _watch_starts(self) -> None:
        self._starts += 1
        if self._starts == 1:
            self._first_start_s = time.monotonic()
        elif self._starts == _MANY and len(self._board.chain(self._number)) > 1:
            quick = time.monotonic() - self._first_start_s < _MANY * _QUICK_S
            self.over = iter if quick else self.over

    def _chunks(self) -> Iterator[Iterator[Any]]:
        count = _FIRST_TICKS
        quick = False
        source = self.source
        while True:
            if self._board.armed:
                self._board.due(self._number, sys._getframe(1))
            began = time.monotonic()
            if self._board.armed or quick:
                item = next(source, self)
                if item is self:
                    return
                yield iter((item,))
                if not self._board.armed:
                    # Rounds so quick that a tick each would cost too much: a block of them takes no time.
                    yield itertools.islice(source, _BLOCK)
                    quick = time.monotonic() - began < _BLOCK * _QUICK_ROUND_S
                continue
            self._ticks = ticks = [None] * count
            left = iter(ticks)
            # What an empty dict gets for any key is the second argument: the item.
            yield map({}.get, left, source)  # type: ignore[arg-type]
            if next(left, self) is not self:
                return  # ticks are left, so the source has ended
            # Only of the language's own iterators it is known that they may be asked again after their end. Where the
            # ticks were taken away nobody knows how many rounds there were.
            took_s = time.monotonic() - began
            quick = is_plain(source) and not self._board.armed and took_s < count * _QUICK_ROUND_S
            count = min(_MOST_TICKS, count * 2)


def _length_of(data: Any) -> int | None:
    try:
        return known_length(data)
    # Some have a length that they do not know, and say so by raising.
    except Exception:
        return None


class WhileHook:
    """A ``while`` loop; ``point`` is what it calls before each round, and gives False."""

    def __init__(self, board: Board, number: int) -> None:
        self._board = board
        self._number = number
        self.point: Callable[[], bool] = bool

    def arm(self, *, on: bool) -> None:
        """See `Board.arm`."""
        self.point = self._point if on else bool

    def place(self) -> LoopPlace:
        """Where it is: its names say it all."""
        return LoopPlace(number=self._number)

    def trouble(self) -> str | None:
        """None: it always travels."""
        return None

    def left(self) -> int | None:
        """Nobody knows."""
        return None

    def names_bound(self, frame: Any) -> bool:
        """It binds none."""
        return True

    def goes_on(self) -> bool:
        """True where it is entered in the middle of a round, whose test has been passed; else a point like others."""
        entry = self._board.entries.pop(self._number, None)
        if entry is None or entry.innermost:
            if entry is not None:
                self._board.entering = False
                self._board.entered()
            elif self._board.armed:
                self._board.due(self._number, sys._getframe(1))
            return False
        return True

    def _point(self) -> bool:
        self._board.due(self._number, sys._getframe(1))
        return False
