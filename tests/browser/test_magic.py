"""The magic in a real JupyterLab: runs on real embedded sites, driven by clicks alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenkernel.clock import RealClock
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.settings import Settings
from tests.browser.lab import Lab, Notebook
from tests.flows.conftest import PLAIN_SITES, end_controllers

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(600)]
Picture = Callable[[Notebook, str], None]
Open = Callable[..., Notebook]
SITES = f"""{PLAIN_SITES}
[sites.small]
kind = "embedded"
zone = "S"
intensity_g_per_kwh = 50
max_cores = 1
memory = "1MiB"
"""
# Joblib tasks that take long enough to be moved in between.
MOVABLE = """%%greentrain --no-profile
import time
from joblib import Parallel, delayed
def work(n):
    time.sleep(0.25)
    return n * n
squares = Parallel(n_jobs=2)(delayed(work)(n) for n in range(80))
print(len(squares), 'squares')
"""
# The last ones wait for the test, which then is in no hurry.
HELD = """%%greentrain --auto --no-profile
import os, time
from joblib import Parallel, delayed
def work(n):
    while n >= 20 and not os.path.exists(GATE):
        time.sleep(0.05)
    return n * n
squares = Parallel(n_jobs=2)(delayed(work)(n) for n in range(40))
print(len(squares), 'squares')
"""


class Desk:
    """Notebooks with the extension loaded, and the home that their runs belong to."""

    def __init__(self, jupyter: Lab, folder: Path) -> None:
        self._jupyter, self._folder = jupyter, folder
        folder.mkdir()
        (folder / "sites.toml").write_text(SITES)
        self.home = Home(Settings(folder), RealClock())
        self._opened = folder / "opened"
        self._gate = f"GATE = {str(self._opened)!r}\n"

    def open_gate(self) -> None:
        """Let tasks go on that wait for it."""
        self._opened.touch()

    def load(self) -> str:
        """The first cell of each notebook."""
        return f"import os\nos.environ['GREENKERNEL_HOME'] = {str(self._folder)!r}\n%load_ext greenkernel\n{self._gate}"

    def stays(self) -> list[str]:
        """The sites that the last run has been on, by its receipt."""
        receipt = self.run().wait(60).receipt
        assert receipt is not None
        return [stay.site for stay in receipt.stays]

    def run(self) -> Run:
        """The run that was sent last."""
        newest = max(self.home.journal.entries(), key=lambda entry: entry.created_at)
        return Run(self.home, newest.id)


@pytest.fixture
def desk(jupyter: Lab, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(jupyter, tmp_path / "home")
    yield made
    for entry in made.home.journal.entries(only_open=True):
        run = Run(made.home, entry.id)
        if not run.state.ended:
            run.cancel()
            run.wait(60)
    end_controllers(tmp_path / "home")


@pytest.fixture
def opened(jupyter: Lab) -> Iterator[Callable[..., Notebook]]:
    """Opens notebooks at 700 px; afterwards nothing may have asked anybody but 127.0.0.1, and no kernel is left."""
    with_pages = []

    def open_one(cells: list[str]) -> Notebook:
        context = jupyter.open(cells, width=700)
        book = context.__enter__()
        with_pages.append((context, book))
        book.command("application:toggle-left-area")
        return book

    yield open_one
    for context, book in with_pages:
        book.saved()
        book.page.evaluate("async () => { await window.jupyterapp.serviceManager.sessions.shutdownAll(); }")
        context.__exit__(None, None, None)
        assert [] == book.outside


@pytest.fixture
def picture() -> Picture:
    """Takes pictures of the notebook in both themes, where GREENKERNEL_SCREENSHOTS names a folder."""
    folder = os.environ.get("GREENKERNEL_SCREENSHOTS")

    def take(book: Notebook, name: str) -> None:
        if not folder:
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        book.page.set_viewport_size({"width": 700, "height": 1500})
        for theme in ("Dark", "Light"):
            book.page.evaluate(
                "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {theme}"
            )
            book.page.wait_for_timeout(600)
            book.page.screenshot(path=str(Path(folder) / f"magic-{name}-{theme.lower()}.png"))
        book.page.set_viewport_size({"width": 700, "height": 900})

    return take


def cell(number: int) -> str:
    """A selector for one cell's output."""
    return f".jp-Notebook .jp-Cell:nth-child({number + 1} of .jp-Cell) .jp-Cell-outputArea"


