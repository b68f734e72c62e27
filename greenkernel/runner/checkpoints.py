"""``greenkernel.checkpoint`` and ``greenkernel.resumable``: for those who say themselves what is to be kept, and when.

They reach loops that snapshots do not: in methods, in functions that functions call, over generators. A call is known
by how many there were before it in the cell, so the cell must come to them in the same order when it begins again.
Outside of a run they do nothing.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cloudpickle

from greenkernel.errors import UserError
from greenkernel.runner import record_dice
from greenkernel.runner.record_files import ASIDE
from greenkernel.runner.record_task import inside_task
from greenkernel.store.hashing import seal, unseal
from greenkernel.store.snapshots import Said
from greenkernel.store.updates import Update, apply, update_of

SUFFIX = ".checkpoint"
# Of the time, for saving.
SHARE = 0.02
_PLAIN = (int, float, complex, str, bytes, tuple, frozenset, type(None))
T = TypeVar("T")


class Around(Protocol):
    """What is around the cell."""

    @property
    def is_leaving(self) -> bool:
        """True once this process is to leave."""
        ...

    def park(self) -> None:
        """Stop here for good."""
        ...

    def said(self) -> Said:
        """What has been printed and shown."""
        ...

    def go_on(self, said: Said) -> None:
        """What follows comes after that much."""
        ...


@dataclass(frozen=True, slots=True)
class Saved:
    """What was saved of one call: rounds that are done, the objects' contents, random generators, and the output."""

    done: int
    contents: tuple[Any, ...]
    dice: record_dice.Dice
    said: Said
    torch: Any = None


class Checkpoints:
    """Those of one epoch.

    Args:
        spool: Where they appear for shipping, each as a whole.
        believed: Where those of earlier epochs lie.
        key: The home's key.
        epoch: The epoch that writes: its are newer than those of earlier ones.
        around: Gives what is around the cell; asked at each call.
    """

    def __init__(self, spool: Path, believed: Path, key: bytes, epoch: int, around: Callable[[], Around]) -> None:
        self._epoch = epoch
        self._spool = spool
        self._believed = believed
        self._key = key
        self._around = around
        self._calls = 0
        self._written: Counter[int] = Counter()
        self._series: dict[tuple[int, ...], tuple[int, tuple[Any, ...]]] = {}
        self._due_at = time.monotonic() + 1.0
        self._lock = threading.Lock()
        self._asked_at, self._round_s = -math.inf, 0.0
        self._here = os.getpid(), threading.get_ident()

    @property
    def is_here(self) -> bool:
        """True in the cell's own thread, outside of joblib's tasks: there is one order in which calls are made."""
        return (os.getpid(), threading.get_ident()) == self._here and not inside_task()

    @property
    def around(self) -> Around:
        """What is around the cell."""
        return self._around()

    @property
    def calls(self) -> int:
        """Calls so far."""
        return self._calls

    def go_on(self, calls: int) -> None:
        """So many were made before the point from which the cell goes on."""
        self._calls = calls

    def begin(self) -> int:
        """A call begins; returns its number."""
        with self._lock:
            self._calls += 1
            return self._calls

    def series(self, objects: tuple[Any, ...]) -> tuple[int, bool]:
        """The number that calls with these very objects share, and whether this is the first of them."""
        key = tuple(map(id, objects))
        is_new = key not in self._series
        if is_new:
            self._series[key] = self.begin(), objects  # held, so that their ids stay theirs
        return self._series[key][0], is_new

    def saved(self, call: int) -> Saved | None:
        """What an earlier epoch has saved of a call, the last of it that can be read."""
        return self.found(call, pickle.loads)

    def found(self, call: int, read: Callable[[memoryview], T]) -> T | None:
        """The same, as somebody else has written it and reads it."""
        for path in self._earlier.get(_name(call), ()):
            try:
                return read(unseal(self._key, path.name, path.read_bytes()))
            # Another version of a class may not be able to read it: the work is then done again.
            except Exception:
                continue
        return None

    @cached_property
    def _earlier(self) -> dict[str, list[Path]]:
        """What earlier epochs have saved, by call, the newest first."""
        found: dict[str, list[Path]] = {}
        for path in sorted(self._believed.glob(f"*{SUFFIX}"), reverse=True):
            found.setdefault(path.name.rsplit("-", 2)[0], []).append(path)
        return found

    @property
    def due_at(self) -> float:
        """When the next one is due, on the monotonic clock."""
        return self._due_at

    @property
    def is_leaving(self) -> bool:
        """True once this process is to leave."""
        return self.around.is_leaving

    @property
    def is_due(self) -> bool:
        """True where one is to be taken now."""
        now = time.monotonic()
        self._asked_at, self._round_s = now, now - self._asked_at
        return self.is_leaving or now >= self._due_at

    @property
    def comes_soon(self) -> bool:
        """True while rounds follow one another: the next one ends before long."""
        return time.monotonic() - self._asked_at < max(1.0, 2 * self._round_s) < math.inf

    def rest(self, until: float) -> None:
        """None is due before."""
        self._due_at = max(self._due_at, until)

    def save(self, call: int, done: int, contents: Callable[[], tuple[Any, ...]]) -> None:
        """Save now if it is due; where this process is to leave, stop afterwards."""
        if not self.is_due:
            return

        def written() -> memoryview:
            buffer = io.BytesIO()
            saved = Saved(done, contents(), record_dice.take(), self.around.said(), record_dice.take_torch())
            cloudpickle.Pickler(buffer, protocol=5).dump(saved)
            return buffer.getbuffer()

        self.keep(call, written)

    def keep(self, call: int, write: Callable[[], memoryview]) -> None:
        """Save what is written now; where this process is to leave, stop afterwards."""
        leaves = self.is_leaving
        began = time.monotonic()
        try:
            data = write()
            self._written[call] += 1
            name = f"{_name(call)}-{self._epoch:04d}-{self._written[call]:06d}{SUFFIX}"
            aside = self._spool / ASIDE / name
            aside.parent.mkdir(exist_ok=True)
            aside.write_bytes(seal(self._key, name, data))
            for older in self._spool.glob(f"{_name(call)}-*{SUFFIX}"):
                older.unlink(missing_ok=True)
            aside.rename(self._spool / name)
        finally:  # what cannot be written is not tried all the time
            self._due_at = time.monotonic() + max(1.0, (time.monotonic() - began) / SHARE)
        if leaves:
            self.around.park()


