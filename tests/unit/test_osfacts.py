"""Processes, trees, cores and memory as the system reports them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenkernel import osfacts

_ON_LINUX = sys.platform.startswith("linux")


def _until(what: str, ask: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not ask():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.01)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child and a grandchild, each of which has written its pid."""
    program = (
        "import os, sys, time\n"
        "pids = [os.fork(), 0][:1]\n"
        "if not pids[0]: os.fork()\n"
        f"open(os.path.join({str(tmp_path)!r}, str(os.getpid())), 'w').close()\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "GREENKERNEL_TEST_MARK": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    _until("three processes", lambda: len(list(tmp_path.iterdir())) == 3)
    yield process
    osfacts.end_descendants(process.pid)
    process.kill()
    process.wait()


def test_start_time_tells_one_process_from_another() -> None:
    """It stays the same for one process, differs between two, and is None for one that is gone or a zombie."""
    mine = osfacts.start_time(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert mine == osfacts.start_time(os.getpid())
    assert osfacts.start_time(child.pid) not in (None, mine)
    assert child.stdin is not None
    child.stdin.close()
    _until("the zombie", lambda: osfacts.start_time(child.pid) is None)
    child.wait()
    assert osfacts.start_time(child.pid) is None


def test_end_descendants_spares_the_root(family: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Children and grandchildren end, the process itself stays."""
    others = {int(path.name) for path in tmp_path.iterdir()} - {family.pid}
    assert others == {process.pid for process in osfacts.descendants(family.pid)}
    assert osfacts.end_descendants(family.pid)
    assert [] == osfacts.descendants(family.pid)
    assert family.poll() is None


@pytest.mark.skipif(not _ON_LINUX, reason="only Linux shows the environment of processes")
def test_end_marked_finds_orphans(family: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Processes are found by their environment even when their parent is gone; another mark finds nothing."""
    others = {int(path.name) for path in tmp_path.iterdir()} - {family.pid}
    assert osfacts.end_marked("GREENKERNEL_TEST_MARK", f"{tmp_path}-other")
    assert family.poll() is None
    family.kill()
    family.wait()
    assert any(osfacts.start_time(pid) for pid in others)
    assert osfacts.end_marked("GREENKERNEL_TEST_MARK", str(tmp_path))
    assert not any(osfacts.start_time(pid) for pid in others)


def test_end_group_spares_a_recycled_number() -> None:
    """A group whose leader started at another time is left alone."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    start = osfacts.start_time(child.pid)
    assert start is not None
    osfacts.end_group(child.pid, f"{start}0")
    assert child.poll() is None
    osfacts.end_group(child.pid, start)
    assert -signal.SIGKILL == child.wait(timeout=5)


def test_spawn_detached_outlives_and_is_reaped(tmp_path: Path) -> None:
    """The process leads its own session, has exactly the environment given, and leaves no zombie."""
    program = "import os; print(os.getsid(0) == os.getpid(), sorted(os.environ), os.getcwd())"
    environment = {"ONLY": "this", "LC_CTYPE": "C.UTF-8"}
    log = tmp_path / "log"
    pid = osfacts.spawn_detached([sys.executable, "-c", program], cwd=tmp_path, log=log, environment=environment)
    _until("its output", lambda: log.read_text().endswith("\n"))
    assert f"True ['LC_CTYPE', 'ONLY'] {tmp_path}\n" == log.read_text()
    _until("no zombie", lambda: not Path(f"/proc/{pid}").exists() if _ON_LINUX else True)


def test_tree_usage_counts_children_living_and_reaped() -> None:
    """CPU seconds of a child that was waited for and memory of one that lives are the tree's."""
    program = (
        "import os, subprocess, sys, time\n"
        "burn = 'import time\\nwhile time.process_time() < 0.4: pass'\n"
        "subprocess.run([sys.executable, '-c', burn])\n"
        "hold = 'held = bytearray(b\"x\") * (64 << 20); print(1, flush=True); input()'\n"
        "child = subprocess.Popen([sys.executable, '-c', hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(1, flush=True); input()\n"
    )
    root = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert root.stdout is not None
    root.stdout.readline()
    usage = osfacts.tree_usage(root.pid)
    osfacts.end_descendants(root.pid)
    root.communicate(b"\n")
    assert 2 == usage.processes
    assert usage.cpu_s > 0.4
    assert 64 << 20 < usage.rss_bytes < 160 << 20
    assert usage.peak_rss_bytes >= usage.rss_bytes


def test_a_process_that_is_gone_uses_nothing() -> None:
    """Its tree is empty, not an error."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert osfacts.TreeUsage(0, 0, 0, 0) == osfacts.tree_usage(child.pid)


@pytest.mark.skipif(os.name != "posix", reason="ps is POSIX")
def test_ps_tells_the_same_story() -> None:
    """The way of other POSIX systems finds this process with the parent that the system names, and its CPU seconds."""
    found = osfacts._ps_table()[os.getpid()]
    assert (os.getpid(), os.getppid(), os.getpgrp()) == (found.pid, found.parent, found.group)
    assert abs(found.cpu_s - time.process_time()) < 5


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:07", 7), ("1:02.50", 62.5), ("01:00:01", 3601), ("2-00:00:03", 172803)]
)
def test_ps_seconds(text: str, seconds: float) -> None:
    """All of the forms in which ps writes CPU time."""
    assert seconds == osfacts._ps_seconds(text)


def test_machine() -> None:
    """Cores and memory are what the system lets this process have."""
    assert 1 <= osfacts.cpu_count() <= len(osfacts.usable_cores()) <= (os.cpu_count() or 1)
    assert osfacts.total_memory_bytes() > 256 << 20
    available = osfacts.available_memory_bytes()
    assert available is None or 0 < available


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_affinity() -> None:
    """A process can be kept on one core, and what it starts stays there."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    core = osfacts.usable_cores()[-1]
    assert osfacts.set_affinity(child.pid, [core])
    assert {core} == os.sched_getaffinity(child.pid)
    child.communicate(b"\n")