def pick(book: Notebook, site: str) -> None:
    """Choose a site by its row, and press Run."""
    book.page.click(f".gk-site:visible:has-text('{site}')")
    book.page.wait_for_selector(f".gk-run:visible:has-text('Run on {site}')")
    book.page.click(".gk-run:visible")


def told(book: Notebook, number: int) -> list[Any]:
    """The outputs of the run's cell in the saved file, which tells the run's end there and stays small."""
    book.until(lambda: "receipt" in book.output(number))
    outputs: list[Any] = book.saved().cells[number].outputs
    panels = [o for o in outputs if re.match(r"run \d+-\w+ .*: (done|failed|cancelled)", plain(o))]
    assert 1 == len(panels), [plain(o) for o in outputs]
    assert {"text/html", "text/plain"} == set(panels[0].data)
    assert "<table" in panels[0].data["text/html"]
    assert 200_000 > sum(len(json.dumps(o)) for o in outputs if "image/png" not in o.get("data", {}))
    return outputs


def plain(output: Any) -> str:
    """The text of a display."""
    return str(output.get("data", {}).get("text/plain", ""))


def source(book: Notebook, number: int, text: str) -> None:
    """Write a cell."""
    book.page.evaluate(
        "([n, text]) => window.jupyterapp.shell.currentWidget.content.widgets[n].model.sharedModel.setSource(text)",
        [number, text],
    )


def test_a_site_is_chosen_and_everything_is_as_after_a_plain_run(desk: Desk, opened: Open, picture: Picture) -> None:
    """The run goes where the click said; output, figure and value are under its cell; names are bound."""
    train = """%%greentrain
import matplotlib.pyplot as plt
for n in range(3):
    print(f'step {n}', end='\\r', flush=True)
print('all steps')
total = sum(rows)
plt.plot(rows[:20])
plt.show()
total"""
    book = opened([desk.load() + "%matplotlib inline\nrows = list(range(1000))", train, "print(total)"])
    book.run(0)
    book.run(1)
    page = book.page
    page.wait_for_selector(".gk-site:visible")
    page.wait_for_selector(".gk-panel svg.marks path")
    picture(book, "1-choosing")
    pick(book, "far")
    book.until(lambda: "receipt" in book.output(1), timeout_s=60)
    picture(book, "1-done")
    book.run(2)
    assert "499500" == book.output(2).strip()
    assert ["far"] == desk.stays()
    assert 0 == page.locator(".gk-panel button").count()
    outputs = told(book, 1)
    assert ["all steps\n"] == [o.text for o in outputs if o.output_type == "stream"]
    assert 1 == sum("image/png" in o.get("data", {}) for o in outputs)
    values = [(o.data["text/plain"], o.execution_count) for o in outputs if o.output_type == "execute_result"]
    assert [("499500", book.count(1))] == values


def test_a_choice_is_clicked_while_a_cell_waits_that_needs_it(
    desk: Desk, opened: Open, picture: Picture, tmp_path: Path
) -> None:
    """The kernel is busy with a cell that needs two runs; the one that waits for a choice goes where the click says."""
    gate = tmp_path / "gate"
    first = f"""%%greentrain --auto --no-profile
import time
from pathlib import Path
while not Path({str(gate)!r}).exists():
    time.sleep(0.1)
a = 1"""
    book = opened([desk.load(), first, "%%greentrain --no-profile\nb = 2", "print(a + b)"])
    for number in range(3):
        book.run(number)
    book.run(3, wait=False)
    book.until(lambda: "waits for" in book.output(3))
    book.page.wait_for_selector(".gk-run:visible")
    picture(book, "2-waiting")
    pick(book, "far")
    assert ["far"] == desk.stays()
    assert "waits for" in book.output(3)
    gate.touch()
    book.until(lambda: book.output(3).strip().endswith("\n3"), timeout_s=60)
    picture(book, "2-waited")


