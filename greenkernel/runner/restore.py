"""The way in on a site: files, environment and the notebook's namespace as they were at submission."""

from __future__ import annotations

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


def restore(capture: Capture, blobs: Blobs, folder: Path) -> dict[str, Any]:
    """Make this process ready for the cell; the process belongs to the cell from then on.

    The working folder becomes ``folder``, local modules are imported from there, and ``__main__`` is a new module
    whose namespace is returned, with the captured values in it.

    Args:
        capture: What travels.
        blobs: Where it is.
        folder: An existing folder of the cell's own.

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
    namespace.update(load(capture.payload, blobs, namespace))
    if capture.dice is not None:
        _throw(load(capture.dice, blobs, {})["dice"])
    return namespace


def _throw(dice: record_dice.Dice) -> None:
    if dice[1] is not None:
        record_dice.load_numpy()
    record_dice.put(dice)


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
