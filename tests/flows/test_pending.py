"""Runs that are left pending in a real kernel: what returns at once, what waits, what is bound, and what is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from greenkernel import attach
from greenkernel.home import Home
from greenkernel.records import Proposal
from tests.flows.conftest import controllers, eventually
from tests.flows.kernelclient import Cell, Kernel

TRAIN = "%%greentrain --auto --no-profile\n"
# Long enough for the next cell to come, short enough for a test.
BUSY = "import time; time.sleep(1.5)\n"
# A list that changes when its run has been sent, by a thread since every cell that names it waits.
CHANGED_LATER = """
items = [1]
old = items
def later():
    import os, time
    while not os.path.exists("captured"):
        time.sleep(0.01)
    old.append(9)
import threading
threading.Thread(target=later, daemon=True).start()
"""


@pytest.fixture
def kernel(home: Home, tmp_path: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path)
    yield made
    made.stop()


def run_id(cell: Cell) -> str:
    found = re.search(r"run (\d{10}-[0-9a-f]{6})", cell.words)
    assert found is not None
    return found[1]


def test_the_magic_returns_and_the_run_goes_on(kernel: Kernel) -> None:
    """The cell returns at once; what it prints and its value come under it later; the next cell waits for its names."""
    first = kernel.run(TRAIN + BUSY + "print('working')\nresult = 6 * 7\nresult")
    assert first.text() == ""
    later = kernel.run("print(result, _, Out[2])")
    assert "42 42 42\n" == later.text()
    assert "because it uses result" in later.words
    kernel.until(lambda: first.value is not None and "receipt" in first.words)
    assert "working\n" == first.text()
    assert "42" == first.value


def test_independent_cells_do_not_wait(kernel: Kernel) -> None:
    """What does not touch the run runs beside it, also where it rebinds a name that the run will bind."""
    first = kernel.run(TRAIN + BUSY + "result = 1\nother = 2")
    assert "3\n" == kernel.run("print(1 + 2)").text()
    kernel.run("result = 'mine'")
    assert "mine 2\n" == kernel.run("print(result, other)").text()
    kernel.until(lambda: "bound anew" in first.words)


def test_fit_in_the_cell_and_predict_in_the_next(kernel: Kernel) -> None:
    """An estimator that the run fits in place is waited for, and stays the object that every name holds."""
    kernel.run(
        "from sklearn.linear_model import LinearRegression\nimport numpy as np\nX = np.arange(6.0).reshape(-1, 1)\n"
        "clf = LinearRegression()\nmodels = [clf]"
    )
    kernel.run(TRAIN + "clf.fit(X, X[:, 0] * 2)")
    assert "[4.]\n" == kernel.run("print(models[0].predict([[2.0]]).round(6))").text()
    assert "True\n" == kernel.run("print(models[0] is clf)").text()


def test_cancelled_leaves_the_old_values(kernel: Kernel) -> None:
    """After a cancel the names have what they had, and names without a value are gone."""
    kernel.run("df = [1, None]")
    first = kernel.run(TRAIN + BUSY * 20 + "df = [x for x in df if x]\nnew = 1")
    kernel.run(f"%greenruns cancel {run_id(first)}")
    assert "[1, None] False\n" == kernel.run("print(df, 'new' in globals())").text()


def test_resumed_where_cancel_had_restored_the_old_values(kernel: Kernel) -> None:
    """The run is pending again under the cell that resumes it: the next cell waits and has what the run binds."""
    kernel.run("df = [1, None]")
    first = kernel.run(TRAIN + BUSY + "print('kept')\ndf = [x for x in df if x]\nnew = 1")
    kernel.run(f"%greenruns cancel {run_id(first)}")
    assert "[1, None]\n" == kernel.run("print(df)").text()
    again = kernel.run(f"%greenruns resume {run_id(first)}")
    assert "[1] 1\n" == kernel.run("print(df, new)").text()
    kernel.until(lambda: "kept" in again.text())
    gone = kernel.run(f"%greenruns cancel {run_id(first)} --purge\nprint(df)")
    assert "payload are removed" in gone.text()
    assert "[1]" in gone.text()


def test_a_move_is_asked_about_and_accepted(kernel: Kernel, home: Home) -> None:
    """A proposal that stands is the run's; saying yes moves the run, which goes on there."""
    first = kernel.run("%%greentrain --auto --no-profile --move ask\n" + BUSY * 8 + "result = 5")
    store = home.run_store(run_id(first))
    eventually(lambda: store.claimed(1) is not None)
    now = home.clock.now()
    until = now + timedelta(minutes=5)
    store.put_proposal(Proposal(number=1, epoch=1, site="far", saving_g=2.0, reason="", asked_at=now, until=until))
    run = attach(run_id(first), home=home)
    eventually(lambda: "asks" in run.detail)
    assert "on near, asks whether to move to far" == run.detail
    assert run.proposal is not None
    kernel.run(f"%greenruns relocate {run_id(first)} far")
    assert "5\n" == kernel.run("print(result)").text()
    assert (["near", "far"], None) == ([epoch.site for epoch in run.epochs], run.proposal)
    receipt = store.receipt()
    assert receipt is not None
    assert [2.0] == [move.predicted_saving_g for move in receipt.moves]


