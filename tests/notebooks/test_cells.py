"""Cells of real notebooks, each run plain and under ``%%greentrain`` in real kernels: nothing may differ."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

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
)
CASES: tuple[Case, ...] = tuple(case for table in TABLES for case in table.CASES)
# Pairs of kernels at work at once.
_PAIRS = 2


def _param(case: Case) -> object:
    marks = [pytest.mark.xfail(strict=True, raises=AssertionError, reason=case.differs)] if case.differs else []
    return pytest.param(case, id=case.shows.replace(" ", "_").replace("/", "_")[:80], marks=marks)


@pytest.fixture(scope="module")
def verdicts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[list[str]]]]:
    """What differs in each selected case; several pairs of kernels work ahead of the tests."""
    folder = tmp_path_factory.mktemp("cells")
    tests = [item for item in request.session.items if "verdicts" in getattr(item, "fixturenames", ())]
    chosen = [item.callspec.params["case"] for item in tests]
    pairs: queue.Queue[Pair] = queue.Queue()
    made = [Pair(folder / str(n), PLAIN_SITES) for n in range(min(_PAIRS, len(chosen)))]
    for pair in made:
        pairs.put(pair)

    def judge(case: Case) -> list[str]:
        pair = pairs.get()
        try:
            return pair.differences(case)
        finally:
            pairs.put(pair)

    with ThreadPoolExecutor(len(made)) as pool:
        yield {case.shows: pool.submit(judge, case) for case in chosen}
        pool.shutdown(cancel_futures=True)
    for pair in made:
        pair.close()
        end_controllers(pair.home)


@pytest.mark.parametrize("case", [_param(case) for case in CASES])
def test_a_cell_is_as_if_it_had_run_here(case: Case, verdicts: dict[str, Future[list[str]]]) -> None:
    """Names, output, values and errors are those of the plain cell."""
    found = verdicts[case.shows].result()
    assert not found, "\n".join(found)


def test_cases_are_told_apart() -> None:
    """Each case says something of its own."""
    assert len(CASES) == len({case.shows for case in CASES})
