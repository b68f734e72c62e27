"""Files of a cell's working folder: written there before it, and what it has left otherwise, as a list of changes."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from greenkernel.errors import IntegrityError
from greenkernel.mounts import mounted_below
from greenkernel.records import FileChange, SourceFile
from greenkernel.store.blobs import Blobs, BlobWriter

FILES_MAX_BYTES = 2 * 2**30
FILES_MOST = 10_000
_LONGEST_NAME = 255
# What belongs to the interpreter or the notebook and not to the cell.
PASSED_OVER = frozenset({"__pycache__", ".ipynb_checkpoints"})


@dataclass(frozen=True, slots=True)
class _Stamp:
    modified_ns: int
    bytes: int
    folder: bool
    executable: bool = False
    link: str | None = None


class FilesBefore:
    """The files of a folder as the cell finds them.

    Args:
        folder: The cell's working folder.
        sent: Those that travelled; anything else in it is not the notebook's.
    """

    def __init__(self, folder: Path, sent: tuple[SourceFile, ...]) -> None:
        self._folder = folder
        self._sent: Mapping[str, str] = {file.path: file.blob for file in sent}
        self._before = dict(_stamps(folder))

    def changes(self, blobs: BlobWriter) -> tuple[tuple[FileChange, ...], dict[str, str]]:
        """What the cell has left otherwise than it found it; new contents are stored.

        Returns:
            The changes, folders before what is in them; and what cannot come back, with the reasons.
        """
        found: list[FileChange] = []
        left_out: dict[str, str] = {}
        total = 0
        now = dict(_stamps(self._folder))
        for path, stamp in now.items():
            if self._before.get(path) == stamp or (stamp.folder and path in self._before):
                continue
            total += stamp.bytes
            if total > FILES_MAX_BYTES or len(found) >= FILES_MOST:
                most = f"at most {FILES_MAX_BYTES // 2**20} MiB in {FILES_MOST} files come back"
                left_out.setdefault(f"the file {path}", most) if len(left_out) < 20 else None
            elif stamp.folder:
                found.append(FileChange(path=path, kind="folder"))
            elif stamp.link is not None:
                found.append(FileChange(path=path, kind="link", base=self._sent.get(path), link=stamp.link))
            else:
                found += self._file(path, blobs, left_out, executable=stamp.executable)
        gone = [path for path in self._sent if path not in now]
        found += [FileChange(path=path, kind="deleted", base=self._sent[path]) for path in gone]
        folders = [path for path, stamp in self._before.items() if stamp.folder and path not in now]
        found += [FileChange(path=path, kind="folder deleted") for path in sorted(folders, reverse=True)]
        return tuple(found), left_out

    def _file(self, path: str, blobs: BlobWriter, left_out: dict[str, str], *, executable: bool) -> list[FileChange]:
        base = self._sent.get(path)
        try:
            with mapped(self._folder / path) as data:
                blob = blobs.put(data)
                size = len(data)
        except OSError as e:  # it is gone by now, or may not be read
            left_out[f"the file {path}"] = str(e)
            return []
        if blob == base and not executable:
            return []
        return [FileChange(path=path, kind="file", blob=blob, base=base, bytes=size, executable=executable)]


def flush(namespace: Mapping[str, Any]) -> None:
    """What the cell has written into files that it has left open is in them; they are closed with its process."""
    for value in list(namespace.values()):
        inside = value.values() if type(value) is dict else value if type(value) in (list, tuple) else (value,)
        for file in list(inside):
            if isinstance(file, io.IOBase):
                with contextlib.suppress(OSError, ValueError):  # it is closed, or cannot be written
                    file.flush()


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """A file's bytes without a copy in memory."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # an empty file cannot be mapped
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            yield view


def below(folder: Path, path: str) -> Path:
    """A travelling file's place below a folder, which no link leads out of.

    Raises:
        IntegrityError: It would leave the folder.
    """
    target = named_below(folder, path)
    with contextlib.suppress(OSError):  # a loop of links, or a name that is too long
        if target.parent.resolve().is_relative_to(folder.resolve()) and not target.is_symlink():
            return target
    raise IntegrityError(f"the file {path[:80]!r} would leave the run's folder")


