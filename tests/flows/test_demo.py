"""``greenkernel demo`` as a user starts it: the move comes out of the planner, so other traces give other moves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from greenkernel.demo.make_traces import Variant, write_traces
from tests.flows.conftest import end_controllers

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(600)]

REAL_ECG = Path(__file__).parents[3] / "shared" / "data" / "ecg" / "cinc2017"


def demo(folder: Path, *words: str, ecg: Path | None = None) -> tuple[str, dict[str, Any]]:
    """Run the demo in a folder; what it said, and its receipt."""
    environment = {**os.environ, **({"GREENKERNEL_ECG_DIR": str(ecg)} if ecg else {})}
    command = [sys.executable, "-m", "greenkernel.cli", "demo", "--folder", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, env=environment)
    end_controllers(folder / "home")
    assert 0 == done.returncode, done.stderr
    return done.stderr, json.loads((folder / "receipt.json").read_text())


def moves(receipt: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(move["from_site"], move["to_site"], move["trigger"]) for move in receipt["moves"]]


def test_the_demo_moves_to_the_greener_site(tmp_path: Path) -> None:
    """One planned move that reuses trees, a model equal to a plain fit, and a receipt that says what was saved."""
    if not REAL_ECG.is_dir():
        pytest.skip(f"the ECG records of {REAL_ECG} are not here")
    said, receipt = demo(tmp_path, ecg=REAL_ECG)
    assert [("windy", "coast", "plan")] == moves(receipt)
    assert receipt["moves"][0]["reused"]["tasks"] > 0
    assert receipt["saved_g"]["mid"] > 0
    assert receipt["due_met"]
    assert 900 <= receipt["clock"]["factor"] <= 3600  # slower on a slower machine
    assert "equal to a plain fit bit for bit" in said
    assert "real work, simulated grid" in said
    assert "provisional" in said
    assert len({s["rows_fraction"] for s in receipt["profile"]["slices"]}) >= 2


@pytest.mark.parametrize(
    ("variant", "words", "expected"),
    # Where nothing moves a fifth of the records says as much.
    [
        ("flat", ("--records", "80"), []),
        pytest.param("swapped", (), [("coast", "windy", "plan")], marks=pytest.mark.soak),
    ],
)
def test_other_traces_give_other_moves(
    variant: Variant, words: tuple[str, ...], expected: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    """Flat traces move nothing; with the two zones exchanged the move goes the other way."""
    write_traces(tmp_path / "traces", variant=variant)
    _, receipt = demo(tmp_path / "demo", "--traces", str(tmp_path / "traces"), *words)
    assert expected == moves(receipt)
