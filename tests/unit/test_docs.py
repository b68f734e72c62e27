"""Every statement of the page on what travels ends with a test, and the tests that this and other pages name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
STATEMENTS = [
    line
    for line in (ROOT / "docs" / "what-travels.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("- ")
]


def named_in(text: str) -> list[tuple[str, str]]:
    """Files and functions of the tests that a text names."""
    return re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)


@pytest.mark.parametrize("statement", STATEMENTS, ids=[line[2:42] for line in STATEMENTS])
def test_each_statement_has_its_test(statement: str) -> None:
    """It names one."""
    assert named_in(statement), statement


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_what_is_named_is_there(page: Path) -> None:
    """The file is there, and so is the function where one is named."""
    for file, function in named_in(page.read_text(encoding="utf-8")):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, (file, function)
