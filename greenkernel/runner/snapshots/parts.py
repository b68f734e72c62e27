"""The bytes of snapshots on the runner's own disk, until they are shipped: each content once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
        if view.nbytes >= _LARGE and not self._looks_known(view):
            return self._put_large(view)
        address = keyed_hash(self._key, view)
        if address not in self._known:
            aside = self._aside / address
            _write(aside, view)
            self._keep(address, aside, view.nbytes)
        return address

    def _put_large(self, view: memoryview) -> str:
        """Written while it is hashed; in vain where it turns out to be known."""
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

    def _looks_known(self, view: memoryview) -> bool:
        """True where as many bytes were seen that were the same at some places."""
        step = view.nbytes // _SAMPLES
        sample = b"".join(view[at : at + _SAMPLE_BYTES] for at in range(0, view.nbytes, step))
        known = (view.nbytes, sample) in self._samples
        self._samples.add((view.nbytes, sample))
        return known

    def forget(self, addresses: Iterable[str]) -> None:
        """They are not in the store any more."""
        self._known.difference_update(addresses)


def _write(path: Path, view: memoryview) -> None:
    with path.open("wb", buffering=0) as file:
        left = view
        while left.nbytes:
            left = left[file.write(left) :]
