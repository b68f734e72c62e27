"""The panel: a run as widgets that can be clicked, with pages for where they cannot.

Updates come from a background thread and clicks on whatever thread the kernel delivers them; one lock is held while
traits are set, never while an action runs. Equal traits are not sent.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import tzinfo
from typing import Any, Final, Protocol

import ipywidgets
from IPython.display import display

from greenkernel.errors import GreenKernelError
from greenkernel.panel.charts import chart_spec
from greenkernel.panel.controls import STYLE, SiteTable, at_once, button, html_box, make_chart, visible
from greenkernel.panel.fragments import (
    details_html,
    log_html,
    manifest_html,
    manifest_summary,
    moves_html,
    progress_html,
    slices_html,
    slices_summary,
    status_html,
    title_html,
)
from greenkernel.panel.page import no_plan_html, page_html, page_text
from greenkernel.panel.rows import site_rows
from greenkernel.panel.state import PanelState
from greenkernel.panel.words import escape
from greenkernel.records import RunState

_VIEW: Final = "application/vnd.jupyter.widget-view+json"


class Actions(Protocol):
    """What a person may do about a run; each returns once the wish is written, and raises where it cannot be."""

    def choose(self, site: str | None) -> None:
        """Run was pressed; None is the recommended site."""
        ...

    def cancel(self) -> None:
        """End the run."""
        ...

    def relocate(self, site: str) -> None:
        """Go to another site."""
        ...


class Panel:
    """One run's panel.

    Args:
        actions: What clicks do.
        zone: The zone in which times are shown; None: the machine's.
    """

    def __init__(self, actions: Actions, *, zone: tzinfo | None) -> None:
        self._actions = actions
        self._zone = zone
        self._lock = threading.RLock()
        self._state: PanelState | None = None
        self._display_id = uuid.uuid4().hex
        self._shown_phase: str | None = None
        self._acting = False
        self._wished = False
        self._really = False
        self._closed = False
        self._build()

    def show(self) -> None:
        """Display the panel in the running cell, with its pages for notebooks that are saved or have no widgets."""
        with self._lock:
            self._publish(update=False)

    def update(self, state: PanelState) -> None:
        """Show a run as it is now; from any thread."""
        with self._lock:
            if self._closed:
                return
            self._state = state
            if state.phase != "ended":
                self._refresh()
            if self._shown_phase is not None and self._shown_phase != state.phase:
                self._publish(update=True)
            if state.phase == "ended":
                self.close()

    def close(self) -> None:
        """Take the widgets away; what the notebook file has of them stays."""
        with self._lock:
            if not self._closed:
                self._closed = True
                ipywidgets.Widget.close(self._root)
                for widget in self._all():
                    widget.close()

    # --- building -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._title, self._status = html_box(kind="gk-title"), html_box(kind="gk-status")
        self._bar, self._left = html_box(kind="gk-bar"), html_box(kind="gk-left")
        self._table = SiteTable(lambda _site: self._refresh())
        self._no_plan, self._message = html_box(kind="gk-no-plan"), html_box(kind="gk-message")
        self._chart = make_chart()
        self._chart_box = ipywidgets.VBox([self._chart] if self._chart is not None else [])
        self._manifest, self._slices = html_box(kind="gk-manifest"), html_box(kind="gk-slices")
        self._moves, self._log = html_box(kind="gk-moves"), html_box(kind="gk-log")
        self._run = button("Run", "Run the cell on the site that is picked", "gk-run", self._on_run)
        self._run.add_class("gk-go")
        self._target = at_once(ipywidgets.Dropdown(options=[], layout=ipywidgets.Layout(width="160px")))
        self._target.add_class("gk-target")
        self._target.tooltip = "the site to go to"
        self._relocate = button("Relocate", "Go to the site beside this button", "gk-relocate", self._on_relocate)
        self._cancel = button("Cancel", "End this run", "gk-cancel", lambda: self._ask(True))
        self._confirm = button("Confirm: cancel the run", "Yes, end this run", "gk-confirm", self._on_cancel)
        self._keep = button("Keep running", "No, let it run", "gk-keep", lambda: self._ask(False))
        row = [self._run, self._target, self._relocate, self._cancel, self._confirm, self._keep]
        self._buttons = ipywidgets.HBox(row, layout=ipywidgets.Layout(flex_flow="row wrap"))
        parts = [html_box(STYLE), self._title, self._status, self._bar, self._left, self._moves, self._no_plan]
        parts += [self._table, self._chart_box, self._manifest, self._slices, self._log]
        self._root = ipywidgets.VBox([*parts, self._message, self._buttons])
        self._root.add_class("gk-panel")

    def _all(self) -> list[Any]:
        """Every widget below the root, each once."""
        found: list[Any] = []
        left = list(self._root.children)
        while left:
            widget = left.pop()
            found.append(widget)
            left += getattr(widget, "children", ())
        return found

    # --- showing --------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        state = self._state
        if state is None:
            return
        with self._lock:
            phase = state.phase
            self._title.value = title_html(state, self._zone)
            self._status.value = status_html(state)
            self._bar.value = _bar(state)
            self._left.value = progress_html(state) if phase == "at work" else ""
            self._no_plan.value = no_plan_html(state)
            self._moves.value = moves_html(state, self._zone)
            self._log.value = log_html(state.log_tail) if phase == "at work" else ""
            self._table.show(site_rows(state, zone=self._zone), may_choose=self._may_choose(state))
            visible(self._table, phase == "choosing")
            self._manifest.value = details_html(manifest_summary(state.capture), manifest_html(state.capture))
            if state.profile is not None:
                self._slices.value = details_html(slices_summary(state.profile), slices_html(state.profile))
            visible(self._slices, state.profile is not None)
            visible(self._chart_box, bool(state.intensity))
            if self._chart is not None and state.intensity:
                self._chart.show(chart_spec(state, zone=self._zone))
            self._refresh_buttons(state)

    def _refresh_buttons(self, state: PanelState) -> None:
        phase = state.phase
        picked = self._table.picked
        self._run.description = f"Run on {picked}" if picked else "Run"
        others = [site for site in state.sites if site != state.here]
        if list(self._target.options) != others:
            before = self._target.value
            self._target.index = None  # else a view would keep an index that it no longer shows
            self._target.options = others
            self._target.index = (others.index(before) if before in others else 0) if others else None
        idle = not self._acting
        self._run.disabled = not (idle and self._may_choose(state) and picked is not None)
        self._relocate.disabled = not idle
        self._confirm.disabled = not idle
        visible(self._run, phase == "choosing" and state.can_choose and not self._wished)
        may_go = phase == "at work" and state.state in (RunState.STARTING, RunState.RUNNING) and bool(others)
        visible(self._target, may_go and not self._really)
        visible(self._relocate, may_go and not self._really)
        visible(self._cancel, not self._really)
        visible(self._confirm, self._really)
        visible(self._keep, self._really)

    def _may_choose(self, state: PanelState) -> bool:
        return state.can_choose and state.phase == "choosing" and not self._wished

    def _publish(self, *, update: bool) -> None:
        """One display that is replaced; after the end without widgets, so that the file tells the receipt for ever."""
        state = self._state
        data: dict[str, Any] = {"text/plain": "greenkernel: the run has not been seen yet"}
        if state is not None:
            data = {"text/plain": page_text(state, zone=self._zone), "text/html": page_html(state, zone=self._zone)}
            self._shown_phase = state.phase
        else:
            self._shown_phase = ""
        if not self._closed and (state is None or state.phase != "ended"):
            data[_VIEW] = {"version_major": 2, "version_minor": 0, "model_id": self._root.model_id}
        display(data, raw=True, display_id=self._display_id, update=update)

    # --- clicks ---------------------------------------------------------------------------------------------------

    def _on_run(self) -> None:
        state, picked = self._state, self._table.picked
        if state is None:
            return
        first = state.plan.steps[0].site if state.plan and state.plan.steps else None
        site = None if picked == first else picked
        if self._act(lambda: self._actions.choose(site)):
            self._tell(f"Asked to run on {picked}.", wished=True)

    def _on_relocate(self) -> None:
        site = self._target.value
        if site and self._act(lambda: self._actions.relocate(site)):
            self._tell(f"Asked to go to {site}.")

    def _on_cancel(self) -> None:
        if self._act(self._actions.cancel):
            self._tell("Asked to cancel the run.")
        self._ask(False)

    def _ask(self, really: bool) -> None:
        with self._lock:
            self._really = really
            self._refresh()

    def _act(self, action: Callable[[], None]) -> bool:
        """Do it once at a time, without the lock; what goes wrong is said in the panel."""
        with self._lock:
            if self._acting or self._closed:
                return False
            self._acting = True
            self._refresh()
        try:
            action()
            return True
        except GreenKernelError as e:
            self._tell(str(e), bad=True)
            return False
        except Exception as e:
            self._tell(f"{type(e).__name__}: {e}", bad=True)
            raise
        finally:
            with self._lock:
                self._acting = False
                if not self._closed:
                    self._refresh()

    def _tell(self, text: str, *, bad: bool = False, wished: bool = False) -> None:
        with self._lock:
            self._wished = self._wished or wished
            role, mark = ("alert", "⚠ ") if bad else ("status", "")
            if not self._closed:
                self._message.value = f'<div role="{role}">{mark}{escape(text, most=800)}</div>'
                self._refresh()


def _bar(state: PanelState) -> str:
    """A bar of the tasks done; one without a value, which the browser moves, where their number is not known."""
    if state.phase == "choosing":
        return ""
    fraction = state.progress.fraction if state.progress is not None and state.phase == "at work" else None
    value = "" if fraction is None else f' max="1" value="{fraction:.3f}"'
    spoken = "working" if fraction is None else f"{fraction:.0%} of the tasks are done"
    return f'<progress{value} aria-label="{spoken}" title="{spoken}"></progress>'
