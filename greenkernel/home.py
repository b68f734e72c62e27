"""A home: settings, store, sites, signals and journal, built once from what the user has set."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from greenkernel.clock import Clock, RealClock
from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.lock import Lock
from greenkernel.osfacts import user_id
from greenkernel.records import Offer, RunState
from greenkernel.run.journal import Entry, Journal
from greenkernel.settings import JOURNAL_FILE, Settings
from greenkernel.store.hashing import keyed_hash
from greenkernel.store.objects import ObjectStore
from greenkernel.store.runs import RunStore, run_ids
from greenkernel.tariffs import grid_time, site_grids

if TYPE_CHECKING:
    from greenkernel.advice import Stages
    from greenkernel.run.conduct import Conductor
    from greenkernel.site.base import Site

SENDING_LOCK_FILE = "sending.lock"
# Whoever removes lets go of the lock again and again.
_PATIENCE_S = 60.0


class Home:
    """Everything that belongs to one home folder. Sites and stages are built when they are first needed.

    Args:
        settings: What was read from the home's files.
        clock: Time.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.journal = Journal(settings.home / JOURNAL_FILE)

    @classmethod
    def open(cls, home: Path | None = None, sites_file: Path | None = None) -> Home:
        """The home of ``GREENKERNEL_HOME`` (or the user's), with the sites of ``GREENKERNEL_SITES`` (or its own).

        Raises:
            UserError: A settings file has a mistake.
        """
        return cls(Settings(home, sites_file), RealClock())

    @cached_property
    def objects(self) -> ObjectStore:
        """The store that runs live in."""
        return ObjectStore(self.settings.store)

    @property
    def is_local(self) -> bool:
        """True where the store is a folder of this machine."""
        return self.settings.store.url.startswith("file:")

    @cached_property
    def owner(self) -> str:
        """Whose jobs these are, as a label: the user, and what tells this home from another one of the same user.

        It is kept beside the key, for a controller that runs elsewhere with these keys and under another user's name.
        """
        kept = self.settings.home / "keys" / "owner"
        with suppress(OSError):
            return kept.read_text(encoding="utf-8").strip()
        owner = self._new_owner()
        with suppress(OSError):
            kept.write_text(owner, encoding="utf-8")
        return owner

    def _new_owner(self) -> str:
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a user id without a name, as some clusters give
            number = user_id()
            user = "user" if number is None else f"uid{number}"
        plain = "".join(c if c.isalnum() else "-" for c in user.lower()).strip("-")[:40] or "user"
        return f"{plain}-{keyed_hash(self.settings.key, b'owner')[:8]}"

    @cached_property
    def sites(self) -> Mapping[str, Site]:
        """Every site of the settings."""
        from greenkernel.site.registry import build_sites

        return build_sites(self.settings, owner=self.owner, clock=self.clock)

    @cached_property
    def stages(self) -> Stages:
        """The stages before the run: profile, model, signals and plan."""
        from greenkernel.advice import Stages

        return Stages(self.settings, self.objects, self.offers, self.clock)

    def run_store(self, run: str) -> RunStore:
        """One run's objects."""
        return RunStore(self.objects, self.settings.key, run)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While blobs are written, or found in the store, that no run names yet: none is removed meanwhile.

        Raises:
            TemporaryError: Somebody removes some all the time.
        """
        lock = Lock(self.settings.home / SENDING_LOCK_FILE)
        try:
            if not lock.share(patience_s=_PATIENCE_S):
                raise TemporaryError("old runs are being removed from the store: try again in a minute")
            yield
        finally:
            lock.release()

    def conductor(self, run: str) -> Conductor:
        """What brings one run on."""
        from greenkernel.run.conduct import Conductor

        zone = self.settings.timezone
        store = self.run_store(run)
        return Conductor(store, self.sites, self.stages, self.journal, self.clock, zone, sending=self.sending)

    def offers(self) -> dict[str, Offer]:
        """What each site can give now."""
        offers = {name: site.offer() for name, site in self.sites.items()}
        return {name: self._with_store(offer) for name, offer in offers.items()}

    def _with_store(self, offer: Offer) -> Offer:
        """A pod cannot read a folder of this machine."""
        kubernetes = self.settings.sites.sites[offer.site].kind == "kubernetes"
        if not kubernetes or not self.is_local or offer.why_not is not None:
            return offer
        return replace(offer, why_not='needs a store that pods can reach: set store = "s3://..." in the sites file')

    def check_signals(self) -> None:
        """Refuse sites whose signals cannot be read, before anything is sent.

        Raises:
            UserError: A trace is missing or has a mistake.
        """
        site_grids(self.settings, grid_time(self.settings.sites.clock, self.clock.now()))

    def intensity_now(self, site: str) -> tuple[float | None, str]:
        """Carbon intensity of a site now, in g CO2e/kWh, and its source."""
        now = self.clock.now()
        grid = site_grids(self.settings, grid_time(self.settings.sites.clock, now))[site]
        return grid.tariff.intensity(now, now), grid.signal.source

    def sync_journal(self) -> None:
        """Fill the journal with runs that only the store knows, and forget those that it has lost.

        Not while they are open: their jobs may still be at work, and somebody waits to be told.
        """
        stored = run_ids(self.objects)
        entries = self.journal.entries()
        known = {entry.id for entry in entries}
        for run in stored:
            if run not in known:
                entry = self._entry(run)
                if entry is not None:
                    self.journal.add(entry)
        self.journal.forget(sorted({entry.id for entry in entries if not entry.open} - set(stored)))

    def remove(self, runs: Sequence[str]) -> None:
        """Remove runs that have ended: logs, records, receipts. What becomes of their blobs is `Upkeep`'s matter."""
        for run in runs:
            self.run_store(run).delete()
            shutil.rmtree(self.settings.home / "scratch" / run, ignore_errors=True)
        self.journal.forget(runs)

    def _entry(self, run: str) -> Entry | None:
        """A run as its objects describe it; None where it is another home's, or not whole."""
        store = self.run_store(run)
        try:
            request = store.submission().request
            end = store.ended()
        except PermanentError:
            return None
        return Entry(
            id=run,
            name=request.name,
            created_at=request.created_at,
            open=True,  # the controller closes it once it has seen that nothing is left of it
            state=end.state if end is not None else RunState.STARTING,
            detail=(end.error or "") if end is not None else "",
        )
