"""The home's end of one slice's process: start it, talk to it in lines of JSON, and end all of it in time."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import greenkernel
from greenkernel.errors import PermanentError
from greenkernel.mounts import link_data_of_libraries
from greenkernel.osfacts import end_marked, group_lives
from greenkernel.profile.rows import NameInfo, Rows
from greenkernel.profile.watch import EVERY_S, TreeWatch
from greenkernel.records import Capture
from greenkernel.store.codec import from_json, to_json
from greenkernel.store.objects import StoreAddress

START_LIMIT_S = 180.0
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_MARK = "GREENKERNEL_SLICE"
_END_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceSetup:
    """What all slices of a cell have in common; ``logical_cores`` is what ``n_jobs=-1`` means.

    ``notebook`` is the folder whose files they may read.
    """

    capture: Capture
    store: StoreAddress
    key: bytes
    file_name: str
    logical_cores: int
    script: str | None = None
    notebook: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A slice's process that has everything but its orders. ``error``: why the values could not be restored."""

    names: tuple[NameInfo, ...] = ()
    startup_s: float = 0.0
    cpu_s: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the execution of a slice used. ``error``: how the cell ended, None where it came to its end.

    ``files`` are those of the notebook's folder that it opened and that do not travel with the cell, ``changed``
    the names whose objects it changed in place, of those that are not too large to look. ``unkept_*`` are the
    seconds that a move would have repeated, on average and at most.
    """

    cpu_s: float
    wall_s: float
    peak_rss_bytes: int
    rows: int | None = None
    error: str | None = None
    files: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    serial_share: float | None = None
    idle_share: float | None = None
    unkept_mean_s: float | None = None
    unkept_most_s: float | None = None


class SliceProcess:
    """One slice's process, with a folder and a process group of its own; nothing of it outlives ``with``.

    Args:
        setup: The cell.
        folder: An existing, empty folder.
        cores: How many cores it may use.
        check: Asked while it is waited for; what it raises ends the wait, and with it everything of the slice.
    """

    def __init__(self, setup: SliceSetup, folder: Path, cores: int, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._lines: queue.Queue[bytes] = queue.Queue()
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        link_data_of_libraries(folder / "home")
        self._folder = folder
        self._stopped = False
        self._ending: threading.Thread | None = None
        self._errors = folder / "errors"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "greenkernel.runner.slice_start"],
                cwd=folder,
                env=slice_environment(folder, cores, setup.logical_cores, os.environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        threading.Thread(target=self._read, name="greenkernel-slice", daemon=True).start()
        self._tell(
            {
                "url": setup.store.url,
                "options": dict(setup.store.options),
                "key": setup.key.hex(),
                "capture": setup.capture,
                "script": setup.script,
                "folder": str(folder),
                "notebook": setup.notebook,
                "cores": cores,
                "logical_cores": setup.logical_cores,
                "file_name": setup.file_name,
            }
        )

    def __enter__(self) -> SliceProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if kind is not None or self._stopped:
            self._kill()
        else:
            # It says good-bye to its own processes meanwhile, which need not hold up the next slice.
            self._ending = threading.Thread(target=self._let_end, name="greenkernel-slice-end", daemon=True)
            self._ending.start()

    def ended(self) -> None:
        """Wait until nothing of it is left."""
        if self._ending is not None:
            self._ending.join()

    def ready(self) -> Ready:
        """Wait until the values are there and the cell's modules imported.

        Raises:
            PermanentError: The process ended without a word, or does not get ready.
        """
        began = time.monotonic()
        while (line := self._line(EVERY_S)) is None and time.monotonic() - began < START_LIMIT_S:
            self._check()
        if not line:
            raise PermanentError(f"a slice's process did not start: {self._last_words()}")
        return from_json(line, Ready)

    def run(self, rows: Rows | None, part: float, knobs: Mapping[str, int], limit_s: float) -> Measured | str:
        """Execute the cell on a part of its rows.

        Args:
            rows: What is cut; None: nothing.
            part: In (0, 1].
            knobs: Counts to set.
            limit_s: Wall seconds after which everything of the slice is killed.

        Returns:
            What it used, or why there is nothing to say.
        """
        cut = None
        if rows is not None and part < 1.0:
            cut = {
                "axes": {hint.name: hint.axis for hint in rows.names},
                "fraction": part,
                "stratify": rows.stratify,
                "groups": rows.groups,
                "contiguous": rows.contiguous,
            }
        began = time.monotonic()
        watch = TreeWatch(self._process.pid)
        self._tell({"cut": cut, "knobs": dict(knobs)})
        while (line := self._line(EVERY_S)) is None:
            if time.monotonic() - began >= limit_s:
                self._stopped = True
                return f"stopped after {limit_s:.0f} s"
            self._check()
            watch.look()
        if not line:
            return f"its process ended: {self._last_words()}"
        measured = from_json(line, Measured)
        return replace(
            measured,
            peak_rss_bytes=max(measured.peak_rss_bytes, watch.peak_rss_bytes),
            serial_share=watch.serial_share,
            idle_share=watch.idle_share,
        )

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(to_json(message) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has ended; the missing answer says so

    def _line(self, limit_s: float) -> bytes | None:
        """The next line; empty where the process has ended, None where the time is over."""
        try:
            return self._lines.get(timeout=limit_s)
        except queue.Empty:
            return None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _last_words(self) -> str:
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else f"exit status {self._process.poll()}"

    def _let_end(self) -> None:
        deadline = time.monotonic() + _END_S
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
            # Last of its group is the one that removes semaphores which others have left.
            while group_lives(self._process.pid) and time.monotonic() < deadline:
                time.sleep(0.02)
        self._kill()

    def _kill(self) -> None:
        """Everything that it has started too, also what has left its process group."""
        self._process.kill()
        self._process.wait()
        end_marked(_MARK, str(self._folder))


def slice_environment(folder: Path, cores: int, logical_cores: int, home: Mapping[str, str]) -> dict[str, str]:
    """The environment of a slice: little of the home's, nothing shared, thread pools as wide as its cores."""
    temporary = str(folder / "tmp")
    environment = {name: home[name] for name in _INHERITED if name in home}
    environment |= {name: str(cores) for name in _THREADS}
    environment |= {
        _MARK: str(folder),
        "HOME": str(folder / "home"),
        "TMPDIR": temporary,
        "JOBLIB_TEMP_FOLDER": temporary,
        "OMP_WAIT_POLICY": "PASSIVE",
        "LOKY_MAX_CPU_COUNT": str(logical_cores),
    }
    root = Path(greenkernel.__file__).parent.parent
    if root.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = str(root)  # a checkout that nobody installed
    return environment
