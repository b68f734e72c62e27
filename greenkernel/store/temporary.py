"""Folders of temporary files, which end with their object: with the notebook's own, not with a copy of it."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def reduced(value: Any, kind: type, *, returns: bool) -> tuple[Any, ...] | None:
    """How to make a copy that leaves the folder alone; None for everything else.

    Args:
        value: Any object.
        kind: Its type.
        returns: It goes home: the folder outlives the process that has made it.
    """
    if kind is not TemporaryDirectory:
        return None
    if returns:
        value._finalizer.detach()
    return _copy, ({name: one for name, one in vars(value).items() if name != "_finalizer"},)


def adopt(value: Any) -> None:
    """Let the folder of a copy, if it is here, end with the copy."""
    if type(value) is TemporaryDirectory and not vars(value)["_finalizer"].alive and Path(value.name).is_dir():
        vars(value)["_finalizer"] = weakref.finalize(value, shutil.rmtree, value.name, ignore_errors=True)


def _copy(attributes: Mapping[str, Any]) -> TemporaryDirectory[str]:
    made = TemporaryDirectory.__new__(TemporaryDirectory)
    vars(made).update(attributes)
    finalizer = weakref.finalize(made, _nothing)
    finalizer.detach()
    vars(made)["_finalizer"] = finalizer
    return made


def _nothing() -> None:
    pass
