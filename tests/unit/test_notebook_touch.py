"""Which later cells wait for a pending one, and which are shown not to need it."""

from __future__ import annotations

import ast
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.utils import shuffle

from greenkernel.cell.transform import to_python
from greenkernel.notebook.pending import Notebook
from greenkernel.notebook.placeholder import Placeholder
from greenkernel.notebook.reach import reached
from greenkernel.notebook.touch import touched
from greenkernel.records import Profile


class _Run:
    def __init__(self, name: str) -> None:
        self.id = name
        self.advice: Any = None


class _Model:
    def __init__(self) -> None:
        self.state: list[int] = []


def _namespace() -> dict[str, Any]:
    X = np.arange(12.0)
    model = _Model()
    space: dict[str, Any] = {
        "__name__": "__main__",
        "np": np,
        "pd": pd,
        "time": time,
        "X": X,
        "view": X[2:5],
        "model": model,
        "models": [model],
        "df": pd.DataFrame({"a": [1, 2]}),
        "other": [1, 2],
        "n": 3,
        "y": [0, 1] * 6,
        "shuffle": shuffle,
        "LinearRegression": LinearRegression,
        "RandomForestClassifier": RandomForestClassifier,
        "forest": RandomForestClassifier(3),
        "seeded": RandomForestClassifier(3, random_state=1),
    }
    exec(
        "def uses():\n    return fitted\ndef safe():\n    return n\ndef sets():\n    global n\n    n = 4\n"
        "def listed():\n    import os\n    return os.listdir('.')",
        space,
    )
    return space


def _tree(cell: str) -> ast.Module:
    return ast.parse(to_python(cell, "<cell>"))


def _waits(pending: str, later: str) -> str:
    space = _namespace()
    notebook = Notebook(space)
    touch = touched(_tree(pending), space, whole=True)
    notebook.add(_Run("r1"), touch, touch.reads, 1)
    return "; ".join(why for _, why in notebook.reasons(touched(_tree(later), space)))


FIT = "fitted = model.fit(X)"


@pytest.mark.parametrize(
    "later",
    [
        "x = 1",
        "print('hello', n)",
        "def f(a):\n    return fitted",
        "class C:\n    pass",
        "import json\njson.dumps({'a': n})",
        "fitted = 3",
        "df.head()",
        "np.arange(3) * 2",
        "other.append(3)",
        "[len(str(i)) for i in range(3)]",
        "%greenruns list",
        "%matplotlib inline",
        "'a,b'.split(',')",
    ],
)
def test_shown_to_be_independent(later: str) -> None:
    """A cell that only rebinds, defines, looks at other values or calls what is known to be harmless does not wait."""
    assert "" == _waits(FIT, later)


@pytest.mark.parametrize(
    ("later", "why"),
    [
        ("fitted.predict(X)", "it uses fitted"),
        ("model", "it uses model"),
        ("models[0]", "models may hold"),
        ("uses()", "it uses fitted"),
        ("del fitted", "it uses fitted"),
        ("fitted += 1", "it uses fitted"),
        ("print(f'{fitted}')", "it uses fitted"),
        ("_", "last value"),
        ("Out[1]", "last value"),
        ("!ls", "effects are not known"),
        ("eval(text)", "effects are not known"),
        ("np.random.rand(3)", "effects are not known"),
        ("np.save('x.npy', X)", "effects are not known"),
        ("with open('f') as f: pass", "effects are not known"),
        ("something()", "effects are not known"),
        ("%run other.py", "effects are not known"),
        ("print = 3\nprint(1)", "effects are not known"),
        ("%%greentrain\nfitted.score(X)", "it uses fitted"),
    ],
)
def test_everything_else_waits(later: str, why: str) -> None:
    """What uses a name of the run, an object that it may change, or does what nobody knows, waits and says why."""
    assert why in _waits(FIT, later)


def test_shared_memory_counts() -> None:
    """A view of an array that the run writes into is waited for; another array is not."""
    assert "view may hold" in _waits("X[0] = 1", "view")
    assert "" == _waits("X[0] = 1", "other")


