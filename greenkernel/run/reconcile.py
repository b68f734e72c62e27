"""What to do next for one run: a pure function of what is wished and what is seen, safe to ask again at any moment.

Level-triggered: nothing depends on having seen an earlier state, so a controller may be killed between any two
actions, and two may act at once: every action is idempotent, and opening an epoch is decided by the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from greenkernel.records import (
    EpochOpen,
    JobPhase,
    JobStatus,
    Offer,
    Prediction,
    Progress,
    Proposal,
    Request,
    Result,
    RunState,
    Step,
)
from greenkernel.run.proposal import again_at, is_open
from greenkernel.store.runs import Advice, Claim, Drained, End, Failure, PlanNow, Wish
from greenkernel.units import format_bytes, format_duration

# A job that its site does not list is taken for gone only after this long: listings may lag behind.
MISSING_AFTER_S = 8.0
# A job that does not start within this is given up where another site could take the run.
COME_UP_S = 300.0
# A site where the run did not come up is left alone for this long.
COOL_DOWN_S = 600.0
# A site that does not answer is taken for lost when the run on it has said nothing to the store for this long.
LOST_AFTER_S = 120.0
MAX_FAULTS_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenJob:
    """A job of the run on a site."""

    site: str
    status: JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that is known of one run at one moment."""

    now: datetime
    request: Request
    advice: Advice | None = None
    plan: PlanNow | None = None
    wishes: tuple[Wish, ...] = ()
    proposal: Proposal | None = None
    epochs: tuple[EpochOpen, ...] = ()
    claim: Claim | None = None
    progress: Progress | None = None
    drained: Drained | None = None
    failure: Failure | None = None
    finished: Result | None = None
    result: Result | None = None
    end: End | None = None
    jobs: tuple[SeenJob, ...] = ()
    silent_sites: frozenset[str] = frozenset()
    gone_sites: frozenset[str] = frozenset()
    """Sites of this run that are not in the sites file any more: silent ones, for which nothing waits in the end."""
    offers: Mapping[str, Offer] = field(default_factory=dict)
    missing_s: float = 0.0
    """Seconds since the present epoch's job was last seen on its site or handed to it."""
    quiet_s: float = 0.0
    """Seconds since the present epoch was opened or its runner has last told of its progress."""

    @property
    def resumes(self) -> int:
        """How often the run was resumed."""
        return sum(wish.kind == "resume" for wish in self.wishes)

    @property
    def resumed_at(self) -> datetime | None:
        """When the run was resumed, if no epoch has been opened since."""
        if self.epoch is not None and self.epoch.resumes == self.resumes:
            return None
        return max((wish.at for wish in self.wishes if wish.kind == "resume"), default=None)

    @property
    def is_asking(self) -> bool:
        """True while a person is asked about a move."""
        return self.epoch is not None and is_open(self.proposal, self.wishes, self.epoch.epoch, self.now)

    @property
    def may_ask(self) -> bool:
        """True where a move may be proposed: none is now, and none was a short while ago."""
        last = self.proposal
        rests = last is not None and last.settled and self.now < again_at(last)
        return self.request.move == "ask" and not self.is_asking and not rests

    @property
    def epoch(self) -> EpochOpen | None:
        """The epoch that is believed."""
        return self.epochs[-1] if self.epochs else None

    @property
    def job(self) -> JobStatus | None:
        """The present epoch's job, None where its site does not list it."""
        for seen in self.jobs:
            if self.epoch is not None and seen.status.epoch == self.epoch.epoch and seen.site == self.epoch.site:
                return seen.status
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advise:
    """Profile, predict, plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEpoch:
    """Fence the earlier epochs and decide where the run goes on."""

    epoch: int
    site: str
    cores: int
    memory_bytes: int
    trigger: Literal["start", "plan", "user", "fault"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Hand the present epoch's job to its site."""

    epoch: int
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Ask a job to leave with its records."""

    epoch: int
    site: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Ask a person about a move."""

    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """A proposal has come to nothing: it was answered so, or not at all."""

    proposal: Proposal
    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Remove a job and all it has on its site."""

    epoch: int
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """Verify the result that an epoch has left, and make it the run's."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Write the receipt and close the run."""

    state: RunState
    error: str | None = None


