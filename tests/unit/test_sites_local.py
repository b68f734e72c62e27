"""Embedded sites without processes: which cores, whose share, what is refused, and what settings make of sites."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenkernel.clock import ManualClock, RealClock
from greenkernel.errors import PermanentError, UserError
from greenkernel.records import JobSpec
from greenkernel.settings import Settings
from greenkernel.site import jobfolder
from greenkernel.site.guard import must_rest
from greenkernel.site.kubernetes.site import KubernetesSite
from greenkernel.site.local import EmbeddedSite, least_used
from greenkernel.site.registry import build_sites
from greenkernel.site.words import killed_by, out_of_memory, said_last

CLOCK = ManualClock(datetime(2026, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("cores", "in_use", "count", "chosen"),
    [
        ([0, 1, 2], [], 2, [0, 1]),
        ([0, 1, 2], [[0]], 2, [1, 2]),
        ([2, 0, 1], [[2], [0]], 1, [1]),
        ([0, 1], [[0, 1], [1]], 1, [0]),
        ([0, 1], [[0], [1], [7]], 2, [0, 1]),
        ([3], [[3]], 2, [3]),
    ],
)
def test_least_used_cores(cores: list[int], in_use: list[list[int]], count: int, chosen: list[int]) -> None:
    """Cores that fewest jobs have come first, ties in the site's order; a small machine gives what it has."""
    assert chosen == least_used(cores, in_use, count)


@pytest.mark.parametrize("speed", [0.1, 0.37, 0.5, 0.9])
def test_rests_add_up_to_the_share(speed: float) -> None:
    """Deciding every 20 ms by what has been, the time that is run tends to the share."""
    ran_s = rested_s = 0.0
    for _ in range(2000):
        if must_rest(ran_s, rested_s, speed):
            rested_s += 0.02
        else:
            ran_s += 0.02
    assert abs(ran_s / (ran_s + rested_s) - speed) < 0.002


def test_a_file_is_written_by_one_of_many(tmp_path: Path) -> None:
    """Of eight writers at once exactly one is first, readers see its whole content, and nothing else is left."""
    barrier, winners = threading.Barrier(8), []

    def write(number: int) -> None:
        barrier.wait()
        if jobfolder.put_new(tmp_path, "file.json", {"by": number}):
            winners.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(winners)
    assert {"by": winners[0]} == jobfolder.read(tmp_path, "file.json")
    assert ["file.json"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(("cores", "memory", "said"), [(3, 1, "has 2 cores"), (1, 1 << 31, "at most 1 GiB")])
def test_a_job_that_is_too_big_is_refused(tmp_path: Path, cores: int, memory: int, said: str) -> None:
    """For good, with what there is, and without a trace on disk."""
    site = EmbeddedSite("s", tmp_path / "s", cores=2, memory_bytes=1 << 30, speed=1, owner="o", clock=CLOCK)
    with pytest.raises(PermanentError, match=said):
        site.submit(JobSpec(run="r", epoch=1, cores=cores, memory_bytes=memory, owner="o"))
    assert [] == list((tmp_path / "s").iterdir())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The offer says why the site cannot be used, and a submission is refused with the same words."""
    (tmp_path / "file").write_text("in the way")
    site = EmbeddedSite("s", tmp_path / "file" / "s", cores=1, memory_bytes=None, speed=1, owner="o", clock=CLOCK)
    offer = site.offer()
    assert (False, 1) == (offer.reachable, offer.cores_max)
    assert "cannot be made" in str(offer.why_not)
    with pytest.raises(PermanentError, match="cannot be made"):
        site.submit(JobSpec(run="r", epoch=1, cores=1, memory_bytes=1, owner="o"))


def test_words() -> None:
    """Ends are told alike on every kind of site."""
    assert "out of memory: used 3 GiB of 2 GiB" == out_of_memory(2 << 30, 3 << 30)
    assert ("crashed (SIGSEGV)", "killed from outside (SIGKILL)") == (killed_by(11), killed_by(9))
    assert "killed from outside (signal 200)" == killed_by(200)
    assert ": the reason" == said_last("noise\n\nthe reason \ngreenkernel: installed numpy 2 in 1 s\n")
    assert "" == said_last("\n")


SITES = """
[sites.here]
kind = "embedded"
speed = 0.5
max_cores = 3
memory = "1GiB"

[sites.lab]
kind = "kubernetes"
context = "lab"
namespace = "team"
image = "python:3.11-slim"
"""


def made(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "sites.toml").write_text(text)
    return Settings(tmp_path)


def test_settings_make_sites(tmp_path: Path) -> None:
    """Each table becomes a site of its kind, in order, and nothing is connected or started by that."""
    sites = build_sites(made(tmp_path, SITES), owner="o", clock=RealClock())
    assert ["here", "lab"] == list(sites)
    assert (EmbeddedSite, KubernetesSite) == tuple(type(site) for site in sites.values())
    offer = sites["here"].offer()
    assert (3, 0.5) == (offer.cores_max, offer.speed)
    assert offer.memory_free_bytes is None or offer.memory_free_bytes <= 1 << 30


@pytest.mark.parametrize(
    ("change", "said"),
    [("speed = 0.5|speed = 0", "speed: Expected `float` > 0"), ('"1GiB"|"much"', "memory of the site here: .*much")],
)
def test_a_setting_that_is_not_valid(tmp_path: Path, change: str, said: str) -> None:
    """A value that means nothing is refused by name before anything runs."""
    old, new = change.split("|")
    with pytest.raises(UserError, match=said):
        build_sites(made(tmp_path, SITES.replace(old, new)), owner="o", clock=RealClock())
