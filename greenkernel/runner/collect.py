"""The way out on a site: what the cell bound, deleted and changed, as one payload, so that aliases survive."""

from __future__ import annotations

import ast
import dataclasses
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greenkernel.errors import UserError
from greenkernel.records import Capture, CellError, Payload, Progress, Result
from greenkernel.runner import patches, record_dice
from greenkernel.runner.execute import Outcome
from greenkernel.runner.surroundings import Taken, pickled
from greenkernel.runner.trouble import chain_of, text_of
from greenkernel.store import returned
from greenkernel.store.arrays import Known, Whole, address_of, is_plain_array, owner_of
from greenkernel.store.blobs import Blobs
from greenkernel.store.inner import Inner
from greenkernel.store.payloads import CannotTravelError, digest, dump
from greenkernel.store.pickling import has_no_copies, is_atom
from greenkernel.store.references import GONE, reference
from greenkernel.store.returned import ImportedName, ModuleName, Shown
from greenkernel.store.tensors import became, place_of, wholes
from greenkernel.store.updates import Update, is_generator, shape_of, update_of

# The shape of what has another one by now: no object's.
_ANOTHER = object()


@dataclass(frozen=True, slots=True)
class _Part:
    """A changeable object inside of what was sent under ``owner``."""

    value: Callable[[], object]
    owner: str
    shape: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The namespace as it was when the cell began.

    Values are held weakly where their type allows it, and where nothing else at home holds them: what the cell lets go
    of must not stay in memory.
    """

    values: Mapping[str, Callable[[], object]]
    digests: Mapping[str, str | None]
    shapes: Mapping[str, object]
    inner: Mapping[int, _Part]
    binds: tuple[str, ...]
    imports: tuple[str, ...]
    imported: Mapping[str, ImportedName]
    origin: Payload
    dice: record_dice.Dice
    patches: Mapping[str, object]
    held: frozenset[str]

    @classmethod
    def of(cls, namespace: Mapping[str, object], capture: Capture, inner: Inner) -> Before:
        """Look at a restored namespace. Reads every byte of it once.

        Args:
            namespace: As `restore` gave it.
            capture: Where it came from.
            inner: Changeable objects inside of its values.
        """
        values = {name: value for name, value in namespace.items() if name not in returned.OF_THE_INTERPRETER}
        followed = {name: value for name, value in values.items() if can_change(value)}
        held = frozenset(capture.held)
        return cls(
            values={name: _reference(value, strongly=name in held) for name, value in values.items()},
            digests={name: digest(value, namespace) for name, value in followed.items()},
            shapes={name: shape_of(value) for name, value in followed.items()},
            inner={
                number: _Part(
                    _reference(inner.objects[number], strongly=returned.inner_name(number) in held),
                    owner,
                    shape_of(inner.objects[number]),
                )
                for number, owner in inner.owners.items()
                if owner in values
            },
            binds=capture.binds,
            imports=tuple(_dotted_imports(capture.transformed)),
            imported=_imported_names(capture.transformed),
            origin=capture.payload,
            dice=record_dice.take(),
            patches=patches.find(namespace),
            held=held,
        )

    def state(self, portable: Callable[[object], object], namespace: Mapping[str, Any]) -> dict[str, Any]:
        """What is left of all this, to be written with what there is now; see `from_state`.

        Args:
            portable: Makes of a value what can be written.
            namespace: The notebook's, which is itself no part of what is in it.
        """
        there = {name: value for name, get in self.values.items() if (value := get()) is not GONE}
        parts = {
            number: (value, part.owner, shape_of(value) == part.shape)
            for number, part in self.inner.items()
            if (value := part.value()) is not GONE and value is not namespace
        }
        return {
            "values": {name: portable(value) for name, value in there.items()},
            "gone": [name for name in self.values if name not in there],
            "digests": dict(self.digests),
            "shapes": {name: name in there and shape_of(there[name]) == shape for name, shape in self.shapes.items()},
            "parts": parts,
            "dice": self.dice,
            "patches": dict(self.patches),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], capture: Capture) -> Before:
        """The same in another process, where the objects are the ones that were read there.

        Args:
            state: As `state` gave it.
            capture: Where the cell came from.
        """
        held = frozenset(capture.held)
        values: dict[str, Callable[[], object]] = dict.fromkeys(state["gone"], lambda: GONE)
        values |= {name: _reference(value, strongly=name in held) for name, value in state["values"].items()}
        return cls(
            values=values,
            digests=state["digests"],
            shapes={
                name: shape_of(state["values"][name]) if same else _ANOTHER for name, same in state["shapes"].items()
            },
            inner={
                number: _Part(
                    _reference(value, strongly=returned.inner_name(number) in held),
                    owner,
                    shape_of(value) if same else _ANOTHER,
                )
                for number, (value, owner, same) in state["parts"].items()
            },
            binds=capture.binds,
            imports=tuple(_dotted_imports(capture.transformed)),
            imported=_imported_names(capture.transformed),
            origin=capture.payload,
            dice=state["dice"],
            patches=state["patches"],
            held=held,
        )

    def had(self, name: str, value: object) -> bool:
        """True where ``name`` was bound to this very object."""
        return name in self.values and self.values[name]() is value


@dataclass(slots=True)
class _Changes:
    """What will go home, before it is pickled."""

    entries: dict[str, object]
    references: dict[int, str]
    arrays: Mapping[str, Any]
    tensors: Mapping[str, Any]
    generators: Mapping[str, Any]
    parts: dict[str, tuple[str, object]]
    held: frozenset[str]
    deleted: tuple[str, ...]

    def steady(self) -> dict[int, Known]:
        """Arrays that home has as they are here, or will have, by ``id`` and by that of the owner of their memory."""
        updates = {
            returned.plain_name(key): update
            for key, update in self.entries.items()
            if key.startswith(returned.update_key(""))
        } | {name: update for name, (_, update) in self.parts.items()}
        found: dict[int, Known] = {}
        for name in self.references.values():
            content = getattr(updates.get(name), "content", None)
            array = self.arrays.get(name)
            if array is None or (name in updates and not isinstance(content, Whole)):
                continue
            found[id(array)] = array, content
            owner = owner_of(array)
            if owner.nbytes == array.nbytes and array.flags.forc:
                found.setdefault(id(owner), (array, content))
                found[address_of(array)] = array, content
        for name in self.references.values():
            if (tensor := self.tensors.get(name)) is not None:
                found[place_of(tensor)] = tensor, became(getattr(updates.get(name), "content", None))
            if (generator := self.generators.get(name)) is not None:
                found[id(generator.bit_generator)] = generator, None
        return found


def collect(
    namespace: dict[str, Any],
    before: Before,
    outcome: Outcome,
    blobs: Blobs,
    *,
    run: str,
    epoch: int,
    finished_at: datetime,
    only: tuple[str, ...] = (),
    progress: Progress | None = None,
    settings: Taken | None = None,
    owned: Mapping[str, tuple[str, ...]] | None = None,
) -> Result:
    """Write what the cell leaves into the store.

    Args:
        namespace: As the cell left it.
        before: As the cell found it.
        outcome: How the cell ended.
        blobs: Where the payload goes.
        run: The run's id.
        epoch: The epoch that computed it.
        finished_at: Now.
        only: If given, only these names come back.
        progress: The last progress, kept with the result.
        settings: Process-wide settings that the cell has changed.
        owned: Names that share their objects with modules.
    """
    changes = _changes(namespace, before, outcome, only)
    not_returned = {name: "the cell has not bound it" for name in only if name not in namespace}
    payload = _dumped(changes, not_returned, blobs, namespace, outcome)
    kept = {returned.plain_name(key) for key in changes.entries if key not in (returned.VALUE, returned.ORIGIN)}
    return Result(
        run=run,
        epoch=epoch,
        finished_at=finished_at,
        names=tuple(name for name in namespace if name in kept),
        deleted=changes.deleted,
        payload=payload,
        has_value=returned.VALUE in changes.entries,
        error=_with_object(outcome, blobs, namespace),
        not_returned=not_returned,
        progress=progress,
        dice=_dice_after(before, blobs),
        dice_before=record_dice.fingerprint(before.dice),
        surroundings=dump({"surroundings": pickled(settings)}, blobs, {}).payload if settings else None,
        owned={name: places for name, places in (owned or {}).items() if name in kept},
    )


def _dice_after(before: Before, blobs: Blobs) -> Payload | None:
    """The random generators' state as the cell left it; None where it has not drawn from them."""
    after = record_dice.take()
    return None if record_dice.same(before.dice, after) else dump({"dice": after}, blobs, {}).payload


