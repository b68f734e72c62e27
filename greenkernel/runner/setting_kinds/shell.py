"""Settings of IPython and of how it shows figures: where each is found, and how it is set."""

from __future__ import annotations
import __future__

import functools
import operator
import sys
from pathlib import Path
from typing import Any

from greenkernel.runner.setting_kinds.kind import Kind, Values


def _take_figures(_: Path) -> dict[str, Any]:
    """Formats in which figures are shown inline, as ``%config`` and ``set_matplotlib_formats`` leave them."""
    inline = sys.modules["matplotlib_inline.config"].InlineBackend.instance(parent=_shell())
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

    inline = sys.modules["matplotlib_inline.config"].InlineBackend.instance(parent=_shell())
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
_OWN_PRINTERS = ("IPython", "matplotlib", "matplotlib_inline", "builtins", "_io", "greenkernel")
_TEXT_TRAITS = ("pprint", "max_width", "max_seq_length", "newline", "float_precision")


def _take_shell(_: Path) -> dict[str, Any]:
    shell = _shell()
    plain = shell.display_formatter.formatters["text/plain"]
    future = shell.compile.flags & _FUTURE
    own = {"ast_node_interactivity": shell.ast_node_interactivity, "future": future}
    own["xmode"] = shell.InteractiveTB.mode
    return {**own, **{name: getattr(plain, name) for name in _TEXT_TRAITS}}


def _put_shell(values: Values, _: Path) -> None:
    shell = _shell()
    plain = shell.display_formatter.formatters["text/plain"]
    for name, value in values.items():
        if name == "future":
            shell.compile.flags |= value
            continue
        if name == "xmode":
            shell.InteractiveTB.set_mode(mode=value)
            continue
        setattr(plain if name in _TEXT_TRAITS else shell, name, value)


def _take_aliases(_: Path) -> dict[str, Any]:
    """Commands of the system that ``%alias`` has made magics."""
    return dict(_shell().alias_manager.aliases)


def _put_aliases(values: Values, _: Path) -> None:
    manager = _shell().alias_manager
    for name, command in values.items():
        if command is not None:
            manager.soft_define_alias(name, command)
        elif manager.is_alias(name):
            manager.undefine_alias(name)


def _take_extensions(_: Path) -> dict[str, Any]:
    return dict.fromkeys(sorted(_shell().extension_manager.loaded - {"greenkernel"}), True)


def _put_extensions(values: Values, _: Path) -> None:
    manager = _shell().extension_manager
    for name, loaded in values.items():
        if loaded and name not in manager.loaded:
            manager.load_extension(name)
        elif not loaded:
            manager.unload_extension(name)


def _take_printers(_: Path) -> dict[str, Any]:
    """Printers that were given for types, such as by sympy's ``init_printing``; not those of figures and IPython's."""
    found: dict[str, Any] = {}
    for form, formatter in _shell().display_formatter.formatters.items():
        for kind, printer in formatter.type_printers.items():
            origin = getattr(printer, "func", printer)
            if str(getattr(origin, "__module__", "")).partition(".")[0] not in _OWN_PRINTERS:
                found[f"{form} of {kind.__module__}.{kind.__qualname__}"] = (form, kind, printer)
    return found


def _put_printers(values: Values, _: Path) -> None:
    formatters = _shell().display_formatter.formatters
    for value in values.values():
        if value is not None:
            form, kind, printer = value
            formatters[form].for_type(kind, printer)


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    return get_ipython()


KINDS: tuple[Kind, ...] = (
    Kind(name="shell", title="settings of the shell", module="IPython", take=_take_shell, put=_put_shell),
    Kind(name="aliases", title="aliases", module="IPython", take=_take_aliases, put=_put_aliases),
    Kind(
        name="extensions",
        title="extensions of IPython",
        module="IPython",
        take=_take_extensions,
        put=_put_extensions,
    ),
    Kind(
        name="printers",
        title="ways of showing objects",
        module="IPython",
        take=_take_printers,
        put=_put_printers,
    ),
)
# After matplotlib's own.
FIGURES: tuple[Kind, ...] = (
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
)
