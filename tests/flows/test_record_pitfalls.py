"""The twelve pitfalls of recording joblib tasks, each shown to be avoided; those here are in processes that are killed.

| pitfall | tests |
| --- | --- |
| 1. One worker, the default, asks no backend; a pool of one must not look like that. | `test_killed_and_gone_on_with`, `tests/flows/test_record_fits.py::test_a_site_with_one_core`, `tests/unit/test_record_scope.py::test_a_second_stay_runs_nothing` |
| 2. Predictions of forests add up in shared memory. | `test_killed_and_gone_on_with`, `tests/flows/test_record_fits.py::test_predictions_are_never_replayed` |
| 3. The order alone is no name: other widths, other seeds, arguments that are hashed again and again. | `test_killed_and_gone_on_with`, `tests/flows/test_record_fits.py::test_bagging_at_another_width`, `tests/unit/test_record_keys.py::test_a_big_array_is_hashed_once` |
| 4. scikit-learn hands its tasks uuids and the time of day. | `test_killed_and_gone_on_with`, `tests/unit/test_record_keys.py::test_scikit_learns_identities_and_times_are_left_out` |
| 5. Arguments that have no hash, such as locks. | `test_killed_and_gone_on_with`, `tests/unit/test_record_scope.py::test_unhashable_arguments_run_unrecorded` |
| 6. Thousands of replays in a row recurse. | `test_killed_and_gone_on_with`, `tests/unit/test_record_scope.py::test_five_thousand_records` |
| 7. Batches grow with speed, and a replay is fast. | `test_killed_and_gone_on_with`, `tests/unit/test_record_scope.py::test_pre_sized_batches` |
| 8. Generators, ordered or not, that may be left before their end. | `test_killed_and_gone_on_with`, `test_a_generator_that_is_left`, `tests/unit/test_record_scope.py::test_generators` |
| 9. What has no tasks, names its threads itself, or is a task of a task leaves no record. | `test_what_leaves_no_record`, `tests/unit/test_record_scope.py::test_shared_memory_and_chosen_backends_are_left_alone`, `tests/unit/test_record_scope.py::test_nested_calls_belong_to_their_task` |
| 10. Two threads of a cell share what is counted. | `test_killed_and_gone_on_with`, `tests/unit/test_record_scope.py::test_two_threads_of_a_cell` |
| 11. A task fails, the others have left records, and the code is mended. | `test_mended_and_run_again`, `tests/unit/test_record_scope.py::test_a_mended_function_runs_again` |
| 12. Records are pickles: nobody else's are read. | `test_records_of_others_are_not_read`, `tests/unit/test_record_files.py::test_another_key_or_name_is_refused` |
"""  # noqa: E501

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from greenkernel.clock import RealClock, wait_until
from greenkernel.runner.record_files import Record, encode, write_record
from tests.flows.test_record_fits import X, Y, stay

