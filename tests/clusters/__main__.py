"""Command line: `python -m tests.clusters up|down|status|env [--state DIR]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.clusters import lifecycle
from tests.clusters.api import FOREIGN, Unavailable, clusters, state_of
from tests.clusters.layout import ClustersError, State


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.clusters", description="Real clusters for the tests.")
    parser.add_argument("command", choices=("up", "down", "status", "env"))
    parser.add_argument("--state", type=Path, default=None, help="state folder (default: build/clusters)")
    options = parser.parse_args(argv)
    state = state_of(options.state)
    try:
        return {"up": _up, "down": _down, "status": _status, "env": _env}[options.command](state)
    except ClustersError as failed:
        print(failed, file=sys.stderr)
        return 1


def _up(state: State) -> int:
    found = clusters(state.folder)
    if isinstance(found, Unavailable):
        print(found.reason, file=sys.stderr)
        return 1
    if not found.foreign:
        lifecycle.BORROWED.unlink(missing_ok=True)
    print(f"kubeconfig {found.kubeconfig}\nsites      {found.sites_toml}")
    return 0


def _down(state: State) -> int:
    lifecycle.down(state)
    return 0


def _status(state: State) -> int:
    rows = lifecycle.status(state)
    print("\n".join(f"{name:40} {text}" for name, text in rows.items()) or "not up")
    return 0 if rows and not any(text in ("dead", "down") for text in rows.values()) else 1


def _env(state: State) -> int:
    if not lifecycle.running(state):
        print("the clusters are not up", file=sys.stderr)
        return 1
    print(f"export {FOREIGN}={state.kubeconfig}\nexport KUBECONFIG={state.kubeconfig}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
