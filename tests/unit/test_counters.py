"""Numbers by which libraries name what they make next."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenkernel.runner.setting_kinds.counters import KINDS
from greenkernel.runner.surroundings import Surroundings, put_back
from tests.unit.librarykit import installed

LIBRARY = """
_made_count = 3
cpu_count = 2
COUNT = 7
class System:
    _idCounter = 0
    name = "sys"
    def __init__(self):
        self.name = f"sys[{System._idCounter}]"
        System._idCounter += 1
class Ref:
    ref_count = 1
"""
KIND = KINDS[0]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that is not loaded yet."""
    yield from installed("countinglib", LIBRARY, tmp_path, monkeypatch)


def counted(found: dict[str, int]) -> dict[str, int]:
    return {key: value for key, value in found.items() if key.startswith("countinglib")}


def test_what_counts(library: str, tmp_path: Path) -> None:
    """Numbers that are named like counters, of modules and of their classes; not what a process has."""
    folder = tmp_path / "notebook"
    assert {} == counted(KIND.take(folder))
    __import__(library)
    assert {"countinglib:_made_count": 3} == counted(KIND.take(folder))
    sys.modules[library].System()
    assert {"countinglib:_made_count": 3, "countinglib:System._idCounter": 1} == counted(KIND.take(folder))


def test_a_library_that_is_loaded_later_goes_on_counting(library: str, tmp_path: Path) -> None:
    """In another process the next name is the one that would have been given at home."""
    surroundings = Surroundings({"counters": {"countinglib:System._idCounter": 4}}, tmp_path / "notebook")
    surroundings.begin()
    module = __import__(library)
    assert "sys[4]" == module.System().name
    changed = surroundings.changed()["counters"]
    assert 5 == changed["countinglib:System._idCounter"]


def test_no_number_falls(library: str, tmp_path: Path) -> None:
    """What home has counted meanwhile stays, without a word; what the cell has counted is put."""
    module = __import__(library)
    key = "countinglib:System._idCounter"
    for mine, expected in ((9, 9), (0, 5), (2, 5)):
        module.System._idCounter = mine
        assert [] == put_back({"counters": {key: 5}}, {"counters": {key: 1}}, {"counters": {key: mine}}, tmp_path)
        assert expected == module.System._idCounter
