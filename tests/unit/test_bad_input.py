"""Bad input in a table: every mistake is one or two plain sentences with what to do, and nothing is sent or lost."""

from __future__ import annotations

import asyncio
import contextvars
import io
import itertools
import mmap
import multiprocessing
import queue
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenkernel.clock import RealClock
from greenkernel.errors import GreenKernelError, UserError
from greenkernel.home import Home
from greenkernel.session import attach, train
from greenkernel.settings import Settings
from greenkernel.store.runs import run_ids

SITES = '[sites.near]\nkind = "embedded"\nintensity_g_per_kwh = 100\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "sites.toml").write_text(SITES)
    (tmp_path / "notebook").mkdir()
    monkeypatch.chdir(tmp_path / "notebook")
    return Home(Settings(folder), RealClock())


def refused(home: Home, source: Any, names: dict[str, Any] | None = None, **options: Any) -> str:
    """The sentences of the refusal; nothing was sent and no name has changed."""
    names = {} if names is None else names
    before = dict(names)
    with pytest.raises(UserError) as caught:
        train(source, namespace=names, home=home, **options)
    assert before == names
    assert [] == list(run_ids(home.objects))
    said = str(caught.value)
    assert plain(said), said
    return said


def plain(said: str) -> bool:
    """At most a few sentences for a person: no traceback, no empty part, an end."""
    return said.endswith((".", "?")) and len(said) <= 700 and "Traceback" not in said and "None " not in said


BAD_OPTIONS: list[tuple[str, Any]] = [
    *[
        ("due", value)
        for value in ("yesterday", "25:00", "12:61", "+", "+x", "+-3h", "-3h", "", "2020-01-01", "tomorrow")
    ],
    *[("due", value) for value in (timedelta(hours=-1), datetime(2020, 1, 1), timedelta(days=10**6), "+99999999h")],
    *[("goal", value) for value in ("green", "CO2", "", "co2,energy", 3)],
    *[("cores", value) for value in (0, -1, "many", "4-1", "1-", "-4", "1.5", "", "1-2-3", 10**30)],
    *[("memory", value) for value in ("much", "0", "1", "-4GiB", "4XB", "", 5, "4 GiB GiB")],
    *[("rows", value) for value in ("X:one", ":1", "1X", "X:1:2", "X y")],
    *[("knob", value) for value in ("trees=few", "=3", "trees=0", "trees=-1", "3=trees", "a b=1")],
    *[("site", value) for value in ("nowhere", "near,nowhere", "NEAR")],
    *[("move", value) for value in ("maybe", "Ask", "")],
    *[("files", value) for value in ("*.nothing", "../x", "/etc/passwd", "nothing/")],
    *[("files", value) for value in ("a\0b", "[", "~/x", "./..", "a/../../x", "notebook.ipynb")],
    *[("cores", value) for value in ("1 2", "0-3", "²", "1e3", "two", [2, 3])],
    *[("memory", value) for value in ("-1", "1e400GiB", "NaN", "inf", [1])],
    *[("env", value) for value in ("NOT_SET_ANYWHERE", "A-B-C")],
    *[
        (name, "x")
        for name in ("where", "gpu", "needs", "data_stays", "gaol", "deu", "core", "sites", "no_such_option")
    ],
]


@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS, ids=[f"{n}={v}" for n, v in BAD_OPTIONS])
def test_options(name: str, value: Any, home: Home) -> None:
    """A value that cannot be, a misspelt name, an option that is not built yet."""
    refused(home, "x = 1", **{name: value})


BAD_CELLS = [
    "",
    "   ",
    "\n\n",
    "# only a comment",
    "x = = 1",
    "if x:\npass",
    "for i in",
    "def f(:",
    "x = 'a",
    'x = """a',
    "(",
    "]",
    "a b",
    "1 = x",
    "return = 3",
    "class",
    "import",
    "from x import",
    "x = 0777",
    "f(a=1, 2)",
    "lambda: (yield",
    "%time x\nfor",
    "x\x00y",
    "\tx = 1\n        y = 2\n\tz",
    "else: 1",
    "try:\n    x",
    "with open('a') as: pass",
    "x = {1: 2",
    "@",
    "print 'x'",
    "async def f(:\n    await x",
    "é = = 1",
    "x ==== y",
    "'\\N{nothing}'",
    "x: = 3",
    "nonlocal",
    "!ls\nx = = 1",
    "x = 1 if",
    "*",
    "**x",
]


