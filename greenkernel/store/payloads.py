"""Objects by name -> one pickle in the blob store and back: what they share they share again on the other side.

The head blob holds one pickle per name, then one of how sets get their order (all with one memo), then a byte per
out-of-band buffer (its use), then the numbers of buffers and of names. Large buffers are blobs of their own, hashed
and written without a copy.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from greenkernel.errors import GreenKernelError, IntegrityError, UserError
from greenkernel.records import Payload
from greenkernel.store.arrays import Known, Shared, Stored
from greenkernel.store.blobs import BlobReader, BlobWriter
from greenkernel.store.culprit import CannotTravelError, refusal
from greenkernel.store.hashing import KEY_BYTES, keyed_hash
from greenkernel.store.inner import Inner
from greenkernel.store.nans import has_nans
from greenkernel.store.pickling import Reader, ReferringWriter, Writer, shipped
from greenkernel.store.proof import MOST_BYTES, first_unreadable
from greenkernel.store.returned import plain_name
from greenkernel.store.sets import has_sets, odd, refill

__all__ = ["CannotTravelError", "Dumped", "digest", "dump", "entries", "load"]

_LARGE = 64 * 1024
_LESS_MEMORY = "Delete what is not needed any more, or load the data inside the cell"
# Uses of a buffer: only read, written to, copied by whoever reads it.
_READ, _WRITTEN, _COPIED = range(3)
_TRAILER = struct.Struct("<QQ")
_DIGEST_KEY = b"\0" * KEY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """A payload in the store, and what was learnt while writing it.

    Attributes:
        payload: Where it is.
        sizes: Pickled bytes per name; what several names share is counted at the first.
        needed: Names that were added because a function or class among the objects uses them, and which one does.
        modules: Modules that the objects' classes and functions come from.
        files: What the code of the functions among them is from.
        inner: Changeable objects inside of them.
    """

    payload: Payload
    sizes: dict[str, int]
    needed: dict[str, str] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    inner: Inner = field(default_factory=Inner)


@dataclass(slots=True)
class _Attempt:
    """One pass over the objects; ``shared`` is known from an earlier pass where arrays share memory."""

    blobs: BlobWriter
    namespace: Mapping[str, object] | None
    references: Mapping[int, str]
    parts: Mapping[str, tuple[str, object]]
    held: frozenset[str]
    steady: Mapping[int, Known]
    proves: bool
    returns: bool
    shared: Shared | None = None
    numbers_nans: bool = False
    head: io.BytesIO = field(default_factory=io.BytesIO)
    buffers: list[str] = field(default_factory=list)
    uses: bytearray = field(default_factory=bytearray)
    buffer_bytes: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    written: dict[str, object] = field(default_factory=dict)
    queued: set[str] = field(default_factory=set)
    kept: list[Any] = field(default_factory=list)
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        kind = ReferringWriter if self.references or self.numbers_nans else Writer
        self.writer = kind(
            self.head,
            self._take,
            namespace=self.namespace,
            references=self.references,
            steady=self.steady,
            proves=self.proves,
            returns=self.returns,
            shared=self.shared,
        )

    def run(self, objects: Mapping[str, object], *, follow: bool) -> None:
        queue = deque(objects.items())
        while queue:
            name, value = queue.popleft()
            before = self.head.tell() + self.buffer_bytes
            self._write(name, value)
            self.written[name] = value
            self.sizes[name] = self.head.tell() + self.buffer_bytes - before
            if follow:
                queue.extend(self._now_needed(objects))
            queue.extend(self._now_used())

    def _write(self, name: str, value: object) -> None:
        try:
            self.writer.dump((name, value))
        except GreenKernelError:  # the store's, which has nothing to do with the value
            raise
        except MemoryError as e:
            raise CannotTravelError(
                name,
                f"{plain_name(name)} cannot travel, for this process ran out of memory while it was written",
                what_to_do=_LESS_MEMORY,
            ) from e
        # A reducer of any library may raise anything; the name is what the user can do something about.
        except Exception as e:
            by = asked = self.added.get(name)
            refused = refusal(name, value, e, self.namespace, needed_by=by, returns=self.returns)
            while asked is not None:
                refused.needed_by, asked = asked, self.added.get(asked)
            raise refused from e

    def _now_needed(self, objects: Mapping[str, object]) -> list[tuple[str, object]]:
        space = self.namespace or {}
        fresh = {
            name: by
            for name, by in self.writer.needed.items()
            if name in space and name not in objects and name not in self.added
        }
        self.added.update(fresh)
        return [(name, space[name]) for name in fresh]

    def _now_used(self) -> list[tuple[str, object]]:
        fresh = sorted(((self.writer.used | self.held) & self.parts.keys()) - self.queued)
        self.queued.update(fresh)
        return [self.parts[name] for name in fresh]

    def _prove(self) -> None:
        refer = self.writer.referred.__getitem__
        space = self.namespace or {}
        there = {name: space[name] for name in self.references.values() if name in space}
        found = first_unreadable(self.head.getvalue(), list(self.sizes), self.kept, refer, there, anew=self.returns)
        self.kept.clear()
        if found is not None:
            name, error = found
            what = f"{plain_name(name)} cannot be rebuilt from what was written: {type(error).__name__}: {error}"
            raise CannotTravelError(name, what, what_to_do="Keep what makes it, and make it anew") from error

    def _take(self, buffer: pickle.PickleBuffer) -> bool:
        """True: keep it in-band."""
        raw = buffer.raw()
        if raw.nbytes < _LARGE:
            return True
        self.buffers.append(self.blobs.put(raw))
        self.uses.append(_COPIED if id(buffer) in self.writer.copied else _READ if raw.readonly else _WRITTEN)
        self.buffer_bytes += raw.nbytes
        if self.proves:
            self.kept.append(raw)
        return False

    def _memo(self) -> dict[int, Any]:
        """What was written, by its number, which is also its reader's."""
        return {number: value for number, value in self.writer.memo.copy().values()}

    def let_go(self) -> None:
        """Of all objects at once, not when garbage is collected: who else holds them is asked soon."""
        del self.writer  # it holds this attempt, too

    def finish(self, *, follow: bool) -> Dumped:
        if self.proves and self.head.tell() <= MOST_BYTES:
            self._prove()
        memo = self._memo() if follow or has_sets(self.head.getbuffer()) else {}
        self.writer.dump(odd(memo.values()))
        self.head.write(self.uses)
        self.head.write(_TRAILER.pack(len(self.uses), len(self.sizes)))
        view = self.head.getbuffer()
        payload = Payload(head=self.blobs.put(view), buffers=tuple(self.buffers), bytes=view.nbytes + self.buffer_bytes)
        modules = frozenset(self.writer.modules - {""})
        inner = Inner()
        if follow:
            inner.fill(memo, iter(self.written.items()))
        return Dumped(
            payload=payload,
            sizes=self.sizes,
            needed=self.added,
            modules=modules,
            files=frozenset(self.writer.files),
            inner=inner,
        )


