"""Pieces of HTML about a run: tables and lines with inline styles only, without colours of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from greenkernel.options import describe_due
from greenkernel.panel.rows import SiteRow, remaining_s
from greenkernel.panel.state import PanelState
from greenkernel.panel.text import proposal_text
from greenkernel.panel.words import escape, log_lines, repeats
from greenkernel.records import Capture, Profile, Progress
from greenkernel.units import clock_text, counted, format_bytes, format_duration

_LINE: Final = "1px solid rgba(128,128,128,.35)"
_CELL: Final = f"padding:3px 10px 3px 0;text-align:left;vertical-align:top;border-bottom:{_LINE};background:transparent"
_SMALL: Final = "font-size:90%;opacity:.8"
_PRE: Final = "margin:4px 0;padding:4px 0 4px 8px;border-left:3px solid rgba(128,128,128,.5);background:transparent"
_MOST_ITEMS: Final = 30
_MOST_LINES: Final = 8


def title_html(state: PanelState, zone: tzinfo | None) -> str:
    """Run, name and due date."""
    due = ""
    if state.due_at is not None and not state.state.ended:
        due = f" · due {escape(describe_due(state.due_at, now=state.at, zone=zone))}"
    return f"<b>{escape(state.name, most=80)}</b> · run <code>{escape(state.run, most=40)}</code>{due}"


def status_html(state: PanelState) -> str:
    """State, where, and what it is doing, in one line."""
    here = f" on {escape(state.here, most=60)}" if state.here and not state.state.ended else ""
    if state.detail.startswith(("on ", "to ")):  # it says where itself
        return f"<b>{state.state}</b> {escape(state.detail)}"
    detail = f": {escape(state.detail)}" if state.detail else ""
    return f"<b>{state.state}</b>{here}{detail}"


def proposal_html(state: PanelState, zone: tzinfo | None, *, command: bool) -> str:
    """The move that is proposed, if any; with the command that answers where nothing can be clicked."""
    if state.proposal is None or state.phase != "at work":
        return ""
    how = f"%greenruns relocate {state.run} {state.proposal.site}"
    said = f"; <code>{escape(how)}</code> moves it" if command else ""
    return f"<b>{escape(_capital(proposal_text(state.proposal, zone=zone)))}</b>{said}"


def progress_html(state: PanelState) -> str:
    """Tasks that are done and the time that is left, as a range; empty where neither is known."""
    progress, said = state.progress, []
    if progress is not None:
        said += done_words(progress)
        if progress.resumed_at:
            said.append(f"went on at {progress.resumed_at}")
        if progress.why_not_kept and state.phase == "at work":
            said.append(f"not kept now: {progress.why_not_kept}")
    left = remaining_s(state)
    if left is not None:
        ends = f" ({format_duration(left.low)} to {format_duration(left.high)})" if left.low < left.high else ""
        said.append(f"about {format_duration(left.mid)}{ends} left")
    return escape(", ".join(said))


def done_words(progress: Progress) -> list[str]:
    """Rounds of the present loop, or tasks, that are done."""
    if progress.rounds_done is not None and progress.rounds_total:
        return [f"round {min(progress.rounds_done + 1, progress.rounds_total)} of {progress.rounds_total}"]
    if not progress.tasks_done:
        return []
    total = f" of {progress.tasks_total}" if progress.tasks_total else ""
    reused = [f"{progress.reused_tasks} of them reused"] if progress.reused_tasks else []
    return [f"{progress.tasks_done}{total} tasks", *reused]


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]], *, label: str) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f'<th scope="col" style="{_CELL}">{cell}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    style = "border-collapse:collapse;margin:4px 0;background:transparent"
    return f'<table aria-label="{escape(label)}" style="{style}"><tr>{head}</tr>{body}</table>'


def figure_html(figure: str) -> str:
    """``mid (low-high)`` with the ends on a line of their own."""
    mid, joint, ends = figure.partition(" (")
    small = f'<br><span style="{_SMALL}">{escape(ends.removesuffix(")"))}</span>' if joint else ""
    return f"{escape(mid)}{small}" if mid else "–"


def sites_html(rows: Sequence[SiteRow]) -> str:
    """The choice as a table, for where nothing can be clicked."""
    shown = []
    for row in rows:
        remark = f"cannot: {escape(row.remark)}" if not row.can else escape(row.remark)
        name = f"✓ <b>{escape(row.site, most=60)}</b> (recommended)" if row.ticked else escape(row.site, most=60)
        figures = [figure_html(text) for text in (row.finish, row.energy, row.emissions, row.cost, row.chance)]
        shown.append((f'{name}<br><span style="{_SMALL}">{cores_text(row.cores)}</span>', *figures, remark))
    header = ("site", "done at", "energy", "CO2e", "cost", "in time", "")
    return table_html(header, shown, label="sites") if rows else ""


def manifest_html(capture: Capture) -> str:
    """What travels: name, kind, size and why, the biggest first; what looks like a secret is named so."""
    items = sorted(capture.items, key=lambda item: (not item.secret_like, -item.bytes))
    rows = [
        (
            f"<code>{escape(item.name, most=80)}</code>",
            escape(item.kind, most=60),
            format_bytes(item.bytes),
            ("<b>looks like a secret</b>; " if item.secret_like else "") + escape(item.why, most=160),
        )
        for item in items[:_MOST_ITEMS]
    ]
    rows += [
        (f"<code>{escape(file.path, most=80)}</code>", f"{file.kind} file", format_bytes(file.bytes), "")
        for file in capture.files[: max(0, _MOST_ITEMS - len(rows))]
    ]
    more = len(capture.items) + len(capture.files) - len(rows)
    tail = f'<div style="{_SMALL}">and {more} more</div>' if more else ""
    return table_html(("name", "kind", "size", "why"), rows, label="what travels") + tail


def manifest_summary(state: PanelState) -> str:
    """The manifest in one line; says how much of it looks like a secret, and what a move repeats."""
    capture, price = state.capture, repeats(state.predictions, state.plan)
    secret = sum(item.secret_like for item in capture.items)
    warning = f", {secret} looking like a secret" if secret else ""
    files = f", {counted(len(capture.files), 'file')}" if capture.files else ""
    moves = "".join(f"; {part}" for part in (capture.keeps, price) if part)
    values = counted(len(capture.items), "value")
    return f"What travels: {values}{files}, {format_bytes(capture.bytes)}{warning}{moves}"


def slices_html(profile: Profile) -> str:
    """The slices that really ran, what each took, and what was decided."""
    rows = []
    for one in profile.slices:
        rows.append(
            (
                f"{one.rows_fraction:.2%}" + (f" ({one.rows})" if one.rows is not None else ""),
                escape(f"{one.knob} = {one.knob_value}" if one.knob else "–", most=60),
                f"{one.cores}",
                format_duration(one.wall_s),
                format_duration(one.cpu_s),
                format_bytes(one.peak_rss_bytes),
            )
        )
    notes = "".join(f'<div style="{_SMALL}">{escape(note)}</div>' for note in profile.notes[:_MOST_LINES])
    header = ("rows", "count", "cores", "time", "CPU time", "memory")
    return (table_html(header, rows[:_MOST_ITEMS], label="slices") if rows else "") + notes


def slices_summary(profile: Profile) -> str:
    """The profile in one line, with its cost."""
    if not profile.slices:
        return "Profile: no slices"
    took = f"{format_duration(profile.cpu_s)} of CPU time in {format_duration(profile.wall_s)}"
    return f"Profile: {counted(len(profile.slices), 'slice')}, {took}"


def log_html(text: str) -> str:
    """The last lines that the cell printed."""
    return f'<pre style="{_PRE};white-space:pre-wrap">{log_lines(text)}</pre>' if text.strip() else ""


def moves_html(state: PanelState, zone: tzinfo | None) -> str:
    """Where it has been so far, and why it went on."""
    lines = []
    for epoch in state.epochs[-_MOST_LINES:]:
        when = clock_text(epoch.opened_at, zone, today=state.at, seconds=True)
        reason = f": {escape(epoch.reason)}" if epoch.reason else ""
        lines.append(f"<li>{when} {escape(epoch.site, most=60)}, {cores_text(epoch.cores)}{reason}</li>")
    return f'<ol style="margin:2px 0;padding-left:22px">{"".join(lines)}</ol>' if len(state.epochs) > 1 else ""


def journal_html(state: PanelState, zone: tzinfo | None) -> str:
    """The last things that happened, the newest first; stays are called as in the receipt."""
    notes = [(at, re.sub(r"^epoch (?=\d)", "stay ", text)) for at, text in state.notes[-_MOST_LINES:]]
    lines = [
        f"<li>{clock_text(at, zone, today=state.at, seconds=True)} {escape(text)}</li>" for at, text in reversed(notes)
    ]
    inside = f'<ul style="margin:2px 0;padding-left:22px">{"".join(lines)}</ul>'
    return details_html("Journal", inside) if lines else ""


def details_html(summary: str, inside: str) -> str:
    """Something that is opened by a click; open where markup is stripped."""
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def cores_text(count: int) -> str:
    """``1 core``, ``4 cores``."""
    return counted(count, "core")


def bar_html(state: PanelState) -> str:
    """A bar of the tasks done; one without a value, which the browser moves, where their number is not known."""
    if state.phase == "choosing":
        return ""
    fraction = state.progress.fraction if state.progress is not None and state.phase == "at work" else None
    value = "" if fraction is None else f' max="1" value="{fraction:.3f}"'
    spoken = "working" if fraction is None else f"{fraction:.0%} of the tasks are done"
    return f'<progress{value} aria-label="{spoken}" title="{spoken}"></progress>'
