"""A cell interrupted at every point where a snapshot can be taken, gone on with in another process, and compared.

Each process is forked from one that has run nothing and has no threads, so that hundreds of them take seconds.
"""

from __future__ import annotations

import atexit
import importlib
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from greenkernel.cell.bind import bind, load_result
from greenkernel.cell.capture import capture
from greenkernel.records import Capture, FileChange, Request, Result
from greenkernel.runner.snapshots.keeper import Keeper, Process
from greenkernel.runner.snapshots.pace import Pace
from greenkernel.runner.snapshots.state import Moment, put_back, written
from greenkernel.store.payloads import digest
from greenkernel.store.runs import LogEvent
from greenkernel.store.snapshots import Place, Said, Snapshot
from tests.flows.cellrun import FILE, KEY, NOW, blobs_in


@dataclass(slots=True)
class Ended:
    """How a cell ended in one process."""

    result: Result
    text: str
    errors: str
    displays: int
    files: tuple[FileChange, ...]
    snapshots: list[Snapshot] = field(default_factory=list)
    why_not: str | None = None


class DiffersError(Exception):
    """The cell could not be gone on with from a snapshot."""


@dataclass(slots=True)
class Trial:
    """One cell: its straight run, and the runs that were gone on with."""

    straight: Ended
    looks: dict[str, str | None]
    noise: set[str]
    kept: Ended
    resumed: list[tuple[Snapshot, Ended | str, dict[str, str | None]]]
    why_not: str | None

    def differences(self) -> list[str]:
        """What is not as in the straight run, in words."""
        found = []
        for snapshot, ended, looks in self.resumed:
            loops = [one.number for one in snapshot.place.loops]
            where = f"#{snapshot.number}, from statement {snapshot.place.statement} {loops}"
            if isinstance(ended, str):
                found.append(f"{where}: {ended}")
                continue
            names = [name for name in {**looks, **self.looks} if looks.get(name) != self.looks.get(name)]
            if names := [name for name in names if name not in self.noise]:
                found.append(f"{where}: {', '.join(sorted(names))} differ")
            for what, before in (("text", snapshot.said.stdout), ("errors", snapshot.said.stderr)):
                shown, other = getattr(self.kept, what)[:before], getattr(ended, what)
                one = getattr(self.straight, what)
                if shown + other != one and f"({what})" not in self.noise:
                    found.append(f"{where}: {what} {one[:before] + other!r} instead of {one!r}")
            if snapshot.said.displays + ended.displays != self.straight.displays:
                found.append(f"{where}: {ended.displays} displays after {snapshot.said.displays}")
            if ended.files != self.straight.files:
                found.append(f"{where}: other files")
        return found


def tried(
    setup: str,
    cell: str,
    folder: Path,
    *,
    most: int = 40,
    skips: tuple[str, ...] = (),
) -> Trial:
    """Run a cell straight, and from each of its snapshots (evenly chosen where there are more than ``most``).

    This is done in a process of its own, since what tests have loaded does not bear forking.

    Args:
        setup: What earlier cells have done.
        cell: The cell.
        folder: An empty one.
        most: Snapshots that are tried.
        skips: Names that may differ.
    """
    trial: Trial = _asked(("tried", setup, cell, folder, most, skips))
    return trial


