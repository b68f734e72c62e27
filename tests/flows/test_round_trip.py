"""Cells there and back through a local store and a child process, against the same cells run here."""

from __future__ import annotations

import ast
import contextlib
import io
import random
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenkernel.errors import UserError
from tests.flows.cellrun import FILE, notebook, shown, there_and_back

NUMPY = "import numpy as np\n"


@dataclass(frozen=True)
class Case:
    """A cell in a notebook; ``probe`` is looked at afterwards in both."""

    name: str
    cell: str
    probe: str = "None"
    setup: str = ""


CASES = [
    Case("a name", "x = 1", "x"),
    Case("the last expression", "x = 2\nx + 1", "x"),
    Case("a trailing semicolon hides the value", "x = 2\nx + 1;", "x"),
    Case("a semicolon in a comment hides nothing", "x = 2\nx + 1  # so;", "x"),
    Case("None is not shown", "print('p')", "0"),
    Case("printing without a newline", "print('a', end='')\nprint('b', end='\\r')\nprint('c')"),
    Case("both streams", "import sys\nprint('out')\nprint('err', file=sys.stderr)"),
    Case("empty lines and comments first", "\n\n# a comment\n\nx = 5", "x"),
    Case("no newline at the end", "x = 5\nif x:\n    y = 6", "(x, y)"),
    Case("CRLF", "x = 1\r\ny = '''a\r\nb'''\r\nx + 1\r\n", "(x, y)"),
    Case("tabs", "if True:\n\tx = 1\n\ty = 'a\tb'", "(x, y)"),
    Case("unicode names", "größe = α + 1\nℵ = 'é'", "(größe, ℵ)", "α = 2"),
    Case("a triple-quoted string keeps its lines", "s = '''\n  a\n    b\n'''", "s"),
    Case("reading and rebinding", "x = x + 1\nx += 1", "x", "x = 1"),
    Case("deleting", "del x", "'x' in globals() or sorted(n for n in globals() if len(n) == 1)", "x = y = 1"),
    Case("deleting and binding anew", "del x\nx = 9", "x", "x = 1"),
    Case("unpacking, walrus, loop variable", "a, *b = 1, 2, 3\nfor i in range(3): pass\n(c := 4)", "(a, b, i, c)"),
    Case("a comprehension leaks nothing", "x = [q for q in range(3)]", "(x, 'q' in globals())"),
    Case(
        "helpers call helpers",
        "r = outer(2)",
        "r",
        "K = 3\ndef inner(a): return a + K\ndef outer(a): return inner(a) * 2",
    ),
    Case("recursion", "r = fac(6)", "r", "def fac(n): return 1 if n < 2 else n * fac(n - 1)"),
    Case(
        "functions that call each other",
        "r = even(7)",
        "r",
        "def even(n): return True if n == 0 else odd(n - 1)\ndef odd(n): return False if n == 0 else even(n - 1)",
    ),
    Case(
        "a cached function",
        "r = fib(30)",
        "(r, fib(31))",
        "from functools import lru_cache\n@lru_cache\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
    ),
    Case(
        "a decorated function",
        "r = f(1)",
        "(r, f.__name__)",
        "import functools\nlog = []\ndef twice(g):\n    @functools.wraps(g)\n    def h(x):\n        log.append(x)\n"
        "        return g(g(x))\n    return h\n@twice\ndef f(x): return x + STEP\nSTEP = 10",
    ),
    Case("a closure", "r = add(5)", "(r, add(6))", "def make(n):\n    return lambda x: x + n\nadd = make(3)"),
    Case(
        "a closure that counts",
        "count()\ncount()",
        "count()",
        "def counter():\n    n = 0\n    def count():\n        nonlocal n\n        n += 1\n        return n\n"
        "    return count\ncount = counter()",
    ),
    Case("lambdas in a dict", "r = ops['add'](1, 2)", "r", "Z = 1\nops = {'add': lambda a, b: a + b + Z}"),
    Case(
        "a partial",
        "r = p(2)",
        "r",
        "from functools import partial\nB = 4\ndef f(a, b): return a + b + B\np = partial(f, 3)",
    ),
    Case("a default that is a notebook's value", "r = f()", "r", "base = [1]\ndef f(a=base): return sum(a)"),
    Case("global inside a function", "bump()\nbump()", "n", "n = 0\ndef bump():\n    global n\n    n += 1"),
    Case(
        "a function of the cell uses the notebook", "def f(a): return g(a) + K", "f(1)", "K = 5\ndef g(a): return a * K"
    ),
    Case(
        "a function of the cell is found by one of the notebook", "def g(): return 'new'", "f()", "def f(): return g()"
    ),
    Case(
        "a class of the cell",
        "class P:\n    def __init__(s, v): s.v = v\np = P(3)",
        "(p.v, type(p) is P, isinstance(p, P))",
    ),
    Case(
        "a class with methods that use globals",
        "m = Model().fit([1, 2])",
        "(m.total, isinstance(m, Model), type(m) is Model)",
        "SCALE = 10\ndef scaled(v): return v * SCALE\nclass Model:\n    def fit(self, xs):\n"
        "        self.total = scaled(sum(xs))\n        return self",
    ),
    Case(
        "inheritance, super, property, class method",
        "c = Child.make()\nr = c.name",
        "(r, isinstance(c, Base), c.twice)",
        "class Base:\n    def __init__(self): self.n = 2\n    @property\n    def twice(self): return self.n * F\n"
        "class Child(Base):\n    @classmethod\n    def make(cls): return cls()\n    def __init__(self):\n"
        "        super().__init__()\n        self.name = 'c'\nF = 2",
    ),
    Case(
        "an instance whose class the cell does not name",
        "m.go()",
        "(m.z, m.go.__func__ is type(m).go)",
        "H = 3\nclass M:\n    def go(self): self.z = H\nm = M()",
    ),
    Case("a class attribute changed", "M.n += 1\nM.seen = [1]", "(M.n, m.n, M.seen)", "class M:\n    n = 1\nm = M()"),
    Case(
        "a dataclass",
        "q = P(1, 2)\np.x = 7",
        "(q, p, q == P(1, 2))",
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int = 0\np = P(5)",
    ),
    Case(
        "an enum",
        "c = Color.RED",
        "(c is Color.RED, c.name)",
        "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2",
    ),
    Case(
        "a named tuple",
        "t = T(1, b=2)",
        "(t, t.b, isinstance(t, T))",
        "from collections import namedtuple\nT = namedtuple('T', 'a b')",
    ),
    Case("a list changed in place", "xs.append(4)", "(xs, ys is xs)", "xs = [1]\nys = xs"),
    Case(
        "a dict and a set changed in place",
        "d['b'] = 2\ns.add(3)\ndel d['a']",
        "(d, s, box[0] is d, box[1] is s)",
        "d = {'a': 1}\ns = {1}\nbox = [d, s]",
    ),
    Case("nested containers", "d['k'][0].append(1)", "d", "d = {'k': [[0], ()]}"),
    Case("a list that holds itself", "xs.append(2)", "(xs[0] is xs, xs[1:])", "xs = []\nxs.append(xs)"),
    Case("aliases among new names", "a = [1]\nb = a\nc = {'a': a}", "(a is b, c['a'] is a)"),
    Case("an alias of what was there", "best = xs\nboth = (xs, best)", "(best is xs, both[0] is xs)", "xs = [1, 2]"),
    Case(
        "a slice assigned",
        "a[1:3] = 7",
        "(a.tolist(), v.tolist(), v.base is a or np.shares_memory(a, v))",
        NUMPY + "a = np.arange(5)\nv = a[2:]",
    ),
    Case(
        "a view of a big array",
        "v += 1",
        "(a.sum(), np.shares_memory(a, v))",
        NUMPY + "a = np.zeros(50_000)\nv = a[10:20]",
    ),
    Case(
        "new arrays that share memory",
        "b = np.arange(30_000.0)\nw = b.reshape(3, -1).T",
        "(np.shares_memory(b, w), w.sum(), w.strides)",
        NUMPY,
    ),
    Case(
        "Fortran order and strides",
        "s = float(f.sum() + h.sum())\ng = np.asfortranarray(f * 2)",
        "(s, g.flags.f_contiguous, g.flags.writeable)",
        NUMPY + "f = np.asfortranarray(np.ones((200, 300)))\nh = np.arange(90_000).reshape(300, 300)[::2, ::3]",
    ),
    Case(
        "a read-only array",
        "ok = a.flags.writeable, s.flags.writeable\nt = a",
        "(ok, t.flags.writeable)",
        NUMPY + "a = np.ones(20_000)\na.flags.writeable = False\ns = np.ones(3)\ns.flags.writeable = False",
    ),
    Case(
        "object, structured and date arrays",
        "r = [x.dtype.str for x in (o, s, d)]\no[0] = 'z'\ns['a'] = 4",
        "(r, o, s, d)",
        NUMPY + "o = np.array(['a', None], dtype=object)\ns = np.zeros(2, dtype=[('a', 'i4'), ('b', 'f8')])\n"
        "d = np.array(['2020-01-01'], dtype='M8[D]')",
    ),
    Case(
        "a random generator goes on", "x = rng.normal()", "(x, rng.normal())", NUMPY + "rng = np.random.default_rng(3)"
    ),
    Case("random.Random goes on", "x = r.random()", "(x, r.random())", "import random\nr = random.Random(5)"),
    Case(
        "a frame",
        "df['c'] = df.a * 2\nout = df.groupby('k', observed=True).c.sum()",
        "(df.to_dict(), out.to_dict(), df.dtypes.astype(str).to_dict(), same is df)",
        "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2, 3], 'k': pd.Categorical(['x', 'y', 'x']), "
        "'t': pd.date_range('2020', periods=3, tz='UTC')})\nsame = df",
    ),
    Case(
        "a frame rebound",
        "df = df.dropna().reset_index(drop=True)",
        "(df.a.tolist(), old.a.isna().sum())",
        "import pandas as pd\ndf = pd.DataFrame({'a': [1.0, None, 3.0]})\nold = df",
    ),
    Case(
        "an estimator fitted in place",
        "clf.fit(X, y)",
        "(clf.predict(X).tolist(), kept[0] is clf, X.shape)",
        NUMPY + "from sklearn.tree import DecisionTreeClassifier\nX = np.random.default_rng(0).normal(size=(60, 3))\n"
        "y = (X[:, 0] > 0).astype(int)\nclf = DecisionTreeClassifier(random_state=0)\nkept = [clf]",
    ),
    Case(
        "a pipeline of the cell",
        "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\n"
        "pipe = make_pipeline(StandardScaler(), clf).fit(X, y)\nscore = pipe.score(X, y)",
        "(score, pipe.predict(X).tolist(), pipe[-1] is clf)",
        NUMPY
        + "from sklearn.linear_model import LogisticRegression\nX = np.random.default_rng(0).normal(size=(60, 3))\n"
        "y = (X[:, 0] > 0).astype(int)\nclf = LogisticRegression()",
    ),
    Case(
        "workers in other processes",
        "from joblib import Parallel, delayed\nr = Parallel(n_jobs=2, backend='loky')(delayed(f)(i) for i in range(4))",
        "r",
        "class P:\n    def __init__(self, v): self.v = v\ndef f(i): return g(i).v + K\ndef g(i): return P(i)\nK = 100",
    ),
    Case(
        "imports bind names",
        "import os.path as osp, json\nfrom math import pi as π\nimport xml.dom",
        "(osp.sep, json.dumps(1), π, xml.dom.__name__)",
    ),
    Case("await", "import asyncio\nawait asyncio.sleep(0)\nx = 1", "x"),
    Case(
        "async for and a coroutine of the notebook",
        "xs = [v async for v in agen()]\ny = await co()",
        "(xs, y)",
        "async def agen():\n    yield 1\n    yield 2\nasync def co(): return W\nW = 3",
    ),
    Case("__main__", "r = __name__", "r"),
    Case("an error on line 3", "x = 1\n\n1 / 0\ny = 2", "(x, 'y' in globals())"),
    Case("an error in a helper", "x = bad(0)", "'x' in globals()", "def bad(v):\n    return 1 / v"),
    Case("a chained error", "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('no k') from e"),
    Case("an error with a note", "e = ValueError('v')\ne.add_note('a note')\nraise e", "e.args"),
    Case("an exception class of the notebook", "raise Mine('m', 3)", "0", "class Mine(Exception): pass"),
    Case(
        "an exception class of the cell",
        "class Own(RuntimeError):\n    pass\nraise Own('o')",
        "issubclass(Own, RuntimeError)",
    ),
    Case("a missing name", "x = 1\nnowhere + 1", "x"),
    Case("a SystemExit", "import sys\nsys.exit(3)"),
    Case("a KeyboardInterrupt", "raise KeyboardInterrupt"),
    Case(
        "an assertion in a loop",
        "done = []\nfor i in range(5):\n    done.append(i)\n    assert i < 2, f'stop at {i}'",
        "(done, i)",
    ),
    Case("a SyntaxError at run time", "eval('1 +')"),
    Case("endless recursion", "f(1)", "0", "def f(n): return f(n + 1)"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_cell_is_as_if_it_had_run_here(case: Case, tmp_path: Path) -> None:
    """Names, values, printed text, the last value and the error equal those of a plain run."""
    here, there = notebook(case.setup), notebook(case.setup)
    names_before = set(here)
    plain = _plain(case.cell, here)

    away = there_and_back(case.cell, there, tmp_path)

    assert plain.out == away.text("stdout")
    assert plain.err == away.text("stderr")
    assert repr(plain.value) == repr(away.value)
    assert _error_words(plain.error) == _error_words(away.error)
    assert sorted(set(here) - names_before) == sorted(set(there) - names_before)
    assert repr(eval(case.probe, here)) == repr(eval(case.probe, there))
    assert [] == away.messages


@dataclass
class _Plain:
    value: Any
    out: str
    err: str
    error: BaseException | None


def _plain(cell: str, namespace: dict[str, Any]) -> _Plain:
    import asyncio
    import inspect

    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    steps: list[tuple[ast.Module | ast.Expression, str]] = [(tree, "exec")]
    if last is not None:
        steps.append((ast.Expression(last.value), "eval"))
    plain = _Plain(None, "", "", None)

    async def run() -> None:
        for node, mode in steps:
            value = eval(compile(node, FILE, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
            plain.value = await value if inspect.iscoroutine(value) else value

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            coroutine = run()
            if "await" in cell or "async" in cell:
                asyncio.run(coroutine)
            else:
                with contextlib.suppress(StopIteration):
                    coroutine.send(None)
        except BaseException as e:
            plain.error = e
    plain.out, plain.err = out.getvalue(), err.getvalue()
    if cell.endswith("1;") or plain.error is not None:
        plain.value = None
    return plain


def _error_words(error: BaseException | None) -> object:
    """Type, message, notes and the notebook's lines of an exception and of what it hangs on."""
    if error is None:
        return None
    lines = [
        (frame.filename, frame.lineno, frame.name)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename in (FILE, "<earlier cell>")
    ]
    rest = _error_words(error.__cause__ or error.__context__)
    notes = getattr(error, "__notes__", [])
    return type(error).__qualname__, str(error), notes, lines[:20], error.__suppress_context__, rest


def test_the_traceback_shows_the_cells_own_lines(tmp_path: Path) -> None:
    """The words of the line that failed are in the traceback, and what was at work in it is marked."""
    away = there_and_back("values = [1, 2]\n\nvalues[5]  # too far\n", notebook(), tmp_path)
    assert away.error is not None
    text = shown(away.error)
    assert f'File "{FILE}", line 3, in <module>\n    values[5]  # too far\n    ~~~~~~^^^\nIndexError' in text
    assert 3 == away.result.error.frames[-1].line if away.result.error else False


def test_an_exception_that_cannot_be_pickled_has_a_stand_in(tmp_path: Path) -> None:
    """Its type, message and line are shown all the same."""
    cell = (
        "import threading\nclass Odd(Exception):\n    def __str__(self): return 'odd one'\nraise Odd(threading.Lock())"
    )
    away = there_and_back(cell, notebook(), tmp_path)
    assert "RemoteCellError" == type(away.error).__name__
    assert "Odd: odd one" == str(away.error)


def test_an_exception_that_holds_a_lock_comes_without_it(tmp_path: Path) -> None:
    """An attribute that cannot travel costs itself alone; the constructor is not called."""
    made = "def __init__(self, a, *, b):\n        super().__init__(a)\n        self.b, self.lock = b, threading.Lock()"
    cell = f"import threading\nclass Odd(Exception):\n    {made}\nraise Odd('odd one', b=2)"
    away = there_and_back(cell, notebook(), tmp_path)
    error: Any = away.error
    assert ("Odd", 2, False) == (type(error).__name__, error.b, hasattr(error, "lock"))


def test_one_result_that_cannot_travel_costs_that_name_alone(tmp_path: Path) -> None:
    """The others are bound, and the reason is said."""
    space = notebook()
    away = there_and_back("a = 1\ng = (i for i in range(3))\nnext(g)\nb = [2]", space, tmp_path)
    assert (1, [2]) == (space["a"], space["b"])
    assert "g" not in space
    assert ["g"] == list(away.result.not_returned)
    assert "generator" in away.messages[0]


def test_a_last_value_that_cannot_travel_still_looks_as_it_did(tmp_path: Path) -> None:
    """Its text is what it was there."""
    away = there_and_back("import threading\nthreading.Lock()", notebook(), tmp_path)
    assert repr(away.value).startswith("<unlocked _thread.lock object")


def test_a_class_of_the_notebook_can_be_pickled_there(tmp_path: Path) -> None:
    """Plain pickle finds it in ``__main__``, although the cell names only an instance."""
    space = notebook("class M: v = 1\nm = M()")
    there_and_back("import pickle\nq = pickle.loads(pickle.dumps(m))\nr = type(q) is type(m)", space, tmp_path)
    assert space["r"]
    assert isinstance(space["q"], space["M"])


CHANGED_IN_PLACE = [
    ("d", "d.extend([1])", "from collections import deque\nd = deque([0], maxlen=4)", "list(d), d.maxlen"),
    ("d", "d['x'] += 1", "from collections import Counter\nd = Counter('x')", "d"),
    ("d", "d['x'].append(1)", "from collections import defaultdict\nd = defaultdict(list)", "d, d['new']"),
    ("o", "o.a = 2", "class O:\n    __slots__ = ('a',)\no = O()", "o.a"),
    ("o", "o.a = 2\ndel o.b", "class O: pass\no = O()\no.b = 1", "vars(o)"),
    (
        "o",
        "o.n += 1",
        "import threading\nclass O:\n    def __init__(self): self.n, self.lock = 0, threading.Lock()\n"
        "    def __getstate__(self): return {'n': self.n}\no = O()\nlock = o.lock",
        "o.n, o.lock is lock",
    ),
    ("r", "r.rand()", "import numpy as np\nr = np.random.RandomState(2)", "r.rand()"),
    ("b", "b += b'x'", "b = bytearray(b'a')", "b"),
    ("f", "f.seen = 1", "def f(): pass", "f.seen"),
    ("s", "s.iloc[0] = 9", "import pandas as pd\ns = pd.Series([1, 2], name='s')", "s.tolist(), s.name"),
    ("o", "o.append(1)\no.tag = 't'", "class L(list): pass\no = L()", "list(o), o.tag"),
    ("m", "m[0, 0] = 5", "import numpy as np\nm = np.ma.array([[1, 2]], mask=[[0, 1]])", "m.tolist(), m.sum()"),
]


@pytest.mark.parametrize(("name", "cell", "setup", "probe"), CHANGED_IN_PLACE)
def test_objects_changed_in_place_stay_the_same_object(
    name: str, cell: str, setup: str, probe: str, tmp_path: Path
) -> None:
    """Whoever holds one at home sees the change."""
    here, there = notebook(setup), notebook(setup)
    exec(cell, here)
    holder = [there[name]]
    away = there_and_back(cell, there, tmp_path)
    assert [] == away.messages
    assert repr(eval(probe, here)) == repr(eval(probe, there))
    assert holder[0] is there[name]


def test_a_dict_that_checks_what_it_takes(tmp_path: Path) -> None:
    """A class that inherits from dict and overrides its methods takes its changes in all the same, in their order."""
    space = notebook()
    exec(
        "class Checked(dict):\n    def update(self, other):\n        raise ValueError('no')\n"
        "    def clear(self):\n        raise ValueError('no')\n"
        "import collections\nchecked = Checked(a=1)\ncounts = collections.Counter('aab')\n"
        "ordered = collections.OrderedDict(a=1, b=2)",
        space,
    )
    before = space["checked"], space["counts"], space["ordered"]
    there_and_back("dict.__setitem__(checked, 'b', 2)\ncounts['c'] += 5\nordered.move_to_end('a')", space, tmp_path)
    assert ({"a": 1, "b": 2}, {"a": 2, "b": 1, "c": 5}) == (space["checked"], space["counts"])
    assert ["b", "a"] == list(space["ordered"])
    assert all(
        one is other for one, other in zip(before, (space[n] for n in ("checked", "counts", "ordered")), strict=True)
    )


def test_where_a_type_takes_in_no_changes_the_name_is_bound_anew_and_it_is_said(tmp_path: Path) -> None:
    """An array of another shape is a new one, and so is a tuple that holds it."""
    space = notebook("import numpy as np\na = np.ones(3)\nt = (a, 1)")
    away = there_and_back("a.shape = (3, 1)\nn = len(t)", space, tmp_path)
    assert (3, 1) == space["a"].shape
    assert space["t"][0] is space["a"]
    assert ["a is a new object", "t is a new object"] == [message[:17] for message in sorted(away.messages)]


def test_a_tuple_is_the_tuple_it_was(tmp_path: Path) -> None:
    """What it holds has changed, and it holds the same; names that hold it, or are bound to it, hold the same one."""
    space = notebook("t = ([1], ({2},), 'x')\nsame = t\nholder = [t]\nfirst = t[0]")
    old = space["t"]
    away = there_and_back("t[0].append(2)\nt[1][0].add(3)\nnew = t\nholder.append(same)", space, tmp_path)
    assert ([1, 2], ({2, 3},), "x") == old
    assert all(one is old for one in (space["t"], space["same"], space["new"], *space["holder"]))
    assert space["first"] is old[0]
    assert [] == away.messages


def test_only_the_names_asked_for_come_back(tmp_path: Path) -> None:
    """``--out`` leaves everything else there, and says what was not bound; before the run, where that is certain."""
    space = notebook("big = [0]")
    cell = "a = 1\nb = 2\nbig.append(1)"
    with pytest.raises(UserError, match=r"--out: the cell never binds nope\. It binds a, b"):
        there_and_back(cell, space, tmp_path, out=("b", "nope"))
    away = there_and_back(f"{cell}\nif not big: nope = 1", space, tmp_path, out=("b", "nope"))
    assert 2 == space["b"]
    assert "a" not in space
    assert [0] == space["big"]
    assert ["nope did not come back: the cell has not bound it"] == away.messages


SHELL_CELLS = [
    ("!echo hello $name {n + 1}", "hello you 3\r\n", "None"),
    ("out = !echo {name}", "", "list(out)"),
    ("%time x = n * 2", None, "x"),
    ("x = %timeit -n1 -r1 -o -q pass", "", "type(x).__name__"),
    ("%%time\nx = n\nprint('in')", None, "x"),
    ("%%capture said\nprint('quiet')", "", "said.stdout"),
    ("print('before')\n!echo between\nprint('after')", "before\nbetween\r\nafter\n", "None"),
    ("import os\nos.system('echo raw')\nprint('then')", "raw\nthen\n", "None"),
    ("import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(5)'])\nprint('then');", "5\nthen\n", "None"),
    ("!echo a \\\n  b\nx = 1\n", "a b\r\n", "x"),
]


@pytest.mark.parametrize(("cell", "printed", "probe"), SHELL_CELLS)
def test_magics_and_shell_lines(cell: str, printed: str | None, probe: str, tmp_path: Path) -> None:
    """They work there as here, see the notebook's names, and print in their place."""
    space = notebook("name = 'you'\nn = 2")
    away = there_and_back(cell, space, tmp_path)
    expected = {"list(out)": ["you"], "x": 4 if "* 2" in cell else 1 if "echo a" in cell else 2}
    assert away.error is None
    if printed is not None:
        assert printed == away.text("stdout")
    else:
        assert "Wall time" in away.text("stdout")
    values = {"type(x).__name__": "TimeitResult", "said.stdout": "quiet\n", "None": None, **expected}
    assert values[probe] == eval(probe, space)


def test_displays_come_in_order_among_the_text(tmp_path: Path) -> None:
    """Displays, their updates and clearing take their place among what is printed; figures come at the end."""
    cell = (
        "from IPython.display import display, clear_output, HTML\nimport matplotlib.pyplot as plt\nprint('a')\n"
        "h = display(HTML('<b>x</b>'), display_id='one')\nprint('b')\nh.update(HTML('<i>y</i>'))\n"
        "clear_output(wait=True)\nfig = plt.figure(figsize=(1, 1))\nplt.plot([1, 2])\nprint('c');"
    )
    away = there_and_back(cell, notebook(), tmp_path)
    assert ["a\n", "display", "b\n", "update_display", "clear_output", "c\n", "display"] == _kinds(away.events)
    shown_first, figure = (e for e in away.events if e.kind == "display")
    assert "<b>x</b>" == (shown_first.data or {})["text/html"]
    assert "one" == shown_first.display_id
    assert (figure.data or {})["image/png"].startswith("iVBOR")


def _kinds(events: Any) -> list[str]:
    found: list[str] = []
    for event in events:
        if event.kind not in ("stdout", "stderr"):
            found.append(event.kind)
        elif found and found[-1] not in ("display", "update_display", "clear_output"):
            found[-1] += event.text
        else:
            found.append(event.text)
    return [part for whole in found for part in ([whole] if whole.count("\n") < 2 else whole.splitlines(True))]


def test_a_local_module_and_a_package_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources beside the notebook are imported there, with what they import and the data in a package."""
    home = tmp_path / "home"
    (home / "gk_pack" / "deep").mkdir(parents=True)
    (home / "gk_pack" / "__init__.py").write_text("from gk_pack.deep.core import double\n")
    (home / "gk_pack" / "deep" / "__init__.py").write_text("")
    (home / "gk_pack" / "deep" / "core.py").write_text(
        "import gk_other\nfrom pathlib import Path\ndef double(x): return x * 2 + gk_other.ONE\n"
        "WORDS = Path(__file__).with_name('words.txt').read_text()\n"
    )
    (home / "gk_pack" / "deep" / "words.txt").write_text("some words")
    (home / "gk_other.py").write_text("ONE = 1\nclass Thing:\n    v = 3\n")
    monkeypatch.syspath_prepend(str(home))
    space = notebook("import gk_other\nthing = gk_other.Thing()\nfrom gk_pack import double as twice")
    cell = "import gk_pack.deep.core as core\nr = twice(4), core.WORDS, thing.v, core.__file__"
    away = there_and_back(cell, space, tmp_path)
    assert away.error is None, away.result.error
    assert (9, "some words", 3) == space["r"][:3]
    assert str(tmp_path / "work") in space["r"][3]
    paths = ["gk_other.py", "gk_pack/__init__.py", "gk_pack/deep/__init__.py", "gk_pack/deep/core.py"]
    assert [*paths, "gk_pack/deep/words.txt"] == [file.path for file in away.capture.files]


def test_data_files_and_environment_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--files`` lie where the cell looks for them, ``--env`` is set there."""
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "home" / "data" / "a.csv").write_text("1,2\n")
    monkeypatch.setenv("GK_TEST_WORD", "swordfish")
    space = notebook()
    cell = "import os\nr = open('data/a.csv').read(), os.environ['GK_TEST_WORD']"
    there_and_back(cell, space, tmp_path, files=("data/*.csv",), env=("GK_TEST_WORD",))
    assert ("1,2\n", "swordfish") == space["r"]


def test_after_a_kernel_restart_the_names_are_bound_to_new_objects(tmp_path: Path) -> None:
    """Where the submitted objects are gone, changed ones are rebuilt from what was sent."""
    from greenkernel.cell import submitted
    from greenkernel.cell.bind import bind, load_result
    from tests.flows.cellrun import blobs_in

    away = there_and_back("xs.append(2)\nys = xs", notebook("xs = [1]"), tmp_path)
    submitted.forget(away.capture.payload)
    fresh = notebook()
    bind(load_result(away.result, blobs_in(tmp_path / "store"), fresh), away.result, fresh)
    assert [1, 2] == fresh["xs"]
    assert fresh["ys"] is fresh["xs"]


def test_looking_at_a_result_changes_nothing_here(tmp_path: Path) -> None:
    """Names are objects of their own until they are bound; functions among them work."""
    from greenkernel.cell.bind import load_result
    from tests.flows.cellrun import blobs_in

    space = notebook("xs = [1]\nK = 4\ndef g(a): return a + K")
    away = there_and_back("xs.append(2)\ndef f(a): return g(a) + len(xs)", space, tmp_path)
    space["xs"].append(3)
    names = load_result(away.result, blobs_in(tmp_path / "store"), space).names
    assert [1, 2] == names["xs"]
    assert 7 == names["f"](1)
    assert [1, 2, 3] == space["xs"]


@pytest.mark.parametrize(
    "magic", ["%matplotlib inline", "%cd .", "%pushd .", "%gui", "%precision 3", "%load_ext autoreload", "%xmode Plain"]
)
def test_magics_of_a_notebook_work_without_one(magic: str, tmp_path: Path) -> None:
    """Magics that ask for a screen, a profile or a history find what they need."""
    space = notebook()
    away = there_and_back(f"{magic}\nx = 1", space, tmp_path)
    assert away.error is None
    assert 1 == space["x"]


def test_random_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    """The cell draws what it would have drawn here, and the next cell what it would have drawn after it."""
    cell = "import random\na = [random.random(), np.random.rand()]"
    random.seed(1)
    np.random.seed(2)
    expected = [random.random(), np.random.rand()], [random.random(), np.random.rand()]
    random.seed(1)
    np.random.seed(2)
    space = notebook("import numpy as np")
    assert [] == there_and_back(cell, space, tmp_path).messages
    assert expected == (space["a"], [random.random(), np.random.rand()])


def test_random_numbers_that_were_drawn_meanwhile_stay(tmp_path: Path) -> None:
    """A notebook that has drawn since the submission keeps its own state, and that is said."""
    random.seed(1)
    space = notebook("import random")
    away = there_and_back("a = random.random()", space, tmp_path, meanwhile=random.random)
    random.seed(1)
    random.random()
    assert ["the random generators stay"] == [message[:26] for message in away.messages]
