"""How long ``%load_ext greenkernel`` takes in a fresh IPython."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.figures import Figure

_PROGRAM = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "greenkernel")
print(time.perf_counter() - began)
"""


def measure() -> list[Figure]:
    taken = [
        float(subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True).stdout)
        for _ in range(6)
    ]
    return [Figure(name="%load_ext greenkernel", value=statistics.median(taken[1:]), limit=0.3, unit="s")]
