"""What the notebook has put into libraries: ``pd.DataFrame.half = half``, accessors, ``tqdm.pandas()``.

A patch travels as an entry of the payload under its place, ``module:Class.name``, which is no name of Python's. Magics
that the notebook has given to its shell are at ``IPython:%name``, ``IPython:%%name`` and ``IPython:%Class.``.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from greenkernel.runner.import_watch import when_imported

# Libraries extend these; whoever has imported pandas may have done so without keeping a name for it.
_EXTENDED = {
    "matplotlib.colors": ("Colormap",),
    "pandas.core.frame": ("DataFrame",),
    "pandas.core.series": ("Series",),
    "pandas.core.indexes.base": ("Index",),
    "pandas.core.groupby.generic": ("DataFrameGroupBy", "SeriesGroupBy"),
    "pandas.core.window.rolling": ("Rolling",),
}
_ALWAYS = ("builtins", "warnings")
_MAGICS = {"line": "IPython:%", "cell": "IPython:%%"}
# Python's own, and what IPython adds.
_BUILTINS = frozenset({*vars(builtins), "display", "get_ipython", "__IPYTHON__", "_", "exit", "quit"})
# Magics that wait for a shell.
_unregistered: dict[str, Any] = {}
_KINDS: tuple[type, ...] = (types.FunctionType, type, property, classmethod, staticmethod)


def is_place(name: str) -> bool:
    """True for the key of a patch."""
    return ":" in name


def find(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Functions and classes that the notebook has put into libraries, and what others have put into well-known classes.

    Of Python's builtins whatever has been put there.

    Looked at are modules that a name of the notebook is, with their classes, and classes that a name is.

    Args:
        namespace: The notebook's names: its functions are known by it.
    """
    found: dict[str, Any] = {}
    for place, owner in _owners(namespace):
        library = _library(place.partition(":")[0])
        extended = any(library == _library(module) for module in _EXTENDED)
        for name, value in list(_attributes(owner).items()):
            if _is_ours(value, namespace) or (extended and _is_of_others(value, library)):
                found[f"{place}{name}"] = value
    mine = {f"builtins:{name}": value for name, value in vars(builtins).items() if name not in _BUILTINS}
    return found | mine | _magics(namespace)


@dataclass(frozen=True, slots=True)
class Undone:
    """Stands for a patch that the cell has taken back.

    Attributes:
        original: Module and name of what is there again; None where nothing is.
    """

    original: tuple[str, str] | None


def undone(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Undone]:
    """What the cell has taken back of the patches that it found."""
    found = {}
    for place in sorted(before.keys() - now.keys()):
        held = _holder(place)
        if place.startswith(_MAGICS["line"]) or (held is not None and vars(held[0])[held[1]] is before[place]):
            continue  # nobody looks there any more, but it is as it was
        found[place] = Undone(None if held is None else _identity(vars(held[0])[held[1]]))
    return found


def take_back(patches: Mapping[str, Any], namespace: Mapping[str, Any]) -> list[str]:
    """Take patches of the notebook back that a cell has taken back elsewhere.

    Returns:
        Sentences on those whose originals nobody here has any more.
    """
    messages = []
    for place, value in patches.items():
        held = _holder(place) if isinstance(value, Undone) else None
        if held is None:
            continue
        owner, name = held
        if value.original is None:
            delattr(owner, name)
        elif (original := _original(value.original, owner, name, namespace)) is not None:
            setattr(owner, name, original)
        else:
            messages.append(f"{place.replace(':', '.')} stays as it is here: what it was before is not known any more")
    return messages


def put(patches: Mapping[str, Any]) -> None:
    """Put patches where they were, into modules that are not loaded yet as soon as they are."""
    for place, value in patches.items():
        module = place.partition(":")[0]
        if isinstance(value, Undone):
            continue
        if place.startswith(_MAGICS["line"]):
            _unregistered[place] = value
        elif module in sys.modules:
            _put(place, value)
        else:
            when_imported(module, partial(_put, place, value))
    register_magics()


def register_magics() -> None:
    """Give the shell, if there is one, the magics that were put before there was one."""
    shell = _shell()
    while shell is not None and _unregistered:
        place, value = _unregistered.popitem()
        if isinstance(value, type):
            shell.register_magics(value)
        else:
            kind = "cell" if place.startswith(_MAGICS["cell"]) else "line"
            shell.register_magic_function(value, kind, place.removeprefix(_MAGICS[kind]))


