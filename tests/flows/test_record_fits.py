"""Fits of scikit-learn under recording: the same bits as without it, recorded, replayed, and half replayed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenkernel.runner.record import RecordingScope, TaskProgress

sklearn = pytest.importorskip("sklearn")
from sklearn.datasets import make_classification  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    BaggingClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_validate  # noqa: E402
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.svm import SVC  # noqa: E402

KEY = b"k" * 32
X, Y = make_classification(400, 10, n_informative=6, n_classes=3, random_state=0)


def stay(spool: Path, believed: Path, cell: Callable[[], Any], cores: int = 2) -> tuple[Any, TaskProgress]:
    """Run ``cell`` once under recording, the global random state set as the runner does."""
    spool.mkdir(exist_ok=True)
    np.random.seed(5)
    with RecordingScope(spool=spool, believed=believed, key=KEY, cores=cores, logical_cores=2) as scope:
        result = cell()
    return result, scope.progress()


def nodes(forest: Any) -> list[tuple[bytes, bytes]]:
    """Everything that a forest has learned."""
    return [(tree.tree_.__getstate__()["nodes"].tobytes(), tree.tree_.value.tobytes()) for tree in forest.estimators_]


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """Scores and parameters, comparable."""
    return {name: np.asarray(value).tolist() for name, value in results.items() if "time" not in name}


def forest(n_jobs: int | None = 2, seed: int | None = 1) -> Any:
    """Trees, out-of-bag scores and predictions."""
    model = RandomForestClassifier(20, n_jobs=n_jobs, random_state=seed, oob_score=True).fit(X, Y)
    return nodes(model), model.predict_proba(X).tobytes(), model.oob_decision_function_.tobytes()


def grown_forest() -> Any:
    """Two calls, the second on top of the first."""
    model = ExtraTreesClassifier(8, n_jobs=2, random_state=1, warm_start=True).fit(X, Y)
    return nodes(model.set_params(n_estimators=16).fit(X, Y))


def search(n_jobs: int | None = 2) -> Any:
    """Scores of a grid, and the model fitted with the best of it."""
    model = GridSearchCV(SVC(), {"C": [1, 2, 3]}, cv=3, n_jobs=n_jobs).fit(X, Y)
    return without_times(model.cv_results_), model.decision_function(X).tobytes()


def nested_search() -> Any:
    """Forests inside of a grid."""
    model = GridSearchCV(RandomForestClassifier(10, n_jobs=2, random_state=0), {"max_depth": [2, 3]}, cv=3, n_jobs=2)
    return nodes(model.fit(X, Y).best_estimator_)


def folds() -> Any:
    """Scores of five folds."""
    return without_times(cross_validate(RandomForestClassifier(5, random_state=0), X, Y, cv=5, n_jobs=2))


def bag(n_jobs: int = 2) -> Any:
    """A task is a chunk of the estimators."""
    model = BaggingClassifier(n_estimators=20, n_jobs=n_jobs, random_state=3).fit(X, Y)
    return len(model.estimators_), model.predict_proba(X).tobytes()


def one_against_rest() -> Any:
    """A task is a class."""
    return OneVsRestClassifier(LogisticRegression(), n_jobs=2).fit(X, Y).predict_proba(X).tobytes()


def stack() -> Any:
    """Models below a model."""
    below = [("forest", RandomForestClassifier(5, random_state=0)), ("line", LogisticRegression())]
    return StackingClassifier(below, n_jobs=2).fit(X, Y).predict_proba(X).tobytes()


CELLS: list[tuple[str, Callable[[], Any], int]] = [
    ("forest", forest, 20),
    ("forest in one thread", lambda: forest(None), 20),
    ("forest without a seed", lambda: forest(2, None), 20),
    ("forest grown twice", grown_forest, 16),
    ("grid search", search, 9),
    ("grid search in one thread", lambda: search(None), 9),
    ("forests in a grid search", nested_search, 16),
    ("cross-validation", folds, 5),
    ("one against the rest", one_against_rest, 3),
]


@pytest.mark.parametrize(("cell", "tasks"), [case[1:] for case in CELLS], ids=[case[0] for case in CELLS])
def test_the_same_bits(tmp_path: Path, cell: Callable[[], Any], tasks: int) -> None:
    """Plain, recorded, fully replayed and replayed with half of the records: bit for bit, random state included."""
    np.random.seed(5)
    plain, drawn = cell(), np.random.rand()
    recorded, first = stay(tmp_path / "a", tmp_path / "none", cell)
    assert (plain, drawn) == (recorded, np.random.rand())
    assert (tasks, tasks, 0) == (first.done, len(list((tmp_path / "a").glob("*.rec"))), first.reused)

    replayed, second = stay(tmp_path / "b", tmp_path / "a", cell)
    assert (plain, drawn) == (replayed, np.random.rand())
    assert (tasks, 0) == (second.reused, len(list((tmp_path / "b").iterdir())))

    for path in sorted((tmp_path / "a").glob("*.rec"))[::2]:
        path.unlink()
    mixed, third = stay(tmp_path / "c", tmp_path / "a", cell)
    assert (plain, drawn) == (mixed, np.random.rand())
    assert (tasks, tasks // 2) == (third.done, third.reused)


def test_stacking(tmp_path: Path) -> None:
    """The generator that stacking seeds from the system and does not use costs no record."""
    np.random.seed(5)
    plain = stack()
    assert plain == stay(tmp_path / "a", tmp_path / "none", stack)[0]
    replayed, progress = stay(tmp_path / "b", tmp_path / "a", stack)
    assert (plain, progress.done) == (replayed, progress.reused)
    assert 4 <= progress.done


def test_bagging_at_another_width(tmp_path: Path) -> None:
    """Records of two chunks are not taken for those of four: still twenty estimators, and the right ones."""
    np.random.seed(5)
    plain = bag(4)
    stay(tmp_path / "a", tmp_path / "none", lambda: bag(2))
    other, progress = stay(tmp_path / "b", tmp_path / "a", lambda: bag(4))
    assert (plain, 20, 0) == (other, other[0], progress.reused)


def test_a_site_with_one_core(tmp_path: Path) -> None:
    """Recorded on two cores, finished on one: the cell is told the same width, so every record is used."""
    cell = lambda: (forest(-1), bag(-1))  # noqa: E731
    wide, _ = stay(tmp_path / "a", tmp_path / "none", cell, cores=2)
    narrow, progress = stay(tmp_path / "b", tmp_path / "a", cell, cores=1)
    assert (wide, progress.done) == (narrow, progress.reused)


def test_predictions_are_never_replayed(tmp_path: Path) -> None:
    """A forest's prediction adds up in shared memory: with all records believed it is still right."""
    model = RandomForestClassifier(10, n_jobs=2, random_state=0).fit(X, Y)
    cell = lambda: model.predict_proba(X).tobytes()  # noqa: E731
    stay(tmp_path / "a", tmp_path / "none", cell)
    again, progress = stay(tmp_path / "b", tmp_path / "a", cell)
    assert (cell(), {"it works in shared memory": 10}) == (again, progress.not_recorded)


