"""Sets that travel are gone through in the order that they had."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest

from greenkernel.store.blobs import Blobs
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.payloads import dump, load
from greenkernel.store.sets import recipe, refill

LENGTHS = (2, 3, 4, 5, 7, 10, 18, 19, 20, 50, 76, 77, 80, 200)
HOW: dict[str, Callable[[list[Any]], set[Any]]] = {
    "one by one": set,
    "of a dict": lambda elements: set(dict.fromkeys(elements)),
    "a union": lambda elements: set(elements[: len(elements) // 2]) | set(elements[len(elements) // 2 :]),
    "a difference": lambda elements: set(elements) - set(elements[::3]),
    "a copy": lambda elements: set(elements).copy(),
}
WHAT: dict[str, Callable[[random.Random], Any]] = {
    "numbers": lambda dice: dice.getrandbits(40),
    "fractions": lambda dice: dice.random(),
    "texts": lambda dice: "".join(dice.choices("abcdefgh", k=8)),
    "pairs": lambda dice: (dice.randrange(50), dice.randrange(50)),
}


def made(how: str, what: str) -> list[set[Any]]:
    """Ten of each length, from the same seed each time."""
    dice = random.Random(0)
    return [HOW[how]([WHAT[what](dice) for _ in range(length)]) for length in LENGTHS for _ in range(10)]


def in_order(sets: list[set[Any]], copies: list[set[Any]]) -> float:
    """The share of copies that are gone through as their originals are; all of them are equal."""
    assert sets == copies
    return sum(list(one) == list(other) for one, other in zip(sets, copies, strict=True)) / len(sets)


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("how", HOW)
def test_sets_keep_their_order(how: str, what: str) -> None:
    """Nearly all of them do, wherever they are in what travels; of those that are merely pickled many do not."""
    sets = made(how, what)
    blobs = Blobs(ObjectStore(StoreAddress(url="memory:///")), b"k" * 32)
    back = load(dump({"first": sets[0], "others": {"in": sets[1:]}}, blobs).payload, blobs, {})
    assert in_order(sets, [back["first"], *back["others"]["in"]]) >= 0.98
    assert in_order(sets, pickle.loads(pickle.dumps(sets))) < 0.75


@pytest.mark.parametrize("what", WHAT)
def test_a_set_takes_in_the_order_of_another(what: str) -> None:
    """What is in it before is gone, and what is added later fits in."""
    sets, targets = made("one by one", what), []
    for value in sets:
        target = {"a", "b", 3}
        refill(target, recipe(value))
        targets.append(target)
        assert value | {"more"} == target | {"more"}
    assert in_order(sets, targets) >= 0.98


def test_only_what_is_surely_harmless_is_tried() -> None:
    """Other elements have hashes of their process, or code of their own."""

    class Counted:
        looked = 0

        def __hash__(self) -> int:
            Counted.looked += 1
            return 1

    value = {Counted() for _ in range(5)}
    Counted.looked = 0
    assert list(value) == list(recipe(value).elements)
    assert 0 == Counted.looked
