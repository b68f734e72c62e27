"""A job of an embedded site on disk: which files it has, who writes them, and how they are never seen half-written.

Below ``<the site's folder>/<the job's name>/``:

- ``spec.json``: what was submitted; appears with the folder itself (the site, once, mode 0600)
- ``guard.json``: the process that watches over the job (the guard, put-if-absent)
- ``status.json``: how the job is (the guard, replaced)
- ``drain``: somebody wants the job to leave (the site)
- ``output.log``: what the processes themselves wrote, cut when too long (the job)
- ``tmp/``, ``work/``: the job's own
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

SPEC = "spec.json"
GUARD = "guard.json"
STATUS = "status.json"
DRAIN = "drain"
OUTPUT = "output.log"
TEMPORARY = "tmp"
WORK = "work"
# Every process of a job has this in its environment: that is how all of them are found again.
MARK = "GREENKERNEL_FOLDER"


def read(folder: Path, name: str) -> dict[str, Any] | None:
    """One of the folder's JSON files; None where there is none."""
    try:
        found = json.loads((folder / name).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def replace(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write one of the folder's JSON files; readers see the old or the new one.

    Raises:
        OSError: The folder is gone, or the disk is full.
    """
    aside = _write_aside(folder, name, content)
    aside.replace(folder / name)
    _announce(folder)


def put_new(folder: Path, name: str, content: dict[str, Any]) -> bool:
    """Write one of the folder's JSON files where there is none yet; False: another process was first.

    Raises:
        OSError: The folder is gone, or the disk is full.
    """
    aside = _write_aside(folder, name, content)
    try:
        os.link(aside, folder / name)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
    _announce(folder)
    return True


def version(site: Path) -> int:
    """A number that changes whenever a file of one of a site's jobs has: one look for any number of jobs."""
    try:
        return site.stat().st_mtime_ns
    except OSError:
        return 0


def _announce(folder: Path) -> None:
    now = time.time_ns()  # the file system's own stamps are too coarse to tell two changes apart
    with contextlib.suppress(OSError):
        os.utime(folder.parent, ns=(now, now))


def _write_aside(folder: Path, name: str, content: dict[str, Any]) -> Path:
    aside = folder / f".{name}.{os.getpid()}.{os.urandom(4).hex()}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(content).encode())
    return aside
