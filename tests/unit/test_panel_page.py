"""A run as a page: escaped, bounded, without script, and complete after the end."""

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from greenkernel.panel.fragments import status_html
from greenkernel.panel.page import MOST_HTML_BYTES, page_html, page_text
from greenkernel.panel.state import PanelState
from greenkernel.panel.words import log_lines
from greenkernel.records import Item, RunState, SourceFile
from tests.browser import states

EVIL = "<script>alert(1)</script><img src=x onerror=y>\x1b[31m'\""
ALL = [states.profiling, states.choosing, states.running, states.done, states.failed]


def evil(make: Callable[[], PanelState]) -> PanelState:
    """A state in which everything that a user or a site may have written is markup."""
    state = make()
    items = (Item(name=EVIL, kind=EVIL, bytes=1, why=EVIL, secret_like=True),)
    files = (SourceFile(path=EVIL, blob="0", bytes=1),)
    return dataclasses.replace(
        state,
        run=EVIL,
        name=EVIL,
        detail=EVIL,
        impossible=EVIL,
        error=EVIL if state.state is RunState.FAILED else None,
        log_tail=EVIL,
        notes=((states.START, EVIL),),
        capture=dataclasses.replace(state.capture, items=items, files=files),
        profile=dataclasses.replace(states.PROFILE, notes=(EVIL,)),
        predictions=tuple(dataclasses.replace(p, site=EVIL, why_not=EVIL) for p in state.predictions),
        plan=dataclasses.replace(states.PLAN, reason=EVIL),
        epochs=tuple(dataclasses.replace(e, site=EVIL, reason=EVIL) for e in (states.FIRST, states.SECOND)),
        receipt=dataclasses.replace(states.receipt(), error=EVIL, name=EVIL) if state.receipt else None,
    )