def _changes(namespace: dict[str, Any], before: Before, outcome: Outcome, only: tuple[str, ...]) -> _Changes:
    bound = [
        name
        for name, value in namespace.items()
        if name not in returned.OF_THE_INTERPRETER
        and (name not in outcome.brought or outcome.brought[name] is not value)
        and (name in before.binds or not before.had(name, value))
    ]
    if only:
        bound = [name for name in only if name in namespace]
    updates, references, parts = _updates(namespace, before)
    entries: dict[str, object] = {returned.ORIGIN: (before.origin.head, before.origin.buffers, before.origin.bytes)}
    # Modules first: what else there is may hold what they make when they are imported.
    for name in sorted(bound, key=lambda name: not isinstance(namespace[name], types.ModuleType)):
        value = namespace[name]
        if isinstance(value, types.ModuleType):
            # One that has failed there is not tried again here.
            below = tuple(one for one in before.imports if one.startswith(f"{value.__name__}.") and one in sys.modules)
            value = ModuleName(value.__name__, below)
        elif name in before.imported and _has_another_name(value, before.imported[name]):
            value = before.imported[name]
        entries[returned.name_key(name)] = value
    patched = patches.find(namespace)
    for place, value in {**patched, **patches.undone(before.patches, patched)}.items():
        if before.patches.get(place) is not value:
            entries[returned.name_key(place)] = value
    for name, update in updates.items():
        if not only or name in only:
            entries[returned.update_key(name)] = update
    if outcome.has_value:
        entries[returned.VALUE] = outcome.value
    deleted = tuple(name for name in before.values if name not in namespace and (not only or name in only))
    inner = {
        returned.inner_name(number): (returned.inner_key(number, owner), update)
        for number, (owner, update) in parts.items()
    }
    there = {name: get() for name, get in before.values.items()}
    there |= {returned.inner_name(number): part.value() for number, part in before.inner.items()}
    return _Changes(
        entries=entries,
        references=references,
        arrays={name: value for name, value in there.items() if is_plain_array(value)},
        tensors=dict(wholes(there)),
        generators={name: value for name, value in there.items() if is_generator(value)},
        parts=inner,
        held=before.held,
        deleted=deleted,
    )


