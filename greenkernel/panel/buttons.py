"""The buttons of the panel: Run, Relocate and its target, Cancel, which asks once in its own place; Move and Stay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

import ipywidgets

from greenkernel.panel.controls import at_once, button, html_box, visible
from greenkernel.panel.fragments import proposal_html
from greenkernel.panel.state import PanelState
from greenkernel.records import RunState


class Question(ipywidgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """A move that is proposed, with its two answers.

    Args:
        move: Move was pressed, with the site.
        stay: Stay was pressed.
    """

    def __init__(self, *, move: Callable[[str], None], stay: Callable[[], None]) -> None:
        self._site = ""
        self._text = html_box(kind="gk-proposal", flex="0 1 auto")
        self._move = button("Move", "Go there now, with what has been computed", "gk-move", lambda: move(self._site))
        self._stay = button("Stay", "Stay here; nothing is asked for a while", "gk-stay", stay)
        layout = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        super().__init__([self._text, self._move, self._stay], layout=layout)

    def show(self, state: PanelState, zone: tzinfo | None, *, acting: bool) -> None:
        """Show the question while it stands."""
        self._text.value = proposal_html(state, zone, command=False)
        self._site = state.proposal.site if state.proposal is not None else ""
        visible(self, bool(self._text.value))
        for widget in (self._move, self._stay):
            widget.disabled = acting


class Buttons(ipywidgets.HBox):  # type: ignore[misc]  # ipywidgets has no types
    """The row of buttons.

    Args:
        run: Run was pressed.
        relocate: Relocate was pressed, with this site.
        cancel: Cancel was pressed and confirmed.
        again: Shows everything again.
    """

    def __init__(
        self,
        *,
        run: Callable[[], None],
        relocate: Callable[[str], None],
        cancel: Callable[[], None],
        again: Callable[[], None],
    ) -> None:
        self._again, self._do_cancel, self._do_relocate = again, cancel, relocate
        self._really = False
        self._run = button("Run", "Run the cell on the site that is picked", "gk-run", run)
        self._run.add_class("gk-go")
        self._target = at_once(ipywidgets.Dropdown(options=[], layout=ipywidgets.Layout(width="160px")))
        self._target.add_class("gk-target")
        self._target.tooltip = "the site to go to"
        self._relocate = button("Relocate", "Go to the site beside this button", "gk-relocate", self._on_relocate)
        self._cancel = button("Cancel", "End this run", "gk-cancel", lambda: self._ask(True))
        self._confirm = button("Confirm: cancel the run", "Yes, end this run", "gk-confirm", self._on_confirm)
        self._keep = button("Keep the run", "No, let it run", "gk-keep", lambda: self._ask(False))
        row = [self._run, self._target, self._relocate, self._cancel, self._confirm, self._keep]
        super().__init__(row, layout=ipywidgets.Layout(flex_flow="row wrap"))

    def show(self, state: PanelState, *, picked: str | None, may_choose: bool, acting: bool) -> None:
        """Show what can be done now; ``acting``: something is being done already."""
        self._run.description = f"Run on {picked[:40]}" if picked else "Run"
        self._run.disabled = acting or picked is None
        visible(self._run, may_choose)
        others = [site for site in state.sites if site != state.here]
        self._offer(others)
        at_work = state.phase == "at work" and state.state in (RunState.STARTING, RunState.RUNNING)
        may_go = at_work and bool(others) and not self._really
        for widget, shown in ((self._target, may_go), (self._relocate, may_go), (self._cancel, not self._really)):
            visible(widget, shown)
        for widget in (self._confirm, self._keep):
            visible(widget, self._really)
        for widget in (self._relocate, self._confirm):
            widget.disabled = acting

    def _offer(self, sites: list[str]) -> None:
        if list(self._target.options) == sites:
            return
        before: Any = self._target.value
        self._target.index = None  # else a view would keep an index that it no longer shows
        self._target.options = sites
        self._target.index = (sites.index(before) if before in sites else 0) if sites else None

    def _on_relocate(self) -> None:
        if self._target.value:
            self._do_relocate(self._target.value)

    def _on_confirm(self) -> None:
        self._do_cancel()
        self._ask(False)

    def _ask(self, really: bool) -> None:
        """Whoever uses the keyboard goes on where the question is."""
        self._really = really
        self._again()
        (self._keep if really else self._cancel).focus()