@pytest.mark.parametrize("cell", BAD_CELLS)
def test_cells(cell: str, home: Home) -> None:
    """Nothing to run, or no Python: the line is named."""
    refused(home, cell)


@pytest.mark.parametrize("source", [3, None, b"x = 1", ["x = 1"], object(), 3.5])
def test_what_is_no_source(source: Any, home: Home) -> None:
    """Text or a function, nothing else."""
    refused(home, source)


def _coroutine() -> Any:
    async def wait() -> None:
        return None

    return wait()


def _opened(mode: str) -> Any:
    return Path(__file__).open(mode)


def _frame() -> Any:
    return sys._getframe()


LIVE: dict[str, Callable[[], Any]] = {
    "open file": lambda: _opened("r"),
    "binary file": lambda: _opened("rb"),
    "temporary file": tempfile.TemporaryFile,
    "database": lambda: sqlite3.connect(":memory:"),
    "cursor": lambda: sqlite3.connect(":memory:").cursor(),
    "lock": threading.Lock,
    "rlock": threading.RLock,
    "condition": threading.Condition,
    "event": threading.Event,
    "semaphore": threading.Semaphore,
    "thread": threading.Thread,
    "local": threading.local,
    "generator": lambda: (i for i in range(3)),
    "coroutine": _coroutine,
    "socket": socket.socket,
    "queue": queue.Queue,
    "loop": asyncio.new_event_loop,
    "process": lambda: subprocess.Popen(["true"]),
    "pipe": lambda: multiprocessing.Pipe()[0],
    "frame": _frame,
    "mmap": lambda: mmap.mmap(-1, 10),
    "context variable": lambda: contextvars.ContextVar("v"),
    "stream": lambda: io.TextIOWrapper(_opened("rb")),
}
WRAPPED: dict[str, Callable[[Any], Any]] = {
    "itself": lambda x: x,
    "in a list": lambda x: [1, x],
    "in a dict": lambda x: {"a": {"b": x}},
    "in an object": lambda x: types.SimpleNamespace(part=x),
    "in a closure": lambda x: lambda: x,
}
NAMESPACES = [
    *itertools.product(list(LIVE), ["itself"]),
    *itertools.product(["open file", "lock", "generator"], list(WRAPPED)[1:]),
]


@pytest.mark.parametrize(("what", "how"), NAMESPACES)
@pytest.mark.filterwarnings("ignore")
def test_namespaces(what: str, how: str, home: Home) -> None:
    """A live thing that the cell reads, or that something holds which it reads, is refused by the name it has there."""
    made = LIVE[what]()
    try:
        said = refused(home, "used = handle", {"handle": WRAPPED[how](made)})
    finally:
        for close in ("close", "wait"):
            if callable(getattr(made, close, None)) and what not in ("condition", "event"):
                made.close() if close == "close" else made.wait()
    assert "handle" in said


def test_memory_that_cannot_hold_the_values(home: Home) -> None:
    """The largest value is named with its bytes; nothing is sent."""
    names = {"X": np.ones(20_000_000), "y": np.ones(1000)}
    said = refused(home, "s = X.sum() + y.sum()", names, memory="128MiB")
    assert "--memory: 128 MiB of memory cannot hold the 153 MiB of values that the cell reads" in said
    assert "the largest is X (ndarray 20000000, 153 MiB). Give it more" in said


def test_a_tensor_on_a_gpu(home: Home) -> None:
    """No site has a GPU: it is refused by the name it has, with what brings it back."""
    tensor = type("Tensor", (), {"__module__": "torch", "is_cuda": True})()
    said = refused(home, "y = model['weight'] * 2", {"model": {"weight": tensor}})
    assert "model['weight'] cannot travel" in said
    assert "Bring it back with .cpu() first." in said


