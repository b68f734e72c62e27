"""Objects of HoloViews: what ``.opts()`` gave them is not in them but in a table of the library's, by their number."""

from __future__ import annotations

import sys
from typing import Any


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """With their options; None for everything else."""
    dimension: Any = sys.modules.get("holoviews.core.dimension")
    if dimension is None or not issubclass(kind, dimension.LabelledData):
        return None
    tables = sys.modules["holoviews.core.options"].Store._custom_options
    options = {backend: table[value.id] for backend, table in tables.items() if value.id in table}
    if not options:
        return None
    make, args, state, *rest = value.__reduce_ex__(5)
    return make, args, (state, options), *(rest or (None, None)), _put


def _put(value: Any, content: tuple[dict[str, Any], dict[str, Any]]) -> None:
    state, options = content
    # Sets the number to None, whatever it was there.
    value.__setstate__(dict(state))
    module: Any = sys.modules["holoviews.core.options"]
    number = module.StoreOptions.id_offset()
    for backend, tree in options.items():
        module.Store._custom_options.setdefault(backend, {})[number] = tree
    value.id = number
