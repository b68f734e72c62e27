"""Numbers by which libraries name what they make next: each cell goes on counting where the one before has stopped."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from greenkernel.runner.import_watch import when_imported
from greenkernel.runner.setting_kinds.kind import Kind, Values

_ENDINGS = ("count", "Count", "counter", "Counter", "next_id", "nextid", "last_id", "next_uid", "last_uid")
# They count what this process has, or has done, not what the user has made.
_OTHERS = ("cpu", "core", "thread", "process", "worker", "device", "ref", "retr", "max", "min", "default", "message")
_OF_THE_KERNEL = frozenset(
    {"IPython", "comm", "debugpy", "greenkernel", "ipykernel", "ipywidgets", "joblib", "jupyter_client", "loky"}
    | {"matplotlib_inline", "threadpoolctl", "tornado", "traitlets", "zmq"}
)
# Modules do not get new ones: by name, the module and where its counters are.
_known: dict[str, tuple[ModuleType, tuple[str, ...]]] = {}


def _take(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    inside = f"{root}/"
    for name, module in list(sys.modules.items()):
        known = _known.get(name)
        if known is None or known[0] is not module:
            known = _known[name] = (module, tuple(_places(name, module, inside)))
        for place in known[1]:
            owner, attribute = _owner(module, place)
            value = vars(owner).get(attribute) if owner is not None else None
            if type(value) is int and value:  # nearly all begin with zero
                found[f"{name}:{place}"] = value
    return found


def _places(name: str, module: object, inside: str) -> Iterator[str]:
    """Where a library's module has numbers that are named like counters: its own, and those of its classes."""
    file = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
    top = name.partition(".")[0]
    if not isinstance(file, str) or not file.endswith(".py") or file.startswith(inside):
        return  # what lies beside the notebook travels as a whole
    if top in _OF_THE_KERNEL or top in sys.stdlib_module_names:
        return
    for key, value in list(vars(module).items()):
        if issubclass(type(value), type):  # isinstance would ask the value, and some have a word to say to that
            if value.__module__ == name:
                yield from (f"{key}.{inner}" for inner, one in list(vars(value).items()) if _counts(inner, one))
        elif _counts(key, value):
            yield key


def _counts(name: str, value: object) -> bool:
    return type(value) is int and name.endswith(_ENDINGS) and not any(word in name.lower() for word in _OTHERS)


def _owner(module: ModuleType, place: str) -> tuple[ModuleType | type | None, str]:
    kind, _, attribute = place.rpartition(".")
    if not kind:
        return module, attribute
    owner = vars(module).get(kind)
    return owner if isinstance(owner, type) else None, attribute


def _put(values: Values, _: Path) -> None:
    for key, value in values.items():
        name, place = key.split(":", 1)
        if isinstance(value, int):
            if name in sys.modules:
                _raise(name, place, value)
            else:
                when_imported(name, partial(_raise, name, place, value))


def _raise(name: str, place: str, value: int) -> None:
    """Never down: what has been counted here meanwhile is named already."""
    owner, attribute = _owner(sys.modules[name], place)
    now = vars(owner).get(attribute) if owner is not None else None
    if type(now) is int and now < value:
        setattr(owner, attribute, value)


# By which Keras names layers and models: names of its own, and how often each was given.
_KERAS = ("keras.src.backend.common.global_state", "object_name_uids")


def _take_keras(_: Path) -> dict[str, Any]:
    module, name = _KERAS
    return dict(sys.modules[module].get_global_attribute(name) or {})


def _put_keras(values: Values, _: Path) -> None:
    module, name = _KERAS
    state = sys.modules[module]
    counts = state.get_global_attribute(name, default=defaultdict(int), set_to_default=True)
    for key, value in values.items():
        if isinstance(value, int):
            counts[key] = max(counts.get(key, 0), value)


KINDS = (
    Kind(name="counters", title="counters of libraries", module=None, take=_take, put=_put, rises=True),
    Kind(
        name="keras names", title="names given by Keras", module="keras", take=_take_keras, put=_put_keras, rises=True
    ),
)
