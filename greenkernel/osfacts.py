"""Every call that exists on one system only: processes, their trees, cores and memory. Imports everywhere, and fast.

Linux is read from ``/proc``, other POSIX systems through ``ps``. On Windows the questions about other processes have
empty answers: a home there drives clusters and has no embedded sites.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")
_ON_LINUX = sys.platform.startswith("linux")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Process(NamedTuple):
    """A living process. ``start`` tells it from a later one with the same number; zombies are not alive."""

    pid: int
    parent: int
    group: int
    session: int
    start: str
    cpu_s: float
    """User and system seconds, its own and those of children that it has waited for."""


class TreeUsage(NamedTuple):
    """What a process and all its descendants use.

    ``rss_bytes`` is memory that could not be dropped: private pages of each, and the largest share of shared memory;
    pages of files are left out where the system tells them apart. ``peak_rss_bytes`` sums each living process's peak.
    """

    cpu_s: float
    rss_bytes: int
    peak_rss_bytes: int
    processes: int


# --- the machine --------------------------------------------------------------------------------------------------


def usable_cores() -> tuple[int, ...]:
    """Numbers of the cores that this process may use, in order."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_count() -> int:
    """Cores that this process can really have: affinity and, in a container, the CPU quota; at least 1."""
    cores = len(usable_cores())
    quota = _cgroup_quota()
    return max(1, min(cores, math.ceil(quota))) if quota else max(1, cores)


