"""The long form of the fault tests (``make soak``): kills and relocations at random moments, again and again."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from random import Random

import pytest

from greenkernel.clock import RealClock
from greenkernel.errors import UserError
from greenkernel.home import Home
from greenkernel.records import RunState
from tests.flows.conftest import controllers
from tests.flows.interrupted import tried
from tests.flows.kept_cells import Cell, parameters
from tests.flows.test_conduct import test_crashes_and_faults as crashes_and_faults
from tests.flows.test_moved_cells import RUNS, killed_at_random, losing_home
from tests.flows.test_product import SLOW_FOREST, data, quick, runner_pid, same_forest, started
from tests.flows.test_snapshots import test_random_programs as random_programs

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


@pytest.mark.parametrize("seed", range(40, 1000))
def test_more_crashes_and_faults(seed: int, tmp_path: Path) -> None:
    """The seeded crashes of the controller with many more seeds."""
    crashes_and_faults(seed, tmp_path)


@pytest.mark.parametrize("seed", range(25, 1000))
def test_more_random_programs(seed: int, tmp_path: Path) -> None:
    """Interrupted anywhere and gone on with, with many more seeds."""
    random_programs(seed, tmp_path)


@pytest.mark.parametrize("seed", range(RUNS, 290))
def test_killed_at_more_moments(seed: int, losing_home: Home, tmp_path: Path) -> None:
    """Varied cells during which something is killed or moved, with many more seeds."""
    killed_at_random([seed], losing_home, tmp_path)


@pytest.mark.parametrize("cell", parameters())
def test_gone_on_with_from_really_every_point(cell: Cell, tmp_path: Path) -> None:
    """Where make test takes five points of a cell."""
    assert [] == tried(cell.setup, cell.cell, tmp_path, most=200, skips=cell.skips).differences()


@pytest.mark.parametrize("seed", range(12))
def test_killed_and_moved_all_the_time(seed: int, home: Home) -> None:
    """Every two to five seconds the runner or the controller is killed, or the run is moved: the forest is the same."""
    dice, clock = Random(seed), RealClock()
    namespace = data()
    run = quick(home, SLOW_FOREST.replace("160", "400"), namespace)
    kills = 0
    while run._store.ended() is None and kills < 12:
        clock.sleep(dice.uniform(2, 5))
        what = dice.choice(("runner", "controller", "move"))
        with contextlib.suppress(ProcessLookupError, IndexError, AssertionError, UserError):  # it has just ended
            if what == "move" and started(run):
                run.relocate(dice.choice(("near", "far")))
            elif what == "controller":
                os.kill(controllers(home.settings.home)[0], signal.SIGKILL)
            elif started(run):
                os.kill(runner_pid(run), signal.SIGKILL)
        kills += 1
    run.wait(600)
    assert RunState.DONE == run.state, run.detail
    exec(SLOW_FOREST.replace("160", "400"), namespace)
    assert same_forest(run.names["clf"], namespace["clf"])


__all__ = ["losing_home"]
