"""The receipt of a run: measured seconds and CPU, times each site's power and the grid's intensity, item by item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenkernel.records import (
    SCHEMA,
    Baseline,
    Capture,
    ClockInfo,
    Emissions,
    EpochOpen,
    Interval,
    Move,
    Plan,
    Prediction,
    Profile,
    ProfileReceipt,
    Progress,
    Receipt,
    RefusedMove,
    Request,
    RunState,
    SourceInfo,
    Stay,
    Work,
)

# kWh for moving one GB over networks; the literature spans a factor of sixty, so the ends are shown.
_TRANSFER = Interval(low=0.001, mid=0.01, high=0.06, source="transfer: 0.001-0.06 kWh/GB in the literature")
_NOTHING = Interval(low=0.0, mid=0.0, high=0.0, level=1.0, source="none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What time and work on one site cost. Powers are of one core, before PUE; intensity is a mean over a time."""

    site: str
    pue: float
    idle_w_per_core: Interval
    busy_w_per_core: Interval
    embodied_g_per_core_h: Interval
    intensity: Callable[[datetime, datetime], float]

    def running_wh(self, cpu_s: float) -> Interval:
        """Energy of CPU seconds, above idle."""
        return self.busy_w_per_core.scaled(cpu_s / 3600 * self.pue)

    def idle_wh(self, cores: int, duration_s: float) -> Interval:
        """Energy of reserved cores."""
        return self.idle_w_per_core.scaled(cores * duration_s / 3600 * self.pue)

    def grams(self, energy_wh: Interval, start: datetime, end: datetime) -> Interval:
        """Energy at the mean intensity of a time."""
        return energy_wh.scaled(self.intensity(start, max(end, start + timedelta(milliseconds=1))) / 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFacts:
    """One epoch as it was. ``claimed_at`` None: its runner never started."""

    opened: EpochOpen
    claimed_at: datetime | None
    ended_at: datetime
    progress: Progress | None

    @property
    def cpu_s(self) -> float:
        """CPU seconds used in this epoch."""
        return self.progress.cpu_s if self.progress else 0.0

    @property
    def lost_cpu_s(self) -> float:
        """CPU seconds that no record holds."""
        if self.progress is None:
            return 0.0
        return max(0.0, self.progress.cpu_s + self.progress.reused_cpu_s - self.progress.recorded_cpu_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Everything that a receipt is made of."""

    run: str
    request: Request
    capture: Capture
    profile: Profile
    predictions: tuple[Prediction, ...]
    plan: Plan | None
    refused: tuple[RefusedMove, ...]
    epochs: tuple[EpochFacts, ...]
    state: RunState
    error: str | None
    advised_at: datetime | None
    finished_at: datetime
    clock: ClockInfo
    home: str
    sources: tuple[SourceInfo, ...]


def make_receipt(facts: RunFacts, tariffs: Mapping[str, Tariff]) -> Receipt:
    """Predicted against measured; the items' mids sum to the total's."""
    emissions = _emissions(facts, tariffs)
    baselines = _baselines(facts, tariffs)
    run_cpu_s = sum(epoch.cpu_s for epoch in facts.epochs)
    return Receipt(
        schema=SCHEMA,
        run=facts.run,
        name=facts.request.name,
        state=facts.state,
        error=facts.error,
        due=facts.request.due_at,
        due_met=_due_met(facts),
        goal=facts.request.goal,
        created_at=facts.request.created_at,
        finished_at=facts.finished_at,
        profile=ProfileReceipt(
            slices=facts.profile.slices,
            cpu_s=facts.profile.cpu_s,
            share=facts.profile.cpu_s / run_cpu_s if run_cpu_s else None,
            notes=facts.profile.notes,
        ),
        predictions=facts.predictions,
        plan=facts.plan.steps if facts.plan else (),
        stays=tuple(_stay(epoch, tariffs[epoch.opened.site]) for epoch in facts.epochs if epoch.claimed_at),
        moves=_moves(facts, tariffs),
        refused_moves=facts.refused,
        emissions_g=emissions,
        baselines=baselines,
        saved_g=_saved(baselines, facts, emissions.total),
        clock=facts.clock,
        sources=facts.sources,
    )


def _due_met(facts: RunFacts) -> bool | None:
    if facts.request.due_at is None or not facts.epochs:
        return None  # nothing was promised, or nothing was begun
    if facts.state is RunState.CANCELLED and facts.finished_at <= facts.request.due_at:
        return None
    return facts.state is RunState.DONE and facts.finished_at <= facts.request.due_at


def _stay(epoch: EpochFacts, tariff: Tariff) -> Stay:
    start = epoch.opened.opened_at
    duration_s = (epoch.ended_at - start).total_seconds()
    energy = tariff.running_wh(epoch.cpu_s) + tariff.idle_wh(epoch.opened.cores, duration_s)
    return Stay(
        epoch=epoch.opened.epoch,
        site=epoch.opened.site,
        cores=epoch.opened.cores,
        start=start,
        end=epoch.ended_at,
        cpu_s=epoch.cpu_s,
        energy_wh=energy,
        emissions_g=tariff.grams(energy, start, epoch.ended_at),
    )


def _emissions(facts: RunFacts, tariffs: Mapping[str, Tariff]) -> Emissions:
    running = idle = startup = transfer = embodied = _NOTHING
    previous: EpochFacts | None = None
    for epoch in facts.epochs:
        tariff = tariffs[epoch.opened.site]
        began = epoch.claimed_at or epoch.ended_at
        opened, cores = epoch.opened.opened_at, epoch.opened.cores
        startup += tariff.grams(tariff.idle_wh(cores, _seconds(opened, began)), opened, began)
        running += tariff.grams(tariff.running_wh(epoch.cpu_s), began, epoch.ended_at)
        idle += tariff.grams(tariff.idle_wh(cores, _seconds(began, epoch.ended_at)), began, epoch.ended_at)
        embodied += tariff.embodied_g_per_core_h.scaled(cores * _seconds(opened, epoch.ended_at) / 3600)
        transfer += _transfer(facts, epoch, previous, tariffs)
        previous = epoch
    profiling = _profiling(facts, tariffs)
    total = running + idle + startup + transfer + profiling + embodied
    return Emissions(
        total=total,
        running=running,
        idle=idle,
        startup=startup,
        transfer=transfer,
        profiling=profiling,
        embodied=embodied,
    )


def _profiling(facts: RunFacts, tariffs: Mapping[str, Tariff]) -> Interval:
    if not facts.profile.cpu_s:
        return _NOTHING
    tariff = tariffs[facts.home]
    energy = tariff.running_wh(facts.profile.cpu_s) + tariff.idle_wh(1, facts.profile.wall_s)
    end = facts.advised_at or facts.finished_at
    return tariff.grams(energy, end - timedelta(seconds=facts.profile.wall_s), end)


def _transfer(
    facts: RunFacts, epoch: EpochFacts, previous: EpochFacts | None, tariffs: Mapping[str, Tariff]
) -> Interval:
    """The way of payload and records to a site; both ends' grids count half."""
    source = previous.opened.site if previous else facts.home
    if source == epoch.opened.site:
        return _NOTHING
    ends = [tariffs[source], tariffs[epoch.opened.site]]
    start, end = epoch.opened.opened_at, epoch.claimed_at or epoch.ended_at
    energy = _TRANSFER.scaled(_bytes(facts, epoch) / 1e9 * 1000)
    return ends[0].grams(energy, start, end).scaled(0.5) + ends[1].grams(energy, start, end).scaled(0.5)


def _bytes(facts: RunFacts, epoch: EpochFacts) -> int:
    return facts.capture.bytes + sum(ref.bytes for ref in epoch.opened.believed)


def _moves(facts: RunFacts, tariffs: Mapping[str, Tariff]) -> tuple[Move, ...]:
    pairs = zip(facts.epochs, facts.epochs[1:], strict=False)
    return tuple(
        _move(facts, older, newer, tariffs) for older, newer in pairs if older.opened.site != newer.opened.site
    )


def _move(facts: RunFacts, older: EpochFacts, newer: EpochFacts, tariffs: Mapping[str, Tariff]) -> Move:
    tariff = tariffs[newer.opened.site]
    began = newer.claimed_at or newer.ended_at
    progress = newer.progress
    startup = tariff.idle_wh(newer.opened.cores, _seconds(newer.opened.opened_at, began))
    again = tariff.running_wh(older.lost_cpu_s)
    cost = tariff.grams(startup + again, newer.opened.opened_at, newer.ended_at)
    trigger = newer.opened.trigger
    return Move(
        from_site=older.opened.site,
        to_site=newer.opened.site,
        trigger="plan" if trigger == "start" else trigger,
        reason=newer.opened.reason,
        decided_at=newer.opened.opened_at,
        dead_s=max(0.0, _seconds(older.ended_at, began)),
        lost_cpu_s=older.lost_cpu_s,
        reused=Work(
            tasks=progress.reused_tasks if progress else 0,
            cpu_s=progress.reused_cpu_s if progress else 0.0,
            why=f"a snapshot at {at}" if (at := progress.resumed_at if progress else "") else "finished joblib tasks",
        ),
        recomputed=Work(
            tasks=progress.recomputed_tasks if progress else 0,
            cpu_s=older.lost_cpu_s,
            why=_why_again(older.progress),
        ),
        bytes=_bytes(facts, newer),
        cost_g=cost + _transfer(facts, newer, older, tariffs),
        predicted_saving_g=newer.opened.predicted_saving_g,
    )


def _why_again(progress: Progress | None) -> str:
    if progress is not None and progress.why_not_kept:
        return f"no snapshot could be taken: {progress.why_not_kept}"
    return "work after the last snapshot, and tasks in flight"


def _baselines(facts: RunFacts, tariffs: Mapping[str, Tariff]) -> tuple[Baseline, ...]:
    """The same job by the same method: at once, on one site that could take it, without profiling or a move."""
    began = [epoch for epoch in facts.epochs if epoch.claimed_at is not None]
    if not began or facts.advised_at is None:
        return ()
    useful_cpu_s = sum(epoch.cpu_s for epoch in began) - sum(epoch.lost_cpu_s for epoch in began[:-1])
    could = [p for p in facts.predictions if p.feasible or _could_at_home(facts, p)]
    found = []
    for site in (facts.home, *(site for site in tariffs if site != facts.home)):
        prediction = _like(could, site, began[0].opened.cores)
        if prediction is None:
            continue
        tariff, cores = tariffs[site], prediction.cores
        duration_s = _seconds(began[0].opened.opened_at, began[0].claimed_at or began[0].ended_at) + sum(
            _useful_wall_s(epoch, is_last=epoch is began[-1]) * _slower(facts, epoch, prediction) for epoch in began
        )
        end = facts.advised_at + timedelta(seconds=duration_s)
        energy = tariff.running_wh(useful_cpu_s) + tariff.idle_wh(cores, duration_s)
        embodied = tariff.embodied_g_per_core_h.scaled(cores * duration_s / 3600)
        name = "now, at home" if site == facts.home else f"now, on {site}"
        emissions = tariff.grams(energy, facts.advised_at, end) + embodied
        found.append(Baseline(name=name, site=site, emissions_g=emissions))
    return tuple(found)


def _could_at_home(facts: RunFacts, p: Prediction) -> bool:
    """Home is what it is compared with also where only the due date or ``--site`` rules it out."""
    unwanted = bool(facts.request.sites) and facts.home not in facts.request.sites
    return p.site == facts.home and (unwanted or "too late" in (p.why_not or ""))


def _useful_wall_s(epoch: EpochFacts, *, is_last: bool) -> float:
    """Seconds at work, less what was lost when the epoch was left."""
    wall_s = _seconds(epoch.claimed_at or epoch.ended_at, epoch.ended_at)
    lost = 0.0 if is_last or not epoch.cpu_s else min(1.0, epoch.lost_cpu_s / epoch.cpu_s)
    return wall_s * (1 - lost)


def _slower(facts: RunFacts, epoch: EpochFacts, there: Prediction) -> float:
    """How much longer the same work takes elsewhere, as the predictions say."""
    here = _like(facts.predictions, epoch.opened.site, epoch.opened.cores)
    return there.time_s.mid / here.time_s.mid if here is not None and here.time_s.mid else 1.0


def _like(predictions: Sequence[Prediction], site: str, cores: int) -> Prediction | None:
    """The prediction for a site with the nearest number of cores."""
    here = [p for p in predictions if p.site == site]
    return min(here, key=lambda p: abs(p.cores - cores), default=None)


def _saved(baselines: Sequence[Baseline], facts: RunFacts, total: Interval) -> Interval:
    """Against "now, at home". Both sides have the same powers, so their errors are taken to go together."""
    if not baselines:
        return Interval.exact(0.0, "no baseline: the run did not start")
    if facts.state is not RunState.DONE:
        return Interval.exact(0.0, "no baseline: the run did not come to its end")
    if baselines[0].site != facts.home:
        return Interval.exact(0.0, f"no baseline: {facts.home}, which is home, cannot run the cell")
    home = baselines[0].emissions_g
    mid = home.mid - total.mid
    ends = (home.low - total.low, mid, home.high - total.high)
    return Interval(
        low=min(ends), mid=mid, high=max(ends), level=total.level, source="now, at home, by the same method"
    )


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())
