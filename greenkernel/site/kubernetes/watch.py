"""List, watch, list again: an endless stream of what happens to some objects, over faults of any length.

Nested generators, the smallest inside: bytes -> lines -> events of one connection -> events for ever. The outermost
resumes from the last version it saw, lists again when the API has forgotten that version, and backs off while the API
is away. Nothing is missed; something may be told twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.site.kubernetes.client import Listing, TooOldError, fault

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0


class Source(Protocol):
    """Objects that can be listed and watched."""

    def list(self) -> Listing:
        """All of them now; `TemporaryError` or `PermanentError` where that fails."""
        ...

    def open(self, version: str) -> Iterable[bytes]:
        """Bytes of a watch that goes on from a version, until the API ends it; the same errors, and `TooOldError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """All objects that there are: whatever else was known is gone."""

    items: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One object is new, different or gone."""

    item: dict[str, Any]
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """From here on changes are told as they happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Nothing is known until the next `Connected`; the next try is in ``delay_s`` seconds."""

    reason: str
    delay_s: float


Event = Listed | Changed | Connected | Away


class Backoff:
    """Growing pauses between tries that fail, spread so that many clients do not come back at once.

    Args:
        jitter: A number in [0, 1), another one at each call.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._fails = 0

    def fail(self, at_least_s: float = 0.0) -> float:
        """Seconds to wait after one more try that failed."""
        most = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * float(2**self._fails))
        self._fails = min(self._fails + 1, 16)
        return at_least_s + most * (0.5 + 0.5 * self._jitter())

    def succeed(self) -> None:
        """The API has answered with something: begin again with short pauses."""
        self._fails = 0


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines out of chunks that are cut anywhere; an unfinished last line is dropped."""
    rest: list[bytes] = []
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            yield b"".join([*rest, line])
            rest = []
        if last:
            rest.append(last)


def events(chunks: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Type and object of each event of one connection.

    Raises:
        TooOldError: The API has forgotten the version.
        TemporaryError: The API ends the watch with another fault, or does not speak JSON.
        PermanentError: It refuses to go on.
    """
    for line in lines(chunks):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
            kind, item = str(event["type"]), event["object"]
            version_of(item) if kind != "ERROR" else None
        except (ValueError, KeyError, TypeError) as e:
            raise TemporaryError(f"the watch said something that is no event: {line[:80]!r}") from e
        if kind == "ERROR":
            raise fault(int(item.get("code") or 500), item, {})
        yield kind, item


def follow(source: Source, pause: Callable[[float], bool], jitter: Callable[[], float]) -> Iterator[Event]:
    """What happens to the source's objects, for ever.

    Args:
        source: What to list and watch.
        pause: Waits for so many seconds; True means: end now.
        jitter: Numbers in [0, 1) that spread the pauses.
    """
    backoff = Backoff(jitter)
    version: str | None = None
    while True:
        delay_s = 0.0
        try:
            if version is None:
                listing = source.list()
                version = listing.version
                yield Listed(items=listing.items)
            told = False
            chunks = source.open(version)
            yield Connected()
            for kind, item in events(chunks):
                version, told = version_of(item), True
                backoff.succeed()
                if kind != "BOOKMARK":
                    yield Changed(item=item, gone=kind == "DELETED")
            if not told:  # ended without a word: not again at once
                delay_s = backoff.fail()
        except TooOldError:
            version, delay_s = None, backoff.fail()
        except (TemporaryError, PermanentError) as e:
            delay_s = backoff.fail(e.delay_s if isinstance(e, TemporaryError) else _LONGEST_DELAY_S / 2)
            yield Away(reason=str(e), delay_s=delay_s)
        if pause(delay_s):
            return


def version_of(item: dict[str, Any]) -> str:
    """The version of an object or of a bookmark."""
    return str(item["metadata"]["resourceVersion"])
