"""Run commands and wait for conditions, with errors that say what was tried."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.clusters.layout import ClustersError


def run(*argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout_s: float = 900) -> str:
    """Run a command to its end and return what it printed.

    Args:
        argv: The command and its arguments.
        cwd: Folder to run it in.
        env: Its whole environment, the current one where None.
        timeout_s: Seconds after which it is killed.

    Raises:
        ClustersError: It is missing, failed, or ran too long; the message ends with its last words.
    """
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, timeout=timeout_s, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise ClustersError(f"the program {argv[0]} is not installed") from missing
    except subprocess.TimeoutExpired as slow:
        raise ClustersError(f"{' '.join(argv[:4])} did not end within {timeout_s:.0f} s") from slow
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-1500:]
        raise ClustersError(f"{' '.join(argv[:6])} failed with status {done.returncode}: {words}")
    return done.stdout


def works(*argv: str) -> bool:
    """Whether a command ends with status zero."""
    try:
        run(*argv)
    except ClustersError:
        return False
    return True


def wait_until(what: str, holds: Callable[[], bool], *, timeout_s: float, every_s: float = 0.2) -> None:
    """Ask again and again until something holds.

    Args:
        what: What is waited for, the end of "waited N s for ...".
        holds: Asks; an OSError or ClustersError counts as "not yet".
        timeout_s: Seconds after which to give up.
        every_s: Seconds between two questions.

    Raises:
        ClustersError: It did not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except (OSError, ClustersError) as not_yet:
            last = not_yet
        time.sleep(every_s)
    raise ClustersError(f"waited {timeout_s:.0f} s for {what}" + (f"; last seen: {last}" if last else ""))
