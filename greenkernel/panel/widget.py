"""The panel: a run as widgets that can be clicked, with pages for where they cannot.

Updates come from a background thread and clicks on whatever thread the kernel delivers them; one lock is held while
traits are set, never while an action runs. Equal traits are not sent.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Protocol

import ipywidgets
from IPython.display import display

from greenkernel.errors import GreenKernelError
from greenkernel.panel.buttons import Buttons, Question
from greenkernel.panel.charts import chart_spec
from greenkernel.panel.controls import STYLE, SiteTable, html_box, visible
from greenkernel.panel.fragments import (
    bar_html,
    details_html,
    journal_html,
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
from greenkernel.panel.words import OURS, escape

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

    def stay(self) -> None:
        """Answer the move that is proposed by staying."""
        ...


class Panel:
    """One run's panel.

    Args:
        actions: What clicks do.
        zone: The zone in which times are shown; None: the machine's.
        scripts: The folder in which the chart's script is kept; it may be missing.
        publish: IPython's ``display``, or what takes its place.
    """

    def __init__(
        self, actions: Actions, *, zone: tzinfo | None, scripts: Path, publish: Callable[..., object] = display
    ) -> None:
        self._actions = actions
        self._scripts = scripts
        self._display = publish
        self._zone = zone
        self._lock = threading.RLock()
        self._state: PanelState | None = None
        self._display_id = uuid.uuid4().hex
        self._shown: tuple[object, ...] | None = None
        self._acting = False
        self._wished = False
        self._told_at: int | None = None
        self._closed = False
        self._chart: Any = None
        self._may_draw = True
        self._build()

    def show(self) -> None:
        """Display the panel in the running cell, with its pages for notebooks that are saved or have no widgets."""
        with self._lock:
            self._publish(update=False)

    @property
    def picked(self) -> str | None:
        """The site that is picked, and not the recommended one; None where that is."""
        state, picked = self._state, self._table.picked
        first = state.plan.steps[0].site if state is not None and state.plan and state.plan.steps else None
        return None if picked == first else picked

    def show_page(self) -> None:
        """Display the run as a page, without anything to click, in the running cell."""
        if self._state is not None:
            self._display(self._page(self._state), raw=True, metadata=OURS)

    def update(self, state: PanelState) -> None:
        """Show a run as it is now; from any thread."""
        with self._lock:
            self._state = state
            if state.phase == "ended":
                self.close()
            elif not self._closed:
                if self._told_at not in (None, len(state.epochs)):  # what was asked for has come true
                    self._told_at, self._message.value = None, ""
                self._refresh()
            self._publish_again()

    @property
    def lacks_chart(self) -> bool:
        """True once there is something to draw that nobody has begun to draw."""
        state = self._state
        return self._may_draw and state is not None and bool(state.intensity) and state.phase != "ended"

    def draw(self) -> None:
        """Add the chart, if it is lacking.

        The first one takes seconds (altair is imported, and its script may have to be made): for a thread of its own.
        No chart where this installation cannot draw one.
        """
        with self._lock:
            if not self.lacks_chart:
                return
            self._may_draw = False
        from greenkernel.panel.chartview import make_chart

        self._chart = make_chart(self._scripts)
        self._refresh()

    def close(self) -> None:
        """Take everything that can be clicked away; what is shown of the run stays."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            gone = self._all()
            # A page that was loaded again does not take updates of its displays any more, but it has the widget.
            self._root.children = (html_box(STYLE), self._last)
            self._publish_again()
            for widget in gone:
                widget.close()

    # --- building -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._title, self._status = html_box(kind="gk-title"), html_box(kind="gk-status")
        self._bar, self._left = html_box(kind="gk-bar"), html_box(kind="gk-left")
        self._table = SiteTable(self._lock, self._refresh)
        self._no_plan, self._message = html_box(kind="gk-no-plan"), html_box(kind="gk-message")
        self._chart_box = ipywidgets.VBox([])
        self._manifest, self._slices = html_box(kind="gk-manifest"), html_box(kind="gk-slices")
        self._last = html_box(kind="gk-last")
        self._journal = html_box(kind="gk-journal")
        self._moves, self._log = html_box(kind="gk-moves"), html_box(kind="gk-log")
        self._buttons = Buttons(
            run=self._on_run, relocate=self._on_relocate, cancel=self._on_cancel, again=self._refresh
        )
        self._question = Question(move=self._on_relocate, stay=self._on_stay)
        parts = [html_box(STYLE), self._title, self._status, self._bar, self._left, self._question, self._moves]
        parts += [self._no_plan, self._table, self._chart_box, self._manifest, self._slices, self._journal, self._log]
        self._root = ipywidgets.VBox([*parts, self._buttons, self._message])
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
        with self._lock:
            state = self._state
            if state is None or self._closed:
                return
            phase = state.phase
            self._title.value = title_html(state, self._zone)
            self._status.value = status_html(state)
            self._bar.value = bar_html(state)
            self._left.value = progress_html(state) if phase == "at work" else ""
            self._question.show(state, self._zone, acting=self._acting)
            self._no_plan.value = no_plan_html(state)
            self._moves.value = moves_html(state, self._zone)
            self._journal.value = journal_html(state, self._zone)
            self._log.value = log_html(state.log_tail) if phase == "at work" else ""
            self._table.show(site_rows(state, zone=self._zone), may_choose=self._may_choose(state))
            visible(self._table, phase == "choosing")
            self._manifest.value = details_html(manifest_summary(state), manifest_html(state.capture))
            if state.profile is not None:
                self._slices.value = details_html(slices_summary(state.profile), slices_html(state.profile))
            visible(self._slices, state.profile is not None)
            if self._chart is not None and state.intensity:
                self._chart.show(chart_spec(state, zone=self._zone))
                self._chart_box.children = (self._chart,)
            self._buttons.show(
                state, picked=self._table.picked, may_choose=self._may_choose(state), acting=self._acting
            )

    def _may_choose(self, state: PanelState) -> bool:
        return state.can_choose and state.phase == "choosing" and not self._wished

    def _publish_again(self) -> None:
        """Once for each phase, and for a receipt that comes late: a file keeps only the last."""
        if self._closed and self._state is not None:
            self._last.value = page_html(self._state, zone=self._zone)
        if self._shown not in (None, self._face()):
            self._publish(update=True)

    def _publish(self, *, update: bool) -> None:
        """One display that is replaced; after the end without widgets, so that the file tells the receipt for ever."""
        state = self._state
        data: dict[str, Any] = {"text/plain": "greenkernel: the run has not been seen yet"}
        if state is not None:
            data = self._page(state)
        if not self._closed:
            data[_VIEW] = {"version_major": 2, "version_minor": 0, "model_id": self._root.model_id}
        self._shown = self._face()
        self._display(data, raw=True, metadata=OURS, display_id=self._display_id, update=update)

    def _page(self, state: PanelState) -> dict[str, Any]:
        return {"text/plain": page_text(state, zone=self._zone), "text/html": page_html(state, zone=self._zone)}

    def _face(self) -> tuple[object, ...]:
        state = self._state
        return (self._closed, *((state.phase, state.receipt is None) if state is not None else ()))

    # --- clicks ---------------------------------------------------------------------------------------------------

    def _on_run(self) -> None:
        state, picked = self._state, self._table.picked
        if state is None:
            return
        site = self.picked
        if self._act(lambda: self._actions.choose(site)):
            stays = "" if site is None else "; it stays there unless you relocate it"
            self._tell(f"Asked to run on {picked}{stays}.", wished=True)

    def _on_relocate(self, site: str) -> None:
        if self._act(lambda: self._actions.relocate(site)):
            self._tell(f"Asked to go to {site}.")

    def _on_stay(self) -> None:
        if self._act(self._actions.stay):
            self._tell("It stays.")

    def _on_cancel(self) -> None:
        if self._act(self._actions.cancel):
            self._tell("Asked to cancel the run.")

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
                self._refresh()

    def _tell(self, text: str, *, bad: bool = False, wished: bool = False) -> None:
        with self._lock:
            self._wished = self._wished or wished
            self._told_at = len(self._state.epochs) if self._state is not None else None
            role, mark = ("alert", "⚠ ") if bad else ("status", "")
            if not self._closed:
                self._message.value = f'<div role="{role}">{mark}{escape(text, most=800)}</div>'
                self._refresh()
