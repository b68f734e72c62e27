"""The cell's text as Python, line for line."""

from __future__ import annotations

import pytest

from greenkernel.cell.transform import to_python
from greenkernel.errors import UserError


@pytest.mark.parametrize("cell", ["", "  \n\n", "# only\n# comments\n", "\r\n\t\r\n"])
def test_a_cell_with_nothing_to_run_is_refused(cell: str) -> None:
    """Blank or only comments: said in one sentence."""
    with pytest.raises(UserError, match="nothing to run"):
        to_python(cell, "<cell>")


@pytest.mark.parametrize(
    ("cell", "line", "quoted"),
    [
        ("x = 1\ny = (", 2, "y = ("),
        ("\n\nx = = 1", 3, "x = = 1"),
        ("if x:\npass", 2, "pass"),
        ("x = 'a", 1, "x = 'a"),
        ("%time x\nfor", 2, "for"),
        ("x = 1\r\ny = =", 2, "y = ="),
    ],
)
def test_a_syntax_error_has_the_line_that_the_user_sees(cell: str, line: int, quoted: str) -> None:
    """The message names the line and quotes it."""
    with pytest.raises(UserError, match=rf"^<cell>: line {line} is not Python, ") as caught:
        to_python(cell, "<cell>")
    assert repr(quoted) in str(caught.value)


@pytest.mark.parametrize("text", ["a = 1\n\nreturn a", "x = 1\nfrom __future__ import annotations"])
def test_what_only_a_file_refuses(text: str) -> None:
    """Statements of a cell are compiled one by one when their turn comes, those of a file at once."""
    assert to_python(text, "<cell>")
    with pytest.raises(UserError, match=r"line \d is not Python"):
        to_python(text, "file.py", whole=True)


@pytest.mark.parametrize(
    "cell",
    [
        "marker",
        "\n\n# c\nmarker",
        "%time x = 1\n\nmarker",
        "!echo a \\\n   b\nmarker",
        "x = !echo a \\\n   b \\\n   c\n\nmarker",
        "if 1:\n    !ls \\\n      -l\n    y = 1\nmarker",
        "s = '''\n !ls\n%time\n'''\nmarker",
        "a = 1\r\n\r\nmarker\r\n",
        "  x = 1\n  marker",
        "x = [\n  1,\n]\nmarker",
        "get_ipython\n?print\nmarker",
    ],
)
def test_every_line_stays_where_it_was(cell: str) -> None:
    """Transformed text has the marker on the line of the raw text."""
    raw = [number for number, line in enumerate(cell.splitlines()) if line.strip() == "marker"]
    assert raw == [n for n, line in enumerate(to_python(cell, "<c>").splitlines()) if line.strip() == "marker"]


def test_triple_quoted_strings_are_not_touched() -> None:
    """Text inside a string is as it was, whatever it looks like."""
    cell = 's = """\n  a\n\tb\n    !ls\n"""\n'
    assert cell == to_python(cell, "<cell>")


def test_five_thousand_lines() -> None:
    """A long cell is transformed whole."""
    cell = "\n".join(f"x{n} = {n}" for n in range(5000))
    assert cell + "\n" == to_python(cell, "<cell>")
