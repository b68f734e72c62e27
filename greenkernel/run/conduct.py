"""One run under the controller: look, plan again, reconcile, act. Every action may be repeated after a crash."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from typing import Protocol

from greenkernel.clock import Clock
from greenkernel.errors import GreenKernelError, IntegrityError, PermanentError, TemporaryError
from greenkernel.records import (
    EpochOpen,
    JobSpec,
    JobStatus,
    Offer,
    Progress,
    Proposal,
    Receipt,
    RecordRef,
    Result,
    RunState,
)
from greenkernel.run.journal import Journal
from greenkernel.run.lease import Lease
from greenkernel.run.proposal import ASK_S, again_at
from greenkernel.run.reconcile import (
    Accept,
    Action,
    Advise,
    Drain,
    Finish,
    OpenEpoch,
    Propose,
    Seen,
    SeenJob,
    Settle,
    Stop,
    Submit,
    closed,
    reconcile,
)
from greenkernel.run.state import describe
from greenkernel.site.base import Site
from greenkernel.store.runs import Advice, End, Failure, PlanNow, RunStore, Submission
from greenkernel.units import clock_text, counted

# Between SIGTERM and SIGKILL: time to finish the task in flight and to write the last records.
GRACE_S = 20.0


class Adviser(Protocol):
    """What the conductor asks of the stages before it, so that it need not know them."""

    def advise(
        self, store: RunStore, submission: Submission, say: Callable[[str], None], check: Callable[[], None]
    ) -> Advice:
        """Profile, predict and plan; `UserError` where that is impossible.

        Args:
            store: The run's.
            submission: What was asked.
            say: Told in words what is done.
            check: Asked now and then; what it raises ends the advising with all that it has started.
        """
        ...

    def replan(self, seen: Seen) -> PlanNow | None:
        """A new plan from new forecasts and real progress; None: the present one holds."""
        ...

    def secrets(self, submission: Submission, epoch: EpochOpen) -> Mapping[str, str]:
        """What the epoch's job needs in its environment."""
        ...

    def lost_every_s(self, site: str) -> float:
        """How often, in the mean, a site takes a job's process away unasked."""
        ...

    def receipt(self, seen: Seen, store: RunStore, end: End) -> Receipt:
        """What the run took."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesNow:
    """One look at every site, shared by all runs of a pass."""

    jobs: Mapping[str, Sequence[JobStatus]]
    offers: Mapping[str, Offer]
    silent: frozenset[str]


class Conductor:
    """Brings one run on, a step at a time; ``zone`` is the one in which its words tell times (None: the machine's).

    ``sending`` is entered while blobs are named that were in no run before; see `Home.sending`.
    """

    def __init__(
        self,
        store: RunStore,
        sites: Mapping[str, Site],
        adviser: Adviser,
        journal: Journal,
        clock: Clock,
        zone: tzinfo | None,
        *,
        sending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._zone = zone
        self._sending = sending
        self._store = store
        self._sites = sites
        self._adviser = adviser
        self._journal = journal
        self._clock = clock
        self._submission: Submission | None = None
        self._epochs: list[EpochOpen] = []
        self._advising: threading.Thread | None = None
        self._advice_error: Exception | None = None
        self._unwanted = threading.Event()
        self._last_seen_job = self._last_word_at = clock.now()
        self._last_word: Progress | None = None
        self._draining = 0

    @property
    def run(self) -> str:
        """The run's id."""
        return self._store.run

    def is_for(self, lease: Lease) -> bool:
        """Whether the run is the lease's holder's: it is profiled, and has been on, and goes to, his sites only.

        One that was resumed is not: the holder has closed it, and hears of a run in the store only once.
        """
        if self._submission is None:
            self._submission = self._store.submission()
        request, capture = self._submission.request, self._submission.capture
        python = ".".join(capture.python_version.split(".")[:2])
        alike = (request.owner, python) == (lease.owner, lease.python)
        if not alike or self._store.advice() is None or self._store.resumes():
            return False
        goes_to = self._goes_to()
        return {goes_to, *(epoch.site for epoch in self._epochs)} <= set(lease.sites)

    def _goes_to(self) -> str | None:
        """The site that somebody wishes, else where the run is, else where its plan begins."""
        self._look_for_epochs()
        last = self._epochs[-1] if self._epochs else None
        wished = [(wish.at, wish.site) for wish in self._store.wishes().values() if wish.site is not None]
        if wished and (last is None or max(wished)[0] > last.opened_at):
            return max(wished)[1]
        if last is not None:
            return last.site
        now = self._store.plan()
        return now.plan.steps[0].site if now is not None and now.plan.steps else None

    def step(self, sites_now: SitesNow) -> bool:
        """Look once and act on it.

        Returns:
            True once the run is closed: it has ended and nothing of it is left anywhere.
        """
        if self._advice_error is not None:
            error, self._advice_error = self._advice_error, None
            raise error
        seen = self._look(sites_now)
        plan = self._adviser.replan(seen) if seen.advice is not None and seen.end is None else None
        if plan is not None:
            self._store.put_plan(plan)
            before = seen.plan.plan if seen.plan is not None else None
            if before is None or (plan.plan.steps != before.steps and plan.plan.reason != before.reason):
                self._journal.note(self.run, plan.plan.reason)
            seen = replace(seen, plan=plan)
        for action in reconcile(seen):
            try:
                self._perform(action, seen)
            except TemporaryError as e:
                self._journal.note(self.run, f"{type(action).__name__} will be tried again: {e}")
        is_closed = closed(seen)
        if not self._is_advising:
            state, detail = describe(seen, self._zone)
            self._journal.update(self.run, state=state, detail=detail, is_open=not is_closed)
            if is_closed and self._store.ended() is None:  # it was resumed while we looked
                self._journal.update(self.run, state=RunState.STARTING, detail="resumed", is_open=True)
                return False
            been = dict.fromkeys(epoch.site for epoch in seen.epochs)
            if is_closed and (sites := ", ".join(site for site in been if site not in seen.gone_sites)):
                self._journal.note(self.run, f"nothing is left on {sites}; the store has its records and result")
        return is_closed

    def _look(self, sites_now: SitesNow) -> Seen:
        store, now = self._store, self._clock.now()
        if self._submission is None:
            self._submission = store.submission()
        self._look_for_epochs()
        number = self._epochs[-1].epoch if self._epochs else 0
        mine = [
            SeenJob(site=site, status=status)
            for site, statuses in sites_now.jobs.items()
            for status in statuses
            if status.run == self.run
        ]
        if any(job.status.epoch == number for job in mine):
            self._last_seen_job = now
        gone = frozenset(epoch.site for epoch in self._epochs) - self._sites.keys()
        seen = Seen(
            now=now,
            request=self._submission.request,
            advice=store.advice(),
            plan=store.plan(),
            wishes=tuple(store.wishes().values()),
            proposal=store.proposal() if self._submission.request.move == "ask" else None,
            epochs=tuple(self._epochs),
            # Read in the order in which a runner writes backwards: a later word is never seen without the earlier.
            finished=store.finished(number),
            drained=store.drained(number),
            failure=store.failure(number),
            progress=store.progress(number),
            claim=store.claimed(number),
            result=store.result(),
            end=store.ended(),
            jobs=tuple(mine),
            silent_sites=sites_now.silent | gone,
            gone_sites=gone,
            offers=sites_now.offers,
            missing_s=(now - self._last_seen_job).total_seconds(),
        )
        if seen.progress != self._last_word:
            self._last_word, self._last_word_at = seen.progress, now
        return replace(seen, quiet_s=(now - self._last_word_at).total_seconds())

    def _look_for_epochs(self) -> None:
        while (opened := self._store.epoch(len(self._epochs) + 1)) is not None:
            self._epochs.append(opened)
            self._last_seen_job = self._last_word_at = self._clock.now()

    def _perform(self, action: Action, seen: Seen) -> None:
        match action:
            case Advise():
                self._advise_beside(seen)
            case OpenEpoch():
                self._open(action, seen)
            case Submit():
                self._submit(action, seen)
            case Drain():
                if self._draining != action.epoch:
                    self._draining = action.epoch
                    self._journal.note(self.run, f"leaves {action.site}: {action.why}")
                self._sites[action.site].drain(self.run, action.epoch)
            case Propose():
                self._propose(action, seen)
            case Settle():
                self._settle(action, seen)
            case Stop():
                self._sites[action.site].stop(self.run, action.epoch)
            case Accept():
                self._accept(action, seen)
            case Finish() if self._is_advising:
                self._unwanted.set()  # cancelled meanwhile: it has ended when no slice is left
            case Finish():
                self._finish(action, seen)

    def _propose(self, action: Propose, seen: Seen) -> None:
        assert seen.epoch is not None
        assert seen.plan is not None
        proposal = Proposal(
            number=seen.proposal.number + 1 if seen.proposal is not None else 1,
            epoch=seen.epoch.epoch,
            site=action.site,
            saving_g=seen.plan.saving_g,
            reason=seen.plan.plan.reason,
            asked_at=seen.now,
            until=seen.now + timedelta(seconds=ASK_S),
        )
        self._store.put_proposal(proposal)
        until = clock_text(proposal.until, self._zone, today=seen.now)
        self._journal.note(self.run, f"asks whether to move to {action.site}; without an answer by {until} it stays")

    def _settle(self, action: Settle, seen: Seen) -> None:
        assert seen.epoch is not None
        self._store.put_proposal(replace(action.proposal, settled=True))
        again = clock_text(again_at(action.proposal), self._zone, today=seen.now)
        why = "as was answered" if action.answered else "for nobody has answered"
        self._journal.note(self.run, f"stays on {seen.epoch.site}, {why}; asks again after {again} at the earliest")

    @property
    def _is_advising(self) -> bool:
        return self._advising is not None and self._advising.is_alive()

    def _advise_beside(self, seen: Seen) -> None:
        """Profiling takes its time: it must not hold up the other runs."""
        if not self._is_advising:
            self._unwanted.clear()
            self._advising = threading.Thread(target=self._advise, args=(seen,), daemon=True)
            self._advising.start()

    def _advise(self, seen: Seen) -> None:
        def say(text: str) -> None:
            self._journal.update(self.run, state=RunState.PROFILING, detail=text, is_open=True)

        def check() -> None:
            if self._unwanted.is_set():
                raise _UnwantedError

        try:
            self._take_advice(self._adviser.advise(self._store, self._store.submission(), say, check))
        except _UnwantedError:
            return
        except TemporaryError as e:
            self._journal.note(self.run, f"advice will be tried again: {e}")
        except GreenKernelError as e:
            self._finish(Finish(state=RunState.FAILED, error=str(e)), seen)
        except Exception as e:  # raised again in the next pass, where the controller counts such troubles
            self._advice_error = e

    def _take_advice(self, advice: Advice) -> None:
        if advice.plan is not None:
            self._store.put_plan(PlanNow(plan=advice.plan))
            self._journal.note(self.run, advice.plan.reason)
        with self._sending():
            if not all(self._store.blobs.has(file.blob) for file in advice.files):
                raise TemporaryError("a file that a slice has opened was removed from the store again, for its age")
            self._store.advise(advice)

    def _open(self, action: OpenEpoch, seen: Seen) -> None:
        saving_g = seen.plan.saving_g if seen.plan is not None and action.trigger == "plan" else None
        proposal = seen.proposal
        if proposal is not None and (proposal.site, proposal.epoch + 1) == (action.site, action.epoch):
            saving_g = proposal.saving_g  # it was asked about, and accepted
        opened = EpochOpen(
            run=self.run,
            epoch=action.epoch,
            site=action.site,
            cores=action.cores,
            memory_bytes=action.memory_bytes,
            opened_at=self._clock.now(),
            trigger=action.trigger,
            reason=action.reason,
            believed=self._believed(action.epoch),
            predicted_saving_g=saving_g,
            resumes=seen.resumes,
        )
        if self._store.open_epoch(opened):
            kept = f" with {counted(len(opened.believed), 'record')}" if opened.believed else ""
            self._journal.note(self.run, f"epoch {opened.epoch} on {opened.site}{kept}: {opened.reason}")

    def _believed(self, epoch: int) -> tuple[RecordRef, ...]:
        """What earlier epochs have left until now; what they write later is not believed."""
        if epoch == 1:
            return ()
        before = self._store.epoch(epoch - 1)
        found = {ref.name: ref for ref in (before.believed if before else ())}
        for name, size in self._store.records(epoch - 1):
            found.setdefault(name, RecordRef(name=name, epoch=epoch - 1, bytes=size))
        return tuple(found.values())

    def _submit(self, action: Submit, seen: Seen) -> None:
        epoch = seen.epoch
        assert epoch is not None
        job = JobSpec(
            run=self.run,
            epoch=epoch.epoch,
            cores=epoch.cores,
            memory_bytes=epoch.memory_bytes,
            grace_s=GRACE_S,
            owner=seen.request.owner,
            folder=seen.request.folder,
            lost_every_s=self._adviser.lost_every_s(action.site),
            # The same in every epoch, so that a move changes no order of a set.
            hash_seed=seen.request.hash_seed or str(zlib.crc32(self.run.encode())),
            secrets=self._secrets(epoch),
        )
        try:
            self._sites[action.site].submit(job)
        except PermanentError as e:
            self._journal.note(self.run, f"{action.site} refuses the job: {e}")
            failure = Failure(at=self._clock.now(), message=str(e), temporary=False)
            self._store.say_failure(action.epoch, failure)

    def _secrets(self, epoch: EpochOpen) -> Mapping[str, str]:
        assert self._submission is not None
        # Variables of the notebook are there before anything is imported: libraries read them once.
        return {**self._submission.capture.env, **self._adviser.secrets(self._submission, epoch)}

    def _accept(self, action: Accept, seen: Seen) -> None:
        result = seen.finished
        assert result is not None
        try:
            verify(self._store, result)
        except (IntegrityError, PermanentError) as e:
            message = f"the result cannot be believed ({e})"
            failure = Failure(at=self._clock.now(), message=message, temporary=True)
            self._store.say_failure(action.epoch, failure)
            return
        self._store.accept(result)

    def _finish(self, action: Finish, seen: Seen) -> None:
        end = End(state=action.state, at=self._clock.now(), error=action.error, resumes=seen.resumes)
        seen = replace(seen, advice=self._store.advice())
        try:
            self._store.put_receipt(self._adviser.receipt(seen, self._store, end))
        except TemporaryError:
            raise  # tried again in the next pass
        except GreenKernelError as e:  # the run has ended all the same
            self._journal.note(self.run, f"there is no receipt: {e}")
        if self._store.end(end):
            self._journal.note(self.run, f"{end.state}{f': {end.error}' if end.error else ''}")


class _UnwantedError(Exception):
    """The run was cancelled while it was advised."""


def verify(store: RunStore, result: Result) -> None:
    """Read every byte that a result names and check it against its address.

    Raises:
        IntegrityError: Bytes are cut or changed.
        PermanentError: Bytes are missing.
    """
    for payload in result.payloads:
        for address in (payload.head, *payload.buffers):
            store.blobs.get(address)
    for file in result.files:
        if file.blob is not None:
            store.blobs.get(file.blob)
