"""Kernels that send the same data while others remove old runs, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from greenkernel.home import Home

# Its clock is ten days ahead, so that whatever no run names is old at once.
PRUNER = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from greenkernel.clock import ManualClock
from greenkernel.errors import TemporaryError
from greenkernel.home import Home
from greenkernel.settings import Settings
from greenkernel.upkeep import Upkeep
until = time.monotonic() + float(sys.argv[1])
removed = 0
while time.monotonic() < until:
    home = Home(Settings(), ManualClock(datetime.now(UTC) + timedelta(days=10)))
    pruned = Upkeep(home).prune(timedelta(0))
    removed += len(pruned.runs) + pruned.blobs
print(removed)
"""
KERNEL = """
import sys, time
from greenkernel.clock import RealClock
from greenkernel.home import Home
from greenkernel.records import RunState
from greenkernel.store.blobs import Blobs
from greenkernel.store.runs import End
from tests.unit.test_upkeep import submit
until = time.monotonic() + float(sys.argv[1])
home, count = Home.open(), 0
while time.monotonic() < until:
    run = f"{sys.argv[2]}-{count}"
    with home.sending():
        blobs = Blobs(home.objects, home.settings.key, guarded=True)
        submit(home, run, blobs, tuple(b"%d" % number * 1000 for number in range(5)))
    store = home.run_store(run)
    assert all(store.blobs.has(address) for address in store.named_blobs()), run
    store.end(End(state=RunState.DONE, at=home.clock.now()))
    home.journal.update(run, state="done", detail="", is_open=False)
    count += 1
print(count)
"""
SECONDS = 4


def test_nothing_that_is_sent_is_taken_away(home: Home) -> None:
    """Two kernels send the same values again and again, while two others remove every run that has ended."""
    root = Path(__file__).parents[2]

    def start(text: str, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", text, str(SECONDS), *words]
        return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    started = [start(KERNEL, "a"), start(KERNEL, "b"), start(PRUNER), start(PRUNER)]
    ended = [process.communicate(timeout=120) for process in started]
    assert [0] * 4 == [process.returncode for process in started], ended
    assert all(int(out) > 0 for out, _ in ended), ended
