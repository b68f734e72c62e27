"""What recording costs a forest, in CPU seconds, and how fast its records are read back."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial, wraps
from pathlib import Path

from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier, _forest

from benchmarks.figures import Figure
from greenkernel.runner.checkpoints import Checkpoints
from greenkernel.runner.record import RecordingScope
from greenkernel.runner.record_outbox import Outbox
from greenkernel.runner.snapshots.contexts import Contexts
from greenkernel.runner.snapshots.fits import Fits
from greenkernel.store.snapshots import Said

_KEY = b"k" * 32
_TREES, _TURNS = 500, 3


def measure() -> list[Figure]:
    x, y = make_classification(n_samples=16_000, n_features=40, random_state=0)

    def fit() -> None:
        RandomForestClassifier(n_estimators=_TREES, random_state=0, n_jobs=2).fit(x, y)

    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        first.mkdir()
        second.mkdir()
        fit()
        extra = _extra(fit, Path(folder), second)
        with _scope(first, second):
            computed_s = _cpu_s(fit)
        with _scope(second, first):
            replayed_s = _cpu_s(fit)
    return [
        extra,
        _short_fits(),
        Figure(name="replaying a forest, share of growing it", value=replayed_s / computed_s, limit=0.1, unit=""),
    ]


def _extra(fit: Callable[[], None], folder: Path, believed: Path) -> Figure:
    """What is computed beside the trees themselves, with recording and without.

    Whole fits differ from each other by some per cent on a machine that is not one's own, which hides the figure.
    """
    plain, recorded, whole = [], [], []
    with _beside_trees() as trees_s:
        for turn in range(_TURNS):
            for beside in (plain, recorded):
                spool = folder / f"turn{turn}"
                spool.mkdir(exist_ok=True)
                trees_s.clear()
                with _scope(spool, believed, Outbox()) if beside is recorded else nullcontext():
                    whole.append(_cpu_s(fit))
                beside.append(whole[-1] - sum(trees_s))
    extra_s = statistics.median(recorded) - statistics.median(plain)
    return Figure(
        name="extra CPU of recording a forest", value=100 * extra_s / statistics.median(whole), limit=1.0, unit="%"
    )


@contextmanager
def _beside_trees() -> Iterator[list[float]]:
    """Collects the CPU seconds that each tree takes by itself."""
    taken: list[float] = []
    original = _forest._parallel_build_trees

    @wraps(original)
    def build(*args: object, **kwargs: object) -> object:
        began = time.thread_time()
        try:
            return original(*args, **kwargs)
        finally:
            taken.append(time.thread_time() - began)

    _forest._parallel_build_trees = build
    try:
        yield taken
    finally:
        _forest._parallel_build_trees = original


def _short_fits() -> Figure:
    """Many short fits of a kind whose rounds are kept where they are long."""
    x, y = make_classification(n_samples=50, n_features=8, random_state=0)

    def fit() -> None:
        for _ in range(200):
            PLSRegression(2).fit(x, y)

    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), Path(folder), _KEY, 1, _Nobody)
        contexts = partial(Contexts, dict, lambda taken: None, {})
        plain = min(_cpu_s(fit) for _ in range(_TURNS))
        with Fits(
            checkpoints, _Nobody(), contexts, dict, lambda calls: None, float, lambda: 1 << 40, differs=lambda why: None
        ):
            kept = min(_cpu_s(fit) for _ in range(_TURNS))
    return Figure(name="short fits with hooks, against plain", value=kept / plain, limit=2.0, unit="x")


class _Nobody:
    """Neither leaves nor looks after anything."""

    is_leaving = False

    def watch(self, board: object, due_at: float) -> None:
        return

    def park(self) -> None:
        return

    def said(self) -> Said:
        return Said()

    def go_on(self, said: Said) -> None:
        return


def _scope(spool: Path, believed: Path, outbox: Outbox | None = None) -> RecordingScope:
    return RecordingScope(spool=spool, believed=believed, key=_KEY, cores=2, logical_cores=2, outbox=outbox)


def _cpu_s(call: object) -> float:
    began = time.process_time()
    call()  # type: ignore[operator]
    return time.process_time() - began
