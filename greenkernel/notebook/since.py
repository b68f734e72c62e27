"""What names of the notebook were bound to when a run was sent or taken: what was bound since is not overwritten."""

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
