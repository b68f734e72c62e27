"""What a slice knows of the values in its namespace, and how it leaves out rows of them, coherently over all names.

pandas and SciPy are not imported here: a value of theirs brings its library along.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from greenkernel.runner.slice_order import Cut

_KINDS = (("numpy", "ndarray", "array"), ("pandas", "DataFrame", "frame"), ("pandas", "Series", "series"))
_COUNTED_UP_TO = 1_000_000
_LOOKED_AT = 50
# Rows of each class that come first, so that no class is lost in a small slice.
_OF_EACH_CLASS = 2


def describe(name: str, value: Any) -> dict[str, Any]:
    """A value in a few light words, for whoever decides which names are rows."""
    kind = kind_of(value)
    shape = _shape(kind, value)
    return {
        "name": name,
        "kind": kind,
        "shape": shape,
        "bytes": _bytes(kind, value),
        "distinct": _distinct(kind, value) if len(shape) == 1 else None,
        "time_index": type(getattr(value, "index", None)).__name__ in ("DatetimeIndex", "PeriodIndex"),
        "value": value if kind == "int" else None,
    }


def kind_of(value: Any) -> str:
    """``array``, ``frame``, ``series``, ``sparse``, ``list``, ``tuple``, ``int`` or ``other``."""
    if type(value) in (list, tuple, int):
        return type(value).__name__
    for module, name, kind in _KINDS:
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(value, getattr(loaded, name)):
            return kind
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(value):
        return "sparse"
    return "other"


def cut_rows(namespace: dict[str, Any], cut: Cut) -> int:
    """Replace the values of ``cut.axes`` by their kept rows; an object with two names stays one object.

    Returns:
        The rows that were kept.
    """
    first, axis = next(iter(cut.axes.items()))
    total = _shape(kind_of(namespace[first]), namespace[first])[axis]
    kept = kept_rows(total, cut, namespace)
    done: dict[tuple[int, int], Any] = {}
    for name, at in cut.axes.items():
        value = namespace[name]
        key = (id(value), at)
        if key not in done:
            done[key] = (value, _take(value, at, kept))  # the value is kept alive, or its id might be used again
        namespace[name] = done[key][1]
    return len(kept)


def kept_rows(total: int, cut: Cut, namespace: Mapping[str, Any]) -> Any:
    """Sorted indices of the rows that stay, as a NumPy array."""
    import numpy as np

    wanted = min(total, max(1, round(cut.fraction * total)))
    if cut.contiguous:
        return np.arange(wanted)
    order = np.random.default_rng(cut.seed).permutation(total)
    if cut.groups is not None:
        ranks = _first_seen(_codes(namespace[cut.groups])[order])
        by_group = np.argsort(ranks, kind="stable")
        # Whole groups only: on to the end of the one that the wanted number falls into.
        wanted = int(np.searchsorted(ranks[by_group], ranks[by_group][wanted - 1], side="right"))
        order = order[by_group]
    elif cut.stratify is not None:
        order = order[_stratified(_codes(namespace[cut.stratify])[order])]
    return np.sort(order[:wanted])


def _stratified(codes: Any) -> Any:
    """An order of which every beginning has each class in its share, a few of each before the rest."""
    import numpy as np

    counts = np.bincount(codes)
    by_class = np.argsort(codes, kind="stable")
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(codes), dtype=np.int64)
    ranks[by_class] = np.arange(len(codes)) - np.repeat(starts, counts)
    return np.lexsort(((ranks + 0.5) / counts[codes], ranks >= _OF_EACH_CLASS))


def _codes(values: Any) -> Any:
    """Equal values as equal small numbers; values may be of any kind that has a hash."""
    import numpy as np

    known: dict[Any, int] = {}
    items = values.tolist() if hasattr(values, "tolist") else values
    return np.array([known.setdefault(item, len(known)) for item in items], dtype=np.int64)


def _first_seen(codes: Any) -> Any:
    """Each code's rank in the order in which codes appear."""
    import numpy as np

    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _take(value: Any, axis: int, rows: Any) -> Any:
    kind = kind_of(value)
    if kind in ("list", "tuple"):
        return type(value)(value[i] for i in rows.tolist())
    if kind in ("frame", "series"):
        return value.iloc[rows] if axis == 0 else value.iloc[:, rows]
    if kind == "sparse":
        taken = value.tocsr()[rows] if axis == 0 else value.tocsc()[:, rows]
        return taken.asformat(value.format)
    return value.take(rows, axis=axis)


def _shape(kind: str, value: Any) -> list[int]:
    if kind in ("list", "tuple"):
        return [len(value)]
    return [int(length) for length in value.shape] if kind in ("array", "frame", "series", "sparse") else []


def _bytes(kind: str, value: Any) -> int:
    if kind in ("list", "tuple"):
        looked_at = value[:_LOOKED_AT]
        each = [int(getattr(item, "nbytes", 0)) or sys.getsizeof(item) for item in looked_at]
        return sum(each) * len(value) // max(len(each), 1)
    if kind == "frame":
        return int(value.memory_usage(index=False).sum())
    if kind == "sparse":
        return int(value.nnz) * 12
    return int(value.nbytes) if kind in ("array", "series") else sys.getsizeof(value)


def _distinct(kind: str, value: Any) -> int | None:
    """How many different values the first million are; None where they cannot be compared."""
    items: Sequence[Any] = value if kind in ("list", "tuple") else value[:_COUNTED_UP_TO].tolist()
    try:
        return len(set(itertools.islice(items, _COUNTED_UP_TO)))
    except TypeError:
        return None
