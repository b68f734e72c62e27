"""When to write: so rarely that writing costs little, so often that little is lost."""

from __future__ import annotations

import math

# Writing may take this share of the time.
SHARE = 0.02
_FIRST_S = 2.0
_SHORTEST_S = 1.0
# Copied, hashed and written: a guess for the first one.
BYTES_PER_S = 3.5e8
_LEAST_COST_S = 0.02


class Pace:
    """How long to wait until the next snapshot.

    Between two of them lie at least so many seconds that writing takes `SHARE` of them, and as many as make the sum of
    writing and of what is lost least (Young's formula), if a process is lost every ``lost_every_s`` seconds.

    Args:
        lost_every_s: Mean seconds until the site takes a process away unasked.
        bytes_at_first: What the cell was sent: the first snapshot's cost is guessed from it.
    """

    def __init__(self, lost_every_s: float, bytes_at_first: int) -> None:
        self._lost_every_s = lost_every_s
        self.cost_s = _LEAST_COST_S + bytes_at_first / BYTES_PER_S

    def guess(self, size_bytes: int) -> None:
        """Before the first one: what it will cost at least, by the bytes of what the cell has made."""
        self.cost_s = max(self.cost_s, size_bytes / BYTES_PER_S)

    def wrote(self, took_s: float) -> None:
        """A snapshot has been written, or could not be."""
        self.cost_s = took_s

    def wait_s(self, *, first: bool) -> float:
        """Seconds from the end of one snapshot, or from the cell's beginning, to the next one.

        None at all where the process may be lost at any time, which a test says of itself.
        """
        if self._lost_every_s == 0:
            return 0.0
        young_s = math.sqrt(2 * self.cost_s * self._lost_every_s)
        return max(self.least_s(), young_s, _FIRST_S if first else 0.0)

    def least_s(self) -> float:
        """Seconds after which one may be taken where the next occasion may be far: at the end of a statement."""
        return 0.0 if self._lost_every_s == 0 else max(self.cost_s / SHARE, _SHORTEST_S)
