"""Embedded sites: jobs are processes of this machine that see nothing of another site and outlive whoever started them.

Each job has a folder of its own and a guard process (`greenkernel.site.guard`). The folder's files are the whole
truth, so any number of controllers may come and go. The machine's user is the same for all sites: they are kept apart
by their folders, environments, cores and memory limits, not by rights. The user's home and the place of temporary files
are the notebook's: a cell finds the data sets that libraries keep there, and paths hold afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import greenkernel
from greenkernel.clock import Clock
from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.osfacts import (
    available_memory_bytes,
    spawn_detached,
    total_memory_bytes,
    usable_cores,
)
from greenkernel.records import JobSpec, JobStatus, Offer
from greenkernel.runner.job import STORE, WORK
from greenkernel.site import jobfolder
from greenkernel.site.localjobs import cores_in_use, end_processes, folders, guard_was_killed, status_of
from greenkernel.units import format_bytes

_WATCH_S = 0.05
_LIVENESS_EVERY = 10
# A folder that is still being made after this long belongs to nobody.
_ABANDONED_NS = 120 * 10**9
_GONE = ".gone-"
_NEW = ".new-"
# Everything else that a job may know comes through the store.
_ENVIRONMENT = (
    *("PATH", "HOME", "SHELL", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    *("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


class EmbeddedSite:
    """A `Site` whose jobs are processes of this machine (POSIX only).

    Jobs start at once: cores that are taken are shared. A job of more than ``cores`` or ``memory_bytes`` is refused.

    Args:
        name: The site's name.
        folder: Where its jobs live; made when needed.
        cores: Most cores of one job, which are also all that the site uses.
        memory_bytes: Most memory of one job; None: the machine's.
        speed: Share of full speed that is emulated, in (0, 1].
        owner: Whose jobs are listed.
        clock: Stamps the end of jobs whose guard could not.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        cores: int,
        memory_bytes: int | None,
        speed: float,
        owner: str,
        clock: Clock,
    ) -> None:
        self._name = name
        self._folder = folder.absolute()
        self._cores = cores
        self._memory_bytes = memory_bytes or total_memory_bytes()
        self._speed = speed
        self._owner = owner
        self._clock = clock

    @property
    def name(self) -> str:
        """The site's name in the settings."""
        return self._name

    def offer(self) -> Offer:
        """What the site can give now."""
        problem = _unusable(self._folder)
        busy = 0 if problem else sum(len(cores) for cores in cores_in_use(self._folder))
        free = available_memory_bytes()
        return Offer(
            site=self._name,
            reachable=problem is None,
            cores_max=self._cores,
            cores_free=float(max(0, self._cores - busy)),
            memory_free_bytes=None if free is None else min(free, self._memory_bytes),
            speed=self._speed,
            why_not=problem,
            detail=f"processes of this machine, at most {format_bytes(self._memory_bytes)} each",
        )

    def submit(self, job: JobSpec) -> None:
        """Accept a job: its folder appears whole or not at all, and of any number of guards one starts it."""
        self._refuse(job)
        folder = self._folder / job.name
        with _translated():
            if not folder.exists():
                self._make(folder, job)
            if jobfolder.read(folder, jobfolder.GUARD) is None:
                self._start_guard(folder)

    def jobs(self) -> Sequence[JobStatus]:
        """Every job of this owner, from the files of its guard; what a stop has left unfinished is finished first."""
        with _translated():
            self._sweep()
            mine = [(folder, spec) for folder in folders(self._folder) if (spec := self._spec(folder)) is not None]
            found = [status_of(folder, spec, self._clock) for folder, spec in mine]
        return [status for status in found if status is not None]

    def logs(self, run: str, epoch: int, *, tail_lines: int = 200) -> str:
        """The last raw output of the job's processes."""
        path = self._own(run, epoch) / jobfolder.OUTPUT
        with _translated():
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                return ""
        return "".join(text.splitlines(keepends=True)[-tail_lines:])

    def drain(self, run: str, epoch: int) -> None:
        """Ask the job to leave; its guard passes it on as SIGTERM and kills after the grace time."""
        folder = self._own(run, epoch)
        with _translated():
            if self._spec(folder) is not None:
                (folder / jobfolder.DRAIN).touch()

    def stop(self, run: str, epoch: int) -> None:
        """Kill every process of the job and remove its folder."""
        folder = self._own(run, epoch)
        with _translated():
            if self._spec(folder) is None:
                return
            # From here on no guard can start it any more, and whoever lists jobs finishes what follows.
            gone = self._folder / f"{_GONE}{folder.name}~{os.urandom(4).hex()}"
            try:
                folder.rename(gone)
            except FileNotFoundError:
                return
            self._remove(gone)

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call ``on_change`` within about 50 ms of a change in the jobs' files, 0.5 s after a guard was killed."""
        ended = threading.Event()

        def look() -> None:
            seen, count = jobfolder.version(self._folder), 0
            while not ended.wait(_WATCH_S):
                count += 1
                now = jobfolder.version(self._folder)
                if now != seen or (count % _LIVENESS_EVERY == 0 and any(map(guard_was_killed, folders(self._folder)))):
                    seen = now
                    on_change()

        threading.Thread(target=look, name=f"greenkernel-watch-{self._name}", daemon=True).start()
        return ended.set

    # --- starting ---

    def _refuse(self, job: JobSpec) -> None:
        problem = _unusable(self._folder)
        if problem is not None:
            raise PermanentError(f"{self._name}: {problem}")
        if job.cores > self._cores:
            raise PermanentError(f"{self._name} has {self._cores} cores, the job wants {job.cores}")
        if job.memory_bytes > self._memory_bytes:
            most, wanted = format_bytes(self._memory_bytes), format_bytes(job.memory_bytes)
            raise PermanentError(f"{self._name} gives a job at most {most} of memory, this one wants {wanted}")

    def _make(self, folder: Path, job: JobSpec) -> None:
        aside = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._folder))
        for name in (jobfolder.TEMPORARY, jobfolder.WORK):
            (aside / name).mkdir()
        spec = {
            "job": {
                "run": job.run,
                "epoch": job.epoch,
                "site": self._name,
                "cores": job.cores,
                "memory_bytes": job.memory_bytes,
                "grace_s": job.grace_s,
                "lost_every_s": job.lost_every_s,
                "folder": job.folder,
            },
            "owner": job.owner,
            "view": {"folder": WORK, "place": job.folder, "keep": [str(path) for path in _needed(job)]},
            "secrets": dict(job.secrets),
            "hash_seed": job.hash_seed,
            "speed": self._speed,
            "cpus": least_used(self._site_cores(), cores_in_use(self._folder), job.cores),
        }
        jobfolder.replace(aside, jobfolder.SPEC, spec)
        try:
            aside.rename(folder)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            if not folder.exists():
                raise

    def _start_guard(self, folder: Path) -> None:
        command: list[str | Path] = [sys.executable, "-P", "-m", "greenkernel.site.guard", folder]
        try:
            spawn_detached(
                command, cwd=folder, log=folder / jobfolder.OUTPUT, environment=_environment(folder, os.environ.get)
            )
        except FileNotFoundError:
            return  # stopped by another controller just now

    def _site_cores(self) -> list[int]:
        """The cores of this machine that are the site's; sites of one machine begin at different ones."""
        cores = usable_cores()
        first = zlib.crc32(self._name.encode()) % len(cores)
        return [*cores[first:], *cores[:first]][: self._cores]

    # --- looking ---

    def _own(self, run: str, epoch: int) -> Path:
        return self._folder / JobSpec(run=run, epoch=epoch, cores=1, memory_bytes=0).name

    def _spec(self, folder: Path) -> dict[str, Any] | None:
        spec = jobfolder.read(folder, jobfolder.SPEC)
        return spec if spec is not None and spec["owner"] == self._owner else None

    # --- removing ---

    def _sweep(self) -> None:
        """Finish what a stop or a submit that was cut off has left."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name.startswith(_GONE):
                self._remove(path)
            elif path.name.startswith(_NEW) and 0 < _mtime(path) < time.time_ns() - _ABANDONED_NS:
                shutil.rmtree(path, ignore_errors=True)

    def _remove(self, gone: Path) -> None:
        original = self._folder / gone.name.removeprefix(_GONE).rpartition("~")[0]
        end_processes(original, now_at=gone)
        shutil.rmtree(gone, ignore_errors=True)


def least_used(cores: Sequence[int], in_use: Sequence[Sequence[int]], count: int) -> list[int]:
    """``count`` of ``cores``: those that the fewest jobs in ``in_use`` have, earlier ones first."""
    jobs = Counter(core for used in in_use for core in used)
    return sorted(cores, key=lambda core: (jobs[core], cores.index(core)))[:count]


def _environment(folder: Path, home_has: Callable[[str], str | None]) -> dict[str, str]:
    kept = {name: value for name in _ENVIRONMENT if (value := home_has(name)) is not None}
    environment = {
        **kept,
        jobfolder.MARK: str(folder),
        "JOBLIB_TEMP_FOLDER": str(folder / jobfolder.TEMPORARY),
    }
    root = Path(greenkernel.__file__).parent.parent
    if root.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = str(root)  # a checkout that nobody installed
    return environment


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _unusable(folder: Path) -> str | None:
    """Why embedded jobs cannot run here, None where they can."""
    if os.name != "posix":
        return "embedded sites need Linux or macOS"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        return f"the folder {folder} cannot be made ({e.strerror})"
    return None


@contextmanager
def _translated() -> Iterator[None]:
    """Faults of the disk become ours."""
    try:
        yield
    except PermissionError as e:
        raise PermanentError(f"an embedded site may not use its folder: {e}") from e
    except OSError as e:
        raise TemporaryError(f"an embedded site cannot use its folder: {e}", delay_s=2.0) from e


def _needed(job: JobSpec) -> list[Path]:
    """What a runner needs of this machine, wherever the notebook's folder is: its Python, itself and the store."""
    found = [Path(sys.prefix), Path(sys.base_prefix), Path(greenkernel.__file__).parent.parent]
    found += [Path(place) for place in (*site.getsitepackages(), site.getusersitepackages())]
    if STORE in job.secrets:
        store = urlsplit(json.loads(job.secrets[STORE])["url"])
        found += [Path(unquote(store.path))] if store.scheme == "file" else []
    return found
