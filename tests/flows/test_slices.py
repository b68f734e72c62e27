"""Slices of real cells in real processes: what is measured, what is refused, and that nothing else is touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from greenkernel.cell.capture import capture
from greenkernel.clock import RealClock
from greenkernel.errors import UserError
from greenkernel.model.whole import memory_of, whole_cell
from greenkernel.profile.profiler import profile
from greenkernel.profile.worker import SliceProcess, SliceSetup
from greenkernel.records import Knob, Profile, Request, RowsHint
from greenkernel.store.blobs import Blobs
from greenkernel.store.objects import ObjectStore, StoreAddress

pytestmark = pytest.mark.alone

KEY = b"k" * 32
CORES = min(2, os.cpu_count() or 1)
FOREST = """
from sklearn.ensemble import RandomForestClassifier
clf = RandomForestClassifier(n_estimators=trees, n_jobs=-1, random_state=0).fit(X, y)
"""


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 20))
    return {"X": features, "y": (features[:, 0] + rng.normal(size=20_000) > 0).astype(int), "trees": 60}


class Bench:
    """Profiles cells in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.said: list[str] = []
        self.address = StoreAddress(url=f"file://{folder}/store")
        self.blobs = Blobs(ObjectStore(self.address), KEY)
        self.capture_bytes = 0

    def profile(self, source: str, namespace: dict[str, Any], **options: Any) -> Profile:
        request = request_for(source, **options)
        captured = capture(request, namespace, self.blobs, self.folder)
        self.capture_bytes = captured.bytes
        return profile(
            request,
            captured,
            self.address,
            KEY,
            folder=self.scratch,
            cores_max=CORES,
            clock=RealClock(),
            on_progress=self.said.append,
        )

    def setup(self, source: str, namespace: dict[str, Any]) -> SliceSetup:
        captured = capture(request_for(source), namespace, self.blobs, self.folder)
        return SliceSetup(capture=captured, store=self.address, key=KEY, file_name="<cell>", logical_cores=CORES)


def request_for(source: str, **options: Any) -> Request:
    return Request(
        source=source, name="cell", created_at=datetime(2026, 1, 1, tzinfo=UTC), logical_cores=CORES, **options
    )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.slow
def test_a_forest_is_sliced_and_predicted(bench: Bench, data: dict[str, Any]) -> None:
    """Two sizes of rows or more, measured; the law through them is within the stated factor of the truth."""
    found = bench.profile(FOREST, data)
    sizes = {s.rows_fraction for s in found.slices}
    assert ("X", "y") == found.rows_names
    assert 20_000 == found.rows_total
    assert len(sizes) >= 2 or sizes == {1.0}
    assert all(s.cpu_s > 0 and s.wall_s > 0 and s.peak_rss_bytes > 30e6 for s in found.slices)
    assert found.cpu_s > sum(s.cpu_s for s in found.slices)
    assert found.startup_s > 0.1
    assert any("slice 1" in text for text in bench.said)
    whole = whole_cell(found)
    assert whole is not None
    with SliceProcess(bench.setup(FOREST, data), made(bench.scratch / "truth"), CORES) as process:
        process.ready()
        truth = process.run(None, 1.0, {}, 120)
    process.ended()
    assert not isinstance(truth, str)
    assert 1 / 1.9 < whole.estimate.cpu_s / truth.cpu_s < 1.9
    assert truth.peak_rss_bytes < memory_of(found, bench.capture_bytes).high