def dump(
    objects: Mapping[str, object],
    blobs: BlobWriter,
    namespace: Mapping[str, object] | None = None,
    *,
    follow: bool = False,
    references: Mapping[int, str] | None = None,
    parts: Mapping[str, tuple[str, object]] | None = None,
    held: frozenset[str] = frozenset(),
    steady: Mapping[int, Known] | None = None,
    proves: bool = False,
    returns: bool = False,
) -> Dumped:
    """Write objects into the store.

    Args:
        objects: What travels, by name.
        blobs: Where to.
        namespace: The notebook's namespace: the globals of its functions travel by name.
        follow: Add what the functions and classes among the objects read from the namespace.
        references: ``id`` of objects that the reader has already, and their names.
        parts: What else is written, and under which key, if an object of this name is referred to.
        held: Names of parts that are written in any case.
        steady: Arrays of the reader's that are there as they are here, or will be; see `Writer`.
        proves: Refuse what a reader could not rebuild.
        returns: They go home: locks, events and threads that nobody needs any more are made anew there.

    Raises:
        CannotTravelError: An object cannot be pickled; the message has its name, the part that cannot, and what to do.
        UserError: Memory ran out.
    """
    begin = partial(
        _Attempt, blobs, namespace, references or {}, parts or {}, held, steady or {}, proves=proves, returns=returns
    )
    attempt = begin()
    attempts = [attempt]
    try:
        attempt.run(objects, follow=follow)
        shared = Shared.among(attempt.writer.sharing())
        numbers_nans = has_nans(attempt.head.getbuffer())
        if shared.regions or numbers_nans:
            # The first attempt stays alive: it keeps the arrays alive whose addresses are known now.
            attempt = begin(shared=shared, numbers_nans=numbers_nans)
            attempts.append(attempt)
            attempt.run(objects, follow=follow)
        return attempt.finish(follow=follow)
    except MemoryError as e:  # not of one value, but of all that were written so far
        raise UserError("this process ran out of memory while values were written", what_to_do=_LESS_MEMORY) from e
    finally:
        for one in attempts:
            one.let_go()


