"""What ``%%greentrain --auto --no-profile`` adds to a one-second cell, and what each stage takes of the demo's cell."""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, median_s
from greenkernel.clock import RealClock, wait_until
from greenkernel.demo import CELL, load_records, setup_namespace
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.session import train
from greenkernel.settings import Settings

_ONE_SECOND = """
import time
end = time.perf_counter() + 1.0
while time.perf_counter() < end:
    total = float((a * a).sum())
"""
_SITES = """
[sites.here]
kind = "embedded"
intensity_g_per_kwh = 100
zone = "HERE"
"""


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a controller may still write
        (Path(folder) / "sites.toml").write_text(_SITES)
        home = Home(Settings(Path(folder)), RealClock())
        values: dict[str, Any] = {"a": np.arange(100_000.0)}
        plain_s = median_s(lambda: exec(_ONE_SECOND, dict(values)), times=3)
        sent_s = median_s(lambda: _run(home, _ONE_SECOND, values).names, times=5)
        figures = [
            Figure(name="overhead on a one-second cell", value=sent_s - plain_s, limit=1.0, unit="s"),
            *_shares(home, setup_namespace(load_records(archive=None))),
        ]
        # The controller still removes what the last run has left in the folder.
        wait_until(RealClock(), lambda: not home.journal.entries(only_open=True), timeout_s=30)
        return figures


def _run(home: Home, source: str, values: dict[str, Any]) -> Run:
    return train(source, namespace=dict(values), home=home, no_profile=True, wait=True)


def _shares(home: Home, values: dict[str, Any]) -> list[Figure]:
    """Capture and planning, shipping, and return of the demo's cell, each as a share of its run."""
    began = time.time()
    run = _run(home, CELL, values)
    ended = time.time()
    returned_s = median_s(lambda: Run(home, run.id).names, times=1, warm_up=0) + 0.0
    store = home.run_store(run.id)
    opened, claim, accepted = store.epoch(1), store.claimed(1), store.ended()
    finished = store.finished(1)
    if not (opened and claim and accepted and finished):
        raise RuntimeError(f"run {run.id} is not whole")
    whole_s = ended - began
    shares = {
        "capture and planning": opened.opened_at.timestamp() - began,
        "shipping until the runner's claim": (claim.at - opened.opened_at) / timedelta(seconds=1),
        "return: accept, receipt, names": (ended - finished.finished_at.timestamp()) + returned_s,
    }
    return [
        Figure(name=f"{name}, share of the demo's run", value=s / whole_s, limit=0.05, unit="")
        for name, s in shares.items()
    ]