def _updates(
    namespace: dict[str, Any], before: Before
) -> tuple[dict[str, object], dict[int, str], dict[int, tuple[str, object]]]:
    """Updates of what was changed in place, the objects that home has by ``id``, and updates of parts."""
    updates: dict[str, object] = {}
    references: dict[int, str] = {}
    seen: set[int] = set()
    for name, was in before.digests.items():
        value = before.values[name]()
        if value is GONE or id(value) in seen:
            continue
        seen.add(id(value))
        same = was is not None and digest(value, namespace) == was
        if same:
            references[id(value)] = name
            continue
        update = _update_of(value, before.shapes[name])
        if update is not None:
            references[id(value)] = name
            updates[name] = update
        elif namespace.get(name) is value:
            updates[name] = value  # a new object under the old name
    same_owners = {name for name in before.digests if name not in updates}
    parts: dict[int, tuple[str, object]] = {}
    for number, part in before.inner.items():
        value = part.value()
        if value is GONE or id(value) in references:
            continue
        if part.owner in same_owners:
            references[id(value)] = returned.inner_name(number)
        elif (update := _update_of(value, part.shape)) is not None:
            references[id(value)] = returned.inner_name(number)
            parts[number] = part.owner, update
    return updates, references, parts


def _update_of(value: object, shape: object) -> Update | None:
    try:
        return update_of(value) if shape_of(value) == shape else None
    # It is asked for what it is, and may be of any library: a memoryview that was released raises.
    except Exception:
        return None


