"""Loops and functions with hooks: what they are made from, and what they must leave alone."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from typing import Any

import pytest

from greenkernel.runner.snapshots.contexts import Contexts
from greenkernel.runner.snapshots.functions import source_of
from greenkernel.runner.snapshots.hooks import Board
from greenkernel.runner.snapshots.weave import fitted, loops_in, woven


def defined(text: str, file: str) -> dict[str, Any]:
    """Names that a text defines; it is known by its file's name, as a cell is."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, file, "exec"), namespace)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    return namespace


FUNCTION = """import math
def f(n):
    s = 0
    for i in range(n):
        s += i * 2 + math.floor(0.5)
    return s
"""


@pytest.mark.parametrize(
    ("found", "later"),
    [
        (True, FUNCTION),
        (False, FUNCTION.replace("* 2", "* 3")),
        (False, FUNCTION.replace("def f(n)", "def f(m)").replace("range(n)", "range(m)")),
        (False, FUNCTION.replace("range(n)", "list(n)")),
        (False, "\n" + FUNCTION),
        (False, ""),
    ],
    ids=["as it was", "a constant", "an argument", "a name", "a line", "nothing"],
)
def test_a_function_is_known_by_its_very_text(found: bool, later: str) -> None:
    """A text that was changed after the function was made is not taken for its source."""
    namespace = defined(FUNCTION, "<cell loops>")
    linecache.cache["<cell loops>"] = (len(later), None, later.splitlines(keepends=True), "<cell loops>")
    assert found == (source_of(namespace["f"], namespace) is not None)


class Lengthless:
    """Has a length that it does not know, as some loaders of data have."""

    def __len__(self) -> int:
        raise TypeError("no length")

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2, 3])


class OnceMore:
    """Must not be asked again after its end."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __iter__(self) -> OnceMore:
        return self

    def __next__(self) -> int:
        assert self.left >= 0, "asked again"
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        return self.left


@pytest.mark.parametrize(
    "data", [Lengthless(), OnceMore(1000), range(100_000), enumerate("abc"), [1]], ids=lambda one: type(one).__name__
)
def test_a_loop_goes_over_what_it_is_given(data: Any) -> None:
    """Every item once and in order, whatever the data are."""
    expected = list(OnceMore(1000) if isinstance(data, OnceMore) else "abc" if isinstance(data, enumerate) else data)
    statement = ast.parse("for x in data:\n    got.append(x[1] if type(x) is tuple else x)").body[0]
    board = Board([statement], loops_in(statement), lambda *_: None, contexts=Contexts(dict, lambda _: None, {}))
    code = compile(ast.fix_missing_locations(ast.Module([woven(statement)], [])), "<cell>", "exec")
    names: dict[str, Any] = {"data": data, "got": []}
    exec(fitted(code, board.named()), names)
    assert expected == names["got"]


def test_a_loop_can_be_stopped_at_once_however_often_that_was_asked() -> None:
    """Asked in every third round of a loop that was left alone for long before, it answers at that round's end."""
    statement = ast.parse("for x in data:\n    ask(x)").body[0]
    answered: list[int] = []

    def due(number: int, frame: Any) -> None:
        answered.append(names["x"])
        board.arm(on=False)

    def ask(x: int) -> None:
        sum(range(2000))  # a round that is worth a tick
        if x >= 2000 and x % 3 == 0:
            board.arm(on=True)

    board = Board([statement], loops_in(statement), due, contexts=Contexts(dict, lambda _: None, {}))
    code = compile(ast.fix_missing_locations(ast.Module([woven(statement)], [])), "<cell>", "exec")
    names: dict[str, Any] = {"data": range(3000), "ask": ask}
    exec(fitted(code, board.named()), names)
    assert list(range(2001, 3000, 3)) == answered
