"""The notebooks of the repository run from top to bottom in a real kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from greenkernel.demo import CELL, SETUP
from tests.flows.conftest import end_controllers

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# The same cells on less data and with fewer trees.
SMALLER = {"limit=400": "limit=40", "trees = 480": "trees = 30"}


def smaller(path: Path) -> Any:
    """Make a notebook's cells smaller, in its file."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for text, less in SMALLER.items():
            cell.source = cell.source.replace(text, less)
    nbformat.write(notebook, path)
    return notebook


def run(name: str, folder: Path) -> Any:
    """Execute a copy of a notebook in a home of its own; its default sites are the embedded ones."""
    path = folder / f"{name}.ipynb"
    path.write_bytes((NOTEBOOKS / path.name).read_bytes())
    notebook = smaller(path)
    try:
        NotebookClient(notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    finally:
        end_controllers(folder / "home")
    return notebook


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENKERNEL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GREENKERNEL_SITES", raising=False)


def values(notebook: Any) -> list[str]:
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.data["text/plain"] for output in shown if output.output_type == "execute_result"]


def printed(notebook: Any) -> str:
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.text for output in shown if output.output_type == "stream" and output.name == "stdout")


def test_first_light(tmp_path: Path) -> None:
    """It is predicted, then trained on an embedded site of the default settings; its names and receipt are there."""
    notebook = run("01_first_light", tmp_path)
    written = nbformat.read(NOTEBOOKS / "01_first_light.ipynb", as_version=4)
    sources = [cell.source for cell in written.cells if cell.cell_type == "code"]
    assert SETUP.strip() in sources
    assert 2 == sum(source.endswith(CELL.strip()) for source in sources)
    assert values(notebook)[-1].startswith("(30, ")
    assert "receipt of run" in printed(notebook)


def test_choose_a_site(tmp_path: Path) -> None:
    """The recommended site is taken where nobody can click; refusals are sentences; a choice by hand is followed."""
    notebook = run("02_choose_a_site", tmp_path)
    said = printed(notebook)
    assert "no site is surely done by" in said
    assert "log cannot travel, it is an open file" in said
    assert "'yesterday' is no due date" in said
    assert said.rstrip().endswith("windy")
    assert not (tmp_path / "progress.log").exists()


@pytest.mark.xdist_group("moves")
def test_move_a_running_cell(tmp_path: Path) -> None:
    """A forest, a grid search, an epoch loop and a pipeline are moved in the middle, and are as without a move."""
    notebook = run("03_move_a_running_cell", tmp_path)
    said = printed(notebook)
    assert 4 == said.count("windy -> coast: used again: ")
    assert 2 == said.count("a snapshot at statement")
    assert ["True"] * 4 == values(notebook)
    epochs = [line.split()[0] for line in said.splitlines() if line.split()[0].isdigit()]
    assert [str(n) for n in range(40)] == epochs[:40]


@pytest.mark.parametrize("name", ["01_first_light", "02_choose_a_site", "03_move_a_running_cell"])
def test_saved_outputs_read_well(name: str) -> None:
    """The notebooks are saved with their outputs, without errors, small, and without paths of a machine."""
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    ours = any("metadata" in output and output.metadata.get("greenkernel") for output in outputs)
    assert ours or name == "03_move_a_running_cell"  # it uses the Python API
    assert not any(output.output_type == "error" for output in outputs)
    assert path.stat().st_size < 400_000
    assert "/tmp/" not in path.read_text(encoding="utf-8")
    assert "/root/" not in path.read_text(encoding="utf-8")
