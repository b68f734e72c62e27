"""Predictions, plans, manifests and receipts as plain text: what terminals, logs and saved notebooks show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from greenkernel.panel.words import NOT_KNOWN, is_known, refused_moves, repeats, sources_of
from greenkernel.records import Capture, Interval, Move, Plan, Prediction, Profile, Proposal, Receipt
from greenkernel.units import clock_text, format_amount, format_bytes, format_duration, format_interval


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str]) -> str:
    """Columns as wide as their widest cell."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "  ".join("-" * width for width in widths), *shown[1:]])


def manifest_text(capture: Capture, *, most: int = 8) -> str:
    """What travels, the biggest first."""
    items = sorted(capture.items, key=lambda item: -item.bytes)
    shown = [f"{item.name} ({item.kind}, {format_bytes(item.bytes)}, {item.why})" for item in items[:most]]
    more = f" and {len(items) - most} more" if len(items) > most else ""
    count = len(capture.files)
    files = f"; {count} file{'s' if count > 1 else ''}" if count else ""
    secret = [item.name for item in items if item.secret_like]
    warning = f"\n  looks like a secret: {', '.join(secret)}" if secret else ""
    moves = f"\n{capture.keeps}" if capture.keeps else ""
    return f"travels: {format_bytes(capture.bytes)}: {', '.join(shown) or 'no variables'}{more}{files}{warning}{moves}"


def profile_text(profile: Profile) -> str:
    """The slices that really ran, and what was decided about the rows."""
    lines = [
        f"slices: {len(profile.slices)} ran, {profile.cpu_s:.1f} CPU s in {format_duration(profile.wall_s)}"
        if profile.slices
        else "slices: none"
    ]
    return "\n".join([*lines, *[f"  {note}" for note in profile.notes]])


def predictions_text(predictions: Sequence[Prediction], plan: Plan | None) -> str:
    """One row per site and core count; the recommended one is ticked."""
    first = plan.steps[0] if plan and plan.steps else None
    rows = []
    for p in predictions:
        ticked = first is not None and (p.site, p.cores) == (first.site, first.cores)
        chance = "" if p.p_due is None or not is_known(p.time_s) else f"{p.p_due:.0%}"
        remark = "recommended" if ticked else ""
        rows.append(
            (
                "→" if ticked else " ",
                p.site,
                str(p.cores),
                *_figures(p),
                chance,
                remark if p.feasible else f"cannot: {p.why_not}",
            )
        )
    header = ("", "site", "cores", "time", "energy", "CO2e if now", "cost", "in time", "")
    shown = table(rows, header=header)
    sources = dict.fromkeys(p.time_s.source for p in predictions if p.time_s.source)
    moves = repeats(predictions, plan)
    lines = [f"  times: {source}" for source in sources] + ([f"  a move repeats {moves}"] if moves else [])
    return "\n".join([shown, *lines])


def _figures(p: Prediction) -> tuple[str, str, str, str]:
    """Time, energy, emissions and cost; a guess of a middle between a second and a day would be taken for a figure."""
    if not is_known(p.time_s):
        return f"{NOT_KNOWN}, up to {format_duration(p.time_s.high)}", "", "", ""
    return (
        _duration(p.time_s),
        interval_text(p.energy_wh, "Wh"),
        interval_text(p.emissions_g, "g"),
        interval_text(p.cost, p.currency),
    )


def plan_text(plan: Plan, predictions: Sequence[Prediction], *, zone: tzinfo | None) -> str:
    """The steps of a plan and the reason; no times that nobody has measured."""

    def clock(when: datetime) -> str:
        return _clock(when, zone, today=plan.made_at)

    first = plan.steps[0]
    took = next((p.time_s for p in predictions if (p.site, p.cores) == (first.site, first.cores)), None)
    if took is not None and not is_known(took):
        begins = f"{first.site} ({_cores(first.cores)}) from {clock(first.start)}"
        return f"plan: {begins}; best by what is known, and how long the cell takes is not\n  {plan.reason}"
    steps = [f"{s.site} ({_cores(s.cores)}) {clock(s.start)}-{clock(s.end)}" for s in plan.steps]
    latest = clock(plan.finish_latest_at)
    return f"plan: {', then '.join(steps)}; done {clock(plan.finish_at)}, at the latest {latest}\n  {plan.reason}"


def proposal_text(proposal: Proposal, *, zone: tzinfo | None) -> str:
    """The move that is proposed, what it is to bring, and what happens without an answer."""
    until = clock_text(proposal.until, zone, today=proposal.asked_at)
    saving_g = proposal.saving_g or 0.0
    gain = (
        f"would save {format_amount(saving_g, 'g CO2e', digits=2)}"
        if saving_g > 0
        else f"is better ({proposal.reason})"
    )
    return f"moving to {proposal.site} now {gain}; without an answer by {until} it stays"


