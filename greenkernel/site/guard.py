"""``python -m greenkernel.site.guard FOLDER``: starts one job of an embedded site, watches over it, says how it ended.

A process of its own, so that a job outlives whoever submitted it. It holds the job to its cores, memory, speed and
grace, and it says "ended" only once nothing of the job is left. Imports little: it stands between a job and its start.

Should the guard itself be killed, the kernel kills the runner (parent-death signal); because the runner's process
group shares the guard's session and has its only outside parent in it, a group that is stopped just then becomes
orphaned and gets SIGHUP and SIGCONT. So nothing goes on unseen and nothing is left stopped; the site sweeps the rest.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from greenkernel.mounts import show_at
from greenkernel.osfacts import (
    adopt_orphans,
    descendants,
    end_descendants,
    held_bytes,
    rest_group,
    start_child,
    start_time,
)
from greenkernel.site import jobfolder
from greenkernel.site.words import killed_by, out_of_memory, said_last

TICK_S = 0.02
LOOK_S = 0.25
# Finding new processes takes a look at all of the machine's: each half second is enough.
_FAMILY_EVERY = 2
OUTPUT_MOST = 1 << 20
OUTPUT_KEPT = 1 << 18


def main(arguments: list[str]) -> int:
    """Guard the job in the folder that is named, unless another process does or did."""
    folder = Path(arguments[0])
    spec = jobfolder.read(folder, jobfolder.SPEC)
    identity = {"pid": os.getpid(), "start": start_time(os.getpid())}
    try:
        if spec is not None and jobfolder.put_new(folder, jobfolder.GUARD, identity):
            Guard(folder, spec).run()
    except FileNotFoundError:
        return 0  # the job was stopped before it was started
    return 0


def must_rest(ran_s: float, rested_s: float, speed: float) -> bool:
    """True where a job that ran and rested for so long has had more than its share ``speed`` of the time."""
    return ran_s > speed * (ran_s + rested_s)


class Guard:
    """One job from its start to its end.

    Args:
        folder: The job's folder.
        spec: What was submitted, as the site wrote it.
    """

    def __init__(self, folder: Path, spec: dict[str, Any]) -> None:
        self._folder = folder
        self._spec = spec
        self._runner = 0
        self._told: dict[str, Any] = {}
        self._unsaid = False
        self._verdict: str | None = None
        self._out_of_memory = False
        self._asked = False
        self._deadline: float | None = None
        self._resting = False
        self._ran_s = 0.0
        self._rested_s = 0.0
        self._next_look = 0.0
        self._cut = 0
        self._looks = 0
        self._family: list[int] = []

    def run(self) -> None:
        """Start the runner and stay until nothing of the job is left."""
        adopt_orphans()
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if (self._folder / jobfolder.DRAIN).exists():
            self._say_until_written(phase="ended", ended_at=_now(), detail="drained before it had started")
            return
        self._runner = self._start()
        self._say(phase="running", started_at=_now(), runner={"pid": self._runner, "start": start_time(self._runner)})
        # Whoever reads the folder later learns nothing: the runner has them by now.
        jobfolder.replace(self._folder, jobfolder.SPEC, {**self._spec, "secrets": {}})
        code = self._stay()
        end_descendants(os.getpid())
        while self._reap() is not None:
            continue
        self._say_until_written(
            phase="ended",
            ended_at=_now(),
            exit_code=code,
            out_of_memory=self._out_of_memory,
            detail=self._verdict or self._explain(code),
        )

    # --- start and end ---

    def _start(self) -> int:
        spec = self._spec
        told = {"GREENKERNEL_JOB": json.dumps(spec["job"]), "PYTHONHASHSEED": spec["hash_seed"]}
        environment = {**os.environ, **spec["secrets"], **told}
        command = [sys.executable, "-P", "-m", "greenkernel.runner"]
        return start_child(
            command,
            environment=environment,
            cwd=self._folder / jobfolder.WORK,
            output=self._folder / jobfolder.OUTPUT,
            cores=spec["cpus"],
            first=self._show_at_home,
        )

    def _show_at_home(self) -> None:
        """The runner sees the cell's working folder where the notebook's is."""
        view = self._spec["view"]
        folder = self._folder / jobfolder.WORK / view["folder"]
        folder.mkdir(exist_ok=True)
        if view["place"]:
            show_at(folder, Path(view["place"]), [self._folder, *map(Path, view["keep"])])

    def _stay(self) -> int:
        """Until the runner has ended; returns its exit code, 128 + N for signal N."""
        last = time.monotonic()
        while True:
            ended = self._reap()
            if ended is not None and ended[0] == self._runner:
                code = os.waitstatus_to_exitcode(ended[1])
                return code if code >= 0 else 128 - code
            time.sleep(TICK_S)
            now = time.monotonic()
            self._share_time(now - last)
            last = now
            self._mind_drain(now)
            if now >= self._next_look:
                self._next_look = now + LOOK_S
                self._look()

    def _reap(self) -> tuple[int, int] | None:
        """One child that has ended, adopted orphans included; None where there is none just now."""
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        return (pid, status) if pid else None

    def _explain(self, code: int) -> str:
        if self._asked and code == 0:
            return "drained"
        if code > 128:
            return killed_by(code - 128)
        if code == 0:
            return ""
        return f"exit code {code}{said_last(self._tail())}"

    def _tail(self) -> str:
        with (self._folder / jobfolder.OUTPUT).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            return file.read().decode(errors="replace")

    # --- while it runs ---

    def _share_time(self, passed_s: float) -> None:
        """A slower machine: stop and continue the runner's process group so that it runs its share of the time."""
        speed = self._spec["speed"]
        if speed >= 1:
            return
        if self._resting:
            self._rested_s += passed_s
        else:
            self._ran_s += passed_s
        rest = must_rest(self._ran_s, self._rested_s, speed)
        if rest != self._resting:
            self._resting = rest
            rest_group(self._runner, rest=rest)

    def _mind_drain(self, now: float) -> None:
        if self._deadline is None:
            self._asked = self._asked or (self._folder / jobfolder.DRAIN).exists()
            if self._asked:
                self._deadline = now + self._spec["job"]["grace_s"]
                os.kill(self._runner, signal.SIGTERM)  # the runner alone: it says what becomes of its workers
        elif now > self._deadline and self._verdict is None:
            grace_s = self._spec["job"]["grace_s"]
            self._kill(f"it had not left {grace_s:.0f} s after it was asked to, and was killed")

    def _look(self) -> None:
        if not (self._folder / jobfolder.SPEC).exists():
            self._kill("its folder is gone")
            return
        if self._unsaid:
            self._say()
        self._trim_output()
        self._looks += 1
        if self._looks % _FAMILY_EVERY == 1:
            self._family = [process.pid for process in descendants(os.getpid())]
        used = held_bytes(self._family)
        limit = self._spec["job"]["memory_bytes"]
        if used > limit and self._verdict is None:
            self._out_of_memory = True
            self._kill(out_of_memory(limit, used))

    def _kill(self, verdict: str) -> None:
        self._verdict = self._verdict or verdict
        end_descendants(os.getpid())

    def _trim_output(self) -> None:
        path = self._folder / jobfolder.OUTPUT
        size = path.stat().st_size
        if size <= OUTPUT_MOST:
            return
        with path.open("rb") as file:
            file.seek(size - OUTPUT_KEPT)
            tail = file.read()
        self._cut += size - len(tail)
        os.truncate(path, 0)
        with path.open("ab") as file:  # appended, as the job's own writes are: none goes over another
            file.write(b"[%d bytes of output were cut here]\n" % self._cut + tail)

    # --- words ---

    def _say(self, **changes: Any) -> None:
        """Write the status; a disk that is full now is tried again at the next look."""
        self._told |= changes
        try:
            jobfolder.replace(self._folder, jobfolder.STATUS, self._told)
            self._unsaid = False
        except FileNotFoundError:
            self._kill("its folder is gone")
        except OSError:
            self._unsaid = True

    def _say_until_written(self, **changes: Any) -> None:
        self._say(**changes)
        while self._unsaid and self._folder.exists():
            time.sleep(LOOK_S)
            self._say()

    def _on_sigterm(self, _number: int, _frame: object) -> None:
        self._asked = True


def _now() -> str:
    return datetime.now(UTC).isoformat()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
