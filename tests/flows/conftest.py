"""Homes of their own for flows on real processes; nothing of a test's home is left running."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenkernel.clock import RealClock, wait_until
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.settings import Settings

# Two sites without traces: what a run does is then decided by the test alone.
PLAIN_SITES = """
home = "near"

[sites.near]
kind = "embedded"
zone = "N"
intensity_g_per_kwh = 100
max_cores = 2

[sites.far]
kind = "embedded"
zone = "F"
intensity_g_per_kwh = 300
max_cores = 2
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "sites.toml").write_text(PLAIN_SITES)
    monkeypatch.setenv("GREENKERNEL_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    made = Home(Settings(folder), RealClock())
    yield made
    for entry in made.journal.entries(only_open=True):
        run = Run(made, entry.id)
        if run.state not in ("done", "failed", "cancelled"):
            run.cancel()
            run.wait(60)
    end_controllers(folder)


def end_controllers(folder: Path) -> None:
    """SIGKILL the controllers of a home."""
    for pid in controllers(folder):
        os.kill(pid, signal.SIGKILL)
    assert wait_until(RealClock(), lambda: not controllers(folder), timeout_s=10)


def controllers(folder: Path) -> list[int]:
    """Process numbers of the home's controllers."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if b"greenkernel.controller" in words and str(folder).encode() in words and state != "Z":
                found.append(int(entry.name))
    return found


def eventually(done: Callable[[], bool], *, timeout_s: float = 60) -> None:
    """Wait for something that must come true."""
    assert wait_until(RealClock(), done, timeout_s=timeout_s)


__all__ = ["PLAIN_SITES", "controllers", "end_controllers", "eventually"]
