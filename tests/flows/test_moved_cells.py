"""Running cells of every level on real processes: killed and moved in the middle, they end as if undisturbed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from greenkernel.clock import RealClock
from greenkernel.errors import UserError
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.records import RunState
from greenkernel.runner.checkpoints import SUFFIX as CHECKPOINT
from greenkernel.settings import Settings
from greenkernel.store.snapshots import SUFFIX
from tests.flows.conftest import PLAIN_SITES, controllers, eventually
from tests.flows.test_product import quick, runner_pid

# One at a time: a loaded machine saves too rarely.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("moves")]
# Together with the tests of each level on its own, thirty; make soak has ten times as many.
RUNS = 20
# Of them, since most of their time is waiting.
_AT_ONCE = 2

# Both lose processes often, so snapshots are taken as often as their cost allows.
LOSING_SITES = PLAIN_SITES.replace("max_cores = 2", "max_cores = 2\nlost_every_h = 0.0001")

BUSY = """
import time
def busy(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until: pass
"""
EPOCHS = """
losses = []
open("log.csv", "w").close()
for epoch in range(40):
    busy(0.25)
    w = w - 0.1 * rng.normal(size=w.shape)
    losses.append(float((w ** 2).sum()))
    with open("log.csv", "a") as f:
        print(epoch, losses[-1], file=f)
    print("epoch", epoch)
"""
IN_A_FUNCTION = "w, losses = train(w, 40)"
TRAIN = """
def part(n):
    busy(0.3)
    return float(np.random.default_rng(n).normal())
def train(w, epochs):
    losses = []
    for epoch in range(epochs):
        busy(0.25)
        w = w - 0.1 * rng.normal(size=w.shape)
        losses.append(float((w ** 2).sum()))
        print("epoch", epoch)
    return w, losses
"""
STATEMENTS = "\n".join(f"busy(1.1); a{n} = rng.normal(); print('statement', {n})" for n in range(9))


@pytest.fixture
def losing_home(home: Home) -> Home:
    """The same, on sites where snapshots are taken often."""
    (home.settings.home / "sites.toml").write_text(LOSING_SITES)
    return Home(Settings(home.settings.home), RealClock())


def notebook() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__", "w": np.zeros(1000), "rng": np.random.default_rng(0), "np": np}
    exec(compile(BUSY + TRAIN, "<notebook>", "exec"), namespace)
    return namespace


def defined(namespace: dict[str, Any]) -> dict[str, Any]:
    """Functions are known by the text of their cells, as in a kernel."""
    import linecache

    text = BUSY + TRAIN
    linecache.cache["<notebook>"] = (len(text), None, text.splitlines(keepends=True), "<notebook>")
    return namespace


def kept(run: Run, suffix: str | tuple[str, ...] = (SUFFIX, CHECKPOINT)) -> int:
    last = run._store.last_epoch()
    names = [] if last is None else [name for name, _ in run._store.records(last.epoch)]
    return sum(name.endswith(suffix) for name in names)


def is_kept(run: Run, text: str) -> bool:
    """True once something has been kept, and something has been printed that is kept, too, or will be next."""
    return kept(run) > 1 and text in run.logs()


def at_work(home: Home, cell: str, namespace: dict[str, Any], enough: Callable[[Run], bool]) -> Run:
    """A running run of which enough is kept. Where keeping costs much for a moment, a short one may end before."""
    for _ in range(3):
        run = quick(home, cell, namespace, site=("near",))
        eventually(lambda run=run: enough(run) or run.state.ended)  # type: ignore[misc]
        if not run.state.ended:
            return run
    raise AssertionError(f"three runs were {run.state} before enough of them was kept")


SAID_BY_HAND = """
import greenkernel
class Trainer:
    def __init__(self, w): self.w, self.losses = w, []
    def step(self, epoch):
        busy(0.25)
        self.w = self.w - 0.1 * rng.normal(size=self.w.shape)
        self.losses.append(float((self.w ** 2).sum()))
        print("epoch", epoch)
    def fit(self, epochs):
        for epoch in greenkernel.resumable(range(epochs), self, rng):
            self.step(epoch)
        return self
trainer = Trainer(w).fit(40)
w, losses = trainer.w, trainer.losses
"""
BY_STATE = """
import greenkernel
def run():
    def inner():
        state = {"n": 0, "w": w}
        greenkernel.checkpoint(state, rng)
        while state["n"] < 40:
            busy(0.25)
            state["w"] = state["w"] + rng.normal(size=w.shape)
            print("epoch", state["n"])
            state["n"] += 1
            greenkernel.checkpoint(state, rng)
        return state["w"]
    return inner()
w = run()
"""
CELLS = [
    pytest.param(SAID_BY_HAND, "epoch 12", id="resumable_in_a_method"),
    pytest.param(BY_STATE, "epoch 12", id="checkpoints_in_an_inner_function"),
    pytest.param(EPOCHS, "epoch 10", id="epochs"),
    pytest.param(IN_A_FUNCTION, "epoch 10", id="epochs_in_a_function"),
    pytest.param(STATEMENTS, "statement 4", id="statements"),
]


SHORTER = [cell.replace("range(40)", "range(16)").replace("40", "16") for cell in (EPOCHS, SAID_BY_HAND, BY_STATE)]
SHORTER += ["w, losses = train(w, 16)", "\n".join(STATEMENTS.splitlines()[:5])]
SHORTER += ["from joblib import Parallel, delayed\nparts = Parallel(n_jobs=2)(delayed(part)(n) for n in range(16))"]


def plainly(cell: str, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The names after a plain run, which does not take its time, and what it printed."""
    plain = notebook()
    lines: list[str] = []
    plain["print"] = lambda *words, file=None: (
        lines.append(" ".join(map(str, words))) if file is None else print(*words, file=file)
    )
    plain["busy"] = lambda seconds: None
    os.chdir(folder)
    exec(cell, plain)
    return plain, lines


def check(run: Run, plain: dict[str, Any], lines: list[str]) -> None:
    """Names and text are those of a plain run."""
    bound = {name: value for name, value in run.names.items() if isinstance(value, float | list | np.ndarray)}
    assert bound
    for name, value in bound.items():
        assert np.array_equal(value, plain[name]), name
    assert lines == run.logs().splitlines()


def parent_of(pid: int) -> int:
    """The process that started another one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def killed_at_random(seeds: Iterable[int], home: Home, folder: Path) -> list[bool]:
    """Runs of cells during each of which something is killed, or moved, at two moments; which have reused work."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        runs = list(pool.map(lambda seed: _disturbed(seed, home), seeds))
    reused = []
    for run, cell in runs:
        assert RunState.DONE == run.state, run.detail
        check(run, *plainly(cell, folder))
        progress = run.progress
        assert progress is not None
        reused.append(progress.reused_cpu_s > 0 or ("greenkernel" in cell and len(run.epochs) > 1))
    return reused


def _disturbed(seed: int, home: Home) -> tuple[Run, str]:
    dice, clock = Random(seed), RealClock()
    cell = dice.choice(SHORTER)
    run = quick(home, cell, defined(notebook()), site=("near",))
    for _ in range(2):
        clock.sleep(dice.uniform(0.5, 3.5))
        with contextlib.suppress(OSError, AssertionError, IndexError, UserError):  # it is not there yet, or any more
            match dice.choice(("runner", "runner", "controller", "move", "guard")):
                case "runner":
                    os.kill(runner_pid(run), signal.SIGKILL)
                case "guard":
                    os.kill(parent_of(runner_pid(run)), signal.SIGKILL)
                case "controller":
                    os.kill(controllers(home.settings.home)[0], signal.SIGKILL)
                case _:
                    run.relocate(dice.choice(("near", "far")))
    return run.wait(180), cell


def test_killed_at_random(losing_home: Home, tmp_path: Path) -> None:
    """Whatever dies at whatever moment, the cell ends as if undisturbed; in a good part of the runs work was reused."""
    reused = killed_at_random(range(RUNS), losing_home, tmp_path)
    assert sum(reused) >= 0.3 * RUNS


@pytest.mark.parametrize("how", ["killed", "moved"])
@pytest.mark.parametrize(("cell", "text"), CELLS)
def test_a_cell_goes_on_where_it_was(cell: str, text: str, how: str, losing_home: Home, tmp_path: Path) -> None:
    """Names, draws, files and what is printed are those of a plain run; little of it was done twice."""
    run = at_work(losing_home, cell, defined(notebook()), lambda run: is_kept(run, text))
    if how == "killed":
        os.kill(runner_pid(run), signal.SIGKILL)
    else:
        run.relocate("far")
    run.wait(180)
    assert RunState.DONE == run.state, run.detail
    assert 2 == run._store.last_epoch().epoch  # type: ignore[union-attr]
    progress = run.progress
    assert progress is not None
    assert progress.reused_cpu_s > 1.0 or "greenkernel" in cell
    assert progress.cpu_s < 14  # of 10, and more on a machine that is busy
    check(run, *plainly(cell, tmp_path))


NEEDS_TEMPORARY_FILES = """
import os
path = os.path.join(os.environ["JOBLIB_TEMP_FOLDER"], "kept.txt")
open(path, "w").write("x")
for epoch in range(60):
    busy(0.25)
    print("epoch", epoch)
losses = [open(path).read()]
"""


def test_what_fails_only_because_it_was_moved_begins_again(losing_home: Home, tmp_path: Path) -> None:
    """A file of the site is not there after a move: the error is not believed, the cell runs once more."""
    run = at_work(losing_home, NEEDS_TEMPORARY_FILES, defined(notebook()), lambda run: is_kept(run, "epoch 12"))
    run.relocate("far")
    run.wait(180)
    assert RunState.DONE == run.state, run.detail
    assert ["x"] == run.names["losses"]
    assert [f"epoch {n}" for n in range(60)] == run.logs().splitlines()
    assert 2 == len(run.epochs)


def test_an_error_of_the_cells_own_is_told_after_a_move(losing_home: Home) -> None:
    """It is met again when the cell runs once more, and is shown on the cell's own line."""
    cell = EPOCHS + "\nraise KeyError('mine')"
    run = at_work(losing_home, cell, defined(notebook()), lambda run: is_kept(run, "epoch 10"))
    run.relocate("far")
    run.wait(180)
    with pytest.raises(KeyError, match="mine"):
        run.result()
    assert [f"epoch {n}" for n in range(40)] == run.logs().splitlines()


LONG_FIT = """
from sklearn.ensemble import GradientBoostingRegressor
model = GradientBoostingRegressor(n_estimators=800, max_depth=4, subsample=0.5, random_state=0).fit(x, y)
w = model.predict(x)
"""


@pytest.mark.parametrize("how", ["killed", "moved"])
def test_a_long_fit_goes_on_where_it_was(how: str, losing_home: Home, tmp_path: Path) -> None:
    """One call of a library that uses no joblib: what it had done is not done again, and the model is the same."""
    made = np.random.default_rng(0)
    x = made.normal(size=(3000, 8))
    namespace = {"__name__": "__main__", "x": x, "y": x[:, 0] + made.normal(size=3000)}
    plain = dict(namespace)
    run = at_work(losing_home, LONG_FIT, namespace, lambda run: kept(run, CHECKPOINT) > 0)
    if how == "killed":
        os.kill(runner_pid(run), signal.SIGKILL)
    else:
        run.relocate("far")
    run.wait(180)
    assert RunState.DONE == run.state, run.detail
    progress = run.progress
    assert progress is not None
    assert progress.reused_cpu_s > 0.5
    assert progress.resumed_at.endswith("in BaseGradientBoosting._fit_stages")
    exec(LONG_FIT, plain)
    assert np.array_equal(plain["w"], run.names["w"])


BOOSTED = """
import greenkernel, xgboost
def objective(guess, data):
    calls.append(len(guess))
    return guess - data.get_label(), np.ones_like(guess)
data = xgboost.DMatrix(x, y)
model = xgboost.train(
    {"nthread": 1, "max_depth": 7}, data, 350, obj=objective, evals=[(data, "train")], verbose_eval=50,
    early_stopping_rounds=5, callbacks=[greenkernel.callbacks.xgboost()],
)
w = model.predict(data)
"""


def test_a_fit_with_a_callback_goes_on_where_it_was(losing_home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    """XGBoost is killed between two rounds: those that were kept are not boosted again, the rest is as ever."""
    pytest.importorskip("xgboost")
    made = np.random.default_rng(0)
    x = made.normal(size=(10000, 10))
    namespace = {"__name__": "__main__", "np": np, "calls": [], "x": x, "y": x[:, 0] + made.normal(size=10000)}
    plain = {**namespace, "calls": []}
    run = at_work(losing_home, BOOSTED, namespace, lambda run: kept(run, CHECKPOINT) > 0)
    os.kill(runner_pid(run), signal.SIGKILL)
    run.wait(180)
    assert RunState.DONE == run.state, run.detail
    assert 2 == len(run.epochs)
    capfd.readouterr()
    exec(BOOSTED, plain)
    assert capfd.readouterr().out == run.logs()
    assert np.array_equal(plain["w"], run.names["w"])
    assert 0 < len(run.names["calls"]) < 350 == len(plain["calls"])
