"""``with`` blocks around a loop that is gone on with: entered once more, if that is all there is to them."""

from __future__ import annotations

import ast
import contextlib
import decimal
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from greenkernel.runner.snapshots.weave import with_key
from greenkernel.runner.surroundings import Taken

# They set what a process has one of, and set it back; nothing else. By the module and name of their class or function.
_AGAIN = {
    "numpy": {"errstate", "printoptions"},
    "pandas": {"option_context"},
    "sklearn": {"config_context"},
    "matplotlib": {"rc_context", "context"},
    "torch": {"no_grad", "enable_grad", "inference_mode", "set_grad_enabled", "autocast"},
    "joblib": {"parallel_backend", "parallel_config"},
    "threadpoolctl": {"threadpool_limits"},
}
_OWN = (warnings.catch_warnings, contextlib.nullcontext, contextlib.suppress, type(decimal.localcontext()))
# What is entered oftener stands inside of a loop, at whose rounds snapshots are taken instead.
_MOST = 100


class Contexts:
    """The ``with`` blocks of one statement or function.

    Args:
        changed: The process-wide settings that differ from those at the cell's beginning.
        put: Puts such settings.
        outside: By key, the settings around blocks that are to be entered once more.
    """

    def __init__(
        self, changed: Callable[[], Taken], put: Callable[[Taken], None], outside: Mapping[str, Taken]
    ) -> None:
        self._changed = changed
        self._put = put
        self._again = dict(outside)
        self._entered = 0
        self._unknown: dict[str, str] = {}
        self.outside: dict[str, Taken] = dict(outside)

    def inside(self, key: str, manager: Any) -> Any:
        """A block is about to be entered."""
        if (settings := self._again.pop(key, None)) is not None:
            self._put(settings)
            return manager
        self._entered += 1
        if self._entered > _MOST:
            self._unknown[key] = "too often"
        elif not _is_entered_again(manager):
            self._unknown[key] = type(manager).__qualname__
        else:
            self.outside[key] = self._changed()
        return manager

    def trouble(self, block: ast.With) -> str | None:
        """Why a block cannot be entered once more."""
        for item in block.items:
            if item.optional_vars is not None:
                return "it stands inside of a ``with`` that binds a name"
            if (name := self._unknown.get(with_key(item))) is not None:
                return f"it stands inside of a ``with`` ({name})"
        return None


def _is_entered_again(manager: Any) -> bool:
    if isinstance(manager, _OWN):
        return True
    made_by = getattr(manager, "func", type(manager))  # that of `contextlib.contextmanager`
    library = str(getattr(made_by, "__module__", "")).partition(".")[0]
    return getattr(made_by, "__name__", "") in _AGAIN.get(library, ())
