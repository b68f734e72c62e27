"""The bytes of snapshots on the runner's own disk, until they are shipped: each content once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from greenkernel.store.hashing import keyed_hash

_ASIDE = ".aside-parts"


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
        self._aside.mkdir(parents=True, exist_ok=True)
        self.bytes_written = 0

    def put(self, data: bytes | memoryview) -> str:
        """Keep bytes unless they are known; returns their address.

        Raises:
            OSError: The disk is full.
        """
        address = keyed_hash(self._key, data)
        if address not in self._known:
            view = memoryview(data).cast("B")
            aside = self._aside / address
            with aside.open("wb", buffering=0) as file:
                left = view
                while left.nbytes:
                    left = left[file.write(left) :]
            aside.rename(self._folder / address)
            self._known.add(address)
            self.bytes_written += view.nbytes
        return address

    def forget(self, addresses: Iterable[str]) -> None:
        """They are not in the store any more."""
        self._known.difference_update(addresses)
