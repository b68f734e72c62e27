"""How long a cell can keep nothing: looked at in its slices, so that the price of a move is known before the run.

A stretch lies between two points at which a run that is asked to leave could stop: ends of statements, of rounds of
loops and of fits, and what `greenkernel.checkpoint` names. A joblib task is a stretch of its own. Nothing is written.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any

from greenkernel.runner.checkpoints import Checkpoints
from greenkernel.runner.record import RecordingScope
from greenkernel.runner.snapshots.dangers import danger
from greenkernel.runner.snapshots.fits import Fits
from greenkernel.runner.snapshots.hooks import Board
from greenkernel.runner.snapshots.points import Points, Shell
from greenkernel.runner.surroundings import Surroundings
from greenkernel.store.snapshots import Place

# Points are looked at no more often than this: a slice takes seconds.
_EVERY_S = 0.01


class Stretches(Points):
    """Of one slice.

    Args:
        namespace: The notebook's.
        surroundings: The process's settings.
        cores: Joblib tasks at a time.
    """

    def __init__(self, namespace: dict[str, Any], surroundings: Surroundings, cores: int) -> None:
        super().__init__(namespace, surroundings, time.monotonic())
        self._cores = cores
        self._began = self._last = time.monotonic()
        self._most_s = self._squares = 0.0

    def begin(self, shell: Shell, statements: int) -> None:
        """The cell begins."""
        self._began = self._last = time.monotonic()
        super().begin(shell, statements)

    def passed(self, index: int) -> None:
        """A statement has been done."""
        self._board, self._hooks = None, {}
        self.point()

    def end(self) -> None:
        """The cell has ended."""
        self.point()
        super().end()

    def watch(self, board: Board | None, due_at: float) -> None:
        """A fit's rounds are looked at from the first on."""
        super().watch(board, due_at)
        if board is not None:
            board.arm(on=True)

    def point(self) -> None:
        """Everything until now could be kept, unless something is under way."""
        if danger(self._thread) is None:
            now = time.monotonic()
            self._stretch(now - self._last, 1)
            self._last = now

    def task(self, took_s: float) -> None:
        """A task was done and recorded; others are done beside it."""
        self._stretch(took_s, self._cores)
        self._last = time.monotonic()

    def found(self) -> dict[str, float]:
        """Seconds that a move repeats: on average over the time of the slice, and at most."""
        took_s = max(self._last - self._began, 1e-9)
        mean_s = min(self._most_s, self._squares / 2 / took_s)
        return {"unkept_mean_s": mean_s, "unkept_most_s": self._most_s}

    def _stretch(self, took_s: float, beside: int) -> None:
        self._most_s = max(self._most_s, took_s)
        self._squares += took_s**2 / beside

    def _at(self, place: Place, local: Mapping[str, Any], loops: Mapping[int, Any]) -> None:
        self.point()
        self._rest(time.monotonic() + _EVERY_S)

    def _failed(self, reason: str | None) -> None:
        self._rest(time.monotonic() + _EVERY_S)


class AsIfLeaving(Checkpoints):
    """Those of a slice: each is noted, and none is written."""

    def __init__(self, folder: Path, point: Callable[[], None]) -> None:
        super().__init__(folder, folder, b"", 0, _nothing_around)
        self._point = point
        self._due_at = 0.0

    @property
    def is_leaving(self) -> bool:
        """True: what a run would keep then is what counts."""
        return True

    @property
    def is_due(self) -> bool:
        """Often enough."""
        return time.monotonic() >= self._due_at

    def rest(self, until: float) -> None:
        """A slice is too short to wait until writing would pay."""

    def keep(self, call: int, write: Callable[[], memoryview]) -> None:
        """Here something could be kept."""
        self._point()
        self._due_at = time.monotonic() + _EVERY_S


def fits_of(checkpoints: Checkpoints, stretches: Stretches, scope: RecordingScope) -> Fits:
    """Rounds of long fits are points too."""
    return Fits(
        checkpoints,
        stretches,
        stretches.contexts,
        scope.calls,
        scope.go_on,
        lambda: 0.0,
        lambda: sys.maxsize,
        differs=lambda reason: None,
        believes=False,
        worth_s=inf,
    )


def _nothing_around() -> Any:
    raise AssertionError("nothing is written in a slice")
