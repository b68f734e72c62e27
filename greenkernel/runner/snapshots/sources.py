"""What a loop goes over: how far it has come travels with the iterator itself, or by counting, or not at all."""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Iterator
from typing import Any, Literal

from greenkernel.store.payloads import digest

Kept = Literal["itself", "counted"]

_DICT: dict[int, int] = {}
# Of the language: they hold what they go over, and where they are.
_PLAIN = tuple(
    type(one)
    for one in (
        *(iter([]), iter(()), iter(range(0)), iter(range(1 << 70)), iter(""), iter("é"), iter(b""), iter(bytearray())),
        *(reversed([]), reversed(()), iter(_DICT), iter(_DICT.values()), iter(_DICT.items()), iter(set())),
        *(reversed(_DICT), reversed(_DICT.values()), reversed(_DICT.items())),
        *(iter(memoryview(b"")), iter(types.SimpleNamespace.__mro__)),
    )
)
_OF_OTHERS = (enumerate, zip, map, filter, reversed)
_COUNTED = (
    *(itertools.product, itertools.combinations, itertools.permutations, itertools.combinations_with_replacement),
    *(itertools.count, itertools.cycle, itertools.repeat, itertools.chain, itertools.islice, itertools.zip_longest),
    *(itertools.pairwise, itertools.accumulate),
)
# Generators of libraries that give the same once more: known by the module and what they belong to.
_SAME_AGAIN = {
    "sklearn.model_selection._split": "split",
    "sklearn.model_selection._search": "__iter__",
    "pandas.core.frame": "iterrows",
    "pandas.core.groupby.ops": "get_iterator",
    "tqdm.std": "__iter__",
    "tqdm.notebook": "__iter__",
}
# What is counted is compared item by item; more than these would cost more than they are worth.
MOST_COUNTED = 20_000


def kept_by(source: Iterator[Any]) -> Kept | str:
    """How a loop's place in its data can travel, or in words why it cannot."""
    kind = type(source)
    if kind in _PLAIN or _is_sequence(source):
        return "itself"
    if kind in _OF_OTHERS:
        return _by_parts(source)
    if kind in _COUNTED:
        return "counted"
    if isinstance(source, types.GeneratorType):
        return "counted" if _gives_the_same(source) else "its data come from a generator, which can be read only once"
    if isinstance(getattr(kind, "__next__", None), types.FunctionType):
        return "itself"  # a class in Python, whose state is its attributes
    return f"its data come from a {kind.__qualname__}, whose place in them is not known"


def is_plain(source: Iterator[Any]) -> bool:
    """True for the language's own iterators over what it has itself."""
    return type(source) in _PLAIN


def note(source: Iterator[Any], seen: Seen) -> Iterator[Any]:
    """Take note of what is given."""
    return map(seen.add, source)


class Seen:
    """What a counted loop has been given so far."""

    def __init__(self) -> None:
        self.count = 0
        self.digest = ""

    def add(self, item: Any) -> Any:
        """One more; gives it back."""
        self.count += 1
        if self.count <= MOST_COUNTED:
            self.digest = digest((self.digest, item), None, anywhere=True) or f"item {self.count} has no digest"
        return item


def _is_sequence(source: object) -> bool:
    """The iterator that Python itself makes for what has ``__getitem__`` only, such as numpy's arrays."""
    return type(source).__name__ == "iterator" and type(source).__module__ == "builtins"


def _by_parts(source: Any) -> Kept | str:
    try:
        made = source.__reduce__()
    except (AttributeError, TypeError):  # later versions of Python cannot look inside
        return "counted"
    parts = [part for part in made[1] if hasattr(part, "__next__")]
    found = [kept_by(part) for part in parts]
    reasons = [one for one in found if one not in ("itself", "counted")]
    if reasons:
        return reasons[0]
    return "counted" if "counted" in found else "itself"


def _gives_the_same(generator: types.GeneratorType[Any, Any, Any]) -> bool:
    frame = generator.gi_frame
    if frame is None or _SAME_AGAIN.get(str(frame.f_globals.get("__name__"))) != generator.gi_code.co_name:
        return False
    owner = frame.f_locals.get("self")
    if type(owner).__module__.startswith("tqdm."):
        around = getattr(owner, "iterable", None)
        return hasattr(around, "__len__") and not hasattr(around, "__next__")
    seed = getattr(owner, "random_state", None)
    draws = getattr(owner, "shuffle", hasattr(owner, "random_state"))
    return not draws or isinstance(seed, int) or _is_integer(seed)


def _is_integer(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.integer)
