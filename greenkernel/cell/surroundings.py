"""The notebook's process-wide settings, as far as they concern a cell elsewhere."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Collection
from pathlib import Path
from weakref import WeakKeyDictionary

from greenkernel.cell.strings import python_in_magics
from greenkernel.osfacts import started_with
from greenkernel.records import Item, Payload
from greenkernel.runner.setting_kinds import assigned
from greenkernel.runner.surroundings import Taken, pickled, put_back, take, unpickled
from greenkernel.store.blobs import Blobs
from greenkernel.store.payloads import dump, load

# Cells of a shell that have been read.
_read: WeakKeyDictionary[object, int] = WeakKeyDictionary()
# They say where this process runs and who started it, which is different elsewhere.
_OWN = ("JPY_", "GREENKERNEL_", "IPY", "PYDEVD_", "KERNEL_", "MPLBACKEND", "PYTHONHASHSEED", "VIRTUAL_ENV", "PATH", "_")
_ZONE = "TZ"
_THREADS = ("OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "VECLIB_", "BLIS_")
# The kernel and the libraries of threads set these themselves.
_KERNELS = ("TERM", "CLICOLOR", "FORCE_COLOR", "PAGER", "GIT_PAGER", "COLUMNS", "LINES", "KMP_", *_THREADS)


def taken_here(root: Path, secret: Collection[str]) -> Taken:
    """The notebook's settings: of its environment only what has been set since the process began.

    Args:
        root: The notebook's folder.
        secret: Names of variables that stay here.
    """
    _read_cells()
    found = take(root)
    found["environment"] = {n: v for n, v in _set_here().items() if n not in secret}
    inside = found.get("folder", {}).get("folder", "").startswith(".")
    found["folder"] = found["folder"] if inside else {}  # a folder elsewhere is not there on a site
    found["path"] = {entry: place for entry, place in found.get("path", {}).items() if _is_below(entry, root)}
    return found


def _read_cells() -> None:
    """What the notebook's cells have assigned to attributes of libraries; each cell is read once."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    shell = get_ipython()
    if shell is None:
        return
    cells = shell.history_manager.input_hist_parsed
    done = _read.get(shell, 0)
    for python in cells[done if done <= len(cells) else 0 :]:
        for part in (python, *_inside(python)):
            assigned.note(part, shell.user_ns)
    _read[shell] = len(cells)


def _inside(python: str) -> list[str]:
    try:
        return list(python_in_magics(ast.parse(python)))
    except (SyntaxError, ValueError):
        return []


def _is_below(entry: str, root: Path) -> bool:
    """True for a folder of the notebook's, as an absolute path or a relative one."""
    return entry.startswith("./") or (not Path(entry).is_absolute() and (root / entry).is_dir())


def store_settings(taken: Taken, blobs: Blobs) -> Payload:
    """Settings as a payload."""
    return dump({"surroundings": pickled(taken)}, blobs, {}).payload


def variables(taken: Taken) -> list[Item]:
    """Lines of the manifest for environment variables that travel because the notebook has set them."""
    return [
        Item(name=name, kind="environment variable", bytes=len(value or ""), why="set in the notebook")
        for name, value in taken["environment"].items()
    ]


def thread_counts() -> dict[str, str]:
    """Variables that say how many threads libraries start; they must be there before those are loaded."""
    return {name: value for name, value in os.environ.items() if name.startswith(_THREADS)}


def variables_set_here() -> list[str]:
    """Names of variables that the notebook has set, or changed, since its process began."""
    return list(_set_here())


def settings_back(
    changed: Payload, sent: Payload | None, now: Taken, blobs: Blobs, root: Path, *, early: bool
) -> list[str]:
    """Set here what a cell has set there, unless it was changed here meanwhile.

    Args:
        changed: What the cell has changed.
        sent: The settings as they were sent.
        now: As they are here.
        blobs: Where both are.
        root: The notebook's folder.
        early: Those that must be there when the cell's values are read; else the others.

    Returns:
        Sentences on what stays as it is.
    """
    theirs = _loaded(sent, blobs, early) if sent is not None else {}
    return put_back(_loaded(changed, blobs, early), theirs, now, root)


def _loaded(payload: Payload, blobs: Blobs, early: bool) -> Taken:
    return unpickled(load(payload, blobs, {})["surroundings"], early=early)


def _set_here() -> dict[str, str | None]:
    before = started_with()
    changed: dict[str, str | None] = {n: v for n, v in os.environ.items() if before.get(n) != v and not _is_own(n)}
    if _ZONE in os.environ:
        changed[_ZONE] = os.environ[_ZONE]
    return {**changed, **{n: None for n in before if n not in os.environ and not _is_own(n)}}


def _is_own(name: str) -> bool:
    return name.startswith((*_OWN, *_KERNELS)) or (sys.platform == "darwin" and name.startswith("__CF"))
