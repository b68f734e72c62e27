"""The sizes of slices: small first, never more than the budget, and no slice of what acts on the outside."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenkernel.profile.plan_slices import Spent, budget_s, cpu_s_at, enlarged, first_part, next_part, refusal

START_S = 1.0


def all_parts(cost: Callable[[float], float], rows: int, cores: int = 2) -> tuple[list[float], float]:
    """The parts that are run of a cell with these CPU seconds, and what they cost together."""
    part = first_part(rows, 2)
    done: list[Spent] = []
    used = 0.0
    while part is not None:
        assert len(done) < 8, "it goes on for ever"
        done.append(Spent(part=int(part * rows) / rows, cpu_s=cost(part)))  # rows are whole
        used += cost(part) + START_S
        part = next_part(done, asked=part, used_cpu_s=used, start_cpu_s=START_S, cores=cores)
    return [slice_.part for slice_ in done], used


@given(st.integers(20, 3000), st.floats(0.001, 400.0), st.floats(0.0, 2.0), st.integers(1, 16))
def test_slicing_ends(rows: int, whole_s: float, exponent: float, cores: int) -> None:
    """However few rows there are and whatever they cost, a size is run once, and there are few of them."""
    parts, _ = all_parts(lambda part: whole_s * part**exponent, rows, cores)
    assert len(parts) == len(set(parts)) <= 7


@pytest.mark.parametrize(
    ("rows", "classes", "part"),
    [
        (100_000, 2, 1 / 64),
        (20_000, 2, 1 / 64),
        (8_000, 2, 1 / 32),
        (400, 4, 1 / 32),
        (400, 50, 1 / 2),
        (64, 2, 1 / 4),
        (15, 2, None),
    ],
)
def test_the_first_slice_is_small_but_not_too_small(rows: int, classes: int, part: float | None) -> None:
    """200 rows where there are many, a few of each class where there are not."""
    assert part == first_part(rows, classes)


@pytest.mark.parametrize("whole_s", [20.0, 100.0, 400.0, 3000.0])
def test_two_sizes_within_the_budget(whole_s: float) -> None:
    """A cell in proportion to its rows is profiled for about 15 % (5 % if long) or a few seconds, on two sizes."""
    parts, used = all_parts(lambda part: whole_s * part, 128_000)
    share = 0.05 if whole_s / 2 > 600 else 0.15
    assert len(set(parts)) >= 2
    assert parts == sorted(parts)
    assert used <= 1.1 * max(share * whole_s, 6.0)


def test_a_large_constant_part_still_gets_two_sizes() -> None:
    """Where the budget is gone after the first slice, the second is the next larger one."""
    parts, _ = all_parts(lambda part: 30.0 + 10.0 * part, 128_000)
    assert [1 / 64, 1 / 32] == parts


def test_a_fast_cell_is_run_whole() -> None:
    """A cell of half a second needs no law."""
    parts, _ = all_parts(lambda part: 0.5 * part, 128_000)
    assert [1 / 64, 1.0] == parts


def test_roughly_is_a_line_through_the_two_largest() -> None:
    """In proportion from one size, a line from two, never below what was seen."""
    one, two = Spent(part=0.1, cpu_s=2.0), Spent(part=0.2, cpu_s=3.0)
    assert 20.0 == pytest.approx(cpu_s_at([one], 1.0))
    assert 11.0 == pytest.approx(cpu_s_at([one, two], 1.0))
    assert 3.0 == cpu_s_at([one, Spent(part=0.3, cpu_s=3.0), Spent(part=0.4, cpu_s=3.0)], 1.0)
    assert 0.05 * 2000 == pytest.approx(budget_s([Spent(part=0.1, cpu_s=200.0)], 2))


def test_a_failed_slice_is_enlarged_to_half_at_most() -> None:
    """Four times the rows, then half of them, then no more."""
    assert (1 / 8, 1 / 2, 0.5, None) == (enlarged(1 / 32), enlarged(1 / 8), enlarged(1 / 4), enlarged(1 / 2))


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        ("get_ipython().system('rm -r out')", "runs commands"),
        ("x = get_ipython().getoutput('ls')", "runs commands"),
        ("get_ipython().run_cell_magic('bash', '', 'ls')", "runs %%bash"),
        ("import os\nos.system('ls')", "runs commands"),
        ("from subprocess import run\nrun(['ls'])", "uses subprocess"),
        ("import urllib.request as r", "uses urllib"),
        ("requests.post(url, data)", "uses requests"),
        ("get_ipython().run_line_magic('pip', 'install x')", "runs %pip"),
        ("get_ipython().run_line_magic('time', 'fit(X)')", None),
        ("platform.system()", None),
        ("clf.fit(X, y)", None),
        ("not python (", None),
    ],
)
def test_cells_that_act_on_the_outside_are_not_sliced(python: str, reason: str | None) -> None:
    """Commands and network are refused by name; training is not."""
    found = refusal(python)
    assert (reason is None) == (found is None)
    assert (reason or "") in (found or "")
