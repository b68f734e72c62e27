"""The bytes of snapshots on the runner's own disk, until they are shipped: each content once."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from greenkernel.records import Payload
from greenkernel.store.hashing import keyed_hash

_ASIDE = ".aside-parts"
_LARGE = 8 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 32


class Parts:
    """Stands for the blobs while a snapshot is written.

    Args:
        folder: Where they appear, each as a whole, under their address.
        key: The home's key: addresses are those of blobs.
        known: Addresses of what every site has.

    Attributes:
        bytes_written: By all snapshots so far.
    """

    def __init__(self, folder: Path, key: bytes, known: Iterable[str]) -> None:
        self._folder = folder
        self._aside = folder / _ASIDE
        self._key = key
        self._known = set(known)
        self._samples: set[tuple[int, bytes]] = set()
        self._aside.mkdir(parents=True, exist_ok=True)
        self.bytes_written = 0

    def put(self, data: bytes | memoryview) -> str:
        """Keep bytes unless they are known; returns their address.

        Raises:
            OSError: The disk is full.
        """
        view = memoryview(data).cast("B")
        if view.nbytes >= _LARGE and not self.looks_known(view):
            return self.put_large(view)
        address = keyed_hash(self._key, view)
        if address not in self._known:
            aside = self._aside / address
            _write(aside, view)
            self._keep(address, aside, view.nbytes)
        return address

    def put_large(self, view: memoryview) -> str:
        """As `put`: written while it is hashed, in vain where it turns out to be known."""
        aside = self._aside / uuid.uuid4().hex
        with ThreadPoolExecutor(1) as other:
            writing = other.submit(_write, aside, view)
            address = keyed_hash(self._key, view)
            writing.result()
        if address in self._known:
            aside.unlink()
        else:
            self._keep(address, aside, view.nbytes)
        return address

    def _keep(self, address: str, aside: Path, size: int) -> None:
        aside.rename(self._folder / address)
        self._known.add(address)
        self.bytes_written += size

    def looks_known(self, view: memoryview) -> bool:
        """True where as many bytes were seen that were the same at some places."""
        step = view.nbytes // _SAMPLES
        sample = b"".join(view[at : at + _SAMPLE_BYTES] for at in range(0, view.nbytes, step))
        known = (view.nbytes, sample) in self._samples
        self._samples.add((view.nbytes, sample))
        return known

    def forget(self, addresses: Iterable[str]) -> None:
        """They are not in the store any more."""
        self._known.difference_update(addresses)


class Copies:
    """Stands for `Parts` while the cell waits: large pieces that look new are copied, and kept while it goes on.

    Args:
        parts: Where they go.
        most_bytes: Memory that copies may take; what is more is kept at once.
    """

    def __init__(self, parts: Parts, most_bytes: int) -> None:
        self._parts = parts
        self._left_bytes = most_bytes
        # What is written is written twice where arrays share memory. Views keep other arrays from that memory.
        self._seen: dict[tuple[int, int], tuple[str, memoryview]] = {}
        self._copies: dict[str, Any] = {}

    def put(self, data: bytes | memoryview) -> str:
        """As `Parts.put`; what is copied has a name of its own until it is kept."""
        view = memoryview(data).cast("B")
        numpy = sys.modules.get("numpy")  # a pod may do without it, and then has no arrays
        if view.nbytes < _LARGE or numpy is None:
            return self._parts.put(view)
        place = (int(numpy.frombuffer(view, numpy.uint8).ctypes.data), view.nbytes)
        if place in self._seen:
            return self._seen[place][0]
        if view.nbytes > self._left_bytes or self._parts.looks_known(view):
            return self._parts.put(view)
        name = f"copy {len(self._copies)}"
        self._seen[place] = (name, view)
        self._copies[name] = numpy.frombuffer(view, numpy.uint8).copy()  # in large pages, of which few need be found
        self._left_bytes -= view.nbytes
        return name

    def close(self) -> bool:
        """The cell may go on; returns True where something is still to be kept."""
        self._seen.clear()
        return bool(self._copies)

    def keep(self, payload: Payload) -> Payload:
        """Keep the copies; returns the payload with their addresses.

        Raises:
            OSError: The disk is full.
        """
        found: dict[str, str] = {}
        for name in list(self._copies):
            found[name] = self._parts.put_large(memoryview(self._copies.pop(name)))
        buffers = tuple(found.get(one, one) for one in payload.buffers)
        return replace(payload, head=found.get(payload.head, payload.head), buffers=buffers)


def _write(path: Path, view: memoryview) -> None:
    with path.open("wb", buffering=0) as file:
        left = view
        while left.nbytes:
            left = left[file.write(left) :]
