"""What a cell reads, binds, deletes and imports."""

from __future__ import annotations

import contextlib
import string
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from greenkernel.cell.names import analyse
from greenkernel.cell.transform import to_python


def _space(setup: str = "") -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(setup, space)
    return space


READS = [
    ("y = x", "x = 1", "x"),
    ("y = nowhere", "x = 1", ""),
    ("x = 1", "x = 1", ""),
    ("x += 1", "x = 1", "x"),
    ("del x", "x = 1", "x"),
    ("x.append(1)", "x = []", "x"),
    ("x[0] = 1", "x = []", "x"),
    ("x.a = 1", "x = 1", "x"),
    ("print(len([q for q in x]))", "x = q = 1", "x"),
    ("f = lambda a, b=x: a + y", "x = y = a = 1", "x y"),
    ("def f(a=x, *, b: y = 1):\n    return z", "x = y = z = a = b = 1", "x y z"),
    ("class C(B):\n    v = x\n    def m(self): return y", "class B: pass\nx = y = m = 1", "B x y"),
    ("@d\ndef f(): pass", "d = lambda f: f", "d"),
    ("def f():\n    global x\n    x = 1", "x = 1", ""),
    ("def f():\n    x = 1\n    return x", "x = 1", ""),
    ("s = f'{x!r:>{w}}'", "x = w = 1", "w x"),
    ("for i in x: pass", "x = i = 1", "x"),
    ("import np", "np = 1", ""),
    ("match x:\n    case [a, *_]: pass", "x = a = 1", "x"),
    ("a = x if (b := y) else z", "x = y = z = b = 1", "x y z"),
    ("async def f():\n    await g()\nawait f()", "async def g(): pass", "g"),
    ("f()", "def f(): return g()\ndef g(): return K\nK = other = 1", "K f g"),
    ("f()", "def f(): return [h(q) for q in XS]\nh = abs\nXS = []", "XS f h"),
    ("f()", "def f():\n    def inner(): return K\n    return inner\nK = 1", "K f"),
    ("m.go()", "class M:\n    def go(self): return K\nm = M()\nK = go = 1", "K M m"),
    ("C()", "class B:\n    def v(self): return K\nclass C(B): pass\nK = 1", "B C K"),
    ("p(1)", "from functools import partial\ndef f(a): return K\np = partial(f)\nK = 1", "K p"),
    ("c(1)", "def make(g):\n    return lambda a: g(a)\ndef f(a): return K\nc = make(f)\nK = 1", "K c"),
    ("f()", "def f(): return f() or x.fit\nx = fit = 1", "f x"),
    (
        "a.prop",
        "class A:\n    @property\n    def prop(self): return K\n    @staticmethod\n    def s(): return L\n"
        "a = A()\nK = L = 1",
        "A K L a",
    ),
    ("fib(3)", "from functools import lru_cache\n@lru_cache\ndef fib(n): return fib(n - K)\nK = 1", "K fib"),
    ("!echo {x} $y $$z {w[0]}", "x = y = z = w = v = 1", "w x y z"),
    ("a = !ls {x}", "x = 1", "x"),
    ("%time r = f(x)", "f = x = r = 1", "f x"),
    ("%timeit -n 3 -r 1 f(x)", "f = x = n = r = 1", "f x"),
    ("%%time\ny = x", "x = y = 1", "x"),
    ("%cd {folder}", "folder = 1", "folder"),
    ("get_ipython(); exit; In", "get_ipython = exit = In = 1", "In exit get_ipython"),
    ("get_ipython(); In", "from IPython import get_ipython; In = _ih = ['']", ""),
    ("__name__; __doc__", "__doc__ = 1", "__doc__"),
]


@pytest.mark.parametrize(("cell", "setup", "expected"), READS)
def test_reads(cell: str, setup: str, expected: str) -> None:
    """Names of the namespace that the cell, or what it uses, reads."""
    assert tuple(expected.split()) == analyse(to_python(cell, "<cell>"), _space(setup)).reads


