"""A library that is installed, and loaded when a test imports it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


def installed(name: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One module; its name, and afterwards it is loaded no more."""
    place = folder / "site-packages"
    place.mkdir()
    (place / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(place))
    yield name
    sys.modules.pop(name, None)
