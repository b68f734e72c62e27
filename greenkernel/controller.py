"""The controller: one process per home that brings runs on; it starts by itself and ends when nothing is open.

Where the store can be reached from elsewhere, one that stays (`stand`) may be on another machine. It has the runs on
its sites while its lease is alive; controllers that were started by kernels profile runs, leave those to it, and hear
of them through the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from greenkernel.clock import Clock, RealClock, wait_until
from greenkernel.errors import GreenKernelError, TemporaryError, UserError
from greenkernel.home import Home
from greenkernel.lock import Lock
from greenkernel.osfacts import spawn_detached
from greenkernel.records import JobStatus, Offer, RunState
from greenkernel.run.conduct import Conductor, SitesNow
from greenkernel.run.lease import RENEW_S, Lease, Leases, Standing
from greenkernel.site.base import Site
from greenkernel.store.runs import End, Told
from greenkernel.upkeep import Upkeep

# A local look costs little; a remote store or cluster is asked less often unless something wakes us.
_LOCAL_PASS_S = 0.1
_REMOTE_PASS_S = 1.0
_OFFERS_S = 2.0
_LINGER_S = 20.0
# Whoever looks whether there is a controller holds the lock for a moment: that is no controller.
_START_S = 1.0
_WAKE_POLL_S = 0.02
_TIDY_EVERY_S = 600.0
_LEASE_S = 2.0
# So often may a run's pass fail for a reason that nobody foresaw.
_TROUBLES = 5
LOCK_FILE = "controller.lock"
WAKE_FILE = "wake"
LOG_FILE = "controller.log"
_LOG_BYTES = 10 << 20
# The sites file that the controller works with, and its hash; and a word that it is to end as soon as it is idle.
SITES_NOW_FILE = "controller.sites"
END_FILE = "controller.end"
_STAYS = "stays"
_END_S = 10.0


class Controller:
    """Hosts the conductors of a home's open runs.

    Args:
        home: Settings, store, sites and stages.
        clock: Time.
        standing: What this controller has as the one that stays; None: it is a kernel's.
    """

    def __init__(self, home: Home, clock: Clock, standing: Standing | None = None) -> None:
        self._home = home
        self._clock = clock
        self._standing = standing
        self._leases = None if standing is not None or home.is_local else Leases(home.objects, home.settings.key)
        self._lease: Lease | None = None
        self._lease_at = -_LEASE_S
        self._told: dict[str, Told] = {}
        self._conductors: dict[str, Conductor] = {}
        self._troubles: Counter[str] = Counter()
        self._changed = threading.Event()
        self._offers: dict[str, Offer] = {}
        self._offers_at = 0.0
        self._tidying: threading.Thread | None = None
        self._tidied_at = -_TIDY_EVERY_S

    def run(self, *, linger_s: float = _LINGER_S) -> None:
        """Bring runs on until none has been open for ``linger_s`` seconds; one that stays: until its lease is lost."""
        self._home.sync_journal()
        ends = [site.watch(self._changed.set) for site in self._sites().values()]
        idle_since = time.monotonic()
        folder = self._home.settings.home
        wake = _WakeFile(folder / WAKE_FILE)
        pause_s = _LOCAL_PASS_S if self._home.is_local else _REMOTE_PASS_S
        try:
            while self._standing.holds() if self._standing is not None else time.monotonic() - idle_since < linger_s:
                if self.step() or self._tidy():
                    idle_since = time.monotonic()
                elif self._standing is None and (folder / END_FILE).exists():
                    break
                self._wait(wake, pause_s)
        finally:
            for end in ends:
                end()

    def step(self) -> bool:
        """One pass over all open runs; returns whether there is any."""
        lease = self._look_at_lease()
        runs = [entry.id for entry in self._home.journal.entries(only_open=True)]
        for gone in set(self._conductors) - set(runs):
            del self._conductors[gone]
        if not runs:
            return False
        sites_now = self._look_at_sites()
        for run in runs:
            self._step_one(run, sites_now, lease)
        return True

    def _look_at_lease(self) -> Lease | None:
        """The lease of the controller that stays, while there is one: this one's own, or another one's."""
        if time.monotonic() - self._lease_at > _LEASE_S:
            self._lease_at = time.monotonic()
            if self._standing is not None:  # kernels elsewhere wake nobody here
                with contextlib.suppress(TemporaryError):
                    self._home.sync_journal()
            elif self._leases is not None:
                with contextlib.suppress(TemporaryError):
                    self._lease = self._leases.alive()
        return self._standing.lease if self._standing is not None else self._lease

    def _step_one(self, run: str, sites_now: SitesNow, lease: Lease | None) -> None:
        """One run's trouble must not stop the others."""
        try:
            if run not in self._conductors:
                self._conductors[run] = self._home.conductor(run)
            conductor = self._conductors[run]
            if lease is not None and conductor.is_for(lease) != (self._standing is not None):
                self._hear(run)
                return
            conductor.step(sites_now)
            if self._standing is not None:
                self._tell(run)
        except TemporaryError as e:
            self._home.journal.note(run, f"this pass failed: {e}")
        except Exception as e:  # whatever it is, the run's owner must see it
            self._troubles[run] += 1
            traceback.print_exc()
            if isinstance(e, GreenKernelError) or self._troubles[run] >= _TROUBLES:
                self._stop(run, sites_now)
                self._give_up(run, str(e) if isinstance(e, GreenKernelError) else f"{type(e).__name__}: {e}")

    def _tell(self, run: str) -> None:
        """Put into the store what this journal has of a run, where it is something new."""
        journal = self._home.journal
        (entry,) = [entry for entry in journal.entries() if entry.id == run]
        told = Told(state=RunState(entry.state), detail=entry.detail, open=entry.open, notes=tuple(journal.notes(run)))
        if self._told.get(run) != told:
            self._home.run_store(run).tell(told)
            self._told[run] = told

    def _hear(self, run: str) -> None:
        """Put into this journal what another controller has told of a run."""
        store, journal = self._home.run_store(run), self._home.journal
        if self._standing is not None:  # kernels' controllers tell only their own journals
            if (end := store.ended()) is not None:
                journal.update(run, state=end.state, detail=end.error or "", is_open=False)
            return
        told = store.told()
        if told is None or told == self._told.get(run):
            return
        self._told[run] = told
        known = set(journal.notes(run))
        for at, text in told.notes:
            if (at, text) not in known:
                journal.note(run, text, at)
        journal.update(run, state=told.state, detail=told.detail, is_open=told.open)

    def _stop(self, run: str, sites_now: SitesNow) -> None:
        """Nobody will take what its jobs compute."""
        for name, statuses in sites_now.jobs.items():
            for status in statuses:
                if status.run == run:
                    with contextlib.suppress(GreenKernelError):
                        self._home.sites[name].stop(run, status.epoch)

    def _give_up(self, run: str, why: str) -> None:
        log = self._home.settings.home / LOG_FILE
        error = f"the controller cannot bring this run on ({why}); see {log}"
        store = self._home.run_store(run)
        store.end(End(state=RunState.FAILED, at=self._clock.now(), error=error, resumes=store.resumes()))
        del self._troubles[run]  # it may be resumed
        self._home.journal.update(run, state=RunState.FAILED, detail=error, is_open=False)

    def _look_at_sites(self) -> SitesNow:
        jobs: dict[str, list[JobStatus]] = {}
        silent = set()
        for name, site in self._sites().items():
            try:
                jobs[name] = list(site.jobs())
            except GreenKernelError:
                silent.add(name)
        if time.monotonic() - self._offers_at > _OFFERS_S:
            here = self._sites()
            self._offers = {name: offer for name, offer in self._home.offers().items() if name in here}
            self._offers_at = time.monotonic()
        return SitesNow(jobs=jobs, offers=dict(self._offers), silent=frozenset(silent))

    def _sites(self) -> Mapping[str, Site]:
        """Without those that are another machine's."""
        sites = self._home.sites
        return sites if self._standing is None else {name: sites[name] for name in self._standing.lease.sites}

    def _tidy(self) -> bool:
        """Remove, beside the runs, what is too old or too much; returns whether that is under way.

        Asked for again and again, since most days have more than one controller, and a cell that is sent puts it off.
        """
        if self._tidying is not None and self._tidying.is_alive():
            return True
        if self._standing is not None:  # cells that are sent elsewhere cannot put it off
            return False
        if time.monotonic() - self._tidied_at < _TIDY_EVERY_S:
            return False
        self._tidied_at = time.monotonic()
        self._tidying = threading.Thread(target=self._tidy_now, name="greenkernel-upkeep", daemon=True)
        self._tidying.start()
        return True

    def _tidy_now(self) -> None:
        try:
            said = Upkeep(self._home).tidy()
        except (GreenKernelError, OSError) as e:
            said = f"nothing was removed that is too old: {e}"
        if said is not None:
            print(f"{self._clock.now():%Y-%m-%d %H:%M:%S} {said}", flush=True)

    def _wait(self, wake: _WakeFile, pause_s: float) -> None:
        """Until something changes, but at most one pass."""
        deadline = time.monotonic() + pause_s
        while time.monotonic() < deadline:
            if self._changed.wait(_WAKE_POLL_S) or wake.touched():
                self._changed.clear()
                return


