"""Fetch chosen records of the 2017 challenge from PhysioNet, each checked against its published SHA-256."""

from __future__ import annotations

import hashlib
import http.client
import os
import queue
import re
import threading
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from greenkernel.errors import IntegrityError, TemporaryError

ARCHIVE: Final = "https://physionet.org/files/challenge-2017/1.0.0/"
"""Root of the archive: SHA256SUMS.txt, training/REFERENCE*.csv and training/A00/A00001.mat and so on."""

_SUMS = "SHA256SUMS.txt"
_SUM_LINE = re.compile(r"^([0-9a-f]{64}) +\*?(\S+)\s*$", re.MULTILINE)
_LABELS = ("training/REFERENCE-v3.csv", "REFERENCE-v3.csv", "training/REFERENCE.csv")
_TIMEOUT_S = 3.0
_AT_ONCE = 8


def fetch(choose: Callable[[str], Iterable[str]], *, archive: str = ARCHIVE, cache: Path) -> None:
    """Bring the labels and the chosen records into a folder; what is there and intact is not fetched again.

    Args:
        choose: Given the text of the labels file, the names of the wanted records, such as `A00001`.
        archive: Root URL of the archive, ending in a slash.
        cache: The folder, which is laid out as the archive is.

    Raises:
        TemporaryError: The archive cannot be reached, stalls, or is not laid out as expected. Where nothing
            answers at all, that takes at most three seconds.
        IntegrityError: A file is not the one whose checksum the archive publishes.
    """
    sums = _published_sums(archive, cache)
    labels = next((path for path in _LABELS if path in sums), None)
    if labels is None:
        raise TemporaryError(f"{archive}{_SUMS} lists no labels file", delay_s=3600.0)
    _bring(labels, sums, archive, cache)
    places = {Path(path).stem: path for path in sums if path.startswith("training/") and path.endswith(".mat")}
    names = choose((cache / labels).read_text(encoding="utf-8"))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        pending = [pool.submit(_bring, places[name], sums, archive, cache) for name in names if name in places]
        try:
            for one in pending:
                one.result()
        finally:
            # The first failure ends it: the others would each wait for the same dead line.
            pool.shutdown(wait=False, cancel_futures=True)


def _published_sums(archive: str, cache: Path) -> Mapping[str, str]:
    """Path in the archive -> SHA-256 in hex, from the cache or by the one quick probe."""
    kept = cache / _SUMS
    text = kept.read_text(encoding="utf-8") if kept.exists() else _probe(archive + _SUMS).decode("utf-8", "replace")
    sums = {path: digest for digest, path in _SUM_LINE.findall(text)}
    if not sums:
        # A portal that answers every address with its own page is not the archive.
        raise TemporaryError(f"{archive}{_SUMS} holds no checksums", delay_s=3600.0)
    if not kept.exists():
        _keep(kept, text.encode())
    return sums


def _bring(path: str, sums: Mapping[str, str], archive: str, cache: Path) -> None:
    """Put one file of the archive into the cache unless an intact copy is there."""
    kept = cache / path
    if kept.exists() and hashlib.sha256(kept.read_bytes()).hexdigest() == sums[path]:
        return
    body = _read(archive + path)
    found = hashlib.sha256(body).hexdigest()
    if found != sums[path]:
        raise IntegrityError(
            f"{archive}{path} is refused: its SHA-256 is {found[:12]}..., the archive publishes {sums[path][:12]}..."
        )
    _keep(kept, body)


def _probe(url: str) -> bytes:
    """Read a URL, but wait for the connection no longer than the limit even where the name look-up hangs."""
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=_TIMEOUT_S))
        except (OSError, http.client.HTTPException) as error:
            answers.put(error)

    threading.Thread(target=ask, name="greenkernel-probe", daemon=True).start()
    try:
        answer = answers.get(timeout=_TIMEOUT_S)
        if isinstance(answer, Exception):
            raise answer
        with answer:
            return answer.read()
    except queue.Empty as error:
        raise TemporaryError(f"{url}: no answer within {_TIMEOUT_S:g} s", delay_s=60.0) from error
    except (OSError, http.client.HTTPException) as error:
        raise TemporaryError(f"{url}: {getattr(error, 'reason', error)}", delay_s=60.0) from error


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            return bytes(answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise TemporaryError(f"{url}: {getattr(error, 'reason', error)}", delay_s=60.0) from error


def _keep(place: Path, body: bytes) -> None:
    """Write aside and rename, so that a cut write never looks like a file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.{os.getpid()}.{threading.get_ident()}")
    aside.write_bytes(body)
    aside.replace(place)