def test_a_function_that_binds_for_the_notebook() -> None:
    """A name that a function of the notebook binds by a global statement is waited for."""
    assert "it uses n" in _waits("sets()", "print(n)")
    assert "" == _waits("safe()", "print(n)")


@pytest.mark.parametrize(
    "later",
    [
        "max(other, key=lambda i: fitted[i])",
        "sorted(other, key=lambda i: -fitted[i])",
        "list(map(lambda i: fitted[i], other))",
        "other.sort(key=lambda i: fitted[i])",
        "def key(i):\n    return fitted[i]\nmax(other, key=key)",
        "key = lambda i: fitted[i]\nmax(other, key=key)",
        "class K:\n    def key(i):\n        return fitted[i]\nmax(other, key=K.key)",
        "@print\ndef key():\n    return fitted",
    ],
)
def test_functions_that_a_cell_uses_run_in_it(later: str) -> None:
    """What is handed on as a function is called, also by what is harmless itself."""
    assert "it uses fitted" in _waits(FIT, later)


@pytest.mark.parametrize(
    "later",
    [
        "key = lambda i: fitted[i]",
        "class K:\n    def key(self):\n        return fitted",
        "max(other, key=lambda i: -i)",
    ],
)
def test_functions_that_a_cell_only_binds_do_not(later: str) -> None:
    """Nor does one that uses something else have to wait."""
    assert "" == _waits(FIT, later)


@pytest.mark.parametrize(
    ("pending", "later"),
    [
        ("df.to_pickle(name)", "!cat model.pkl"),
        ("!echo 5 > x.csv", "pd.read_csv('x.csv')"),
        ("!echo 5 > x.csv", "import os\nos.listdir('.')"),
        ("df.to_csv(name)", "%%bash\nls"),
        ("df.to_csv(name)", "np.loadtxt(name)"),
        ("np.save(name, X)", "listed()"),
        ("%cd ..", "pd.read_csv(name)"),
        ("open('mine_to_come.py', 'w').write('x = 1')", "import mine_to_come"),
    ],
)
def test_a_cell_of_ours_that_may_read_files_waits_for_one_that_may_write_some(pending: str, later: str) -> None:
    """Programs and functions of the notebook may do either, and a module may be one of the files."""
    why = _waits(pending, f"%%greentrain\n{later}")
    assert "files" in why or "settings" in why
    assert "" != _waits(pending, later)


def test_a_cell_of_ours_that_computes_names_waits() -> None:
    """What its text does not name may be what is pending."""
    assert "it may use what the run binds (eval)" in _waits(FIT, "%%greentrain\nw = eval('fit' + 'ted')")
    assert "" == _waits("pass", "%%greentrain\nw = eval('fit' + 'ted')")


@pytest.mark.parametrize(
    ("later", "waits"),
    [
        ("shuffle(other)", True),
        ("df.sample(2)", True),
        ("RandomForestClassifier(5).fit(X, y)", True),
        ("forest.fit(X, y)", True),
        ("mine = RandomForestClassifier(5)\nmine.fit(X, y)", True),
        ("df.sample(2, random_state=3)", False),
        ("RandomForestClassifier(5, random_state=0).fit(X, y)", False),
        ("mine = RandomForestClassifier(5, random_state=0)\nmine.fit(X, y)", False),
        ("seeded.fit(X, y)", False),
        ("LinearRegression().fit(X, y)", False),
        ("np.sum(X)", False),
    ],
)
def test_two_of_ours_that_may_draw_come_one_after_the_other(later: str, waits: bool) -> None:
    """Each goes on with the random state that the one before has left; with seeds they run beside each other."""
    why = _waits("grown = RandomForestClassifier(3).fit(X, y)", f"%%greentrain\n{later}")
    assert ("both may draw random numbers" in why) == waits


def test_programs_change_no_settings() -> None:
    """What shows values does not wait for a shell line."""
    assert "" == _waits("!ls", "df.head()")


