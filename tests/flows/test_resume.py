"""Runs that were stopped and go on from their records, and runs that are removed with all that they have left."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from greenkernel import attach, train
from greenkernel.errors import UserError
from greenkernel.home import Home
from greenkernel.records import RunState
from greenkernel.store.runs import run_ids
from greenkernel.upkeep import NOTE_FILE, Upkeep
from tests.flows.conftest import end_controllers, eventually
from tests.flows.test_product import SLOW_FOREST, data, quick, runner_pid, started


def test_resumed_from_its_records(home: Home) -> None:
    """The trees that were grown before the cancel are not grown again, and the receipt counts both stays."""
    run = quick(home, SLOW_FOREST, data())
    eventually(lambda: started(run, tasks=20))
    run.cancel()
    run.wait_stopped()
    assert RunState.CANCELLED == run.state
    run.resume()
    assert not run.state.ended
    assert run.receipt is None
    run.wait(120)
    receipt = run.receipt
    assert receipt is not None
    assert (RunState.DONE, [1, 2]) == (receipt.state, [stay.epoch for stay in receipt.stays])
    assert receipt.stays[0].end <= receipt.stays[1].start
    progress = run.progress
    assert progress is not None
    assert progress.reused_tasks >= 20
    assert 160 == len(run.names["clf"].estimators_)


def test_cancelled_while_it_is_profiled(home: Home) -> None:
    """A slice that would run for long is gone when the cancel has returned, and so is its folder."""
    cell = "import time\nfor row in X:\n    time.sleep(0.5)"
    run = train(cell, namespace={"X": data()["X"]}, home=home)
    scratch = home.settings.home / "scratch" / run.id
    eventually(lambda: "slice 1" in run.detail)
    (folder,) = scratch.glob("slice-*")
    assert marked(folder)
    run.cancel()
    run.wait_stopped()
    assert RunState.CANCELLED == run.state
    assert not marked(folder)
    assert not scratch.exists()


def marked(folder: Path) -> list[str]:
    """Processes that work for a slice, by the folder that they were started for."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and str(folder).encode() in (entry / "environ").read_bytes():
                found.append(entry.name)
    return found


@pytest.mark.parametrize(
    ("cell", "dry_run", "sentence"),
    [("x = 1", False, "is done"), ("x = 1", True, "is done"), ("1 / 0", False, "has raised ZeroDivisionError")],
)
def test_what_has_come_to_its_own_end_is_not_resumed(cell: str, dry_run: bool, sentence: str, home: Home) -> None:
    """A result, a dry run and the cell's own error are ends for good."""
    run = quick(home, cell, dry_run=dry_run).wait(60)
    with pytest.raises(UserError, match=sentence):
        run.resume()


def test_an_impossible_run_is_advised_again(home: Home) -> None:
    """Where no site could take it, it may be resumed when one can; here none can, which is said again."""
    run = quick(home, "x = 1", memory="900TiB").wait(60)
    assert RunState.FAILED == run.state
    run.resume()
    run.wait(60)
    assert (RunState.FAILED, 1) == (run.state, run._store.resumes())
    assert "of memory" in run.detail


def test_purged(home: Home) -> None:
    """Nothing of the run is left, and what another run has sent too is."""
    big = list(range(200_000))
    first = quick(home, "x = sum(big)", {"big": big, "only": "here" * 50_000}).wait(60)
    kept = quick(home, "y = len(big)", {"big": big}).wait(60)
    with_result = quick(home, "z = 'new' * 100_000").wait(60)
    for run in (first, with_result):
        run.purge()
        assert RunState.REMOVED == run.state
        with pytest.raises(UserError, match="was removed"):
            run.purge()
        with pytest.raises(UserError, match="there is no run"):
            attach(run.id, home=home)
        with pytest.raises(UserError, match="was removed"):
            run.wait()
    assert 200_000 == kept.names["y"]
    assert kept._store.named_blobs() == {path.name for path in Path(home.settings.home / "store" / "blobs").iterdir()}
    kept.purge()
    assert not [path for path in (home.settings.home / "store").rglob("*") if path.is_file()]


def test_the_controller_removes_old_runs_by_itself(home: Home) -> None:
    """A run that has been over for longer than ``keep_days`` goes when the next one is sent, which is not disturbed."""
    old = quick(home, "x = 1").wait(60)
    eventually(lambda: not home.journal.entries(only_open=True))
    end_controllers(home.settings.home)
    for note in home.settings.home.glob(NOTE_FILE):  # as if that had been yesterday
        note.unlink()
    (home.settings.home / "settings.toml").write_text("keep_days = 0.00001")
    new = quick(home, "y = 2").wait(60)
    eventually(lambda: (home.settings.home / NOTE_FILE).exists())
    assert 2 == new.names["y"]
    assert old.id not in run_ids(home.objects)
    assert "1 run (" in Upkeep(home).usage().tidied


def test_records_have_a_limit(home: Home) -> None:
    """What there is no room for is not kept, which is said; a run that is killed goes on from what was kept."""
    (home.settings.home / "settings.toml").write_text('run_size = "2MB"')
    run = quick(Home.open(), SLOW_FOREST, data())
    eventually(lambda: (said := run.progress) is not None and "run_size" in said.why_not_kept)
    os.kill(runner_pid(run), signal.SIGKILL)
    run.wait(120)
    assert RunState.DONE == run.state, run.detail
    progress = run.progress
    assert progress is not None
    assert 0 < progress.reused_tasks < 160
    store = Path(home.settings.home / "store" / "runs" / run.id)
    kept = [path for path in store.rglob("*") if path.parent.name in ("records", "parts")]
    assert 0 < sum(path.stat().st_size for path in kept) <= 2_000_000