pytestmark = [pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PROCESS = """
import json, sys
from pathlib import Path
import joblib
from greenkernel.runner.record import RecordingScope
text, folder, cores, key = sys.argv[1:]
code = compile(text, "<cell>", "exec")
if not folder:
    exec(code)
    print(json.dumps([joblib.hash(result), 0, 0, {}, {}]))
else:
    with RecordingScope(
        spool=Path(folder), believed=Path(folder), key=key.encode() * 32, cores=int(cores), logical_cores=4
    ) as scope:
        exec(code)
    seen = scope.progress()
    print(json.dumps([joblib.hash(result), seen.done, seen.reused, seen.not_recorded, seen.refused]))
"""
TASKS = """
import threading, time
from joblib import Parallel, delayed

def square(x, cpu_s=0.02, *_):
    end = time.thread_time() + cpu_s
    while time.thread_time() < end:
        pass
    return x * x
"""
SQUARES = f"""{TASKS}
lock = threading.Lock()
result = sorted(Parallel({{way}})(delayed(square)({{given}}) for x in range({{count}})))
"""
DATA = """
from sklearn.datasets import make_classification
X, y = make_classification(400, 10, n_informative=6, random_state=0)
"""
BAG = """
from sklearn.ensemble import BaggingClassifier
from sklearn.svm import SVC
models = [BaggingClassifier(SVC(), n_estimators=8, n_jobs=n, random_state=3).fit(X, y) for n in (-1, 3)]
result = [[m.predict(X), len(m.estimators_)] for m in models]
"""
THREADS = """
import threading
from sklearn.ensemble import RandomForestClassifier
found = {}

def grow(name, seed):
    forest = RandomForestClassifier(20, n_jobs=2, random_state=seed).fit(X, y)
    found[name] = forest.predict_proba(X)

threads = [threading.Thread(target=grow, args=a) for a in (("a", 1), ("b", 2), ("again", 1))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
result = sorted(found.items())
"""
FOREST = f"""{DATA}
from sklearn.ensemble import RandomForestClassifier
result = RandomForestClassifier(30, {{}}).fit(X, y).predict_proba(X)
"""
SEARCH = """
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.svm import SVC
model = GridSearchCV(SVC(), {"C": [1, 2, 3, 4]}, cv=4, n_jobs=2).fit(X, y)
result = [model.cv_results_["mean_test_score"], cross_validate(SVC(), X, y, n_jobs=2)["test_score"]]
"""
UNORDERED = "list" if joblib.__version__.startswith("1.3.") else "generator_unordered"  # joblib 1.4 brought it


def squares(way: str, given: str = "x", count: int = 40) -> str:
    """A cell of many small tasks."""
    return SQUARES.format(way=way, given=given, count=count)


@dataclass(frozen=True, slots=True)
class Cell:
    """What is killed when it has left so many records, and goes on with fewer cores."""

    pitfall: int
    shows: str
    text: str
    records: int


CELLS = [
    Cell(1, "one worker", FOREST.format("random_state=1"), 9),
    Cell(1, "a pool of one", squares("n_jobs=-1, prefer='threads'"), 9),
    Cell(1, "a process of one", squares("n_jobs=-1"), 9),
    Cell(2, "a forest's predictions", FOREST.format("random_state=1, n_jobs=2"), 9),
    Cell(3, "chunks of several widths", DATA + BAG, 2),
    Cell(3, "no seed", "import numpy\nnumpy.random.seed(3)\n" + FOREST.format("n_jobs=2"), 9),
    Cell(4, "uuids and times", DATA + SEARCH, 5),
    Cell(5, "locks among arguments", squares("n_jobs=2, prefer='threads'", "x, 0.02, *[lock][x % 3 :]"), 5),
    Cell(6, "thousands", squares("n_jobs=2, prefer='threads'", "x, 0", 4000), 1500),
    Cell(7, "batches that grow", squares("n_jobs=2", "x, x % 2 / 1000", 1500), 500),
    Cell(8, "a generator", squares("n_jobs=2, return_as='generator'"), 9),
    Cell(8, "one without order", squares(f"n_jobs=2, return_as={UNORDERED!r}"), 9),
    Cell(8, "one with one worker", squares("return_as='generator'"), 9),
    Cell(10, "threads", DATA + THREADS, 9),
]


@dataclass(frozen=True, slots=True)
class Seen:
    """How a cell went in a process of its own."""

    result: str
    done: int
    reused: int
    not_recorded: dict[str, int]
    refused: dict[str, int]


def command(text: str, folder: Path | None, cores: int = 2, key: str = "k") -> list[str]:
    """A process that runs a cell, recording where there is a folder."""
    return [sys.executable, "-c", PROCESS, text, "" if folder is None else str(folder), str(cores), key]


def run(text: str, folder: Path | None, cores: int = 2, key: str = "k") -> Seen:
    """Run a cell to its end."""
    ended = subprocess.run(command(text, folder, cores, key), check=False, capture_output=True, text=True, cwd=ROOT)
    assert 0 == ended.returncode, ended.stderr
    return Seen(*json.loads(ended.stdout))


def kill(text: str, folder: Path, records: int) -> int:
    """Run a cell until there are so many records, and kill it with its workers; how many there are then."""
    process = subprocess.Popen(
        command(text, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, start_new_session=True
    )
    enough = lambda: left(folder) >= records or process.poll() is not None  # noqa: E731
    assert wait_until(RealClock(), enough, timeout_s=120, every_s=0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return left(folder)


def left(folder: Path) -> int:
    """Records in a folder."""
    return len(list(folder.glob("*.rec")))


@pytest.mark.parametrize("cell", [pytest.param(cell, id=f"{cell.pitfall}-{cell.shows}") for cell in CELLS])
def test_killed_and_gone_on_with(cell: Cell, tmp_path: Path) -> None:
    """SIGKILL in the middle: another process with one core uses every record that is left, and ends as a plain one."""
    plain = run(cell.text, None)
    records = kill(cell.text, tmp_path, cell.records)
    assert records >= cell.records
    again = run(cell.text, tmp_path, cores=1)
    assert (plain.result, records, {}) == (again.result, again.reused, again.refused)


def test_a_generator_that_is_left(tmp_path: Path) -> None:
    """Whoever takes three results of forty and goes has them again, and takes the others later."""
    text = TASKS + "g = Parallel(n_jobs=2, return_as='generator')(delayed(square)(x) for x in range(40))\nresult = "
    three, whole = text + "[next(g), next(g), next(g)]\ndel g", text + "list(g)"
    assert run(three, None).result == run(three, tmp_path).result
    before = left(tmp_path)
    again = run(whole, tmp_path, cores=1)
    assert (run(whole, None).result, True) == (again.result, 3 <= before == again.reused)


MODELS: list[tuple[str, Callable[[], Any]]] = [
    ("gradient boosting", lambda: GradientBoostingClassifier(n_estimators=4, random_state=0)),
    ("histogram boosting", lambda: HistGradientBoostingClassifier(max_iter=4, random_state=0)),
    ("perceptron", lambda: MLPClassifier((4,), max_iter=4, random_state=0)),
    ("stochastic descent", lambda: SGDClassifier(random_state=0, n_jobs=2)),
    ("support vectors", lambda: SVC()),
    ("k-means", lambda: KMeans(3, n_init=2, random_state=0)),
    ("logistic regression", lambda: LogisticRegression()),
]


@pytest.mark.parametrize(("name", "make"), [pytest.param(*row, id=f"9-{row[0]}") for row in MODELS])
@pytest.mark.filterwarnings("ignore")
def test_what_leaves_no_record(name: str, make: Callable[[], Any], tmp_path: Path) -> None:
    """Models without tasks, or with tasks in shared memory, are fitted as ever; one is a task in older versions."""
    cell = lambda: make().fit(X, Y).predict(X).tobytes()  # noqa: E731
    plain = cell()
    recorded, _ = stay(tmp_path / "a", tmp_path / "none", cell)
    again, progress = stay(tmp_path / "b", tmp_path / "a", cell)
    assert (plain, left(tmp_path / "a")) == (recorded, progress.reused)
    assert (plain, True) == (again, progress.reused <= (name == "logistic regression"))


FAULTY = """
from joblib import Parallel, delayed
def helper(x):
    return 10 // (x - 6)
def task(x):
    return helper(x)
result = Parallel({way})(delayed(task)(x) for x in range(12))
"""
MENDS = [
    ("11-the function", ("return helper(x)", "return helper(x) if x != 6 else 0"), False),
    ("11-what it calls", ("return 10 // (x - 6)", "return 10 // (x - 6) if x != 6 else 0"), False),
    ("11-what comes before", ("range(12)", "[0, 1, 2, 3, 4, 5, 7]"), True),
]


@pytest.mark.parametrize("way", ["", "n_jobs=2, prefer='threads'", "n_jobs=2"], ids=["one", "threads", "processes"])
@pytest.mark.parametrize(("mend", "reuses"), [pytest.param(*case[1:], id=case[0]) for case in MENDS])
def test_mended_and_run_again(way: str, mend: tuple[str, str], reuses: bool, tmp_path: Path) -> None:
    """What has other code now, also in a function below, is done again; what has not is used."""
    broken = FAULTY.format(way=way)
    failed = subprocess.run(command(broken, tmp_path), check=False, capture_output=True, text=True, cwd=ROOT)
    assert "ZeroDivisionError" in failed.stderr
    before = left(tmp_path)
    mended = broken.replace(*mend)
    again = run(mended, tmp_path)
    assert before >= 1
    assert (run(mended, None).result, reuses, {}) == (again.result, again.reused > 0, again.refused)


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_records_of_others_are_not_read(tmp_path: Path) -> None:
    """Another key finds no record; one that was put under the right name with another key is refused unread."""
    cell = TASKS + "result = Parallel(n_jobs=2)(delayed(square)(x, 0) for x in range(6))"
    folder, trap = tmp_path / "records", tmp_path / "trap"
    (folder / ".aside").mkdir(parents=True)
    mine = run(cell, folder)
    theirs = run(cell, folder, key="o")
    assert (mine.result, 0, {}, 12) == (theirs.result, theirs.reused, theirs.refused, left(folder))
    record = Record(result=Trap(trap), changed={}, dice=None, dice_before=None, cpu_s=0.0)
    (folder / ".aside").mkdir(exist_ok=True)
    for path in folder.glob("*.rec"):
        write_record(str(folder), path.name, b"x" * 32, *encode(record, (), "square"))
    again = run(cell, folder)
    assert (mine.result, 0, {"a record is cut or was changed": 6}) == (again.result, again.reused, again.refused)
    assert not trap.exists()


def test_each_pitfall_has_its_tests() -> None:
    """The table above has all twelve, and each test that it names is there."""
    rows = re.findall(r"^\| (\d+)\. (.*) \|$", __doc__ or "", re.MULTILINE)
    assert list(range(1, 13)) == [int(number) for number, _ in rows]
    for number, row in rows:
        named = re.findall(r"`(?:(tests/[\w/]+\.py)::)?(test_\w+)`", row)
        assert named, number
        for file, function in named:
            text = (ROOT / (file or "tests/flows/test_record_pitfalls.py")).read_text(encoding="utf-8")
            assert f"def {function}(" in text, (number, function)
        if any(function == "test_killed_and_gone_on_with" for _, function in named):
            assert int(number) in {cell.pitfall for cell in CELLS}