def test_files_and_settings() -> None:
    """A run that may write files is waited for where some are read; one that may change settings where values show."""
    assert "files" in _waits("df.to_csv('out.csv')", "%%greentrain\npd.read_csv('out.csv')")
    assert "settings" in _waits("pd.set_option('display.precision', 2)", "df.head()")
    assert "" == _waits("pd.set_option('display.precision', 2)", "y = 3")


def test_two_of_ours_run_beside_each_other() -> None:
    """A second cell of ours that needs nothing of the first is sent at once."""
    assert "" == _waits("m = np.sum(X)\ntime.sleep(1)", "np.arange(2)\ny = time.time() > 0")
    assert "it uses np" in _waits("m = np.random.rand()", "z = np.random.rand()")
    assert "" == _waits(FIT, "%%greentrain\nz = [i for i in range(n)]")


def test_a_placeholder_refuses_all_but_a_look() -> None:
    """It says which run will bind it; every use is a sentence."""
    held = Placeholder("clf", "r1")
    assert "<bound when run r1 ends>" == repr(held)
    for use in ("held.predict", "held()", "held + 1", "len(held)", "bool(held)", "[*held]", "held[0]", "str(held)"):
        with pytest.raises(Exception, match="clf is bound when run r1 ends"):
            eval(use, {"held": held})


def test_binding_in_order_of_submission() -> None:
    """Of two runs on one name the later wins, whichever ends first; a value that the user bound stays."""
    space = _namespace()
    notebook = Notebook(space)
    touch = touched(_tree("a = 1\nb = 2"), space)
    first = notebook.add(_Run("r1"), touch, frozenset(), 1)
    second = notebook.add(_Run("r2"), touch, frozenset(), 2)
    assert isinstance(space["a"], Placeholder)
    space["b"] = "mine"
    kept, messages = notebook.bindable(second)
    assert {"b"} == kept
    assert "b was bound anew" in messages[0]
    space["a"] = "second's"
    notebook.done(second, {"a": "second's"})
    kept, _ = notebook.bindable(first)
    assert {"a", "b"} == kept
    notebook.done(first, {})
    assert "second's" == space["a"]
    assert () == notebook.pending


def test_what_comes_to_nothing_leaves_nothing() -> None:
    """Placeholders of a run that bound nothing are gone; old values are as they were."""
    space = _namespace()
    notebook = Notebook(space)
    pending = notebook.add(_Run("r1"), touched(_tree("df = df.dropna()\nnew = 1"), space), frozenset({"df"}), 1)
    df = space["df"]
    notebook.done(pending, {})
    assert df is space["df"]
    assert "new" not in space


def test_changes_at_both_ends_are_seen() -> None:
    """An object that the run may change and that was changed here meanwhile is a conflict; an unchanged one is none."""
    space = _namespace()
    notebook = Notebook(space)
    pending = notebook.add(_Run("r1"), touched(_tree("model.fit(X); other.append(1)"), space), frozenset(space), 1)
    assert set() == notebook.conflicts(pending)
    space["other"].append(5)
    assert {"other"} == notebook.conflicts(pending)


def test_what_a_slice_has_changed_is_waited_for() -> None:
    """The pending cell's text does not say that it changes ``other``; once a slice has, its readers wait."""
    space = _namespace()
    notebook = Notebook(space)
    run, later = _Run("r1"), touched(_tree("print(other)"), space)
    pending = notebook.add(run, touched(_tree("made = sorted(other)"), space, whole=True), frozenset(space), 1)
    assert [] == notebook.reasons(later)
    run.advice = SimpleNamespace(profile=Profile(slices=(), changed=("other", "gone")))
    assert [pending] == [found for found, _ in notebook.reasons(later)]
    assert set() == notebook.conflicts(pending)


def test_reach_goes_through_containers_and_views() -> None:
    """Objects inside objects are found, and so is the memory behind a view."""
    inner = [1]
    array = np.zeros(4)
    assert id(inner) in (reached([{"a": (inner,)}]) or set())
    assert id(array) in (reached([array[1:]]) or set())
