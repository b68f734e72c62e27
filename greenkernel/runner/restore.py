"""The way in on a site: files, environment and the notebook's namespace as they were at submission."""

from __future__ import annotations

import contextlib
import os
import sys
import types
from pathlib import Path, PurePosixPath
from typing import Any

from greenkernel.errors import IntegrityError, UserError
from greenkernel.records import Capture, SourceFile
from greenkernel.runner import record_dice
from greenkernel.store.blobs import Blobs
from greenkernel.store.payloads import load

INLINE_FIGURES = "module://matplotlib_inline.backend_inline"


def restore(capture: Capture, blobs: Blobs, folder: Path, *, script: str | None = None) -> dict[str, Any]:
    """Make this process ready for the cell; the process belongs to the cell from then on.

    The working folder becomes ``folder``, local modules are imported from there, and ``__main__`` is a new module
    whose namespace is returned, with the captured values in it.

    Args:
        capture: What travels.
        blobs: Where it is.
        folder: An existing folder of the cell's own.
        script: The cell is a Python file of this name: it is there, and knows its name and that it was given no words.

    Raises:
        IntegrityError: A blob is not what was sent, or a path leaves the folder.
        UserError: Another Python version, or an object cannot be rebuilt here.
    """
    check_python(capture.python_version)
    for file in capture.files:
        write_file(file, blobs, folder)
    os.environ.update(capture.env)
    # As a notebook does it; it must be known before matplotlib is imported.
    os.environ.setdefault("MPLBACKEND", INLINE_FIGURES)
    os.chdir(folder)
    sys.path.insert(0, str(folder.resolve()))
    namespace = new_main()
    if script is not None:
        path = folder.resolve() / script
        path.write_text(capture.transformed, encoding="utf-8")
        namespace["__file__"] = str(path)
        sys.argv = [str(path)]
    namespace.update(load(capture.payload, blobs, namespace))
    if capture.dice is not None:
        _throw(load(capture.dice, blobs, {})["dice"])
    return namespace


def _throw(dice: record_dice.Dice) -> None:
    if dice[1] is not None:
        record_dice.load_numpy()
    record_dice.put(dice)


class FilesBefore:
    """The files of a folder as they are now.

    Args:
        folder: The cell's working folder.
    """

    _MOST = 20

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = self._now()

    def written(self) -> dict[str, str]:
        """What the cell has written since, by name, with why it does not come back."""
        new = [name for name, stamp in self._now().items() if self._before.get(name) != stamp]
        named = {f"the file {name}": "files that a cell writes stay on the site" for name in new[: self._MOST]}
        if len(new) > self._MOST:
            named[f"{len(new) - self._MOST} more files"] = "files that a cell writes stay on the site"
        return named

    def _now(self) -> dict[str, tuple[int, int]]:
        found = {}
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            with contextlib.suppress(OSError):  # it is gone by now
                if path.is_file() and "__pycache__" not in name:
                    found[name] = (path.stat().st_mtime_ns, path.stat().st_size)
        return found


def check_python(version: str) -> None:
    """Refuse another Python: code objects are only good for the minor version that made them.

    Raises:
        UserError: The minor versions differ.
    """
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version and version.split(".")[:2] != here.split("."):
        raise UserError(
            f"the notebook has Python {version} and this site has {here}",
            what_to_do=f"Choose a site with Python {'.'.join(version.split('.')[:2])}",
        )


def write_file(file: SourceFile, blobs: Blobs, folder: Path) -> Path:
    """Write one travelling file below ``folder`` and say where it is.

    Raises:
        IntegrityError: Its path would leave the folder, or its bytes are not what was sent.
    """
    path = PurePosixPath(file.path)
    hostile = path.is_absolute() or ".." in path.parts or not path.parts or "\\" in file.path or ":" in path.parts[0]
    target = folder.joinpath(*path.parts)
    root = folder.resolve()
    if hostile or not target.parent.resolve().is_relative_to(root) or target.is_symlink():
        raise IntegrityError(f"the file {file.path[:80]!r} would leave the run's folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(blobs.get(file.blob))
    return target


def new_main() -> dict[str, Any]:
    """Replace ``__main__`` by an empty module and give its namespace, which is then the notebook's."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    # Interpreter shutdown empties the old module's namespace only when nobody holds it.
    return module.__dict__