def test_what_is_picked_is_taken_where_run_was_not_pressed(desk: Desk, opened: Open, picture: Picture) -> None:
    """A cell that needs the run takes the row that was clicked, and says so."""
    book = opened([desk.load(), "%%greentrain --no-profile\nb = 2", "print(b)"])
    book.run(0)
    book.run(1)
    book.page.click(".gk-site:visible:has-text('far')")
    book.page.wait_for_selector(".gk-run:visible:has-text('Run on far')")
    book.run(2)
    picture(book, "2-picked")
    assert "Run was not pressed, so far is taken" in book.output(2)
    assert ["far"] == desk.stays()


def test_a_run_is_relocated_while_it_is_at_work(desk: Desk, opened: Open, picture: Picture) -> None:
    """Progress and the move are seen, finished tasks go along, and the receipt lists the move."""
    book = opened([desk.load(), MOVABLE, "print(sum(squares))"])
    page = book.page
    book.run(0)
    book.run(1)
    page.wait_for_selector(".gk-site:visible")
    picture(book, "3-no-profile")
    pick(book, "near")
    page.wait_for_selector(".gk-left:has-text('of 80 tasks')", timeout=60_000)
    picture(book, "3-at-work")
    page.locator(".gk-target select:visible").select_option("far")
    page.click(".gk-relocate")
    page.wait_for_selector(".gk-message:has-text('Asked to go to far')")
    picture(book, "3-moving")
    page.wait_for_selector(".gk-moves li:has-text('far')", timeout=60_000)
    page.wait_for_selector(".gk-panel svg.marks :text('far')")
    page.wait_for_selector(".gk-left:has-text('reused')", timeout=60_000)
    picture(book, "3-moved")
    book.until(lambda: "receipt" in book.output(1), timeout_s=60)
    picture(book, "3-done")
    book.run(2)
    assert str(sum(n * n for n in range(80))) == book.output(2).strip()
    assert ["near", "far"] == desk.stays()
    text = next(o.data["text/html"] for o in told(book, 1) if "receipt" in o.get("data", {}).get("text/plain", ""))
    assert "move near → far (user)" in text


def test_cancel_leaves_the_old_values_and_says_when_it_has_stopped(desk: Desk, opened: Open, picture: Picture) -> None:
    """Cancel asks once; the panel says that it is cancelling, and then that nothing is left."""
    book = opened([desk.load() + "squares = 'old'", HELD, "print(squares, 'work' in globals())"])
    page = book.page
    book.run(0)
    book.run(1)
    page.wait_for_selector(".gk-left:has-text('of 40 tasks')", timeout=60_000)
    page.click(".gk-cancel")
    page.wait_for_selector(".gk-confirm:visible")
    picture(book, "4-asks")
    page.click(".gk-confirm")
    # That it was asked to is said in the panel's own test: this run may end at once.
    book.until(lambda: "nothing of it is left running" in book.output(1), timeout_s=60)
    picture(book, "4-cancelled")
    assert "cancelled" == desk.run().state
    book.run(2)
    assert "old False" == book.output(2).strip()
    told(book, 1)


