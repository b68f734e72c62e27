"""Files that travel: sources of local modules, with those that they import, and data files that were asked for."""

from __future__ import annotations

import ast
import importlib.util
import stat
import struct
import sys
import sysconfig
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Literal

from greenkernel.cell.named_files import texts_in
from greenkernel.cell.names import lists_folders
from greenkernel.errors import UserError
from greenkernel.records import SourceFile
from greenkernel.runner.files import mapped
from greenkernel.store.blobs import Blobs

MODULES_MAX_BYTES = 50 * 2**20
DATA_MAX_BYTES = 2 * 2**30
_SKIPPED = {"__pycache__", ".git", ".ipynb_checkpoints", ".venv", "node_modules"}
_OURS = "greenkernel"


@dataclass(slots=True)
class LocalModules:
    """Sources that travel, and what their text tells.

    Attributes:
        sources: By their path below the run's folder.
        imported: Names of all modules that are imported by now, those that were asked for among them.
        texts: Texts in the sources; some may name files.
        lists: True where one lists folders.
    """

    imported: set[str]
    sources: dict[str, Path] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    lists: bool = False

    def read(self, source: Path) -> set[str]:
        """Look into a source; returns the modules that it imports."""
        try:
            tree = ast.parse(source.read_bytes())
        except (SyntaxError, ValueError):  # it is not imported by what works here
            return set()
        self.texts.update(texts_in(tree))
        self.lists |= lists_folders(tree)
        return _imports(tree)


def local_modules(modules: Iterable[str], folder: Path) -> LocalModules:
    """Sources of the modules that are neither installed nor of the standard library, and of those they import.

    A package travels as a whole, with the data files in it, as it lies below the folder that it is imported from.

    Args:
        modules: Names of imported modules.
        folder: The notebook's folder; it is looked in although it may not be on ``sys.path``.

    Raises:
        UserError: They are too big, or a compiled one cannot travel.
    """
    found = LocalModules(imported=set(modules))
    queue = deque(sorted(found.imported))
    seen: set[str] = set()
    while queue:
        top = queue.popleft().partition(".")[0]
        if top in seen or top in sys.stdlib_module_names or top in (_OURS, "__main__"):
            continue
        seen.add(top)
        for path, source in _sources(top, folder):
            found.sources[path] = source
            imported = found.read(source) if source.suffix == ".py" else set()
            queue.extend(imported - found.imported)
            found.imported |= imported
    _check_size(found.sources, MODULES_MAX_BYTES, "local modules")
    return found


def edited(sources: Iterable[Path]) -> list[str]:
    """Names of modules whose source has changed since they were imported here: by what Python has compiled of it."""
    of_file = {getattr(module, "__file__", None): name for name, module in list(sys.modules.items())}
    return [name for source in sources if (name := of_file.get(str(source))) is not None and _is_edited(source)]


def _is_edited(source: Path) -> bool:
    try:
        with Path(importlib.util.cache_from_source(str(source))).open("rb") as file:
            head = file.read(16)
        facts = source.stat()
    except (OSError, NotImplementedError):  # nothing was kept of it
        return False
    flags, modified_s, size = struct.unpack("<4xIII", head) if len(head) == 16 else (1, 0, 0)
    # By flags other than 0 it is known by its hash.
    return flags == 0 and (modified_s, size) != (int(facts.st_mtime) & 0xFFFFFFFF, facts.st_size & 0xFFFFFFFF)


def data_files(patterns: Iterable[str], blobs: Blobs, folder: Path) -> tuple[SourceFile, ...]:
    """Files that ``--files`` names, below the notebook's folder.

    Args:
        patterns: Globs relative to ``folder``; a folder stands for all that is in it.
        blobs: Where they go.
        folder: The notebook's folder.

    Raises:
        UserError: A pattern finds nothing or leaves the folder, or the files are too big.
    """
    root = folder.resolve()
    found: dict[str, Path] = {}
    for pattern in patterns:
        hits = [path for path in _matches(pattern, root) if not _SKIPPED & set(path.parts)]
        if not hits:
            raise UserError(f"{pattern!r} finds no file", where="--files", what_to_do=f"Name files below {root}")
        for path in hits:
            if not path.resolve().is_relative_to(root):
                raise UserError(
                    f"{path.name} leads out of {root}", where="--files", what_to_do="Copy it into the notebook's folder"
                )
            found[path.relative_to(root).as_posix()] = path
    _check_size(found, DATA_MAX_BYTES, "files")
    return stored(found, blobs)


