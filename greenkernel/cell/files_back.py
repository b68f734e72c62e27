"""Files that a cell has left -> the notebook's folder: all that fit, at once; a conflict is kept beside."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from greenkernel.errors import UserError
from greenkernel.records import FileChange
from greenkernel.runner.files import below, mapped
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
    targets = [(change, below(folder, change.path)) for change in changes]
    messages: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix=f".greenkernel-{run}-", dir=folder) as aside:
            staged = [
                (change, target, _staged(change, blobs, Path(aside), n)) for n, (change, target) in enumerate(targets)
            ]
            for change, target, new in staged:
                messages += _put(change, target, new, blobs, run)
    except OSError as e:
        raise UserError(
            f"files of run {run} cannot be written to {folder} ({e})",
            what_to_do=f"Make room or give it the right, then take them with %greenruns attach {run}",
        ) from e
    return messages


def _staged(change: FileChange, blobs: Blobs, aside: Path, number: int) -> Path | None:
    if change.blob is None:
        return None
    place = aside / str(number)
    place.write_bytes(blobs.get(change.blob))
    return place


def _put(change: FileChange, target: Path, new: Path | None, blobs: Blobs, run: str) -> list[str]:
    if change.kind == "folder":
        if target.exists() and not target.is_dir():
            return [f"the folder {change.path} was not made: there is a file of that name here"]
        target.mkdir(parents=True, exist_ok=True)
        return []
    here = _address(target, blobs)
    if change.kind == "deleted":
        if here == change.base:
            target.unlink()
            return []
        return [f"the file {change.path} is still here: the cell deleted it, but it was changed here"] if here else []
    assert new is not None
    if here == change.blob:
        return []
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() or here != change.base:
        target = target.with_name(f"{target.name}.{run}")
        shutil.move(new, target)
        return [f"the file {change.path} was changed here too and is kept; the cell's is beside it as {target.name}"]
    with contextlib.suppress(OSError):  # a plain run would have kept the rights of the file
        shutil.copymode(target, new)
    shutil.move(new, target)
    return []


def _address(path: Path, blobs: Blobs) -> str | None:
    """What the store would call the bytes of a file; None where there is no file."""
    if not path.is_file():
        return None
    with mapped(path) as data:
        return blobs.address(data)
