"""The panel in a real JupyterLab: what is shown, what is clicked, what is saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.lab import Notebook

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(600)]

SETUP = """
import threading, time
from datetime import UTC
from pathlib import Path
from greenkernel.errors import UserError
from greenkernel.panel.widget import Panel
from tests.browser import states

class Fake:
    said, fails = [], False
    def _note(self, *words):
        if Fake.fails:
            raise UserError("the store <cannot> be reached", what_to_do="Try again")
        Fake.said.append([*words, threading.current_thread() is threading.main_thread()])
    def choose(self, site): self._note("choose", site)
    def cancel(self): self._note("cancel")
    def relocate(self, site): self._note("relocate", site)
    def stay(self): self._note("stay")

def later(state):
    def show():
        panel.update(state)
        panel.draw()
    thread = threading.Thread(target=show)
    thread.start()
    thread.join()

panel = Panel(Fake(), zone=UTC, scripts=Path("scripts"))
panel.update(states.profiling())
panel.show()
"""
BUSY = """
began = time.monotonic()
while not Fake.said and time.monotonic() - began < 60:
    time.sleep(0.1)
print("told while busy:", bool(Fake.said))
"""
Open = Callable[..., Notebook]


def said(book: Notebook) -> list[Any]:
    """What the fake actions were asked for, without the thread."""
    return [words[:-1] for words in json.loads(book.call("import json; print(json.dumps(Fake.said))"))]


def show(book: Notebook, state: str) -> None:
    """The next state, from a background thread."""
    assert "" == book.call(f"later(states.{state})")


def overflows(book: Notebook) -> bool:
    return bool(
        book.page.evaluate(
            "() => { const e = document.querySelector('.gk-panel'); return e.scrollWidth > e.clientWidth; }"
        )
    )


def test_a_site_is_chosen_by_clicking_its_row_and_run_also_while_a_cell_is_busy(opened: Open) -> None:
    """The recommended row is picked at first; another is picked by mouse and by keyboard; Run says which, at once."""
    book = opened([SETUP, BUSY])
    book.run(0)
    page = book.page
    page.wait_for_selector(".gk-bar progress:not([value])")
    show(book, "choosing()")
    page.wait_for_selector(".gk-panel svg.marks path")
    rows = page.locator(".gk-site:visible")
    assert ["◉ windy ✓", "○ coast", "✕ sunny"] == rows.all_inner_texts()
    assert rows.nth(2).is_disabled()
    book.run(1, wait=False)
    book.until(lambda: book.status() == "busy")
    rows.nth(1).focus()
    page.keyboard.press("Space")
    page.wait_for_selector(".gk-run:has-text('Run on coast')")
    rows.nth(0).click()
    page.wait_for_selector(".gk-run:has-text('Run on windy')")
    rows.nth(1).click()
    page.wait_for_selector(".gk-run:has-text('Run on coast')")
    assert ["○ windy ✓", "◉ coast", "✕ sunny"] == rows.all_inner_texts()
    page.click(".gk-run")
    page.wait_for_selector(".gk-message:has-text('Asked to run on coast')")
    page.wait_for_selector(".gk-run", state="hidden")  # a button and a sentence are two messages
    book.until(lambda: "told while busy: True" in book.output(1))
    assert [["choose", "coast"]] == said(book)


def test_the_recommended_site_is_chosen_as_none(opened: Open) -> None:
    """Run without a click on a row takes the plan as it is; an error of the action is a sentence."""
    book = opened([SETUP])
    book.run(0)
    show(book, "choosing()")
    book.call("Fake.fails = True")
    book.page.click(".gk-run")
    book.page.wait_for_selector(".gk-message [role=alert]:has-text('the store <cannot> be reached. Try again.')")
    book.call("Fake.fails = False")
    book.page.click(".gk-run")
    book.page.wait_for_selector(".gk-message:has-text('Asked to run on windy')")
    assert [["choose", None]] == said(book)


@pytest.mark.parametrize(("button", "wish"), [("gk-move", ["relocate", "coast"]), ("gk-stay", ["stay"])])
def test_a_proposed_move_is_answered_while_a_cell_is_busy(button: str, wish: list[str], opened: Open) -> None:
    """The question appears under the progress with its two buttons, fits, and goes when it is answered."""
    book = opened([SETUP, BUSY])
    book.run(0)
    show(book, "running(100)")
    page = book.page
    page.wait_for_selector(f".{button}", state="hidden")
    show(book, "running(100, proposal=states.PROPOSAL)")
    page.wait_for_selector(".gk-proposal:has-text('Moving to coast now would save 12 g CO2e')")
    assert not overflows(book)
    book.run(1, wait=False)
    book.until(lambda: book.status() == "busy")
    page.click(f".{button}")
    book.until(lambda: "told while busy: True" in book.output(1))
    show(book, "running(101)")
    page.wait_for_selector(f".{button}", state="hidden")
    assert [wish] == said(book)


def test_a_run_is_relocated_and_cancelled_with_a_question_in_between(opened: Open) -> None:
    """Relocate names the site beside it; Cancel asks, Keep goes back, Confirm cancels; the chart is not built again."""
    book = opened([SETUP])
    book.run(0)
    show(book, "choosing()")
    show(book, "running(100)")
    page = book.page
    page.wait_for_selector(".gk-log pre:has-text('Done  99 tasks')")
    page.wait_for_selector(".gk-panel svg.marks path")
    page.evaluate("() => { document.querySelector('.gk-panel svg.marks').kept = true; }")
    before = page.locator(".gk-panel svg.marks").inner_html()
    show(book, "running(200)")
    book.until(lambda: page.locator(".gk-panel svg.marks").inner_html() != before)
    assert page.evaluate("() => document.querySelector('.gk-panel svg.marks').kept === true")
    assert "0.500" == page.locator(".gk-bar progress").get_attribute("value")
    page.locator(".gk-target select").select_option("sunny")
    page.click(".gk-relocate")
    page.wait_for_selector(".gk-message:has-text('Asked to go to sunny')")
    page.click(".gk-cancel")
    page.click(".gk-keep")
    page.click(".gk-cancel")
    page.wait_for_selector(".gk-keep:focus")
    page.wait_for_selector(".gk-relocate", state="hidden")
    page.click(".gk-confirm")
    page.wait_for_selector(".gk-message:has-text('Asked to cancel the run')")
    assert [["relocate", "sunny"], ["cancel"]] == said(book)


def test_after_the_end_the_file_tells_the_receipt_and_stays_small(opened: Open) -> None:
    """A day of updates, one a minute: one output, at last without a widget, as HTML and text, below 200 kB."""
    book = opened([SETUP])
    book.run(0)
    show(book, "choosing()")
    book.call("for n in range(1440): panel.update(states.running(1 + n // 4, moved=n > 800))")
    book.call("later(states.done()); later(states.done())")
    book.page.wait_for_selector(".jp-Cell-outputArea table[aria-label=receipt]")
    assert 0 == book.page.locator(".gk-panel").count()
    (output,) = book.saved().cells[0].outputs
    assert {"text/html", "text/plain"} == set(output.data)
    assert "90 g CO2e (62-118)" in output.data["text/html"]
    assert "receipt of run k3x9 (ecg forest): done" in output.data["text/plain"]
    assert book.path.stat().st_size < 200_000


def test_a_page_that_is_loaded_again_shows_the_run_as_it_is_and_its_end(opened: Open) -> None:
    """The chart has the newest data, updates and clicks go on, and the receipt is shown there too."""
    book = opened([SETUP])
    book.run(0)
    for state in ("choosing()", "running(100)", "running(300, moved=True)"):
        show(book, state)
    book.saved()
    book.page.reload()
    book.ready()
    book.page.wait_for_selector(".gk-left:has-text('300 of 400 tasks')")
    marks = book.page.locator(".gk-panel svg.marks :text('was: windy'), .gk-panel svg.marks :text('now')")
    book.until(lambda: 2 == marks.count())
    show(book, "running(340, moved=True)")
    book.page.wait_for_selector(".gk-left:has-text('340 of 400 tasks')")
    book.page.click(".gk-relocate")
    book.page.wait_for_selector(".gk-message:has-text('Asked to go to windy')")
    show(book, "done()")
    book.page.wait_for_selector(".gk-panel table[aria-label=receipt]")
    assert 0 == book.page.locator(".gk-panel button").count()


@pytest.mark.parametrize(
    ("name", "dark", "width"), [("light", False, 1280), ("dark", True, 1280), ("narrow", False, 700)]
)
def test_every_phase_fits_its_place(
    opened: Open, picture: Callable[[Notebook, str], None], name: str, dark: bool, width: int
) -> None:
    """In both themes and at 700 px nothing runs over the panel's edge, and text keeps the theme's colour."""
    book = opened([SETUP], dark=dark, width=width)
    book.run(0)
    if width < 900:
        book.command("application:toggle-left-area")
    picture(book, f"{name}-1-profiling")
    for number, state in enumerate(("choosing()", "running(120)", "running(260, moved=True)"), start=2):
        show(book, state)
        book.page.wait_for_selector(".gk-panel svg.marks path")
        assert not overflows(book), state
        picture(book, f"{name}-{number}-{state.partition('(')[0]}")
    colour = book.page.evaluate("() => getComputedStyle(document.querySelector('.gk-panel .gk-title b')).color")
    assert dark == (int(colour.split("(")[1].split(",")[0]) > 128)
    for state in ("failed()", "done()"):
        show(book, state)
        picture(book, f"{name}-5-{state.partition('(')[0]}")