def _magics(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Functions of the notebook that are magics, and classes of it whose methods are."""
    shell = _shell()
    found: dict[str, Any] = {}
    for kind, place in _MAGICS.items() if shell is not None else ():
        for name, magic in shell.magics_manager.magics[kind].items():
            owner = type(getattr(magic, "__self__", None))
            if isinstance(magic, types.FunctionType) and magic.__globals__ is namespace:
                found[f"{place}{name}"] = magic
            elif owner.__module__ == "__main__":
                found[f"{_MAGICS['line']}{owner.__qualname__}."] = owner
    return found


def _shell() -> Any:
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return get_ipython()


def _put(place: str, value: Any) -> None:
    owner, name = _owner_of(place)
    if owner is not None:  # another version of the library may lack it
        setattr(owner, name, value)


def _owner_of(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    owner: Any = sys.modules.get(module)
    *above, name = path.split(".")
    for part in above:
        owner = getattr(owner, part, None)
    return owner, name


def _holder(place: str) -> tuple[Any, str] | None:
    """Who has the attribute at a place, and its name; None where nobody has."""
    owner, name = _owner_of(place)
    return None if owner is None or name not in vars(owner) else (owner, name)


def _identity(value: Any) -> tuple[str, str]:
    """The module and name that a function or class carries; of a method those of its owner's class and its own."""
    if isinstance(value, types.MethodType | types.BuiltinFunctionType):
        return str(type(value.__self__).__module__), value.__name__
    origin = _origin(value)
    return str(getattr(origin, "__module__", None)), str(getattr(origin, "__qualname__", None))


def _original(wanted: tuple[str, str], owner: Any, name: str, namespace: Mapping[str, Any]) -> Any:
    """What a library had there before: where it was made, in a name of the notebook, or in another module."""
    made, _ = _owner_of(":".join(wanted))
    held = [vars(made).get(wanted[1].rpartition(".")[2])] if made is not None else []
    others = (getattr(module, "__dict__", {}).get(name) for module in list(sys.modules.values()))
    # numpy.random's functions are methods of one generator; another generator's are others.
    selves = {id(getattr(value, "__self__", None)) for value in vars(owner).values()} - {id(None)}
    for value in (*held, *list(namespace.values()), *others):
        bound = isinstance(value, types.MethodType | types.BuiltinFunctionType)
        if not (bound or isinstance(value, _KINDS)) or _identity(value) != wanted:
            continue
        if id(value.__self__) in selves if bound else not _is_ours(value, namespace):
            return value
    return None


def _owners(namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each module and class that may have been patched, with what stands before the name in its place."""
    seen: set[int] = set()
    named = [value for value in namespace.values() if isinstance(value, types.ModuleType | type)]
    known = [getattr(sys.modules.get(module), name, None) for module, names in _EXTENDED.items() for name in names]
    parts = [part for one in named if isinstance(one, types.ModuleType) for part in _submodules(one)]
    for one in (
        *named,
        *parts,
        *(sys.modules[name] for name in _ALWAYS),
        *(kind for kind in known if kind is not None),
    ):
        inside = (
            []
            if isinstance(one, type) or one in parts
            else [part for part in _attributes(one).values() if isinstance(part, type)]
        )
        for owner in (one, *inside):
            if id(owner) in seen or (place := _place(owner)) is None:
                continue
            seen.add(id(owner))
            yield place, owner


def _submodules(module: types.ModuleType) -> list[types.ModuleType]:
    """``np.random`` of ``np``."""
    inside = _attributes(module).values()
    return [
        one
        for one in inside
        if isinstance(one, types.ModuleType) and one.__name__.rpartition(".")[0] == module.__name__
    ]


def _attributes(owner: Any) -> Mapping[str, Any]:
    """Without loading a module that is loaded when it is first used."""
    return vars(owner) if isinstance(owner, type) else dict(object.__getattribute__(owner, "__dict__"))


def _place(owner: Any) -> str | None:
    if isinstance(owner, types.ModuleType):
        return None if owner.__name__ in ("__main__", "greenkernel") else f"{owner.__name__}:"
    module, name = owner.__module__, owner.__qualname__
    if module in ("__main__", "builtins") or not isinstance(module, str) or "<" in name:
        return None
    return f"{module}:{name}."


def _origin(value: Any) -> Any:
    """The function or class behind an attribute."""
    for inner in ("_accessor", "fget", "__func__"):
        value = getattr(value, inner, None) or value
    return value


def _is_ours(value: Any, namespace: Mapping[str, Any]) -> bool:
    if not isinstance(value, _KINDS) and not type(value).__name__.endswith("Accessor"):
        return False
    origin = _origin(value)
    if isinstance(origin, types.FunctionType):
        return origin.__globals__ is namespace
    return isinstance(origin, type) and origin.__module__ == "__main__"


def _is_of_others(value: Any, library: str) -> bool:
    origin = _origin(value)
    if not isinstance(origin, types.FunctionType | type) or isinstance(value, type):
        return False
    module = getattr(origin, "__module__", None)
    return isinstance(module, str) and _library(module) not in (library, "builtins", "greenkernel")


def _library(module: str) -> str:
    return module.partition(".")[0]
