"""The first program of a pod: brings the runner and missing packages into an image that has only a Python.

Its text is handed to ``python3 -c``, so it stands alone: standard library only, and syntax that an older Python still
reads, because it must be able to say that it is too old.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

BUNDLE = "GREENKERNEL_BUNDLE"
# Exit code of a start that no other try will mend (EX_CONFIG).
CANNOT = 78
_TRIES = 5
_AT_ONCE = 8
_TIMEOUT_S = 30


class Refused(Exception):  # noqa: N818 - it is a verdict, shown as one sentence
    """The image or the bundle will not do, whatever is tried."""


def main() -> int:
    """Install what is missing, then become the runner; returns only where that fails."""
    begun = time.monotonic()
    try:
        reference = json.loads(os.environ.pop(BUNDLE))
        index = json.loads(fetch(reference["url"], reference["sha256"]))
        check_image(index)
        files = [found for found in index["files"] if is_missing(found)]
        check_given(files)
        folder = Path(os.environ.get("HOME", "/work")) / ".greenkernel" / "site"
        install(files, folder)
    except KeyError as e:
        return give_up(f"the pod lacks a setting or its bundle lacks a part: {e}", CANNOT)
    except Refused as e:
        return give_up(str(e), CANNOT)
    except OSError as e:
        return give_up(f"the store did not give the runner and its packages: {e}", 1)
    names = ", ".join(sorted("{name} {version}".format(**found) for found in files))
    say(f"installed {names} in {time.monotonic() - begun:.1f} s")
    path = [str(folder)] + [found for found in [os.environ.get("PYTHONPATH")] if found]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path))
    os.execve(sys.executable, [sys.executable, "-P", "-m", "greenkernel.runner"], environment)


def check_image(index: dict[str, Any]) -> None:
    """Refuse an image whose Python, system or machine is not what the bundle was made for."""
    here = "{}.{}".format(*sys.version_info)
    if here != index["python"]:
        raise Refused(
            "this image has Python {}, the notebook has {}: use an image with Python {}".format(
                here, index["python"], index["python"]
            )
        )
    if platform.machine() != index["machine"]:
        raise Refused("this node is {}, packages come for {} only".format(platform.machine(), index["machine"]))
    if platform.libc_ver()[0] != "glibc":
        raise Refused("this image has no glibc (Alpine?): use one that is built on Debian, Ubuntu or Red Hat")


def is_missing(found: dict[str, Any]) -> bool:
    """True for what the image lacks in this version, and for code that a version does not tell: the home's own."""
    if found["kind"] in ("source", "own"):
        return True
    if found["kind"] == "module":
        return importlib.util.find_spec(found["name"]) is None
    try:
        return bool(importlib.metadata.version(found["name"]) != found["version"])
    except importlib.metadata.PackageNotFoundError:
        return True


def check_given(files: list[dict[str, Any]]) -> None:
    """Refuse where the image lacks what could not be sent either."""
    for found in files:
        if "url" not in found:
            what = "{name} {version}".format(**found).strip()
            raise Refused("this image lacks {}: {}".format(what, found["why"]))


def install(files: list[dict[str, Any]], folder: Path) -> None:
    """Download what is listed, several at once, and unpack it below the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(_install_one, found, folder) for found in files]:
            done.result()


def _install_one(found: dict[str, Any], folder: Path) -> None:
    unpack(fetch(found["url"], found["sha256"]), folder)


def fetch(url: str, sha256: str) -> bytes:
    """The bytes behind a URL, checked.

    Raises:
        Refused: They are not what the hash says, or the URL has expired.
        OSError: The server did not answer, several times in a row.
    """
    for left in reversed(range(_TRIES)):
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
                data: bytes = answer.read()
            break
        except urllib.error.HTTPError as e:
            if e.code in (401, 403, 404, 410):
                raise Refused(f"the store refuses its own address (status {e.code}): it has run out") from e
            if not left:
                raise
        except (OSError, http.client.HTTPException) as e:
            if not left:
                raise OSError(str(e)) from e
        time.sleep(0.2 * 2 ** (_TRIES - left))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Refused("the store gave bytes that are not what was sent: they are cut or were changed")
    return data


def unpack(data: bytes, folder: Path) -> None:
    """Unpack a wheel or the runner's source; what a wheel keeps apart for libraries goes to the same folder."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for entry in archive.infolist():
            target = place_of(entry.filename)
            if target is None or entry.is_dir():
                continue
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(entry))


def place_of(name: str) -> str | None:
    """Where a wheel's member goes, None for what no import needs (scripts, headers, data)."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        raise Refused(f"a package wants to write outside its folder: {name}")
    if not parts[0].endswith(".data"):
        return name
    return "/".join(parts[2:]) if parts[1:2] in (["purelib"], ["platlib"]) else None


def give_up(sentence: str, code: int) -> int:
    """Say why and return the exit code."""
    say(sentence)
    return code


def say(sentence: str) -> None:
    """One line on stderr, which is the pod's log and the end of its status."""
    print("greenkernel: " + sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
