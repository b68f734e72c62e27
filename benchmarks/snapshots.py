"""Snapshots: what they cost an epoch loop with a state of 200 MB, and how fast a gigabyte is written against cp."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from benchmarks.figures import Figure

_ROUNDS, _TURNS = 320, 2
_LOOP = """
import json, sys, tempfile, threading, time
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from greenkernel.records import Capture, Payload
from greenkernel.runner.collect import Before
from greenkernel.runner.execute import execute
from greenkernel.runner.shell import cell_shell
from greenkernel.runner.snapshots.keeper import Keeper, Process
from greenkernel.runner.snapshots.pace import Pace
from greenkernel.runner.snapshots.parts import Copies, Parts
from greenkernel.runner.snapshots.state import written
from greenkernel.runner.surroundings import Surroundings
from greenkernel.store.inner import Inner
from greenkernel.store.snapshots import Said
place, rounds, keeps = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "keeps"
cell = f'''
import numpy as np
w = np.zeros(25_000_000)
g = np.random.default_rng(0).normal(size=1000)
for epoch in range({rounds}):
    for _ in range(25):
        w[:1_000_000] += 1e-3
        w *= 0.999
'''
namespace = {"__name__": "__main__"}
capture = Capture(transformed=cell, reads=(), binds=(), items=(), payload=Payload(head="", buffers=(), bytes=0))
parts = Parts(place, b"k" * 32, ())
count = 0
def write(moment, at, said, names, *, copies_bytes, wrote):
    global count
    count += 1
    copies = Copies(parts, copies_bytes)
    payload = written(moment, names, copies)
    copies.close()
    threading.Thread(target=keep, args=(copies, payload, wrote)).start()
def keep(copies, payload, wrote):
    began = time.monotonic()
    copies.keep(payload)
    for old in place.iterdir():
        if old.is_file(): old.unlink()  # as if it had been shipped
    parts.forget(list(parts._known))
    wrote(time.monotonic() - began, None)
process = Process(
    before=Before.of(namespace, capture, Inner()), namespace=namespace, modules=frozenset(sys.modules),
    surroundings=Surroundings({}, place), write=write, is_busy=lambda: False, said=Said, go_on=lambda said: None,
    calls=dict, owned=dict, memory_left=lambda: 1 << 40,
)
keeper = Keeper(process, Pace(60.0, 0)) if keeps else None
began, cpu = time.perf_counter(), time.process_time()
outcome = execute(cell, cell_shell(namespace), lambda event: None, file_name="<cell>", points=keeper)
assert outcome.error is None, outcome.error
print(json.dumps({"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - began, "count": count}))
"""
_WRITING = """
import json, os, shutil, subprocess, sys, time
from pathlib import Path
import numpy as np
from greenkernel.runner.snapshots.parts import Parts
place, turns = Path(sys.argv[1]), int(sys.argv[2])
state = np.random.default_rng(0).integers(0, 2**63, 2**27)
seen = {"parts": [], "cp": []}
for turn in range(turns):
    os.sync()
    folder = place / "parts"
    parts = Parts(folder, b"k" * 32, ())
    began = time.perf_counter()
    parts.put(memoryview(state))
    seen["parts"].append(time.perf_counter() - began)
    shutil.rmtree(folder)
    (place / "bytes").write_bytes(state.data)
    os.sync()
    began = time.perf_counter()
    subprocess.run(["cp", "bytes", "copy"], cwd=place, check=True)
    seen["cp"].append(time.perf_counter() - began)
    (place / "bytes").unlink()
    (place / "copy").unlink()
print(json.dumps({name: min(took) for name, took in seen.items()}))
"""


def measure() -> list[Figure]:
    kept, plain = [], []
    for _ in range(_TURNS):  # in turn, and the least of each: other work on the machine only adds
        plain.append(_run(_LOOP, str(_ROUNDS), "plain"))
        kept.append(_run(_LOOP, str(_ROUNDS), "keeps"))
    least = {name: min(one["cpu_s"] for one in runs) for name, runs in (("kept", kept), ("plain", plain))}
    writing = _run(_WRITING, str(_TURNS))
    count = min(one["count"] for one in kept)
    return [
        Figure(
            name=f"extra CPU of {count:.0f} snapshots of an epoch loop with 200 MB",
            value=100 * (least["kept"] / least["plain"] - 1),
            limit=2.0,
            unit="%",
        ),
        Figure(
            name="writing 1 GiB of a snapshot against cp", value=writing["parts"] / writing["cp"], limit=1.43, unit="x"
        ),
    ]


def _run(script: str, *arguments: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", script, folder, *arguments]
        found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found
