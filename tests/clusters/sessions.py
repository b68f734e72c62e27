"""Share the clusters between test sessions: the last one that needs them takes down what the tests started."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.clusters import lifecycle
from tests.clusters.layout import RUN, State


@contextmanager
def session(state: State) -> Iterator[None]:
    """Hold the clusters for one test session, however many others do the same.

    Clusters that were up before the first session stay up; those of a session that was killed go.

    Args:
        state: The state folder.
    """
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "sessions").open("w") as handle:
        if _alone(handle):
            lifecycle.reclaim(state)
        fcntl.flock(handle, fcntl.LOCK_SH)
        if not lifecycle.running(state):
            lifecycle.BORROWED.touch()
        try:
            yield
        finally:
            if lifecycle.BORROWED.exists() and _alone(handle):
                lifecycle.down(state)


def _alone(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
