"""Capture and return of a gigabyte of arrays against a copy of as many bytes; the second time is free."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure

_ARRAYS, _EACH_BYTES = 16, 64 * 2**20
# Runs in a process of its own, so that its peak of memory is that of this work alone.
_SCRIPT = """
import json, sys, time
from pathlib import Path
import numpy as np
from greenkernel.osfacts import forget_peak_memory, tree_usage
from greenkernel.store.blobs import Blobs
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.payloads import dump, load
import os
place, count, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
space = {f"a{i}": rng.integers(0, 2**63, size // 8) for i in range(count)}
objects = ObjectStore(StoreAddress(url=f"file://{place}/store"))
def bytes_stored():
    return sum(path.stat().st_size for path in (place / "store").rglob("*") if path.is_file())
def used(call):
    forget_peak_memory()
    before = tree_usage(os.getpid()).rss_bytes
    os.sync()
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, tree_usage(os.getpid()).peak_rss_bytes - before, result
out_s, out_bytes, dumped = used(lambda: dump(space, Blobs(objects, b"k" * 32), space, follow=True))
stored = bytes_stored()
again_s, _, _ = used(lambda: dump(space, Blobs(objects, b"k" * 32), space, follow=True))
again = bytes_stored() - stored
space.clear()
in_s, in_bytes, found = used(lambda: load(dumped.payload, Blobs(objects, b"k" * 32), {}))
print(json.dumps({"out_s": out_s, "out_bytes": out_bytes, "in_s": in_s, "again_s": again_s, "again_bytes": again,
                  "in_bytes": in_bytes, "bytes": dumped.payload.bytes}))
"""


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        command = [sys.executable, "-c", _SCRIPT, folder, str(_ARRAYS), str(_EACH_BYTES)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        got = json.loads(done.stdout)
        copied_s = _copy_s(place)
    return [
        Figure(name="capture of 1 GiB against cp", value=got["out_s"] / copied_s, limit=2.0, unit="x"),
        Figure(name="return of 1 GiB against cp", value=got["in_s"] / copied_s, limit=2.0, unit="x"),
        Figure(name="memory beside the arrays, capture", value=got["out_bytes"] / 2**20, limit=100.0, unit="MiB"),
        Figure(
            name="memory beside the arrays, return",
            value=(got["in_bytes"] - got["bytes"]) / 2**20,
            limit=100.0,
            unit="MiB",
        ),
        Figure(
            name="bytes of unchanged data sent again",
            value=100 * got["again_bytes"] / got["bytes"],
            limit=1.0,
            unit="%",
        ),
    ]


def _copy_s(place: Path) -> float:
    """Seconds that cp takes for as many bytes."""
    source = place / "bytes"
    with source.open("wb") as file:
        for path in (place / "store").rglob("*"):
            if path.is_file() and path.stat().st_size > 2**20:
                file.write(path.read_bytes())
    shutil.rmtree(place / "store")
    measured = []
    for number in range(3):
        os.sync()  # else the disk is still busy with what was written before
        began = time.perf_counter()
        subprocess.run(["cp", "bytes", f"copy-{number}"], cwd=place, check=True)
        measured.append(time.perf_counter() - began)
        (place / f"copy-{number}").unlink()
    return statistics.median(measured)