Action = Advise | OpenEpoch | Submit | Drain | Propose | Settle | Stop | Accept | Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the run should be, and who says so."""

    site: str
    cores: int
    trigger: Literal["start", "plan", "user"]
    reason: str


def reconcile(seen: Seen) -> list[Action]:
    """The actions that bring the run closer to what is wished; an empty list means: wait for a change."""
    if seen.end is not None:
        return _stop_all(seen)
    if seen.result is not None:
        failed = seen.result.error is not None
        error = f"{seen.result.error.type_name}: {seen.result.error.message}" if seen.result.error else None
        return [Finish(state=RunState.FAILED if failed else RunState.DONE, error=error)]
    if seen.finished is not None and seen.failure is None:
        return [Accept(epoch=seen.finished.epoch)]
    if any(wish.kind == "cancel" for wish in seen.wishes):
        return _cancel(seen)
    if seen.advice is None:
        return [Advise()]
    if seen.advice.plan is None:
        return [Finish(state=RunState.FAILED, error=seen.advice.impossible or "no site can run this cell")]
    if seen.request.dry_run:
        return [Finish(state=RunState.DONE)]
    if seen.epoch is None:
        return _start(seen)
    if seen.resumed_at is not None:
        return [*_stop_all(seen), *_resume(seen, seen.epoch)]
    return [*_stop_stale(seen), *_follow(seen, seen.epoch)]


def closed(seen: Seen) -> bool:
    """True once a run has ended and nothing of it is left on any site it has been on."""
    touched = {epoch.site for epoch in seen.epochs}
    return seen.end is not None and not seen.jobs and not touched & (seen.silent_sites - seen.gone_sites)


def target(seen: Seen) -> Target | None:
    """Where the run should be now; None while it should wait for a choice or for a greener hour."""
    if seen.plan is None or seen.advice is None:
        return None
    relocate = _open_relocation(seen)
    if relocate is not None and relocate.site is not None:
        return Target(
            site=relocate.site, cores=_cores_for(seen, relocate.site), trigger="user", reason="relocated by hand"
        )
    choice = next((wish for wish in seen.wishes if wish.kind == "choose"), None)
    # It stays where a person has put it, unless that site has failed it.
    if choice is not None and choice.site is not None and (seen.epoch is None or seen.epoch.site == choice.site):
        cores = _cores_for(seen, choice.site)
        return Target(site=choice.site, cores=cores, trigger="start", reason="chosen by hand")
    if seen.epoch is None and choice is None and not seen.request.auto:
        return None
    step = _step_now(seen)
    asks = seen.request.move == "ask" and seen.epoch is not None and seen.resumed_at is None
    if step is None or asks:
        return None
    trigger: Literal["start", "plan"] = "start" if seen.epoch is None else "plan"
    return Target(site=step.site, cores=step.cores, trigger=trigger, reason=seen.plan.plan.reason)


def cooling_down(seen: Seen) -> set[str]:
    """Sites where the run could not come up a short while ago, so that it had to go on elsewhere."""
    recent = seen.now - timedelta(seconds=COOL_DOWN_S)
    return {
        older.site
        for older, newer in zip(seen.epochs, seen.epochs[1:], strict=False)
        if older.site != newer.site and newer.trigger == "fault" and newer.opened_at > recent
    }


def _start(seen: Seen) -> list[Action]:
    wanted = target(seen)
    if wanted is None:
        return []
    return [_open(seen, wanted.site, wanted.cores, wanted.trigger, wanted.reason)]


def _resume(seen: Seen, epoch: EpochOpen) -> list[Action]:
    """The run has been stopped and goes on: where it should be now, else where it was, else where it can be."""
    wanted = target(seen)
    if wanted is None:
        return []
    site: str | None = wanted.site
    if not _ready(seen, wanted.site):
        site = epoch.site if _ready(seen, epoch.site) else _another_site(seen, epoch)
    if site is None:
        return []
    cores = wanted.cores if site == wanted.site else _cores_for(seen, site)
    return [_open(seen, site, cores, "user", f"resumed; {wanted.reason}")]


def _follow(seen: Seen, epoch: EpochOpen) -> list[Action]:
    """The present epoch is neither finished nor cancelled: hand over, watch, move or mend."""
    job = seen.job
    if epoch.site in seen.silent_sites and seen.drained is None and seen.failure is None:
        return _while_silent(seen, epoch)
    if seen.drained is not None:
        return _go_on_after_drain(seen, epoch)
    if seen.failure is not None:
        return _after_fault(seen, epoch, seen.failure.message, final=not seen.failure.temporary)
    if job is None or job.phase is JobPhase.PARTIAL:
        if seen.claim is None:
            return [Submit(epoch=epoch.epoch, site=epoch.site)]
        if seen.missing_s < MISSING_AFTER_S:
            return []
        return _after_fault(seen, epoch, f"the job is gone from {epoch.site}", final=False)
    if job.phase is JobPhase.ENDED:
        return _after_end(seen, epoch, job)
    if job.phase is JobPhase.PENDING:
        return _while_pending(seen, epoch, job)
    return _maybe_move(seen, epoch) or _maybe_ask(seen, epoch)


def _while_silent(seen: Seen, epoch: EpochOpen) -> list[Action]:
    """As long as the store hears of the job it goes on there; else the fence keeps what comes back from harming."""
    other = _another_site(seen, epoch)
    if seen.quiet_s < LOST_AFTER_S or seen.request.move == "never" or other is None:
        return []
    why = "is not in the sites file any more" if epoch.site in seen.gone_sites else "does not answer"
    reason = f"{epoch.site} {why}, and the run has said nothing for {format_duration(LOST_AFTER_S)}"
    return [_open(seen, other, _cores_for(seen, other), "fault", reason)]


def _maybe_move(seen: Seen, epoch: EpochOpen) -> list[Action]:
    wanted = target(seen)
    if wanted is None or wanted.site == epoch.site or seen.claim is None or not _ready(seen, wanted.site):
        return []
    return [Drain(epoch=epoch.epoch, site=epoch.site, why=wanted.reason)]


def _maybe_ask(seen: Seen, epoch: EpochOpen) -> list[Action]:
    """Under ``--move ask`` the plan's move is proposed, unless a person has put the run where it is."""
    last, step = seen.proposal, _step_now(seen)
    if seen.request.move != "ask" or seen.claim is None or any(wish.site is not None for wish in seen.wishes):
        return []
    if last is not None and last.epoch == epoch.epoch and not last.settled:
        answered = any(wish.proposal == last.number for wish in seen.wishes)
        return [] if seen.is_asking else [Settle(proposal=last, answered=answered)]
    if step is None or step.site == epoch.site or not seen.may_ask or not _ready(seen, step.site):
        return []
    return [Propose(site=step.site)]


