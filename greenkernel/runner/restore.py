"""The way in on a site: files, environment and the notebook's namespace as they were at submission."""

from __future__ import annotations

import linecache
import os
import sys
import types
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from greenkernel.errors import UserError
from greenkernel.records import Capture
from greenkernel.runner import patches, record_dice
from greenkernel.runner.files import below, write_file
from greenkernel.runner.owned import share
from greenkernel.runner.patches import is_place
from greenkernel.runner.shell import INLINE_FIGURES, cell_shell
from greenkernel.runner.surroundings import Surroundings, put_early, unpickled
from greenkernel.store import lookers
from greenkernel.store.blobs import Blobs
from greenkernel.store.imports import import_each
from greenkernel.store.inner import Inner
from greenkernel.store.payloads import load


def restore(
    capture: Capture, blobs: Blobs, folder: Path, *, script: str | None = None, inner: Inner | None = None
) -> Any:
    """Make this process ready for the cell, and give its shell: `prepare`, then `fill`."""
    shell = prepare(capture, blobs, folder, script=script)
    fill(shell, capture, blobs, inner=inner)
    return shell


def prepare(capture: Capture, blobs: Blobs, folder: Path, *, script: str | None = None) -> Any:
    """All but the notebook's values; the process belongs to the cell from then on.

    The working folder becomes ``folder``, local modules are imported from there, and ``__main__`` is a new module in
    whose namespace the shell works that is returned.

    Args:
        capture: What travels.
        blobs: Where it is.
        folder: An existing folder of the cell's own.
        script: The cell is a Python file of this name: it is there, and knows its name.

    Raises:
        IntegrityError: A blob is not what was sent, or a path leaves the folder.
        UserError: Another Python version.
    """
    check_python(capture.python_version)
    for name in capture.folders:
        below(folder, name).mkdir(parents=True, exist_ok=True)
    for file in capture.files:
        write_file(file, blobs, folder)
    os.environ.update(capture.env)
    # As a notebook does it; it must be known before matplotlib is imported.
    os.environ.setdefault("MPLBACKEND", INLINE_FIGURES)
    os.chdir(folder)
    sys.path.insert(0, str(folder.resolve()))
    namespace = new_main()
    shell = cell_shell(namespace, capture.front_end)
    with in_shell(shell):
        put_early(_sent(capture, blobs), folder.resolve())
    lookers.hold_here()
    if script is not None:
        path = folder.resolve() / script
        path.write_text(capture.transformed, encoding="utf-8")
        namespace["__file__"] = str(path)
    for name, text in capture.sources.items():  # for tracebacks, and for who reads a function's source
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return shell


def fill(shell: Any, capture: Capture, blobs: Blobs, *, inner: Inner | None = None) -> None:
    """Put the captured values into the namespace.

    Args:
        shell: As `prepare` gave it.
        capture: What travels.
        blobs: Where it is.
        inner: Gets the changeable objects inside of the captured values.

    Raises:
        IntegrityError: A blob is not what was sent.
        UserError: An object cannot be rebuilt here.
    """
    namespace = shell.user_ns
    with in_shell(shell):
        sent = load(capture.payload, blobs, namespace, inner=inner)
        namespace.update({name: value for name, value in sent.items() if not is_place(name)})
        patches.put({name: value for name, value in sent.items() if is_place(name)})
        import_each(capture.submodules)
        share(capture.owned, namespace)
    if capture.dice is not None:
        _throw(load(capture.dice, blobs, {})["dice"])


def in_shell(shell: Any) -> AbstractContextManager[Any]:
    """Libraries that are loaded find what a notebook has: ``get_ipython`` and the like."""
    found: AbstractContextManager[Any] = shell.builtin_trap if shell.front_end else nullcontext()
    return found


def surroundings_of(capture: Capture, blobs: Blobs, folder: Path) -> Surroundings:
    """The notebook's process-wide settings, to be put when the cell begins.

    Raises:
        IntegrityError: They are not what was sent.
    """
    return Surroundings(unpickled(_sent(capture, blobs)), folder.resolve())


def _sent(capture: Capture, blobs: Blobs) -> dict[str, dict[str, bytes]]:
    sent = load(capture.surroundings, blobs, {})["surroundings"] if capture.surroundings is not None else {}
    return dict(sent)


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


def new_main() -> dict[str, Any]:
    """Replace ``__main__`` by an empty module and give its namespace, which is then the notebook's."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    # Interpreter shutdown empties the old module's namespace only when nobody holds it.
    return module.__dict__
