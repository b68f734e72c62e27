"""Faults of the machine at home: each is said in a sentence or two with what to do, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from greenkernel.clock import RealClock
from greenkernel.errors import GreenKernelError
from greenkernel.home import Home
from greenkernel.session import train
from greenkernel.settings import Settings
from greenkernel.store.runs import run_ids
from tests.flows.conftest import PLAIN_SITES, end_controllers, eventually
from tests.unit.test_bad_input import plain


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, with a home's folder on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False)
    except OSError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("nothing may be mounted here")
    (folder / "home").mkdir()
    (folder / "home" / "sites.toml").write_text(PLAIN_SITES)
    yield folder
    remount(folder, "rw")
    end_controllers(folder / "home")
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, how: str) -> None:
    """As soon as nobody has a file there open for writing."""
    words = ["mount", "-o", f"remount,{how}", folder]
    eventually(lambda: subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0)


def said(act: Callable[[], Any]) -> str:
    """The sentences of a refusal."""
    with pytest.raises(GreenKernelError) as caught:
        act()
    assert plain(str(caught.value)), str(caught.value)
    return str(caught.value)


def home_of(disk: Path) -> Home:
    return Home(Settings(disk / "home"), RealClock())


def send(home: Home, source: str = "y = 1", names: dict[str, Any] | None = None) -> Any:
    return train(source, namespace=names if names is not None else {}, home=home, no_profile=True)


def fill(disk: Path) -> Path:
    """Take all that is left of the disk."""
    rest = disk / "rest"
    with rest.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return rest
    raise AssertionError("the disk has no end")


def test_values_that_are_too_large_for_the_disk(disk: Path) -> None:
    """Nothing is sent, no half of a value is left, the notebook's name is as it was, and the next cell works."""
    home = home_of(disk)
    names = {"X": np.ones(1_000_000), "y": [1, 2]}
    free = shutil.disk_usage(disk).free
    for _ in range(2):
        text = said(lambda: send(home, "s = X.sum()", names))
        assert "No space left on device" in text
        assert "Make room there" in text
    assert ["X", "y"] == list(names)
    assert [] == list(run_ids(home.objects))
    assert free - shutil.disk_usage(disk).free < 65_536
    assert {"s": 3} == send(home, "s = sum(y)", names).wait(60).names


def test_a_disk_that_is_full_to_the_last_byte(disk: Path) -> None:
    """A cell, a new kernel and a new home are refused in words; with room again everything goes on as before."""
    home = home_of(disk)
    before = send(home, "y = 5").wait(60)
    end_controllers(disk / "home")
    rest = fill(disk)
    assert "cannot be" in said(lambda: send(home))
    said(lambda: send(home_of(disk)))
    (disk / "other").mkdir()
    assert "has room" in said(lambda: Home(Settings(disk / "other", disk / "home" / "sites.toml"), RealClock()))
    rest.unlink()
    again = home_of(disk)
    assert {"y": 1} == send(again).wait(60).names
    assert {"y": 5} == before.names
    assert before.id in {entry.id for entry in again.journal.entries()}


def test_a_home_that_cannot_be_written(disk: Path) -> None:
    """Refused in words, and its journal is left alone; written again it has all of its runs."""
    before = send(home_of(disk), "y = 5").wait(60).id
    end_controllers(disk / "home")
    home = home_of(disk)
    remount(disk, "ro")
    assert "can be written" in said(lambda: home_of(disk))
    assert "Read-only file system" in said(lambda: send(home))
    assert "cannot be made" in said(lambda: Home(Settings(disk / "new"), RealClock()))
    remount(disk, "rw")
    assert [before] == [entry.id for entry in home_of(disk).journal.entries()]
    assert [] == [path for path in (disk / "home").iterdir() if "damaged" in path.name]
    assert {"y": 1} == send(home).wait(60).names


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_a_home_that_is_no_folder(place: str, tmp_path: Path) -> None:
    """The path and what to do are said."""
    file = tmp_path / "file"
    file.touch()
    text = said(lambda: Home(Settings(file if place == "a file" else file / "home"), RealClock()))
    assert str(file) in text
    assert "GREENKERNEL_HOME" in text


_LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from greenkernel.clock import RealClock
from greenkernel.errors import GreenKernelError
from greenkernel.home import Home
from greenkernel.session import train
from greenkernel.settings import Settings
from greenkernel.store.runs import run_ids
home = Home(Settings(Path(sys.argv[1])), RealClock())
names = {"X": np.ones(8_000_000), "L": [str(n) for n in range(1_000_000)]}
train("z = 1", namespace={}, home=home, no_profile=True).wait(60)
def limited(which, most, reads):
    before = resource.getrlimit(which)
    resource.setrlimit(which, (most, before[1]))
    try:
        train(f"y = len({reads})", namespace=names, home=home, no_profile=True)
        print("sent")
    except GreenKernelError as e:
        print(e)
    finally:
        resource.setrlimit(which, before)
held = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
for reads in ("X", "L"):
    for more in (2, 20, 60):
        limited(resource.RLIMIT_AS, held + (more << 20), reads)
    limited(resource.RLIMIT_FSIZE, 1 << 20, reads)
print(len(list(run_ids(home.objects))), len(names))
print(train("y = len(L)", namespace=names, home=home, no_profile=True).wait(60).names)
"""


def test_a_kernel_without_memory_or_room(home: Home) -> None:
    """The kernel lives on, says what it lacks, has sent nothing, and sends the same cell once there is enough."""
    run = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(home.settings.home)], capture_output=True, text=True, check=False
    )
    assert 0 == run.returncode, run.stderr[-2000:]
    lines = run.stdout.splitlines()
    assert all(plain(line) for line in lines[:8]), lines
    for reads, texts in (("X", lines[:4]), ("L", lines[4:8])):
        assert all(f"{reads} cannot travel, for this process ran out of memory" in text for text in texts[:3]), texts
        assert "File too large" in texts[3]
        assert "Make room there" in texts[3]
    assert ["1 2", "{'y': 1000000}"] == lines[8:]


def test_a_store_that_is_deleted_while_the_controller_is_away(home: Home) -> None:
    """The next controller ends the run with a sentence, and nothing of its job is left at work."""
    run = send(home, "import time\ntime.sleep(600)")
    eventually(lambda: run.progress is not None)
    end_controllers(home.settings.home)
    (home.settings.home / "store").rename(home.settings.home / "gone")
    run.wait(60)
    assert "failed" == run.state
    assert f"the store has no run {run.id}; if its folder was deleted, send the cell again" in run.detail
    eventually(lambda: not [job for site in home.sites.values() for job in site.jobs()])


def test_an_open_run_is_not_forgotten(home: Home) -> None:
    """Also where the store has lost it: whoever waits for it must be told how it ends."""
    run = send(home, "import time\ntime.sleep(600)")
    (home.settings.home / "store").rename(home.settings.home / "gone")
    home.sync_journal()
    assert [run.id] == [entry.id for entry in home.journal.entries()]
    assert "failed" == run.wait(60).state
