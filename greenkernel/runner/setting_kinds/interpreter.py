"""Settings of Python itself: where each is found, and how it is set."""

from __future__ import annotations

import decimal
import gc
import locale
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from greenkernel.runner import logging_setup, module_state
from greenkernel.runner.setting_kinds.kind import Kind, Values


def _take_warnings(_: Path) -> dict[str, Any]:
    return {"filters": list(warnings.filters)}


def _put_warnings(values: Values, _: Path) -> None:
    warnings.filters[:] = values["filters"]  # type: ignore[index]  # the stubs call it a sequence, it is a list
    warnings._filters_mutated()  # type: ignore[attr-defined]  # as the warnings module does it itself


def _take_limits(_: Path) -> dict[str, Any]:
    return {"recursion": sys.getrecursionlimit(), "digits": sys.get_int_max_str_digits(), "gc": gc.isenabled()}


def _put_limits(values: Values, _: Path) -> None:
    if "recursion" in values:
        sys.setrecursionlimit(values["recursion"])
    if "digits" in values:
        sys.set_int_max_str_digits(values["digits"])
    if "gc" in values:
        (gc.enable if values["gc"] else gc.disable)()


def _take_sockets(_: Path) -> dict[str, Any]:
    return {"timeout": sys.modules["socket"].getdefaulttimeout()}


def _put_sockets(values: Values, _: Path) -> None:
    sys.modules["socket"].setdefaulttimeout(values["timeout"])


def _take_decimal(_: Path) -> dict[str, Any]:
    context = decimal.getcontext()
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    traps = sorted(signal.__name__ for signal, on in context.traps.items() if on)
    return {**{name: getattr(context, name) for name in names}, "traps": traps}


def _put_decimal(values: Values, _: Path) -> None:
    context = decimal.getcontext()
    for name, value in values.items():
        if name == "traps":
            for signal in context.traps:
                context.traps[signal] = signal.__name__ in value
        else:
            setattr(context, name, value)


def _take_locale(_: Path) -> dict[str, Any]:
    return {"all": locale.setlocale(locale.LC_ALL)}


def _put_locale(values: Values, _: Path) -> None:
    locale.setlocale(locale.LC_ALL, values["all"])


def _take_environment(_: Path) -> dict[str, Any]:
    return dict(os.environ)


def _put_environment(values: Values, _: Path) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if "TZ" in values and hasattr(time, "tzset"):
        time.tzset()


def _take_folder(root: Path) -> dict[str, Any]:
    return {"folder": _portable(str(Path.cwd()), root)}


def _put_folder(values: Values, root: Path) -> None:
    os.chdir(_here(values["folder"], root))


def _take_path(root: Path) -> dict[str, Any]:
    """Where each entry stands: before or behind the notebook's folder."""
    own = next((i for i, entry in enumerate(sys.path) if entry in ("", str(root))), 0)
    found = {_portable(entry, root): "front" if i < own else "back" for i, entry in enumerate(sys.path)}
    return {entry: place for entry, place in found.items() if entry not in ("", ".")}


def _put_path(values: Values, root: Path) -> None:
    for entry, place in values.items():
        here = _here(entry, root)
        if here in sys.path:
            sys.path.remove(here)
        if place == "front":
            sys.path.insert(0, here)
        elif place == "back":
            sys.path.append(here)


def _take_processes(_: Path) -> dict[str, Any]:
    return {"start": sys.modules["multiprocessing"].get_start_method(allow_none=True)}


def _put_processes(values: Values, _: Path) -> None:
    sys.modules["multiprocessing"].set_start_method(values["start"], force=True)


def _take_arguments(root: Path) -> dict[str, Any]:
    return {"argv": [_portable(sys.argv[0], root), *sys.argv[1:]] if sys.argv else []}


def _put_arguments(values: Values, root: Path) -> None:
    given = values["argv"]
    sys.argv[:] = [_here(given[0], root), *given[1:]] if given else []


_DIALECT = ("delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting", "skipinitialspace")


def _take_dialects(_: Path) -> dict[str, Any]:
    csv = sys.modules["csv"]
    found = {name: csv.get_dialect(name) for name in csv.list_dialects()}
    return {name: {part: getattr(dialect, part) for part in _DIALECT} for name, dialect in found.items()}


def _put_dialects(values: Values, _: Path) -> None:
    csv = sys.modules["csv"]
    for name, parts in values.items():
        if parts is not None:
            csv.register_dialect(name, **parts)
        elif name in csv.list_dialects():
            csv.unregister_dialect(name)


def _take_week(_: Path) -> dict[str, Any]:
    return {"begins": sys.modules["calendar"].firstweekday()}


def _put_week(values: Values, _: Path) -> None:
    sys.modules["calendar"].setfirstweekday(values["begins"])


def _portable(path: str, root: Path) -> str:
    """Below the root: relative to it, with a mark; anything else as it is."""
    if Path(path).is_absolute() and Path(path).is_relative_to(root):
        relative = Path(path).relative_to(root).as_posix()
        return "." if relative == "." else f"./{relative}"
    return path


def _here(path: str, root: Path) -> str:
    return str(root / path) if path == "." or path.startswith("./") else path


# In the order in which they are put: the folder before what is looked up in it.
KINDS: tuple[Kind, ...] = (
    Kind(
        name="environment",
        title="environment variables",
        module=None,
        take=_take_environment,
        put=_put_environment,
        early=True,
    ),
    Kind(name="folder", title="the working folder", module=None, take=_take_folder, put=_put_folder),
    Kind(name="path", title="entries of sys.path", module=None, take=_take_path, put=_put_path, early=True),
    Kind(name="arguments", title="sys.argv", module=None, take=_take_arguments, put=_put_arguments),
    Kind(
        name="processes",
        title="how processes are started",
        module="multiprocessing",
        take=_take_processes,
        put=_put_processes,
    ),
    Kind(
        name="reloads",
        title="reloaded modules",
        module=None,
        take=module_state.take_reloads,
        put=module_state.put_reloads,
        early=True,  # what is of them is found in them as they are then
    ),
    Kind(name="modules", title="what modules hold", module=None, take=module_state.take, put=module_state.put),
    Kind(name="locale", title="the locale", module=None, take=_take_locale, put=_put_locale),
    Kind(name="limits", title="limits of the interpreter", module=None, take=_take_limits, put=_put_limits),
    Kind(name="sockets", title="the timeout of sockets", module="socket", take=_take_sockets, put=_put_sockets),
    Kind(name="decimal", title="the decimal context", module=None, take=_take_decimal, put=_put_decimal),
    Kind(name="dialects", title="dialects of csv", module="csv", take=_take_dialects, put=_put_dialects),
    Kind(name="week", title="how a week begins", module="calendar", take=_take_week, put=_put_week),
    Kind(name="logging", title="loggers", module=None, take=logging_setup.take, put=logging_setup.put),
)

# Last of all, for setting something may warn.
WARNINGS = Kind(name="warnings", title="warning filters", module=None, take=_take_warnings, put=_put_warnings)