def receipt_text(receipt: Receipt, *, zone: tzinfo | None) -> str:
    """Predicted against measured, stays, moves, items and the comparison with now, at home."""
    lines = [f"receipt of run {receipt.run} ({receipt.name}): {receipt.state}"]
    if receipt.error:
        lines.append(f"  error: {receipt.error}")
    if receipt.due is not None:
        due = _clock(receipt.due, zone, today=receipt.finished_at)
        how = "came to nothing" if receipt.due_met is None else "met" if receipt.due_met else "missed"
        lines.append(f"  due {due}: {how}")
    lines += _time_lines(receipt)
    for stay in receipt.stays:
        lines.append(
            f"  stay {stay.epoch}: {stay.site}, {_cores(stay.cores)}, "
            f"{_clock(stay.start, zone, today=receipt.finished_at)}-"
            f"{_clock(stay.end, zone, today=receipt.finished_at)}, {stay.cpu_s:.1f} CPU s, "
            f"{interval_text(stay.energy_wh, 'Wh')}, {interval_text(stay.emissions_g, 'g CO2e')}"
        )
    lines += [line for move in receipt.moves for line in _move_lines(move)]
    lines += [f"  {line}" for line in refused_moves(receipt)]
    total = receipt.emissions_g
    items = ("running", "idle", "startup", "transfer", "profiling", "embodied")
    parts = ", ".join(f"{name} {format_amount(getattr(total, name).mid, 'g', digits=2)}" for name in items)
    lines.append(f"  emissions: {interval_text(total.total, 'g CO2e')} ({parts})")
    for baseline in receipt.baselines:
        lines.append(f"  {baseline.name} ({baseline.site}): {interval_text(baseline.emissions_g, 'g CO2e')}")
    lines.append(f"  saved, profiling counted: {saved_text(receipt)}")
    if receipt.clock.factor != 1:
        second = format_duration(receipt.clock.factor)
        lines.append(f"  real work, simulated grid: one real second is {second} of the grid's time")
    lines += [f"  source of {what}: {source}" for what, source, _ in sources_of(receipt)]
    return "\n".join(lines)


def interval_text(value: Interval, unit: str) -> str:
    """An interval with sensible digits."""
    return format_interval(value.low, value.mid, value.high, unit)


def saved_text(receipt: Receipt) -> str:
    """What was saved, or why that cannot be said."""
    source = receipt.saved_g.source
    return source if source.startswith("no baseline") else interval_text(receipt.saved_g, "g CO2e")


def _time_lines(receipt: Receipt) -> list[str]:
    if not receipt.stays:
        return []
    measured = (receipt.stays[-1].end - receipt.stays[0].start).total_seconds()
    first = receipt.stays[0]
    found = [p for p in receipt.predictions if (p.site, p.cores) == (first.site, first.cores)]
    if not found:
        return [f"  time: {format_duration(measured)}, nothing was predicted for {first.site}"]
    p = found[0]
    predicted = p.startup_s + p.time_s
    if not is_known(predicted):
        return [f"  time: not predicted, for nothing was measured before; measured {format_duration(measured)}"]
    return [f"  time: predicted {_duration(predicted)} if it stayed on {p.site}, measured {format_duration(measured)}"]


def _move_lines(move: Move) -> list[str]:

    saving = ""
    if move.predicted_saving_g is not None:
        saving = f", predicted saving {format_amount(move.predicted_saving_g, 'g', digits=2)}"
    return [
        f"  move {move.from_site} → {move.to_site} ({move.trigger}): {move.dead_s:.1f} s dead, "
        f"{move.reused.tasks} tasks reused ({move.reused.cpu_s:.1f} CPU s), "
        f"{move.lost_cpu_s:.1f} CPU s lost, cost {interval_text(move.cost_g, 'g CO2e')}{saving}",
        f"    {move.reason}",
    ]


def _duration(value: Interval) -> str:
    return f"{format_duration(value.mid)} ({format_duration(value.low)}-{format_duration(value.high)})"


def _cores(count: int) -> str:
    return f"{count} core{'s' if count != 1 else ''}"


def _clock(when: datetime, zone: tzinfo | None, *, today: datetime) -> str:
    """A time of day, with its date where that is another one."""
    here = when.astimezone(zone)
    return f"{here:%H:%M:%S}" if here.date() == today.astimezone(zone).date() else f"{here:%d %b %H:%M:%S}"
