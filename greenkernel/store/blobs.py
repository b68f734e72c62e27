"""Content-addressed bytes: the address of a blob is its keyed hash, so that reading it also proves who wrote it."""

from __future__ import annotations

import hmac
import mmap
import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from greenkernel.clock import Clock, RealClock
from greenkernel.errors import IntegrityError, PermanentError
from greenkernel.store.hashing import AddressHash, keyed_hash
from greenkernel.store.objects import ObjectStore

# What hashing on all cores and writing may take besides the bytes themselves.
_SPARE_BYTES = (64 << 20) + (os.cpu_count() or 1) * (4 << 20)
_ADDRESS = re.compile(r"[0-9a-f]{64}")
# A blob that no run names is removed when it is older than this: whoever has written it may be about to name it.
GRACE = timedelta(days=1)


class BlobWriter(Protocol):
    """Takes bytes and gives their address."""

    def put(self, data: bytes | memoryview) -> str:
        """Keep bytes; returns their address."""
        ...


class BlobReader(Protocol):
    """Gives the bytes behind an address, verified."""

    def get(self, address: str) -> memoryview:
        """The bytes."""
        ...

    def read_into(self, address: str, target: memoryview) -> None:
        """The bytes, into memory that is there."""
        ...


class Blobs:
    """``blobs/<keyed hash>``: shared by all runs of a key; unchanged bytes are written once.

    Args:
        objects: The store.
        key: 32 bytes; who does not have it can neither forge nor guess an address.
        clock: Time, by which blobs are old.
        guarded: No blob is removed while these are written, so that old ones can be relied on.
        told: Called with the bytes of each blob before it is put.
    """

    def __init__(
        self,
        objects: ObjectStore,
        key: bytes,
        clock: Clock | None = None,
        *,
        guarded: bool = False,
        told: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._objects = objects
        self._key = key
        self._clock = clock or RealClock()
        self._guarded = guarded
        self._told = told
        self._known: set[str] = set()

    def address(self, data: bytes | memoryview) -> str:
        """The address that these bytes would have."""
        return keyed_hash(self._key, data)

    def put(self, data: bytes | memoryview) -> str:
        """Store bytes unless they are there already; returns their address.

        Without a guard old ones are written again, which makes them young: no run may name them any more, and then they
        are about to be removed.

        Raises:
            MemoryError: This process has too little memory left.
        """
        _check_memory()
        self._told(memoryview(data).nbytes)
        address = self.address(data)
        if address not in self._known and not self._is_kept(address, memoryview(data).cast("B").nbytes):
            self._objects.put(name_of(address), data)
        self._known.add(address)
        return address

    def _is_kept(self, address: str, size: int) -> bool:
        info = self._objects.info(name_of(address))
        if info is None or info.bytes != size:
            return False
        return self._guarded or info.modified_at > self._clock.now() - GRACE / 2

    def is_own(self, address: str, size: int) -> bool:
        """True where these bytes were written with this key: other homes may have their blobs in the same store."""
        if not _ADDRESS.fullmatch(address):  # what somebody who was cut off has left
            return False
        hasher = AddressHash(self._key)
        for piece in self._objects.pieces(name_of(address), size) or ():
            hasher.update(piece)
        return hmac.compare_digest(hasher.address(), address)

    def has(self, address: str) -> bool:
        """True where the blob is in the store now; one that is not is written again by the next `put`."""
        if self._objects.size(name_of(address)) is not None:
            return True
        self._known.discard(address)
        return False

    def get(self, address: str) -> memoryview:
        """The bytes behind an address, verified.

        Raises:
            IntegrityError: The bytes are cut or changed.
            PermanentError: There is no such blob.
        """
        data = self._objects.get(name_of(address))
        if data is None:
            raise PermanentError(f"the store has lost the blob {address[:12]}")
        if not hmac.compare_digest(self.address(data), address):
            raise IntegrityError(f"the blob {address[:12]} is cut or was changed")
        return data

    def read_into(self, address: str, target: memoryview) -> None:
        """Read a blob into memory that is there already, without another copy of it; verified at the end.

        Raises:
            IntegrityError: The bytes are missing, cut or changed; what is in ``target`` is then worth nothing.
        """
        pieces = self._objects.pieces(name_of(address), target.nbytes, target)
        if pieces is None:
            raise IntegrityError(f"the blob {address[:12]} is missing or has another size")
        hasher = AddressHash(self._key)
        for piece in pieces:
            hasher.update(piece)
        if not hmac.compare_digest(hasher.address(), address):
            raise IntegrityError(f"the blob {address[:12]} is cut or was changed")


def _check_memory() -> None:
    """The libraries below end the process where they get no memory, and so a notebook's kernel with all of its names.

    Takes no memory, only addresses, for a moment.
    """
    try:
        mmap.mmap(-1, _SPARE_BYTES).close()
    except OSError as e:
        raise MemoryError("too little memory is left to write") from e


def name_of(address: str) -> str:
    """The object's name behind a blob's address; refuses anything that is not an address.

    Raises:
        IntegrityError: It is not 64 hexadecimal digits.
    """
    if not _ADDRESS.fullmatch(address):
        raise IntegrityError(f"{address[:80]!r} is not a blob's address")
    return f"blobs/{address}"
