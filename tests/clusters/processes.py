"""Start processes and write them down so that exactly these, and never a recycled pid, are stopped later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Inherited by all that a component starts, so containerd's shims can be told from those of other containerds.
MARK = "GREENKERNEL_CLUSTER_MEMBER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """One process that was started.

    Attributes:
        name: The component, such as `site-one/kubelet`.
        pid: Its process id.
        start: Clock ticks between boot and its start: with `boot` and `pid`, unique for ever.
        boot: The id of the boot that it was started in.
        argv: Its command line, to start it again.
    """

    name: str
    pid: int
    start: int
    boot: str
    argv: tuple[str, ...]


def parse_stat(text: str) -> tuple[str, int]:
    """State letter and start time in clock ticks out of a `/proc/PID/stat` line.

    The program's name may hold spaces and brackets, so fields are counted from the last bracket.
    """
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


def start_ticks(pid: int, proc: Path = Path("/proc")) -> int | None:
    """When that process started, in clock ticks since boot; None where none runs (a zombie does not)."""
    try:
        state, start = parse_stat((proc / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else start


def boot_id() -> str:
    """The kernel's id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def alive(process: Started) -> bool:
    """Whether that very process still runs, not another one with its pid."""
    return process.boot == boot_id() and start_ticks(process.pid) == process.start


class Ledger:
    """The record of started processes in one JSON file, rewritten as a whole and renamed into place.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def read(self) -> tuple[Started, ...]:
        """All recorded processes, in the order of their start."""
        if not self._path.exists():
            return ()
        rows = json.loads(self._path.read_text())
        return tuple(Started(**{**row, "argv": tuple(row["argv"])}) for row in rows)

    def find(self, name: str) -> Started | None:
        """The process recorded for a component."""
        return next((row for row in self.read() if row.name == name), None)

    def record(self, process: Started) -> None:
        """Add a process; it takes the place of an earlier one of its name."""
        with self._lock:
            rows = [row for row in self.read() if row.name != process.name]
            aside = self._path.with_suffix(".new")
            aside.write_text(json.dumps([asdict(row) for row in [*rows, process]], indent=1))
            aside.replace(self._path)


def launch(
    ledger: Ledger, name: str, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
) -> Started:
    """Start a process that outlives this one and record it.

    Args:
        ledger: Where to record it.
        name: The component's name.
        argv: Its command line; no secrets, it is kept in the record.
        log: File that its output is added to.
        env: Variables to add to the environment.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(env or {}), MARK: "1"},
        )
    start = start_ticks(process.pid) or -1
    started = Started(
        name=name, pid=process.pid, start=-1 if start is None else start, boot=boot_id(), argv=tuple(argv)
    )
    ledger.record(started)
    threading.Thread(target=process.wait, daemon=True).start()
    return started


def send(processes: Iterable[Started], number: signal.Signals) -> None:
    """Signal those of these processes that still run."""
    for process in processes:
        if alive(process):
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue


def stop(processes: Sequence[Started], *, grace_s: float = 5.0) -> None:
    """Stop these processes, in order, with SIGTERM and after the grace with SIGKILL; stopped ones are continued."""
    send(processes, signal.SIGTERM)
    send(processes, signal.SIGCONT)
    if not _gone(processes, grace_s):
        send(processes, signal.SIGKILL)
        _gone(processes, grace_s)


def _gone(processes: Sequence[Started], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while any(alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def marked() -> Iterator[Started]:
    """Processes with our mark in their environment, also those that no record names.

    These are grandchildren (the shims that containerd starts and leaves behind), or the record is lost.
    """
    boot = boot_id()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            ours = f"{MARK}=1".encode() in (folder / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        start = start_ticks(int(folder.name))
        if ours and start is not None:
            yield Started(name=Path(argv[0]).name, pid=int(folder.name), start=start, boot=boot, argv=tuple(argv))


def children(parent: Started) -> Iterator[Started]:
    """The direct children of a process."""
    for listing in Path(f"/proc/{parent.pid}/task").glob("*/children"):
        for pid in map(int, listing.read_text().split()):
            start = start_ticks(pid)
            if start is not None:
                yield Started(name="child", pid=pid, start=start, boot=parent.boot, argv=())
