"""Which warnings have been shown: Python forgets it when warning filters change, and many a library changes them."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

NAME = "__warningregistry__"
# Two threads that looked at once would put back what the other had put.
_looking = threading.Lock()


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
    # Neither shown nor recorded by who records warnings; Python looks for this function each time.
    module: Any = warnings
    with _looking:
        show, module._showwarnmsg = module._showwarnmsg, lambda _: None
        try:
            with contextlib.suppress(Warning):
                warnings.warn_explicit("", UserWarning, "", 1, registry=registry)
        finally:
            module._showwarnmsg = show
    return {"version": registry.get("version", 0)}
