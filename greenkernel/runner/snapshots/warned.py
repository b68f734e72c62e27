"""Which warnings have been shown: Python forgets it when warning filters change, and many a library changes them."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from greenkernel.store.imports import silence

NAME = "__warningregistry__"


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """What was shown before counts as shown afterwards, though filters were changed, and set back, meanwhile."""
    before = filters_now()
    try:
        yield
    finally:
        after = filters_now()
        if after != before:
            for module in list(sys.modules.values()):
                registry = getattr(module, "__dict__", {}).get(NAME)
                if isinstance(registry, dict) and registry.get("version") == before["version"]:
                    registry.update(after)


def filters_now() -> dict[Any, Any]:
    """What makes a registry valid for the filters as they are now; only Python itself knows the number."""
    registry: dict[Any, Any] = {}
    with silence(), contextlib.suppress(Warning):
        warnings.warn_explicit("", UserWarning, "", 1, registry=registry)
    return {"version": registry.get("version", 0)}
