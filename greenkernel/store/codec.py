"""Records to sealed JSON and back: the one module that knows how a record looks as bytes."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

from greenkernel.errors import IntegrityError
from greenkernel.store.hashing import seal, unseal

T = TypeVar("T")

# msgspec describes a type when it first meets it, and another thread that meets the half-made description crashes the
# process: decoders are made one at a time, and are used only when they are whole.
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()


def to_json(record: Any) -> bytes:
    """A record as compact JSON; times are ISO 8601 with their zone."""
    return msgspec.json.encode(record)


def from_json(body: bytes | memoryview | str, kind: type[T]) -> T:
    """A record from its JSON.

    Raises:
        IntegrityError: The JSON does not describe a record of this kind; the message has the path.
    """
    try:
        record: T = _decoder(kind).decode(body)
    except msgspec.MsgspecError as e:
        raise IntegrityError(f"not a {getattr(kind, '__name__', kind)}: {e}") from e
    return record


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    found = _decoders.get(kind)
    if found is None:
        with _making:
            found = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return found


def sealed(key: bytes, name: str, record: Any) -> bytes:
    """A record as JSON, sealed under the object's name."""
    return seal(key, name, to_json(record))


def unsealed(key: bytes, name: str, data: bytes | memoryview, kind: type[T]) -> T:
    """A record from its sealed JSON.

    Raises:
        IntegrityError: The seal is broken or the record is of another kind.
    """
    return from_json(unseal(key, name, data), kind)
