"""The receipt of a run as HTML tables: predicted against measured, by item, with sources."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from greenkernel.clock import GridTime
from greenkernel.panel.fragments import cores_text, details_html, figure_html, table_html
from greenkernel.panel.text import interval_text, saved_text
from greenkernel.panel.words import escape, is_known, refused_moves, simulated_text, sources_of
from greenkernel.records import Move, Receipt
from greenkernel.units import clock_text, counted, format_amount, format_duration, format_interval

_MOST_ITEMS: Final = 30
_MOST_LINES: Final = 8


def receipt_html(receipt: Receipt, zone: tzinfo | None) -> str:
    """Predicted against measured as tables: the result, the stays, the moves, the items and where figures come from."""
    rows = [("result", escape(str(receipt.state)) + (f": {escape(receipt.error)}" if receipt.error else ""))]
    if receipt.due is not None:
        how = "came to nothing" if receipt.due_met is None else "met" if receipt.due_met else "missed"
        due = clock_text(receipt.due, zone, today=receipt.finished_at, seconds=True)
        rows.append((f"due {due}", f"<b>{how}</b>"))
    total = receipt.emissions_g
    parts = ", ".join(
        f"{name} {format_amount(getattr(total, name).mid, 'g', digits=2)}"
        for name in ("running", "idle", "startup", "transfer", "profiling", "embodied")
    )
    rows.append(("emissions", f"<b>{interval_text(total.total, 'g CO2e')}</b><br><span>{parts}</span>"))
    for baseline in receipt.baselines[:_MOST_LINES]:
        where = "" if baseline.name.endswith(f" {baseline.site}") else f" ({escape(baseline.site, most=60)})"
        place = f"{escape(baseline.name, most=60)}{where}"
        rows.append((place, interval_text(baseline.emissions_g, "g CO2e")))
    rows.append(("saved, profiling counted", f"<b>{saved_text(receipt)}</b>"))
    rows.append(("profile", _profile_share(receipt)))
    found = [table_html(("receipt", escape(receipt.name, most=80)), rows, label="receipt"), _stays(receipt, zone)]
    found += [_move(move) for move in receipt.moves[-_MOST_LINES:]]
    return "".join(found) + _small_print(receipt)


def _stays(receipt: Receipt, zone: tzinfo | None) -> str:
    rows = []
    for stay in receipt.stays[-_MOST_ITEMS:]:
        begin, end = (clock_text(t, zone, today=receipt.finished_at, seconds=True) for t in (stay.start, stay.end))
        figures = (interval_text(stay.energy_wh, "Wh"), interval_text(stay.emissions_g, "g"))
        predicted = next((p for p in receipt.predictions if (p.site, p.cores) == (stay.site, stay.cores)), None)
        whole = predicted.startup_s + predicted.time_s if predicted else None
        rows.append(
            (
                escape(stay.site, most=60),
                cores_text(stay.cores),
                f"{begin}-{end}",
                format_duration((stay.end - stay.start).total_seconds()),
                figure_html(_range(whole.low, whole.mid, whole.high)) if whole and is_known(whole) else "–",
                format_duration(stay.cpu_s),
                *(figure_html(figure) for figure in figures),
            )
        )
    header = ("stay", "", "from-to", "took", "predicted if all here", "CPU time", "energy", "CO2e")
    return table_html(header, rows, label="stays") if rows else ""


def _move(move: Move) -> str:
    cost = format_interval(move.cost_g.low, move.cost_g.mid, move.cost_g.high, "g CO2e")
    kept = f"{counted(move.reused.tasks, 'task')} reused, {format_duration(move.lost_cpu_s)} of CPU time lost"
    head = f"move {escape(move.from_site, most=60)} → {escape(move.to_site, most=60)} ({move.trigger})"
    return f"<div>{head}: {format_duration(move.dead_s)} dead, {kept}, cost {cost}; {escape(move.reason)}</div>"


def _small_print(receipt: Receipt) -> str:
    sources = [f"{what}: {source} ({kind})" for what, source, kind in sources_of(receipt)[:_MOST_ITEMS]]
    lines = "".join(f"<li>{escape(line, most=240)}</li>" for line in (*refused_moves(receipt), *sources))
    simulated = simulated_text(GridTime(receipt.clock))
    note = f"<div>Real work, {escape(simulated)}.</div>" if simulated else ""
    return note + (details_html("Where these figures come from", f"<ul>{lines}</ul>") if lines else "")


def _profile_share(receipt: Receipt) -> str:
    profile, share = receipt.profile, ""
    if not profile.slices and not profile.cpu_s:
        return "none"
    if profile.share is not None:
        share = f", {profile.share:.{0 if profile.share >= 0.1 else 1}%} of the run's"
    ran = counted(len(profile.slices), "slice") if profile.slices else "no slice ran to its end"
    return f"{ran}, {format_duration(profile.cpu_s)} of CPU time{share}"


def _range(low: float, mid: float, high: float) -> str:
    return f"{format_duration(mid)} ({format_duration(low)}-{format_duration(high)})"