def load(
    payload: Payload,
    blobs: BlobReader,
    namespace: dict[str, Any],
    *,
    refer: Callable[[str], object] = shipped,
    track: bool = True,
    inner: Inner | None = None,
) -> dict[str, Any]:
    """Read objects back, verified before anything is unpickled; see `entries`."""
    return dict(entries(payload, blobs, namespace, refer=refer, track=track, inner=inner))


def entries(
    payload: Payload,
    blobs: BlobReader,
    namespace: dict[str, Any],
    *,
    refer: Callable[[str], object] = shipped,
    track: bool = True,
    inner: Inner | None = None,
) -> Iterator[tuple[str, Any]]:
    """Read objects one by one, in the order in which they were written.

    Args:
        payload: Where they are.
        blobs: The store.
        namespace: What the globals of the notebook's functions shall be; it is not filled here.
        refer: Finds an object that was written as a reference.
        track: Remember the classes made here for the next payload; not for a mere look at one.
        inner: Gets the changeable objects inside of what was read, once all of it has been.

    Raises:
        IntegrityError: Bytes were cut, changed or come from somebody else.
        UserError: An object cannot be rebuilt here.
    """
    head = blobs.get(payload.head)
    if head.nbytes < _TRAILER.size:
        raise IntegrityError("a payload's head is cut")
    buffers, names = _TRAILER.unpack(head[-_TRAILER.size :])
    if buffers != len(payload.buffers):
        raise IntegrityError("a payload does not have the buffers that its head tells of")
    uses = bytes(head[-_TRAILER.size - buffers : -_TRAILER.size])
    pickles = io.BytesIO(head[: -_TRAILER.size - buffers])
    reader = Reader(pickles, _buffers(payload, uses, blobs), namespace, refer, track=track)
    last = None
    read: dict[str, Any] = {}
    try:
        for _ in range(names):
            name, value = _next(reader, last)
            last = name
            if inner is not None:
                read[name] = value
            yield name, value
            del value
        memo = {} if inner is None else reader.memo.copy()
        for value, recipe in _next(reader, last):
            refill(value, recipe)
        if inner is not None:
            inner.fill(memo, iter(read.items()))
    finally:
        reader.close()


def _next(reader: Reader, last: str | None) -> Any:
    try:
        return reader.load()
    except GreenKernelError:
        raise
    # Unpickling calls the objects' own code, which may raise anything.
    except Exception as e:
        place = f"what follows {last}" if last else "the first object"
        raise UserError(
            f"{place} cannot be rebuilt here: {type(e).__name__}: {e}",
            what_to_do="Have the same packages on both sides, or keep it out of the cell",
        ) from e


def _buffers(payload: Payload, uses: bytes, blobs: BlobReader) -> Iterator[Any]:
    for address, use in zip(payload.buffers, uses, strict=True):
        # The store's bytes cannot be written: a copy where the original could, and nobody else makes one.
        if use == _COPIED:
            yield Stored(partial(blobs.read_into, address))
        elif use == _WRITTEN:
            yield bytearray(blobs.get(address))
        else:
            yield blobs.get(address).toreadonly()


class _Hashing:
    """A file that only remembers what was written into it as a hash."""

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=32)

    def write(self, data: Any) -> int:
        self.hash.update(data)
        return len(data)


class _Anywhere(Writer):
    """Does not see whether texts and types of numpy are one object or two: reading makes new ones."""

    def persistent_id(self, obj: Any) -> str | None:
        """What stands for one of these."""
        kind = type(obj)
        if kind is str:
            return f"text {obj}"
        return f"type {obj}" if kind.__module__ == "numpy.dtypes" or kind.__name__ == "dtype" else None


def digest(value: object, namespace: Mapping[str, object] | None, *, anywhere: bool = False) -> str | None:
    """A hash of a value's content; None where it cannot be pickled.

    Equal digests within one process mean that nothing in the value has changed.

    Args:
        value: Anything.
        namespace: The notebook's namespace.
        anywhere: Make it comparable with that of a copy in another process; slower.
    """
    sink = _Hashing()

    def take(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _LARGE:
            return True
        sink.write(keyed_hash(_DIGEST_KEY, raw).encode())
        return False

    try:
        (_Anywhere if anywhere else Writer)(sink, take, namespace=namespace, stable=True).dump(value)
    # A reducer of any library may raise anything.
    except Exception:
        return None
    return sink.hash.hexdigest()
