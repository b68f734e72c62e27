"""One cell there and back without a site: captured here, run by the runner's parts in a child process, bound here."""

from __future__ import annotations

import json
import linecache
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from greenkernel.cell.bind import bind, load_result, rebuild_error
from greenkernel.cell.capture import capture
from greenkernel.records import Capture, Request, Result
from greenkernel.store.blobs import Blobs
from greenkernel.store.codec import from_json, to_json
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.runs import LogEvent

KEY = b"k" * 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILE = "<cell 7>"


@dataclass(slots=True)
class Returned:
    """What came back from one cell."""

    capture: Capture
    result: Result
    value: Any
    messages: list[str]
    events: tuple[LogEvent, ...]
    error: BaseException | None = None
    names: Mapping[str, Any] = field(default_factory=dict)

    def text(self, kind: str) -> str:
        """All that was written to one stream."""
        return "".join(event.text for event in self.events if event.kind == kind)


def notebook(setup: str = "") -> dict[str, Any]:
    """A notebook's namespace in which earlier cells have run."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(setup, "<earlier cell>", "exec"), namespace)
    return namespace


def blobs_in(folder: Path) -> Blobs:
    """A local store."""
    return Blobs(ObjectStore(StoreAddress(url=f"file://{folder}")), KEY)


def there_and_back(
    cell: str,
    namespace: dict[str, Any],
    tmp_path: Path,
    *,
    meanwhile: Callable[[], object] = lambda: None,
    **options: Any,
) -> Returned:
    """Run ``cell`` in a child process and bind what it leaves in ``namespace``."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    blobs = blobs_in(tmp_path / "store")
    request = Request(source=cell, name="test", created_at=NOW, file_name=FILE, **options)
    captured = capture(request, namespace, blobs, home)
    result, events = ran(captured, tmp_path, out=request.out)
    meanwhile()
    loaded = load_result(result, blobs, namespace)
    messages = bind(loaded, result, namespace)
    error = None if result.error is None else rebuild_error(result.error, blobs, namespace, request)
    value = loaded.value if result.has_value else None
    return Returned(captured, result, value, messages, events, error, loaded.names)


def ran(captured: Capture, tmp_path: Path, *, out: tuple[str, ...] = ()) -> tuple[Result, tuple[LogEvent, ...]]:
    """Run a capture in a fresh process."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    given = tmp_path / "capture.json"
    given.write_bytes(to_json(captured))
    left = tmp_path / "left.json"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(Path(__file__)), str(given), str(work), str(tmp_path / "store"), str(left), *out]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=work, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "", "all that is printed goes into events"
    body = json.loads(left.read_bytes())
    return from_json(json.dumps(body["result"]), Result), from_json(json.dumps(body["events"]), tuple[LogEvent, ...])


def in_plain_python(cell: str, namespace: dict[str, Any]) -> None:
    """Run a cell here, as a plain notebook would, for comparison."""
    exec(compile(cell, FILE, "exec"), namespace)


def shown(error: BaseException) -> str:
    """The traceback as the user sees it."""
    linecache.checkcache()
    return "".join(traceback.format_exception(error))


def same(a: object, b: object) -> bool:
    """Equal content, also of arrays and frames."""
    return pickle.dumps(a) == pickle.dumps(b) or bool(a == b)


def _child() -> None:
    from greenkernel.runner.collect import Before, collect
    from greenkernel.runner.execute import execute
    from greenkernel.runner.restore import restore
    from greenkernel.store.inner import Inner

    given, work, store, left, *out = sys.argv[1:]
    captured = from_json(Path(given).read_bytes(), Capture)
    blobs = blobs_in(Path(store))
    # Only what the runner's own start would give: the test's folder is not importable in the cell.
    sys.path[:] = [place for place in sys.path if Path(place).name != "flows"]
    inner = Inner()
    shell = restore(captured, blobs, Path(work), inner=inner)
    namespace = shell.user_ns
    before = Before.of(namespace, captured, inner)
    events: list[LogEvent] = []
    outcome = execute(captured.transformed, shell, events.append, file_name=FILE)
    result = collect(namespace, before, outcome, blobs, run="test", epoch=1, finished_at=NOW, only=tuple(out))
    Path(left).write_bytes(b'{"result": %s, "events": %s}' % (to_json(result), to_json(events)))


if __name__ == "__main__":
    _child()
