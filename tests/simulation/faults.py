"""Faults at every call of a store or a site: what may go wrong, when, and how often it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from greenkernel.errors import TemporaryError

T = TypeVar("T")

# error: the caller is told that it failed; crash: the caller dies; slow: others act meanwhile; twice: it is done twice.
KINDS = ("error before", "error after", "crash before", "crash after", "slow before", "slow after", "twice")


# Reads are by far the most of all calls, and changes are what matters.
_OF_A_READ, _OF_A_CHANGE = 0.3, 4.0
_CHANGES = ("submit", "drain", "stop", "open epoch", "claim", "say drained", "finish", "accept", "end run")


class Crash(BaseException):
    """Whoever made the call is dead."""


@dataclass(slots=True)
class Faults:
    """The faults of one schedule, drawn as calls are made.

    Args:
        dice: Seeded.
        share: Calls that go wrong.
        skips: Numbers of faults that are left out, to shrink a schedule.
        others: Lets others act in the middle of a call.
    """

    dice: Random
    share: float
    skips: Collection[int] = ()
    others: Callable[[str], None] = lambda actor: None
    active: bool = True
    count: int = 0
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    _inside: bool = False

    def call(self, effect: str, actor: str, do: Callable[[], T]) -> T:
        """Make a call, or not, or twice.

        Raises:
            TemporaryError: It failed, before or after its effect.
            Crash: The caller is dead, before or after its effect.
        """
        share = self.share * (_OF_A_READ if effect == "read" else _OF_A_CHANGE if effect in _CHANGES else 1)
        if not self.active or self._inside or self.dice.random() >= share:
            return do()
        kind = self.dice.choice(KINDS)
        self.count += 1
        if self.count in self.skips:
            return do()
        self.seen[effect, kind] += 1
        self.log.append(f"fault {self.count}: {kind} {effect} of {actor}")
        what, _, when = kind.partition(" ")
        if when == "after":
            result = do()
        if what == "error":
            raise TemporaryError(f"{effect} failed")
        if what == "crash":
            raise Crash(effect)
        if what == "slow":
            self._inside = True
            try:
                self.others(actor)
            finally:
                self._inside = False
        if when == "after":
            return result
        if what == "twice":
            do()
        return do()
