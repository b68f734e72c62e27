"""Names that a function may still read from the beginning of a round on."""

from __future__ import annotations

import ast
import textwrap

import pytest

from greenkernel.runner.snapshots.liveness import needed
from greenkernel.runner.snapshots.weave import loops_in_block

CASES = [
    ("what a round binds first is not needed", "for i in d:\n    a = i\n    b = a", set()),
    ("what a round reads is", "for i in d:\n    b = a + i", {"a"}),
    ("what it adds to is read", "for i in d:\n    a += i", {"a"}),
    ("an item of what it has is read", "for i in d:\n    a[i] = 1", {"a"}),
    (
        "a branch binds for sure only with the other",
        "for i in d:\n    if i:\n        a = 1\n    print(a)",
        {"a", "print"},
    ),
    ("both branches do", "for i in d:\n    if i:\n        a = 1\n    else:\n        a = 2\n    f(a)", {"f"}),
    ("an inner loop may have no round", "for i in d:\n    for j in i:\n        a = j\n    f(a)", {"a", "f"}),
    ("in its own rounds the name is there", "for i in d:\n    for j in i:\n        a = j\n        f(a)", {"f"}),
    ("what is read afterwards is needed", "for i in d:\n    a = i\nreturn a", {"a"}),
    ("a condition of while", "while n > 0:\n    n = n - k", {"n", "k"}),
    ("what stands around comes again", "while x:\n    y = z\n    for i in y:\n        a = i", {"x", "z"}),
    ("what is tried may stop anywhere", "try:\n    for i in d:\n        a = i\nfinally:\n    f(a)", {"a", "f", "d"}),
    ("whoever sees all needs all", "for i in d:\n    a = locals()", None),
    ("a function inside reads later", "for i in d:\n    g = lambda: a\n    a = i", {"a"}),
    ("a with may swallow", "for i in d:\n    with c():\n        a = i\n    f(a)", {"a", "c", "f"}),
    ("else of a loop", "for i in d:\n    a = i\nelse:\n    f(b)", {"f", "b"}),
    ("what is deleted must be there", "for i in d:\n    del a", {"a"}),
]


@pytest.mark.parametrize(("expected", "source"), [pytest.param(e, s, id=n.replace(" ", "_")) for n, s, e in CASES])
def test_needed(expected: set[str] | None, source: str) -> None:
    """From the innermost loop's round on."""
    function = ast.parse("def f():\n" + textwrap.indent(source, "    ")).body[0]
    assert isinstance(function, ast.FunctionDef)
    loops = loops_in_block(function.body)
    inner = loops[-1] if source.startswith("while x") else loops[0]
    assert expected == needed(inner, function.body)
