"""GreenKernel: run a notebook cell where and when electricity is green, and have its variables back in time."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenkernel import callbacks
    from greenkernel.handle import Run
    from greenkernel.runner.checkpoints import checkpoint, resumable
    from greenkernel.session import Forecast, attach, predict, runs, sites, task, train

__all__ = [
    "Forecast",
    "Run",
    "attach",
    "callbacks",
    "checkpoint",
    "load_ipython_extension",
    "predict",
    "resumable",
    "runs",
    "sites",
    "task",
    "train",
]
_IN_PODS_TOO = ("checkpoint", "resumable")


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext greenkernel``: register the magics."""
    from greenkernel.magic import load_ipython_extension as load

    load(shell)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def __getattr__(name: str) -> Any:
    """The API, imported when it is first used: a pod and ``%load_ext`` need none of it."""
    if name in _IN_PODS_TOO:
        from greenkernel.runner import checkpoints

        return getattr(checkpoints, name)
    if name == "callbacks":
        return importlib.import_module("greenkernel.callbacks")
    if name in __all__:
        from greenkernel import session

        return getattr(session, name)
    raise AttributeError(f"module 'greenkernel' has no attribute {name!r}")