def _go_on_after_drain(seen: Seen, epoch: EpochOpen) -> list[Action]:
    wanted = target(seen)
    if wanted is not None and wanted.site != epoch.site and _ready(seen, wanted.site):
        return [_open(seen, wanted.site, wanted.cores, wanted.trigger, wanted.reason)]
    return _after_fault(seen, epoch, "drained without a better place to go: goes on where it was", final=False)


def _after_end(seen: Seen, epoch: EpochOpen, job: JobStatus) -> list[Action]:
    reason = job.detail or f"the job ended with exit code {job.exit_code}"
    if job.out_of_memory:
        doubled_before = any(e.memory_bytes < epoch.memory_bytes for e in seen.epochs)
        if doubled_before:
            more = format_bytes(2 * epoch.memory_bytes).replace(" ", "")
            error = f"{reason}, twice what it was given at first: send it again with more --memory, such as {more}"
            return [Finish(state=RunState.FAILED, error=error)]
        again = _open(seen, epoch.site, epoch.cores, "fault", f"{reason}: once more with twice the memory")
        return [
            OpenEpoch(
                epoch=again.epoch,
                site=again.site,
                cores=again.cores,
                memory_bytes=2 * epoch.memory_bytes,
                trigger="fault",
                reason=again.reason,
            )
        ]
    return _after_fault(seen, epoch, reason, final=False)


def _after_fault(seen: Seen, epoch: EpochOpen, reason: str, *, final: bool) -> list[Action]:
    if final and seen.claim is not None:
        return [Finish(state=RunState.FAILED, error=reason)]
    if _faults_in_a_row(seen) >= MAX_FAULTS_IN_A_ROW:
        return [Finish(state=RunState.FAILED, error=f"{reason}; given up after {MAX_FAULTS_IN_A_ROW} tries in a row")]
    came_up = seen.claim is not None
    if came_up:
        return [_open(seen, epoch.site, epoch.cores, "fault", reason)]
    other = _another_site(seen, epoch)
    if other is None and final:
        return [Finish(state=RunState.FAILED, error=reason)]
    site = other or epoch.site
    return [_open(seen, site, _cores_for(seen, site), "fault", f"{epoch.site} did not come up: {reason}")]


