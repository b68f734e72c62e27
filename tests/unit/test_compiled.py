"""Functions that numba compiles read the notebook's names, there and back (with make soak, which installs numba)."""

from __future__ import annotations

import io
from typing import Any

import pytest

from greenkernel.store.pickling import Reader, Writer

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.soak

CELL = """
from numba import njit

@njit
def scaled(x):
    return k * x

@njit("int64(int64)")
def halved(x):
    return x // 2
"""


def test_a_compiled_function_reads_the_notebooks_names() -> None:
    """What it reads is looked up where it is now; one that was compiled beforehand takes what it took."""
    there: dict[str, Any] = {"__name__": "__main__", "k": 2}
    exec(CELL, there)
    assert 6 == there["scaled"](3)
    file = io.BytesIO()
    Writer(file, None, namespace=there).dump([there["scaled"], there["halved"]])
    numba.core.dispatcher.Dispatcher._memo.clear()  # as in another process
    here: dict[str, Any] = {"__name__": "__main__", "k": 5}
    scaled, halved = Reader(io.BytesIO(file.getvalue()), (), here).load()
    assert (15, 4) == (scaled(3), halved(9))
    assert scaled.py_func.__globals__ is here
