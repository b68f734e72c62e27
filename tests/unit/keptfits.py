"""Processes that leave at one of their rounds, and those that go on after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from greenkernel.runner.checkpoints import Checkpoints, use
from greenkernel.store.snapshots import Said


class Stopped(BaseException):
    """The process has left."""


class Around:
    """What a run is around the cell."""

    def __init__(self) -> None:
        self.is_leaving = False
        self.went_on = 0

    def park(self) -> None:
        raise Stopped

    def said(self) -> Said:
        return Said()

    def go_on(self, _said: Said) -> None:
        self.went_on += 1


class Stopping(Checkpoints):
    """Counts rounds, and has the process leave at one of them."""

    def __init__(self, spool: Path, believed: Path, stop_at: int) -> None:
        self.here = Around()
        super().__init__(spool, believed, b"k" * 32, 1, lambda: self.here)
        self.stop_at = stop_at
        self.rounds = 0

    @property
    def is_due(self) -> bool:
        self.rounds += 1
        self.here.is_leaving = self.rounds == self.stop_at
        return self.here.is_leaving


@contextmanager
def run(spool: Path, believed: Path, stop_at: int = 0) -> Iterator[Stopping]:
    """A process of a run."""
    for folder in (spool, believed):
        folder.mkdir(exist_ok=True)
    stopping = Stopping(spool, believed, stop_at)
    use(stopping)
    try:
        yield stopping
    finally:
        use(None)