def _while_pending(seen: Seen, epoch: EpochOpen, job: JobStatus) -> list[Action]:
    if seen.now - epoch.opened_at < timedelta(seconds=COME_UP_S) or _another_site(seen, epoch) is None:
        return []
    return _after_fault(seen, epoch, job.detail or "pending for too long", final=False)


def _cancel(seen: Seen) -> list[Action]:
    stops = _stop_all(seen)
    away = {epoch.site for epoch in seen.epochs} & (seen.silent_sites - seen.gone_sites)
    if stops or away:
        return stops
    return [Finish(state=RunState.CANCELLED)]


def _stop_all(seen: Seen) -> list[Action]:
    return [Stop(epoch=job.status.epoch, site=job.site) for job in seen.jobs]


def _stop_stale(seen: Seen) -> list[Action]:
    """Old copies go once the new one has reported; copies that have ended hold nothing any more."""
    present = seen.epoch
    if present is None:
        return []
    reported = seen.claim is not None and seen.progress is not None
    stale = [job for job in seen.jobs if job.status.epoch < present.epoch]
    return [Stop(epoch=job.status.epoch, site=job.site) for job in stale if reported]


def _open(
    seen: Seen, site: str, cores: int, trigger: Literal["start", "plan", "user", "fault"], reason: str
) -> OpenEpoch:
    number = seen.epoch.epoch + 1 if seen.epoch else 1
    memory = max([e.memory_bytes for e in seen.epochs], default=0) or _memory_for(seen, site, cores)
    return OpenEpoch(epoch=number, site=site, cores=cores, memory_bytes=memory, trigger=trigger, reason=reason)


def _step_now(seen: Seen) -> Step | None:
    """The plan's step for this moment; a run that is late stays with the last step, a running one bridges gaps."""
    if seen.plan is None or not seen.plan.plan.steps:
        return None
    steps = seen.plan.plan.steps
    begun = [step for step in steps if step.start <= seen.now]
    if not begun:
        at_work = seen.epoch is not None and seen.resumed_at is None
        return steps[0] if at_work else None
    return begun[-1]


def _open_relocation(seen: Seen) -> Wish | None:
    """The last relocation that was asked for; it holds until another one is."""
    asked = [wish for wish in seen.wishes if wish.kind == "relocate"]
    return max(asked, key=lambda wish: wish.at) if asked else None


def _prediction(seen: Seen, site: str, cores: int | None = None) -> Prediction | None:
    if seen.advice is None:
        return None
    found = [p for p in seen.advice.predictions if p.site == site and cores in (None, p.cores)]
    return min(found, key=lambda p: (not p.feasible, p.emissions_g.mid), default=None)


def _cores_for(seen: Seen, site: str) -> int:
    prediction = _prediction(seen, site)
    return prediction.cores if prediction is not None else 1


def _memory_for(seen: Seen, site: str, cores: int) -> int:
    if seen.request.memory_bytes is not None:
        return seen.request.memory_bytes
    prediction = _prediction(seen, site, cores) or _prediction(seen, site)
    return int(prediction.memory_bytes.high) if prediction is not None else 1 << 30


def _ready(seen: Seen, site: str) -> bool:
    offer = seen.offers.get(site)
    if site in seen.silent_sites or offer is None or not offer.reachable or offer.why_not is not None:
        return False
    return site not in cooling_down(seen)


def _another_site(seen: Seen, epoch: EpochOpen) -> str | None:
    """A feasible site that is ready: the one before this epoch if there was one, else the best of the predictions."""
    if seen.advice is None:
        return None
    tried = {e.site for e in seen.epochs[-MAX_FAULTS_IN_A_ROW:] if e.trigger == "fault"} | {epoch.site}
    best = sorted((p for p in seen.advice.predictions if p.feasible), key=lambda p: p.emissions_g.mid)
    before = [e.site for e in reversed(seen.epochs[:-1])]
    for site in [*before, *(p.site for p in best)]:
        if site not in tried and _ready(seen, site):
            return site
    return None


def _faults_in_a_row(seen: Seen) -> int:
    """Epochs in a row, up to the present one, that a fault opened and that kept no new record."""
    count = 0
    for newer, older in zip(reversed(seen.epochs), [*reversed(seen.epochs[:-1]), None], strict=True):
        if newer.trigger != "fault":
            break
        if older is not None and len(newer.believed) > len(older.believed):
            break
        count += 1
    return count
