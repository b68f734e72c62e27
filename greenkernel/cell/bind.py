"""Result -> notebook: names, deletions, and objects changed in place, which stay the objects they are."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from greenkernel.cell.submitted import forget, recall
from greenkernel.cell.trouble import RemoteCellError, rebuild_error
from greenkernel.errors import PermanentError, UserError
from greenkernel.records import Payload, Result
from greenkernel.runner import patches, record_dice
from greenkernel.runner.owned import share
from greenkernel.runner.patches import is_place
from greenkernel.store import caches, returned, temporary
from greenkernel.store.blobs import Blobs
from greenkernel.store.imports import imported
from greenkernel.store.inner import Inner
from greenkernel.store.payloads import entries, load
from greenkernel.store.returned import ImportedName, ModuleName
from greenkernel.store.updates import Update, apply

__all__ = ["Loaded", "RemoteCellError", "bind", "load_result", "rebuild_error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanwhile:
    """What has happened in the notebook since a cell was sent: names that were bound anew, objects that were changed.

    Both keep what they have here.
    """

    bound: Collection[str] = ()
    changed: Collection[str] = ()


class Loaded:
    """A result. Looking at it changes nothing in the notebook; `bind` does.

    Args:
        result: The run's result.
        blobs: Where its payload is.
    """

    def __init__(self, result: Result, blobs: Blobs) -> None:
        self._result = result
        self._blobs = blobs
        self._names: dict[str, Any] | None = None
        self._value: Any = None
        self._updated: tuple[str, ...] = ()
        self._patches: dict[str, Any] = {}

    @property
    def has_value(self) -> bool:
        """True where the cell's last expression has a value to show."""
        return self._result.has_value

    @property
    def names(self) -> Mapping[str, Any]:
        """What the cell bound or changed: objects of their own, or those of the notebook after `bind`."""
        if self._names is None:
            space = _Space()
            space.origin = _Origin(self._blobs, space, {}, track=False)
            self._take(space, space.origin, [])
            space.update(self._names or {})
        return self._names or {}

    @property
    def updated(self) -> tuple[str, ...]:
        """Names whose objects the cell has changed in place, as far as they were looked at."""
        return self._updated

    @property
    def value(self) -> Any:
        """The value of the last expression, None where there is none."""
        return self._value if self.names is not None else None

    def put_into(self, namespace: dict[str, Any], meanwhile: Meanwhile) -> list[str]:
        """Put everything where it belongs; see `bind`."""
        messages: list[str] = []
        dice = record_dice.take()  # modules that are imported here may draw
        origin = _Origin(self._blobs, namespace, namespace, track=True, changed_here=meanwhile.changed)
        bound, changed = self._take(namespace, origin, messages)
        for name, value in changed.items():
            if not origin.has(name, value) and name not in meanwhile.bound and name not in meanwhile.changed:
                namespace[name] = value
        patches.put(self._patches)
        messages += patches.take_back(self._patches, namespace)
        notes = bound.pop("__annotations__", None)
        if isinstance(notes, dict):
            namespace.setdefault("__annotations__", {}).update(notes)
        namespace.update({name: value for name, value in bound.items() if name not in meanwhile.bound})
        for value in bound.values():
            temporary.adopt(value)
        share({name: places for name, places in self._result.owned.items() if name not in meanwhile.bound}, namespace)
        for name in self._result.deleted:
            if name not in meanwhile.bound:
                namespace.pop(name, None)
        if origin.payload is not None:
            forget(origin.payload)
        messages += [f"{name} did not come back: {why}" for name, why in self._result.not_returned.items()]
        messages += self._throw(dice)
        return messages

    def _throw(self, here: record_dice.Dice) -> list[str]:
        """Let the random generators go on where the cell has left them, unless they have been used here meanwhile."""
        if self._result.dice is None:
            return []
        if record_dice.fingerprint(here) != self._result.dice_before:
            return ["the random generators stay as they are here: they are not as they were when the cell was sent"]
        record_dice.put(load(self._result.dice, self._blobs, {})["dice"])
        return []

    def _take(
        self, space: dict[str, Any], origin: _Origin, messages: list[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Load, and put updates into their objects: names that the cell bound, and what it changed in place."""
        try:
            found = self._entries(space, origin, messages)
        except PermanentError as e:  # it was whole when it came in
            raise UserError(
                f"what run {self._result.run} has computed cannot be read any more ({e})",
                what_to_do="Restore the store from a backup, or send the cell again",
            ) from e
        for number, owner, update in returned.inner_in(found):
            _put_part(number, owner, update, origin)
        named = returned.names_in(found)
        changed = {}
        for name, value in returned.updates_in(found).items():
            # A name that the cell bound anew is another object's: what became of the one before is no matter of it.
            changed[name] = _put(name, value, origin, [] if name in named else messages)
        bound = {name: named[name] for name in self._result.names if name in named}
        self._patches = {name: value for name, value in named.items() if is_place(name)}
        self._names = {**changed, **bound}
        self._updated = tuple(changed)
        self._value = found.get(returned.VALUE)
        return bound, changed

    def _entries(self, space: dict[str, Any], origin: _Origin, messages: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in entries(self._result.payload, self._blobs, space, refer=origin, track=origin.track):
            if key == returned.ORIGIN:
                origin.open(value)
            if not isinstance(value, ModuleName | ImportedName):
                found[key] = value
            elif (imports := _imported(value, messages)) is not None:
                found[key] = imports
        return found


def load_result(result: Result, blobs: Blobs, namespace: dict[str, Any]) -> Loaded:
    """Open a result.

    Args:
        result: The run's result.
        blobs: Where its payload is.
        namespace: Not touched before `bind`.
    """
    return Loaded(result, blobs)


def bind(loaded: Loaded, result: Result, namespace: dict[str, Any], meanwhile: Meanwhile | None = None) -> list[str]:
    """Bind in the notebook what the cell bound there.

    Objects that the cell changed in place take in the changes, so that every name and container that holds one sees
    them. Functions and classes of the cell live in ``namespace``.

    Args:
        loaded: As `load_result` gave it.
        result: The result itself.
        namespace: The notebook's names.
        meanwhile: What stays as it is here.

    Returns:
        Sentences on what is not as after a plain run: names that did not come back, objects that are new ones.

    Raises:
        UserError: Bytes are not what was sent, or an object cannot be rebuilt here; nothing was bound.
    """
    return loaded.put_into(namespace, meanwhile or Meanwhile())


class _Origin:
    """The objects that were sent, by name: those of the notebook where they are still there, else as they were sent."""

    def __init__(
        self,
        blobs: Blobs,
        space: dict[str, Any],
        notebook: Mapping[str, object],
        *,
        track: bool,
        changed_here: Collection[str] = (),
    ) -> None:
        self.track = track
        self.changed_here = changed_here
        self.payload: Payload | None = None
        self._blobs = blobs
        self._space = space
        self._notebook = notebook
        self._here: dict[str, object] = {}
        self._sent: dict[str, Any] | None = None

    def open(self, place: tuple[str, tuple[str, ...], int]) -> None:
        """Say where the submission's payload is."""
        self.payload = Payload(head=place[0], buffers=place[1], bytes=place[2])
        if self.track:
            self._here = recall(self.payload, self._notebook)

    def has(self, name: str, value: object) -> bool:
        """True where the notebook's own object was sent under this name."""
        return self._here.get(name) is value

    def __call__(self, name: str) -> object:
        """The object that was sent under a name.

        Raises:
            KeyError: Nothing was.
        """
        return self._here[name] if name in self._here else self.sent(name)

    def sent(self, name: str) -> object:
        """The object as it was sent, apart from the notebook's own.

        Raises:
            KeyError: Nothing was sent under this name.
        """
        if self._sent is None and self.payload is not None:
            inner = Inner()
            sent = load(self.payload, self._blobs, self._space, track=self.track, inner=inner)
            self._sent = {**{returned.inner_name(n): inner.objects[n] for n in inner.owners}, **sent}
        if name not in (self._sent or {}) and name in self._space:
            return self._space[name]  # a function has brought it along, whose global names are not the notebook's
        return (self._sent or {})[name]


class _Space(dict[str, Any]):
    """A namespace for looking at a result: functions find what was sent when they ask for it."""

    origin: _Origin

    def __init__(self) -> None:
        super().__init__(__name__="__main__")

    def __missing__(self, name: str) -> Any:
        return self.origin(name)


def _put_part(number: int, owner: str, update: Update, origin: _Origin) -> None:
    """Put the content into an object inside of what was sent; where the whole is not to be touched, into its copy."""
    name = returned.inner_name(number)
    apply(update, origin.sent(name) if owner in origin.changed_here else origin(name))


def _put(name: str, value: Any, origin: _Origin, messages: list[str]) -> Any:
    if isinstance(value, caches.KIND):
        return value  # nobody can fill a cache that is there; who calls it by its name calls this one
    if not isinstance(value, Update):
        messages.append(_new_object(name, f"a {type(value).__name__} cannot take in what another one became"))
        return value
    target = origin(name)
    if name in origin.changed_here:
        messages.append(f"{name} was changed here too and stays so; the run's is in its names")
        target = origin.sent(name)
    if value.kind == "class" and not origin.track:
        return target  # it may be the notebook's own class
    if apply(value, target):
        return target
    messages.append(_new_object(name, "the changed one does not fit into the old one"))
    return value.content


def _new_object(name: str, why: str) -> str:
    return f"{name} is a new object now, and who else holds the old one keeps that: {why}"


def _imported(wanted: ModuleName | ImportedName, messages: list[str]) -> Any:
    """A module or what one has, None where it cannot be had."""
    names = (*wanted.also, wanted.name) if isinstance(wanted, ModuleName) else (wanted.module,)
    for name in names:
        try:
            imported(name)
        # A module may raise anything when it is executed.
        except Exception as e:
            messages.append(f"the module {name} cannot be imported here: {e}")
    found = sys.modules.get(names[-1])
    return found if isinstance(wanted, ModuleName) else getattr(found, wanted.name, None)
