"""Options that libraries of which nothing is known keep in a mapping, and attributes that cells assign to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenkernel.runner.setting_kinds import assigned, options
from greenkernel.runner.surroundings import Surroundings, put_back
from tests.unit.librarykit import installed

LIBRARY = """
import collections
_defaults = collections.UserDict({"dB": False, "unit": "rad/s", "hook": print, 5: 1})
_defaults.update({"place": "/home/of/this/machine", "cache": {"in": ["~/x"]}})
settings = {"depth": 3}
mapping = {"depth": 3}
class System:
    limit = 10
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that is not loaded yet."""
    yield from installed("settinglib", LIBRARY, tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def no_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other cells have assigned to is another process's."""
    monkeypatch.setattr(assigned, "_places", {})


def of_library(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key.startswith("settinglib")}


def test_options(library: str, tmp_path: Path) -> None:
    """Plain ones of mappings with a telling name; paths, functions and other mappings are left alone."""
    assert {} == of_library(options.take(tmp_path))
    __import__(library)
    found = {"_defaults:dB": (False,), "_defaults:unit": ("rad/s",), "settings:depth": (3,)}
    assert {f"settinglib:{key}": value for key, value in found.items()} == of_library(options.take(tmp_path))


def test_options_of_a_library_that_is_loaded_later(library: str, tmp_path: Path) -> None:
    """They are put as soon as it is, and what there is in the end is told."""
    surroundings = Surroundings({"options": {"settinglib:_defaults:dB": (True,)}}, tmp_path)
    surroundings.begin()
    module = __import__(library)
    assert module._defaults["dB"] is True
    module.settings["new"] = [1]
    changed = surroundings.changed()["options"]
    assert ((True,), ([1],)) == (changed["settinglib:_defaults:dB"], changed["settinglib:settings:new"])


def test_options_come_back(library: str, tmp_path: Path) -> None:
    """What was changed and removed there is so here, unless it was changed here meanwhile."""
    module = __import__(library)
    sent = {"options": options.take(tmp_path)}
    changed = {"options": {"settinglib:_defaults:dB": (True,), "settinglib:settings:depth": None}}
    assert [] == put_back(changed, sent, {"options": options.take(tmp_path)}, tmp_path)
    assert (True, {}) == (module._defaults["dB"], module.settings)
    module._defaults["dB"] = "mine"
    (said,) = put_back(changed, sent, {"options": options.take(tmp_path)}, tmp_path)
    assert "settinglib:_defaults:dB" in said
    assert "mine" == module._defaults["dB"]


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("lib.System.limit = 5", {"System.limit": (5,)}),
        ("import settinglib as other\nother.System.limit = 6", {"System.limit": (6,)}),
        ("from settinglib import System as S\nS.limit += 7", {"System.limit": (17,)}),
        ("lib.mapping['a'] = 1", {"mapping": ({"depth": 3, "a": 1},)}),
        ("lib.mapping.update(a=1)", {"mapping": ({"depth": 3, "a": 1},)}),
        ("lib.mapping.get('a')", {}),
        ("setattr(lib, 'mine', 8)", {"mine": (8,)}),
        ("def f():\n    lib.mine = 9\nf()", {"mine": (9,)}),
        ("lib.mine = sorted", {"mine": (sorted,)}),
        ("lib.mine = lambda: 1", {}),
        ("lib.mine = object()", {}),
        ("class Mine: pass\nMine.x = 1", {}),
        ("limit = lib.System.limit", {}),
        ("%no python", {}),
    ],
)
def test_what_cells_assign_to(cell: str, found: dict[str, Any], library: str, tmp_path: Path) -> None:
    """Attributes of modules and their classes, by whatever name; plain data, and what a library calls its own."""
    space: dict[str, Any] = {"__name__": "__main__", "lib": __import__(library)}
    if not cell.startswith("%"):
        exec(cell, space)
    assigned.note(cell, space)
    assert {f"settinglib:{place}": value for place, value in found.items()} == of_library(assigned.take(tmp_path))


def test_what_was_assigned_is_put_into_a_library_that_is_loaded_later(library: str, tmp_path: Path) -> None:
    """And is followed there: what the cell makes of it goes home."""
    surroundings = Surroundings({"assigned": {"settinglib:System.limit": (5,)}}, tmp_path)
    surroundings.begin()
    module = __import__(library)
    assert 5 == module.System.limit
    module.System.limit = 6
    assert {"settinglib:System.limit": (6,)} == of_library(surroundings.changed()["assigned"])
