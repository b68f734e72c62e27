"""Which objects something else in the notebook holds, beside the name or container that they are sent under.

A cell may change such an object and let go of it, ``df["q"] = 1; df = df.dropna()``: who else holds it sees the change.
What nobody else holds may be forgotten where the cell runs, as it would be here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from greenkernel.store.inner import Inner
from greenkernel.store.returned import inner_name


def held_elsewhere(namespace: Mapping[str, object]) -> frozenset[str]:
    """Names whose objects are held by more than the namespace; others' leftovers, such as ``Out``, count."""
    alone = _count({"name": object()}, "name")
    return frozenset(name for name in list(namespace) if _count(namespace, name) > alone)


def parts_held_elsewhere(inner: Inner) -> tuple[str, ...]:
    """Parts of what is sent that are held by more than one container."""
    part = object()
    container, parts = [part], {0: part}
    del part
    alone = _count(parts, 0)
    assert container
    return tuple(inner_name(number) for number in inner.owners if _count(inner.objects, number) > alone)


def _count(held: Mapping[Any, object], key: object) -> int:
    return sys.getrefcount(held[key])
