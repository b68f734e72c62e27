"""Data files that a cell names in its texts: ``"data.csv"``, ``"images/"``, ``f"part-{n}.npy"``, ``"*.json"``."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from greenkernel.units import format_bytes

# Of a folder that is named as a whole.
_FOLDER_MAX_BYTES = 256 * 2**20
_FOLDER_MOST = 5000
# Of the notebook's folder, for a cell that lists it.
_LISTED_MAX_BYTES = 64 * 2**20
_LISTED_MOST = 2000
_FOLDERS_MOST = 500
_DEEPEST = 6
_ENTRIES_MOST = 10_000
_LONGEST = 300
_TEXTS_MOST = 1000
_COLUMNS_MOST = 50
_MOST_WORDS = 20
_SKIPPED = {"__pycache__", ".git", ".ipynb_checkpoints", ".venv", "node_modules"}


def texts_in(tree: ast.AST) -> Iterator[str]:
    """Texts of a piece of Python; of an f-string its pattern, with ``*`` for what is filled in."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            parts = [part.value if isinstance(part, ast.Constant) else "*" for part in node.values]
            yield "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def texts_of(values: Iterable[object]) -> Iterator[str]:
    """Texts and paths among captured values, those in small containers and in columns of tables included."""
    for value in values:
        if isinstance(value, str | PurePath):
            yield str(value)
        elif isinstance(value, dict):  # asked as a dict: what a class of the user's does then is for the cell
            yield from _first_texts(dict.values(value))
        elif type(value) in (list, tuple, set):
            yield from _first_texts(value)  # type: ignore[arg-type]
        else:
            for column in _columns(value):
                # A word is seldom a file of the folder, and there may be many.
                yield from (text for text in _first_texts(column) if "." in text or "/" in text)


def _first_texts(values: Iterable[object]) -> Iterator[str]:
    yield from (str(value) for value in islice(values, _TEXTS_MOST) if isinstance(value, str | PurePath))


def _columns(value: Any) -> Iterator[Iterable[object]]:
    """What may name files in a table, an array or a cache; of these libraries only, for other types may do anything."""
    kind = type(value)
    match kind.__module__.partition(".")[0], kind.__name__:
        case "numpy", "ndarray" if value.dtype.kind in "OTU":
            yield value.flat
        case "pandas", "Series" if value.dtype.kind == "O":
            yield value.iloc[:_TEXTS_MOST]
        case ("pandas", "Index") | ("polars", "Series"):
            yield value[:_TEXTS_MOST]
        case "pandas", "DataFrame":
            of_texts = [n for n, dtype in enumerate(value.dtypes) if dtype.kind == "O"]
            yield from (value.iloc[:_TEXTS_MOST, n] for n in of_texts[:_COLUMNS_MOST])
        case "joblib", "Memory" | "MemorizedFunc":
            yield [str(Path(value.store_backend.location)) + os.sep] if value.store_backend is not None else []
        case "polars", "DataFrame":
            yield from value.head(_TEXTS_MOST).get_columns()[:_COLUMNS_MOST]


def find_named(texts: Iterable[str], folder: Path, limit_bytes: int) -> tuple[dict[str, Path], list[str]]:
    """Files below the notebook's folder that texts name.

    Args:
        texts: Any texts; most of them name nothing.
        folder: The notebook's folder.
        limit_bytes: The most that travels without being asked for.

    Returns:
        Relative path -> file, and sentences on what is named but does not travel.
    """
    root = folder.resolve()
    found: dict[str, Path] = {}
    notes: list[str] = []
    for text in dict.fromkeys(word for given in texts for word in _words(given)):
        if not _may_name_a_file(text):
            continue
        for path in _matches(text, root, notes):
            found.setdefault(path.relative_to(root).as_posix(), path)
    total = 0
    kept: dict[str, Path] = {}
    for name, path in sorted(found.items(), key=lambda item: item[1].stat().st_size):
        total += path.stat().st_size
        if total > limit_bytes:
            size = format_bytes(path.stat().st_size)
            notes.append(f"{name} ({size}) does not travel, it is too big; --files {name} sends it all the same")
        else:
            kept[name] = path
    return kept, notes


