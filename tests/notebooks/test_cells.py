"""Cells of real notebooks, each run plain and under ``%%greentrain`` in real kernels: nothing may differ."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from tests.flows.conftest import PLAIN_SITES, end_controllers
from tests.notebooks import (
    cells_errors,
    cells_language,
    cells_libraries,
    cells_magics,
    cells_objects,
    cells_output,
    cells_patches,
    cells_settings,
    cells_strangers,
    cells_torch,
)
from tests.notebooks.compare import Case, Pair

pytestmark = [pytest.mark.slow]

TABLES = (
    cells_language,
    cells_objects,
    cells_errors,
    cells_output,
    cells_magics,
    cells_libraries,
    cells_settings,
    cells_strangers,
    cells_patches,
    cells_torch,
)
CASES: tuple[Case, ...] = tuple(case for table in TABLES for case in table.CASES)


def _param(case: Case) -> object:
    marks: list[pytest.MarkDecorator] = (
        [pytest.mark.xfail(strict=True, raises=AssertionError, reason=case.differs)] if case.differs else []
    )
    if case.needs:
        there = importlib.util.find_spec(case.needs) is not None
        marks += [pytest.mark.soak, pytest.mark.skipif(not there, reason=f"{case.needs} is not installed")]
    return pytest.param(case, id=case.shows.replace(" ", "_").replace("/", "_")[:80], marks=marks)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two kernels, one that runs the cells plainly and one that runs them through the magic."""
    made = Pair(tmp_path_factory.mktemp("cells"), PLAIN_SITES)
    yield made
    made.close()
    end_controllers(made.home)


@pytest.mark.parametrize("case", [_param(case) for case in CASES])
def test_a_cell_is_as_if_it_had_run_here(case: Case, pair: Pair) -> None:
    """Names, output, values and errors are those of the plain cell."""
    found = pair.differences(case)
    assert not found, "\n".join(found)


@pytest.fixture(scope="module")
def leaving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The same where a person can click: cells return at once."""
    made = Pair(tmp_path_factory.mktemp("left"), PLAIN_SITES, leaves=True)
    yield made
    made.close()
    end_controllers(made.home)


# One in so many.
_LEFT = 16


@pytest.mark.parametrize("case", [_param(case) for case in CASES if not (case.differs or case.needs)][::_LEFT])
def test_a_cell_that_is_left_pending_comes_to_the_same(case: Case, leaving: Pair) -> None:
    """What comes under it later, and what it leaves, are those of the plain cell."""
    found = leaving.differences(case)
    assert not found, "\n".join(found)
