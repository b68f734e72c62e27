"""What the callbacks have in common: one fit of a library in a run, and the rounds of it that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from greenkernel.runner.checkpoints import Checkpoints, Saved, present, put_dice


@dataclass(frozen=True, slots=True)
class Rounds:
    """One fit.

    Attributes:
        known: What tells it from another fit that might be met in its place.
        done: Rounds that were kept; 0: it begins.
        state: What was kept of it then.
    """

    known: Any
    done: int
    state: Any
    _checkpoints: Checkpoints
    _call: int
    _saved: Saved | None

    def go_on(self) -> None:
        """All rounds that were kept have been passed over: what follows is drawn and printed after them."""
        if self._saved is not None:
            put_dice(self._saved)
            self._checkpoints.around.go_on(self._saved.said)

    def anew(self) -> Rounds:
        """The same fit from its beginning."""
        return replace(self, done=0, state=None, _saved=None)

    def save(self, done: int, state: Callable[[], Any]) -> None:
        """Keep what is after so many rounds, if it is due; where this process is to leave, stop here."""
        self._checkpoints.save(self._call, done, lambda: (self.known, state()))


def begin(known: Any) -> Rounds | None:
    """A fit begins; None where none is kept: outside of a run, in tasks, threads and processes of the cell."""
    checkpoints = present()
    if checkpoints is None or not checkpoints.is_here:
        return None
    call = checkpoints.begin()
    saved = checkpoints.saved(call)
    if saved is None or len(saved.contents) != 2 or saved.contents[0] != known:
        return Rounds(known, 0, None, checkpoints, call, None)
    return Rounds(known, saved.done, saved.contents[1], checkpoints, call, saved)
