"""One joblib task under recording: believe its record, or run it and leave one. Runs in the worker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from greenkernel.errors import IntegrityError
from greenkernel.runner import record_dice
from greenkernel.runner.record_files import Record, decode, encode, read_body, sealed_record, write_record
from greenkernel.runner.record_keys import CallHasher, UnhashableError, held_by, name_of, unwrapped
from greenkernel.runner.record_ledger import LEDGERS, Drained, TaskNote

NO_HASH = "its arguments cannot be hashed"
NO_PICKLE = "its result cannot be pickled"
NO_RESULT = "it returns nothing"
DRAWS = "it draws from the global random generators in a thread"
CHANGES = "it changes what other code can see"
NO_SPACE = "its record could not be written"
BROKEN_SEAL = "a record is cut or was changed"
BROKEN_PICKLE = "a record cannot be unpickled"
OTHER_DICE = "a record was made at another state of the random generators"

_inside = threading.local()


class Place(Enum):
    """Where tasks run: in the cell's own thread, in a thread pool of this process, or in worker processes."""

    CELL = "cell"
    THREAD = "thread"
    PROCESS = "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """What a task needs of its scope; travels to worker processes in memory, key included."""

    scope: str
    spool: str
    believed: str
    drain_flag: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Watch:
    """Something that a task in this process could change, with its digest and the names of its attributes before."""

    value: Any
    digest: str
    attributes: frozenset[str]
    is_argument: bool


@dataclass(slots=True, kw_only=True)
class RecordedTask:
    """Stands for a task's function.

    Args:
        function: The function itself.
        call: The number of its Parallel call.
        name: The record's name, or None where the task cannot be recorded.
        believed: True where a record of that name is there to be believed.
        place: Where it runs.
        folders: Where records are.
        hasher: The call's digests; None where the task runs in another process.
        thorough: Compare every byte of big arrays after the task. The first, second, fourth, ... task of a call does
            so, since a function that writes into an array does it in each task; the others look at samples.
        watched: What the task could change in this process.
    """

    function: Callable[..., Any]
    call: int
    name: str | None
    believed: bool
    place: Place
    folders: Folders
    hasher: CallHasher | None = None
    thorough: bool = False
    watched: Sequence[Watch] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The task's result, believed or computed.

        Raises:
            Drained: No new task may start.
        """
        if self.place is Place.PROCESS:
            if os.path.exists(self.folders.drain_flag):  # noqa: PTH110  # thousands of times cheaper than a lock
                raise Drained
            result, note = self._result(args, kwargs)
            return _Arrival(self.folders.scope, note, result)
        ledger = LEDGERS[self.folders.scope]
        with ledger.running():
            _inside.task = True
            try:
                result, note = self._result(args, kwargs)
            finally:
                _inside.task = False
            ledger.add(note)
        return result

    def _result(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, TaskNote]:
        if self.name is None:
            result, cpu_s = self._timed(args, kwargs)
            return result, TaskNote(call=self.call, cpu_s=cpu_s, not_recorded=NO_HASH)
        held = held_by(self.function, args, kwargs)
        refused = None
        try:
            record = self._load(self.name, held) if self.believed else None
        except _RefusedError as e:
            record, refused = None, str(e)
        if record is not None:
            return self._replay(record, held), TaskNote(call=self.call, cpu_s=record.cpu_s, reused=True)
        dice = None if self.place is Place.PROCESS else record_dice.take()
        result, cpu_s = self._timed(args, kwargs)
        trouble = self._leave_record(self.name, result, held, dice, cpu_s)
        return result, TaskNote(call=self.call, cpu_s=cpu_s, refused=refused, not_recorded=trouble)

    def _timed(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, float]:
        # A pool's thread must not count its neighbours; elsewhere one task at a time has the process.
        clock = time.thread_time if self.place is Place.THREAD else time.process_time
        start_s = clock()
        result = self.function(*args, **kwargs)
        return result, clock() - start_s

    def _load(self, name: str, held: Sequence[Any]) -> Record | None:
        try:
            body = read_body(self.folders.believed, name, self.folders.key)
        except (IntegrityError, OSError) as e:
            raise _RefusedError(BROKEN_SEAL) from e
        if body is None:
            return None
        try:
            record = decode(body, held)
        except Exception as e:  # unpickling runs the classes' own code; whatever it raises, the task can still run
            raise _RefusedError(BROKEN_PICKLE) from e
        if record.dice_before is not None:
            same = record.dice_before == record_dice.fingerprint(record_dice.take())
            if self.place is not Place.CELL or not same:
                raise _RefusedError(OTHER_DICE)
        return record

    def _replay(self, record: Record, held: Sequence[Any]) -> Any:
        for place, attributes in record.changed.items():
            vars(held[place]).clear()
            vars(held[place]).update(attributes)
        if record.dice_before is not None:
            record_dice.put(record.dice)
        return record.result

    def _leave_record(
        self, name: str, result: Any, held: Sequence[Any], before: record_dice.Dice | None, cpu_s: float
    ) -> str | None:
        """Write the record; returns the reason where there is none."""
        if result is None:
            return NO_RESULT
        after = None if before is None else record_dice.take()
        drew = before is not None and after is not None and not record_dice.same(before, after)
        if drew and self.place is Place.THREAD:
            return DRAWS
        changed = self._changes(held)
        if changed is None:
            return CHANGES
        record = Record(
            result=result,
            changed=changed,
            dice=after if drew else None,
            dice_before=record_dice.fingerprint(before) if drew and before is not None else None,
            cpu_s=cpu_s,
        )
        try:
            plain, _ = unwrapped(self.function)
            header, body = encode(record, held if self.place is not Place.PROCESS else (), name_of(plain))
        except Exception:  # pickling runs the classes' own code; whatever it raises, the result is good
            return NO_PICKLE
        ledger = LEDGERS.get(self.folders.scope)
        outbox = ledger.outbox if ledger is not None else None  # a worker process has none
        if outbox is not None and outbox.put(name, sealed_record(name, self.folders.key, header, body)):
            return None
        try:
            write_record(self.folders.spool, name, self.folders.key, header, body)
        except OSError:
            return NO_SPACE
        return None

    def _changes(self, held: Sequence[Any]) -> dict[int, dict[str, Any]] | None:
        """New attributes of changed arguments by position; None where a replay could not make the change again."""
        changed: dict[int, dict[str, Any]] = {}
        places = {id(value): place for place, value in enumerate(held)}
        for watch in self.watched:
            if not self._has_changed(watch):
                continue
            if not watch.is_argument or not attributes_tell_all(watch.value):
                return None
            changed[places[id(watch.value)]] = dict(vars(watch.value))
        return changed

    def _has_changed(self, watch: Watch) -> bool:
        if attributes_tell_all(watch.value) and attribute_names(watch.value) != watch.attributes:
            return True
        try:
            return self.hasher is not None and self._differs(self.hasher, watch)
        except UnhashableError:
            return True

    def _differs(self, hasher: CallHasher, watch: Watch) -> bool:
        if hasher.writes_arrays or (self.thorough and hasher.array_written(watch.value, watch.digest)):
            return True
        return not hasher.same_array(watch.value) and hasher.digest(watch.value) != watch.digest


