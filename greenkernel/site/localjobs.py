"""What the files of an embedded site's jobs say, and the end of jobs whose guard could not say it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from greenkernel.clock import Clock
from greenkernel.errors import TemporaryError
from greenkernel.osfacts import end_group, end_marked, start_time
from greenkernel.records import JobPhase, JobStatus
from greenkernel.site import jobfolder

# A guard has introduced itself long before this.
HAND_OVER_S = 2.0


def folders(site: Path) -> list[Path]:
    """The folders of all jobs of a site, in the order of their names."""
    if not site.is_dir():
        return []
    return sorted(path for path in site.iterdir() if path.name.startswith("gk-"))


def cores_in_use(site: Path) -> list[list[int]]:
    """For each job of a site that has not ended, whoever owns it, the machine's cores that it is kept on."""
    used = []
    for folder in folders(site):
        spec, status = jobfolder.read(folder, jobfolder.SPEC), jobfolder.read(folder, jobfolder.STATUS)
        if spec is not None and (status is None or status["phase"] != "ended"):
            used.append(list(spec["cpus"]))
    return used


def status_of(folder: Path, spec: Mapping[str, Any], clock: Clock) -> JobStatus | None:
    """How a job is; None where it was removed meanwhile. A job whose guard was killed is ended first."""
    run, epoch = str(spec["job"]["run"]), int(spec["job"]["epoch"])
    guard = jobfolder.read(folder, jobfolder.GUARD)
    if guard is None:
        return _not_handed_over(folder, run, epoch)
    alive = start_time(guard["pid"]) == guard["start"]
    # Read after the look at the guard: its last word is written before it ends.
    told = jobfolder.read(folder, jobfolder.STATUS) or {}
    if told.get("phase") != "ended" and not alive:
        told = _end_orphans(folder, told, clock)
    if told.get("phase") == "ended":
        return _ended(run, epoch, told)
    if told.get("phase") == "running":
        return JobStatus(run=run, epoch=epoch, phase=JobPhase.RUNNING, started_at=_time(told.get("started_at")))
    return JobStatus(run=run, epoch=epoch, phase=JobPhase.PENDING, detail="starting")


def guard_was_killed(folder: Path) -> bool:
    """True where a job's guard is gone without its last word."""
    guard = jobfolder.read(folder, jobfolder.GUARD)
    if guard is None or start_time(guard["pid"]) == guard["start"]:
        return False
    told = jobfolder.read(folder, jobfolder.STATUS)
    return told is None or told["phase"] != "ended"


def end_processes(folder: Path, *, now_at: Path | None = None) -> None:
    """Kill all that was started for the job that has, or had, this folder.

    Args:
        folder: Where the job was started.
        now_at: Where its folder is now; None: still there.

    Raises:
        TemporaryError: Some do not end (the kernel holds them).
    """
    told = jobfolder.read(now_at or folder, jobfolder.STATUS) or {}
    for leader in (jobfolder.read(now_at or folder, jobfolder.GUARD), told.get("runner")):
        if leader is not None and leader["start"] is not None:
            end_group(leader["pid"], leader["start"])
    if not end_marked(jobfolder.MARK, str(folder)):
        raise TemporaryError(f"processes of {folder.name} do not end")


def _not_handed_over(folder: Path, run: str, epoch: int) -> JobStatus | None:
    """Accepted, but no guard has introduced itself: it is about to, or whoever submitted was cut off."""
    try:
        age_s = time.time() - (folder / jobfolder.SPEC).stat().st_mtime
    except FileNotFoundError:
        return None
    phase = JobPhase.PENDING if 0 <= age_s < HAND_OVER_S else JobPhase.PARTIAL
    return JobStatus(run=run, epoch=epoch, phase=phase, detail="starting")


def _end_orphans(folder: Path, told: dict[str, Any], clock: Clock) -> dict[str, Any]:
    end_processes(folder)
    detail = "the process that watches over the job was killed"
    ended = {**told, "phase": "ended", "ended_at": clock.now().isoformat(), "detail": detail}
    try:
        jobfolder.replace(folder, jobfolder.STATUS, ended)
    except FileNotFoundError:
        return ended
    return ended


def _ended(run: str, epoch: int, told: dict[str, Any]) -> JobStatus:
    return JobStatus(
        run=run,
        epoch=epoch,
        phase=JobPhase.ENDED,
        exit_code=told.get("exit_code"),
        out_of_memory=bool(told.get("out_of_memory")),
        detail=str(told.get("detail") or ""),
        started_at=_time(told.get("started_at")),
        ended_at=_time(told.get("ended_at")),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