def test_nobody_there_to_ask(kernel: Kernel, home: Home) -> None:
    """Where nobody can click, --move ask is never, and the cell says so."""
    cell = kernel.run("%%greentrain --no-profile --move ask\nx = 1", person=False)
    assert "works like --move never" in cell.words
    assert "never" == home.run_store(run_id(cell)).submission().request.move


def test_purged_while_pending(kernel: Kernel) -> None:
    """A pending run that is cancelled and removed holds nothing up."""
    first = kernel.run(TRAIN + BUSY * 20 + "new = 1")
    kernel.run(f"%greenruns cancel {run_id(first)} --purge")
    assert "False\n" == kernel.run("print('new' in globals())").text()


def test_a_store_that_is_deleted_meanwhile(kernel: Kernel, home: Home) -> None:
    """The run fails with a sentence that says so, nothing hangs, names are as before, and the same cell works again."""
    kernel.run("df = [1, None]")
    rest = "df = [x for x in df if x]\nnew = 1"
    first = kernel.run(TRAIN + BUSY * 20 + rest)
    run = run_id(first)
    eventually(lambda: attach(run, home=home).progress is not None)
    waiting = kernel.send("print(df)")
    kernel.until(lambda: "waits for run" in kernel.cell(waiting).words)
    (home.settings.home / "store").rename(home.settings.home / "gone")
    kernel.until(lambda: kernel.is_idle(waiting))
    assert "did not run" in str(kernel.cell(waiting).error)
    kernel.until(lambda: first.error is not None)
    assert f"UserError: the store has no run {run}; if its folder was deleted, send the cell again." == first.error
    assert "[1, None] False\n" == kernel.run("print(df, 'new' in globals())").text()
    kernel.run(TRAIN + rest)
    assert "[1] 1\n" == kernel.run("print(df, new)").text()
    eventually(lambda: not jobs_of(home, run))


def jobs_of(home: Home, run: str) -> list[str]:
    return [site.name for site in home.sites.values() for job in site.jobs() if job.run == run]


def test_two_kernels_on_one_home(kernel: Kernel, home: Home, tmp_path: Path) -> None:
    """Both send at the same time, each gets its own names, and the journal has all four runs."""
    other = Kernel(tmp_path)
    try:
        sent = []
        for turn in range(2):
            asked = [(who, who.send(TRAIN + f"got = {number + turn}")) for number, who in ((10, kernel), (20, other))]
            for who, ident in asked:
                who.until(lambda who=who, ident=ident: who.is_idle(ident))  # type: ignore[misc]
                sent.append(run_id(who.cell(ident)))
            eventually(lambda: 1 == len(controllers(home.settings.home)))
            assert f"{10 + turn}\n" == kernel.run("print(got)").text()
            assert f"{20 + turn}\n" == other.run("print(got)").text()
    finally:
        other.stop()
    assert {entry.id: "done" for entry in home.journal.entries()} == dict.fromkeys(sent, "done")
    assert 4 == len(set(sent))