def test_a_restarted_kernel_takes_its_run_back(desk: Desk, opened: Open, picture: Picture) -> None:
    """Attached in a new kernel the run has its panel again, and its names come when it has ended."""
    book = opened([desk.load(), HELD, "", "print(len(squares))"])
    page = book.page
    book.run(0)
    book.run(1)
    page.wait_for_selector(".gk-left:has-text('of 40 tasks')", timeout=60_000)
    page.evaluate("async () => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    book.until(lambda: book.status() == "idle")
    picture(book, "5-restarted")
    book.run(0, wait=False)
    book.until(lambda: "greentrain" in book.call("print(get_ipython().magics_manager.magics['cell'].keys())"))
    source(book, 2, f"%greenruns attach {desk.run().id}")
    book.run(2)
    page.wait_for_selector(f"{cell(2)} .gk-left:has-text('of 40 tasks')")
    book.run(3, wait=False)
    book.until(lambda: "waits for" in book.output(3))
    picture(book, "5-attached")
    desk.open_gate()
    book.until(lambda: book.output(3).strip().endswith("\n40"), timeout_s=60)
    picture(book, "5-done")
    told(book, 2)


@pytest.mark.parametrize("fails", [False, True])
def test_run_all(desk: Desk, opened: Open, picture: Picture, fails: bool) -> None:
    """As on this machine: in order, or up to the cell that needs what has failed, with the traceback where it was."""
    train = """%%greentrain --no-profile
forest = RandomForestClassifier(n_estimators=20, random_state=0, n_jobs=-1).fit(X, y)
score = forest.score(X, y)
print(f'score {score:.2f}')
"""
    train += "forest.no_such_method()\n" if fails else "score"
    setup = """%matplotlib inline
import numpy as np
import matplotlib.pyplot as plt
from sklearn.ensemble import RandomForestClassifier
X = np.random.default_rng(0).normal(size=(2000, 8))
y = (X[:, 0] > 0).astype(int)
"""
    predict, plot = "found = forest.predict(X[:4])\nfound == y[:4]", "plt.plot(forest.feature_importances_)\nplt.show()"
    book = opened([desk.load() + setup, train, predict, plot, "print('the end', forest.n_estimators)"])
    book.command("notebook:run-all-cells")
    if fails:
        book.until(lambda: "AttributeError" in book.output(1) and book.status() == "idle", timeout_s=90)
        book.until(lambda: "it uses forest, and run" in book.output(2))
        picture(book, "6-failed")
        assert "" == book.output(3) + book.output(4)
        kinds = [output.output_type for output in told(book, 1)]
        assert ["display_data", "stream", "error"] == kinds
        return
    book.until(lambda: "the end 20" in book.output(4), timeout_s=90)
    book.until(lambda: "receipt" in book.output(1))
    picture(book, "6-done")
    assert "the recommended one" in book.output(2)
    assert "array([ True,  True,  True,  True])" in book.output(2)
    assert 1 == sum("image/png" in o.get("data", {}) for o in book.saved().cells[3].outputs)
    assert ["display_data", "stream", "execute_result"] == [o.output_type for o in told(book, 1)]


def test_the_stop_button_stops_the_cell_that_waits_and_not_the_run(desk: Desk, opened: Open, picture: Picture) -> None:
    """The cell says so without a traceback; run again it waits again, and the run ends as if nothing had been."""
    book = opened([desk.load(), HELD, "print(len(squares))"])
    book.run(0)
    book.run(1)
    book.run(2, wait=False)
    book.until(lambda: "waits for" in book.output(2))
    book.command("notebook:interrupt-kernel")
    book.until(lambda: "interrupted" in book.output(2) and book.status() == "idle")
    picture(book, "7-interrupted")
    assert "Traceback" not in book.output(2)
    book.run(2, wait=False)
    book.until(lambda: book.status() == "busy")
    desk.open_gate()
    book.until(lambda: book.output(2).strip().endswith("\n40"), timeout_s=60)
    assert "done" == desk.run().state
    told(book, 1)


def test_a_page_that_is_loaded_again_during_a_run_saves_its_end(desk: Desk, opened: Open, picture: Picture) -> None:
    """Its panel goes on, and the next cell brings the receipt into the file."""
    book = opened([desk.load(), HELD, "print(len(squares))"])
    page = book.page
    book.run(0)
    book.run(1)
    page.wait_for_selector(".gk-left:has-text('of 40 tasks')", timeout=60_000)
    book.saved()
    page.reload()
    book.ready()
    page.wait_for_selector(".gk-left:has-text('of 40 tasks')")
    picture(book, "8-reloaded")
    desk.open_gate()
    book.until(lambda: "receipt" in book.output(1), timeout_s=60)
    picture(book, "8-ended")
    book.run(2)
    assert "40" in book.output(2)
    picture(book, "8-shown")
    told(book, 2)
