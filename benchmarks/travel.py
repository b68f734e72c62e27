"""Capture and return of a gigabyte of arrays against a copy of as many bytes; the second time is free."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from benchmarks.figures import Figure

_ARRAYS, _EACH_BYTES, _TURNS = 16, 64 * 2**20, 5
# Runs in a process of its own, so that its peak of memory is that of this work alone.
_SCRIPT = """
import json, os, shutil, subprocess, sys, time
from pathlib import Path
import numpy as np
from greenkernel.osfacts import forget_peak_memory, tree_usage
from greenkernel.store.blobs import Blobs
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.payloads import dump, load
place, count, size, turns = Path(sys.argv[1]), *map(int, sys.argv[2:])
rng = np.random.default_rng(0)
space = {f"a{i}": rng.integers(0, 2**63, size // 8) for i in range(count)}
def bytes_stored():
    return sum(path.stat().st_size for path in (place / "store").rglob("*") if path.is_file())
def used(call):
    # What was written before is on the disk, and as much memory as is needed was had before: on a virtual machine
    # the first touch of memory costs ten times what the copy costs, whoever comes first.
    (place / "warm").write_bytes(b"".join(array.data for array in space.values()))
    (place / "warm").unlink()
    os.sync()
    forget_peak_memory()
    before = tree_usage(os.getpid()).rss_bytes
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, tree_usage(os.getpid()).peak_rss_bytes - before, result
seen = {"out": [], "in": [], "cp": []}
for turn in range(turns):
    objects = ObjectStore(StoreAddress(url=f"file://{place}/store"))
    out_s, out_bytes, dumped = used(lambda: dump(space, Blobs(objects, b"k" * 32), space, follow=True))
    stored = bytes_stored()
    _, _, _ = used(lambda: dump(space, Blobs(objects, b"k" * 32), space, follow=True))
    again = bytes_stored() - stored
    in_s, in_bytes, found = used(lambda: load(dumped.payload, Blobs(objects, b"k" * 32), {}))
    del found
    shutil.rmtree(place / "store")
    with (place / "bytes").open("wb") as file:
        for array in space.values():
            file.write(array.data)
    cp_s, _, _ = used(lambda: subprocess.run(["cp", "bytes", "copy"], cwd=place, check=True))
    (place / "bytes").unlink()
    (place / "copy").unlink()
    for name, took in (("out", out_s), ("in", in_s), ("cp", cp_s)):
        seen[name].append(took)
print(json.dumps({name: min(took) for name, took in seen.items()}  # other work on the machine only adds
                 | {"again_bytes": again, "out_bytes": out_bytes, "in_bytes": in_bytes, "bytes": dumped.payload.bytes}))
"""


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _SCRIPT, folder, str(_ARRAYS), str(_EACH_BYTES), str(_TURNS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    got = json.loads(done.stdout)
    return [
        Figure(name="capture of 1 GiB against cp", value=got["out"] / got["cp"], limit=2.0, unit="x"),
        Figure(name="return of 1 GiB against cp", value=got["in"] / got["cp"], limit=2.0, unit="x"),
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
