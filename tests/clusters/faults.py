"""Faults for tests: a site cut off, a component frozen or killed, and the way back."""

from __future__ import annotations

import signal

from tests.clusters import s3
from tests.clusters.layout import ClustersError, State
from tests.clusters.network import heal, partition
from tests.clusters.processes import Ledger, Started, alive, launch, send, stop

__all__ = ["freeze", "heal", "kill", "partition", "revive", "thaw"]


def freeze(state: State, name: str) -> None:
    """Stop a component such as `site-one/kubelet` or `s3` in its tracks: it answers nothing and forgets nothing.

    Raises:
        ClustersError: No component of that name runs.
    """
    send([_running(state, name)], signal.SIGSTOP)


def thaw(state: State, name: str) -> None:
    """Let a frozen component go on.

    Raises:
        ClustersError: No component of that name runs.
    """
    send([_running(state, name)], signal.SIGCONT)


def kill(state: State, name: str) -> None:
    """Kill a component without a word and wait until it is gone.

    Raises:
        ClustersError: No component of that name runs.
    """
    process = _running(state, name)
    send([process], signal.SIGKILL)
    stop([process])


def revive(state: State) -> tuple[str, ...]:
    """Let frozen components go on, start dead ones again as they were started, and return those ones' names."""
    ledger = Ledger(state.ledger)
    recorded = ledger.read()
    send(recorded, signal.SIGCONT)
    dead = [row for row in recorded if not alive(row)]
    for row in dead:
        env = s3.environment(state) if row.name == s3.NAME else {}
        launch(ledger, row.name, row.argv, log=state.logs / f"{row.name}.log", env=env)
    return tuple(row.name for row in dead)


def _running(state: State, name: str) -> Started:
    process = Ledger(state.ledger).find(name)
    if process is None or not alive(process):
        raise ClustersError(f"no component {name!r} runs")
    return process
