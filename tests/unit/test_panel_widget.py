"""The panel without a browser: what it sends, what it does with clicks, from several threads."""

import dataclasses
import threading
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from greenkernel.errors import UserError
from greenkernel.panel.widget import Panel
from tests.browser import states


class Recorded:
    """Actions that note what they are asked for; ``fails`` makes them raise it."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.fails: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def choose(self, site: str | None) -> None:
        assert self.gate.wait(10)
        self._note("choose", site)

    def cancel(self) -> None:
        self._note("cancel")

    def relocate(self, site: str) -> None:
        self._note("relocate", site)

    def stay(self) -> None:
        self._note("stay")

    def _note(self, *words: Any) -> None:
        if self.fails is not None:
            raise self.fails
        self.said.append(words)


def by_class(panel: Panel, kind: str) -> Any:
    return next(widget for widget in panel._all() if kind in getattr(widget, "_dom_classes", ()))


@pytest.fixture
def actions() -> Recorded:
    return Recorded()


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scripts")


@pytest.fixture
def panel(actions: Recorded, scripts: Path) -> Panel:
    made = Panel(actions, zone=UTC, scripts=scripts)
    made.update(states.choosing())
    made.draw()
    return made


def test_an_update_without_news_sends_nothing(panel: Panel) -> None:
    """No trait of any widget changes; with news only those that show them do."""
    changed: list[str] = []
    panel.update(states.running(100))
    for widget in panel._all():
        widget.observe(lambda change: changed.append(type(change["owner"]).__name__))
    panel.update(states.running(100))
    assert [] == changed
    panel.update(states.running(101))
    assert {"HTML", "Chart"} == set(changed)


def test_one_row_is_always_picked(panel: Panel, actions: Recorded) -> None:
    """Picking another lets go of the first; a click on what is picked leaves it; updates keep the choice."""
    rows = [widget for widget in panel._all() if "gk-site" in getattr(widget, "_dom_classes", ())]
    by_site = {row.description.split()[1]: row for row in rows}
    by_site["coast"].value = True
    by_site["coast"].value = False
    panel.update(states.choosing())
    assert {"coast": True, "windy": False, "sunny": False} == {site: row.value for site, row in by_site.items()}
    by_class(panel, "gk-run").click()
    assert [("choose", "coast")] == actions.said


def test_a_second_press_while_the_first_is_being_done_is_not_a_second_wish(panel: Panel, actions: Recorded) -> None:
    """The action runs without the lock: updates go on meanwhile, and the button is off."""
    actions.gate.clear()
    run = by_class(panel, "gk-run")
    first = threading.Thread(target=run.click)
    first.start()
    while not run.disabled:
        first.join(0.01)
    run.click()
    panel.update(states.choosing())
    actions.gate.set()
    first.join()
    assert [("choose", None)] == actions.said


@pytest.mark.parametrize(("kind", "wish"), [("gk-move", ("relocate", "coast")), ("gk-stay", ("stay",))])
def test_a_proposed_move_is_a_sentence_with_two_buttons(
    panel: Panel, actions: Recorded, kind: str, wish: tuple[str, ...]
) -> None:
    """It is there while it stands, in the reader's time, and each answer is one wish."""
    question = by_class(panel, "gk-proposal")
    panel.update(states.running(100))
    assert "" == question.value
    panel.update(states.running(100, proposal=states.PROPOSAL))
    assert "Moving to coast now would save 12 g CO2e; without an answer by 11:30 it stays" in question.value
    by_class(panel, kind).click()
    assert [wish] == actions.said
    panel.update(states.running(101))
    assert "" == question.value


@pytest.mark.parametrize(
    ("error", "sentence", "raised"),
    [
        (UserError("no <store>", what_to_do="Try again"), "no &lt;store&gt;. Try again.", False),
        (KeyError("x"), "KeyError: &#x27;x&#x27;", True),
    ],
)
def test_an_error_of_an_action_is_a_sentence_in_the_panel(
    panel: Panel, actions: Recorded, error: Exception, sentence: str, raised: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Ours are shown and end there; others are shown and raised, so that they are found."""
    actions.fails = error
    by_class(panel, "gk-run").click()
    assert raised == ("Exception in callback" in caplog.text)
    assert sentence in by_class(panel, "gk-message").value
    assert not by_class(panel, "gk-run").disabled


def test_after_the_end_the_widgets_are_gone_and_a_late_receipt_is_shown(actions: Recorded, tmp_path: Path) -> None:
    """One display, replaced once per phase and once for the receipt; at last without a widget."""
    shown: list[tuple[bool, set[str]]] = []
    panel = Panel(
        actions, zone=UTC, scripts=tmp_path, publish=lambda data, *, update, **_: shown.append((update, set(data)))
    )
    panel.update(states.profiling())
    panel.show()
    before = panel._all()
    no_receipt = dataclasses.replace(states.done(), receipt=None)
    for state in (states.choosing(), states.running(10), states.running(20), no_receipt, states.done(), states.done()):
        panel.update(state)
    panel.close()
    pages = {"text/plain", "text/html"}
    view = pages | {"application/vnd.jupyter.widget-view+json"}
    assert [(False, view), (True, view), (True, view), (True, pages), (True, pages)] == shown
    assert all(widget.comm is None for widget in before)
    assert "saved, profiling counted" in by_class(panel, "gk-last").value