@pytest.mark.parametrize(
    ("source", "least", "most"),
    [
        ("from sklearn.svm import SVC\nm = SVC().fit(X[:6000], y[:6000])", 0.5, 1.0),
        ("import numpy as np\nfor epoch in range(100):\n    s = np.sort(X, axis=0)", 0.0, 0.3),
        (FOREST, 0.0, 0.3),
        (
            "from sklearn.ensemble import GradientBoostingClassifier\n"
            "clf = GradientBoostingClassifier(n_estimators=40).fit(X, y)",
            0.0,
            0.3,
        ),
        (
            "import greenkernel\nclass T:\n    def fit(self):\n"
            "        for epoch in greenkernel.resumable(range(40), []):\n"
            "            s = sorted(X[:, 0].tolist())\nT().fit()",
            0.0,
            0.3,
        ),
    ],
    ids=["one statement", "rounds", "tasks", "rounds of a fit", "resumable"],
)
def test_what_a_move_would_repeat(bench: Bench, data: dict[str, Any], source: str, least: float, most: float) -> None:
    """The longest time in which nothing can be kept: nearly all of a statement, little of a cell with many points."""
    with SliceProcess(bench.setup(source, data), made(bench.scratch / "one"), CORES) as process:
        process.ready()
        found = process.run(None, 1.0, {}, 120)
    process.ended()
    assert not isinstance(found, str)
    assert found.error is None
    assert found.unkept_most_s is not None
    assert found.unkept_mean_s is not None
    assert least <= found.unkept_most_s / found.wall_s <= most
    assert 0 <= found.unkept_mean_s <= found.unkept_most_s


def test_a_frame_is_cut_and_a_fast_cell_is_run_whole(bench: Bench) -> None:
    """A pandas cell of some milliseconds ends as one slice with all rows, and the notes say so."""
    frame = pd.DataFrame({"k": np.arange(50_000) % 7, "v": np.arange(50_000.0)})
    found = bench.profile("means = df.groupby('k').v.mean()", {"df": frame})
    assert 1.0 == max(s.rows_fraction for s in found.slices)
    assert "fast" in " ".join(found.notes)
    assert ("df",) == found.rows_names


@pytest.mark.parametrize(
    ("source", "namespace", "slices", "note"),
    [
        ("total = sum(range(n))", {"n": 1000}, 1, "fast"),
        ("total = missing_module.f(n)\nimport missing_module", {"n": 1000}, 0, "not profiled: the cell fails"),
        ("while True: n += 1", {"n": 1}, 0, "stopped after"),
        ("!ls\ntotal = n", {"n": 1}, 0, "not sliced"),
        ("import subprocess\ntotal = n", {"n": 1}, 0, "not sliced: the cell uses subprocess"),
    ],
)
def test_cells_without_rows(bench: Bench, source: str, namespace: dict[str, Any], slices: int, note: str) -> None:
    """A fast one is measured whole; any other has no slices and a reason."""
    found = bench.profile(source, namespace)
    assert slices == len(found.slices)
    assert note in " ".join(found.notes)


def test_no_profile_is_obeyed(bench: Bench) -> None:
    """Nothing is started, nothing is spent."""
    found = bench.profile("total = n", {"n": 1}, profile=False)
    assert Profile(slices=(), notes=("not profiled: --no-profile",)) == found
    assert [] == bench.said


def test_a_slice_that_fails_is_enlarged_and_only_what_ran_is_in_the_profile(bench: Bench) -> None:
    """Too few rows for the cell: the next slice is larger, and the reason stays in the notes."""
    source = "assert len(X) >= 1500, 'too few'\nfor _ in range(3): total = sorted(X.tolist() * 20)"
    found = bench.profile(source, {"X": np.random.default_rng(0).normal(size=20_000)})
    assert any("dropped: AssertionError: too few" in note for note in found.notes)
    assert found.slices
    assert all((s.rows or 0) >= 1500 for s in found.slices)


def test_a_cell_that_always_fails_has_no_slices(bench: Bench) -> None:
    """Its own error is the reason; profiling ends soon and raises nothing."""
    found = bench.profile("X.no_such_thing()", {"X": np.zeros((5000, 2))})
    assert () == found.slices
    assert "AttributeError" in " ".join(found.notes)
    assert len(bench.said) <= 3


def test_a_time_limit_ends_everything_of_the_slice(bench: Bench, data: dict[str, Any]) -> None:
    """A slice that does not end is killed with its own children, and says after how long."""
    source = "import os, time\nchild = os.fork()\nif child == 0: os.setsid()\nwhile True: time.sleep(0.1)"
    folder = made(bench.scratch / "endless")
    with SliceProcess(bench.setup(source, data), folder, 1) as process:
        assert process.ready().error is None
        assert "stopped after 1 s" == process.run(None, 1.0, {}, 1.0)
    assert [] == processes_in(folder)


