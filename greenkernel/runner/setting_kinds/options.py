"""Options that libraries keep in a mapping of a module: ``control.config.defaults``, ``dask.config.config``.

Most libraries of which nothing else here knows have them under one of a few names; whatever functions set them by
(``control.use_fbs_defaults()``), what is different is seen in the mapping.
"""

from __future__ import annotations

import contextlib
import copy
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from functools import partial
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from greenkernel.runner import module_state
from greenkernel.runner.import_watch import when_imported
from greenkernel.runner.setting_kinds.kind import Kind, Values

_STEMS = ("config", "defaults", "options", "settings", "rcparams", "rcParams")
_NAMES = frozenset(name for stem in _STEMS for name in (stem, f"_{stem}", stem.upper(), f"_{stem.upper()}"))
# Followed by kinds of their own, built in, or the notebook's machinery.
_FOLLOWED = frozenset(
    {"IPython", "altair", "greenkernel", "ipykernel", "ipywidgets", "jupyter_client", "jupyter_core", "matplotlib"}
    | {"mpl_toolkits", "numpy", "pandas", "pip", "plotly", "scipy", "setuptools", "sklearn", "traitlets", "xarray"}
    | {"debugpy", "_pydevd_bundle", "pydevd", "zmq"}
)


def take(_: Path) -> dict[str, Any]:
    """Plain options by ``module:mapping:option``, each in a tuple of its own; not paths, which are each machine's."""
    return {
        f"{place}:{option}": (copy.deepcopy(value),)
        for place, mapping in _mappings()
        for option, value in list(mapping.items())
        if isinstance(option, str) and module_state.is_plain(value) and not _names_a_place(value)
    }


def put(values: Values, _: Path) -> None:
    """Set options, of modules that are not loaded yet as soon as they are."""
    by_module: dict[str, dict[tuple[str, str], Any]] = {}
    for key, value in values.items():
        module, name, option = key.split(":", 2)
        by_module.setdefault(module, {})[name, option] = value
    for module, wanted in by_module.items():
        if module in sys.modules:
            _put(module, wanted)
        else:
            when_imported(module, partial(_put, module, wanted))


def _put(module: str, wanted: Mapping[tuple[str, str], Any]) -> None:
    for (name, option), value in wanted.items():
        mapping = vars(sys.modules[module]).get(name)
        if not isinstance(mapping, MutableMapping):
            continue
        # Another version of the library may refuse an option.
        with contextlib.suppress(Exception):
            if value is None:
                mapping.pop(option, None)
            elif option not in mapping or mapping[option] != value[0]:
                mapping[option] = value[0]


def _mappings() -> Iterator[tuple[str, MutableMapping[Any, Any]]]:
    """Each once, at the first module by name that has it."""
    found: dict[int, tuple[str, MutableMapping[Any, Any]]] = {}
    for module, known in list(sys.modules.items()):
        if module.partition(".")[0] in _FOLLOWED or type(known) is not ModuleType:
            continue
        inside = object.__getattribute__(known, "__dict__")  # nothing is loaded by looking
        for name in _NAMES & inside.keys():
            mapping, place = inside[name], f"{module}:{name}"
            if isinstance(mapping, MutableMapping) and module_state.is_installed(known):
                found[id(mapping)] = min(found.get(id(mapping), (place, mapping)), (place, mapping), key=itemgetter(0))
    yield from found.values()


def _names_a_place(value: object) -> bool:
    """True for a path of this machine, and for plain data with one in it."""
    if isinstance(value, str):
        return value.startswith((os.sep, "~"))
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    return isinstance(value, dict | list | tuple | set | frozenset) and any(map(_names_a_place, inside))  # type: ignore[call-overload]


KINDS: tuple[Kind, ...] = (Kind(name="options", title="options of libraries", module=None, take=take, put=put),)
