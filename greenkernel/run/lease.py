"""Which controller brings a home's runs on where there may be two machines: the one whose lease in the store is alive.

A lease only spares work. That no two controllers harm a run is the fence's matter (docs/fence.md).
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from greenkernel.errors import GreenKernelError, IntegrityError, TemporaryError
from greenkernel.store.codec import sealed, unsealed
from greenkernel.store.hashing import keyed_hash
from greenkernel.store.objects import ObjectStore

RENEW_S = 5.0
# So long after its last renewal was seen it still holds. Not by its time stamp: clocks differ, and jump.
VALID_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who has the runs on some sites.

    ``count`` grows with each renewal; ``owner`` is the label of the jobs that the holder sees, ``python`` the version
    for which it can collect packages.
    """

    holder: str
    host: str
    pid: int
    owner: str
    python: str
    sites: tuple[str, ...]
    count: int = 0


class Leases:
    """The one lease of a key, as one process sees it.

    Args:
        objects: The store.
        key: The home's.
        ticks: Seconds that never jump.
    """

    def __init__(self, objects: ObjectStore, key: bytes, ticks: Callable[[], float] = time.monotonic) -> None:
        self._objects, self._key, self.ticks = objects, key, ticks
        self._name = f"leases/{keyed_hash(key, b'lease')[:16]}"
        self._seen: Lease | None = None
        self._seen_at = 0.0

    def alive(self) -> Lease | None:
        """The lease that holds now; one that is seen for the first time holds until it could have been renewed."""
        found = self._read()
        if found != self._seen:
            self._seen, self._seen_at = found, self.ticks()
        return found if found is not None and self.ticks() - self._seen_at < VALID_S else None

    def take(self, owner: str, sites: tuple[str, ...]) -> Lease | None:
        """A new lease of this process; None where another one is alive, or was faster."""
        if self.alive() is not None:
            return None
        self._objects.delete(self._name)
        mine = Lease(
            holder=secrets.token_hex(8),
            host=platform.node(),
            pid=os.getpid(),
            owner=owner,
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            sites=sites,
        )
        return mine if self._objects.put_new(self._name, self._sealed(mine)) else None

    def renew(self, mine: Lease) -> Lease | None:
        """The same lease for another while; None: it is somebody else's now."""
        found = self._read()
        if found is None or found.holder != mine.holder:
            return None
        renewed = replace(mine, count=mine.count + 1)
        self._objects.put(self._name, self._sealed(renewed))
        return renewed

    def give_back(self, mine: Lease) -> None:
        """End it before its time."""
        found = self._read()
        if found is not None and found.holder == mine.holder:
            self._objects.delete(self._name)

    def _sealed(self, lease: Lease) -> bytes:
        return sealed(self._key, self._name, lease)

    def _read(self) -> Lease | None:
        data = self._objects.get(self._name)
        try:
            return None if data is None else unsealed(self._key, self._name, data, Lease)
        except IntegrityError:  # of another version: nobody can tell whose it is
            return None


class Standing:
    """The lease of the controller that stays.

    Args:
        leases: Of the home's key.
        lease: The one that was taken.
    """

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self.lease = lease
        self._leases = leases
        self._renewed_at = leases.ticks()

    def holds(self) -> bool:
        """Renew it when it is time; False once it is somebody else's."""
        if self._leases.ticks() - self._renewed_at < RENEW_S:
            return True
        try:
            renewed = self._leases.renew(self.lease)
        except TemporaryError:  # without its store nobody can do anything
            return True
        self._renewed_at = self._leases.ticks()
        self.lease = renewed or self.lease
        return renewed is not None

    def give_back(self) -> None:
        """Let the others go on at once."""
        with contextlib.suppress(GreenKernelError):
            self._leases.give_back(self.lease)
