"""Cells that are gone on with in another process, from each point where that can be, end as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.interrupted import tried
from tests.flows.kept_cells import Cell, parameters
from tests.flows.programs import program

pytestmark = [pytest.mark.slow]


@pytest.mark.parametrize("cell", parameters())
def test_gone_on_with_from_every_point(cell: Cell, tmp_path: Path) -> None:
    """Names, text, displays, files and errors are those of a straight run, and there are enough points."""
    trial = tried(cell.setup, cell.cell, tmp_path, most=5, skips=cell.skips)
    assert [] == trial.differences()
    assert len(trial.kept.snapshots) >= cell.points, trial.why_not


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed: int, tmp_path: Path) -> None:
    """A program that is interrupted anywhere and gone on with ends like one that is run straight through."""
    trial = tried("", program(seed), tmp_path, most=5)
    assert [] == trial.differences(), program(seed)
    assert trial.kept.snapshots
