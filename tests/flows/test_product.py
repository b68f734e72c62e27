"""The whole product on embedded sites with real processes: what a user does, and what dies meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

import greenkernel
from greenkernel import attach, predict, runs, sites, train
from greenkernel.controller import LOCK_FILE, LOG_FILE, SITES_NOW_FILE
from greenkernel.errors import UserError
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.lock import Lock
from greenkernel.osfacts import start_time
from greenkernel.records import RunState
from greenkernel.store.culprit import CannotTravelError
from tests.flows.conftest import controllers, eventually

SLOW_FOREST = "clf = RandomForestClassifier(n_estimators=160, random_state=0, n_jobs=-1).fit(X, y)"


def data() -> dict[str, Any]:
    X, y = make_classification(n_samples=6000, n_features=30, random_state=0)
    return {"X": X, "y": y, "RandomForestClassifier": RandomForestClassifier, "__name__": "__main__"}


def same_forest(one: Any, other: Any) -> bool:
    pairs = zip(one.estimators_, other.estimators_, strict=True)
    return all(np.array_equal(a.tree_.value, b.tree_.value) for a, b in pairs)


def quick(home: Home, source: str, namespace: dict[str, Any] | None = None, **options: Any) -> Run:
    return train(source, namespace=namespace, home=home, no_profile=True, **options)


def runner_pid(run: Run) -> int:
    last = run._store.last_epoch()
    assert last is not None
    claim = run._store.claimed(last.epoch)
    assert claim is not None
    return claim.pid


def started(run: Run, *, tasks: int = 0) -> bool:
    progress = run.progress
    return run.state is RunState.RUNNING and progress is not None and progress.tasks_done >= tasks


def test_the_package_lists_its_api() -> None:
    """Completion in a notebook finds what is imported only when it is used, and nothing else."""
    found = {name for name in dir(greenkernel) if not name.startswith("__")}
    assert set(greenkernel.__all__) == found


def test_names_value_and_output_come_back(home: Home) -> None:
    """What the cell binds, what it prints and what its last line is worth are here afterwards."""
    run = quick(home, "print('hello')\nb = a + [3]\nsum(b)", {"a": [1, 2]})
    assert 6 == run.result(60)
    assert {"b": [1, 2, 3]} == run.names
    assert "hello\n" == run.logs()
    assert RunState.DONE == run.state


def test_a_function_is_called_there(home: Home) -> None:
    """A function with its arguments is a cell too; the result is its return value."""

    def power(base: int, *, exponent: int) -> int:
        return base**exponent

    assert 1024 == train(power, args=(2,), kwargs={"exponent": 10}, home=home, no_profile=True).result(60)


def test_names_of_a_functions_own(home: Home) -> None:
    """What it changes in its arguments is found under names that tell so, whatever names there are already."""

    def longer(words: list[str]) -> int:
        words.append("more")
        return len(words)

    run = train(longer, args=(["one"],), namespace={"longer_args": 1}, home=home, no_profile=True)
    assert (2, {"longer_args_": (["one", "more"],)}) == (run.result(60), run.names)
    with pytest.raises(CannotTravelError, match=r"^longer_args\[0\] cannot travel, it is of type _thread.lock"):
        train(longer, args=(threading.Lock(),), home=home)


def test_a_function_that_is_to_be_awaited(home: Home) -> None:
    """Its result is the value, as a cell's that awaits it."""

    async def later(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    assert 3 == train(later, args=(2,), home=home, no_profile=True).result(60)


def test_the_cells_own_error_comes_back(home: Home) -> None:
    """The exception is the cell's, on the cell's line; what was bound before it is there."""
    run = quick(home, "x = 1\nraise KeyError('missing')")
    with pytest.raises(KeyError, match="missing"):
        run.result(60)
    assert RunState.FAILED == run.state
    assert "KeyError" in run.detail
    assert {"x": 1} == run.names


def test_profile_prediction_and_receipt(home: Home) -> None:
    """Slices really ran on fewer rows, every site is predicted with an interval, and the receipt adds up."""
    run = train(SLOW_FOREST, namespace=data(), home=home, due="+1h", wait=True)
    assert RunState.DONE == run.state, run.detail
    receipt = json.loads(run.receipt.to_json())  # type: ignore[union-attr]
    fractions = {s["rows_fraction"] for s in receipt["profile"]["slices"]}
    assert len(fractions) >= 2
    assert max(fractions) < 1
    assert {"near", "far"} == {p["site"] for p in receipt["predictions"]}
    assert all(p["time_s"]["low"] < p["time_s"]["mid"] < p["time_s"]["high"] for p in receipt["predictions"])
    assert all("provisional" in p["time_s"]["source"] for p in receipt["predictions"])
    assert receipt["due_met"]
    assert "near" == receipt["stays"][0]["site"]
    items = [receipt["emissions_g"][name]["mid"] for name in receipt["emissions_g"] if name != "total"]
    assert receipt["emissions_g"]["total"]["mid"] == pytest.approx(sum(items))
    assert "now, at home" == receipt["baselines"][0]["name"]


def test_the_goal_decides(home: Home) -> None:
    """The greener site is taken; with only the other one allowed, that one is."""
    assert "near" == predict("x = 1", home=home, no_profile=True).plan.steps[0].site  # type: ignore[union-attr]
    forecast = predict("x = 1", home=home, no_profile=True, site=["far"])
    assert {"far"} == {step.site for step in forecast.plan.steps}  # type: ignore[union-attr]


def test_dry_run_ships_nothing(home: Home) -> None:
    """Everything up to the choice, and no job anywhere."""
    run = quick(home, "x = 1", dry_run=True).wait(60)
    assert run.prediction
    assert run._store.epoch(1) is None
    with pytest.raises(UserError, match="dry run"):
        run.result()


def test_impossible_is_said_before_the_run(home: Home) -> None:
    """A due date that no site can meet starts nothing, and says what would help."""
    run = train("x = 1", home=home, no_profile=True, due="+2s").wait(60)
    assert RunState.FAILED == run.state
    assert run._store.epoch(1) is None
    assert run.detail


def test_values_that_no_site_can_hold(home: Home) -> None:
    """Nothing runs, not even a slice: each site says how much it has, which value is the largest, and what to do."""
    small = home.settings.sites_path
    small.write_text(small.read_text().replace("max_cores = 2", 'max_cores = 2\nmemory = "64MiB"'))
    run = train("s = X.sum()", namespace={"X": np.ones(12_000_000)}, home=Home.open()).wait(60)
    assert RunState.FAILED == run.state
    assert run._store.epoch(1) is None
    assert run.advice is not None
    assert () == run.advice.profile.slices
    assert "no site has the memory" in " ".join(run.advice.profile.notes)
    assert "near: 64 MiB of memory cannot hold the 92 MiB of values" in run.detail
    assert "the largest is X (ndarray 12000000, 92 MiB): send less of it, or load it inside the cell" in run.detail


@pytest.mark.parametrize(
    ("options", "note", "there"),
    [
        ({"cores": "99"}, "no site has 99 cores", "2 cores"),
        ({"memory": "9999TiB"}, "no site has 9999 TiB of memory", "needs 9999 TiB of memory, "),
    ],
)
def test_what_no_site_has(options: dict[str, Any], note: str, there: str, home: Home) -> None:
    """Nothing runs, not even a slice, and each site says how much it has."""
    run = train("s = sum(X)", namespace={"X": list(range(5000))}, home=home, **options).wait(60)
    assert RunState.FAILED == run.state
    assert run.advice is not None
    assert (f"not profiled: {note}",) == run.advice.profile.notes
    assert there in run.detail, run.detail


def test_one_site_can_hold_the_values(home: Home) -> None:
    """The other one cannot, and says so beside its prediction; the run goes where there is room."""
    small = home.settings.sites_path
    small.write_text(small.read_text().replace("max_cores = 2", 'max_cores = 2\nmemory = "64MiB"', 1))
    names = {"X": np.ones(12_000_000)}
    run = train("s = X.sum()", namespace=names, home=Home.open(), no_profile=True).wait(60)
    assert RunState.DONE == run.state, run.detail
    assert "far" == run.receipt.stays[0].site  # type: ignore[union-attr]
    assert "cannot hold" in {p.site: p.why_not or "" for p in run.prediction}["near"]


def test_relocation_by_hand_keeps_the_trees(home: Home) -> None:
    """A forest that is moved while it grows reuses its trees and is bit for bit a plain one."""
    namespace = data()
    run = quick(home, SLOW_FOREST, namespace)
    eventually(lambda: started(run, tasks=20))
    with pytest.raises(UserError, match="on near already"):
        run.relocate("near")
    run.relocate("far")
    run.wait(120)
    assert RunState.DONE == run.state, run.detail
    receipt = run.receipt
    assert receipt is not None
    assert [("near", "far", "user")] == [(m.from_site, m.to_site, m.trigger) for m in receipt.moves]
    assert receipt.moves[0].reused.tasks >= 20
    exec(SLOW_FOREST, namespace)
    assert same_forest(run.names["clf"], namespace["clf"])


def test_an_unseeded_forest_keeps_its_trees_too(home: Home) -> None:
    """Without a random_state the trees are those of the notebook's generators: reused after a move, and as at home."""
    unseeded = SLOW_FOREST.replace("random_state=0, ", "")
    namespace = data()
    np.random.seed(7)
    run = quick(home, unseeded, namespace)
    eventually(lambda: started(run, tasks=20))
    run.relocate("far")
    run.wait(120)
    receipt = run.receipt
    assert receipt is not None
    assert receipt.moves[0].reused.tasks >= 20
    np.random.seed(7)
    exec(unseeded, namespace)
    assert same_forest(run.names["clf"], namespace["clf"])


@pytest.mark.parametrize("victim", ["runner", "controller"])
def test_sigkill_ends_in_the_right_answer(victim: str, home: Home) -> None:
    """Whoever is killed in the middle, the forest is that of an undisturbed run."""
    namespace = data()
    run = quick(home, SLOW_FOREST, namespace)
    eventually(lambda: started(run, tasks=20))
    pid = runner_pid(run) if victim == "runner" else controllers(home.settings.home)[0]
    os.kill(pid, signal.SIGKILL)
    run.wait(120)
    assert RunState.DONE == run.state, run.detail
    epochs = 2 if victim == "runner" else 1
    assert epochs == run._store.last_epoch().epoch  # type: ignore[union-attr]
    exec(SLOW_FOREST, namespace)
    assert same_forest(run.names["clf"], namespace["clf"])


def test_cancel_leaves_no_process(home: Home) -> None:
    """Cancelled means stopped: the runner is gone, and its folder too."""
    run = quick(home, "import time\ntime.sleep(600)")
    eventually(lambda: started(run))
    pid = runner_pid(run)
    born = start_time(pid)
    assert born is not None
    run.cancel()
    run.wait(60)
    assert RunState.CANCELLED == run.state
    eventually(lambda: start_time(pid) != born)
    assert [] == [job for site in home.sites.values() for job in site.jobs()]


def test_attach_after_a_restart(home: Home) -> None:
    """A new process with the same home finds the run by the beginning of its id, also when the journal is lost."""
    run = quick(home, "x = 41 + 1").wait(60)
    for suffix in ("", "-wal", "-shm"):
        home.journal.path.with_name(f"journal.sqlite{suffix}").unlink(missing_ok=True)
    again = Home.open()
    assert [run.id] == [r.id for r in runs(again)]
    assert {"x": 42} == attach(run.id[:8], home=again).names
    with pytest.raises(UserError, match="no run"):
        attach("nothing", home=again)


def test_choice_by_hand(home: Home) -> None:
    """Without ``auto`` a run waits for its site."""
    run = quick(home, "x = 1", auto=False)
    eventually(lambda: run.state is RunState.CHOOSING)
    run.choose("far")
    run.wait(60)
    assert "far" == run.receipt.stays[0].site  # type: ignore[union-attr]


def test_what_a_run_at_work_refuses(home: Home) -> None:
    """It waits for no choice, and goes to no site without a name."""
    run = quick(home, "import time\ntime.sleep(60)")
    eventually(lambda: started(run))
    with pytest.raises(UserError, match="at work already"):
        run.choose("far")
    with pytest.raises(UserError, match=r"no site was named\. Sites are: far, near"):
        run.relocate("")
    run.cancel()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folder": "/nowhere"}, "no folder /nowhere"),
        ({"home": "/tmp"}, "home is a str"),
        ({"namespace": ["a"]}, "namespace is a list"),
        ({"source": max, "args": 3}, "args is a int"),
        ({"source": max, "args": "ab"}, "args is a str"),
        ({"source": max, "kwargs": [1]}, "kwargs is a list"),
        ({"args": (1,)}, "go with a function"),
        ({"source": 5}, "int can be neither run nor called"),
    ],
)
def test_arguments_of_another_kind(options: dict[str, Any], words: str, home: Home) -> None:
    """They are named, and nothing is sent."""
    with pytest.raises(UserError, match=words):
        train(**{"source": "a = 1", "home": home, **options})
    assert not runs(home)


