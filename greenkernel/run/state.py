"""Where a run stands, in one word and a few more: a pure function of what is seen."""

from __future__ import annotations

from datetime import tzinfo

from greenkernel.records import JobPhase, RunState
from greenkernel.run.reconcile import Seen, target
from greenkernel.units import clock_text, counted


def describe(seen: Seen, zone: tzinfo | None) -> tuple[RunState, str]:
    """The state of a run, and the detail in words, with times in a zone (None: the machine's)."""
    state, detail = _stands(seen, zone)
    return state, "; ".join(part for part in (detail, _left(seen)) if part)


def _left(seen: Seen) -> str:
    """What the run may have left where it is no more, since nobody there can be asked to remove it."""
    here = seen.epoch.site if seen.epoch is not None and seen.end is None else None
    away = sorted(({epoch.site for epoch in seen.epochs} & seen.silent_sites) - {here})
    if not away:
        return ""
    gone = all(site in seen.gone_sites for site in away)
    rest = "which the sites file has no more" if gone else "and goes when that can be reached"
    return f"what it had on {' and '.join(away)} may still be there, {rest}"


def _stands(seen: Seen, zone: tzinfo | None) -> tuple[RunState, str]:
    if seen.end is not None:
        left = len(seen.jobs)
        tidy = f"; {left} job{'s' if left > 1 else ''} still being removed" if left else ""
        return seen.end.state, f"{seen.end.error or ''}{tidy}".lstrip("; ")
    if seen.result is not None or seen.finished is not None:
        return RunState.COLLECTING, "verifying the result"
    if any(wish.kind == "cancel" for wish in seen.wishes):
        away = ", ".join(sorted({e.site for e in seen.epochs} & (seen.silent_sites - seen.gone_sites)))
        return _before_or_running(seen), f"cancelling{f'; waiting for {away}, which cannot be reached' if away else ''}"
    if seen.advice is None:
        return RunState.PROFILING, ""
    if seen.epoch is None or seen.resumed_at is not None:
        return _before_start(seen, zone)
    return _on_a_site(seen)


def _before_or_running(seen: Seen) -> RunState:
    return RunState.WAITING if seen.epoch is None else RunState.RUNNING


def _before_start(seen: Seen, zone: tzinfo | None) -> tuple[RunState, str]:
    chosen = seen.request.auto or any(wish.kind == "choose" for wish in seen.wishes)
    if not chosen:
        return RunState.CHOOSING, "waiting for a choice"
    if target(seen) is None and seen.plan is not None and seen.plan.plan.steps:
        first = seen.plan.plan.steps[0]
        return (
            RunState.WAITING,
            f"starts on {first.site} at {clock_text(first.start, zone, today=seen.now, seconds=True)}",
        )
    return RunState.STARTING, "" if seen.resumed_at is None else "resumed; waits for a site that is ready"


def _on_a_site(seen: Seen) -> tuple[RunState, str]:
    epoch = seen.epoch
    assert epoch is not None
    if epoch.site in seen.gone_sites:
        return RunState.RUNNING, f"{epoch.site} is not in the sites file any more; the job may go on there"
    if epoch.site in seen.silent_sites:
        return RunState.RUNNING, f"{epoch.site} cannot be reached; the job goes on there"
    if seen.drained is not None:
        return RunState.MOVING, f"has left {epoch.site} with {counted(seen.drained.records, 'record')}"
    wanted = target(seen)
    moving = wanted is not None and wanted.site != epoch.site
    if seen.job is None or seen.job.phase is JobPhase.PENDING or seen.claim is None:
        why = seen.job.detail if seen.job is not None else ""
        rest = f"{epoch.site}{f': {why}' if why not in ('', 'starting') else ''}"
        moves = epoch.epoch > 1 and epoch.trigger != "fault"
        return (RunState.MOVING, f"to {rest}") if moves else (RunState.STARTING, f"on {rest}")
    if seen.is_asking and seen.proposal is not None:
        return RunState.RUNNING, f"on {epoch.site}, asks whether to move to {seen.proposal.site}"
    if moving and wanted is not None and seen.job.phase is JobPhase.RUNNING:
        return RunState.RUNNING, f"on {epoch.site}, to move to {wanted.site}"
    return RunState.RUNNING, f"on {epoch.site}"
