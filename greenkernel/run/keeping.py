"""Which runs go, because they are old or because all of them take too much: a pure function of what is seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenkernel.store.blobs import GRACE
from greenkernel.units import format_bytes, format_duration

# Older packages for pods go. URLs of a bundle are valid for a day, and it is made anew after half of one.
BUNDLE_KEPT = timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """A run as it lies in the store.

    Attributes:
        run: Its id.
        name: Its name, for people.
        ended_at: When it ended; None while it is open, or while something of it is left on a site.
        bytes: Of its own objects: logs, records, snapshots.
        blobs: Addresses of the blobs that it names: what travelled and what came back.
    """

    run: str
    name: str
    ended_at: datetime | None
    bytes: int
    blobs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long runs stay after their end, and how many bytes all of them may take."""

    keep: timedelta
    store_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A run that goes, the bytes that this frees, and why."""

    run: KeptRun
    bytes: int
    why: str


def removals(runs: Sequence[KeptRun], sizes: Mapping[str, int], limits: Limits, now: datetime) -> list[Removal]:
    """The runs that go, those that ended first before others.

    Too much is taken from runs that ended more than `GRACE` ago only: somebody may just be looking at the others.

    Args:
        runs: All of them.
        sizes: Bytes of each blob by its address.
        limits: What may stay.
        now: The present.
    """
    named = Counter(blob for run in runs for blob in run.blobs)
    total = taken(runs, sizes)
    found = []
    for ended_at, run in sorted(((run.ended_at, run) for run in runs if run.ended_at), key=lambda pair: pair[0]):
        if ended_at < now - limits.keep:
            why = f"ended more than {format_duration(limits.keep.total_seconds())} ago"
        elif total > limits.store_bytes and ended_at < now - GRACE:
            why = f"all runs take more than {format_bytes(limits.store_bytes)}"
        else:
            continue
        named.subtract(run.blobs)
        freed = run.bytes + sum(sizes.get(blob, 0) for blob in run.blobs if not named[blob])
        total -= freed
        found.append(Removal(run=run, bytes=freed, why=why))
    return found


def taken(runs: Iterable[KeptRun], sizes: Mapping[str, int]) -> int:
    """Bytes of runs with the blobs that they name, each counted once."""
    runs = list(runs)
    return sum(run.bytes for run in runs) + sum(sizes.get(blob, 0) for blob in set().union(*(r.blobs for r in runs)))