def test_a_failed_run_stops_who_waits(kernel: Kernel) -> None:
    """Its traceback is under its own cell, the waiting cell does not run, and names are as after a plain failure."""
    first = kernel.run(TRAIN + "a = 1\nb = 1 / 0")
    waiting = kernel.run("print('never', a)")
    assert "" == waiting.text()
    assert "did not run" in str(waiting.error)
    kernel.until(lambda: first.error is not None)
    assert "ZeroDivisionError: division by zero" == first.error
    assert "1\n" == kernel.run("print(a)").text()
    assert "ZeroDivisionError: division by zero" == kernel.run("%tb").error
    debugged = "import linecache, sys\ntb = sys.last_traceback\n"
    debugged += "print(linecache.getline(tb.tb_frame.f_code.co_filename, tb.tb_lineno), end='')"
    assert "b = 1 / 0" == kernel.run(debugged).text().strip()


def test_a_traceback_comes_below_what_was_printed(kernel: Kernel) -> None:
    """Also where the cell that waits sees the end before the last output has been fetched."""
    kernel.run("import greenkernel.notebook.live; greenkernel.notebook.live._OUTPUT_S = 3")
    first = kernel.run(TRAIN + "import time; time.sleep(1)\nprint('said')\na = 1 / 0")
    assert "did not run" in str(kernel.run("print(a)").error)
    kernel.until(lambda: first.error is not None)
    assert ["stream", "error"] == [m["msg_type"] for m in first.messages if m["msg_type"] in ("stream", "error")]


@pytest.mark.parametrize(("answer", "ends"), [("c", "cancelled"), ("g", "done"), ("", "running")])
def test_an_interrupt_asks_what_is_meant(answer: str, ends: str, kernel: Kernel) -> None:
    """Where the front end can ask: cancel, go on waiting, or, without a word, end the waiting only."""
    cell = kernel.send(
        TRAIN.replace("greentrain", "greentrain --wait", 1) + "import time\nfor n in range(40): time.sleep(0.1)\nz = 7"
    )
    kernel.until(lambda: "running" in kernel.cell(cell).words)
    kernel.interrupt()
    assert "cancel" in kernel.answer(answer)
    kernel.until(lambda: kernel.is_idle(cell))
    assert {"c": "was cancelled", "g": "None", "": "KeyboardInterrupt"}[answer] in str(kernel.cell(cell).error)
    state = "from greenkernel import runs\nprint(runs()[0].state)"
    assert ends in kernel.run(state).text()


def test_interrupting_a_wait_leaves_the_run_alone(kernel: Kernel) -> None:
    """The waiting cell is stopped and does not run; the run goes on and is taken back."""
    first = kernel.run(TRAIN + BUSY * 3 + "result = 5")
    waiting = kernel.send("print('ran', result)")
    kernel.until(lambda: "waits for run" in kernel.cell(waiting).words)
    kernel.interrupt()
    kernel.until(lambda: kernel.is_idle(waiting))
    assert "interrupted while it waited" in str(kernel.cell(waiting).error)
    assert "" == kernel.cell(waiting).text()
    assert "5\n" == kernel.run("print(result)").text()
    assert first.error is None


def test_what_was_changed_after_a_wait_stays(kernel: Kernel) -> None:
    """Objects that are changed when a cell has left off waiting are the notebook's; others take the run's changes."""
    kernel.run("import numpy as np\nmine, also, theirs = {}, np.zeros(2), [1]")
    first = kernel.send(
        "%%greentrain --auto --wait --no-profile\n" + BUSY * 3 + "mine['x'] = 1\nalso += 1\ntheirs.append(2)\nd = 5"
    )
    kernel.until(lambda: "running: on" in kernel.cell(first).words)
    kernel.interrupt()
    kernel.answer("")
    kernel.until(lambda: kernel.is_idle(first))
    kernel.run("mine['home'] = 1\nalso[0] = 50")
    again = kernel.run(f"%greenruns attach {run_id(kernel.cell(first))}")
    assert "{'home': 1} [50.0, 0.0] [1, 2] 5\n" == kernel.run("print(mine, also.tolist(), theirs, d)").text()
    kernel.until(lambda: "mine was changed here too and stays so" in again.words + again.text("stderr") + again.text())
    kernel.run("theirs.append('mine')")
    kernel.run(f"%greenruns attach {run_id(kernel.cell(first))}")
    assert "[1, 2, 'mine']\n" == kernel.run("print(theirs)").text()


