"""What names of the notebook were bound to when a run was sent or taken: what was bound since is not overwritten.

What was changed in place is not either. A cell that waits for its run changes nothing: what there is when it leaves off
waiting is what was sent. A run that was taken once has left its changes; since then they are the notebook's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from types import ModuleType

from greenkernel.store.references import GONE, reference

# Objects that cannot be referred to weakly are kept alive for so many runs.
_RUNS = 8


class Since:
    """The names of one notebook."""

    def __init__(self) -> None:
        self._noted: OrderedDict[str, dict[str, Callable[[], object]]] = OrderedDict()
        self._contents: dict[str, dict[str, str | None]] = {}
        self._taken: set[str] = set()

    def left(self, run: str, names: Iterable[str], namespace: Mapping[str, object]) -> None:
        """A cell that has sent a run does not wait for it any more."""
        from greenkernel.store.payloads import digest

        self._contents[run] = {name: digest(namespace[name], namespace) for name in names if name in namespace}

    def took(self, run: str, names: Iterable[str], namespace: Mapping[str, object], kept: Collection[str]) -> None:
        """These names are as the run left them; ``kept`` ones are the notebook's own for good."""
        self.note(run, names, namespace, kept)
        self._contents.pop(run, None)
        self._taken.add(run)

    def was_taken(self, run: str) -> bool:
        """True where what it has changed in place was put here before."""
        return run in self._taken

    def contents(self, run: str) -> Mapping[str, str | None]:
        """Digests of what a run was sent with, where its cell has left off waiting for it."""
        return self._contents.get(run, {})

    def changed(self, run: str, names: Iterable[str], namespace: Mapping[str, object]) -> set[str]:
        """Names whose objects are not as the run was sent: the notebook may have changed them."""
        from greenkernel.store.payloads import digest

        if run in self._taken:
            return set(names)
        before = self._contents.get(run, {})
        return {name for name, was in before.items() if name in namespace and digest(namespace[name], namespace) != was}

    def note(self, run: str, names: Iterable[str], namespace: Mapping[str, object], kept: Collection[str] = ()) -> None:
        """These names are as the run found or left them; ``kept`` ones are the notebook's own for good."""
        self._noted[run] = {name: reference(GONE if name in kept else namespace.get(name, GONE)) for name in names}
        while len(self._noted) > _RUNS:
            self._noted.popitem(last=False)

    def bound_anew(self, run: str, names: Iterable[str], namespace: Mapping[str, object]) -> list[str]:
        """Names that have been bound since; of a run that this kernel has not sent, all that there are but modules."""
        noted = self._noted.get(run)
        there = [name for name in names if name in namespace and not isinstance(namespace[name], ModuleType)]
        if noted is None:
            return there
        return [name for name in there if name in noted and noted[name]() is not namespace[name]]
