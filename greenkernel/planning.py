"""Predictions, signals and progress of one run, put as a problem to the planner, and its answer kept as a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from greenkernel.model.progress import remaining
from greenkernel.plan.path import solve
from greenkernel.plan.problem import Impossible, Option, Problem, choose_grid
from greenkernel.plan.replan import Calm, Decision, MoveTo, Refused, decide
from greenkernel.records import EpochOpen, Interval, Plan, Prediction, Progress, RefusedMove, Request
from greenkernel.run.reconcile import Seen, cooling_down
from greenkernel.signals.base import comparable, sample
from greenkernel.store.runs import PlanNow
from greenkernel.tariffs import SiteGrid

# A move must bring this share of what staying would cost, besides its own cost.
_LEAST_GAIN = 0.02
# After a move the run stays for as long as this many start-ups take, unless the due date wants otherwise.
_COOL_DOWN_STARTUPS = 3.0
# Signals whose record ended longer ago than this give no new plan: the one that was made before is kept.
_STALE_S = 6 * 3600.0
# What a move takes along over the network, kWh per GB; the receipt shows both ends of the literature.
_TRANSFER_KWH_PER_GB = 0.01
# Work that is called done by its CPU seconds may still have an end to come.
_MOST_DONE = 0.98


class Planner:
    """Plans for one run.

    Args:
        request: What was asked.
        predictions: For each site and core count.
        grids: Signal and tariff of each site.
        payload_bytes: What travels to a site.
        zone: The zone in which reasons tell times; None: the machine's.
    """

    def __init__(
        self,
        request: Request,
        predictions: Sequence[Prediction],
        grids: Mapping[str, SiteGrid],
        payload_bytes: int,
        zone: tzinfo | None,
    ) -> None:
        self._zone = zone
        self._request = request
        self._grids = grids
        self._payload_bytes = payload_bytes
        self._predictions = [p for p in predictions if p.feasible or "too late" in (p.why_not or "")]
        self._excluded = [p for p in predictions if p not in self._predictions]
        comparable(grid.signal for grid in grids.values())

    def first(self, now: datetime) -> Plan | Impossible:
        """The plan before the run; where a person is asked about moves it relies on none."""
        if not self._predictions:
            reasons = dict.fromkeys(f"{p.site}: {p.why_not}" for p in self._excluded)
            return Impossible(reason=f"no site can run this cell ({'; '.join(reasons)})", what_would_help=())
        return solve(self._problem(now, self._predictions, self._payload_bytes))

    def unpromised(self, now: datetime, why: Impossible) -> Plan | Impossible:
        """A plan that begins at once, for a cell of whose time nothing is known; it says that nothing is promised.

        Returns:
            ``why`` where no site can run the cell, or the due date does not even leave the time to start.
        """
        due_at = self._request.due_at
        soonest_s = min((p.startup_s.high + p.time_s.low for p in self._predictions), default=math.inf)
        if due_at is None or soonest_s > (due_at - now).total_seconds():
            return why
        plan = solve(replace(self._problem(now, self._predictions, self._payload_bytes), due_at=None, can_wait=False))
        if isinstance(plan, Impossible):
            return why
        said = "no due date can be promised, for nothing is known of the cell's time; begins at once"
        return replace(plan, reason=f"{said}: {plan.reason}")

    def again(self, seen: Seen, now: datetime) -> PlanNow | None:
        """The plan from here on, None where the present one has to do."""
        epoch, progress = seen.epoch, seen.progress
        if epoch is None or progress is None or seen.plan is None:
            return None
        here = next((p for p in self._predictions if (p.site, p.cores) == (epoch.site, epoch.cores)), None)
        if here is None or here.cpu_s.mid <= 0:
            return None
        done = _fraction_done(progress, here)
        lost_s = _not_recorded_s(progress, here)
        repeat_s = Interval(low=lost_s, mid=lost_s, high=lost_s, source="not recorded by now")
        options = [
            replace(_remaining(p, done, progress), repeat_s=repeat_s if p is here else p.repeat_s)
            for p in self._predictions
        ]
        problem = self._problem(
            now,
            options,
            self._payload_bytes + progress.record_bytes,
            work_left=1 - done,
            current=self._predictions.index(here),
            can_move=self._request.move == "auto" or seen.may_ask,
        )
        decision = decide(seen.plan.plan, problem, self._calm(seen, epoch, here, now))
        if decision.plan is None and not isinstance(decision, Refused):
            return None
        plan = replace(decision.plan, reason=decision.reason) if isinstance(decision, MoveTo) else decision.plan
        stay = solve(replace(problem, can_move=False, due_at=None))
        saving_g = stay.emissions_g.mid - plan.emissions_g.mid if plan and isinstance(stay, Plan) else None
        refused = _refused(seen.plan, decision, epoch.site, now)
        return PlanNow(plan=plan or seen.plan.plan, saving_g=saving_g, refused=refused)

    def onward(self, seen: Seen, now: datetime) -> PlanNow | None:
        """The plan for what is left of a run that was stopped and is resumed, None where the present one has to do."""
        if seen.plan is None or not self._predictions:
            return None
        epoch, progress, done = seen.epoch, seen.progress, 0.0
        if epoch is not None and progress is not None:
            at = [p for p in self._predictions if (p.site, p.cores) == (epoch.site, epoch.cores) and p.cpu_s.mid > 0]
            done = min(_MOST_DONE, progress.recorded_cpu_s / at[0].cpu_s.mid) if at else 0.0
        kept_bytes = progress.record_bytes if progress is not None else 0
        problem = self._problem(now, self._predictions, self._payload_bytes + kept_bytes, work_left=1 - done)
        plan = solve(problem)
        if isinstance(plan, Impossible):  # the due date cannot be promised any more: as quick as possible
            plan = solve(replace(problem, goal="time", due_at=None, can_wait=False))
        return None if isinstance(plan, Impossible) else PlanNow(plan=plan, refused=seen.plan.refused)

    def _calm(self, seen: Seen, epoch: EpochOpen, here: Prediction, now: datetime) -> Calm:
        return Calm(
            cool_down_s=_COOL_DOWN_STARTUPS * here.startup_s.high,
            moved_at=epoch.opened_at if epoch.epoch > 1 else None,
            avoided=cooling_down(seen),
            forecast_age_s=max(grid.signal.age_s(now) for grid in self._grids.values()),
            stale_after_s=_STALE_S,
        )

    def _problem(
        self,
        now: datetime,
        predictions: Sequence[Prediction],
        moved_bytes: int,
        *,
        work_left: float = 1.0,
        current: int | None = None,
        can_move: bool | None = None,
    ) -> Problem:
        due_at = self._request.due_at
        times_s = [p.time_s.mid * work_left + p.startup_s.mid for p in predictions]
        longest_s = max(p.time_s.high * work_left + p.startup_s.high for p in predictions)
        # Without a due date nothing waits: the horizon only has to hold the slowest run.
        horizon_s = longest_s if due_at is None else max(1.0, (due_at - now).total_seconds())
        slot_s, slots = choose_grid(times_s, horizon_s)
        return Problem(
            start=now,
            slot_s=slot_s,
            slots=slots,
            options=tuple(self._option(p, now, slot_s, slots, moved_bytes) for p in predictions),
            work_left=work_left,
            current=current,
            due_at=due_at,
            goal=self._request.goal,
            min_gain_ratio=_LEAST_GAIN,
            can_wait=due_at is not None and current is None,
            can_move=self._request.move == "auto" if can_move is None else can_move,
            currency=predictions[0].currency,
            zone=self._zone,
        )

    def _option(self, p: Prediction, now: datetime, slot_s: float, slots: int, moved_bytes: int) -> Option:
        grid = self._grids[p.site]
        points = grid.signal.points(now, now + timedelta(seconds=slot_s * (slots + 1)))
        intensity = sample(points, now, slot_s, slots)
        transfer_kwh = moved_bytes / 1e9 * _TRANSFER_KWH_PER_GB
        return Option(
            site=p.site,
            cores=p.cores,
            duration_low_s=p.time_s.low,
            duration_mid_s=p.time_s.mid,
            duration_high_s=p.time_s.high,
            startup_mid_s=p.startup_s.mid,
            startup_high_s=p.startup_s.high,
            # The prediction's power has the PUE already.
            power_low_w=p.power_w.low,
            power_w=p.power_w.mid,
            power_high_w=p.power_w.high,
            startup_wh=p.power_w.mid * p.startup_s.mid / 3600,
            intensity=intensity,
            price_per_kwh=grid.config.price_per_kwh,
            price_per_hour=grid.config.price_per_core_h * p.cores,
            embodied_g_per_h=grid.tariff.embodied_g_per_core_h.mid * p.cores,
            arrive_g=transfer_kwh * float(intensity.mean()),
            repeat_mid_s=p.repeat_s.mid if p.repeat_s is not None else 0.0,
            repeat_high_s=p.repeat_s.high if p.repeat_s is not None else 0.0,
        )


def _fraction_done(progress: Progress, here: Prediction) -> float:
    """Part of the work that is done, by CPU seconds: as predicted, or more where the tasks to come say so."""
    done_s = progress.cpu_s + progress.reused_cpu_s
    return min(_MOST_DONE, done_s / max(here.cpu_s.mid, done_s + progress.left_cpu_s))


def _remaining(p: Prediction, done: float, progress: Progress) -> Prediction:
    """The prediction corrected by the run's own pace, still for the whole cell."""
    left = remaining(p, done, progress.cpu_s + progress.reused_cpu_s)
    return replace(p, time_s=left.scaled(1 / (1 - done)))


def _not_recorded_s(progress: Progress, here: Prediction) -> float:
    """Seconds of work here that no record holds, so that a move does it again."""
    if progress.stops_soon:
        return 0.0
    cpu_s = max(0.0, progress.cpu_s + progress.reused_cpu_s - progress.recorded_cpu_s)
    return cpu_s * here.time_s.mid / here.cpu_s.mid


def _refused(before: PlanNow, decision: Decision, site: str, now: datetime) -> tuple[RefusedMove, ...]:
    """Moves that were looked at and do not pay, each site's latest reason once."""
    goes_to = {step.site for step in decision.plan.steps} | {site} if decision.plan is not None else {site}
    known = {refused.to_site: refused for refused in before.refused if refused.to_site not in goes_to}
    for other in decision.plan.alternatives if decision.plan is not None else ():
        if other.site not in goes_to:
            known[other.site] = RefusedMove(to_site=other.site, at=now, reason=other.why_not)
    if isinstance(decision, Refused):
        known[decision.to_site] = RefusedMove(to_site=decision.to_site, at=now, reason=decision.reason)
    return tuple(known.values())
