"""``greenkernel demo``: the ECG forest from profile to receipt, compared with a plain fit."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from greenkernel.clock import RealClock
from greenkernel.demo import CELL, load_records, setup_namespace
from greenkernel.errors import UserError
from greenkernel.follow import follow
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.records import RunState
from greenkernel.session import train
from greenkernel.settings import SITES, Settings
from greenkernel.units import format_duration
from greenkernel.voices import Terminal

DUE = "+8min"
# One real second is an hour of the grid's time, so that a change of the wind fits into a minute's run.
FACTOR = 3600.0
_TREES = 600
# Where a tree on random numbers takes this long, a cell of so many trees takes about a minute on two cores.
_REFERENCE_S = 0.075
# Of a measured speed, more is believed to be a mistake.
_MOST_SLOWNESS = 4.0
_COMPARED = ("features", "scores", "predictions", "accuracy", "macro_f1")


def run_demo(folder: Path, *, sites: Path | None, traces: Path | None, records: int | None) -> int:
    """Train the demo's forest through every stage and back.

    Args:
        folder: Home and receipt go here; a home of an earlier demo is removed.
        sites: A sites file, such as one of Kubernetes clusters; None: ``GREENKERNEL_SITES``, else the embedded sites.
        traces: Folder with ``coast.csv``, ``windy.csv`` and ``sunny.csv``; None: the examples of the project.
        records: ECG records to use; None: 400.

    Returns:
        0 where the model is bit for bit that of a plain fit, else 1.

    Raises:
        UserError: The sites file has a mistake, or traces are named beside it.
    """
    named = sites or (Path(os.environ[SITES]) if os.environ.get(SITES) else None)
    if named is not None and traces is not None:
        raise UserError("traces go with the embedded sites", where="--traces", what_to_do="Name them in the sites file")
    slowness = slowness_of_this_machine()
    home = _fresh_home(folder.absolute(), named.absolute() if named is not None else None, traces, slowness)
    _tell(f"demo: home is {home.settings.home}, sites are those of {home.settings.sites_path}")
    if (clock := home.settings.sites.clock) is not None and clock.factor != 1:
        _tell(f"demo: real work, simulated grid: one real second is {format_duration(clock.factor)} of the grid's time")
    ecg = load_records(limit=records)
    _tell(f"demo: {len(ecg.signals)} ECG records: {ecg.source}" + (f"\n  {ecg.citation}" if ecg.citation else ""))
    trees = round(_TREES / min(slowness, 1) / 10) * 10
    _tell(f"demo: {trees} trees, so that the cell outlasts a change of the wind on two cores of this machine")
    namespace = {**setup_namespace(ecg), "trees": trees}
    run = train(CELL, namespace=namespace, home=home, name="ecg forest", due=DUE, file_name="<demo cell>")
    follow(run, Terminal(), zone=home.settings.timezone)
    receipt = run.receipt
    if receipt is None or run.state is not RunState.DONE:
        _tell(f"demo: run {run.id} {run.state}: {run.detail}\n{run.error_text or ''}")
        return 1
    path = folder / "receipt.json"
    path.write_text(receipt.to_json() + "\n", encoding="utf-8")
    _tell(f"demo: receipt written to {path}")
    return 0 if _same_as_plain(run, {**setup_namespace(ecg), "trees": trees}) else 1


def slowness_of_this_machine() -> float:
    """How much longer work takes than on the machine for which the demo was made, where its cell takes a minute.

    The change of the wind comes in the middle of the cell everywhere: a faster machine has more trees to grow, on a
    slower one the grid's time goes by more slowly.
    """
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(1000, 100)), rng.integers(0, 3, 1000)
    measured = []
    for _ in range(3):
        began = time.process_time()
        DecisionTreeClassifier(random_state=0).fit(rows, targets)
        measured.append(time.process_time() - began)
    return min(max(min(measured) / _REFERENCE_S, 1 / _MOST_SLOWNESS), _MOST_SLOWNESS)


def _fresh_home(folder: Path, sites: Path | None, traces: Path | None, slowness: float) -> Home:
    home = folder / "home"
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True)
    if sites is not None:
        return Home(Settings(home, sites), RealClock())
    examples = Path(str(resources.files("greenkernel.demo")))
    text = (examples / "sites.toml").read_text(encoding="utf-8")
    text = text.replace("[clock]\n", f"[clock]\nfactor = {round(FACTOR / max(slowness, 1))}\n")
    (home / "sites.toml").write_text(text, encoding="utf-8")
    shutil.copytree(traces or examples / "traces", home / "traces")
    return Home(Settings(home, home / "sites.toml"), RealClock())


def _same_as_plain(run: Run, namespace: dict[str, object]) -> bool:
    """Run the same cell here, without GreenKernel, and compare every tree, score and prediction."""
    _tell("demo: the same cell without GreenKernel, for comparison ...")
    began = time.monotonic()
    exec(compile(CELL, "<demo cell>", "exec", dont_inherit=True), namespace)
    names = run.names
    different = [name for name in _COMPARED if not _same(names[name], namespace[name])]
    trees = _trees(names["clf"])
    if trees != _trees(namespace["clf"]):
        different.append("clf")
    seconds = time.monotonic() - began
    if different:
        _tell(f"demo: DIFFERENT from a plain fit: {', '.join(different)}")
        return False
    _tell(f"demo: equal to a plain fit bit for bit: {len(trees)} trees, scores, predictions ({seconds:.0f} s here)")
    return True


def _trees(forest: Any) -> list[bytes]:
    """Each tree of a forest as the bytes of its values and of each field of its nodes (what pads them is left out)."""
    states: list[Mapping[str, Any]] = [tree.tree_.__getstate__() for tree in forest.estimators_]
    return [
        b"".join(state["nodes"][name].tobytes() for name in state["nodes"].dtype.names) + state["values"].tobytes()
        for state in states
    ]


def _same(one: Any, other: Any) -> bool:
    import numpy as np

    return bool(np.array_equal(np.asarray(one), np.asarray(other)))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
