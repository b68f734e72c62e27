"""The magics in a real Jupyter kernel: names, values, output and errors are where a plain cell would have put them."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from greenkernel.home import Home

LOAD = "%load_ext greenkernel"


def execute(*cells: str) -> list[Any]:
    """Run cells in a fresh kernel; the outputs of each."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (LOAD, *cells)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells[1:]]


def text_of(outputs: list[Any], stream: str = "stdout") -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == stream)


def value_of(outputs: list[Any]) -> str | None:
    found = [output.data["text/plain"] for output in outputs if output.output_type == "execute_result"]
    return found[-1] if found else None


def test_a_cell_leaves_what_it_would_have_left(home: Home) -> None:
    """Names are bound, functions live in the notebook's namespace, the last value is Out, stdout is the cell's own."""
    outputs = execute(
        "a = [1, 2]\ndef twice(x):\n    return factor * x\nfactor = 2",
        "%%greentrain --auto --no-profile\nprint('working')\n"
        "def thrice(x):\n    return three * x\nb = [twice(x) for x in a]\nb",
        "three = 3\nprint(b, thrice(5), thrice.__globals__ is globals())",
    )
    assert "working\n" == text_of(outputs[1])
    assert "[2, 4]" == value_of(outputs[1])
    assert "[2, 4] 15 True\n" == text_of(outputs[2])


def test_our_words_are_displays(home: Home) -> None:
    """What we have to say is in displays with plain text and HTML, not in the cell's streams."""
    outputs = execute("%%greentrain --auto --no-profile\nx = 1;")[0]
    assert "" == text_of(outputs) + text_of(outputs, "stderr")
    ours = [o for o in outputs if o.output_type == "display_data"]
    assert any("receipt" in o.data["text/plain"] and "<div" in o.data["text/html"] for o in ours)
    assert value_of(outputs) is None


def test_where_nobody_can_click_it_says_what_is_chosen(home: Home) -> None:
    """Without --auto, --wait and --site the recommended site is taken, which is said."""
    said, *others = execute(*(f"%%greentrain --no-profile{more}\nx = 1" for more in ("", " --auto", " --site near")))
    words = "nobody can choose here: the recommended site is taken"
    assert any(words in output.data["text/plain"] for output in said if output.output_type == "display_data")
    assert words not in str(others)


def test_large_values_are_taken_with_progress(home: Home) -> None:
    """It is said how much is being taken, in one line that is replaced; small ones are taken without a word."""
    small, large = execute(
        "import numpy as np\nx = np.ones(10)\ny = np.ones(9_000_000)",
        "%%greentrain --no-profile --wait\nx.sum()",
        "%%greentrain --no-profile --wait\ny.sum()",
    )[1:]
    assert "the values" not in str([output.data for output in small if output.output_type == "display_data"])
    said = [output.data["text/plain"] for output in large if output.output_type == "display_data"]
    assert 1 == sum(text.startswith("took the values: 69 MiB in ") for text in said)


def test_errors_are_the_cells_own(home: Home) -> None:
    """The notebook stops with the cell's exception; names bound before it are there."""
    with pytest.raises(CellExecutionError) as caught:
        execute("%%greentrain --auto --no-profile\nx = 7\nraise ValueError('of the cell')")
    assert "ValueError" == caught.value.ename
    assert "of the cell" == caught.value.evalue
    assert "greenkernel/" not in caught.value.traceback
    assert "raise ValueError" in caught.value.traceback


def test_mistakes_have_no_traceback_of_ours(home: Home) -> None:
    """A misspelt option is one sentence."""
    with pytest.raises(CellExecutionError) as caught:
        execute("%%greentrain --deu 18:00\nx = 1")
    assert "Did you mean --due" in caught.value.evalue
    assert "greenkernel/" not in caught.value.traceback


def test_line_magics(home: Home) -> None:
    """Sites, runs and receipts are listed in the notebook."""
    outputs = execute(
        "%greensites",
        "%%greentrain --auto --no-profile --name first\nx = 1",
        "%greenruns",
        "%greenreport",
    )
    assert "near" in text_of(outputs[0])
    assert "first" in text_of(outputs[2])
    assert "receipt" in text_of(outputs[3])


def test_help_is_complete(home: Home) -> None:
    """``%%greentrain?`` shows every option."""
    outputs = execute("print(get_ipython().find_cell_magic('greentrain').__doc__)")
    assert all(f"--{name}" in text_of(outputs[0]) for name in ("due", "goal", "site", "knob", "dry-run", "json"))


def test_attach_overwrites_nothing(home: Home) -> None:
    """Names that were bound since the run was sent or taken stay, also in a kernel that knows nothing of the run."""
    execute("counts = [0]", "%%greentrain --name since\ncounts.append(1)\nname, other = 'run', 'run'")
    again = execute(
        "name = 'mine'",
        "%greenruns attach since",
        "print(name, other, counts)",
        "other = 'mine too'",
        "%greenruns attach since",
        "print(name, other, counts)",
    )
    assert "name was bound anew in the notebook meanwhile and stays so" in str(again[1])
    assert "mine run [0, 1]" in str(again[2])
    assert "mine mine too [0, 1]" in str(again[-1])
    same = execute(
        "counts = [0]; name = 'before'",
        "%%greentrain --name twice\ncounts.append(1)\nname = 'run'",
        "name, counts = 'mine', ['mine']",
        "%greenruns attach twice",
        "print(name, counts)",
    )
    assert "mine ['mine']" in str(same[-1])


def test_attach_in_a_new_kernel(home: Home) -> None:
    """A run of one kernel is taken back by another one, with its names."""
    execute("%%greentrain --auto --no-profile --name kept\nx = 40 + 2")
    outputs = execute("%greenruns attach kept", "print(x)")
    assert "42\n" == text_of(outputs[1])


def test_fitted_in_place(home: Home) -> None:
    """An estimator that the cell fits is the same object afterwards, fitted, under every name that holds it."""
    outputs = execute(
        "from sklearn.linear_model import LinearRegression\nimport numpy as np\n"
        "X = np.arange(10.0).reshape(-1, 1)\nmodel = LinearRegression()\nholder = [model]",
        "%%greentrain --auto --no-profile\nmodel.fit(X, 3 * X[:, 0]);",
        "print(holder[0] is model, round(float(model.coef_[0]), 6))",
    )
    assert "True 3.0\n" == text_of(outputs[2])
