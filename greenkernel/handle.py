"""A handle on a submitted cell: where it stands, what it has printed, what it brings home, and how it is steered."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from greenkernel.cell import submodules
from greenkernel.cell.bind import Loaded, Meanwhile, bind, load_result, rebuild_error
from greenkernel.cell.files_back import put_files
from greenkernel.cell.surroundings import settings_back, taken_here
from greenkernel.controller import LOG_FILE, ensure_controller
from greenkernel.errors import UserError
from greenkernel.home import Home
from greenkernel.records import (
    EpochOpen,
    Plan,
    Prediction,
    Progress,
    Proposal,
    Receipt,
    RunState,
)
from greenkernel.run.follow import Follower
from greenkernel.run.journal import Entry
from greenkernel.run.proposal import is_open
from greenkernel.store.imports import import_each
from greenkernel.store.returned import Shown
from greenkernel.store.runs import Advice, RunStore, Submission, Wish
from greenkernel.upkeep import Upkeep

_LOCAL_POLL_S = 0.03
_REMOTE_POLL_S = 0.5
_CARE_S = 2.0
# A controller that was killed comes back at once; one that cannot live must be said.
_MOST_STARTS = 5


class Run:
    """A submitted cell: a future that survives the kernel.

    Args:
        home: The home that the run belongs to.
        run: Its id.
        namespace: Where functions and classes that come back will live; a new one by default.
    """

    def __init__(self, home: Home, run: str, namespace: dict[str, Any] | None = None) -> None:
        self.id = run
        self._home = home
        self._store: RunStore = home.run_store(run)
        self._namespace: dict[str, Any] = {} if namespace is None else namespace
        self._loaded: Loaded | None = None
        self._cared_at = 0.0
        self._starts = 0

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.state}{f', {self.detail}' if self.detail else ''}>"

    @property
    def submission(self) -> Submission:
        """What was asked, and what travels."""
        return self._store.submission()

    @property
    def state(self) -> RunState:
        """Where the run stands."""
        end = self._store.ended()
        if end is not None:
            return end.state
        entry = self._entry()
        if entry is None:
            return RunState.REMOVED
        state = RunState(entry.state)
        return RunState.STARTING if state.ended else state  # the journal learns of a resume a little later

    @property
    def detail(self) -> str:
        """The rest in words: queued, unreachable, why it failed."""
        end = self._store.ended()
        if end is not None:
            return end.error or ""
        entry = self._entry()
        return entry.detail if entry is not None else ""

    @property
    def advice(self) -> Advice | None:
        """Everything that was known before the choice; None while the cell is profiled."""
        return self._store.advice()

    @property
    def prediction(self) -> tuple[Prediction, ...]:
        """What the run would take on each site; empty while the cell is profiled."""
        advice = self._store.advice()
        return advice.predictions if advice else ()

    @property
    def plan(self) -> Plan | None:
        """The plan that holds now."""
        now = self._store.plan()
        return now.plan if now else None

    @property
    def chosen(self) -> str | None:
        """The site that somebody has chosen; None where nobody has, or the recommended one was taken."""
        wish = self._store.wishes().get("choose")
        return wish.site if wish is not None else None

    @property
    def waits_for_choice(self) -> bool:
        """True while a person is asked for the site and has not said a word."""
        return self.state is RunState.CHOOSING and "choose" not in self._store.wishes()

    @property
    def epochs(self) -> tuple[EpochOpen, ...]:
        """Every stay so far, in order."""
        found: list[EpochOpen] = []
        while (opened := self._store.epoch(len(found) + 1)) is not None:
            found.append(opened)
        return tuple(found)

    @property
    def progress(self) -> Progress | None:
        """What the runner last said of itself."""
        last = self._store.last_epoch()
        return self._store.progress(last.epoch) if last else None

    @property
    def receipt(self) -> Receipt | None:
        """What the run took; None until it has ended."""
        return self._store.receipt() if self._store.ended() is not None else None

    def follower(self) -> Follower:
        """Reads what the cell prints and shows, from the beginning."""
        return Follower(self._store)

    def logs(self) -> str:
        """What the cell has printed so far, stdout and stderr as they came."""
        events = self.follower().poll()
        return "".join(event.text for event in events if event.kind in ("stdout", "stderr"))

    def journal(self) -> list[tuple[datetime, str]]:
        """What was decided, and when."""
        return self._home.journal.notes(self.id)

    def choose(self, site: str | None = None) -> None:
        """Take a site, or the recommended one, for a run that waits for a choice.

        Raises:
            UserError: It has ended or is at work already, or there is no such site.
        """
        if self.state in (RunState.RUNNING, RunState.MOVING):
            raise UserError(f"run {self.id} is at work already", what_to_do="Relocate it to move it to another site")
        self._wish("choose", Wish(kind="choose", site=self._known(site), at=self._home.clock.now()))

    def relocate(self, site: str) -> None:
        """Move the run to another site with what it has computed; it stays there.

        Raises:
            UserError: It has ended, there is no such site, or it is there already.
        """
        self._open()
        if not site:
            raise UserError("no site was named", what_to_do=f"Sites are: {', '.join(sorted(self._home.sites))}")
        asked = [wish for wish in self._store.wishes().values() if wish.kind == "relocate"]
        last = self._store.last_epoch()
        if last is not None and last.site == site and all(wish.site == site for wish in asked):
            raise UserError(f"run {self.id} is on {site} already")
        number = len(asked) + 1
        wish = Wish(kind="relocate", site=self._known(site), at=self._home.clock.now())
        self._wish(f"relocate-{number:04d}", wish)

    @property
    def proposal(self) -> Proposal | None:
        """The move that waits for an answer under ``--move ask``: `relocate` there, or `stay`."""
        proposal, last = self._store.proposal(), self._store.last_epoch()
        if proposal is None or last is None or self._store.ended() is not None:
            return None
        wishes = self._store.wishes().values()
        return proposal if is_open(proposal, wishes, last.epoch, self._home.clock.now()) else None

    def stay(self) -> None:
        """Answer the move that is proposed: the run stays where it is.

        Raises:
            UserError: No move is proposed now.
        """
        proposal = self.proposal
        if proposal is None:
            raise UserError(f"run {self.id} proposes no move now")
        wish = Wish(kind="stay", site=None, at=self._home.clock.now(), proposal=proposal.number)
        self._wish(f"stay-{proposal.number:04d}", wish)

    def cancel(self) -> None:
        """Stop the run everywhere; `wait` returns when it is really stopped."""
        self._open()
        self._store.cancel(self._home.clock.now())
        self._care(at_once=True)

    def resume(self) -> None:
        """Go on, from what it has recorded, with a run that was cancelled or failed for a reason not the cell's own.

        Raises:
            UserError: It was removed, it has not ended, it is done, or its cell has raised an error.
        """
        with self._home.sending():  # it is not removed meanwhile for its age
            self._open_again()
        self._care(at_once=True)

    def purge(self) -> None:
        """Remove all that a run that has ended has left: logs, records, receipt, and what travelled.

        Raises:
            UserError: It has not ended, or was removed before.
        """
        if self.state is RunState.REMOVED:
            raise UserError(f"run {self.id} was removed")
        if not self.state.ended:
            raise UserError(f"run {self.id} has not ended, it is {self.state}", what_to_do="Cancel it first")
        self.wait_stopped()
        Upkeep(self._home).purge(self.id)

    def wait(self, timeout: float | None = None, *, each: Callable[[], None] | None = None) -> Run:
        """Wait until the run has ended.

        Args:
            timeout: Seconds; None waits for ever.
            each: Called again and again while waiting.

        Raises:
            TimeoutError: It has not ended within ``timeout``; the run goes on.
        """
        pause_s = _LOCAL_POLL_S if self._home.is_local else _REMOTE_POLL_S
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._store.ended() is None:
            self._care()
            if each is not None:
                each()
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"run {self.id} has not ended within {timeout} s; it goes on")
            time.sleep(pause_s)
        return self

    def wait_stopped(self) -> None:
        """Wait until the run has ended and nothing of it is left on any site."""
        self.wait()
        while (entry := self._entry()) is not None and entry.open:
            self._care()
            time.sleep(_LOCAL_POLL_S)

    def wait_a_while(self, seconds: float) -> None:
        """Wait until the run has ended, or so many seconds have passed; sees to it that the controller lives."""
        with contextlib.suppress(TimeoutError):
            self.wait(seconds)

    @property
    def has_result(self) -> bool:
        """True once the cell has been run to its end, or to an error of its own."""
        return self._store.result() is not None

    def error(self) -> BaseException | None:
        """The exception with which the run has ended: the cell's own, or what kept it from running; None without."""
        self.wait()
        result = self._store.result()
        if result is not None and result.error is not None:
            return rebuild_error(result.error, self._store.blobs, self._namespace, self.submission.request)
        end = self._store.ended()
        return UserError(end.error) if result is None and end is not None and end.error else None

    def result(self, timeout: float | None = None) -> Any:
        """The function's return value, or the value of the cell's last expression (None where there is none).

        Raises:
            UserError: The run was cancelled, could not be run at all, or was a dry run.
            BaseException: The cell's own exception, on the cell's own lines.
        """
        self.wait(timeout)
        value = self.loaded().value
        if isinstance(value, Shown):
            raise UserError(f"the value has not come back: {value.why}", what_to_do="Return something that can travel")
        return value

    @property
    def names(self) -> dict[str, Any]:
        """What the cell has bound or changed; waits for the end."""
        self.wait()
        return dict(self.loaded(allow_error=True).names)

    @property
    def not_returned(self) -> dict[str, str]:
        """What the cell has left and cannot come back, with the reasons: names, and files that it has written."""
        self.wait()
        result = self._store.result()
        return dict(result.not_returned) if result is not None else {}

    @property
    def names_back(self) -> tuple[str, ...]:
        """Names that the cell has bound or changed, as far as they come back; empty before there is a result."""
        result = self._store.result()
        return result.names if result is not None else ()

    def bind(self, namespace: dict[str, Any], meanwhile: Meanwhile | None = None) -> list[str]:
        """Put what the cell bound and changed into a namespace, also where the cell ended with an error.

        Files and process-wide settings that it has changed come back too.

        Args:
            namespace: The notebook's names.
            meanwhile: What has been bound or changed there since, and stays so.

        Returns:
            What could not be put there as it was, in sentences.
        """
        result = self._store.result()
        submission = self.submission
        folder = Path(submission.request.folder)
        settings = taken_here(folder, ())  # before names are bound: modules that are imported then change some

        def bring_settings(*, early: bool) -> list[str]:
            if result is None or result.surroundings is None:
                return []
            sent = submission.capture.surroundings
            return settings_back(result.surroundings, sent, settings, self._store.blobs, folder, early=early)

        loaded = self.loaded(allow_error=True)
        assert result is not None
        try:
            messages = self.bring_files()  # before names: a module that is bound, or loaded again, may be one of them
        except UserError as e:
            messages = [str(e)]
        messages += bring_settings(early=True)
        messages += bind(loaded, result, namespace, meanwhile)
        import_each(submodules.bound_by(submission.capture.transformed, result.names, namespace))
        return messages + bring_settings(early=False)

    def bring_files(self, folder: Path | None = None) -> list[str]:
        """Bring the files that the cell has written, changed or deleted to the folder that it was sent from.

        Args:
            folder: Another folder instead.

        Returns:
            What could not be put there as it was, in sentences.
        """
        self.wait()
        result = self._store.result()
        if result is None:
            return []
        return put_files(result.files, self._store.blobs, folder or Path(self.submission.request.folder), self.id)

    def loaded(self, *, allow_error: bool = False) -> Loaded:
        """The result, verified and unpickled once."""
        __tracebackhide__ = True  # IPython then shows the cell's own lines only
        result = self._store.result()
        if result is None:
            end = self._store.ended()
            why = "it was a dry run" if self.submission.request.dry_run else (end.error if end else None)
            raise UserError(f"run {self.id} has no result{f': {why}' if why else f' ({self.state})'}")
        if result.error is not None and not allow_error:
            raise rebuild_error(result.error, self._store.blobs, self._namespace, self.submission.request)
        if self._loaded is None:
            self._loaded = load_result(result, self._store.blobs, self._namespace)
        return self._loaded

    @property
    def error_text(self) -> str | None:
        """The traceback of the cell's own exception; None where it had none."""
        result = self._store.result()
        return result.error.text if result is not None and result.error is not None else None

    @property
    def exit_words(self) -> str | None:
        """What a script has given to ``sys.exit`` in the end, as text: a number or a sentence; None without."""
        result = self._store.result()
        error = result.error if result is not None and self.submission.request.script is not None else None
        return error.message if error is not None and error.type_name == "SystemExit" else None

    def _wish(self, name: str, wish: Wish) -> None:
        self._open()
        self._store.wish(name, wish)
        self._care(at_once=True)

    def _open_again(self) -> None:
        end, result = self._store.ended(), self._store.result()
        if end is None and self._entry() is None:
            raise UserError(f"run {self.id} was removed", what_to_do="Submit its cell again")
        if end is None:
            raise UserError(f"run {self.id} has not ended, it is {self.state}", what_to_do="Attach it to follow it")
        if result is not None and result.error is not None:
            what = f"the cell of run {self.id} has raised {result.error.type_name}"
            raise UserError(what, what_to_do="Mend the cell and submit it again")
        if result is not None or end.state is RunState.DONE:
            raise UserError(f"run {self.id} is done", what_to_do="To run its cell once more, submit it again")
        advice = self._store.advice()
        if advice is not None and advice.plan is None:
            self._store.forget_advice()
        self._store.resume(end, self._home.clock.now())
        # After the wish: a controller that closes the run at this moment looks for it once more.
        self._home.journal.update(self.id, state=RunState.STARTING, detail="resumed", is_open=True)
        self._home.journal.note(self.id, f"resumed after: {end.state}{f': {end.error}' if end.error else ''}")

    def _open(self) -> None:
        end = self._store.ended()
        if end is not None:
            raise UserError(f"run {self.id} has ended already ({end.state}{f': {end.error}' if end.error else ''})")

    def _known(self, site: str | None) -> str | None:
        names = list(self._home.settings.sites.sites)
        if site is not None and site not in names:
            raise UserError(f"there is no site {site!r}", what_to_do=f"Use one of {', '.join(names)}")
        return site

    def _care(self, *, at_once: bool = False) -> None:
        """The controller may have been killed: see to it that there is one."""
        if not at_once and time.monotonic() - self._cared_at < _CARE_S:
            return
        self._cared_at = time.monotonic()
        if self._entry() is None:
            raise UserError(f"run {self.id} was removed")
        home = self._home.settings.home
        started = ensure_controller(home, self._home.settings.sites_path)
        self._starts = self._starts + 1 if started else 0
        if self._starts > _MOST_STARTS:
            raise UserError(
                f"the controller ends as soon as it starts, so run {self.id} does not go on",
                what_to_do=f"Look into {home / LOG_FILE}",
            )

    def _entry(self) -> Entry | None:
        """The run in the journal, None where it was removed."""
        for look_again in (True, False):
            found = [entry for entry in self._home.journal.entries() if entry.id == self.id]
            if found:
                return found[0]
            if look_again:
                self._home.sync_journal()
        return None