BINDS = [
    ("a = b = 1", "a b"),
    ("a, (b, *c) = 1, (2, 3)", "a b c"),
    ("for i in []: pass", "i"),
    ("with open('f') as f: pass", "f"),
    ("try: pass\nexcept E as e: pass", "e"),
    ("import os.path, numpy as np\nfrom a import b as c", "c np os"),
    ("def f(): x = 1\nclass C: y = 2", "C f"),
    ("def f():\n    global g\n    g = 1", "f g"),
    ("[q for q in []]\n(w := 1)", "w"),
    ("%time r = 1", "r"),
    ("x: int = 1", "x"),
]


@pytest.mark.parametrize(("cell", "expected"), BINDS)
def test_binds(cell: str, expected: str) -> None:
    """Names that the cell may bind at its top level."""
    assert tuple(expected.split()) == analyse(to_python(cell, "<cell>"), {}).binds


def test_imports_are_those_of_the_cell_and_of_the_functions_it_uses() -> None:
    """Statements inside a notebook's function count too."""
    space = _space("def f():\n    import json.decoder\n    from xml import dom")
    assert ("csv", "json", "os", "xml") == analyse("import os.path\nfrom csv import reader\nf()", space).imports


def test_why_names_the_reader() -> None:
    """The manifest can say which function a name travels for."""
    space = _space("def f(): return K\nK = 1")
    assert {"f": "the cell", "K": "f"} == analyse("f()", space).why


NAMES = st.sampled_from(string.ascii_lowercase[:6])


@st.composite
def _statements(draw: st.DrawFn) -> str:
    a, b, c = draw(NAMES), draw(NAMES), draw(NAMES)
    form = draw(
        st.sampled_from(
            [
                "{a} = {b}",
                "{a} += {b}",
                "del {a}",
                "def {a}({b}): return {b} + {c}",
                "{a} = [{b} for {b} in [{c}]]",
                "if {a}: {b} = {c}",
                "for {a} in [{b}]: {c}",
                "{a} = lambda {b}: {b} + {c}",
                "class {a}:\n    {b} = {c}",
            ]
        )
    )
    return form.format(a=a, b=b, c=c)


