"""How many items an iterable will give, without consuming it: sizes, and generator expressions over something sized."""

from __future__ import annotations

import dis
import operator
import warnings
from types import GeneratorType
from typing import Any


def known_length(iterable: Any) -> int | None:
    """The number of items, or None where it cannot be told beforehand.

    Looks through generator expressions with one ``for`` and no ``if``, ``enumerate``, ``zip``, ``map`` and
    ``itertools.product``.
    """
    if isinstance(iterable, GeneratorType):
        return _length_of_generator(iterable)
    if hasattr(iterable, "__len__"):
        return len(iterable)
    kind = type(iterable).__name__
    if kind in ("enumerate", "zip", "map", "product"):
        return _length_of_wrapper(kind, iterable)
    hint = operator.length_hint(iterable, -1)
    return hint if hint >= 0 else None


def _length_of_generator(generator: GeneratorType[Any, Any, Any]) -> int | None:
    frame = generator.gi_frame
    if frame is None or ".0" not in frame.f_locals:
        return None
    loops = 0
    for step in dis.get_instructions(generator.gi_code):
        loops += step.opname == "FOR_ITER"
        if step.opname.startswith("POP_JUMP"):
            return None
    return known_length(frame.f_locals[".0"]) if loops == 1 else None


def _length_of_wrapper(kind: str, iterator: Any) -> int | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            parts = iterator.__reduce__()[1]
    except (AttributeError, TypeError):  # later versions of Python cannot look inside
        return None
    if kind == "enumerate":
        return known_length(parts[0])
    if kind == "product":
        total = 1
        for pool in parts:
            total *= len(pool)
        return total
    lengths = [known_length(part) for part in (parts if kind == "zip" else parts[1:])]
    return min(length for length in lengths if length is not None) if None not in lengths else None