def _dumped(
    changes: _Changes, not_returned: dict[str, str], blobs: Blobs, namespace: dict[str, Any], outcome: Outcome
) -> Payload:
    """One payload of all that can be pickled; what cannot costs itself alone."""
    while True:
        try:
            return dump(
                changes.entries,
                blobs,
                namespace,
                references=changes.references,
                parts=changes.parts,
                held=changes.held,
                steady=changes.steady(),
                proves=True,
                returns=True,
            ).payload
        except CannotTravelError as e:
            key = e.name
            if key == returned.VALUE and not isinstance(changes.entries[key], Shown):
                data, metadata = outcome.bundle(outcome.value)
                changes.entries[key] = Shown(data, metadata, str(e))
                continue
            if (owner := returned.owner_of(key)) is not None:
                _without_parts(changes, owner)  # they come back inside of the whole, as new objects
                continue
            del changes.entries[key]
            not_returned[returned.plain_name(key)] = str(e)


def _without_parts(changes: _Changes, owner: str) -> None:
    gone = {name for name, (key, _) in changes.parts.items() if returned.owner_of(key) == owner}
    for name in gone:
        del changes.parts[name]
    for ident in [ident for ident, name in changes.references.items() if name in gone]:
        del changes.references[ident]


def _with_object(outcome: Outcome, blobs: Blobs, namespace: dict[str, Any]) -> CellError | None:
    if outcome.error is None or outcome.error_object is None:
        return outcome.error
    chain = chain_of(outcome.error_object, namespace, outcome.file_name)
    for link in chain:
        attributes, text = vars(link.error), text_of(link.error)
        for name in [name for name, value in attributes.items() if digest(value, namespace) is None]:
            del attributes[name]  # it cannot travel; the exception is worth more than all that it holds
        if text_of(link.error) != text:
            return outcome.error  # but not more than what it says
    try:
        pickled = dump({"chain": chain}, blobs, namespace).payload
    except UserError:  # its text travels in any case
        return outcome.error
    return dataclasses.replace(outcome.error, pickled=pickled)


def _dotted_imports(python: str) -> list[str]:
    imports = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Import)]
    return [alias.name for node in imports for alias in node.names if "." in alias.name]


def _imported_names(python: str) -> dict[str, ImportedName]:
    return {
        alias.asname or alias.name: ImportedName(node.module, alias.name)
        for node in ast.walk(ast.parse(python))
        if isinstance(node, ast.ImportFrom) and node.module is not None and not node.level
        for alias in node.names
    }


def _has_another_name(value: object, imported: ImportedName) -> bool:
    """True for a function or class that was imported from elsewhere than where it says that it is."""
    if not isinstance(value, type | types.FunctionType) or value.__module__ == imported.module:
        return False
    return getattr(sys.modules.get(imported.module), imported.name, None) is value


def _reference(value: object, *, strongly: bool) -> Callable[[], object]:
    return (lambda: value) if strongly else reference(value)


def can_change(value: object) -> bool:
    """False where what a name holds is always the same."""
    # There is only one empty tuple, and it is part of all sorts of things.
    if is_atom(value) or (type(value) is tuple and not value):
        return False
    if isinstance(value, types.ModuleType | types.BuiltinFunctionType) or has_no_copies(value):
        return False
    imported = isinstance(value, type | types.FunctionType) and value.__module__ not in ("__main__", "builtins", None)
    return not imported
