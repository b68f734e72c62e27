"""The object store by URL (file, S3, GCS, Azure, memory): the one module that knows obstore."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlparse

import obstore
from obstore import exceptions
from obstore.store import from_url

from greenkernel.errors import PermanentError, TemporaryError, UserError

_CLIENT_OPTIONS = frozenset({"allow_http", "timeout", "connect_timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAddress:
    """Where a store is and how to get in. ``options`` may hold credentials and stay out of the repr."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """An object in a listing."""

    name: str
    bytes: int
    modified_at: datetime


# A request to a distant store takes its time; a local one takes none, and small pieces stay in the caches.
_REMOTE_PIECE_BYTES, _LOCAL_PIECE_BYTES = 32 * 2**20, 4 * 2**20
_LARGE_BYTES = 2**20
# What systems say of a disk; the client passes on their words only.
_DISK = re.compile(r"No space left on device|Disk quota exceeded|File too large|Read-only file system")
# Names that are the same as names of files.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_./-]*")


class ObjectStore:
    """Named bytes with put-if-absent. Names are POSIX paths without a leading slash.

    Every fault of the store is a `TemporaryError` (worth another try) or a `PermanentError` (rights, address).
    """

    def __init__(self, address: StoreAddress) -> None:
        self.address = address
        self._folder = _folder_of(address)
        with self._translated(address.url):
            try:
                self._store: Any = _open(address)
            except ValueError as e:  # no URL at all
                raise UserError(
                    f"{address.url[:100]!r} is no address of a store ({_first_line(e)})",
                    where="store",
                    what_to_do='Write a URL, such as "s3://my-bucket" or "file:///data/store"',
                ) from e

    def get(self, name: str) -> memoryview | None:
        """The bytes of an object without a copy, or None where there is no such object."""
        with self._translated(name):
            try:
                return memoryview(cast("Any", obstore.get(self._store, name).bytes()))
            except (FileNotFoundError, exceptions.NotFoundError):
                return None

    def pieces(self, name: str, size: int, target: memoryview | None = None) -> Iterator[memoryview] | None:
        """The first ``size`` bytes of an object piece by piece, or None where it has another size.

        Args:
            name: The object.
            size: How many bytes it must have.
            target: Memory of that size to read into; the pieces are then parts of it.
        """
        if self.size(name) != size:
            return None
        whole = None if target is None else target.cast("B")
        if whole is not None and self._folder is not None and _PLAIN_NAME.fullmatch(name):
            return self._read(name, whole)
        return self._pieces(name, size, whole)

    def _pieces(self, name: str, size: int, target: memoryview | None) -> Iterator[memoryview]:
        step = _REMOTE_PIECE_BYTES if self._folder is None else _LOCAL_PIECE_BYTES
        for start in range(0, size, step):
            with self._translated(name):
                end = min(size, start + step)
                piece = memoryview(cast("Any", obstore.get_range(self._store, name, start=start, end=end)))
            if target is not None:
                target[start:end] = piece
            yield piece

    def _read(self, name: str, target: memoryview) -> Iterator[memoryview]:
        """Straight into ``target``: new memory for each piece, as the client takes it, costs more than reading."""
        assert self._folder is not None
        with self._translated(name), (self._folder / name).open("rb", buffering=0) as file:
            done = 0
            while done < target.nbytes:
                got = file.readinto(target[done : done + _LOCAL_PIECE_BYTES])
                if not got:  # cut since its size was asked
                    return
                yield target[done : done + got]
                done += got

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Write an object, replacing what was there; readers see the old or the new bytes, never a mixture."""
        with self._translated(name):
            view = memoryview(data)
            if self._folder is not None and view.nbytes >= _LARGE_BYTES and _PLAIN_NAME.fullmatch(name):
                _write_aside(self._folder / name, view)  # without the copy in memory that the client would make
            else:
                obstore.put(self._store, name, cast("Any", data))

    def put_new(self, name: str, data: bytes | memoryview) -> bool:
        """Write an object only where there is none yet; False means that another was first."""
        with self._translated(name):
            try:
                # One part: a multipart upload would not honour the condition.
                obstore.put(self._store, name, cast("Any", data), mode="create", use_multipart=False)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                return False
            return True

    def info(self, name: str) -> ObjectInfo | None:
        """Size and age of an object, or None where there is no such object."""
        with self._translated(name):
            try:
                meta = obstore.head(self._store, name)
            except (FileNotFoundError, exceptions.NotFoundError):
                return None
            return ObjectInfo(name=name, bytes=int(meta["size"]), modified_at=meta["last_modified"])

    def size(self, name: str) -> int | None:
        """Bytes of an object, or None where there is no such object."""
        info = self.info(name)
        return None if info is None else info.bytes

    def listing(self, prefix: str, *, after: str | None = None) -> list[ObjectInfo]:
        """Objects below a folder-like prefix in the order of their names, those after the name ``after`` only."""
        found: list[ObjectInfo] = []
        with self._translated(prefix):
            try:
                for chunk in obstore.list(self._store, prefix, offset=after):
                    found += [
                        ObjectInfo(name=meta["path"], bytes=meta["size"], modified_at=meta["last_modified"])
                        for meta in chunk
                    ]
            except (FileNotFoundError, exceptions.NotFoundError):
                return []
        if after is not None:  # the local store may list the offset itself
            found = [info for info in found if info.name > after]
        return sorted(found, key=lambda info: info.name)

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders directly below ``prefix``, without the prefix."""
        with self._translated(prefix):
            try:
                listing = obstore.list_with_delimiter(self._store, prefix)
            except (FileNotFoundError, exceptions.NotFoundError):
                return []
            return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in listing["common_prefixes"])

    def delete(self, *names: str) -> None:
        """Remove objects; those that are not there are left out."""
        with self._translated(", ".join(names[:3])):
            for name in names:
                try:
                    obstore.delete(self._store, name)
                except (FileNotFoundError, exceptions.NotFoundError):
                    continue

    def remove_empty_folders(self, prefix: str) -> None:
        """Remove what a store of files still has of a folder without objects; they would be listed for ever."""
        if self._folder is None or not _PLAIN_NAME.fullmatch(prefix):
            return
        for place, _, _ in os.walk(self._folder / prefix, topdown=False):
            with suppress(OSError):  # somebody has just written into it
                Path(place).rmdir()

    def presign(self, name: str, *, valid_s: float) -> str:
        """A URL that reads one object by plain HTTP GET without credentials.

        Raises:
            PermanentError: The store has no such URLs (a folder, memory).
        """
        with self._translated(name):
            try:
                return str(obstore.sign(self._store, "GET", name, timedelta(seconds=valid_s)))
            except (TypeError, ValueError) as e:
                raise PermanentError(f"the store {self.address.url} gives no URLs to read by") from e

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Outside errors become ours at this edge."""
        try:
            yield
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as e:
            raise PermanentError(f"the store refuses access to {what}: {_first_line(e)}") from e
        except (exceptions.UnknownConfigurationKeyError, exceptions.NotSupportedError) as e:
            raise PermanentError(f"the store cannot be used as set up ({what}): {_first_line(e)}") from e
        except (exceptions.BaseError, OSError) as e:
            said = f"the store did not answer for {what}: {_first_line(e)}"
            if (why := _DISK.search(str(e))) is not None:
                said = f"the store {self.address.url} cannot be written ({why[0]}). Make room there or use another."
            raise TemporaryError(said, delay_s=2.0) from e


def _folder_of(address: StoreAddress) -> Path | None:
    parsed = urlparse(address.url)
    return Path(unquote(parsed.path)) if parsed.scheme == "file" else None


def _write_aside(path: Path, data: memoryview) -> None:
    """Write a file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("wb", buffering=0) as file:
            rest = data.cast("B")
            while rest:
                rest = rest[file.write(rest) :]
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _open(address: StoreAddress) -> object:
    folder = _folder_of(address)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        # The prefix is given as a path: a file URL would not survive every character.
        return obstore.store.LocalStore(folder, mkdir=True)
    config = {k: v for k, v in address.options.items() if k not in _CLIENT_OPTIONS}
    client: dict[str, Any] = {k: v for k, v in address.options.items() if k in _CLIENT_OPTIONS}
    if "allow_http" in client:
        client["allow_http"] = str(client["allow_http"]).lower() == "true"
    client.setdefault("connect_timeout", "5s")
    client.setdefault("timeout", "10m")
    retry = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
    return from_url(
        address.url, config=cast("Any", config), client_options=cast("Any", client), retry_config=cast("Any", retry)
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