PROGRAM = """
import sys, hashlib
from pathlib import Path
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from greenkernel.runner.record import RecordingScope
X, y = make_classification(3000, 20, n_informative=10, random_state=0)
folder = Path(sys.argv[1])
with RecordingScope(spool=folder, believed=folder, key=b"k" * 32, cores=2, logical_cores=2) as scope:
    model = RandomForestClassifier(int(sys.argv[2]), n_jobs=2, random_state=1).fit(X, y)
print(scope.progress().reused, hashlib.sha256(model.predict_proba(X).tobytes()).hexdigest())
"""


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """SIGKILL while trees grow: the next process reuses those that were finished and has the same forest."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    run = [sys.executable, "-c", PROGRAM]
    whole = subprocess.run([*run, str(tmp_path / "b"), "80"], check=True, capture_output=True, text=True).stdout
    process = subprocess.Popen([*run, str(tmp_path / "a"), "80"])
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "a").glob("*.rec"))) < 10 and time.monotonic() < deadline:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = len(list((tmp_path / "a").glob("*.rec")))
    again = subprocess.run([*run, str(tmp_path / "a"), "80"], check=True, capture_output=True, text=True).stdout
    assert 10 <= left < 80
    assert [str(left), whole.split()[1]] == again.split()


def test_model_classes_of_the_notebook(tmp_path: Path) -> None:
    """An estimator written in the notebook is its own class again after a replay."""
    program = f"""
import sys
from pathlib import Path
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.datasets import make_classification
from greenkernel.runner.record import RecordingScope
from joblib import Parallel, delayed
X, y = make_classification(200, random_state=0)
class Mine(LogisticRegression):
    pass
for spool, believed in (("a", "none"), ("b", "a")):
    folder = Path({str(tmp_path)!r}, spool)
    folder.mkdir()
    with RecordingScope(spool=folder, believed=folder.parent / believed, key=b"k" * 32, cores=2, logical_cores=2) as s:
        models = Parallel(n_jobs=2, prefer="threads")(delayed(Mine(C=c).fit)(X, y) for c in (1, 2, 3))
    print(s.progress().reused, {{type(model) is Mine for model in models}})
"""
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert ["0 {True}", "3 {True}"] == printed.splitlines()
