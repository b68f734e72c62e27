"""Embedded sites: the contract of all sites, and what only processes of this machine can get wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenkernel.clock import RealClock
from greenkernel.osfacts import start_time, usable_cores
from greenkernel.records import JobPhase, JobSpec
from greenkernel.site import jobfolder
from greenkernel.site.base import Site
from greenkernel.site.jobfolder import MARK
from greenkernel.site.local import EmbeddedSite
from greenkernel.store.objects import StoreAddress
from tests.sites.contract import BEGUN, OWNER, SLEEP, Bench, SiteContract, ended, eventually, phase, status

pytestmark = pytest.mark.skipif(os.name != "posix", reason="embedded sites need Linux or macOS")


def marked(folder: Path) -> list[int]:
    """Living processes that were started for the job with this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            marks = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
            zombie = b") Z" in (entry / "stat").read_bytes() if marks else True
        except OSError:
            continue
        if f"{MARK}={folder}".encode() in marks and not zombie:
            found.append(int(entry.name))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the site's jobs live."""
    return tmp_path / "site"


@pytest.fixture
def bench(tmp_path: Path, folder: Path) -> Iterator[Bench]:
    """An embedded site with two cores and a store in a folder."""

    def controller(owner: str) -> Site:
        return EmbeddedSite("here", folder, cores=2, memory_bytes=1 << 32, speed=1.0, owner=owner, clock=RealClock())

    def left(run: str, epoch: int) -> list[str]:
        job = folder / f"gk-{run}-{epoch}"
        files = [str(path) for path in folder.iterdir()] if folder.exists() else []
        return [*files, *map(str, marked(job))]

    made = Bench(controller=controller, store=StoreAddress(url=(tmp_path / "store").as_uri()), left=left)
    yield made
    made.clean()
    assert [] == [path.name for path in folder.iterdir()] if folder.exists() else True


class TestContract(SiteContract):
    """The contract on processes."""


def slow_site(folder: Path, speed: float) -> Site:
    """The same site, emulating a slower machine."""
    return EmbeddedSite("here", folder, cores=2, memory_bytes=1 << 32, speed=speed, owner=OWNER, clock=RealClock())


def the_guard(folder: Path, job: JobSpec) -> dict[str, Any]:
    """The process that watches over a job, once it has introduced itself."""
    eventually("a guard", lambda: jobfolder.read(folder / job.name, jobfolder.GUARD) is not None)
    found = jobfolder.read(folder / job.name, jobfolder.GUARD)
    assert found is not None
    return found


def begun(bench: Bench, site: Site, source: str, **options: Any) -> JobSpec:
    """A job whose cell has begun to run."""
    job = bench.job(source, **options)
    site.submit(job)
    store = bench.run_store(job)
    eventually("the cell", lambda: any(BEGUN in event.text for _, events in store.logs(1) for event in events))
    return job


def test_a_killed_guard_takes_its_job_along(bench: Bench, folder: Path) -> None:
    """The runner is gone at once, its children after the next look; the end is told with its reason, once for all."""
    site = bench.controller(OWNER)
    job = begun(bench, site, "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n" + SLEEP)
    runner = jobfolder.read(folder / job.name, jobfolder.STATUS)
    assert runner is not None
    os.kill(the_guard(folder, job)["pid"], signal.SIGKILL)
    eventually("the runner's end", lambda: start_time(runner["runner"]["pid"]) is None, within_s=2)
    last = ended(site, job, within_s=5)
    assert "the process that watches over the job was killed" == last.detail
    assert [] == marked(folder / job.name)
    assert last == status(bench.controller(OWNER), job)
    site.submit(job)
    assert last == status(site, job)


def test_a_job_is_never_left_stopped(bench: Bench, folder: Path) -> None:
    """A guard that is killed while a slow site's job rests leaves no stopped process behind, before anybody looks."""
    site = slow_site(folder, 0.2)
    job = begun(bench, site, "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n" + SLEEP)
    guard = the_guard(folder, job)["pid"]
    others = set(marked(folder / job.name)) - {guard}
    assert len(others) >= 2
    eventually("a rest", lambda: all(b") T" in Path(f"/proc/{pid}/stat").read_bytes() for pid in others))
    os.kill(guard, signal.SIGSTOP)  # so that it does not wake them between look and kill
    os.kill(guard, signal.SIGKILL)
    eventually("the end of the runner and its child", lambda: marked(folder / job.name) == [], within_s=5)
    ended(site, job, within_s=5)


@pytest.mark.alone
def test_a_slow_site_gives_its_share(bench: Bench, folder: Path) -> None:
    """At speed 0.5 half a second of CPU time takes about a second."""
    source = (
        f"print({BEGUN!r}, flush=True)\nimport time\nwall, cpu = time.monotonic(), time.process_time()\n"
        "while time.process_time() - cpu < 1.0: pass\n"
        "open('share', 'w').write(str(time.monotonic() - wall))\n" + SLEEP
    )
    site = slow_site(folder, 0.5)
    job = begun(bench, site, source)
    eventually("the measurement", lambda: any(folder.glob("*/work/**/share")))
    eventually("its end", lambda: bool(next(folder.glob("*/work/**/share")).read_text()))
    took_s = float(next(folder.glob("*/work/**/share")).read_text())
    assert 1.8 < took_s < 4, f"{job.name} took {took_s} s"  # the upper bound allows for a busy machine