_present: Checkpoints | None = None


def present() -> Checkpoints | None:
    """Those of the run whose cell this is; None outside of a run."""
    return _present


def use(checkpoints: Checkpoints | None) -> None:
    """Let the functions below act for a run."""
    global _present  # a process runs one cell
    _present = checkpoints


def checkpoint(*objects: Any) -> bool:
    """Save objects, or bring them to where they were saved.

    The first call of a run that goes on on another site puts into each object what was saved of it and returns True;
    every other call saves them, if enough time has passed that it costs little, and returns False. Objects keep their
    identity: lists, dicts, arrays, models, and what has ``state_dict`` and ``load_state_dict``. Calls with the same
    objects belong together.

        state = {"step": 0, "w": w}
        greenkernel.checkpoint(state)
        while state["step"] < 1000:
            ...
            greenkernel.checkpoint(state)

    Raises:
        UserError: An object cannot take in what was saved of it, such as a number; put it into a dict.
    """
    _refuse_plain(objects)
    if _present is None:
        return False
    call, is_new = _present.series(objects)
    if is_new and (saved := _present.saved(call)) is not None:
        _put(saved, objects)
        _present.around.go_on(saved.said)
        return True
    _present.save(call, 0, lambda: _contents(objects))
    return False


def resumable(data: Iterable[T], *objects: Any) -> Iterator[T]:
    """Go over data, and on another site on from where that was.

    Between two rounds ``objects`` are saved, as `checkpoint` does it; rounds that are done are passed over.

        for epoch in greenkernel.resumable(range(100), model, history):
            ...

    Raises:
        UserError: As `checkpoint`.
    """
    _refuse_plain(objects)
    if _present is None:
        yield from data
        return
    present, call, done = _present, _present.begin(), 0
    saved = present.saved(call)
    if saved is not None:
        _put(saved, objects)
        present.around.go_on(saved.said)
    for item in data:
        done += 1
        if saved is not None and done <= saved.done:
            continue
        if saved is not None and done == saved.done + 1:
            put_dice(saved)
        yield item
        present.save(call, done, lambda: _contents(objects))


def put_dice(saved: Saved) -> None:
    """Random generators say next what they would have said."""
    record_dice.put(saved.dice)
    record_dice.put_torch(saved.torch)


def _refuse_plain(objects: tuple[Any, ...]) -> None:
    """What can never take anything in is refused by the first call already, also outside of a run."""
    for value in objects:
        if isinstance(value, _PLAIN):
            raise _cannot_take_in(value)


def _cannot_take_in(value: Any) -> UserError:
    return UserError(
        f"an object of type {type(value).__name__} cannot be saved by itself: nothing could be put into it later",
        what_to_do="Put it into a dict, and save that",
    )


def _contents(objects: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_content(one) for one in objects)


def _content(value: Any) -> Any:
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return ("state_dict", value.state_dict())
    update = update_of(value)
    if update is None:
        raise _cannot_take_in(value)
    return update


def _put(saved: Saved, objects: tuple[Any, ...]) -> None:
    if len(saved.contents) != len(objects):
        raise UserError("other objects were saved here before", what_to_do="Give the same objects in the same order")
    for content, value in zip(saved.contents, objects, strict=True):
        if isinstance(content, Update):
            if not apply(content, value):
                raise UserError(f"a {type(value).__name__} cannot take in what was saved of it")
        else:
            value.load_state_dict(content[1])
    put_dice(saved)


def _name(call: int) -> str:
    return f"checkpoint-{call:04d}"


def older(name: str, names: Iterable[str]) -> list[str]:
    """Those that a checkpoint makes worthless: of the same call, but for the one before it."""
    call = name.rsplit("-", 2)[0]
    return sorted(one for one in names if one < name and one.endswith(SUFFIX) and one.rsplit("-", 2)[0] == call)[:-1]