@pytest.mark.parametrize("second", ["result = 'second'", "result = 'first'"])
def test_two_runs_on_one_name(kernel: Kernel, second: str) -> None:
    """The one that was sent last wins, also where it ends first; the same cell may be run twice."""
    kernel.run(TRAIN + BUSY + "result = 'first'")
    kernel.run(TRAIN + second)
    assert f"{second.partition('= ')[2]}\n" == kernel.run("print(repr(result))").text()


def test_a_restarted_kernel_takes_its_run_back(kernel: Kernel) -> None:
    """Attached in a new kernel the run has its panel again, and the next cell waits for its names."""
    first = kernel.run(TRAIN + BUSY * 3 + "result = 7")
    kernel.restart()
    again = kernel.run(f"%greenruns attach {run_id(first)}")
    assert run_id(first) in again.words
    assert "7\n" == kernel.run("print(result)").text()


def test_what_a_restarted_kernel_has_bound_stays(kernel: Kernel) -> None:
    """Names that a new kernel has bound before it takes a run back are its own; the run's are in its names."""
    kernel.run("counts, free = [0], None")
    first = kernel.run(TRAIN + BUSY * 3 + "import math\ncounts.append(1)\nresult, free = 7, 'run'")
    kernel.restart()
    kernel.run("import math\ncounts, result = ['mine'], 'mine'")
    again = kernel.run(f"%greenruns attach {run_id(first)}")
    assert "mine ['mine'] run\n" == kernel.run("print(result, counts, free)").text()
    assert "result was bound anew in the notebook meanwhile and stays so" in again.words
    assert "counts was bound anew in the notebook meanwhile and stays so" in again.words
    assert "math was bound" not in again.words


def test_nobody_chose(kernel: Kernel) -> None:
    """A run that waits for a choice gets the recommended site as soon as a cell needs it, and the cell says so."""
    kernel.run("%%greentrain --no-profile\nresult = 8")
    later = kernel.run("print(result)")
    assert "8\n" == later.text()
    assert "the recommended one is taken" in later.words


def test_changed_at_both_ends(kernel: Kernel, tmp_path: Path) -> None:
    """An object that both have changed keeps what it has here, and the conflict is named; the run's is in its names."""
    kernel.run(CHANGED_LATER.replace("old", "items"))
    first = kernel.run(TRAIN + BUSY * 2 + "items.append(2)\ndone = True")
    (tmp_path / "captured").touch()
    kernel.run("print(done)")
    assert "[1, 9]\n" == kernel.run("print(items)").text()
    assert "items was changed here too" in first.words
    other = f"import greenkernel\nprint(greenkernel.attach('{run_id(first)}').names['items'])"
    assert "[1, 2]\n" == kernel.run(other).text()


def test_a_name_bound_anew_is_no_conflict(kernel: Kernel, tmp_path: Path) -> None:
    """What became of the object that had the name before is not said: the name is the run's new object."""
    kernel.run(CHANGED_LATER)
    first = kernel.run(TRAIN + BUSY * 2 + "items.append(2)\nitems = [5]")
    (tmp_path / "captured").touch()
    assert "[5]\n" == kernel.run("print(items)").text()
    assert "was changed here too" not in first.words


def test_an_unforetold_change_names_who_read_before(kernel: Kernel) -> None:
    """A function that changes its argument is not foreseen: the object is updated, and earlier readers are named."""
    kernel.run("import random\nitems = [3, 2, 1]")
    first = kernel.run(TRAIN + BUSY + "sorted_copy = sorted(items)\nlist.sort(items)")
    assert "[3, 2, 1]\n" == kernel.run("print(items)").text()
    assert "[1, 2, 3]\n" == kernel.run("print(sorted_copy)").text()
    assert "[1, 2, 3]\n" == kernel.run("print(items)").text()
    assert "items was changed by run" in first.words


def test_a_change_that_a_slice_has_shown_is_waited_for(kernel: Kernel) -> None:
    """A function that changes its argument is seen in a slice: who reads the argument then waits for the run."""
    kernel.run("items = [3, 2, 1]")
    first = kernel.run("%%greentrain --auto\n" + BUSY + "list.sort(items)")
    kernel.until(lambda: "running on" in first.words or "receipt" in first.words)
    assert "[1, 2, 3]\n" == kernel.run("print(items)").text()
    assert "nothing foretold" not in first.words
