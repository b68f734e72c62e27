"""All that a running cell's process holds and no other could know: written as one payload, and put into a new process.

What the cell found when it began is a part of it (`Before`), so that what goes home at the end is the same as without a
move: the objects that were sent are known by the names and numbers that they were sent under.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenkernel.records import Payload
from greenkernel.runner import patches, record_dice
from greenkernel.runner.collect import Before
from greenkernel.runner.owned import share
from greenkernel.runner.snapshots import figures, warned
from greenkernel.runner.surroundings import Taken, pickled, put_early, unpickled
from greenkernel.store import returned
from greenkernel.store.blobs import BlobReader, BlobWriter
from greenkernel.store.imports import import_each, imported, silence
from greenkernel.store.payloads import dump, entries
from greenkernel.store.returned import ModuleName

_LOCAL = "local "
_LOOP = "loop "
_FACTS = "facts"
_BEFORE = "as it began"
_FIGURES = "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A cell between two of its instructions.

    Attributes:
        before: The namespace as the cell found it.
        names: The notebook's names now, without those of the shell.
        local: The names of the function that is under way.
        loops: What is left of the data of loops that are under way.
        settings: Process-wide settings that the cell has changed.
        contexts: The same as ``with`` blocks found them that are under way.
        calls: Calls of joblib and of `checkpoints` that were made so far.
        value: What the cell has shown last.
        modules: Modules that were loaded since the cell began.
        owned: Names that share their objects with modules.
    """

    before: Before
    names: Mapping[str, Any]
    local: Mapping[str, Any]
    loops: Mapping[int, Iterator[Any]]
    settings: Taken
    contexts: Mapping[str, Taken]
    calls: Mapping[str, Any]
    value: object
    modules: tuple[str, ...]
    owned: Mapping[str, tuple[str, ...]]


def written(moment: Moment, namespace: dict[str, Any], blobs: BlobWriter) -> Payload:
    """Write a moment.

    Args:
        moment: What it is.
        namespace: The notebook's namespace.
        blobs: Where the bytes go.

    Raises:
        CannotTravelError: Something of it cannot be pickled; the message has its name.
    """
    facts = {
        "settings": pickled(moment.settings),
        "contexts": {key: pickled(taken) for key, taken in moment.contexts.items()},
        "dice": record_dice.take(),
        "torch": record_dice.take_torch(),
        "calls": dict(moment.calls),
        "modules": moment.modules,
        "owned": dict(moment.owned),
        "value": moment.value,
        "order": tuple(moment.names),
        "warned": namespace.get(warned.NAME),
    }
    found: dict[str, Any] = {_FACTS: facts}
    modules = [name for name, value in moment.names.items() if isinstance(value, types.ModuleType)]
    others = [name for name in moment.names if name not in modules]
    for name in (*modules, *others):
        found[returned.name_key(name)] = _portable(moment.names[name])
    for place, value in patches.find(namespace).items():
        found[returned.name_key(place)] = value
    for name, value in moment.local.items():
        found[_LOCAL + name] = _portable(value)
    for number, source in moment.loops.items():
        found[f"{_LOOP}{number}"] = source
    found[_BEFORE] = moment.before.state(_portable, namespace)
    found[_FIGURES] = figures.take()
    with silence():  # a class's own pickling may print
        return dump(found, blobs, namespace).payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A moment in another process; see `Moment`."""

    before: Before
    local: dict[str, Any]
    loops: dict[int, Iterator[Any]]
    settings: Taken
    contexts: Mapping[str, Taken]
    calls: Mapping[str, Any]
    value: object
    throw: Callable[[], None]


def put_back(
    payload: Payload, namespace: dict[str, Any], blobs: BlobReader, make: Callable[[dict[str, Any]], Before]
) -> Restored:
    """Put a moment into this process: names, modules, patches and figures.

    Args:
        payload: As `written` gave it.
        namespace: The notebook's, empty.
        blobs: Where the bytes are.
        make: Makes what the cell found from its state.

    Raises:
        IntegrityError: Bytes are not what was written.
        UserError: An object cannot be rebuilt here.
    """
    found: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for key, value in entries(payload, blobs, namespace):
        if key == _FACTS:
            facts = value
            put_early(facts["settings"], Path.cwd())
            import_each(facts["modules"])
        found[key] = _here(value)
    names = returned.names_in(found)
    namespace.update({name: names[name] for name in facts["order"]})
    patches.put({name: value for name, value in names.items() if patches.is_place(name)})
    share(facts["owned"], namespace)
    figures.put(found[_FIGURES])
    before = make({**found[_BEFORE], "values": {name: _here(one) for name, one in found[_BEFORE]["values"].items()}})

    def throw() -> None:
        if facts["dice"][1] is not None:
            record_dice.load_numpy()
        record_dice.put(facts["dice"])
        record_dice.put_torch(facts["torch"])
        if facts["warned"] is not None:
            namespace[warned.NAME] = {**facts["warned"], **warned.filters_now()}

    return Restored(
        before=before,
        local={key.removeprefix(_LOCAL): value for key, value in found.items() if key.startswith(_LOCAL)},
        loops={int(key.removeprefix(_LOOP)): value for key, value in found.items() if key.startswith(_LOOP)},
        settings=unpickled(facts["settings"]),
        contexts={key: unpickled(taken) for key, taken in facts["contexts"].items()},
        calls=facts["calls"],
        value=facts["value"],
        throw=throw,
    )


def _portable(value: Any) -> Any:
    return ModuleName(value.__name__) if isinstance(value, types.ModuleType) else value


def _here(value: Any) -> Any:
    return imported(value.name) if isinstance(value, ModuleName) else value
