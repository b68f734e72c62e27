"""Every statement of the page on what travels ends with a test, and the test exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "what-travels.md"
STATEMENTS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("- ")]


@pytest.mark.parametrize("statement", STATEMENTS, ids=[line[2:42] for line in STATEMENTS])
def test_each_statement_has_its_test(statement: str) -> None:
    """The file is there, and so is the function where one is named."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", statement)
    assert named, statement
    for file, function in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, (file, function)