def every_file(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """All files of the notebook's folder, for a cell that lists it; and a sentence where they do not travel."""
    root = folder.resolve()
    if Path.home().is_relative_to(root):
        return {}, [f"the cell lists folders, but {root} is no project: only files that the cell names travel"]
    places = [root, *(root / name for name in folders_below(root))]
    found: dict[str, Path] = {}
    total = 0
    for place in places:
        for path in _files_in(place, root):
            found[path.relative_to(root).as_posix()] = path
            total += path.stat().st_size
            if total > _LISTED_MAX_BYTES or len(found) > _LISTED_MOST:
                most = f"{_LISTED_MOST} files or {format_bytes(_LISTED_MAX_BYTES)}"
                return {}, [
                    f"the cell lists folders, but this one has more than {most}: only files travel that the cell "
                    "names, and those of --files GLOB"
                ]
    return found, []


def _files_in(place: Path, root: Path) -> list[Path]:
    try:
        return [path for path in sorted(place.iterdir()) if not path.name.startswith(".") and _travels(path, root)]
    except OSError:  # it may not be read
        return []


def folders_below(folder: Path) -> list[str]:
    """Folders below the notebook's, the nearest first: not hidden ones, environments, caches, and what links lead to.

    A user's home is no project: of what is in it nothing is told.
    """
    root = folder.resolve()
    if Path.home().is_relative_to(root):
        return []
    found: list[str] = []
    level = [root]
    for _ in range(_DEEPEST):
        below = [path for place in level for path in _folders_in(place)]
        found += [path.relative_to(root).as_posix() for path in below[: _FOLDERS_MOST - len(found)]]
        level = [path for path in below[:_FOLDERS_MOST] if not path.is_symlink()]
    return found


def _folders_in(place: Path) -> list[Path]:
    try:
        with os.scandir(place) as entries:
            seen = islice(entries, _ENTRIES_MOST)
            names = [entry.name for entry in seen if entry.is_dir()]
    except OSError:  # it may not be read
        return []
    paths = [place / name for name in sorted(names) if not name.startswith(".") and name not in _SKIPPED]
    return [path for path in paths if not (path / "pyvenv.cfg").exists()]


def _words(text: str) -> list[str]:
    """A text, and what may be a path in it where it is a line for a shell."""
    words = text.split()
    inside = [word for word in words if "." in word or "/" in word] if 1 < len(words) <= _MOST_WORDS else []
    return [text, *(word.strip("'\"(),;") for word in inside)]


def _may_name_a_file(text: str) -> bool:
    letters = sum(letter.isalnum() for letter in text)
    return letters >= 2 and len(text) <= _LONGEST and not set(text) & set("\n\0<>|")


def _matches(text: str, root: Path, notes: list[str]) -> list[Path]:
    try:
        if any(letter in text for letter in "*?["):
            pattern = text.rstrip("/")
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                return []
            return [path for path in sorted(root.glob(pattern)) if _may_be_sent(path, root)]
        return _one(text, root, notes)
    except (OSError, ValueError, NotImplementedError):  # no path at all
        return []


def _one(text: str, root: Path, notes: list[str]) -> list[Path]:
    path = Path(os.path.abspath(root / text))  # noqa: PTH100  # links stay as they are named
    if path == root or not path.exists():
        return []
    if not path.is_relative_to(root):
        if path.is_file() and not Path(text).is_absolute():
            notes.append(f"{text} does not travel: it lies outside of {root}")
        return []
    if Path(text).is_absolute():
        return []  # it would not be found under this name elsewhere
    if path.is_file():
        return [path] if _may_be_sent(path, root) else []
    inside = []
    total = 0
    for place, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(files):
            file = Path(place) / name
            total += file.stat().st_size
            inside.append(file)
            if len(inside) > _FOLDER_MOST or total > _FOLDER_MAX_BYTES:
                most = f"{_FOLDER_MOST} files or {format_bytes(_FOLDER_MAX_BYTES)}"
                notes.append(f"the folder {text} does not travel, it has more than {most}; name its files with --files")
                return []
    return [file for file in inside if _may_be_sent(file, root)]


def _travels(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root) and _may_be_sent(path, root)


def _may_be_sent(path: Path, root: Path) -> bool:
    """What is named travels, also where a link of the folder leads to it."""
    return path.is_file() and not _SKIPPED & set(path.relative_to(root).parts)
