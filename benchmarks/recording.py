"""What recording costs a forest, in CPU seconds, and how fast its records are read back."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

from benchmarks.figures import Figure
from greenkernel.runner.record import RecordingScope
from greenkernel.runner.record_outbox import Outbox

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
        # In turn, and the least of each: what else is at work on the machine only ever adds.
        plain, recorded = [], []
        for turn in range(_TURNS):
            plain.append(_cpu_s(fit))
            spool = Path(folder, f"turn{turn}")
            spool.mkdir()
            with _scope(spool, second, Outbox()):
                recorded.append(_cpu_s(fit))
        with _scope(first, second):
            computed_s = _cpu_s(fit)
        with _scope(second, first):
            replayed_s = _cpu_s(fit)
    return [
        Figure(
            name="extra CPU of recording a forest", value=100 * (min(recorded) / min(plain) - 1), limit=1.0, unit="%"
        ),
        Figure(name="replaying a forest, share of growing it", value=replayed_s / computed_s, limit=0.1, unit=""),
    ]


def _scope(spool: Path, believed: Path, outbox: Outbox | None = None) -> RecordingScope:
    return RecordingScope(spool=spool, believed=believed, key=_KEY, cores=2, logical_cores=2, outbox=outbox)


def _cpu_s(call: object) -> float:
    began = time.process_time()
    call()  # type: ignore[operator]
    return time.process_time() - began
