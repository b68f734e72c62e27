"""Keyed hashes: one function is address, proof of origin and seal. The one module that knows blake3."""

from __future__ import annotations

import hmac

from blake3 import blake3

from greenkernel.errors import IntegrityError

KEY_BYTES = 32
_SEAL_BYTES = 65  # 64 hexadecimal digits and a newline
_LARGE = 1 << 20
_ADDRESS_PURPOSE = b"greenkernel address\0"
_SEAL_PURPOSE = b"greenkernel seal\0"


def keyed_hash(key: bytes, *chunks: bytes | memoryview) -> str:
    """64 hexadecimal digits over the concatenated chunks; large ones are hashed on every core.

    Args:
        key: 32 bytes.
        chunks: Contiguous buffers.
    """
    return _digest(key, _ADDRESS_PURPOSE, chunks)


class AddressHash:
    """`keyed_hash` of bytes that come in pieces."""

    def __init__(self, key: bytes) -> None:
        self._hasher = blake3(_ADDRESS_PURPOSE, key=key, max_threads=blake3.AUTO)

    def update(self, piece: bytes | memoryview) -> None:
        """Add a contiguous piece."""
        self._hasher.update(piece)

    def address(self) -> str:
        """64 hexadecimal digits over all pieces."""
        return str(self._hasher.hexdigest())


def seal(key: bytes, context: str, body: bytes | memoryview) -> bytes:
    """``body`` behind its keyed hash; ``context`` (the object's name) keeps sealed objects from being swapped."""
    return b"".join((seal_line(key, context, body), body))


def seal_line(key: bytes, context: str, *chunks: bytes | memoryview) -> bytes:
    """What `seal` puts before a body that is given in pieces, for whoever writes them without joining them."""
    return _digest(key, _SEAL_PURPOSE, (context.encode(), b"\0", *chunks)).encode() + b"\n"


def unseal(key: bytes, context: str, sealed: bytes | memoryview) -> memoryview:
    """The body of a sealed object, without a copy.

    Raises:
        IntegrityError: It is cut, was changed, or was sealed for another context or with another key.
    """
    view = memoryview(sealed).cast("B")
    body = view[_SEAL_BYTES:]
    if not hmac.compare_digest(bytes(view[:_SEAL_BYTES]), seal_line(key, context, body)):
        raise IntegrityError(f"{context} is cut, was changed or has another key")
    return body


def _digest(key: bytes, purpose: bytes, chunks: tuple[bytes | memoryview, ...]) -> str:
    views = [memoryview(chunk).cast("B") for chunk in chunks]
    # Threads cost more than they bring on small inputs.
    threads = blake3.AUTO if any(view.nbytes >= _LARGE for view in views) else 1
    hasher = blake3(purpose, key=key, max_threads=threads)
    for view in views:
        hasher.update(view)
    return str(hasher.hexdigest())
