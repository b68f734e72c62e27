"""What a home keeps in its store: how much that is, which runs go and when, and blobs that no run names any more.

Blobs are swept by mark and age. Marked are those that any run names, open or not; what is not marked goes when it is
older than `GRACE`. Whoever writes blobs before their run is in the store holds the home's lock with others
(`Home.sending`); whoever removes holds it alone, and looks once more at runs and ages when he has it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlparse

from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.home import SENDING_LOCK_FILE, Home
from greenkernel.lock import Lock
from greenkernel.run.keeping import BUNDLE_KEPT, KeptRun, Limits, Removal, removals, taken
from greenkernel.run.wheels import WHEELS, unused_wheels
from greenkernel.store.blobs import GRACE, Blobs
from greenkernel.store.blobs import name_of as blob_name
from greenkernel.store.objects import ObjectInfo
from greenkernel.store.runs import run_ids
from greenkernel.units import counted, format_bytes

EVERY = timedelta(days=1)
NOTE_FILE = "tidied.json"
_PATIENCE_S = 10.0
# So many are removed while nobody can send a cell.
_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One look at the store. ``strange`` are runs of other homes, ``broken`` those of this one that cannot be read."""

    runs: tuple[KeptRun, ...]
    blobs: Mapping[str, ObjectInfo]
    bundles: tuple[ObjectInfo, ...] = ()
    strange: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each blob by its address."""
        return {address: info.bytes for address, info in self.blobs.items()}

    def unnamed(self, without: Sequence[str] = ()) -> dict[str, ObjectInfo]:
        """Blobs that none of its runs names, those in ``without`` left out."""
        named = {blob for run in self.runs if run.run not in without for blob in run.blobs}
        return {address: info for address, info in self.blobs.items() if address not in named}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What went, or would go.

    ``blobs`` are those, parts of bundles and packages for pods, ``bytes`` is what they take. ``over_bytes`` is what is
    left above the limit. ``why_not`` says why no blob could go.
    """

    runs: tuple[Removal, ...]
    blobs: int
    bytes: int
    over_bytes: int = 0
    why_not: str = ""

    def __str__(self) -> str:
        runs = counted(len(self.runs), "run")
        own = sum(removal.run.bytes for removal in self.runs)
        text = f"{runs} ({format_bytes(own)}) and {self.blobs} unused objects ({format_bytes(self.bytes)})"
        return f"{text}; {self.why_not}" if self.why_not else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Bytes of a home, by what they are.

    ``runs_bytes`` are logs, records and snapshots, ``blobs_bytes`` what runs have sent and brought back,
    ``unused_bytes`` what no run names any more, ``bundles_bytes`` packages for pods, ``home_bytes`` the home folder
    without the store. ``other_homes`` have runs in the store too; their blobs are among the unused ones. ``tidied_at``
    is when the controller has last removed something, and ``tidied`` what.
    """

    runs: int
    open_runs: int
    runs_bytes: int
    blobs_bytes: int
    unused_bytes: int
    bundles_bytes: int
    home_bytes: int
    limit_bytes: int
    other_homes: bool = False
    tidied_at: datetime | None = None
    tidied: str = ""


class Upkeep:
    """Of one home.

    Args:
        home: The home.
        patience_s: How long to wait for cells that are being sent.
    """

    def __init__(self, home: Home, *, patience_s: float = _PATIENCE_S) -> None:
        self._home = home
        self._patience_s = patience_s
        self._objects = home.objects
        self._note = home.settings.home / NOTE_FILE

    def usage(self) -> Usage:
        """How much there is."""
        found = self._look()
        unused = found.unnamed()
        at, said = self._last()
        return Usage(
            runs=len(found.runs),
            open_runs=sum(run.ended_at is None for run in found.runs),
            runs_bytes=sum(run.bytes for run in found.runs),
            blobs_bytes=sum(found.sizes.values()) - sum(info.bytes for info in unused.values()),
            unused_bytes=sum(info.bytes for info in unused.values()),
            bundles_bytes=sum(info.bytes for info in found.bundles),
            home_bytes=_folder_bytes(self._home.settings.home, without=_store_folder(self._home)),
            limit_bytes=self._home.settings.store_bytes,
            other_homes=bool(found.strange),
            tidied_at=at,
            tidied=said,
        )

    def prune(self, keep: timedelta | None = None, *, dry_run: bool = False) -> Pruned:
        """Remove what is too old or too much.

        Args:
            keep: How long runs stay after their end; None: as in the settings.
            dry_run: Only say what would go.

        Raises:
            TemporaryError: The store is away, or a cell is being sent all the time; what has gone is gone.
        """
        settings, now = self._home.settings, self._home.clock.now()
        stays = timedelta(days=settings.user.keep_days) if keep is None else keep
        limits = Limits(keep=stays, store_bytes=settings.store_bytes)
        found = self._look()
        gone = removals(found.runs, found.sizes, limits, now)
        if not dry_run:
            gone = [removal for removal in gone if self._remove(removal.run)]
        ids = [removal.run.run for removal in gone]
        why_not = self._why_not(found)
        unused = [] if why_not else self._unused(found, ids, now - GRACE)
        old = [info for info in found.bundles if info.modified_at < now - BUNDLE_KEPT]
        wheels = unused_wheels(settings.home / WHEELS, now - stays)
        wheels_bytes = sum(_folder_bytes(folder, without=None) for folder in wheels)
        if not dry_run:
            unused = self._sweep(unused, now - GRACE, {run.run for run in found.runs} | found.strange)
            old = self._sweep(old, now - BUNDLE_KEPT, set())
            for folder in wheels:
                shutil.rmtree(folder, ignore_errors=True)
        left = taken((run for run in found.runs if run.run not in ids), found.sizes)
        return Pruned(
            runs=tuple(gone),
            blobs=len(unused) + len(old) + len(wheels),
            bytes=sum(info.bytes for info in (*unused, *old)) + wheels_bytes,
            over_bytes=max(0, left - limits.store_bytes),
            why_not=why_not,
        )

    def tidy(self) -> str | None:
        """Prune if nobody has done so for a day; returns what went, in words, or None."""
        last, _ = self._last()
        now = self._home.clock.now()
        if last is not None and timedelta(0) <= now - last < EVERY:
            return None
        pruned = self.prune()
        over = f"; what is left is {format_bytes(pruned.over_bytes)} above store_size" if pruned.over_bytes else ""
        said = f"{pruned} removed{over}"
        aside = self._note.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps({"at": now.isoformat(), "said": said}), encoding="utf-8")
        aside.replace(self._note)
        return said

    def purge(self, run: str) -> None:
        """Remove a run that has ended with its payload: every blob that no other run names.

        Where another run cannot be read its blobs stay, as in `prune`.

        Raises:
            TemporaryError: A cell is being sent, which may rely on the same blobs; nothing was removed.
        """
        with self._alone():
            known = {entry.id for entry in self._home.journal.entries()}
            others = {other: self._named(other) for other in run_ids(self._objects) if other != run}
            blobs = (self._named(run) or set()).difference(*(named or () for named in others.values()))
            self._home.remove([run])
            if all(named is not None or other not in known for other, named in others.items()):
                self._objects.delete(*(blob_name(address) for address in sorted(blobs)))

    def _look(self) -> Found:
        self._home.sync_journal()
        # Before the runs: a blob of a run that comes into the store meanwhile is not taken for unused.
        blobs = {info.name.rsplit("/", 1)[-1]: info for info in self._objects.listing("blobs")}
        of_runs: dict[str, list[ObjectInfo]] = defaultdict(list)
        for info in self._objects.listing("runs"):
            of_runs[info.name.split("/")[1]].append(info)
        entries = {entry.id: entry for entry in self._home.journal.entries()}
        runs: list[KeptRun] = []
        strange: set[str] = set()
        broken: set[str] = set()
        for run, infos in of_runs.items():
            named, entry = self._named(run), entries.get(run)
            if named is None:
                (strange if entry is None else broken).add(run)
                continue
            ended_at = None
            if entry is None and all(info.name != f"runs/{run}/request" for info in infos):
                ended_at = max(info.modified_at for info in infos)  # somebody was cut off while he removed it
            elif entry is not None and not entry.open and (end := self._home.run_store(run).ended()) is not None:
                ended_at = end.at
            name = entry.name if entry is not None else ""
            size = sum(info.bytes for info in infos)
            runs.append(KeptRun(run=run, name=name, ended_at=ended_at, bytes=size, blobs=frozenset(named)))
        bundles = tuple(self._objects.listing("bundles"))
        return Found(
            runs=tuple(runs), blobs=blobs, bundles=bundles, strange=frozenset(strange), broken=frozenset(broken)
        )

    def _named(self, run: str) -> set[str] | None:
        """The blobs that a run names; None where it cannot be read, as those of other homes."""
        try:
            return self._home.run_store(run).named_blobs()
        except PermanentError:
            return None

    def _why_not(self, found: Found) -> str:
        if not found.broken:
            return ""
        run = min(found.broken)
        return f"no blob goes, for run {run} cannot be read: remove it with `greenkernel runs cancel {run} --purge`"

    def _unused(self, found: Found, without: Sequence[str], before: datetime) -> list[ObjectInfo]:
        old = {address: info for address, info in found.unnamed(without).items() if info.modified_at < before}
        if found.strange:
            own = Blobs(self._objects, self._home.settings.key)
            old = {address: info for address, info in old.items() if own.is_own(address, info.bytes)}
        return list(old.values())

    def _remove(self, run: KeptRun) -> bool:
        """False where it has been resumed since it was looked at."""
        with self._alone():
            if any(entry.id == run.run for entry in self._home.journal.entries(only_open=True)):
                return False
            self._home.remove([run.run])
            return True

    def _sweep(self, infos: Sequence[ObjectInfo], before: datetime, known: set[str]) -> list[ObjectInfo]:
        """Remove objects that are still as old, and in no run that has come into the store since."""
        gone = []
        for start in range(0, len(infos), _AT_ONCE):
            with self._alone():
                fresh = [self._named(run) or set() for run in run_ids(self._objects) if run not in known]
                named = {blob_name(address) for address in set().union(*fresh)}
                for info in infos[start : start + _AT_ONCE]:
                    there = self._objects.info(info.name)
                    if there is not None and there.modified_at < before and info.name not in named:
                        self._objects.delete(info.name)
                        gone.append(info)
        return gone

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = Lock(self._home.settings.home / SENDING_LOCK_FILE)
        try:
            if not lock.take(patience_s=self._patience_s):
                raise TemporaryError("a cell is just being sent, and may need what would go: try again in a minute")
            yield
        finally:
            lock.release()

    def _last(self) -> tuple[datetime | None, str]:
        try:
            note = json.loads(self._note.read_bytes())
            return datetime.fromisoformat(note["at"]), str(note["said"])
        except (OSError, ValueError, KeyError, TypeError):  # it only saves work
            return None, ""


def _store_folder(home: Home) -> Path | None:
    parsed = urlparse(home.settings.store.url)
    return Path(unquote(parsed.path)) if parsed.scheme == "file" else None


def _folder_bytes(folder: Path, *, without: Path | None) -> int:
    """Bytes of all files below a folder; what goes meanwhile does not count."""
    total = 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(place, name) != without]
        for name in files:
            try:
                total += Path(place, name).lstat().st_size
            except OSError:
                continue
    return total