def total_memory_bytes() -> int:
    """Memory of the machine or, where that is less, of the container."""
    if sys.platform == "win32":
        return _windows_memory_bytes()
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [_number(_CGROUP / name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
    return min([total, *(limit for limit in limits if limit)])


def available_memory_bytes() -> int | None:
    """Memory that new work could have now; None where the system does not say."""
    for line in _text(_PROC / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def set_affinity(pid: int, cores: Iterable[int]) -> bool:
    """Keep a process, and what it starts from now on, on these cores. False where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(pid, set(cores))
    return True


# --- starting -----------------------------------------------------------------------------------------------------


def spawn_detached(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start a process in a session of its own that outlives this one; returns its pid.

    Args:
        command: Program and arguments.
        cwd: Its working folder.
        log: File to which its output is appended; None drops it.
        environment: Its whole environment; None: this process's.
    """
    import subprocess
    import threading

    windows = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "DETACHED_PROCESS", 0)
    with Path(log or os.devnull).open("ab") as output:
        child = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            creationflags=windows,
        )
    # While this process lives it must take the exit status, or the child stays a zombie.
    threading.Thread(target=child.wait, name=f"greenkernel-reap-{child.pid}", daemon=True).start()
    return child.pid


def start_child(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    output: Path,
    cores: Iterable[int],
    first: Callable[[], object],
) -> int:
    """Start a process on some cores, in a group of its own, that is killed when this one ends; POSIX only.

    Args:
        command: Program and arguments.
        environment: Its whole environment.
        cwd: Its working folder.
        output: File to which its output is appended.
        cores: Numbers of the cores that it may use.
        first: Called in the new process, which has this one's memory, before the program takes its place.

    Returns:
        Its pid; whoever calls must wait for it.
    """
    parent = os.getpid()
    into = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    child = os.fork()
    if child == 0:
        try:
            for source, target in ((nothing, 0), (into, 1), (into, 2)):
                os.dup2(source, target)
            os.setpgid(0, 0)
            first()  # before the next line: a process that changes its rights is not killed with its parent any more
            die_with_parent()
            if os.getppid() == parent:
                set_affinity(0, cores)
                os.chdir(cwd)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
                os.execve(command[0], list(command), dict(environment))
        except OSError as e:
            os.write(2, f"greenkernel: {command[0]} cannot be started ({e.strerror})\n".encode())
        os._exit(127)
    _quietly(lambda: os.setpgid(child, child))  # the child does it too: whoever is first
    os.close(into)
    os.close(nothing)
    return child


def die_with_parent() -> None:
    """Let the kernel send SIGKILL to this process when its parent ends. Linux only; elsewhere nothing happens."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if _ON_LINUX else 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends. Linux only; elsewhere nothing happens."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


# --- looking ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def started_with() -> Mapping[str, str]:
    """The environment that this process was started with; where the system does not say, the first one asked about."""
    try:
        pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    named = [os.fsdecode(pair).partition("=") for pair in pairs if b"=" in pair]
    return {name: value for name, _, value in named}


def start_time(pid: int) -> str | None:
    """What tells a living process from another with the same number, also over a restart; None: no such process."""
    process = _linux_process(pid) if _ON_LINUX else _table().get(pid)
    return process.start if process is not None else None


def descendants(pid: int) -> list[Process]:
    """Every living descendant of a process, parents before their children."""
    return _below(pid, _table())


def tree_usage(pid: int) -> TreeUsage:
    """What a process and all its living descendants use, reaped children included in the CPU seconds."""
    root = _linux_process(pid) if _ON_LINUX else _table().get(pid)
    tree = ([root] if root else []) + descendants(pid)
    if not tree and pid == os.getpid():
        spent = os.times()
        return TreeUsage(spent.user + spent.system + spent.children_user + spent.children_system, 0, 0, 1)
    memory = [_memory(process.pid) for process in tree]
    return TreeUsage(
        cpu_s=sum(process.cpu_s for process in tree),
        rss_bytes=_held(memory),
        peak_rss_bytes=sum(m.peak for m in memory),
        processes=len(tree),
    )


def held_bytes(pids: Iterable[int]) -> int:
    """Memory of some processes, as `TreeUsage.rss_bytes` counts it; those that are gone have none."""
    return _held([_memory(pid) for pid in pids])


def forget_peak_memory() -> bool:
    """Let this process's peak memory start anew from what it holds now. Linux only; elsewhere False."""
    try:
        (_PROC / "self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def user_id() -> int | None:
    """The number of the user that this process belongs to; None on systems without such numbers."""
    return os.getuid() if hasattr(os, "getuid") else None


def group_lives(group: int) -> bool:
    """True while a process group has a member that this process may signal."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError, AttributeError):  # Windows has no groups
        return False
    return True


def runnable_threads(pid: int) -> int | None:
    """Threads of a process and its descendants that compute or wait for a core; None where the system does not say."""
    if not _ON_LINUX:
        return None
    found = 0
    for process in (pid, *(process.pid for process in descendants(pid))):
        for thread in (_PROC / str(process) / "task").glob("*/stat"):
            found += _text(thread).rpartition(")")[2].lstrip().startswith("R")
    return found


# --- ending -------------------------------------------------------------------------------------------------------


def end_descendants(pid: int, *, within_s: float = 5.0) -> bool:
    """SIGKILL every descendant of a process, not the process itself. False: some are left after ``within_s``."""
    return _end_all(lambda: descendants(pid), within_s)


def end_marked(name: str, value: str, *, within_s: float = 5.0) -> bool:
    """SIGKILL every process that was started with ``name=value`` in its environment, and their descendants.

    Not this process. Only Linux shows environments; elsewhere nothing is found. False: some are left.
    """
    mark = f"{name}={value}".encode()
    return _end_all(lambda: _with_family(pid for pid in _pids() if _has_mark(pid, mark)), within_s)


def rest_group(group: int, *, rest: bool) -> None:
    """Stop a process group for a while, or let it go on; POSIX only."""
    _quietly(lambda: os.killpg(group, signal.SIGSTOP if rest else signal.SIGCONT))


def end_group(group: int, start: str) -> None:
    """SIGKILL a process group whose leader started at ``start``; another group of that number is left alone."""
    if start_time(group) == start and hasattr(os, "killpg"):
        _quietly(lambda: os.killpg(group, signal.SIGKILL))


# --- inside -------------------------------------------------------------------------------------------------------


class _Memory(NamedTuple):
    private: int
    shared: int
    peak: int


def _held(memory: Sequence[_Memory]) -> int:
    return sum(m.private for m in memory) + max((m.shared for m in memory), default=0)


def _end_all(find: Callable[[], Iterable[Process]], within_s: float) -> bool:
    """Kill until a look finds nobody: processes may have been born between look and kill."""
    deadline = time.monotonic() + within_s
    while found := [process for process in find() if process.pid != os.getpid()]:
        for process in found:
            _quietly(lambda pid=process.pid: os.kill(pid, signal.SIGKILL))  # type: ignore[misc]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _below(pid: int, table: Mapping[int, Process]) -> list[Process]:
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found, waiting = [], [pid]
    while waiting:
        for child in children.get(waiting.pop(0), ()):
            found.append(child)
            waiting.append(child.pid)
    return found


def _quietly(act: Callable[[], None]) -> None:
    """A process may have ended by itself, or belong to somebody else by now."""
    try:
        act()
    except (ProcessLookupError, PermissionError):
        return


def _with_family(pids: Iterable[int]) -> list[Process]:
    family: dict[int, Process] = {}
    table = _table()
    for pid in pids:
        if pid in table and pid != os.getpid():
            family |= {pid: table[pid]} | {process.pid: process for process in _below(pid, table)}
    return list(family.values())


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        return mark in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208 - a Path each is slow
    except OSError:
        return []


def _table() -> dict[int, Process]:
    if not _ON_LINUX:
        return _ps_table()
    found = (_linux_process(pid) for pid in _pids())
    return {process.pid: process for process in found if process is not None}


def _linux_process(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read for every process several times a second
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()  # the name before it may hold spaces and brackets
    if fields[0] in (b"Z", b"X"):
        return None
    ticks = sum(int(number) for number in fields[11:15])
    start = f"{_boot()}.{fields[19].decode()}"
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), start, ticks / os.sysconf("SC_CLK_TCK"))


_boots: list[str] = []


def _boot() -> str:
    if not _boots:
        _boots.append(_text(_PROC / "sys/kernel/random/boot_id")[:8])
    return _boots[0]


def _memory(pid: int) -> _Memory:
    if not _ON_LINUX:
        resident = _ps_numbers("rss", pid) * 1024
        return _Memory(private=resident, shared=0, peak=resident)
    kib = {"RssAnon": 0, "RssFile": 0, "RssShmem": 0, "VmHWM": 0}
    for line in _text(_PROC / str(pid) / "status").splitlines():
        name, _, rest = line.partition(":")
        if name in kib:
            kib[name] = int(rest.split()[0])
    held = kib["RssAnon"] + kib["RssShmem"]
    peak = max(held, kib["VmHWM"] - kib["RssFile"])
    return _Memory(private=kib["RssAnon"] * 1024, shared=kib["RssShmem"] * 1024, peak=peak * 1024)


def _ps_table() -> dict[int, Process]:
    """The same table from ``ps``, which every POSIX system has."""
    found = {}
    for line in _ps("-A", "-o", "pid=,ppid=,pgid=,stat=,time=,lstart=").splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and not fields[3].startswith("Z"):
            pid, parent, group = (int(field) for field in fields[:3])
            found[pid] = Process(pid, parent, group, group, " ".join(fields[5].split()), _ps_seconds(fields[4]))
    return found


def _ps_seconds(text: str) -> float:
    """``[[days-]hours:]minutes:seconds`` in seconds."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60 * seconds + float(part)
    return 86400 * int(days or 0) + seconds


def _ps_numbers(column: str, pid: int) -> int:
    return int(_ps("-o", f"{column}=", "-p", str(pid)).strip() or 0)


def _ps(*arguments: str) -> str:
    import subprocess

    try:
        done = subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    except OSError:
        return ""
    return done.stdout


def _prctl(option: int, value: int) -> None:
    if not _ON_LINUX:
        return
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} was refused")


def _cgroup_quota() -> float | None:
    """Cores that the container may use together, None where there is no limit."""
    words = _text(_CGROUP / "cpu.max").split()
    if len(words) == 2 and words[0] != "max":
        return int(words[0]) / int(words[1])
    quota, period = (_number(_CGROUP / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return quota / period if quota and period and quota > 0 else None


def _windows_memory_bytes() -> int:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "f1", "f2", "v1", "v2", "v3")),
        )

    status = Status(length=ctypes.sizeof(Status))
    getattr(ctypes, "windll").kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # noqa: B009 - other systems lack it
    return int(status.total)


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
