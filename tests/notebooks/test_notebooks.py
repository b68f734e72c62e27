"""The notebooks of the repository run from top to bottom in a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from greenkernel.demo import CELL, SETUP
from tests.flows.conftest import end_controllers

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# The same cells on less data and with fewer trees.
SMALLER = {"limit=400": "limit=40", "trees = 480": "trees = 30"}


def test_the_ecg_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is predicted, then trained on an embedded site of the default settings; its names and receipt are there."""
    monkeypatch.setenv("GREENKERNEL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GREENKERNEL_SITES", raising=False)
    notebook = nbformat.read(NOTEBOOKS / "ecg_forest.ipynb", as_version=4)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for cell in notebook.cells:
        for text, smaller in SMALLER.items():
            cell.source = cell.source.replace(text, smaller)
    try:
        NotebookClient(
            notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
        ).execute()
    finally:
        end_controllers(tmp_path / "home")
    assert SETUP.strip() in sources
    assert 2 == sum(source.endswith(CELL.strip()) for source in sources)
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    values = [output.data["text/plain"] for output in shown if output.output_type == "execute_result"]
    assert values[-1].startswith("(30, ")
    assert any("receipt of run" in output.text for output in shown if output.output_type == "stream")
