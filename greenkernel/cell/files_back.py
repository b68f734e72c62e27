"""Files that a cell has left -> the notebook's folder: all that fit, at once; a conflict is kept beside."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence, Set
from pathlib import Path, PurePosixPath

from greenkernel.errors import IntegrityError, UserError
from greenkernel.records import FileChange
from greenkernel.runner import logging_setup
from greenkernel.runner.files import PASSED_OVER, is_link_inside, mapped, named_below
from greenkernel.store.blobs import Blobs


def put_files(changes: Sequence[FileChange], blobs: Blobs, folder: Path, run: str) -> list[str]:
    """Bring a folder to where the cell has left it.

    Everything is fetched and checked before anything is touched. A file that is not what was sent, or that is new at
    both ends, is left as it is: the cell's goes beside it, as ``name.RUN``.

    Args:
        changes: What the cell has left.
        blobs: Where the contents are.
        folder: The notebook's folder.
        run: The run's id.

    Returns:
        Sentences on what is not as after a plain run.

    Raises:
        IntegrityError: A path leaves the folder, or bytes are not what was sent; nothing was touched.
        UserError: The folder cannot be written to; nothing was touched.
    """
    if not changes:
        return []
    links = {PurePosixPath(change.path) for change in changes if change.kind == "link"}
    targets = [(change, _target(change, folder, links)) for change in changes]
    root = folder.resolve()
    logs = {root / name for name in logging_setup.files(root)}
    messages: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix=f".greenkernel-{run}-", dir=folder) as aside:
            staged = [
                (change, target, _staged(change, blobs, Path(aside), n)) for n, (change, target) in enumerate(targets)
            ]
            for change, target, new in staged:
                if target is None:
                    messages += _put_aside(change, new, folder, run)
                else:
                    messages += _put(change, target, new, blobs, run, logs)
    except OSError as e:
        raise UserError(
            f"files of run {run} cannot be written to {folder} ({e})",
            what_to_do=f"Make room or give it the right, then take them with %greenruns attach {run}",
        ) from e
    return messages


def _target(change: FileChange, folder: Path, links: Set[PurePosixPath]) -> Path | None:
    """Where a change goes, through links of the folder that lead to somewhere in it; None where one leads out of it."""
    path = PurePosixPath(change.path)
    if links & set(path.parents):  # what is below a link is somewhere else
        raise IntegrityError(f"the file {change.path[:80]!r} would be written through a link")
    place = named_below(folder, change.path)
    root = folder.resolve()
    try:
        real = place.parent.resolve() / place.name if change.kind in ("link", "deleted") else place.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return None
    if not real.is_relative_to(root):
        return None
    link = change.link or "/"
    if change.kind == "link" and ("\0" in link or not is_link_inside(real, link, folder)):
        raise IntegrityError(f"the link {change.path[:80]!r} would lead out of the run's folder")
    return real


def _staged(change: FileChange, blobs: Blobs, aside: Path, number: int) -> Path | None:
    place = aside / str(number)
    if change.kind == "link":
        place.symlink_to(change.link or "")
        return place
    if change.blob is None:
        return None
    place.write_bytes(blobs.get(change.blob))
    return place


def _put_aside(change: FileChange, new: Path | None, folder: Path, run: str) -> list[str]:
    if new is None or change.kind != "file":
        return [f"{change.path} stays as it is: a link leads to it out of {folder}"]
    target = folder / f"{PurePosixPath(change.path).name}.{run}"
    new.replace(target)
    return [f"the file {change.path} stays as it is, a link leads to it out of {folder}; the cell's is {target.name}"]


def _put(change: FileChange, target: Path, new: Path | None, blobs: Blobs, run: str, logs: Set[Path]) -> list[str]:
    if change.kind == "folder":
        if target.exists() and not target.is_dir():
            return [f"the folder {change.path} was not made: there is a file of that name here"]
        target.mkdir(parents=True, exist_ok=True)
        return []
    if change.kind == "folder deleted":
        return _without(target, change.path)
    here = _address(target, blobs)
    if change.kind == "deleted":
        if here == change.base:
            target.unlink()
            return []
        return [f"the file {change.path} is still here: the cell deleted it, but it was changed here"] if here else []
    assert new is not None
    if change.kind == "link":
        if target.is_symlink() and target.readlink() == new.readlink():
            return []
        here = change.base if target.is_symlink() else here
    elif here == change.blob:
        _allow(change, target)
        return []
    target.parent.mkdir(parents=True, exist_ok=True)
    if (target.is_dir() and not target.is_symlink()) or here != change.base:
        target = target.with_name(f"{target.name}.{run}")
        shutil.move(new, target)
        why = "was changed here too" if change.base is not None else "was here, though it had not been sent,"
        return [f"the file {change.path} {why} and is kept; the cell's is beside it as {target.name}"]
    if target in logs and _append(target, new):  # a file in its place would not get the logger's next lines
        return []
    if change.kind == "file":
        with contextlib.suppress(OSError):  # a plain run would have kept the rights of the file
            shutil.copymode(target, new)
        _allow(change, new)
    new.replace(target)
    return []


def _without(target: Path, path: str) -> list[str]:
    """Remove a folder that the cell has removed, if nothing is left in it."""
    if target.is_symlink() or not target.is_dir():
        return []
    left = [one.name for one in target.iterdir() if one.name not in PASSED_OVER]
    if left:
        return [f"the folder {path} is still here: the cell deleted it, but {left[0]} was not sent and is in it"]
    shutil.rmtree(target)
    return []


def _append(target: Path, new: Path) -> bool:
    """Add what a longer file has more; False where it begins otherwise."""
    if not target.is_file():
        return False
    with mapped(new) as whole, target.open("r+b") as file:
        here = file.read()
        if bytes(whole[: len(here)]) != here:
            return False
        file.write(whole[len(here) :])
    return True


def _allow(change: FileChange, file: Path) -> None:
    """Let a file be run whom the cell has let be run, by those who may read it."""
    if change.executable:
        mode = file.stat().st_mode
        file.chmod(mode | (mode & 0o444) >> 2)


def _address(path: Path, blobs: Blobs) -> str | None:
    """What the store would call the bytes of a file; None where there is no file."""
    if not path.is_file():
        return None
    with mapped(path) as data:
        return blobs.address(data)
