"""Thousands of fault schedules: the run ends, its result counts once, it has one owner, and nothing is left behind."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import pytest

from tests.simulation.faults import KINDS
from tests.simulation.mistakes import MISTAKES, Mistake
from tests.simulation.world import played

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCHEDULES = 10_000
MOST_OF_A_MISTAKE = 2_000
EFFECTS = (
    *("read", "list", "list jobs", "submit", "drain", "stop", "blob", "record", "progress", "receipt"),
    *("open epoch", "claim", "say drained", "finish", "accept", "end run"),
)
# Sixteen pieces for two processes.
_PIECES = 16


@dataclass(frozen=True, slots=True)
class Summary:
    """What some schedules came to."""

    broken: dict[int, list[str]]
    seen: Counter[tuple[str, str]]
    faults: list[int]
    epochs: list[int]


def summary(seeds: Iterable[int]) -> Summary:
    found = Summary({}, Counter(), [], [])
    for seed in seeds:
        world = played(seed)
        found.seen.update(world.faults.seen)
        found.faults.append(world.faults.count)
        found.epochs.append(world.epochs)
        if world.broken:
            found.broken[seed] = world.broken
    return found


def many(first: int, count: int) -> list[Summary]:
    pieces = [range(first + n, first + count, _PIECES) for n in range(_PIECES)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(summary, pieces))


def table(seen: Counter[tuple[str, str]]) -> str:
    """How often each effect met each fault."""
    head = f"{'':14}" + "".join(f"{kind:>13}" for kind in KINDS)
    rows = [f"{effect:14}" + "".join(f"{seen[effect, kind]:13}" for kind in KINDS) for effect in EFFECTS]
    return "\n".join([head, *rows])


def test_every_schedule_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten thousand of them; a broken one is told with the command that plays it again."""
    found = many(0, SCHEDULES)
    broken = {seed: what for piece in found for seed, what in piece.broken.items()}
    seen = sum((piece.seen for piece in found), Counter[tuple[str, str]]())
    with capsys.disabled():
        print(f"\n{table(seen)}")
    told = [f"python -m tests.simulation {seed}: {what[0]}" for seed, what in sorted(broken.items())]
    assert [] == told
    assert [] == [(effect, kind) for effect in EFFECTS for kind in KINDS if seen[effect, kind] < 20]
    assert 3 <= statistics.median(n for piece in found for n in piece.faults)
    assert 2 <= statistics.median(n for piece in found for n in piece.epochs)


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_a_million_schedules() -> None:
    """The same for a night."""
    found = many(SCHEDULES, 1_000_000 - SCHEDULES)
    assert [] == sorted(seed for piece in found for seed in piece.broken)


@pytest.mark.parametrize("mistake", MISTAKES, ids=[one.name for one in MISTAKES])
def test_a_mistake_is_found(mistake: Mistake) -> None:
    """The schedules can fail: each planted mistake is found."""
    with mistake.planted():
        assert any(played(seed, **mistake.kinds).broken for seed in range(MOST_OF_A_MISTAKE))