def _tried(setup: str, cell: str, folder: Path, most: int, skips: tuple[str, ...]) -> Trial:
    captured: Capture = forked(partial(_capture, setup, cell, folder))
    straight: Ended = forked(partial(_run, captured, folder, None, keeps=False))
    looks: dict[str, str | None] = forked(partial(_looks, setup, straight.result, folder))
    again: Ended = forked(partial(_run, captured, folder, None, keeps=False))
    others: dict[str, str | None] = forked(partial(_looks, setup, again.result, folder))
    noise = {*skips, *(name for name in looks if looks[name] != others.get(name))}
    kept: Ended = forked(partial(_run, captured, folder, None, keeps=True))
    snapshots = kept.snapshots
    chosen = snapshots if len(snapshots) <= most else snapshots[:: -(-len(snapshots) // most)]
    resumed: list[tuple[Snapshot, Ended | str, dict[str, str | None]]] = []
    for snapshot in chosen:
        try:
            ended: Ended = forked(partial(_run, captured, folder, snapshot, keeps=False))
            resumed.append((snapshot, ended, forked(partial(_looks, setup, ended.result, folder))))
        except DiffersError as e:
            resumed.append((snapshot, str(e), {}))
    whole = Snapshot(version="", epoch=0, number=0, at=NOW, cpu_s=0, place=Place(statement=0), payload=captured.payload)
    return Trial(
        straight,
        looks,
        noise,
        kept,
        [(whole, kept, forked(partial(_looks, setup, kept.result, folder))), *resumed],
        kept.why_not,
    )


_servers: list[subprocess.Popen[bytes]] = []


def _asked(question: tuple[Any, ...]) -> Any:
    """The answer of a process that only forks others."""
    if not _servers or _servers[0].poll() is not None:
        command = [sys.executable, "-m", "tests.flows.interrupted"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        _servers[:] = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)]
        atexit.register(_servers[0].kill)
    server = _servers[0]
    assert server.stdin is not None
    assert server.stdout is not None
    pickle.dump(question, server.stdin)
    server.stdin.flush()
    good, answer = pickle.load(server.stdout)
    if not good:
        raise RuntimeError(answer)
    return answer


def _serve() -> None:
    for library in ("numpy", "pandas", "sklearn.linear_model"):
        importlib.import_module(library)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what cells print does not go among the answers
    while True:
        try:
            _, *given = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: Any = (True, _tried(*given))
        except Exception as e:
            answer = (False, "".join(traceback.format_exception(e)))
        pickle.dump(answer, answers)
        answers.flush()


def forked(call: Callable[[], Any]) -> Any:
    """What a call gives in a process of its own."""
    with tempfile.NamedTemporaryFile() as file:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            try:
                try:
                    answer: Any = (True, call())
                except BaseException as e:
                    answer = (False, (isinstance(e, DiffersError), "".join(traceback.format_exception(e))))
                Path(file.name).write_bytes(pickle.dumps(answer))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        data = Path(file.name).read_bytes()
    if not data:
        raise RuntimeError("the process ended without an answer")
    good, value = pickle.loads(data)
    if good:
        return value
    raise (DiffersError if value[0] else RuntimeError)(value[1])


def _main() -> dict[str, Any]:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    return module.__dict__


def _earlier(setup: str, folder: Path) -> dict[str, Any]:
    import linecache

    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    os.chdir(home)
    sys.path.insert(0, str(home))
    namespace = _main()
    linecache.cache["<earlier cell>"] = (len(setup), None, setup.splitlines(keepends=True), "<earlier cell>")
    exec(compile(setup, "<earlier cell>", "exec"), namespace)
    return namespace


def _capture(setup: str, cell: str, folder: Path) -> Capture:
    namespace = _earlier(setup, folder)
    request = Request(source=cell, name="test", created_at=NOW, file_name=FILE)
    return capture(request, namespace, blobs_in(folder / "store"), folder / "home")


def _looks(setup: str, result: Result, folder: Path) -> dict[str, str | None]:
    """Every name of the notebook after the result has been bound there, by what it is; and all of them together."""
    namespace = _earlier(setup, folder)
    blobs = blobs_in(folder / "store")
    bind(load_result(result, blobs, namespace), result, namespace)
    names = {name: value for name, value in namespace.items() if not name.startswith("__")}
    looks = {name: digest(value, namespace, anywhere=True) or repr(value)[:200] for name, value in names.items()}
    error = None if result.error is None else f"{result.error.type_name}: {result.error.message}"
    error = error and f"{error} {[(frame.line, frame.function) for frame in result.error.frames]}"  # type: ignore[union-attr]
    travels = {name: value for name, value in names.items() if digest(value, namespace) is not None}
    return {**looks, "(together)": digest(travels, namespace, anywhere=True), "(error)": error}


def _run(captured: Capture, folder: Path, snapshot: Snapshot | None, *, keeps: bool) -> Ended:
    from greenkernel.runner.collect import Before, collect
    from greenkernel.runner.execute import execute
    from greenkernel.runner.files import FilesBefore, apply_changes
    from greenkernel.runner.owned import owners
    from greenkernel.runner.record import Drained, RecordingScope
    from greenkernel.runner.restore import fill, prepare, surroundings_of
    from greenkernel.store.inner import Inner

    modules = frozenset(sys.modules)
    blobs = blobs_in(folder / "store")
    work = Path(tempfile.mkdtemp(dir=folder)) / "work"
    spool = work.parent / "spool"
    work.mkdir()
    spool.mkdir()
    shell = prepare(replace(captured, front_end="kernel"), blobs, work)
    namespace = shell.user_ns
    surroundings = surroundings_of(captured, blobs, work)
    files = FilesBefore(work, captured.files)
    scope = RecordingScope(spool=spool, believed=spool, key=KEY, cores=2, logical_cores=2)
    restored = None
    if snapshot is None:
        inner = Inner()
        fill(shell, captured, blobs, inner=inner)
        before = Before.of(namespace, captured, inner)
    else:
        apply_changes(snapshot.files, blobs.get, work)
        restored = put_back(snapshot.payload, namespace, blobs, partial(Before.from_state, capture=captured))
        before = restored.before
        scope.go_on(restored.calls["tasks"])
    events: list[LogEvent] = []
    snapshots: list[Snapshot] = []

    def write(moment: Moment, place: Place, said: Said, names: dict[str, Any], **_: Any) -> None:
        payload = written(moment, names, blobs)
        changes, _ = files.changes(blobs)
        number = len(snapshots) + 1
        snapshots.append(
            Snapshot(
                version="",
                epoch=1,
                number=number,
                at=NOW,
                cpu_s=0,
                place=place,
                payload=payload,
                files=changes,
                said=said,
            )
        )

    def said() -> Said:
        texts = {kind: sum(len(event.text) for event in events if event.kind == kind) for kind in ("stdout", "stderr")}
        return Said(**texts, displays=sum(event.kind not in texts for event in events))

    def differs(reason: str) -> None:
        raise DiffersError(reason)

    process = Process(
        before=before,
        namespace=namespace,
        modules=modules,
        surroundings=surroundings,
        write=write,
        is_busy=lambda: False,
        said=said,
        go_on=lambda said: None,
        calls=lambda: {"tasks": scope.calls()},
        owned=lambda: owners(namespace, work),
        memory_left=lambda: 1 << 40,
    )
    place = None if snapshot is None else snapshot.place
    pace = Pace(0.0, 0) if keeps else Pace(1e12, 10**12)
    keeper = Keeper(process, pace, place=place, restored=restored, differs=differs)
    with scope:
        outcome = execute(
            captured.transformed,
            shell,
            events.append,
            file_name=FILE,
            passes=(Drained, DiffersError),
            surroundings=surroundings,
            points=keeper,
        )
    result = collect(
        namespace,
        before,
        outcome,
        blobs,
        run="r",
        epoch=1,
        finished_at=NOW,
        settings=outcome.settings,
        owned=owners(namespace, work),
    )
    changes, _ = files.changes(blobs)
    return Ended(
        result,
        "".join(event.text for event in events if event.kind == "stdout"),
        "".join(event.text for event in events if event.kind == "stderr"),
        sum(event.kind not in ("stdout", "stderr") for event in events),
        changes,
        snapshots,
        keeper.why_not,
    )


if __name__ == "__main__":
    from tests.flows import interrupted

    interrupted._serve()  # the classes are then those that the asker knows
