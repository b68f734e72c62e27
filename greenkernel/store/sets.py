"""The order in which sets are gone through: of equal sets it differs with how they came about.

Pickle writes a set's elements as they come and adds them one by one. Where two of them wanted one place in the set's
table, the copy often has them the other way round: of random sets of ten elements every second one. What a cell
computes by going through a set would then be different. Here a sequence is looked for that makes a copy of the same
order; it is tried before it is believed. Nothing is found for most large sets out of which much has been taken, and
where hashes are others in the other process (texts without a fixed ``PYTHONHASHSEED``), the order is another anyway.

How CPython looks for a place: ``Objects/setobject.c`` (3.11 to 3.14).
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, permutations, takewhile, zip_longest
from typing import Any, NamedTuple

_PLAIN = frozenset({str, bytes, int, float, complex, bool, type(None)})
# How pickle begins an exact set.
_WRITTEN = re.compile(re.escape(b"\x8f\x94"))
_LINEAR_PROBES, _PERTURB_SHIFT = 9, 5
_WORD = (1 << 64) - 1
_ENTRY_BYTES = struct.calcsize("PP")
_SMALL_MASK = 7
# Longer sets, and more elements in all, would take too long.
_MOST, _MOST_IN_ALL = 20_000, 200_000
_LONGEST_PATH = 200
# Makes fillers that are nobody's elements.
_FAR = 1_000_003


class Recipe(NamedTuple):
    """How a set of a certain order is made.

    Attributes:
        elements: Its elements, in the order in which they are added.
        at_once: How many of the first are added together, after room for twice as many was made.
        fillers: Numbers that come before all of these and are taken out at the end.
    """

    elements: Sequence[Any]
    at_once: int = 0
    fillers: Sequence[int] = ()


def has_sets(pickled: memoryview) -> bool:
    """Whether there may be an exact set among what was pickled."""
    return _WRITTEN.search(pickled) is not None


def odd(objects: Iterable[object]) -> list[tuple[set[Any], Recipe]]:
    """The sets among the objects that pickle would give another order, each with what gives it its own."""
    found = []
    left = _MOST_IN_ALL
    for value in objects:
        if type(value) is set and 1 < len(value) <= left and (made := _sought(value)) is not None:
            left -= len(value)
            found.append((value, made))
    return found


def recipe(value: set[Any]) -> Recipe:
    """What makes a set of this order, or as good as can be."""
    return (_sought(value) if type(value) is set else None) or Recipe(list(set.__iter__(value)))


def refill(target: set[Any], content: Recipe) -> None:
    """Give a set these elements in this order."""
    # The methods of the language's own type: those of a class that inherits from it may check or count.
    set.clear(target)
    elements = [*content.fillers, *content.elements]
    if content.at_once:
        set.update(target, dict.fromkeys(elements[: content.at_once]))
    set.update(target, elements[content.at_once :])
    set.difference_update(target, content.fillers)


def _sought(value: set[Any]) -> Recipe | None:
    """None where one after the other gives the same order, or nothing is found that does."""
    order = list(value)
    # Hashes of other things are others in each process, and may run anybody's code.
    if len(order) > _MOST or not all(map(_is_plain, order)) or _is_in_order(set(order), order):
        return None
    return next((made for made in _recipes(order, _mask_of(value)) if _gives(made, order)), None)


def _recipes(order: list[Any], mask: int) -> Iterator[Recipe]:
    if mask == _SMALL_MASK:  # at most four
        yield from map(Recipe, permutations(order))
        return
    hashes = [hash(element) for element in order]
    places = _places(hashes, mask)
    if sequence := _sequence(hashes, places, mask):
        # One at a time, a table grows to four times its size; all at once, to more than twice their number.
        at_once = max((mask + 1) // 4, _SMALL_MASK - 2)
        taken = set(places)
        free = (place for place in range(mask + 1) if place not in taken)
        fillers = [place + _FAR * (mask + 1) for place in islice(free, max(0, at_once - len(order)))]
        yield Recipe([order[i] for i in sequence], at_once, fillers)


def _gives(made: Recipe, order: list[Any]) -> bool:
    trial: set[Any] = set()
    refill(trial, made)
    return _is_in_order(trial, order)


def _is_in_order(value: set[Any], order: list[Any]) -> bool:
    return all(one is other for one, other in zip_longest(value, order))


def _is_plain(element: Any) -> bool:
    kind = type(element)
    if kind is tuple:
        return all(_is_plain(one) for one in element)
    return kind in _PLAIN or kind.__module__ == "numpy"


def _mask_of(value: set[Any]) -> int:
    """The number of places in the table of a set, less one."""
    more = sys.getsizeof(value) - sys.getsizeof(set())
    return more // _ENTRY_BYTES - 1 if more else _SMALL_MASK


def _path(hashed: int, mask: int) -> Iterator[int]:
    """The places where an element is looked for, the first free one of which it gets."""
    perturb, place = hashed & _WORD, hashed & mask
    while True:
        yield place
        if place + _LINEAR_PROBES <= mask:
            yield from range(place + 1, place + _LINEAR_PROBES + 1)
        perturb >>= _PERTURB_SHIFT
        place = (place * 5 + 1 + perturb) & mask


def _places(hashes: Sequence[int], mask: int) -> list[int]:
    """Ascending places that the elements may have; found by trying, none where that takes too long."""
    places: list[int] = []
    taken: set[int] = set()
    # Free places that an element has been led past: one that comes later must have them.
    owed: list[int] = []
    choices: list[Iterator[tuple[int, list[int]]]] = []
    debts: list[int] = []

    def possible(hashed: int) -> Iterator[tuple[int, list[int]]]:
        last = places[-1] if places else -1
        passed: list[int] = []
        for place in islice(_path(hashed, mask), _LONGEST_PATH):
            if place in taken:
                continue
            if place < last:
                return  # it is free, and nothing that comes later can have it
            if not any(place > due for due in owed if due not in taken):
                yield place, list(passed)
            passed.append(place)

    for _ in range(4 * len(hashes) + 256):
        if len(places) == len(hashes):
            return places
        if len(choices) == len(places):
            choices.append(possible(hashes[len(places)]))
        found = next(choices[-1], None)
        if found is not None and not (len(places) + 1 == len(hashes) and set(owed + found[1]) - taken - {found[0]}):
            places.append(found[0])
            taken.add(found[0])
            owed += found[1]
            debts.append(len(found[1]))
        elif found is None:
            choices.pop()
            if not places:
                return []
            taken.discard(places.pop())
            del owed[len(owed) - debts.pop() :]
    return []


def _sequence(hashes: Sequence[int], places: Sequence[int], mask: int) -> list[int]:
    """The elements by number, each after those that it has been led past; none where that cannot be."""
    at = {place: number for number, place in enumerate(places)}
    before = [
        [at[place] for place in takewhile(places[number].__ne__, _path(hashes[number], mask))]
        for number in range(len(places))
    ]
    found: list[int] = []
    done: set[int] = set()
    waiting = list(range(len(places)))
    while waiting:
        ready = [number for number in waiting if done.issuperset(before[number])]
        if not ready:
            return []
        found += ready
        done.update(ready)
        waiting = [number for number in waiting if number not in done]
    return found
