"""The scripts that `make bench` runs in processes of their own, for a moment: they keep up with what they measure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.snapshots import _LOOP


@pytest.mark.parametrize("how", ["plain", "keeps"])
def test_the_epoch_loop_still_runs(how: str, tmp_path: Path) -> None:
    """Two rounds of it."""
    command = [sys.executable, "-c", _LOOP, str(tmp_path), "2", how]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
