"""What a move of a cell repeats, as its text tells."""

from __future__ import annotations

import linecache
from typing import Any

import pytest

from greenkernel.cell.keeps import keeps

NOTEBOOK = """
def train(n):
    for i in range(n): pass
def plain(n):
    return n
class Model:
    def fit(self, n):
        while n: n -= 1
        return self
class Other(Model):
    def score(self):
        return 1
model = Other()
"""


@pytest.fixture
def namespace() -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "__main__"}
    linecache.cache["<keeps>"] = (len(NOTEBOOK), None, NOTEBOOK.splitlines(keepends=True), "<keeps>")
    exec(compile(NOTEBOOK, "<keeps>", "exec"), found)
    return found


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("x = 1", "begins the cell's one statement again"),
        ("x = 1\ny = 2", "repeats at most the statement that it comes in, of 2"),
        (
            "for i in range(3):\n    while i: i -= 1",
            "repeats at most one round of the loop in line 1, line 2",
        ),
        ("w = train(3)", "repeats at most one round of the loop in train(), elsewhere"),
        ("w = plain(3)", "begins the cell's one statement again"),
        ("model.fit(3)", "repeats at most one round of the loop in Model.fit(), elsewhere"),
        ("m = Other().fit(3)", "repeats at most one round of the loop in Model.fit(), elsewhere"),
        ("m = model.score()", "begins the cell's one statement again"),
        ("m = unknown.fit(3)", "begins the cell's one statement again"),
        ("m = unknown[0].fit(3)", "begins the cell's one statement again"),
        ("with open('x') as f:\n    for line in f: pass", "begins the cell's one statement again"),
    ],
)
def test_what_is_said(cell: str, expected: str, namespace: dict[str, Any]) -> None:
    """Loops are named by their lines, or by the function or method that they are in."""
    assert keeps(cell, namespace).startswith(f"a move {expected}")
