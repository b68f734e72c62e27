"""Settings of the whole process, which no name holds: taken at home, put on a site, and brought back if changed.

Every kind of setting is a dict from keys to values; a cell that changes one key sends that key home.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle

from greenkernel.runner.import_watch import watch, when_imported
from greenkernel.runner.setting_kinds import KINDS, Kind

Taken = dict[str, dict[str, Any]]


def take(root: Path) -> Taken:
    """Every setting of this process that differs from nothing: kinds of libraries that are not loaded have none.

    Args:
        root: The notebook's folder here; paths below it are taken relative to it.
    """
    return {kind.name: found for kind in KINDS if (found := _taken(kind, root)) is not None}


def pickled(taken: Taken) -> dict[str, dict[str, bytes]]:
    """Each value as bytes of its own, so that one that cannot travel costs itself alone."""
    found: dict[str, dict[str, bytes]] = {}
    for kind, values in taken.items():
        found[kind] = {}
        for key, value in values.items():
            # A setting may hold an object of any library.
            with contextlib.suppress(Exception):
                found[kind][key] = cloudpickle.dumps(value)
    return found


def unpickled(sent: Mapping[str, Mapping[str, bytes]], *, early: bool | None = None) -> Taken:
    """What `pickled` wrote; a value whose library is not here is left out.

    Args:
        sent: All of it.
        early: Only of kinds that are so, or that are not; None: of all.
    """
    wanted = {kind.name for kind in KINDS if early is None or kind.early == early}
    found: Taken = {}
    for kind, values in sent.items():
        if kind not in wanted:
            continue
        found[kind] = {}
        for key, data in values.items():
            with contextlib.suppress(Exception):
                found[kind][key] = cloudpickle.loads(data)
    return found


class Surroundings:
    """The settings of a process that a cell runs in.

    Settings of a library that is not loaded are put when it is: loading it for them alone would cost its time, and it
    may not be installed.

    Args:
        wanted: As they were in the notebook.
        root: The cell's working folder.
    """

    def __init__(self, wanted: Taken, root: Path) -> None:
        self._wanted = wanted
        self._root = root
        self._before: Taken = {}

    def begin(self) -> None:
        """Put what can be put now, and remember how everything is as the cell begins."""
        watch()
        for kind in KINDS:
            if kind.module is None or kind.module in sys.modules:
                self._put(kind)
            else:
                when_imported(kind.module, partial(self._put, kind))

    def put_changes(self, changed: Taken) -> None:
        """Put what the cell had changed in another process, also into libraries as soon as they are loaded."""
        for kind in KINDS:
            wanted = changed.get(kind.name)
            if wanted and (kind.module is None or kind.module in sys.modules):
                put(kind, wanted, self._root)
            elif wanted and kind.module is not None:
                when_imported(kind.module, partial(_put_later, kind, wanted, self._root))

    def changed(self) -> Taken:
        """What the cell has changed since; None stands for what it has removed."""
        found: Taken = {}
        for name, after in take(self._root).items():
            before = self._before.get(name)
            if before is not None and (changes := differences(before, after)):
                found[name] = changes
        return found

    def _put(self, kind: Kind) -> None:
        wanted = self._wanted.get(kind.name)
        if wanted:
            put(kind, wanted, self._root)
        before = _taken(kind, self._root)
        if before is not None:
            self._before[kind.name] = before


def _put_later(kind: Kind, wanted: Mapping[str, Any], root: Path) -> None:
    put(kind, wanted, root)


def put_early(sent: Mapping[str, Mapping[str, bytes]], root: Path) -> None:
    """Put what `pickled` wrote of settings that libraries look at when they are loaded.

    Args:
        sent: Of all kinds; no other one is looked at.
        root: The cell's working folder.
    """
    taken = unpickled(sent, early=True)
    for kind in KINDS:
        if values := taken.get(kind.name):
            put(kind, values, root)


def put_back(changed: Taken, sent: Taken, now: Taken, root: Path) -> list[str]:
    """Put at home what a cell has changed, except where home's own has changed since it was sent.

    Args:
        changed: What the cell has changed.
        sent: Home's settings when it was sent.
        now: Home's settings now.
        root: The notebook's folder.

    Returns:
        Sentences on what stays as it is.
    """
    messages = []
    for kind in KINDS:
        changes = changed.get(kind.name, {})
        mine, theirs = now.get(kind.name, {}), sent.get(kind.name, {})
        kept = [
            key
            for key, value in changes.items()
            if not kind.rises and not _same(mine.get(key), theirs.get(key)) and not _same(mine.get(key), value)
        ]
        if kept:
            messages.append(f"{kind.title} ({', '.join(kept)}) stay as they are here: they were changed here meanwhile")
        wanted = {key: value for key, value in changes.items() if key not in kept}
        if wanted and not put(kind, wanted, root):
            there = _taken(kind, root) or {}
            left = [key for key, value in wanted.items() if not _same(there.get(key), value)]
            messages.append(f"{kind.title} ({', '.join(left)}) could not be set here as the cell has set them")
    return messages


def put(kind: Kind, wanted: Mapping[str, Any], root: Path) -> bool:
    """Put those settings of one kind that are not so yet; False where the library refuses them or is not here."""
    try:
        __import__(kind.module or "sys")
        now = kind.take(root)
        others = {key: value for key, value in wanted.items() if not _same(now.get(key), value)}
        if others:
            kind.put(others, root)
    # Libraries check their settings in their own ways.
    except Exception:
        return False
    return True


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of ``after`` with another value, and those that are gone, as None."""
    changed = {key: value for key, value in after.items() if key not in before or not _same(before[key], value)}
    return {**changed, **dict.fromkeys(_gone(before, after))}


def _gone(before: Iterable[str], after: Mapping[str, Any]) -> list[str]:
    return [key for key in before if key not in after]


def _taken(kind: Kind, root: Path) -> dict[str, Any] | None:
    if kind.module is not None and kind.module not in sys.modules:
        return None
    try:
        return kind.take(root)
    # An older or newer library may keep its settings elsewhere: they are then not followed.
    except Exception:
        return None


def _same(one: Any, other: Any) -> bool:
    try:
        return bool(one is other or one == other)
    except Exception:  # arrays, or an __eq__ that raises
        return False