class Tags(HTMLParser):
    """Every tag and attribute of a page, and whether all of them are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()


@pytest.mark.parametrize("make", ALL)
def test_what_a_user_wrote_never_becomes_markup(make: Callable[[], PanelState]) -> None:
    """Only our own tags and harmless attributes; every tag is closed; no style refers to a colour or an address."""
    html = page_html(evil(make), zone=UTC)
    tags = Tags()
    tags.feed(html)
    assert [] == tags.open
    known = {"div", "b", "code", "table", "tr", "th", "td", "br", "span", "details", "summary", "pre", "ol", "ul", "li"}
    assert tags.names <= known
    assert tags.attributes <= {"style", "scope", "aria-label"}
    assert not re.search(r"(?<!border-)color:|url\(|javascript:", html)
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("make", ALL)
def test_a_page_is_bounded_whatever_it_is_made_of(make: Callable[[], PanelState]) -> None:
    """A thousand values with long names, a megabyte of log: still what a notebook file can bear."""
    state = make()
    items = tuple(Item(name=f"x{n}" * 200, kind="k" * 999, bytes=n, why="w" * 999) for n in range(1000))
    huge = dataclasses.replace(
        state,
        name="n" * 10_000,
        detail="d" * 100_000,
        error="e" * 100_000 if state.state is RunState.FAILED else None,
        log_tail="<&>" * 300_000,
        capture=dataclasses.replace(state.capture, items=items),
    )
    assert len(page_html(huge, zone=UTC).encode()) < MOST_HTML_BYTES + 1000
    assert len(page_text(huge, zone=UTC)) < MOST_HTML_BYTES


def test_each_phase_says_what_matters_in_it() -> None:
    """The slice, the choice with its reason and what cannot, where it is and what is left, the receipt."""
    said = {make.__name__: page_html(make(), zone=UTC) for make in ALL}
    assert "slice 3: 400 of 20000 rows" in said["profiling"]
    assert "✓ <b>windy</b> (recommended)" in said["choosing"]
    assert "windy now, then coast from 11:20" in said["choosing"]
    assert "cannot: may need until 20:17" in said["choosing"]
    assert "<b>looks like a secret</b>" in said["choosing"]
    assert "120 of 400 tasks, about 2 h 50 (2 h 16 to 3 h 24) left" in said["running"]
    assert "09:01:09 windy has begun" in said["running"]
    assert "saved, profiling counted" in said["done"]
    assert "ValueError: could not convert string to float: &#x27;&lt;b&gt;&#x27;" in said["failed"]
    assert "receipt of run k3x9 (ecg forest): done" in page_text(states.done(), zone=UTC)
    assert "no plan: too late" in page_text(states.choosing(plan=None, impossible="too late"), zone=UTC)


def test_a_proposed_move_says_how_to_answer_where_nothing_can_be_clicked() -> None:
    """The page has the sentence and the command, the text the sentence; after the end there is neither."""
    asking = states.running(100, proposal=states.PROPOSAL)
    assert "by 12:30 it stays</b>; <code>%greenruns relocate k3x9 coast</code>" in page_html(
        asking, zone=ZoneInfo("Europe/Berlin")
    )
    assert "moving to coast now would save 12 g CO2e; without an answer by 11:30 it stays" in page_text(
        asking, zone=UTC
    )
    over = dataclasses.replace(asking, proposal=dataclasses.replace(states.PROPOSAL, saving_g=None, reason="1 h less"))
    assert "now is better (1 h less);" in page_text(over, zone=UTC)
    assert "Moving" not in page_html(dataclasses.replace(states.done(), proposal=states.PROPOSAL), zone=UTC)


def test_a_run_that_never_began_says_why() -> None:
    """Without a receipt the error is told, or the detail."""
    state = dataclasses.replace(states.profiling(), state=RunState.CANCELLED, detail="nobody chose in a day")
    assert "<b>cancelled</b>: nobody chose in a day" in page_html(state, zone=UTC)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb\n", "a\nb"),
        ("10%\r50%\r100%\n", "100%"),
        ("\x1b[31mred\x1b[0m <b>\n", "red &lt;b&gt;"),
        ("\n".join(str(n) for n in range(20)), "\n".join(str(n) for n in range(12, 20))),
    ],
)
def test_the_end_of_a_log_is_eight_plain_lines(text: str, lines: str) -> None:
    """Returns are honoured, colours are dropped, markup is text."""
    assert lines == log_lines(text)


def test_the_end_of_a_log_is_bounded_after_escaping() -> None:
    """One endless line of ampersands is five times as long in HTML."""
    assert len(log_lines("&" * 1_000_000).encode()) <= 4096
    assert len(log_lines(("é" * 3000 + "\n") * 9).encode()) <= 4096


def test_a_cancelled_run_says_that_nothing_is_left_of_it() -> None:
    """Also where it has a receipt."""
    state = dataclasses.replace(states.done(), state=RunState.CANCELLED, error=None, detail="")
    assert "<b>cancelled</b>: nothing of it is left running" in page_html(state, zone=UTC)
    assert "<code>%greenruns resume k3x9</code>" in page_html(state, zone=UTC)
    assert "nothing of it is left running" in page_text(state, zone=UTC)


def test_a_page_of_a_run_at_work_says_when_it_was_so_and_where_the_end_is() -> None:
    """A file may keep it for ever."""
    assert "how it ended: <code>%greenreport k3x9</code>" in page_html(states.running(3), zone=UTC)
    assert "As it was at" not in page_html(states.done(), zone=UTC)


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("on windy", "running</b> on windy"),
        ("to coast", "running</b> to coast"),
        ("cancelling", "on windy: cancelling"),
    ],
)
def test_a_site_is_named_once(detail: str, said: str) -> None:
    """Most details say where it is themselves."""
    shown = status_html(dataclasses.replace(states.running(3), detail=detail))
    assert said in shown
    assert 1 == shown.count("on windy") + shown.count("to coast")
