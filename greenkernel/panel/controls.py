"""The parts of the panel that can be clicked: rows of sites and single buttons, with their style."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import ipywidgets

from greenkernel.panel.fragments import cores_text, figure_html
from greenkernel.panel.rows import SiteRow
from greenkernel.panel.words import escape

STYLE: Final = """<style>
.gk-panel{color:var(--jp-ui-font-color1,inherit);font-family:var(--jp-ui-font-family,sans-serif);font-size:13px;
 border:1px solid var(--jp-border-color2,rgba(128,128,128,.4));border-radius:4px;padding:8px 10px;max-width:900px}
.gk-panel .widget-html,.gk-panel .jupyter-widgets{color:inherit}
.gk-panel .widget-html-content{line-height:1.4;font-size:13px;color:inherit;white-space:normal;overflow-wrap:anywhere}
.gk-panel pre{font-size:12px;line-height:1.35;color:inherit;background:transparent}
.gk-panel code{color:inherit;background:transparent}
.gk-panel table{color:inherit;font-size:12px}
.gk-panel th,.gk-panel td{overflow-wrap:break-word}
.gk-panel summary{cursor:pointer}
.gk-panel progress{width:100%;height:10px;accent-color:var(--jp-brand-color1,#2a7)}
.gk-grid{display:grid;grid-template-columns:1.35fr 1.2fr 1.2fr 1.2fr .6fr;column-gap:8px}
.gk-four{grid-template-columns:1.35fr 1.2fr 1.2fr 1.2fr}
.gk-grid small{opacity:.8;font-size:11px}
.gk-wide{grid-column:1/-1;opacity:.9;font-size:12px}
.gk-head{font-weight:600;white-space:nowrap;border-bottom:1px solid var(--jp-border-color2,rgba(128,128,128,.4))}
.gk-panel .gk-site{text-align:left;padding:0 8px;height:auto;min-height:28px;color:var(--jp-ui-font-color1,inherit);
 background:var(--jp-layout-color2,rgba(128,128,128,.15));border:1px solid transparent;overflow:hidden;
 text-overflow:ellipsis}
.gk-panel .gk-site.mod-active{font-weight:600;border-color:currentColor;box-shadow:none}
.gk-panel button:focus-visible{outline:2px solid var(--jp-brand-color1,#2a7);outline-offset:1px}
.gk-panel .gk-go{background:#2e7d32;color:#fff}
.gk-panel .vega-embed{width:100%;padding:0}
.gk-panel .vega-embed svg{color:inherit;width:100%;max-width:760px;height:auto;display:block}
.gk-message:empty{display:none}
</style>"""
_COLUMNS: Final = ("Done at", "Energy", "CO2e", "Cost", "In time")
_NAME_PX: Final = "170px"


class SiteTable(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The sites as rows with a toggle each, of which exactly one is on; ``picked`` is its site.

    Args:
        lock: Held while a click is handled, so that it is not taken for a change of our own.
        on_pick: Somebody picked a site.
    """

    def __init__(self, lock: threading.RLock, on_pick: Callable[[], None]) -> None:
        self._lock = lock
        blank = ipywidgets.Box(layout=ipywidgets.Layout(width=_NAME_PX, flex="0 0 auto", margin="0 2px"))
        self._names = html_box(flex="1 1 auto")
        self._head = ipywidgets.HBox([blank, self._names])
        self._lines: dict[str, tuple[Any, Any]] = {}
        self._on_pick = on_pick
        self._setting = False
        self.picked: str | None = None
        super().__init__([])

    def show(self, rows: Sequence[SiteRow], *, may_choose: bool) -> None:
        """Show these rows; the recommended one is picked until somebody picks another."""
        if [row.site for row in rows] != list(self._lines):
            self._lines = {row.site: self._lines.get(row.site) or self._line(row.site) for row in rows}
            lines = [ipywidgets.HBox(pair, layout=ipywidgets.Layout(margin="2px 0")) for pair in self._lines.values()]
            self.children = [self._head, *lines] if rows else []
        possible = [row.site for row in rows if row.can]
        if self.picked not in possible:
            ticked = [row.site for row in rows if row.ticked]
            self.picked = ticked[0] if ticked else None
        columns = 5 if any(row.chance for row in rows) else 4  # no due date, no chance to meet it
        names = "".join(f"<span>{name}</span>" for name in _COLUMNS[:columns])
        self._names.value = f'<div class="{_grid(columns)} gk-head" aria-hidden="true">{names}</div>'
        for row in rows:
            button, figures = self._lines[row.site]
            button.description = self._named(row)
            button.tooltip = _spoken(row)
            button.disabled = not (may_choose and row.can)
            figures.value = _figures(row, columns)
        self._press()

    def _line(self, site: str) -> tuple[Any, Any]:
        layout = ipywidgets.Layout(width=_NAME_PX, flex="0 0 auto")
        button = at_once(ipywidgets.ToggleButton(value=False, layout=layout))
        button.add_class("gk-site")
        button.observe(lambda _change: self._clicked(site), "value")
        return button, html_box("", flex="1 1 auto")

    def _named(self, row: SiteRow) -> str:
        mark = "◉" if row.site == self.picked else "○" if row.can else "✕"
        return f"{mark} {row.site[:24]}{' ✓' if row.ticked else ''}"

    def _clicked(self, site: str) -> None:
        """A click picks; a click on what is picked leaves it so."""
        with self._lock:
            if not self._setting:
                self.picked = site
                self._press()
                self._on_pick()

    def _press(self) -> None:
        self._setting = True
        try:
            for site, (button, _) in self._lines.items():
                button.value = site == self.picked
                text = button.description
                if text[:1] in ("◉", "○"):
                    button.description = ("◉" if site == self.picked else "○") + text[1:]
        finally:
            self._setting = False


def at_once(widget: Any) -> Any:
    """The widget, whose clicks now arrive while a cell is running, where kernel and front end have subshells.

    ipykernel 7.4 takes a click to the shell that last spoke to the widget, which is the busy one; the subshell that the
    front end names is free. Older kernels take it there anyway, or have no subshells.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        widget.comm._reply_subshell_for = lambda _data, named: named
    return widget


def html_box(value: str = "", *, flex: str = "0 0 auto", kind: str = "") -> Any:
    """An HTML widget as wide as it may be."""
    box = ipywidgets.HTML(value, layout=ipywidgets.Layout(flex=flex, margin="0 2px", width="auto", min_width="0"))
    if kind:
        box.add_class(kind)
    return box


def button(text: str, tooltip: str, kind: str, pressed: Callable[[], None]) -> Any:
    """A button with a class to find it by."""
    made = at_once(ipywidgets.Button(description=text, tooltip=tooltip, layout=ipywidgets.Layout(width="auto")))
    made.add_class(kind)
    made.on_click(lambda _button: pressed())
    return made


def visible(widget: Any, shown: bool) -> None:
    """Show or hide a widget; says nothing to the front end where it is so already."""
    widget.layout.display = None if shown else "none"


def _grid(columns: int) -> str:
    return "gk-grid" if columns == len(_COLUMNS) else "gk-grid gk-four"


def _figures(row: SiteRow, columns: int) -> str:
    figures = (row.finish, row.energy, row.emissions, row.cost, row.chance)[:columns]
    cells = "".join(f"<span>{figure_html(figure)}</span>" for figure in figures)
    if not row.can:
        return f'<div class="gk-grid"><span class="gk-wide">cannot: {escape(row.remark)}</span></div>'
    said = f"<b>✓ recommended:</b> {escape(row.remark)}" if row.ticked else escape(row.remark)
    begins = "" if row.ticked else ", starting now"
    more = f'<span class="gk-wide">{cores_text(row.cores)}{begins}{"; " + said if said else ""}</span>'
    return f'<div class="{_grid(columns)}">{cells}{more}</div>'


def _spoken(row: SiteRow) -> str:
    """A row as a sentence, for a tooltip and for a reader of the screen."""
    if not row.can:
        return f"{row.site} cannot: {row.remark}"[:300]
    chance = f", in time {row.chance}" if row.chance else ""
    known = f"done at {row.finish}, {row.energy}, {row.emissions} CO2e, {row.cost}" if row.energy else "time not known"
    said = f"{row.site}, {cores_text(row.cores)}: {known}{chance}"
    return f"{said}{'; recommended' if row.ticked else ''}"[:300]