class _RefusedError(Exception):
    """A record exists and is not believed."""


class _Arrival:
    """Carries a result out of a worker process: unpickling it notes how the task went and leaves the bare result."""

    def __init__(self, scope: str, note: TaskNote, result: Any) -> None:
        self._parts = (scope, note, result)

    def __reduce__(self) -> tuple[object, ...]:
        return _arrive, self._parts


def _arrive(scope: str, note: TaskNote, result: Any) -> Any:
    ledger = LEDGERS.get(scope)
    if ledger is not None:
        ledger.add(note)
    return result


def attributes_tell_all(value: Any) -> bool:
    """True for instances whose state is their ``__dict__``, as most Python classes' is: a replay can set it."""
    kind: Any = type(value)
    native = kind.__reduce__ is not object.__reduce__ or kind.__reduce_ex__ is not object.__reduce_ex__
    slots = any(vars(base).get("__slots__") for base in kind.__mro__)
    return hasattr(value, "__dict__") and not native and not slots and not isinstance(value, list | dict | type)


def attribute_names(value: Any) -> frozenset[str]:
    """The names of an instance's own attributes."""
    return frozenset(getattr(value, "__dict__", ()))


def inside_task() -> bool:
    """True in a thread that is running a recorded task: Parallel calls in there are nested."""
    return getattr(_inside, "task", False)
