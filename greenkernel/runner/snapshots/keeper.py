"""Keeps what a running cell has computed: takes snapshots where it can be gone on with, and goes on from one.

The cell's own thread takes them, between two statements or two rounds of a loop, when a second thread has found that
one is due. Whatever goes wrong with it is no matter of the cell's: there is then no snapshot, and a reason.
"""

from __future__ import annotations

import ast
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType, FrameType
from typing import Any, Protocol

from greenkernel.errors import GreenKernelError
from greenkernel.osfacts import tree_usage
from greenkernel.runner.collect import Before
from greenkernel.runner.snapshots.contexts import Contexts
from greenkernel.runner.snapshots.dangers import danger
from greenkernel.runner.snapshots.functions import Source, Values, source_of
from greenkernel.runner.snapshots.hooks import Board, Entry, ForHook
from greenkernel.runner.snapshots.pace import Pace
from greenkernel.runner.snapshots.sizes import array_bytes
from greenkernel.runner.snapshots.state import Moment, Restored
from greenkernel.runner.snapshots.warned import remembered
from greenkernel.runner.snapshots.weave import (
    call_in,
    entered,
    fitted,
    loops_in,
    with_call_entered,
    with_call_woven,
    woven,
)
from greenkernel.runner.surroundings import Surroundings
from greenkernel.runner.surroundings import Taken as SettingsTaken
from greenkernel.store.returned import OF_THE_INTERPRETER
from greenkernel.store.snapshots import Place, Said
from greenkernel.units import format_bytes

Step = ast.Module | ast.Interactive
# What a statement of which nothing is known may still take when its process is asked to leave.
_STATEMENT_S = 2.0
# So often this looks after fits of libraries.
_LOOK_S = 1.0
# What an interpreter with libraries takes, of which little is written.
_SMALL_BYTES = 400 << 20