def test_out_of_memory_is_given_twice_the_memory(home: Home) -> None:
    """A cell that needs a little more than it was given gets it; the receipt shows both stays."""
    run = quick(
        home, "import numpy as np, time\na = np.ones(45_000_000)\ntime.sleep(2)\nn = len(a)\ndel a", memory="300MiB"
    )
    run.wait(90)
    assert RunState.DONE == run.state, run.detail
    assert 2 == len(run.receipt.stays)  # type: ignore[union-attr]
    assert 45_000_000 == run.names["n"]


def test_another_sites_file(home: Home, tmp_path: Path) -> None:
    """It is used at once where the controller idles; while that is at work with other sites nothing is sent."""
    assert 1 == quick(home, "1").result(60)
    (tmp_path / "other.toml").write_text('[sites.elsewhere]\nkind = "embedded"\nintensity_g_per_kwh = 1\n')
    other = Home.open(sites_file=tmp_path / "other.toml")
    eventually(lambda: not home.journal.entries(only_open=True))
    run = quick(other, "import time; time.sleep(5)", site=["elsewhere"])
    eventually(lambda: run.epochs != ())
    with pytest.raises(UserError, match=rf"at work with .*other.toml \(run {run.id}\).*GREENKERNEL_HOME"):
        quick(home, "2")
    assert ["elsewhere"] == [stay.site for stay in run.wait(60).receipt.stays]  # type: ignore[union-attr]
    eventually(lambda: not home.journal.entries(only_open=True))
    assert 3 == quick(home, "3", site=["near"]).result(60)