def stored(found: Mapping[str, Path], blobs: Blobs, kind: Literal["module", "data"] = "data") -> tuple[SourceFile, ...]:
    """Files in the store, by their paths below the run's folder."""
    return tuple(_stored(path, source, blobs, kind) for path, source in sorted(found.items()))


def is_local(origin: Path) -> bool:
    """True for a source that no package manager and no Python installation has put where it is."""
    paths = sysconfig.get_paths()
    installed = [Path(paths[key]).resolve() for key in ("purelib", "platlib")]
    resolved = origin.resolve()
    if any(part in ("site-packages", "dist-packages") for part in resolved.parts):
        return False
    standard = [Path(paths[key]).resolve() for key in ("stdlib", "platstdlib")]
    return not any(resolved.is_relative_to(place) for place in (*installed, *standard))


def _matches(pattern: str, root: Path) -> list[Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise UserError(
            f"{pattern!r} leaves the folder {root}", where="--files", what_to_do="Give a path relative to it"
        )
    hits = sorted(root.glob(pattern))
    inside = [path for hit in hits if hit.is_dir() for path in sorted(hit.rglob("*")) if path.is_file()]
    return [hit for hit in hits if hit.is_file()] + inside


def _sources(name: str, folder: Path) -> list[tuple[str, Path]]:
    """Path below the import root -> file, for one top-level module; nothing where it is not local."""
    spec = _spec(name, folder)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        places = [Path(place) for place in spec.submodule_search_locations]
        return [hit for place in places if place.is_dir() and is_local(place) for hit in _package(name, place)]
    if not spec.origin or not spec.has_location or not is_local(Path(spec.origin)):
        return []
    origin = Path(spec.origin)
    if origin.suffix != ".py":
        raise UserError(
            f"the local module {name} is compiled ({origin.name}) and cannot travel as a source",
            what_to_do="Install it as a package, or keep it out of the cell",
        )
    return [(origin.name, origin)]


def _spec(name: str, folder: Path) -> ModuleSpec | None:
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__spec__", None) is not None:
        return module.__spec__
    from importlib.machinery import PathFinder

    try:
        return importlib.util.find_spec(name) or PathFinder.find_spec(name, [str(folder)])
    except (ImportError, ValueError):
        return None


def _package(name: str, place: Path) -> list[tuple[str, Path]]:
    """A package's files below its name, which an editable install may give to a folder of another one."""
    files = sorted(path for path in place.rglob("*") if path.is_file() and not path.is_symlink())
    inside = [(path.relative_to(place), path) for path in files if path.suffix != ".pyc"]
    return [((Path(name) / below).as_posix(), path) for below, path in inside if not _SKIPPED & set(below.parts)]


def _imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # What is taken may be a module; of a namespace package it tells which distribution has it.
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _check_size(found: dict[str, Path], limit: int, what: str) -> None:
    sizes = {path: source.stat().st_size for path, source in found.items()}
    total = sum(sizes.values())
    if total > limit:
        largest = max(sizes, key=lambda path: sizes[path])
        raise UserError(
            f"the {what} are {total / 2**20:.0f} MiB together, {largest} alone {sizes[largest] / 2**20:.0f} MiB; "
            f"at most {limit // 2**20} MiB travel",
            what_to_do="Leave out what the cell does not read",
        )


def _stored(path: str, source: Path, blobs: Blobs, kind: Literal["module", "data"]) -> SourceFile:
    executable = bool(source.stat().st_mode & stat.S_IXUSR)
    with mapped(source) as data:
        return SourceFile(path=path, blob=blobs.put(data), bytes=data.nbytes, kind=kind, executable=executable)
