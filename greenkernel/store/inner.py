"""Objects inside the objects of a payload: writer and readers know each by the same number, so it can be spoken of.

Pickle numbers what it has written, to refer to it again; reading numbers it alike. A list inside of a model at home and
its copy on a site have the same number, which is all it takes to bring a change back into the list that is there.
"""

from __future__ import annotations

import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenkernel.store.frames import is_manager, is_of_block
from greenkernel.store.tensors import is_memory

# More objects than these are not followed one by one: the larger ones above them are.
_MOST = 20_000
_NOT_FOLLOWED = (
    types.ModuleType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.CodeType,
    types.CellType,
    type,
    str,
    bytes,
    int,
    float,
    complex,
    tuple,
    frozenset,
    range,
    type(None),
)


@dataclass(slots=True)
class Inner:
    """Changeable objects of a payload, by their number; and under which name each was first written."""

    objects: dict[int, Any] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)

    def fill(self, memo: Mapping[int, Any], entries: Iterator[tuple[str, object]]) -> None:
        """Take what pickle remembers.

        Args:
            memo: Number -> object, of all that was written or read.
            entries: The names and values of the payload, in order.
        """
        tops = dict(entries)
        heads = {id(value) for value in tops.values()}
        found: list[int] = []
        # What is in an object's attributes belongs to the object; the dict that a reader gets of them is a passing one.
        states: set[int] = set()
        for number in sorted(memo):
            value = memo[number]
            if type(value) is dict and id(value) in states:
                continue
            states.add(id(_state(value)))
            if type(value) is tuple and len(value) == 2 and tops.get(_text(value[0]), self) is value[1]:
                self.owners.update({part: str(value[0]) for part in found})
                found = []
            elif id(value) not in heads and _is_changeable(value):
                self.objects[number] = value
                found.append(number)
        if len(self.owners) > _MOST:
            self.objects.clear()
            self.owners.clear()


def _state(value: object) -> object:
    if isinstance(value, (*_NOT_FOLLOWED, types.FunctionType)):
        return None
    try:
        return object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_changeable(value: object) -> bool:
    if isinstance(value, _NOT_FOLLOWED):
        return False
    if isinstance(value, types.FunctionType):
        return value.__module__ == "__main__"
    if isinstance(value, dict):
        return "__builtins__" not in value  # the names of a function's module, which are no value
    if isinstance(value, list | set | bytearray | deque):
        return True
    numpy, random = sys.modules.get("numpy"), sys.modules.get("numpy.random")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return not is_of_block(value)
    if random is not None and isinstance(value, random.Generator | random.RandomState):
        return True
    return hasattr(value, "__dict__") and not is_manager(value) and not is_memory(value)
