"""The points of a running cell between which nothing can be kept: ends of statements and of rounds of its loops.

The cell is compiled with hooks at them. They cost next to nothing until a second thread has found that something is
due; then the cell's own thread says at which point it is.
"""

from __future__ import annotations

import ast
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from types import CodeType, FrameType, MethodType
from typing import Any, Protocol

from greenkernel.runner.snapshots.contexts import Contexts
from greenkernel.runner.snapshots.functions import Values, function_named, name_of, source_of
from greenkernel.runner.snapshots.hooks import Board, Entry, ForHook
from greenkernel.runner.snapshots.state import Restored
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
from greenkernel.store.snapshots import Place

Step = ast.Module | ast.Interactive
# So often this looks after fits of libraries.
_LOOK_S = 1.0


class Shell(Protocol):
    """What `execute` knows: what the shell has put into the namespace, and the value that was shown last."""

    brought: Mapping[str, Any]
    value: object


class Points(ABC):
    """Of one cell.

    Args:
        namespace: The notebook's.
        surroundings: The process's settings.
        due_at: When something is due first, on the monotonic clock.
        place: Where the cell goes on; None: it begins.
        restored: What was put back for that.
        differs: Is called where it turns out that it cannot go on there; it does not return.
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        surroundings: Surroundings,
        due_at: float,
        *,
        place: Place | None = None,
        restored: Restored | None = None,
        differs: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._namespace = namespace
        self._surroundings = surroundings
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
        self._armed = self._leaving = self._ended = False
        self._due_at = due_at

    @abstractmethod
    def passed(self, index: int) -> None:
        """A statement has been done."""

    @abstractmethod
    def _at(self, place: Place, local: Mapping[str, Any], loops: Mapping[int, Any]) -> None:
        """The cell is at this point, which it was asked for; ends with `_rest`."""

    @abstractmethod
    def _failed(self, reason: str | None) -> None:
        """The cell is at a point where nothing can be kept; ends with `_rest`."""

    # --- the cell's thread ---

    def begin(self, shell: Shell, statements: int) -> None:
        """The cell begins, or goes on."""
        self._shell = shell
        self._thread = threading.get_ident()
        self._statements = statements
        threading.Thread(target=self._watch, name="greenkernel-pace", daemon=True).start()
        if self._restored is not None:
            if not self._restored.contexts:  # else those outside of them are put first
                self._surroundings.put_changes(self._restored.settings)
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
        source = source_of(function_named(place.function, self._namespace), self._namespace)
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
        """The function or method with hooks, if it is one of the notebook's that has loops."""
        is_method = isinstance(function, MethodType)
        plain: object = function.__func__ if is_method else function
        source = source_of(plain, self._namespace)
        name = name_of(plain, self._namespace)
        if source is None or not source.loops or name is None:
            return function
        due = partial(self._due_in, name)
        board = Board(source.definition.body, source.loops, due, contexts=self.contexts())
        made = source.woven(board)
        if made is None:
            return function
        self._watch_over(board)
        return MethodType(made, function.__self__) if is_method else made

    def contexts(self, outside: Mapping[str, SettingsTaken] | None = None) -> Contexts:
        """What looks after the ``with`` blocks of a statement or function; ``outside``: the settings around them."""
        return Contexts(self._surroundings.changed, self._surroundings.put_changes, outside or {})

    def _is_entered(self) -> None:
        """The innermost loop goes on, in the settings that it had, and with the dice as they lay."""
        assert self._restored is not None
        self._surroundings.put_changes(self._restored.settings)
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
        self._at(place, {} if function is None else dict(frame.f_locals), loops)

    def _rest(self, until: float) -> None:
        """Nothing is due until then."""
        with self._change:
            self._due_at = until
            self._armed = until <= time.monotonic()
            if self._board is not None and not self._armed:
                self._board.arm(on=False)
            self._change.notify_all()

    # --- other threads ---

    def watch(self, board: Board | None, due_at: float) -> None:
        """The loops of a function that is under way below the cell's; see `fits`."""
        with self._change:
            self._inner, self._inner_due_at = board, due_at
            if board is not None and self._leaving:
                board.arm(on=True)

    @property
    def statement(self) -> int:
        """Index of the top-level statement that is under way."""
        return self._statement

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
