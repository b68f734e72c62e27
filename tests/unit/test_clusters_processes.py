"""The record of started processes: these are stopped, and never one that merely has their pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clusters.processes import (
    Ledger,
    Started,
    alive,
    boot_id,
    children,
    launch,
    parse_stat,
    send,
    start_ticks,
    stop,
)
from tests.clusters.shell import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty record whose processes end with the test."""
    made = Ledger(tmp_path / "processes.json")
    yield made
    send(made.read(), signal.SIGKILL)


@pytest.mark.parametrize("name", ["python3", "a b", "odd) R 1 (name", ") S 7"])
def test_stat_is_read_behind_any_name(name: str) -> None:
    """Brackets and spaces in a program's name do not shift the fields."""
    line = f"7 ({name}) S " + " ".join(str(number) for number in range(4, 53))
    assert ("S", 22) == parse_stat(line)


def test_launched_process_is_recorded_and_stopped(ledger: Ledger, tmp_path: Path) -> None:
    """What is launched is alive and in the record, and gone once it is stopped."""
    started = launch(ledger, "one", SLEEPER, log=tmp_path / "logs" / "one.log")
    assert (started,) == Ledger(tmp_path / "processes.json").read()
    assert alive(started)
    stop([started])
    assert not alive(started)


def test_frozen_and_deaf_processes_are_stopped(ledger: Ledger, tmp_path: Path) -> None:
    """Neither a stopped process nor one that ignores SIGTERM outlives `stop`."""
    frozen = launch(ledger, "frozen", SLEEPER, log=tmp_path / "frozen.log")
    send([frozen], signal.SIGSTOP)
    deaf = launch(ledger, "deaf", STUBBORN, log=tmp_path / "deaf.log")
    wait_until("the deaf one", lambda: "deaf" in (tmp_path / "deaf.log").read_text(), timeout_s=10)
    stop([frozen, deaf], grace_s=0.3)
    assert [False, False] == [alive(frozen), alive(deaf)]


@pytest.mark.parametrize("changed", [{"start": 1}, {"boot": "another boot"}])
def test_recycled_pid_is_left_alone(ledger: Ledger, tmp_path: Path, changed: dict[str, object]) -> None:
    """A process with the recorded pid but another start or boot counts as dead and gets no signal."""
    running = launch(ledger, "one", SLEEPER, log=tmp_path / "one.log")
    stranger = replace(running, **changed)  # type: ignore[arg-type]
    assert not alive(stranger)
    stop([stranger], grace_s=0.1)
    assert alive(running)


def test_ended_process_is_dead_before_it_is_reaped() -> None:
    """A zombie counts as dead, though its pid is still taken."""
    process = subprocess.Popen(SLEEPER)
    recorded = Started(name="z", pid=process.pid, start=start_ticks(process.pid) or -1, boot=boot_id(), argv=SLEEPER)
    os.kill(process.pid, signal.SIGKILL)
    wait_until("its end", lambda: not alive(recorded), timeout_s=10)
    assert Path(f"/proc/{process.pid}").exists()
    process.wait()


def test_record_keeps_the_order_and_the_newest_of_a_name(tmp_path: Path) -> None:
    """A component that is started again takes its own place in the record."""
    ledger = Ledger(tmp_path / "processes.json")
    rows = [Started(name=name, pid=pid, start=5, boot="b", argv=("x",)) for name, pid in (("a", 1), ("b", 2), ("a", 3))]
    for row in rows:
        ledger.record(row)
    assert (rows[1], rows[2]) == ledger.read()
    assert (rows[2], None) == (ledger.find("a"), ledger.find("c"))


def test_children_of_a_process_are_found(ledger: Ledger, tmp_path: Path) -> None:
    """A direct child is found with its own start time, so it can be stopped by the same rules."""
    code = f"import subprocess; p = subprocess.Popen({list(SLEEPER)!r}); print(p.pid, flush=True); p.wait()"
    parent = launch(ledger, "parent", (sys.executable, "-c", code), log=tmp_path / "log")
    wait_until("the child", lambda: (tmp_path / "log").read_text().endswith("\n"), timeout_s=10)
    (child,) = children(parent)
    assert int((tmp_path / "log").read_text()) == child.pid
    stop([child, parent])
    assert [False, False] == [alive(child), alive(parent)]
