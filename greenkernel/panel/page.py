"""A run as a page of its own: HTML for saved notebooks and where widgets are missing, plain text for the rest."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from greenkernel.panel.fragments import (
    details_html,
    journal_html,
    log_html,
    manifest_html,
    manifest_summary,
    moves_html,
    progress_html,
    proposal_html,
    sites_html,
    slices_html,
    slices_summary,
    status_html,
    title_html,
)
from greenkernel.panel.receipts import receipt_html
from greenkernel.panel.rows import site_rows
from greenkernel.panel.state import PanelState
from greenkernel.panel.text import manifest_text, plan_text, predictions_text, profile_text, proposal_text, receipt_text
from greenkernel.panel.words import escape, simulated_text
from greenkernel.records import RunState
from greenkernel.units import clock_text

_STOPPED: Final = "nothing of it is left running, and the notebook's names are as they were"
MOST_HTML_BYTES: Final = 60_000
"""What a page may take of a notebook file; each part is bounded, and this bounds their sum."""


def page_html(state: PanelState, *, zone: tzinfo | None) -> str:
    """The run as it is now; without script, without colours, and with everything of the user's escaped."""
    parts = [f"<div>{title_html(state, zone)}</div>", *_before(state, zone)]
    if state.phase == "ended":
        parts = [f"<div>{title_html(state, zone)}</div>", *_after(state, zone)]
    elif state.phase == "at work":
        parts = [
            parts[0],
            f"<div>{status_html(state)}</div>",
            f"<div>{progress_html(state)}</div>",
            f"<div>{proposal_html(state, zone, command=True)}</div>" if state.proposal is not None else "",
            *_during(state, zone),
        ]
    if state.phase != "ended":
        then = clock_text(state.at, zone, today=state.at, seconds=True)
        parts.append(f"<div>As it was at {then}; how it ended: <code>%greenreport {escape(state.run)}</code></div>")
    size, shown = 0, []
    for part in parts:
        size += len(part.encode())
        if size > MOST_HTML_BYTES:
            shown.append("<div>The rest is in <code>%greenreport</code>.</div>")
            break
        shown.append(part)
    return f'<div style="background:transparent;line-height:1.4;font-size:13px;padding:2px 5px">{"".join(shown)}</div>'


def page_text(state: PanelState, *, zone: tzinfo | None) -> str:
    """The same for a terminal."""
    lines = [f"run {state.run} ({state.name}): {state.state}" + (f": {state.detail}" if state.detail else "")]
    if state.phase == "ended":
        lines += [f"  {_STOPPED}"] if state.state is RunState.CANCELLED else []
        lines += [f"  error: {state.error}"] if state.error and state.receipt is None else []
        lines += [receipt_text(state.receipt, zone=zone)] if state.receipt is not None else []
    else:
        lines += [f"  {proposal_text(state.proposal, zone=zone)}"] if state.proposal is not None else []
        lines.append(manifest_text(state.capture))
        lines += [profile_text(state.profile)] if state.profile is not None else []
        lines += [predictions_text(state.predictions, state.plan)] if state.predictions else []
        lines += [plan_text(state.plan, state.predictions, zone=zone)] if state.plan is not None else []
        lines += [f"no plan: {state.impossible}"] if state.impossible else []
    text = "\n".join(lines)
    return text if len(text) <= MOST_HTML_BYTES // 4 else text[: MOST_HTML_BYTES // 4] + "\n…"


def no_plan_html(state: PanelState) -> str:
    """Why there is no plan, where there is none."""
    return f"<b>No plan.</b> {escape(state.impossible, most=1200)}" if state.impossible else ""


def _before(state: PanelState, zone: tzinfo | None) -> list[str]:
    parts = [f"<div>{status_html(state)}</div>", f"<div>{no_plan_html(state)}</div>"]
    return [*parts, *_during(state, zone)]


def _during(state: PanelState, zone: tzinfo | None) -> list[str]:
    simulated = simulated_text(state.grid) if state.clock is not None else ""
    parts = [
        sites_html(site_rows(state, zone=zone)),
        f"<div>Real work, {escape(simulated)}.</div>" if simulated else "",
        moves_html(state, zone),
        journal_html(state, zone),
        details_html(manifest_summary(state), manifest_html(state.capture)),
    ]
    if state.profile is not None:
        parts.append(details_html(slices_summary(state.profile), slices_html(state.profile)))
    return parts


def _after(state: PanelState, zone: tzinfo | None) -> list[str]:
    cancelled = state.state is RunState.CANCELLED
    why = [word for word in (state.error or state.detail, _STOPPED if cancelled else "") if word]
    shown = f"<div><b>{state.state}</b>{': ' if why else ''}{escape('; '.join(why))}</div>"
    if cancelled:
        shown += f"<div>It goes on from its records with <code>%greenruns resume {escape(state.run)}</code>.</div>"
    if state.receipt is not None:
        shown = (shown if cancelled else "") + receipt_html(state.receipt, zone)
    log = log_html(state.log_tail) if state.error else ""
    tail = f"<div>The last lines that it printed:</div>{log}" if log else ""
    return [
        shown,
        tail,
        journal_html(state, zone),
        details_html(manifest_summary(state), manifest_html(state.capture)),
    ]
