"""Following a run from a terminal or a notebook: its output where output belongs, our own words where they belong."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path

from greenkernel.errors import UserError
from greenkernel.handle import Run
from greenkernel.options import describe_due
from greenkernel.panel.text import manifest_text, plan_text, predictions_text, profile_text, proposal_text, receipt_text
from greenkernel.records import RunState
from greenkernel.units import format_bytes
from greenkernel.voices import Voice

_IF_THIS_SLEEPS = "while this machine sleeps, planning, moves and embedded sites stand still; jobs on Kubernetes go on"

_WHAT_IS_MEANT = "stop waiting only (the run goes on), cancel the run, or go on waiting? [w/c/g]"


def follow(run: Run, voice: Voice, *, zone: tzinfo | None, until: Callable[[], bool] | None = None) -> None:
    """Show a run until it has ended, advice first, receipt last; an interrupt asks what is meant, where it can.

    Args:
        run: The run.
        voice: Where to.
        zone: The zone in which times are shown; None: the machine's.
        until: Asked again and again; true ends the following earlier.

    Raises:
        KeyboardInterrupt: The waiting is to end, the run goes on.
    """
    submission = run.submission
    if submission.request.due_at is not None:
        due = describe_due(submission.request.due_at, now=submission.request.created_at, zone=zone)
        voice.say(f"run {run.id}, due {due}")
    voice.say(manifest_text(submission.capture))
    follower = run.follower()
    teller = _Teller(run, voice, zone)

    def each() -> None:
        teller.tell()
        for event in follower.poll():
            voice.show(event)
        if until is not None and until():
            raise _EnoughError

    try:
        wait(run, voice, each)
    except _EnoughError:
        return
    each()
    receipt = run.receipt
    if receipt is not None and run.state is not RunState.CANCELLED and not submission.request.dry_run:
        voice.say(receipt_text(receipt, zone=zone))
    elif run.state is RunState.CANCELLED:
        voice.say(f"run {run.id} is cancelled; nothing of it is left running")
    if hint := hint_for(run):
        voice.say(hint)


def wait(run: Run, voice: Voice, each: Callable[[], None]) -> None:
    """Wait for the end; an interrupt asks once what is meant, and without an answer ends the waiting only."""
    while True:
        try:
            run.wait(each=each)
            return
        except KeyboardInterrupt:
            answer = (voice.ask(_WHAT_IS_MEANT) or "w").lower()[:1]
            if answer == "c":
                voice.say(f"cancelling run {run.id}")
                with suppress(UserError):  # it has ended meanwhile
                    run.cancel()
            elif answer == "g":
                voice.say(f"waiting for run {run.id}")
            else:
                raise


def hint_for(run: Run) -> str:
    """What may help after an error of the cell that is likelier on a site than here."""
    missing = re.match(r"FileNotFoundError: .*'([^']+)'$", run.detail if run.state is RunState.FAILED else "")
    request = run.submission.request
    if missing and not request.files and Path(request.folder, missing[1]).exists():
        return "data files travel when they are named: --files GLOB, relative to the working folder"
    return ""


class _EnoughError(Exception):
    """The caller has seen enough."""


class _Teller:
    """Says each new thing about a run once."""

    def __init__(self, run: Run, voice: Voice, zone: tzinfo | None) -> None:
        self._run = run
        self._voice = voice
        self._zone = zone
        self._asks = run.submission.request.move == "ask"
        self._proposed = 0
        self._advised = False
        self._journal = 0
        self._stays = ""

    def tell(self) -> None:
        run = self._run
        if not self._advised and (advice := run.advice) is not None:
            self._advised = True
            if advice.files:
                names = ", ".join(f"{file.path} ({format_bytes(file.bytes)})" for file in advice.files)
                self._voice.say(f"travels too, for slices have opened it: {names}")
            self._voice.say(profile_text(advice.profile))
            self._voice.say(predictions_text(advice.predictions, advice.plan))
            if advice.plan is not None:
                self._voice.say(plan_text(advice.plan, advice.predictions, zone=self._zone))
                self._voice.say(_IF_THIS_SLEEPS)
        notes = run.journal()
        for _at, text in notes[self._journal :]:
            stays = text.partition(":")[0] if text.startswith("stays on ") else ""
            # A plan is made again and again, mostly with other figures only.
            if stays != self._stays if stays else text.startswith(("epoch ", "leaves ")):
                self._voice.say(text)
                self._stays = stays
        self._journal = len(notes)
        if self._asks and (proposal := run.proposal) is not None and proposal.number != self._proposed:
            self._proposed = proposal.number
            how = f"to move it: greenkernel runs relocate {run.id} {proposal.site}"
            self._voice.say(f"{proposal_text(proposal, zone=self._zone)}; {how}")
        self._voice.status(_status(run))


def _status(run: Run) -> str:
    """One line; figures are rounded, so that it changes when something has changed."""
    state, detail = run.state, run.detail
    progress = run.progress
    tasks = ""
    if state is RunState.RUNNING and progress is not None and progress.rounds_done is not None:
        tasks = f", round {min(progress.rounds_done + 1, progress.rounds_total or 1)} of {progress.rounds_total}"
    elif state is RunState.RUNNING and progress is not None and progress.tasks_done:
        total = f" of {progress.tasks_total}" if progress.tasks_total else ""
        step = 50 if (progress.tasks_total or progress.tasks_done) > 100 else 1
        tasks = f", {progress.tasks_done // step * step}{total} tasks"
    return f"{state}{f': {detail}' if detail else ''}{tasks}"
