"""What cells save by hand: the newest epoch's is taken, older ones are worth nothing, and objects stay themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import greenkernel
from greenkernel.errors import UserError
from greenkernel.runner import checkpoints
from greenkernel.runner.checkpoints import Checkpoints, older, use
from greenkernel.store.snapshots import Said

KEY = b"k" * 32


class Around:
    """A process that is about to leave: everything is saved at once."""

    def __init__(self) -> None:
        self.is_leaving = True
        self.went_on: list[Said] = []
        self.go_on = self.went_on.append

    def park(self) -> None:
        """It goes on all the same."""

    def said(self) -> Said:
        return Said(stdout=7)


@pytest.fixture
def around() -> Iterator[Around]:
    yield Around()
    use(None)


def epoch(number: int, folder: Path, around: Around) -> None:
    """A new process: what earlier epochs have left is believed."""
    spool, believed = folder / f"spool{number}", folder / "believed"
    spool.mkdir(parents=True)
    believed.mkdir(exist_ok=True)
    for before in folder.glob("spool*/*.checkpoint"):
        (believed / before.name).write_bytes(before.read_bytes())
    use(Checkpoints(spool, believed, KEY, number, lambda: around))


def test_outside_of_a_run_nothing_happens() -> None:
    """Data are gone over as they are, and nothing is saved."""
    assert [0, 1, 2] == list(greenkernel.resumable(range(3), []))
    assert not greenkernel.checkpoint({"step": 1})


def test_the_newest_epoch_counts(tmp_path: Path, around: Around) -> None:
    """An epoch that has saved once is newer than one before it that has saved often."""
    state: dict[str, Any] = {"step": 0}
    epoch(1, tmp_path, around)
    for step in range(5):
        state["step"] = step
        greenkernel.checkpoint(state)
    epoch(2, tmp_path, around)
    state = {"step": -1}
    assert greenkernel.checkpoint(state)
    assert 4 == state["step"]
    state["step"] = 10
    assert not greenkernel.checkpoint(state)
    epoch(3, tmp_path, around)
    state = {"step": -1}
    assert greenkernel.checkpoint(state)
    assert 10 == state["step"]
    assert [Said(stdout=7)] * 2 == around.went_on


def test_rounds_that_are_done_are_passed_over(tmp_path: Path, around: Around) -> None:
    """Objects take in what was saved of them and stay the objects they are."""
    epoch(1, tmp_path, around)
    history: list[int] = []
    for n in greenkernel.resumable(range(6), history):
        history.append(n)
        if n == 3:  # lost in the middle of this round
            break
    epoch(2, tmp_path, around)
    again: list[int] = []
    held = SimpleNamespace(history=again)
    rounds = []
    for n in greenkernel.resumable(range(6), again):
        again.append(n)
        rounds.append(n)
    assert [3, 4, 5] == rounds
    assert [0, 1, 2, 3, 4, 5] == held.history


def test_what_cannot_be_put_back_is_refused(tmp_path: Path, around: Around) -> None:
    """A number is no object that could take in another one; the first call says so, outside of a run too."""
    with pytest.raises(UserError, match="an object of type int cannot be saved by itself"):
        greenkernel.checkpoint([1], 3)
    epoch(1, tmp_path, around)
    with pytest.raises(UserError, match="an object of type str cannot be saved by itself"):
        next(greenkernel.resumable(range(3), "done"))
    with pytest.raises(UserError, match="an object of type map cannot be saved by itself"):
        greenkernel.checkpoint(map(str, []))


def test_rounds_that_follow_one_another_are_waited_for(tmp_path: Path, around: Around) -> None:
    """Who is to leave stays for the end of the present round, but not for a first one that may never end."""
    checkpoints = Checkpoints(tmp_path, tmp_path, KEY, 1, lambda: around)
    assert not checkpoints.comes_soon
    for expected in (False, True, True):
        assert checkpoints.is_due
        assert expected == checkpoints.comes_soon


def test_what_newer_ones_make_worthless() -> None:
    """Of one call all but the newest two; those of other calls, and records of another kind, stay."""
    names = [f"checkpoint-0001-0001-{n:06d}{checkpoints.SUFFIX}" for n in range(1, 5)]
    others = [f"checkpoint-0002-0001-000001{checkpoints.SUFFIX}", "x.rec"]
    assert names[:2] == older(names[3], [*names, *others])
