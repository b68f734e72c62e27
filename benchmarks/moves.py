"""Total time of the same work under one, two and five moves: here, and as it is done without GreenKernel.

The others begin anew on the same machine at once, which costs them no cluster: from zero, with joblib.Memory around the
fit, and with checkpoints written by hand after each fit.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sklearn.datasets import make_classification

from benchmarks.figures import Figure
from greenkernel.clock import RealClock, wait_until
from greenkernel.home import Home
from greenkernel.session import train
from greenkernel.settings import Settings

_MOVES = (1, 2, 5)
_FITS, _ROWS = 12, 12_000
_MAKE = f"x, y = make_classification(n_samples={_ROWS}, n_features=40, random_state=0)"
_HEAD = f"""
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
{_MAKE}
def fit(depth, x, y):
    return RandomForestClassifier(n_estimators=60, max_depth=depth, random_state=0, n_jobs=2).fit(x, y)
"""
_CELL = f"""
from sklearn.ensemble import RandomForestClassifier
models = []
for depth in range(10, {10 + _FITS}):
    models.append(RandomForestClassifier(n_estimators=60, max_depth=depth, random_state=0, n_jobs=2).fit(x, y))
"""
_OTHERS = {
    "restarts from zero": f"{_HEAD}\nmodels = [fit(depth, x, y) for depth in range(10, {10 + _FITS})]",
    "joblib.Memory": f"""{_HEAD}
from joblib import Memory
kept = Memory("cache", verbose=0).cache(fit)
models = [kept(depth, x, y) for depth in range(10, {10 + _FITS})]
""",
    "checkpoints by hand": f"""{_HEAD}
import os, pickle
models = pickle.load(open("models.pkl", "rb")) if os.path.exists("models.pkl") else []
for depth in range(10 + len(models), {10 + _FITS}):
    models.append(fit(depth, x, y))
    with open("models.new", "wb") as file:
        pickle.dump(models, file)
    os.replace("models.new", "models.pkl")
""",
}
_SITES = "".join(f'\n[sites.{name}]\nkind = "embedded"\nintensity_g_per_kwh = 100\nzone = "Z"\n' for name in "ab")


def measure() -> list[Figure]:
    undisturbed_s = _other_s(_OTHERS["restarts from zero"], [])
    figures = []
    for moves in _MOVES:
        at = [undisturbed_s * (n + 1) / (moves + 1) for n in range(moves)]
        ours_s = _ours_s(at)
        for name, script in _OTHERS.items():
            ratio = ours_s / _other_s(script, at)
            limit = 1.0 if name == "restarts from zero" else 1.3
            title = f"time under {moves} move{'s' if moves > 1 else ''}, against {name}"
            figures.append(Figure(name=title, value=ratio, limit=limit, unit="x"))
    return figures


def _ours_s(at: list[float]) -> float:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder, "sites.toml").write_text(_SITES)
        home = Home(Settings(Path(folder)), RealClock())
        x, y = make_classification(n_samples=_ROWS, n_features=40, random_state=0)
        began = time.perf_counter()
        run = train(_CELL, namespace={"x": x, "y": y}, home=home, no_profile=True, site=["a", "b"])
        for moment in at:
            time.sleep(max(0.0, began + moment - time.perf_counter()))
            run.relocate("b" if run.epochs[-1].site == "a" else "a")
        took_s = 0.0 if len(run.wait().names["models"]) == _FITS else float("inf")
        took_s += time.perf_counter() - began
        if len(run.epochs) != len(at) + 1:
            raise RuntimeError(f"{len(at)} moves were asked for, {len(run.epochs) - 1} were made")
        wait_until(RealClock(), lambda: not home.journal.entries(only_open=True), timeout_s=30)
        return took_s


def _other_s(script: str, at: list[float]) -> float:
    """A process that is ended and begun again at these seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        for moment in (*at, None):
            process = subprocess.Popen([sys.executable, "-c", script], cwd=folder)
            try:
                code = process.wait(None if moment is None else max(0.0, began + moment - time.perf_counter()))
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
                continue
            if code != 0:
                raise RuntimeError(f"ended with {code}")
            break
        return time.perf_counter() - began
