"""What reaches a cell on a site and what comes back, beyond values: files, settings, sources, parts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from greenkernel.errors import UserError
from greenkernel.home import Home
from greenkernel.runner.restore import check_python
from greenkernel.session import train
from tests.flows.test_notebook import execute, text_of

TRAIN = "%%greentrain --no-profile\n"


def test_names_reached_by_computed_text(home: Home) -> None:
    """``eval`` of a variable, ``globals()`` and ``dir()`` find what the notebook has; a lock is left out."""
    outputs = execute(
        "import threading\nx_1 = 5\nwhich = 'x_1'\nlock = threading.Lock()",
        TRAIN + "print(eval(which), globals()[f'x_{1}'], 'lock' in dir())",
    )
    assert "5 5 False\n" == text_of(outputs[1])


def test_files_that_only_a_slice_finds(home: Home, tmp_path: Path) -> None:
    """A file whose name is computed is opened by a slice, travels, and is written to on the site only."""
    (tmp_path / "a-b.txt").write_text("found")
    run = train(
        "parts = ['a', 'b']\nname = '-'.join(parts) + chr(46) + 'txt'\ntext = open(name).read()\n"
        "open(name, 'a').write('!')",
        namespace={},
        home=home,
        folder=tmp_path,
        wait=True,
    )
    assert "found" == run.names["text"]
    assert run.advice is not None
    assert ["a-b.txt"] == [file.path for file in run.advice.files]
    assert "found" == (tmp_path / "a-b.txt").read_text()
    assert [] == run.bring_files()
    assert "found!" == (tmp_path / "a-b.txt").read_text()


def test_variables_set_in_the_notebook(home: Home) -> None:
    """They are there where the cell runs, secrets excepted; what the cell sets is here afterwards."""
    outputs = execute(
        "import os\nos.environ['MODE'] = 'fast'\nos.environ['MY_TOKEN'] = 'abc'",
        TRAIN + "print(os.environ.get('MODE'), os.environ.get('MY_TOKEN'))\nos.environ['LEFT'] = '1'",
        "print(os.environ['LEFT'], os.environ['MY_TOKEN'])",
    )
    assert "fast None\n" == text_of(outputs[1])
    assert "1 abc\n" == text_of(outputs[2])


def test_the_source_of_an_earlier_cell(home: Home) -> None:
    """``inspect.getsource`` finds the text of a function that an earlier cell defined."""
    outputs = execute("def f(x):\n    return x  # as written", TRAIN + "import inspect\nprint(inspect.getsource(f))")
    assert "return x  # as written" in text_of(outputs[1])


def test_inner_objects_keep_their_identity(home: Home) -> None:
    """A part of an object that the cell changes is the same object under every name that holds it here."""
    outputs = execute(
        "class Net:\n    def __init__(self):\n        self.layers = [[1], {'w': [2]}]\n"
        "net = Net()\nfirst, inner = net.layers[0], net.layers[1]['w']\nalso = {'net': net, 'first': first}",
        TRAIN + "net.layers[0].append(3)\nnet.layers[1]['w'].append(4)\nnew = net.layers[0]",
        "print(first, inner, new is first, also['net'].layers[0] is also['first'], net.layers[1]['w'] is inner)",
    )
    assert "[1, 3] [2, 4] True True True\n" == text_of(outputs[2])


def test_a_fitted_pipeline_and_its_steps(home: Home) -> None:
    """A step of a pipeline that is held under a name of its own is fitted with it."""
    outputs = execute(
        "import numpy as np\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "X = np.arange(6.0).reshape(3, 2)\nscaler = StandardScaler()\npipe = make_pipeline(scaler)",
        TRAIN + "pipe.fit(X)",
        "print(scaler.mean_, pipe[0] is scaler)",
    )
    assert "[2. 3.] True\n" == text_of(outputs[2])


@pytest.mark.parametrize(
    "cell",
    [
        "x = input('?')",
        "ask()",
        "import getpass\nx = getpass.getpass()",
        "from getpass import getpass\nx = getpass()",
        "getpass()",
        "password()",
        "hidden()",
    ],
)
def test_input_is_refused(cell: str, home: Home) -> None:
    """In the cell itself and in a function that it uses, before anything runs."""
    space: dict[str, object] = {"__name__": "__main__"}
    exec("def ask():\n    return input('?')", space)
    exec("from getpass import getpass\nimport getpass as g\ndef password():\n    return getpass()", space)
    exec("def hidden():\n    return g.getpass()", space)
    with pytest.raises(UserError, match=r"asks for input\(\)"):
        train(cell, namespace=space, home=home)


def test_another_python_is_refused() -> None:
    """By name, with what to do."""
    with pytest.raises(UserError, match=r"the notebook has Python 3\.7\.1 .* Choose a site with Python 3\.7"):
        check_python("3.7.1")


def test_a_widget_shows_its_text(home: Home) -> None:
    """A widget of the cell is displayed by its plain text; the run is none the worse."""
    outputs = execute(TRAIN + "import ipywidgets\nipywidgets.IntSlider(value=3)")
    assert any("IntSlider" in output.get("data", {}).get("text/plain", "") for output in outputs[0])


def test_a_function_that_is_a_task(home: Home) -> None:
    """Decorated, a function returns a run, with options or without."""
    import greenkernel

    @greenkernel.task(no_profile=True, home=home)
    def add(a: int, b: int = 1) -> int:
        return a + b

    assert 5 == add(2, b=3).result()
    assert "add" == add.__name__


def test_the_seed_of_hashes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of texts, and so the order of sets, are the notebook's own where these are fixed."""
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    run = train("seeded = hash('word')", namespace={}, home=home, no_profile=True, wait=True)
    plain = subprocess.run([sys.executable, "-c", "print(hash('word'))"], capture_output=True, text=True, check=True)
    assert int(plain.stdout) == run.names["seeded"]


def test_a_module_that_was_edited_is_named(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is imported anew there, as it is by now, unlike here; one that is as it was imported is not named."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for name in ("edited_since", "as_it_was"):
        (tmp_path / f"{name}.py").write_text("def value():\n    return 1\n")
        __import__(name)
    (tmp_path / "edited_since.py").write_text("def value():\n    return 'another'\n")
    run = train(
        "import edited_since, as_it_was\nvalue = edited_since.value()",
        namespace={},
        home=home,
        folder=tmp_path,
        no_profile=True,
        wait=True,
    )
    assert "another" == run.names["value"]
    said = [line for line in run.submission.capture.not_sent if "was edited since" in line]
    assert ["the module edited_since was edited since it was imported here: there it is as it is edited"] == said
