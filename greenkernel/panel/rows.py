"""The choice as rows: what each site would take, best first, and what is left of a run at work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from greenkernel.panel.state import PanelState
from greenkernel.panel.text import interval_text
from greenkernel.panel.words import NOT_KNOWN, SECONDS_BELOW_S, is_known
from greenkernel.records import Alternative, Interval, Plan, Prediction, Progress
from greenkernel.units import clock_text


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """One site in words: figures are ``mid (low-high)``; ``remark`` is the plan's reason, or why it cannot."""

    site: str
    cores: int
    can: bool
    ticked: bool
    finish: str = ""
    energy: str = ""
    emissions: str = ""
    cost: str = ""
    chance: str = ""
    remark: str = ""


def site_rows(state: PanelState, *, zone: tzinfo | None) -> tuple[SiteRow, ...]:
    """One row per site: the recommended one first, then by what the goal looks at; those that cannot come last.

    The recommended row has the figures of the plan, which may wait and move; the others start there now.
    """
    plan = state.plan
    first = plan.steps[0] if plan and plan.steps else None
    others = {a.site: a for a in plan.alternatives} if plan else {}
    can: list[tuple[float, SiteRow]] = []
    cannot: list[SiteRow] = []
    for site in state.sites:
        here = [p for p in state.predictions if p.site == site]
        possible = [p for p in here if p.feasible]
        if plan is not None and first is not None and first.site == site:
            best = next((p for p in here if p.cores == first.cores), here[0])
            can.append((float("-inf"), _planned(state, plan, best, zone)))
            continue
        why_not = _why_not(here, possible, others.get(site))
        if why_not is not None:
            cannot.append(SiteRow(site=site, cores=here[0].cores, can=False, ticked=False, remark=why_not))
            continue
        best = min(possible, key=lambda p: p.emissions_g.mid)
        can.append((_worth(state, best), _now(state, best, others.get(site), zone)))
    return tuple([row for _, row in sorted(can, key=lambda each: each[0])] + cannot)


def remaining_s(state: PanelState) -> Interval | None:
    """Seconds that a run at work still takes: from the CPU seconds that its tasks still need, else as predicted."""
    if not state.epochs:
        return None
    epoch, progress = state.epochs[-1], state.progress
    found = next((p for p in state.predictions if (p.site, p.cores) == (epoch.site, epoch.cores)), None)
    current = progress is not None and progress.epoch == epoch.epoch
    if progress is not None and current and (left := _left_s(progress)) > 0:
        return _spread(left, found)
    if found is None or not is_known(found.time_s):
        return None
    whole = found.startup_s + found.time_s
    if progress is not None and progress.fraction is not None:
        return found.time_s.scaled(max(0.0, 1 - progress.fraction))
    if len(state.epochs) > 1:
        return None
    passed = (state.at - epoch.opened_at).total_seconds()
    ends = [max(0.0, end - passed) for end in (whole.low, whole.mid, whole.high)]
    return Interval(low=ends[0], mid=ends[1], high=ends[2]) if ends[2] > 0 else None


def _left_s(progress: Progress) -> float:
    """By the CPU seconds that tasks still need, or by their number, for tasks that wait more than they compute."""
    here = progress.tasks_done - progress.reused_tasks
    by_cpu = by_number = 0.0
    if progress.cpu_s > 0:
        by_cpu = progress.left_cpu_s * progress.wall_s / progress.cpu_s
    if progress.tasks_total and here > 0:
        by_number = progress.wall_s * (progress.tasks_total - progress.tasks_done) / here
    return max(by_cpu, by_number)


def _spread(left_s: float, found: Prediction | None) -> Interval:
    """The prediction's own relative spread, or a quarter either way where there is none."""
    low, high = 0.75, 1.25
    if found is not None and found.time_s.mid > 0 and is_known(found.time_s):
        low, high = found.time_s.low / found.time_s.mid, found.time_s.high / found.time_s.mid
    return Interval(low=left_s * low, mid=left_s, high=left_s * high)


def _why_not(here: list[Prediction], possible: list[Prediction], other: Alternative | None) -> str | None:
    """None where a person may choose the site; the planner's refusal counts like that of the prediction."""
    if not possible:
        return "; ".join(dict.fromkeys(p.why_not or "cannot run this cell" for p in here))
    return other.why_not if other is not None and other.finish_at is None else None


def _worth(state: PanelState, p: Prediction) -> float:
    goal = state.plan.goal if state.plan else "co2"
    return {"co2": p.emissions_g, "energy": p.energy_wh, "cost": p.cost, "time": p.time_s}[goal].mid


def _planned(state: PanelState, plan: Plan, p: Prediction, zone: tzinfo | None) -> SiteRow:
    took = p.startup_s + p.time_s
    if not is_known(took):
        remark = "best by what is known; how long the cell takes is not, because it was not measured"
        return SiteRow(site=p.site, cores=p.cores, can=True, ticked=True, finish=NOT_KNOWN, remark=remark)
    seconds = took.high < SECONDS_BELOW_S
    earliest = plan.steps[0].start + timedelta(seconds=took.low) if len(plan.steps) == 1 else None
    ends = (earliest and min(earliest, plan.finish_at), plan.finish_at, plan.finish_latest_at)
    return SiteRow(
        site=p.site,
        cores=p.cores,
        can=True,
        ticked=True,
        finish=_finish(ends, zone, state.at, seconds),
        energy=interval_text(plan.energy_wh, "Wh"),
        emissions=interval_text(plan.emissions_g, "g"),
        cost=interval_text(plan.cost, p.currency),
        chance=_chance(p.p_due),
        remark=plan.reason,
    )


def _now(state: PanelState, p: Prediction, other: Alternative | None, zone: tzinfo | None) -> SiteRow:
    took = p.startup_s + p.time_s
    if not is_known(took):
        return SiteRow(site=p.site, cores=p.cores, can=True, ticked=False, finish=NOT_KNOWN)
    seconds = took.high < SECONDS_BELOW_S
    step_s = 5 if seconds else 60
    start = datetime.fromtimestamp(state.at.timestamp() // step_s * step_s, state.at.tzinfo)
    ends = [start + timedelta(seconds=end) for end in (took.low, took.mid, took.high)]
    remark = ""
    if other is not None:
        remark = other.why_not if other.what.endswith(" now") else f"at best {other.what}: {other.why_not}"
    return SiteRow(
        site=p.site,
        cores=p.cores,
        can=True,
        ticked=False,
        finish=_finish((ends[0], ends[1], ends[2]), zone, state.at, seconds),
        energy=interval_text(p.energy_wh, "Wh"),
        emissions=interval_text(p.emissions_g, "g"),
        cost=interval_text(p.cost, p.currency),
        chance=_chance(p.p_due),
        remark=remark,
    )


def _finish(ends: Iterable[datetime | None], zone: tzinfo | None, today: datetime, seconds: bool) -> str:
    low, mid, high = ("" if end is None else clock_text(end, zone, today=today, seconds=seconds) for end in ends)
    if not low:
        return mid if mid == high else f"{mid} (latest {high})"
    return mid if low == mid == high else f"{mid} ({low}-{high})"


def _chance(p_due: float | None) -> str:
    if p_due is None:
        return ""
    return "> 99%" if p_due > 0.99 else "< 1%" if p_due < 0.01 else f"{p_due:.0%}"
