"""Random objects that hold one another: built twice alike, and compared with all that they share."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.binary(max_size=2)
KINDS = ("list", "dict", "set", "deque", "object", "array", "tuple", "bytearray")
Spec = list[tuple[str, list[Any]]]


@st.composite
def specs(draw: st.DrawFn, kinds: Sequence[str] = KINDS) -> Spec:
    """For each object its kind, and its parts: ``("leaf", value)`` or ``("part", number)``, cycles included."""
    count = draw(st.integers(2, 6))
    part = st.tuples(st.just("part"), st.integers(0, count - 1)) | st.tuples(st.just("leaf"), LEAVES)
    return [(draw(st.sampled_from(kinds)), draw(st.lists(part, max_size=3))) for _ in range(count)]


def build(spec: Spec) -> list[Any]:
    """The objects; a tuple holds only those before it, for it cannot be filled later."""
    made: list[Any] = []
    for kind, parts in spec:
        there = [made[n] if what == "part" else n for what, n in parts if what == "leaf" or n < len(made)]
        made.append(_new(kind, there))
    for value, (_, parts) in zip(made, spec, strict=True):
        _fill(value, [made[n] if what == "part" else n for what, n in parts])
    return made


def _new(kind: str, parts: list[Any]) -> Any:
    match kind:
        case "tuple":
            return tuple(parts)
        case "array":
            return np.arange(3.0) + len(parts)
        case "set":
            return {part for part in parts if isinstance(part, int | str | bytes)}
        case "bytearray":
            return bytearray(b"x" * len(parts))
        case "object":
            return types.SimpleNamespace()
    return {"list": list, "dict": dict, "deque": deque}[kind]()


def _fill(value: Any, parts: list[Any]) -> None:
    if isinstance(value, list | deque):
        value.extend(parts)
    elif isinstance(value, dict):
        value.update((f"k{n}", part) for n, part in enumerate(parts))
    elif isinstance(value, types.SimpleNamespace):
        vars(value).update((f"a{n}", part) for n, part in enumerate(parts))


class Compared:
    """Two graphs of objects, walked side by side: whatever is one object in one of them is one in the other."""

    def __init__(self) -> None:
        self._there: dict[int, int] = {}
        self._here: dict[int, int] = {}

    def difference(self, one: Any, other: Any, path: str = "") -> str:
        """Where they differ in content or in what is one and the same; empty where nowhere."""
        if type(one) is not type(other):
            return f"{path}: {type(one).__name__} and {type(other).__name__}"
        if isinstance(one, int | float | str | bytes | type(None)):
            return "" if one == other else f"{path}: {one!r} and {other!r}"
        if not isinstance(one, tuple):  # which tuple it is does not matter, what is inside does
            if id(one) in self._there or id(other) in self._here:
                both = self._there.get(id(one)) == id(other) and self._here.get(id(other)) == id(one)
                return "" if both else f"{path}: not the same object as elsewhere"
            self._there[id(one)], self._here[id(other)] = id(other), id(one)
        if isinstance(one, np.ndarray):
            return "" if np.array_equal(one, other) else f"{path}: {one} and {other}"
        if isinstance(one, set | bytearray):
            return "" if one == other else f"{path}: {one!r} and {other!r}"
        a, b = _parts(one), _parts(other)
        if list(a) != list(b):
            return f"{path}: parts {list(a)} and {list(b)}"
        return next((found for key in a if (found := self.difference(a[key], b[key], f"{path}[{key!r}]"))), "")


def _parts(value: Any) -> dict[Any, Any]:
    if isinstance(value, types.SimpleNamespace):
        return dict(sorted(vars(value).items()))
    if isinstance(value, dict):
        return value
    return dict(enumerate(value))