def test_no_cell_is_sent_from_the_home_of_a_controller_that_stays(home: Home) -> None:
    """Nobody would profile it: it is refused at once."""
    lock = Lock(home.settings.home / LOCK_FILE)
    assert lock.take()
    (home.settings.home / SITES_NOW_FILE).write_text("stays")
    with pytest.raises(UserError, match=r"that of a controller that stays.*GREENKERNEL_HOME"):
        quick(home, "1")
    lock.release()
    assert [] == home.journal.entries()


def test_a_result_that_somebody_has_damaged(home: Home) -> None:
    """It is said which run's, why, and what to do; nothing is bound."""
    run = quick(home, "a = list(range(1000))").wait(60)
    result = run._store.result()
    assert result is not None
    run._store.objects.put(f"blobs/{result.payload.head}", b"cut")
    with pytest.raises(
        UserError, match=rf"what run {run.id} has computed cannot be read any more .*send the cell again"
    ):
        run.bind(space := {})
    assert {} == space


def test_a_long_log_of_the_controller_goes_aside(home: Home) -> None:
    """What a home keeps of its controllers has an end; one of them is begun with a new page."""
    log = home.settings.home / LOG_FILE
    log.write_bytes(b"x" * (11 << 20))
    assert RunState.DONE == quick(home, "a = 1", {}).wait(60).state
    assert 11 << 20 == log.with_name("controller.log.1").stat().st_size
    assert log.stat().st_size < 1 << 20


def test_sites_are_listed(home: Home) -> None:
    """Sites have names, and say how green they are and where that comes from."""
    found = {site.name: site for site in sites(home)}
    assert {"near", "far"} == set(found)
    assert 100 == found["near"].intensity_g_per_kwh
    assert found["near"].reachable


def test_local_modules_travel(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the notebook is there too."""
    (tmp_path / "my_helpers.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert 8 == quick(home, "from my_helpers import double\ndouble(4)").result(60)


def test_a_cell_that_ends_its_process_is_not_run_again(home: Home) -> None:
    """``os._exit`` would come to the same end again: what was printed is kept, and it is said; children may use it."""
    forked = "import os\nif not (child := os.fork()): os._exit(3)\nprint('child', os.waitpid(child, 0)[1] >> 8)\n"
    run = quick(home, forked + "print('said')\nos._exit(7)", {})
    run.wait(60)
    assert RunState.FAILED == run.state
    assert "the cell ended its process with os._exit(7)" in run.detail
    assert "child 3\nsaid\n" == run.logs()
    assert 1 == len(run.epochs)
