"""A slice's view of the notebook's folder: links to read through, a copy where one is written to."""

from __future__ import annotations

import os
import shutil
from collections import deque
from pathlib import Path

# A larger folder is linked in part; what else a cell reads there, its whole run does not find either.
_MOST = 5000
_COPIED_MAX_BYTES = 256 * 2**20
_SKIPPED = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", ".venv", "node_modules"})


class SliceFolder:
    """The working folder of a slice.

    Args:
        work: The slice's own; files that travel with the cell are in it already.
        notebook: The notebook's.
    """

    def __init__(self, work: Path, notebook: Path) -> None:
        self._work = work.resolve()
        self._notebook = notebook
        self.read: set[str] = set()

    def link(self) -> None:
        """Link the notebook's files, folder by folder from the top, each as a link and never as a copy."""
        queue = deque([self._notebook])
        count = 0
        while queue and count < _MOST:
            place = queue.popleft()
            try:
                entries = sorted(os.scandir(place), key=lambda entry: entry.name)
            except OSError:  # not ours to read
                continue
            for entry in entries:
                count += 1
                path = Path(entry.path)
                mine = self._work / path.relative_to(self._notebook)
                if entry.name in _SKIPPED or entry.is_symlink() or self._work.is_relative_to(path):
                    continue
                if entry.is_dir():
                    mine.mkdir(exist_ok=True)
                    queue.append(path)
                elif entry.is_file() and not mine.exists():
                    mine.symlink_to(path)

    def opened(self, path: str, *, writes: bool, truncates: bool) -> None:
        """A path is about to be opened: a link that is written to becomes a file of the slice's own.

        Raises:
            PermissionError: It is too big to be copied.
        """
        full = Path(os.path.abspath(path))  # noqa: PTH100  # a link must stay one
        if not full.is_relative_to(self._work) or not full.is_symlink():
            return
        if not writes:
            self.read.add(full.relative_to(self._work).as_posix())
            return
        source = full.resolve()
        if not truncates and source.stat().st_size > _COPIED_MAX_BYTES:
            raise PermissionError(f"a slice of a cell may not change a file of this size: {path}")
        full.unlink()
        if not truncates:
            self.read.add(full.relative_to(self._work).as_posix())
            shutil.copy(source, full)