class _WakeFile:
    """Kernels touch this file when they have left something for the controller."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._stamp()

    def touched(self) -> bool:
        stamp = self._stamp()
        changed, self._seen = stamp != self._seen, stamp
        return changed

    def _stamp(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def agree_on_sites(home: Home) -> None:
    """See to it that this home's controller, if there is one, works with the same sites: one that idles is ended.

    Raises:
        UserError: It is at work with another sites file, or it is one that stays, which profiles nothing.
    """
    folder = home.settings.home
    if _is_free(folder) or (now := _read(folder / SITES_NOW_FILE)) in ("", _sites_now(home)):
        return
    if now == _STAYS:
        raise UserError(
            f"the home {folder} is that of a controller that stays, which profiles nothing",
            what_to_do="Set GREENKERNEL_HOME to another folder, with a copy of its keys",
        )
    path = now.splitlines()[0]
    if runs := [entry.id for entry in home.journal.entries(only_open=True)]:
        if path == str(home.settings.sites_path):  # it has been edited since: that holds for the next controller
            return
        raise UserError(
            f"the controller of this home is at work with {path} (run {', '.join(runs[:3])})",
            where=str(home.settings.sites_path),
            what_to_do="Wait until that has ended, or set GREENKERNEL_HOME to a folder of its own for these sites",
        )
    (folder / END_FILE).touch()
    wait_until(home.clock, lambda: _is_free(folder), timeout_s=_END_S)


def _is_free(folder: Path) -> bool:
    lock = Lock(folder / LOCK_FILE)
    try:
        return lock.take()
    finally:
        lock.release()


def _sites_now(home: Home) -> str:
    path = home.settings.sites_path
    return f"{path}\n{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def ensure_controller(home: Path, sites_file: Path) -> bool:
    """Wake the home's controller, and start one where there is none; returns whether one was started.

    Raises:
        UserError: The home folder cannot be written.
    """
    try:
        (home / WAKE_FILE).touch()
        alone = _is_free(home)
        if alone:
            _turn_over(home / LOG_FILE)
            command = [sys.executable, "-m", "greenkernel.controller", str(home), str(sites_file)]
            spawn_detached(command, cwd=home, log=home / LOG_FILE)
    except OSError as e:
        raise _no_controller(home, e) from e
    return alone


def _turn_over(log: Path) -> None:
    """A log that has grown long goes aside, in place of the one before it."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))


