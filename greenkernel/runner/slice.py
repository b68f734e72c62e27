"""One slice of a cell in a process of its own, measured; `slice_start` starts it.

Speaks in lines of JSON. First the job comes in and, once the values are restored and the cell's modules imported, what
there is goes out; then the cut comes in (or the end of the input: nothing is wanted), and what it used goes out.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from greenkernel.errors import GreenKernelError
from greenkernel.namespaces import leave_network
from greenkernel.osfacts import (
    die_with_parent,
    forget_peak_memory,
    set_affinity,
    tree_usage,
    usable_cores,
)
from greenkernel.runner.checkpoints import use
from greenkernel.runner.collect import can_change
from greenkernel.runner.execute import Outcome, execute
from greenkernel.runner.record import RecordingScope
from greenkernel.runner.restore import restore, surroundings_of
from greenkernel.runner.slice_folder import SliceFolder
from greenkernel.runner.slice_guard import guard
from greenkernel.runner.slice_order import SliceJob, SliceOrder
from greenkernel.runner.slice_rows import cut_rows, describe
from greenkernel.runner.snapshots.stretches import AsIfLeaving, Stretches, fits_of
from greenkernel.runner.surroundings import Surroundings
from greenkernel.store.blobs import Blobs
from greenkernel.store.codec import from_json
from greenkernel.store.hashing import KEY_BYTES
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.payloads import digest

_WATCHED_MOST_BYTES = 16 << 20


def main() -> int:
    """Run one slice as the lines of the input say."""
    began = time.monotonic()
    die_with_parent()
    orders, said = _own_channel()
    job = from_json(orders.readline(), SliceJob)
    set_affinity(0, usable_cores()[: job.cores])
    folder = Path(job.folder)
    near = job.url.startswith("file:")
    if near:  # before a library has threads of its own, which would stay where they are
        leave_network()
    try:
        blobs = Blobs(ObjectStore(StoreAddress(url=job.url, options=job.options)), bytes.fromhex(job.key))
        shell = restore(job.capture, blobs, _made(folder / "work"), script=job.script)
        surroundings = surroundings_of(job.capture, blobs, folder / "work")
    except GreenKernelError as e:
        _say(said, {"error": str(e)})
        return 0
    if not near:
        leave_network()
    namespace: dict[str, Any] = shell.user_ns
    given = [name for name in namespace if not name.startswith("__")]
    links = SliceFolder(folder / "work", Path(job.notebook))
    if job.notebook:
        links.link()
    guard(folder, links)
    _import_all(job.capture.transformed)
    execute("pass", shell, lambda _: None, file_name="<first>")  # the shell's own modules
    infos = [describe(name, namespace[name]) for name in given]
    used = tree_usage(os.getpid())
    _say(said, {"names": infos, "startup_s": time.monotonic() - began, "cpu_s": used.cpu_s})
    line = orders.readline()
    if line:
        _say(said, _run(job, from_json(line, SliceOrder), shell, surroundings, links))
    return 0


def _run(
    job: SliceJob, order: SliceOrder, shell: Any, surroundings: Surroundings, links: SliceFolder
) -> dict[str, Any]:
    namespace: dict[str, Any] = shell.user_ns
    rows = cut_rows(namespace, order.cut) if order.cut is not None else None
    namespace.update(order.knobs)
    folder = Path(job.folder)
    stretches = Stretches(namespace, surroundings, job.cores)
    scope = RecordingScope(
        spool=_made(folder / "spool"),
        believed=_made(folder / "believed"),
        key=os.urandom(KEY_BYTES),
        cores=job.cores,
        logical_cores=job.logical_cores,
        recorded=stretches.task,
    )
    checkpoints = AsIfLeaving(folder / "believed", stretches.point)
    use(checkpoints)
    watched = _watched(job, namespace)
    with scope, fits_of(checkpoints, stretches, scope), Meter() as meter:
        outcome = execute(
            job.capture.transformed,
            shell,
            lambda _: None,
            file_name=job.file_name,
            surroundings=surroundings,
            points=stretches,
        )
        outcome = outcome if job.script is None else outcome.as_script()
    changed = [name for name, (value, before) in watched.items() if digest(value, namespace) != before]
    return {
        **meter.used,
        **stretches.found(),
        "rows": rows,
        "error": _error(outcome),
        "files": sorted(links.read),
        "changed": changed,
    }


def _watched(job: SliceJob, namespace: dict[str, Any]) -> dict[str, tuple[object, str]]:
    """Objects that the cell may change in place, with what they are before it; large ones would take too long."""
    sent = {item.name for item in job.capture.items if item.bytes <= _WATCHED_MOST_BYTES}
    found = {name: namespace[name] for name in sorted(sent & namespace.keys()) if can_change(namespace[name])}
    digests = {name: digest(value, namespace) for name, value in found.items()}
    return {name: (found[name], before) for name, before in digests.items() if before is not None}


class Meter:
    """CPU seconds, wall seconds and peak memory of this process and its children inside ``with``.

    Memory of several processes at one time is for somebody outside to watch: here it would disturb what is measured.
    """

    def __init__(self) -> None:
        self._began_at = self._began_cpu_s = 0.0
        self.used: dict[str, float] = {}

    def __enter__(self) -> Meter:
        forget_peak_memory()
        self._began_cpu_s = tree_usage(os.getpid()).cpu_s
        self._began_at = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        wall_s = time.monotonic() - self._began_at
        last = tree_usage(os.getpid())
        # Peaks of several processes need not have been at the same time.
        peak = max(last.rss_bytes, last.peak_rss_bytes if last.processes == 1 else 0)
        self.used = {"cpu_s": last.cpu_s - self._began_cpu_s, "wall_s": wall_s, "peak_rss_bytes": peak}


def _own_channel() -> tuple[TextIO, TextIO]:
    """Input and output for us alone: the cell finds an empty input, and what it prints goes nowhere."""
    orders, said = os.fdopen(os.dup(0), "r", encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return orders, said


def _say(said: TextIO, message: dict[str, Any]) -> None:
    said.write(json.dumps(message) + "\n")
    said.flush()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _import_all(python: str) -> None:
    """Import what the cell will import: a whole run pays for that once, whatever its rows."""
    for module in _imported(python):
        try:
            importlib.import_module(module)
        # A module may raise anything; whether the cell can do without it is for the cell to say.
        except Exception:
            continue


def _imported(python: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(python)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _error(outcome: Outcome) -> str | None:
    return f"{outcome.error.type_name}: {outcome.error.message}"[:500] if outcome.error is not None else None