@pytest.mark.parametrize(
    ("source", "forbidden"),
    [
        ("open(path, 'w').write('harm')", "may not write"),
        ("import os; os.remove(path)", "may not write"),
        ("import shutil, os; shutil.rmtree(os.path.dirname(path))", "may not write"),
        ("import socket; socket.create_connection(('192.0.2.1', 80), 1)", "may not use the network"),
        ("import subprocess; subprocess.run(['touch', path])", "may not start a program"),
        ("import os; os.system('echo harm > ' + path)", "may not start a program"),
        ("open('inside.txt', 'w').write('fine')", None),
    ],
)
def test_a_slice_can_do_no_harm(bench: Bench, source: str, forbidden: str | None) -> None:
    """Files outside of its folder and the network are out of reach; its own folder is free."""
    precious = made(bench.folder / "precious") / "file.txt"
    precious.write_text("as it was")
    with SliceProcess(bench.setup(source, {"path": str(precious)}), made(bench.scratch / "guarded"), 1) as process:
        process.ready()
        measured = process.run(None, 1.0, {}, 30)
    process.ended()
    assert not isinstance(measured, str)
    assert (forbidden is None) == (measured.error is None)
    assert (forbidden or "") in (measured.error or "")
    assert "as it was" == precious.read_text()


_UNSEEN = {
    "a database": "import sqlite3\nwith sqlite3.connect(path) as con:\n    con.execute('create table t (a)')",
    "C code": "import ctypes\nctypes.CDLL(None).system(b'echo harm > ' + path.encode())",
    "a link to the notebook's": "import ctypes\nctypes.CDLL(None).system(b'echo harm > data' + b'.db')",
    "a socket": "import socket\nwith socket.socket(socket.AF_UNIX) as s:\n    s.connect(path + '.socket')",
    "a socket, by C code": "import ctypes\nlibc = ctypes.CDLL(None)\n"
    "where = b'\\1\\0' + path.encode() + b'.socket\\0'\n"
    "assert libc.connect(libc.socket(1, 1, 0), where, len(where))",
}


@pytest.mark.parametrize("how", _UNSEEN)
def test_what_python_does_not_see_does_no_harm_either(how: str, bench: Bench) -> None:
    """Where the system permits it: C libraries and programs write into no file of the user's, nor talk to others."""
    if not _may("keep_to(pathlib.Path.cwd())", bench.folder):
        pytest.skip("this system has no mount namespaces for us")
    (precious := made(bench.folder / "precious") / "file.txt").write_bytes(b"")
    notebook = made(bench.folder / "notebook")
    (notebook / "data.db").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{precious}.socket")
        server.listen()
        server.setblocking(False)
        setup = replace(bench.setup(_UNSEEN[how], {"path": str(precious)}), notebook=str(notebook))
        with SliceProcess(setup, made(bench.scratch / "guarded"), 1) as process:
            assert process.ready().error is None
            process.run(None, 1.0, {}, 30)
        process.ended()
        with pytest.raises(BlockingIOError):
            server.accept()
    assert b"" == precious.read_bytes() == (notebook / "data.db").read_bytes()


_BY_C = """
import ctypes, socket, struct
libc = ctypes.CDLL(None)
one = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
where = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + bytes([127, 0, 0, 1]) + bytes(8)
reached = libc.connect(one, where, len(where)) == 0
assert not reached, "reached"
own = socket.create_server(("127.0.0.1", 0))
socket.create_connection(own.getsockname(), 5)
import joblib
assert [0, 1, 4] == joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(i, 2) for i in range(3))
"""


