"""Runs that a notebook has sent and not yet taken back: who waits for them, and what of them is bound when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from greenkernel.notebook.placeholder import Placeholder
from greenkernel.notebook.reach import reached
from greenkernel.notebook.touch import Touch, why_not_independent
from greenkernel.store.payloads import digest

_MISSING = object()


@dataclass(slots=True)
class Pending:
    """One run that is pending.

    Attributes:
        run: The run.
        number: Its place in the order of submissions.
        cell: The number of the notebook's cell that sent it.
        mine: Names that stay as they are here.
        touch: What that cell may touch.
        held: ``id`` of what it may change in place and all that this holds; None where that is too much to say.
        digests: Contents of what it may change in place, as they were when it was sent.
        readers: Cells that ran since and read something that travelled with it: number -> names.
    """

    run: Any
    number: int
    cell: int
    mine: frozenset[str]
    touch: Touch
    held: set[int] | None
    digests: Mapping[str, str | None]
    readers: dict[int, frozenset[str]] = field(default_factory=dict)


class Notebook:
    """The notebook's names, and the runs that will bind some of them.

    Args:
        namespace: The notebook's names.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._pending: list[Pending] = []
        self._submitted = 0
        # The object that we last knew under a name, and the run that put it there.
        self._known: dict[str, tuple[object, int]] = {}

    @property
    def pending(self) -> tuple[Pending, ...]:
        """In the order of submission."""
        return tuple(self._pending)

    def add(
        self,
        run: Any,
        touch: Touch,
        reads: frozenset[str],
        cell: int,
        mine: frozenset[str] = frozenset(),
        contents: Mapping[str, str | None] = MappingProxyType({}),
    ) -> Pending:
        """A run was sent: what it will bind and has no value yet gets a placeholder.

        Args:
            run: The run.
            touch: What its cell may touch.
            reads: Names that travelled.
            cell: The number of its cell.
            mine: Names that were bound here since the run was sent; they stay.
            contents: Digests of objects that it was sent with, where it was not sent just now.
        """
        self._submitted += 1
        space = self._namespace
        changing = {name: space[name] for name in touch.changes & reads if name in space}
        pending = Pending(
            run=run,
            number=self._submitted,
            cell=cell,
            mine=mine,
            touch=touch,
            held=reached(changing.values()),
            digests={**{name: digest(value, space) for name, value in changing.items()}, **contents},
        )
        for name in sorted(touch.binds):
            if name not in space:
                space[name] = Placeholder(name, run.id)
            self._known[name] = (space[name], self._known.get(name, (None, 0))[1])
        self._pending.append(pending)
        return pending

    def reasons(self, later: Touch) -> list[tuple[Pending, str]]:
        """The pending runs that a cell must wait for, with the reasons."""
        found = []
        for pending in self._pending:
            self._learn(pending)
            why = why_not_independent(later, pending.touch, self._shared(later, pending))
            if why:
                found.append((pending, why))
        return found

    def read_by(self, cell: int, later: Touch) -> None:
        """A cell runs beside the pending ones."""
        for pending in self._pending:
            pending.readers[cell] = later.reads

    def bindable(self, pending: Pending) -> tuple[set[str], list[str]]:
        """Names that a run that has ended may bind, and sentences on those that it may not.

        A name that was bound anew meanwhile keeps its new value; of two runs the one that was sent later wins.
        """
        kept = set(pending.mine)
        back = set(pending.run.names_back) if kept else kept
        messages = [kept_text(pending.run.id, name) for name in sorted(kept & back)]
        for name in pending.touch.binds - kept:
            known, by = self._known.get(name, (_MISSING, 0))
            now = self._namespace.get(name, _MISSING)
            if by > pending.number:
                kept.add(name)
            elif now is not known and not isinstance(now, Placeholder):
                kept.add(name)
                messages.append(kept_text(pending.run.id, name))
        return kept, messages

    def conflicts(self, pending: Pending) -> set[str]:
        """Names whose objects the run may have changed in place, and that were changed here too."""
        space = self._namespace
        return {
            name
            for name, before in pending.digests.items()
            if name in space and before is not None and digest(space[name], space) != before
        }

    def done(self, pending: Pending, bound: Mapping[str, Any]) -> None:
        """A run was taken back, or has come to nothing: placeholders that are left of it go."""
        self._pending.remove(pending)
        for name in bound:
            if name in self._namespace:
                self._known[name] = (self._namespace[name], pending.number)
        awaited = {name for other in self._pending for name in other.touch.binds}
        for name in pending.touch.binds - awaited:
            if isinstance(self._namespace.get(name), Placeholder):
                del self._namespace[name]

    def _learn(self, pending: Pending) -> None:
        """A slice has changed what its cell's text did not say that it would."""
        advice, space = pending.run.advice, self._namespace
        shown = frozenset(advice.profile.changed) if advice is not None else frozenset()
        new = {name: space[name] for name in shown - pending.touch.changes if name in space}
        if new:
            changes = pending.touch.changes | new.keys()
            pending.touch = replace(pending.touch, changes=changes)
            pending.held = reached(space[name] for name in changes if name in space)
            pending.digests = {**{name: digest(value, space) for name, value in new.items()}, **pending.digests}

    def _shared(self, later: Touch, pending: Pending) -> frozenset[str]:
        values = {name: self._namespace[name] for name in later.reads if name in self._namespace}
        if not pending.touch.changes:
            return frozenset()
        return frozenset(name for name, value in values.items() if _overlap(pending.held, value))


def _overlap(held: set[int] | None, value: object) -> bool:
    inside = reached([value])
    if held is None or inside is None:
        return inside is None or bool(inside)
    return not held.isdisjoint(inside)


def kept_text(run: str, name: str) -> str:
    """What to say of a name that a run does not bind."""
    return (
        f"{name} was bound anew in the notebook meanwhile and stays so; the run's is in "
        f"greenkernel.attach({run!r}).names[{name!r}]"
    )