@settings(max_examples=200, deadline=None)
@given(st.lists(_statements(), min_size=1, max_size=5))
def test_what_is_really_read_is_found(lines: list[str]) -> None:
    """A namespace that notes each read never notes a name that the analysis lacks."""
    cell = "\n".join(lines)

    class Noting(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            if name in initial and name not in written:
                read.add(name)
            return super().__getitem__(name)

        def __setitem__(self, name: str, value: Any) -> None:
            written.add(name)
            super().__setitem__(name, value)

    initial = {name: 1 for name in string.ascii_lowercase[:6]}
    written: set[str] = set()
    read: set[str] = set()
    with contextlib.suppress(TypeError, NameError, KeyError):
        exec(compile(cell, "<cell>", "exec"), Noting(initial))
    assert read <= set(analyse(cell, initial).reads)


@pytest.mark.parametrize(
    ("setup", "cell"),
    [
        ("def f():\n    global g\n    g = 1", "f()"),
        ("def f():\n    def inner():\n        global g\n        g = 1\n    inner()", "f()"),
        ("class A:\n    def go(self):\n        global g\n        del g\na = A()\ng = 1", "a.go()"),
    ],
)
def test_names_that_functions_of_the_notebook_bind(setup: str, cell: str) -> None:
    """A global statement of a function that the cell calls binds for the cell."""
    assert ("g",) == analyse(cell, _space(setup)).binds


@st.composite
def _programs(draw: st.DrawFn, depth: int = 2) -> list[str]:
    """Lines of a small program that may fail, but ends; deeper parts are indented below their heads."""
    a, b, c = draw(NAMES), draw(NAMES), draw(NAMES)
    simple = [
        "{a} = {b}", "{a} += 1", "{a}, {b} = {c}, 1", "[{a}, *{b}] = 1, 2", "del {a}", "{a}: int = {b}", "({a} := {b})",
        "{a} = [{b} + {c} for {b} in range(2) if {b} < {a}]", "{a} = {{{b}: {c} for {c} in range(2)}}",
        "{a} = [({c} := {b}) for {b} in range(2)]", "{a} = sum({b} for {b} in range({c}) for {c} in range(2))",
        "{a} = (lambda {b}, q={c}: {b} + q + {a})(1)", "{a} = f'{{{b}}} {{{c}!r}}'", "{a} = {b} if {c} else {a}",
        "import math as {a}", "from math import pi as {a}", "assert {a} is not None, {b}", "{a} = {b} and {c}",
        "{a} = {b} < {c} < 5", "{a} = [{b}][0]", "{a}()", "{a} = {b}({c})", "{a}, *{b} = [{c}, 1]",
    ]  # fmt: skip
    heads = [
        "if {a}:", "for {a} in range(2):", "with nothing({a}) as {b}:", "def {a}({b}={c}):", "def {a}(*{b}, **{c}):",
        "class {a}:", "while not {a}:", "try:", "match {a}:\n    case {b}:", "def {a}():\n    global {b}",
        "@keep\ndef {a}():", "def {a}({b}=1):\n    def {c}():\n        nonlocal {b}\n        {b} = {c}",
    ]  # fmt: skip
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        a, b, c = draw(NAMES), draw(NAMES), draw(NAMES)
        if depth and draw(st.integers(0, 2)) == 0:
            head = draw(st.sampled_from(heads))
            deep = "        " if head.startswith("match") else "    "
            lines += head.format(a=a, b=b, c=c).split("\n")
            lines += [deep + line for line in draw(_programs(depth=depth - 1))]
            lines += ["    break"] if head.startswith("while") else []
            lines += [f"except Exception as {b}:", f"    {c}"] if head == "try:" else []
        else:
            lines.append(draw(st.sampled_from(simple)).format(a=a, b=b, c=c))
    return lines


class _Noting(dict[str, Any]):
    """A namespace that notes what is read of it."""

    def __init__(self, names: dict[str, Any]) -> None:
        super().__init__(names)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        self.read.add(name)
        return value


@settings(max_examples=400, deadline=None, derandomize=True)
@given(_programs(), _programs())
def test_what_really_happens_is_found(earlier: list[str], lines: list[str]) -> None:
    """An earlier cell leaves functions and values; the next one reads, binds and deletes no name that is not found."""
    first, cell = "\n".join(earlier), "\n".join(lines)
    space = _Noting({name: 1 for name in string.ascii_lowercase[:6]})
    space |= {"__name__": "__main__", "nothing": contextlib.nullcontext, "keep": lambda f: f}
    try:
        codes = [compile(text, "<cell>", "exec") for text in (first, cell)]
    except SyntaxError:
        reject()
    with contextlib.suppress(Exception):
        exec(codes[0], space)
    before = dict(space)
    found = analyse(cell, before)
    space.read.clear()
    with contextlib.suppress(Exception):
        exec(codes[1], space)
    read = {name for name in space.read & before.keys() if not name.startswith("__")}
    changed = {name for name in space if name not in before or space[name] is not before[name]}
    assert read <= set(found.reads)
    assert changed - {"__builtins__", "__annotations__"} <= set(found.binds)
    assert before.keys() - space.keys() <= {*found.binds, *found.deletes}


@pytest.mark.parametrize(
    ("cell", "reads"),
    [
        ("df.query('a > @k and b < @m')", ("df", "k", "m")),
        ("eval('k + 1')", ("k",)),
        ("ols('y ~ k + f(m)', df)", ("df", "k", "m")),
        ("globals()['k']", ("k",)),
        ("print('mail to me@k')", ("k",)),
        ("eval(text)", ("text",)),
    ],
)
def test_names_that_are_reached_through_text(cell: str, reads: tuple[str, ...]) -> None:
    """Literal texts of pandas queries, of eval and of globals() are read too; one name too many does no harm."""
    namespace = {"df": 1, "k": 2, "m": 3, "text": "k"}
    assert reads == analyse(cell, namespace).reads