def _no_controller(path: Path, error: Exception) -> UserError:
    return UserError(
        f"the controller cannot be started, for {path} cannot be used ({error})",
        what_to_do="See to it that the home folder can be written and that its disk has room",
    )


def serve(home: Home, *, linger_s: float = _LINGER_S) -> bool:
    """Be the home's controller until nothing is open; returns False at once where another process is."""
    while True:
        lock = Lock(home.settings.home / LOCK_FILE)
        try:
            if not lock.take(patience_s=_START_S):
                return False
            (home.settings.home / END_FILE).unlink(missing_ok=True)
            (home.settings.home / SITES_NOW_FILE).write_text(_sites_now(home), encoding="utf-8")
            Controller(home, RealClock()).run(linger_s=linger_s)
        finally:
            lock.release()
        # A kernel that saw the lock still held has written its run down before that: look once more.
        if not home.journal.entries(only_open=True):
            return True


def stand(home: Home, say: Callable[[str], None]) -> None:
    """Be the controller that stays, for every machine with this home's keys and store; never returns by itself.

    Args:
        home: The home.
        say: Told what happens.

    Raises:
        UserError: The store or a site is of one machine, or this home has a controller.
    """
    sites = sites_elsewhere(home)
    lock = Lock(home.settings.home / LOCK_FILE)
    leases = Leases(home.objects, home.settings.key)
    try:
        if not lock.take(patience_s=_START_S):
            raise UserError(
                "another controller is at work in this home", what_to_do="Wait until it ends, or give this one a home"
            )
        (home.settings.home / SITES_NOW_FILE).write_text(_STAYS, encoding="utf-8")
        while True:
            standing = _taken(home, leases, sites, say)
            say(f"has the runs on {', '.join(sites)}")
            try:
                Controller(home, RealClock(), standing).run()
            finally:
                standing.give_back()
            say("another controller has taken the lease")
    finally:
        lock.release()


def sites_elsewhere(home: Home) -> tuple[str, ...]:
    """The sites that are the same ones from another machine.

    Raises:
        UserError: There is none, or the store is of this machine.
    """
    where = str(home.settings.sites_path)
    if home.is_local:
        raise UserError(
            f"a controller that stays shares a store with notebooks elsewhere, and {home.settings.store.url} is a "
            "folder of this machine",
            where=where,
            what_to_do='Set store = "s3://..." there',
        )
    found = tuple(name for name, site in home.settings.sites.sites.items() if site.kind == "kubernetes")
    if not found:
        raise UserError(
            "embedded sites are processes of the notebook's machine, and there is no other site",
            where=where,
            what_to_do="Add a cluster there, or leave the runs to the notebook's own controller",
        )
    return found


def _taken(home: Home, leases: Leases, sites: tuple[str, ...], say: Callable[[str], None]) -> Standing:
    told = ""
    while (lease := leases.take(home.owner, sites)) is None:
        other = leases.alive()
        if other is not None and told != other.holder:
            told = other.holder
            say(f"waits: {other.host} (process {other.pid}) has the lease, or has had it until just now")
        home.clock.sleep(RENEW_S)
    return Standing(leases, lease)


def main(arguments: list[str]) -> int:
    """``python -m greenkernel.controller HOME SITES_FILE``: the detached form."""
    serve(Home.open(Path(arguments[0]), Path(arguments[1])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
