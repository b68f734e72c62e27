"""The kinds of process-wide settings that are followed: where each is found, and how it is set."""

from __future__ import annotations
import __future__

import decimal
import functools
import inspect
import locale
import operator
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenkernel.runner import logging_setup, module_state

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of setting.

    Attributes:
        name: Its key in payloads.
        title: What to call it in a message.
        module: Only looked at where this module is loaded; None: always.
        take: The present values; gets the root of the notebook's files in this process.
        put: Sets some values; gets the same root.
    """

    name: str
    title: str
    module: str | None
    take: Callable[[Path], dict[str, Any]]
    put: Callable[[Values, Path], None]


# --- the interpreter ----------------------------------------------------------------------------------------------


def _take_warnings(_: Path) -> dict[str, Any]:
    return {"filters": list(warnings.filters)}


def _put_warnings(values: Values, _: Path) -> None:
    warnings.filters[:] = values["filters"]  # type: ignore[index]  # the stubs call it a sequence, it is a list
    warnings._filters_mutated()  # type: ignore[attr-defined]  # as the warnings module does it itself


def _take_limits(_: Path) -> dict[str, Any]:
    return {"recursion": sys.getrecursionlimit(), "digits": sys.get_int_max_str_digits()}


def _put_limits(values: Values, _: Path) -> None:
    if "recursion" in values:
        sys.setrecursionlimit(values["recursion"])
    if "digits" in values:
        sys.set_int_max_str_digits(values["digits"])


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


def _take_arguments(root: Path) -> dict[str, Any]:
    return {"argv": [_portable(sys.argv[0], root), *sys.argv[1:]] if sys.argv else []}


def _put_arguments(values: Values, root: Path) -> None:
    given = values["argv"]
    sys.argv[:] = [_here(given[0], root), *given[1:]] if given else []


def _portable(path: str, root: Path) -> str:
    """Below the root: relative to it, with a mark; anything else as it is."""
    if Path(path).is_absolute() and Path(path).is_relative_to(root):
        relative = Path(path).relative_to(root).as_posix()
        return "." if relative == "." else f"./{relative}"
    return path


def _here(path: str, root: Path) -> str:
    return str(root / path) if path == "." or path.startswith("./") else path


# --- libraries ----------------------------------------------------------------------------------------------------


def _take_numpy_print(_: Path) -> dict[str, Any]:
    return dict(sys.modules["numpy"].get_printoptions())


def _put_numpy_print(values: Values, _: Path) -> None:
    sys.modules["numpy"].set_printoptions(**_accepted(sys.modules["numpy"].set_printoptions, values))


def _take_numpy_errors(_: Path) -> dict[str, Any]:
    return dict(sys.modules["numpy"].geterr())


def _put_numpy_errors(values: Values, _: Path) -> None:
    sys.modules["numpy"].seterr(**values)


def _take_sklearn(_: Path) -> dict[str, Any]:
    return dict(sys.modules["sklearn"].get_config())


def _put_sklearn(values: Values, _: Path) -> None:
    sys.modules["sklearn"].set_config(**_accepted(sys.modules["sklearn"].set_config, values))


def _take_pandas(_: Path) -> dict[str, Any]:
    def flat(part: Mapping[str, Any], above: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in part.items():
            found |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
        return found

    return flat(sys.modules["pandas"].options.d, "")


def _put_pandas(values: Values, root: Path) -> None:
    now = _take_pandas(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some options are deprecated
        for name, value in values.items():
            if name in now and now[name] != value:
                sys.modules["pandas"].set_option(name, value)


# What depends on the process rather than on the user.
_NOT_RC = frozenset({"backend", "backend_fallback", "interactive", "toolbar", "datapath", "webagg.open_in_browser"})


def _take_matplotlib(_: Path) -> dict[str, Any]:
    params = sys.modules["matplotlib"].rcParams
    return {name: _copied(dict.__getitem__(params, name)) for name in list(params) if name not in _NOT_RC}


def _put_matplotlib(values: Values, root: Path) -> None:
    now = _take_matplotlib(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in values.items():
            if name in now and now[name] != value:
                sys.modules["matplotlib"].rcParams[name] = value


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def _take_figures(_: Path) -> dict[str, Any]:
    """Formats in which figures are shown inline, as ``%config`` and ``set_matplotlib_formats`` leave them."""
    inline = sys.modules["matplotlib_inline.config"].InlineBackend.instance()
    if _draws_inline():
        formats, given = _formats_shown()
    else:
        formats, given = set(inline.figure_formats), dict(inline.print_figure_kwargs)
    return {"formats": (sorted(formats), given), "close": bool(inline.close_figures)}


def _take_figures_to_come(_: Path) -> dict[str, Any]:
    """What ``%config`` has said of figures before there was one; the backend reads it when it is loaded."""
    return dict(_shell().config.get("InlineBackend", {}))


def _put_figures_to_come(values: Values, _: Path) -> None:
    shell = _shell()
    shell.config.InlineBackend.update({name: value for name, value in values.items() if value is not None})
    loaded = sys.modules.get("matplotlib_inline.config")
    if loaded is not None and loaded.InlineBackend.initialized():
        loaded.InlineBackend.instance().update_config(shell.config)


def _formats_shown() -> tuple[set[str], dict[str, Any]]:
    from matplotlib.figure import Figure

    formats: set[str] = set()
    given: dict[str, Any] = {}
    for formatter in _shell().display_formatter.formatters.values():
        print_figure = formatter.type_printers.get(Figure)
        if not hasattr(print_figure, "keywords"):
            continue
        words = dict(print_figure.keywords)
        formats.add("retina" if print_figure.func.__name__ == "retina_figure" else words.pop("fmt", "png"))
        given = {name: value for name, value in words.items() if name not in ("fmt", "base64")}
    return formats, given


def _put_figures(values: Values, _: Path) -> None:
    from IPython.core.pylabtools import select_figure_formats

    inline = sys.modules["matplotlib_inline.config"].InlineBackend.instance()
    if "formats" in values and values["formats"][0]:
        formats, given = values["formats"]
        inline.figure_formats, inline.print_figure_kwargs = set(formats), dict(given)
        if _draws_inline():
            select_figure_formats(_shell(), set(formats), **given)
    if "close" in values:
        inline.close_figures = values["close"]


def _draws_inline() -> bool:
    """True once the backend has told the shell how figures are shown."""
    backend = sys.modules.get("matplotlib_inline.backend_inline")
    return hasattr(getattr(backend, "configure_inline_support", None), "current_backend")


# What ``from __future__ import`` leaves for later cells.
_FUTURE = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
_TEXT_TRAITS = ("pprint", "max_width", "max_seq_length", "newline", "float_precision")


def _take_shell(_: Path) -> dict[str, Any]:
    shell = _shell()
    plain = shell.display_formatter.formatters["text/plain"]
    future = shell.compile.flags & _FUTURE
    own = {"ast_node_interactivity": shell.ast_node_interactivity, "future": future}
    return {**own, **{name: getattr(plain, name) for name in _TEXT_TRAITS}}


def _put_shell(values: Values, _: Path) -> None:
    shell = _shell()
    plain = shell.display_formatter.formatters["text/plain"]
    for name, value in values.items():
        if name == "future":
            shell.compile.flags |= value
            continue
        setattr(plain if name in _TEXT_TRAITS else shell, name, value)


def _take_extensions(_: Path) -> dict[str, Any]:
    return dict.fromkeys(sorted(_shell().extension_manager.loaded - {"greenkernel"}), True)


def _put_extensions(values: Values, _: Path) -> None:
    manager = _shell().extension_manager
    for name, loaded in values.items():
        if loaded and name not in manager.loaded:
            manager.load_extension(name)
        elif not loaded:
            manager.unload_extension(name)


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _accepted(function: Callable[..., Any], values: Values) -> dict[str, Any]:
    known = inspect.signature(function).parameters
    return {name: value for name, value in values.items() if name in known}


# In the order in which they are put: the folder before what is looked up in it, filters last, for setting may warn.
KINDS: tuple[Kind, ...] = (
    Kind(
        name="environment",
        title="environment variables",
        module=None,
        take=_take_environment,
        put=_put_environment,
    ),
    Kind(name="folder", title="the working folder", module=None, take=_take_folder, put=_put_folder),
    Kind(name="path", title="entries of sys.path", module=None, take=_take_path, put=_put_path),
    Kind(name="arguments", title="sys.argv", module=None, take=_take_arguments, put=_put_arguments),
    Kind(name="modules", title="what modules hold", module=None, take=module_state.take, put=module_state.put),
    Kind(name="locale", title="the locale", module=None, take=_take_locale, put=_put_locale),
    Kind(name="limits", title="limits of the interpreter", module=None, take=_take_limits, put=_put_limits),
    Kind(name="decimal", title="the decimal context", module=None, take=_take_decimal, put=_put_decimal),
    Kind(name="logging", title="loggers", module=None, take=logging_setup.take, put=logging_setup.put),
    Kind(name="shell", title="settings of the shell", module="IPython", take=_take_shell, put=_put_shell),
    Kind(
        name="extensions",
        title="extensions of IPython",
        module="IPython",
        take=_take_extensions,
        put=_put_extensions,
    ),
    Kind(
        name="numpy print",
        title="numpy's print options",
        module="numpy",
        take=_take_numpy_print,
        put=_put_numpy_print,
    ),
    Kind(
        name="numpy errors",
        title="numpy's error handling",
        module="numpy",
        take=_take_numpy_errors,
        put=_put_numpy_errors,
    ),
    Kind(name="pandas", title="options of pandas", module="pandas", take=_take_pandas, put=_put_pandas),
    Kind(name="sklearn", title="scikit-learn's configuration", module="sklearn", take=_take_sklearn, put=_put_sklearn),
    Kind(
        name="matplotlib",
        title="matplotlib's rcParams",
        module="matplotlib",
        take=_take_matplotlib,
        put=_put_matplotlib,
    ),
    Kind(
        name="figures to come",
        title="settings of figures",
        module="IPython",
        take=_take_figures_to_come,
        put=_put_figures_to_come,
    ),
    Kind(
        name="figures",
        title="figure formats",
        module="matplotlib_inline.config",
        take=_take_figures,
        put=_put_figures,
    ),
    Kind(name="warnings", title="warning filters", module=None, take=_take_warnings, put=_put_warnings),
)
