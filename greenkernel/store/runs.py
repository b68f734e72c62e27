"""A run in the store: its request, wishes, epochs, records, logs and result, each under a name that says what it is.

    runs/<id>/request                      what was asked, with the capture            (once)
    runs/<id>/advice                       profile, predictions, first plan, clock      (once)
    runs/<id>/wishes/<name>                choose, relocate-N, stay-N, cancel, resume-N (once each)
    runs/<id>/plan                         the plan that holds now
    runs/<id>/proposal                     the move that was asked about last
    runs/<id>/epochs/0001/open             the fence: who may go on, what is believed   (once)
    runs/<id>/epochs/0001/claim            the one runner that this epoch has          (once)
    runs/<id>/epochs/0001/progress         what the runner last said
    runs/<id>/epochs/0001/log/00000001     what the cell printed and showed, in order
    runs/<id>/epochs/0001/records/<name>   finished tasks, snapshots, and what cells have saved by hand
    runs/<id>/parts/<address>              what snapshots are made of, see `store.snapshots`
    runs/<id>/epochs/0001/drained          the runner has left, and what it leaves      (once)
    runs/<id>/epochs/0001/failure          the runner could not even run the cell       (once)
    runs/<id>/epochs/0001/result           the runner has finished the cell             (once)
    runs/<id>/result                       the one that was verified and accepted       (once)
    runs/<id>/end                          done, failed or cancelled; end-N after the Nth resume  (once each)
    runs/<id>/receipt                      what it took

Everything is sealed with the home's key under its own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from greenkernel.errors import PermanentError
from greenkernel.records import (
    Capture,
    ClockInfo,
    EpochOpen,
    FileChange,
    Item,
    Payload,
    Plan,
    Prediction,
    Profile,
    Progress,
    Proposal,
    Receipt,
    RecordRef,
    RefusedMove,
    Request,
    Result,
    RunState,
    SourceFile,
)
from greenkernel.store.blobs import Blobs
from greenkernel.store.codec import sealed, unsealed
from greenkernel.store.objects import ObjectStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What opens a run."""

    request: Request
    capture: Capture


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What is known before anything is shipped. ``impossible`` says why no plan was found, and what would help.

    ``files`` travel besides those of the capture: slices have opened them.
    """

    profile: Profile
    predictions: tuple[Prediction, ...]
    plan: Plan | None
    clock: ClockInfo
    impossible: str | None = None
    home: str = ""
    capture_bytes: int = 0
    files: tuple[SourceFile, ...] = ()

    def complete(self, capture: Capture) -> Capture:
        """All that travels."""
        items = [Item(name=f.path, kind="file", bytes=f.bytes, why="opened by a slice") for f in self.files]
        return replace(capture, files=(*capture.files, *self.files), items=(*capture.items, *items))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person wants of a run that exists already."""

    kind: Literal["choose", "relocate", "stay", "cancel", "resume"]
    site: str | None
    at: datetime
    proposal: int | None = None
    """The number of the proposal that a ``stay`` answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The one runner of an epoch, as it introduced itself when it started."""

    at: datetime
    host: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """The last word of a runner that was asked to leave."""

    at: datetime
    records: int
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a runner could not run the cell to an end of its own (not: an exception of the cell)."""

    at: datetime
    message: str
    temporary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The run's last state. ``error`` is one or two sentences.

    A run that was resumed is open again until it has its next end: ``resumes`` says after which resume this one was
    decided, so that a decision from before it closes nothing.
    """

    state: RunState
    at: datetime
    error: str | None = None
    resumes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """Something that the cell printed or showed.

    ``data`` is a MIME bundle for displays and for values (``result``); of an ``error``, which does not end the cell, it
    has the name, the text and the lines. ``late`` is what came after an error that ended the cell, such as its figures.
    ``go_on`` shows nothing: what follows comes after as many characters and displays as ``data`` says, of all that the
    cell prints and shows.
    """

    at: datetime
    kind: Literal["stdout", "stderr", "display", "result", "error", "update_display", "clear_output", "go_on"]
    text: str = ""
    data: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    display_id: str | None = None
    wait: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanNow:
    """The plan that holds, what its next move is to save, and the moves that were refused so far."""

    plan: Plan
    saving_g: float | None = None
    refused: tuple[RefusedMove, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a controller on another machine has in its journal of a run."""

    state: RunState
    detail: str
    open: bool
    notes: tuple[tuple[datetime, str], ...]


class RunStore:
    """One run's objects. Methods that write once return False where another was first.

    Args:
        objects: The store that the run lives in.
        key: The home's key, 32 bytes.
        run: The run's id.
    """

    def __init__(self, objects: ObjectStore, key: bytes, run: str) -> None:
        self.objects = objects
        self.blobs = Blobs(objects, key)
        self.run = run
        self._key = key
        self._base = f"runs/{run}"

    # --- written once ---

    def submit(self, submission: Submission) -> bool:
        """Open the run."""
        return self._put_new("request", submission)

    def submission(self) -> Submission:
        """What was asked.

        Raises:
            PermanentError: There is no such run in the store.
        """
        found = self._get("request", Submission)
        if found is None:
            raise PermanentError(f"the store has no run {self.run}; if its folder was deleted, send the cell again")
        return found

    def advise(self, advice: Advice) -> bool:
        """Keep what is known before the choice."""
        return self._put_new("advice", advice)

    def advice(self) -> Advice | None:
        """What was known before the choice, None while the cell is still profiled."""
        return self._get("advice", Advice)

    def forget_advice(self) -> None:
        """Of a run that has ended because nothing could take it, and is about to be resumed: it is advised again."""
        self.objects.delete(f"{self._base}/advice")

    def wish(self, name: str, wish: Wish) -> bool:
        """Say what a person wants; each name once."""
        return self._put_new(f"wishes/{name}", wish)

    def cancel(self, at: datetime) -> bool:
        """Wish for the end of the run, until it is resumed."""
        return self.wish(_numbered("cancel", self.resumes()), Wish(kind="cancel", site=None, at=at))

    def resume(self, ended: End, at: datetime) -> bool:
        """Open the run again after just this end; False: somebody else has done so."""
        return self.wish(_numbered("resume", ended.resumes + 1), Wish(kind="resume", site=None, at=at))

    def resumes(self) -> int:
        """How often the run was resumed."""
        number = 0
        while self._is_resumed(number + 1):
            number += 1
        return number

    def wishes(self) -> dict[str, Wish]:
        """Every wish that stands, by its name and in the order of their names; resuming makes a cancel void."""
        found: dict[str, Wish] = {}
        for info in self.objects.listing(f"{self._base}/wishes"):
            name = info.name.rsplit("/", 1)[-1]
            wish = self._get(f"wishes/{name}", Wish)
            if wish is not None:
                found[name] = wish
        cancel = _numbered("cancel", sum(wish.kind == "resume" for wish in found.values()))
        return {name: wish for name, wish in found.items() if wish.kind != "cancel" or name == cancel}

    def open_epoch(self, opened: EpochOpen) -> bool:
        """Fence: from now on only this epoch is believed. False: somebody else opened it."""
        return self._put_new(f"{_epoch(opened.epoch)}/open", opened)

    def epoch(self, number: int) -> EpochOpen | None:
        """The fence of one epoch."""
        return self._get(f"{_epoch(number)}/open", EpochOpen)

    def last_epoch(self) -> EpochOpen | None:
        """The epoch that is believed now."""
        for number in reversed(self._epoch_numbers()):
            opened = self.epoch(number)
            if opened is not None:
                return opened
        return None

    def claim(self, number: int, runner: Claim) -> bool:
        """Take an epoch as its one runner; False: another process did, so this one must not start."""
        return self._put_new(f"{_epoch(number)}/claim", runner)

    def claimed(self, number: int) -> Claim | None:
        """The runner of an epoch, None while none has started."""
        return self._get(f"{_epoch(number)}/claim", Claim)

    def drained(self, number: int) -> Drained | None:
        """The last word of an epoch's runner that was asked to leave."""
        return self._get(f"{_epoch(number)}/drained", Drained)

    def say_drained(self, number: int, word: Drained) -> bool:
        """Leave the last word of a drained runner."""
        return self._put_new(f"{_epoch(number)}/drained", word)

    def failure(self, number: int) -> Failure | None:
        """Why an epoch's runner gave up, None where it did not."""
        return self._get(f"{_epoch(number)}/failure", Failure)

    def say_failure(self, number: int, failure: Failure) -> bool:
        """Say why a runner gives up."""
        return self._put_new(f"{_epoch(number)}/failure", failure)

    def finish(self, result: Result) -> bool:
        """Leave an epoch's result. It counts once it is accepted."""
        return self._put_new(f"{_epoch(result.epoch)}/result", result)

    def finished(self, number: int) -> Result | None:
        """The result that an epoch has left, accepted or not."""
        return self._get(f"{_epoch(number)}/result", Result)

    def accept(self, result: Result) -> bool:
        """Make a verified result the run's own; only the first one counts."""
        return self._put_new("result", result)

    def result(self) -> Result | None:
        """The run's result, once it has been verified and accepted."""
        return self._get("result", Result)

    def end(self, end: End) -> bool:
        """Close the run."""
        return self._put_new(_numbered("end", end.resumes), end)

    def ended(self) -> End | None:
        """The run's last state, None while it is open."""
        number = 0
        while (end := self.end_after(number)) is not None and self._is_resumed(number + 1):
            number += 1
        return end

    def end_after(self, resumes: int) -> End | None:
        """The end that the run came to when it had been resumed so often, None where it has come to none."""
        return self._get(_numbered("end", resumes), End)

    # --- written again and again ---

    def put_plan(self, plan: PlanNow) -> None:
        """Replace the plan that holds."""
        self._put("plan", plan)

    def plan(self) -> PlanNow | None:
        """The plan that holds now."""
        return self._get("plan", PlanNow)

    def tell(self, told: Told) -> None:
        """Say where the run stands to those who are on other machines."""
        self._put("told", told)

    def told(self) -> Told | None:
        """What a controller elsewhere has said of the run, None where it has said nothing."""
        return self._get("told", Told)

    def put_proposal(self, proposal: Proposal) -> None:
        """Replace the move that a person is asked about."""
        self._put("proposal", proposal)

    def proposal(self) -> Proposal | None:
        """The move that a person was asked about last."""
        return self._get("proposal", Proposal)

    def put_progress(self, number: int, progress: Progress) -> None:
        """Replace what an epoch's runner last said."""
        self._put(f"{_epoch(number)}/progress", progress)

    def progress(self, number: int) -> Progress | None:
        """What an epoch's runner last said."""
        return self._get(f"{_epoch(number)}/progress", Progress)

    def put_receipt(self, receipt: Receipt) -> None:
        """Keep the receipt."""
        self._put("receipt", receipt)

    def receipt(self) -> Receipt | None:
        """The receipt, None until the run has ended."""
        return self._get("receipt", Receipt)

    # --- logs and records ---

    def put_log(self, number: int, sequence: int, events: Sequence[LogEvent]) -> bool:
        """Append a chunk of log events to an epoch."""
        return self._put_new(f"{_epoch(number)}/log/{sequence:08d}", tuple(events))

    def logs(self, number: int, *, after: int = 0) -> list[tuple[int, tuple[LogEvent, ...]]]:
        """Chunks of an epoch's log with a sequence above ``after``, in order."""
        base = f"{_epoch(number)}/log"
        infos = self.objects.listing(f"{self._base}/{base}", after=f"{self._base}/{base}/{after:08d}")
        chunks = []
        for info in infos:
            sequence = info.name.rsplit("/", 1)[-1]
            events = self._get(f"{base}/{sequence}", tuple[LogEvent, ...])
            if events is not None:
                chunks.append((int(sequence), events))
        return chunks

    def put_record(self, number: int, name: str, data: bytes | memoryview) -> None:
        """Keep one finished task (its bytes are sealed by whoever made them)."""
        self.objects.put(self.record_name(number, name), data)

    def record(self, ref: RecordRef) -> memoryview | None:
        """The bytes of a record; whether they are believed is checked where they are read."""
        return self.objects.get(self.record_name(ref.epoch, ref.name))

    def delete_records(self, number: int, *names: str) -> None:
        """Remove records that a later one has made worthless."""
        self.objects.delete(*(self.record_name(number, name) for name in names))

    def records(self, number: int) -> list[tuple[str, int]]:
        """Name and bytes of each record that an epoch has in the store."""
        prefix = f"{self._base}/{_epoch(number)}/records"
        return [(info.name.rsplit("/", 1)[-1], info.bytes) for info in self.objects.listing(prefix)]

    def record_name(self, number: int, name: str) -> str:
        """The object's name of one record."""
        return f"{self._base}/{_epoch(number)}/records/{name}"

    # --- all of it ---

    def named_blobs(self) -> set[str]:
        """Addresses of every blob that the run names: of what travelled, and of what came back."""
        files: list[SourceFile | FileChange] = []
        payloads: list[Payload | None] = []
        submission, advice = self._get("request", Submission), self.advice()
        if submission is not None:
            capture = submission.capture
            payloads += [capture.payload, capture.dice, capture.surroundings]
            files += capture.files
        files += advice.files if advice is not None else ()
        for number in self._epoch_numbers():
            result = self.finished(number)
            if result is not None:
                payloads += result.payloads
                files += result.files
        found = {address for p in payloads if p is not None for address in (p.head, *p.buffers)}
        return found | {file.blob for file in files if file.blob is not None}

    def delete(self) -> None:
        """Remove the run's own objects, its end last, so that a run that is half removed has ended all the same."""
        names = [info.name for info in self.objects.listing(self._base)]
        self.objects.delete(*sorted(names, key=lambda name: name.startswith(f"{self._base}/end")))
        self.objects.remove_empty_folders(self._base)

    def _epoch_numbers(self) -> list[int]:
        return sorted(int(name) for name in self.objects.folders(f"{self._base}/epochs") if name.isdigit())

    def _is_resumed(self, number: int) -> bool:
        return self._get(f"wishes/{_numbered('resume', number)}", Wish) is not None

    def _put_new(self, name: str, record: Any) -> bool:
        full = f"{self._base}/{name}"
        return self.objects.put_new(full, sealed(self._key, full, record))

    def _put(self, name: str, record: Any) -> None:
        full = f"{self._base}/{name}"
        self.objects.put(full, sealed(self._key, full, record))

    def _get(self, name: str, kind: type[T]) -> T | None:
        full = f"{self._base}/{name}"
        data = self.objects.get(full)
        return None if data is None else unsealed(self._key, full, data, kind)


def run_ids(objects: ObjectStore) -> list[str]:
    """Every run in a store, oldest name first."""
    return objects.folders("runs")


def _numbered(name: str, number: int) -> str:
    """``end``, ``end-0001``: before the run was ever resumed there is no number."""
    return f"{name}-{number:04d}" if number else name


def _epoch(number: int) -> str:
    return f"epochs/{number:04d}"