def test_a_slice_has_no_network(bench: Bench) -> None:
    """Where the system permits it, C code reaches no server of this machine either; the slice's own loopback works."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        setup = bench.setup(_BY_C, {"port": server.getsockname()[1]})
        with SliceProcess(setup, made(bench.scratch / "alone"), 2) as process:
            process.ready()
            measured = process.run(None, 1.0, {}, 60)
        process.ended()
    assert not isinstance(measured, str)
    if measured.error == "AssertionError: reached" and not _may("leave_network()", bench.folder):
        pytest.skip("this system has no network namespaces for us")
    assert measured.error is None


def _may(call: str, folder: Path) -> bool:
    """Asked of a process of its own: this one stays where it is."""
    program = (
        "import pathlib\nfrom greenkernel import namespaces\nnamespaces.prepare_to_leave_network()\n"
        f"raise SystemExit(not namespaces.{call})"
    )
    return subprocess.run([sys.executable, "-c", program], check=False, cwd=folder).returncode == 0


def test_what_is_forbidden_is_not_tried_again_with_more_rows(bench: Bench) -> None:
    """A cell that writes elsewhere fails once, with the place in the notes."""
    target = bench.folder / "out.csv"
    found = bench.profile("open(target, 'w').write(str(X.sum()))", {"X": np.zeros(5000), "target": str(target)})
    assert () == found.slices
    assert str(target) in " ".join(found.notes)
    assert 1 == len(bench.said)
    assert not target.exists()


def test_home_is_untouched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, random state, folder and scratch are after profiling what they were before."""
    here = made(bench.folder / "here")
    monkeypatch.chdir(here)
    values = {"X": np.arange(3000.0), "log": ["kept"]}
    before = np.random.get_state()[1].copy()
    source = "import numpy as np\nX += np.random.rand(len(X))\nlog.append('changed')\nopen('out.txt', 'w').write('x')"
    found = bench.profile(source, values)
    assert found.slices
    assert (np.arange(3000.0) == values["X"]).all()
    assert ["kept"] == values["log"]
    assert (before == np.random.get_state()[1]).all()
    assert [] == list(here.iterdir())
    assert [] == list(bench.scratch.iterdir())
    assert [] == processes_in(bench.scratch)


@pytest.mark.slow
def test_a_knob_is_turned_at_full_rows(bench: Bench, data: dict[str, Any]) -> None:
    """Two values of a named count, all rows, and the cell's own value kept as the full one."""
    small = {"X": data["X"][:4000], "y": data["y"][:4000], "trees": 400}
    found = bench.profile(FOREST, small, knobs=(Knob(name="trees", values=(5, 20, 500)),))
    turned = [(s.rows_fraction, s.knob, s.knob_value) for s in found.slices if s.knob]
    assert [(1.0, "trees", 5), (1.0, "trees", 20)] == turned
    assert ("trees", 400) == (found.knob, found.knob_full)
    assert 400 == small["trees"]
    assert "trees=500 is more than the cell's own 400" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"knobs": (Knob(name="X"),)}, "X is not a count"),
        ({"rows": (RowsHint(name="Z"),)}, "no 'Z'"),
    ],
)
def test_wrong_hints_are_the_users_to_mend(bench: Bench, options: dict[str, Any], message: str) -> None:
    """A knob that is no number and rows that are not there end in words, and nothing of a slice stays behind."""
    with pytest.raises(UserError, match=message):
        bench.profile("total = X.sum()", {"X": np.zeros(500)}, **options)
    assert [] == list(bench.scratch.iterdir())


def test_a_damaged_store_is_said(bench: Bench) -> None:
    """A profile that cannot restore the values has no slices and the reason."""
    request = request_for("total = X.sum()")
    captured = capture(request, {"X": np.zeros(50_000)}, bench.blobs, bench.folder)
    lost = replace(captured, payload=replace(captured.payload, head="0" * 64))
    found = profile(
        request, lost, bench.address, KEY, folder=bench.scratch, cores_max=1, clock=RealClock(), on_progress=print
    )
    assert () == found.slices
    assert "lost the blob" in " ".join(found.notes)


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def processes_in(folder: Path) -> list[int]:
    """Processes whose environment names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