class Shell(Protocol):
    """What `execute` knows: what the shell has put into the namespace, and the value that was shown last."""

    brought: Mapping[str, Any]
    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What a keeper needs of the process around the cell.

    Attributes:
        before: The namespace as the cell found it.
        namespace: The notebook's.
        modules: Those that every process has that a cell begins in.
        surroundings: Its settings.
        write: Writes a moment.
        is_busy: True while the last one is still on its way.
        said: What has been printed and shown.
        go_on: Says that what follows comes after that much.
        calls: Calls of joblib and of `checkpoints` that were made.
        owned: Names that share their objects with modules.
        memory_left: Bytes that this process may still use.
    """

    before: Before
    namespace: dict[str, Any]
    modules: frozenset[str]
    surroundings: Surroundings
    write: Callable[[Moment, Place, Said, dict[str, Any]], None]
    is_busy: Callable[[], bool]
    said: Callable[[], Said]
    go_on: Callable[[Said], None]
    calls: Callable[[], Mapping[str, Any]]
    owned: Callable[[], Mapping[str, tuple[str, ...]]]
    memory_left: Callable[[], int]


class Keeper:
    """Of one cell.

    Args:
        process: What is around it.
        pace: When snapshots are due.
        place: Where the cell goes on; None: it begins.
        restored: What was put back for that.
        differs: Is called where it turns out that it cannot go on there; it does not return.

    Attributes:
        why_not: Why the last snapshot could not be taken; None where it could.
        is_late: One was due, and the last one was still on its way to the store.
    """

    def __init__(
        self,
        process: Process,
        pace: Pace,
        *,
        place: Place | None = None,
        restored: Restored | None = None,
        differs: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._process = process
        self._pace = pace
        self._place = place
        self._restored = restored
        self._differs = differs
        self._shell: Shell | None = None
        self._thread = 0
        self._statements = 0
        self._statement = 0
        self._hooks: Mapping[str, object] = {}
        self._board: Board | None = None
        self._inner: Board | None = None
        self._inner_due_at = 0.0
        self._change = threading.Condition()
        self._armed = self._leaving = self._parked = self._ended = False
        self._has_written = False
        self._began = self._last_at = time.monotonic()
        self._due_at = self._last_at + pace.wait_s(first=True)
        self.why_not: str | None = None
        self.is_late = False

    # --- the cell's thread ---

    def begin(self, shell: Shell, statements: int) -> None:
        """The cell begins, or goes on."""
        self._shell = shell
        self._thread = threading.get_ident()
        self._statements = statements
        threading.Thread(target=self._watch, name="greenkernel-pace", daemon=True).start()
        if self._restored is not None:
            if not self._restored.contexts:  # else those outside of them are put first
                self._process.surroundings.put_changes(self._restored.settings)
            if self._place is not None and not self._place.loops:
                self._restored.throw()

    def end(self) -> None:
        """The cell has ended."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def step(self, index: int, node: Step) -> Step | None:
        """A statement as it is to be compiled; None where it has been done already."""
        self._board, self._hooks, self._statement = None, {}, index
        place = self._place
        if place is not None and index < place.statement:
            return None
        self._place = None
        statement = node.body[0]
        goes_on = place is not None and place.loops
        made = self._entered(statement, place) if place is not None and goes_on else self._woven(statement)
        return node if made is None else _with_body(node, made)

    def fitted(self, code: CodeType) -> CodeType:
        """The compiled statement with its hooks."""
        return fitted(code, self._hooks) if self._hooks else code

    def passed(self, index: int) -> None:
        """A statement has been done."""
        self._board, self._hooks = None, {}
        due = time.monotonic() - self._last_at >= self._pace.least_s()
        if self._leaving or (due and index + 1 < self._statements):
            self._take(Place(statement=index + 1), {}, {})

    def _woven(self, statement: ast.stmt) -> ast.stmt | None:
        if loops := loops_in(statement):
            board = Board([statement], loops, self._due, contexts=self.contexts())
            self._watch_over(board)
            self._hooks = board.named()
            return woven(statement)
        if call_in(statement) is not None:
            self._hooks = {"call": _Call(self._function)}
            return with_call_woven(statement)
        return None

    def _entered(self, statement: ast.stmt, place: Place) -> ast.stmt:
        restored = self._restored
        assert restored is not None
        chain = [one.number for one in place.loops]
        counted = [one.number for one in place.loops if one.counted]
        total = place.rounds[1] if place.rounds is not None else None
        entries = {
            one.number: Entry(one, restored.loops.get(one.number), one.number == chain[-1], total if i == 0 else None)
            for i, one in enumerate(place.loops)
        }
        contexts = self.contexts(restored.contexts)
        make = partial(Board, entries=entries, entered=self._is_entered, differs=self._differs, contexts=contexts)
        if place.function is None:
            board = make([statement], loops_in(statement), self._due)
            self._watch_over(board)
            self._hooks = board.named()
            return entered([statement], chain, counted)[0]
        source = source_of(self._process.namespace.get(place.function), self._process.namespace)
        if source is None:
            self._differs(f"{place.function} is another function")
            raise AssertionError
        board = make(source.definition.body, source.loops, partial(self._due_in, place.function))
        self._watch_over(board)
        values = Values(restored.local)
        function = source.entered(board, chain, counted, values)
        assert function is not None
        positional, named = source.arguments(restored.local)
        self._hooks = {"call": _Call(self._function, lambda: function(*positional, **named))}
        return with_call_entered(statement)

    def _function(self, function: Any) -> Any:
        """The function with hooks, if it is one of the notebook's that has loops."""
        source: Source | None = source_of(function, self._process.namespace)
        name = str(getattr(function, "__name__", ""))
        if source is None or not source.loops or self._process.namespace.get(name) is not function:
            return function
        due = partial(self._due_in, name)
        board = Board(source.definition.body, source.loops, due, contexts=self.contexts())
        made = source.woven(board)
        if made is None:
            return function
        self._watch_over(board)
        return made

    def contexts(self, outside: Mapping[str, SettingsTaken] | None = None) -> Contexts:
        """What looks after the ``with`` blocks of a statement or function; ``outside``: the settings around them."""
        surroundings = self._process.surroundings
        return Contexts(surroundings.changed, surroundings.put_changes, outside or {})

    def _is_entered(self) -> None:
        """The innermost loop goes on, in the settings that it had, and with the dice as they lay."""
        assert self._restored is not None
        self._process.surroundings.put_changes(self._restored.settings)
        self._restored.throw()

    def _due(self, number: int, frame: FrameType) -> None:
        self._at_round(number, frame, None)

    def _due_in(self, function: str, number: int, frame: FrameType) -> None:
        self._at_round(number, frame, function)

    def _at_round(self, number: int, frame: FrameType, function: str | None) -> None:
        board = self._board
        if board is None or threading.get_ident() != self._thread:
            return
        chain = board.chain(number)
        hooks = [board.hooks[one] for one in chain]
        reason = board.trouble(number)
        if reason is None and not all(hook.names_bound(frame) for hook in hooks[:-1]):
            reason = "the name that a loop binds was deleted in it"
        if reason is not None:
            self._failed(reason)
            return
        loops = {
            one: hook.source
            for one, hook in zip(chain, hooks, strict=True)
            if isinstance(hook, ForHook) and hook.seen is None
        }
        place = Place(
            statement=self._statement,
            function=function,
            loops=tuple(hook.place() for hook in hooks),
            rounds=self.rounds(),
        )
        self._take(place, {} if function is None else dict(frame.f_locals), loops)

    def _take(self, place: Place, local: Mapping[str, Any], loops: Mapping[int, Any]) -> None:
        if not self._leaving and not self._pays():
            self._rest(self._began + self._pace.least_s())
            return
        self.is_late = not self._leaving and self._process.is_busy()
        if self.is_late:
            self._rest(time.monotonic() + self._pace.least_s())
            return
        began = time.monotonic()
        try:
            reason = danger(self._thread) or self._too_big()
            if reason is None:
                with remembered():
                    self._write(place, local, loops)
        except GreenKernelError as e:
            reason = str(e)
        # A class's own pickling may raise anything, and the disk may be full: the cell goes on all the same.
        except Exception as e:
            reason = f"{type(e).__name__}: {e}"
        self._has_written = True
        self._pace.wrote(time.monotonic() - began)
        self._last_at = time.monotonic()
        self._failed(reason)

    def _too_big(self) -> str | None:
        """Objects are written to memory first, and each is remembered: as much as they take themselves, or so."""
        rss_bytes, left = tree_usage(os.getpid()).rss_bytes, self._process.memory_left()
        objects = rss_bytes - array_bytes(self._process.namespace)
        if objects <= max(left, _SMALL_BYTES):
            return None
        return f"it would take up to {format_bytes(objects)} of memory, and {format_bytes(max(0, left))} are left"

    def _pays(self) -> bool:
        """False where the first one would cost too much of what has been done so far."""
        if self._has_written:
            return True
        self._pace.guess(array_bytes(self._process.namespace))
        return time.monotonic() - self._began >= self._pace.least_s()

    def _failed(self, reason: str | None) -> None:
        self.why_not = reason
        self._rest(time.monotonic() + self._pace.wait_s(first=False))

    def _write(self, place: Place, local: Mapping[str, Any], loops: Mapping[int, Any]) -> None:
        process, shell = self._process, self._shell
        assert shell is not None
        said = self.said()
        own = {
            name: value
            for name, value in process.namespace.items()
            if not (name in shell.brought and shell.brought[name] is value) and name not in OF_THE_INTERPRETER
        }
        moment = Moment(
            before=process.before,
            names=own,
            local=local,
            loops=loops,
            settings=process.surroundings.changed(),
            contexts=self._board.contexts.outside if self._board is not None else {},
            calls=process.calls(),
            value=shell.value,
            modules=tuple(name for name in sys.modules if name not in process.modules and name != "__main__"),
            owned=process.owned(),
        )
        process.write(moment, place, said, process.namespace)

    def _rest(self, until: float) -> None:
        """Nothing is due until then; or, where this process is to leave, for ever."""
        if self._leaving:
            self.park()
        with self._change:
            self._due_at = until
            self._armed = until <= time.monotonic()
            if self._board is not None and not self._armed:
                self._board.arm(on=False)
            self._change.notify_all()

    # --- other threads ---

    def leave(self) -> None:
        """Stop the cell at the next point, with a snapshot."""
        with self._change:
            self._leaving = True
            for board in (self._board, self._inner):
                if board is not None:
                    board.arm(on=True)

    def watch(self, board: Board | None, due_at: float) -> None:
        """The loops of a function that is under way below the cell's; see `fits`."""
        with self._change:
            self._inner, self._inner_due_at = board, due_at
            if board is not None and self._leaving:
                board.arm(on=True)

    @property
    def is_leaving(self) -> bool:
        """True once the cell is to stop."""
        return self._leaving

    def park(self) -> None:
        """Called by the cell's thread where all that it can keep has been kept: stop here for good."""
        with self._change:
            self._parked = True
            self._change.notify_all()
        threading.Event().wait()

    def said(self) -> Said:
        """What has been printed and shown."""
        sys.stdout.flush()
        sys.stderr.flush()
        return self._process.said()

    def go_on(self, said: Said) -> None:
        """What follows comes after that much."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._process.go_on(said)

    def wait(self, deadline_s: float) -> bool:
        """Wait until the cell has come to a point, as long as it may come to one; returns True where it has."""
        may_stop = self._board is not None or self._inner is not None
        until = time.monotonic() + (deadline_s if may_stop else min(deadline_s, _STATEMENT_S))
        with self._change:
            while not (self._parked or self._ended) and (left := until - time.monotonic()) > 0:
                self._change.wait(left)
            return self._parked

    @property
    def statement(self) -> int:
        """Index of the top-level statement that is under way."""
        return self._statement

    @property
    def stops_soon(self) -> bool:
        """True in a loop at whose rounds a snapshot can be taken, as far as is known."""
        return self._inner is not None or (self._board is not None and self.why_not is None)

    def rounds(self) -> tuple[int, int | None] | None:
        """Rounds of the outermost loop that are done, and how many there are, where one is under way."""
        board = self._board
        begun = [hook for hook in board.hooks if isinstance(hook, ForHook) and hook.has_begun] if board else []
        if not begun or begun[0].total is None or (left := begun[0].left()) is None:
            return None
        return max(0, begun[0].total - left), begun[0].total

    def _watch_over(self, board: Board) -> None:
        with self._change:
            self._board = board
            if self._armed or self._leaving:
                board.arm(on=True)

    def _watch(self) -> None:
        with self._change:
            while not self._ended:
                now = time.monotonic()
                if self._inner is not None and now >= self._inner_due_at and not self._inner.armed:
                    self._inner.arm(on=True)
                left = self._due_at - now
                if self._armed or left > 0:
                    # Fits begin without a word to this thread, since many are short.
                    self._change.wait(_LOOK_S if self._armed else min(left, _LOOK_S))
                else:
                    self._armed = True
                    if self._board is not None:
                        self._board.arm(on=True)


class _Call:
    """Stands before the function that a statement calls."""

    def __init__(self, of: Callable[[Any], Any], resumed: Callable[[], Any] = lambda: None) -> None:
        self.of = of
        self.resumed = resumed


def _with_body(node: Step, statement: ast.stmt) -> Step:
    made: Step = ast.Interactive([statement]) if isinstance(node, ast.Interactive) else ast.Module([statement], [])
    return made