BAD_SITES = [
    "[sites",
    "sites = 3",
    "[sites.a]\nkind = 'embeded'",
    "[sites.a]\nkind = 3",
    "[sites.a]\nkid = 'embedded'",
    "x = 1",
    "[sites.a]\nkind = 'embedded'\nmax_cores = 0",
    "[sites.a]\nkind = 'embedded'\nmax_cores = -3",
    "[sites.a]\nkind = 'embedded'\npue = 0.2",
    "[sites.a]\nkind = 'embedded'\nintensity_g_per_kwh = -5",
    "[sites.a]\nkind = 'embedded'\nspeed = 0",
    "[sites.a]\nkind = 'embedded'\ntrace = 'missing.csv'",
    "[sites.'a b']\nkind = 'embedded'",
    "home = 'nowhere'\n[sites.a]\nkind = 'embedded'",
    "timezone = 'Mars/Olympus'\n[sites.a]\nkind = 'embedded'",
    "store = 'nothing'\n[sites.a]\nkind = 'embedded'",
    "\x00",
    "[sites.a]\nkind = 'kubernetes'\ncontext = 3",
]


@pytest.mark.parametrize("text", BAD_SITES)
def test_settings(text: str, tmp_path: Path) -> None:
    """A sites file with a mistake is refused with its name and the place."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "sites.toml").write_text(text)
    with pytest.raises(GreenKernelError) as caught:
        train("x = 1", namespace={}, home=Home(Settings(folder), RealClock()))
    assert plain(str(caught.value)), str(caught.value)


BAD_TRACES = [
    "",
    "a,b\n1,2\n",
    "datetime,zone,intensity_g_per_kwh\n",
    "datetime,zone,intensity_g_per_kwh\nnever,Z,3\n",
    "datetime,zone,intensity_g_per_kwh\n2026-01-01T00:00Z,Z,much\n",
    "datetime,zone,intensity_g_per_kwh\n2026-01-01T00:00Z,OTHER,3\n",
    "datetime,zone,intensity_g_per_kwh\n2026-01-01T00:00Z,Z,-3\n",
    "\x00\x01",
    "datetime,zone\n2026-01-01T00:00Z,Z\n",
]


@pytest.mark.parametrize("text", BAD_TRACES)
def test_traces(text: str, tmp_path: Path) -> None:
    """A trace that cannot be read is refused before anything is sent, with its name."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "t.csv").write_text(text)
    (folder / "sites.toml").write_text('[sites.a]\nkind = "embedded"\nzone = "Z"\ntrace = "t.csv"\n')
    with pytest.raises(GreenKernelError) as caught:
        train("x = 1", namespace={}, home=Home(Settings(folder), RealClock()))
    assert "t.csv" in str(caught.value)
    assert plain(str(caught.value)), str(caught.value)


@pytest.mark.parametrize("run", ["nothing", "", "0000", "../x", "*"])
def test_runs_that_are_not_there(run: str, home: Home) -> None:
    """An id that no run has."""
    with pytest.raises(UserError) as caught:
        attach(run, home=home)
    assert plain(str(caught.value))


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupted_journal(content: bytes, tmp_path: Path) -> None:
    """It is put aside and filled again from the store; the home works."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "sites.toml").write_text(SITES)
    for path in (Home(Settings(folder), RealClock()).journal.path,):
        path.write_bytes(content)
    made = Home(Settings(folder), RealClock())
    made.sync_journal()
    assert [] == made.journal.entries()


def test_a_journal_of_a_newer_version(tmp_path: Path) -> None:
    """It is put aside, not destroyed: its file is still there under another name."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "sites.toml").write_text(SITES)
    path = Home(Settings(folder), RealClock()).journal.path
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    made = Home(Settings(folder), RealClock())
    assert [] == made.journal.entries()
    assert 1 == len(
        [one for one in folder.iterdir() if ".damaged-" in one.name and one.name.endswith(tuple("0123456789"))]
    )


def test_the_table_is_long_enough() -> None:
    """So many bad inputs are tried at least."""
    tables = (BAD_OPTIONS, BAD_CELLS, NAMESPACES, BAD_SITES, BAD_TRACES)
    assert 200 <= sum(len(table) for table in tables) + 6 + 5 + 3 + 1