def test_a_submission_that_was_cut_off_is_completed_by_the_next(bench: Bench, folder: Path) -> None:
    """A folder without a guard is partial after a moment; submitting again starts the job, stopping removes it."""
    site, job = bench.controller(OWNER), bench.job("x = 1\n")
    lend = begun(bench, site, SLEEP)
    spec = jobfolder.read(folder / lend.name, jobfolder.SPEC)
    assert spec is not None
    cut_off = folder / job.name
    for name in ("home", "tmp", "work"):
        (cut_off / name).mkdir(parents=True)
    jobfolder.replace(
        cut_off, jobfolder.SPEC, {**spec, "job": {**spec["job"], "run": job.run}, "secrets": dict(job.secrets)}
    )
    assert JobPhase.PENDING is phase(site, job)
    long_ago = time.time() - 60
    os.utime(cut_off / jobfolder.SPEC, (long_ago, long_ago))
    assert JobPhase.PARTIAL is phase(site, job)
    site.submit(job)
    assert 0 == ended(site, job).exit_code


def test_a_stop_that_was_cut_off_is_finished_by_the_next_look(bench: Bench, folder: Path) -> None:
    """A folder that was moved away while its processes still run: the next listing ends them and removes it."""
    site = bench.controller(OWNER)
    job = begun(bench, site, SLEEP)
    (folder / job.name).rename(folder / f".gone-{job.name}~cut")
    assert [] == site.jobs()
    assert [] == marked(folder / job.name)
    assert [] == list(folder.iterdir())


def test_a_guard_that_comes_too_late_starts_nothing(bench: Bench, folder: Path) -> None:
    """Once a job is stopped, a guard that was on its way finds no folder; a second guard finds the first."""
    site = bench.controller(OWNER)
    job = begun(bench, site, SLEEP)
    before = jobfolder.read(folder / job.name, jobfolder.GUARD)
    command = [sys.executable, "-m", "greenkernel.site.guard", str(folder / job.name)]
    assert 0 == subprocess.run(command, check=False).returncode
    assert before == jobfolder.read(folder / job.name, jobfolder.GUARD)
    site.stop(job.run, 1)
    assert 0 == subprocess.run(command, check=False).returncode
    assert [] == list(folder.iterdir())


def test_a_job_knows_little_of_the_notebook(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment is short, it works in a folder of its own, and its secrets are not on disk any more."""
    monkeypatch.setenv("GREENKERNEL_TEST_SECRET", "of the notebook")
    source = "import os, json\nprint(json.dumps([dict(os.environ), os.getcwd()]))\n"
    site = bench.controller(OWNER)
    job = begun(bench, site, source + SLEEP)
    printed = "".join(event.text for _, events in bench.run_store(job).logs(1) for event in events)
    environment, work = json.loads(printed.splitlines()[0])
    assert work.startswith(str(folder / job.name))
    assert "GREENKERNEL_TEST_SECRET" not in environment
    assert not {"GREENKERNEL_KEY", "GREENKERNEL_STORE"} & set(environment)
    key = job.secrets["GREENKERNEL_KEY"].encode()
    held = [path for path in (folder / job.name).iterdir() if path.is_file() and key in path.read_bytes()]
    assert [] == held
    assert "k" * 16 not in repr(job)


def test_a_job_has_the_users_home(bench: Bench, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's home and temporary files are those of the notebook, and outlive the job."""
    home, temporary = tmp_path / "user", tmp_path / "temporary"
    for place in (home, temporary):
        place.mkdir()
    (home / "a.txt").write_text("kept")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(temporary))
    source = (
        "import pathlib, tempfile\nprint((pathlib.Path.home() / 'a.txt').read_text())\n"
        "(pathlib.Path(tempfile.mkdtemp()) / 'b.txt').write_text('left')\n"
    )
    site = bench.controller(OWNER)
    job = begun(bench, site, source + SLEEP)
    printed = "".join(event.text for _, events in bench.run_store(job).logs(1) for event in events)
    assert "kept" == printed.splitlines()[0]
    site.stop(job.run, 1)
    eventually("the job's end", lambda: not (folder / job.name).exists())
    assert ["left"] == [path.read_text() for path in temporary.glob("*/b.txt")]
    assert "kept" == (home / "a.txt").read_text()


def test_a_job_is_kept_on_its_cores(bench: Bench, folder: Path) -> None:
    """Jobs of one core are put on different cores while there are any, and their children stay there."""
    site = bench.controller(OWNER)
    source = "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n" + SLEEP
    jobs = [begun(bench, site, source) for _ in range(min(2, len(usable_cores())))]
    used = []
    for job in jobs:
        guard = the_guard(folder, job)["pid"]
        cores = {frozenset(os.sched_getaffinity(pid)) for pid in marked(folder / job.name) if pid != guard}
        assert 1 == len(cores)
        used.append(next(iter(cores)))
    assert [1] * len(jobs) == [len(cores) for cores in used]
    assert len(jobs) == len(set(used))


def test_output_is_bounded(bench: Bench) -> None:
    """A job whose raw output has no end fills no disk: the log says how much was cut, and the end is kept."""
    source = (
        "import os\nfile = os.open(os.environ['GREENKERNEL_FOLDER'] + '/output.log', os.O_WRONLY | os.O_APPEND)\n"
        "for _ in range(4000): os.write(file, b'x' * 999 + b'\\n')\n"
        "os.write(file, b'the last line\\n')\n"
    )
    site = bench.controller(OWNER)
    job = begun(bench, site, source + SLEEP)
    eventually("the cuts", lambda: len(site.logs(job.run, 1, tail_lines=10**6)) < 1 << 20)
    eventually("the end", lambda: "the last line" == site.logs(job.run, 1, tail_lines=1).strip())
    assert "bytes of output were cut here]" in site.logs(job.run, 1, tail_lines=10**6).splitlines()[0]