def named_below(folder: Path, path: str) -> Path:
    """What a travelling file's name says, whatever links there are.

    Raises:
        IntegrityError: The name itself leaves the folder.
    """
    parts = PurePosixPath(path)
    hostile = parts.is_absolute() or ".." in parts.parts or not parts.parts or "\\" in path or "\0" in path
    if hostile or ":" in parts.parts[0] or any(len(part) > _LONGEST_NAME for part in parts.parts):
        raise IntegrityError(f"the file {path[:80]!r} would leave the run's folder")
    return folder.joinpath(*parts.parts)


def write_file(file: SourceFile, blobs: Blobs, folder: Path) -> Path:
    """Write one travelling file below ``folder`` and say where it is.

    Raises:
        IntegrityError: Its path would leave the folder, or its bytes are not what was sent.
    """
    target = below(folder, file.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(blobs.get(file.blob))
    if file.executable:
        target.chmod(target.stat().st_mode | stat.S_IXUSR)
    return target


def apply_changes(changes: tuple[FileChange, ...], get: Callable[[str], memoryview], folder: Path) -> None:
    """Make a folder what it was when the changes were listed.

    Args:
        changes: As `FilesBefore.changes` listed them.
        get: Gives the bytes behind an address.
        folder: As it was before them.

    Raises:
        IntegrityError: A path would leave the folder.
    """
    for change in changes:
        if change.kind in ("folder", "folder deleted"):
            place = below(folder, change.path)
            place.mkdir(parents=True, exist_ok=True) if change.kind == "folder" else place.rmdir()
            continue
        target = named_below(folder, change.path)
        if change.kind == "file" and change.blob is not None and not target.is_symlink():
            target = below(folder, change.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(get(change.blob))
            if change.executable:
                target.chmod(target.stat().st_mode | stat.S_IXUSR)
        elif change.kind in ("deleted", "link"):
            if not target.is_dir():
                target.unlink(missing_ok=True)
            if change.link is not None and is_link_inside(target, change.link, folder):
                target.symlink_to(change.link)


def _stamps(folder: Path) -> Iterator[tuple[str, _Stamp]]:
    """Files and folders below a folder, by relative path, and links inside of it.

    Links to elsewhere, devices and what is mounted are passed over.
    """
    mounted = mounted_below(folder.resolve())
    for place, folders, files in os.walk(folder):
        here = Path(place).resolve()
        folders[:] = sorted(name for name in folders if name not in PASSED_OVER and here / name not in mounted)
        for name in (*folders, *sorted(name for name in files if here / name not in mounted)):
            path = Path(place) / name
            with contextlib.suppress(OSError):  # it is gone by now
                facts = path.lstat()
                relative = path.relative_to(folder).as_posix()
                if stat.S_ISDIR(facts.st_mode):
                    yield relative, _Stamp(facts.st_mtime_ns, 0, folder=True)
                elif stat.S_ISREG(facts.st_mode):
                    executable = bool(facts.st_mode & stat.S_IXUSR)
                    yield relative, _Stamp(facts.st_mtime_ns, facts.st_size, folder=False, executable=executable)
                elif stat.S_ISLNK(facts.st_mode) and is_link_inside(path, link := str(path.readlink()), folder):
                    yield relative, _Stamp(facts.st_mtime_ns, 0, folder=False, link=link)


def is_link_inside(place: Path, link: str, folder: Path) -> bool:
    """True for what a link at ``place`` may say: it is relative, goes up first if at all, and stays in the folder."""
    parts = PurePosixPath(link).parts
    downwards = [part for part in parts if part != ".."]
    goes_up_first = list(parts) == [".."] * (len(parts) - len(downwards)) + downwards
    inside = Path(os.path.normpath(place.parent.resolve() / link))
    return goes_up_first and not Path(link).is_absolute() and inside.is_relative_to(folder.resolve())
