"""The profile of a cell: slices in child processes, from small to larger, until enough is known or enough is spent."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from greenkernel.clock import Clock
from greenkernel.errors import PermanentError, UserError
from greenkernel.profile.plan_slices import (
    Spent,
    budget_s,
    cpu_s_at,
    enlarged,
    first_part,
    next_part,
    refusal,
)
from greenkernel.profile.rows import NameInfo, Rows, find_rows
from greenkernel.profile.worker import Measured, Ready, SliceProcess, SliceSetup
from greenkernel.records import Capture, Knob, Profile, Request, Slice
from greenkernel.store.objects import StoreAddress

_LIMIT_S = 120.0
_FAST_LIMIT_S = 3.0
_CHEAP_S = 1.0
_SIZES_MOST = 4
_FORBIDDEN = "a slice of a cell may not"
_KNOB_PARTS = (1 / 32, 1 / 10)


def profile(
    request: Request,
    capture: Capture,
    store_address: StoreAddress,
    key: bytes,
    *,
    folder: Path,
    cores_max: int,
    clock: Clock,
    on_progress: Callable[[str], None],
    check: Callable[[], None] = lambda: None,
    site: str = "here",
) -> Profile:
    """Run a cell on small slices of its data and say what they used.

    Args:
        request: The cell's options: rows, knobs, whether it is profiled at all.
        capture: What travels; the values come from the store, so the notebook's own are not touched.
        store_address: The store.
        key: Its key.
        folder: An existing scratch folder; what is made in it is removed.
        cores_max: Most cores of this machine that slices may use.
        clock: Time.
        on_progress: Told in words what is done.
        check: Asked again and again; what it raises ends the profile, with every process of it.
        site: What this machine is called in the slices.

    Raises:
        UserError: A hint of the request names something that is not there.
    """
    if not request.profile:
        return Profile(slices=(), notes=("not profiled: --no-profile",))
    reason = refusal(capture.transformed)
    if reason is not None:
        return Profile(slices=(), notes=(reason,))
    setup = SliceSetup(
        capture=capture,
        store=store_address,
        key=key,
        file_name=request.file_name,
        logical_cores=request.logical_cores,
        script=request.script,
        notebook=request.folder,
    )
    began = clock.now()
    profiler = Profiler(request, setup, folder, cores_max, on_progress, check, site)
    try:
        profiler.run()
    except PermanentError as e:
        profiler.notes.append(f"not profiled any further: {e}")
    finally:
        profiler.close()
    return profiler.result((clock.now() - began).total_seconds())


@dataclass(slots=True)
class Profiler:
    """One profile while it is made."""

    request: Request
    setup: SliceSetup
    folder: Path
    cores_max: int
    on_progress: Callable[[str], None]
    check: Callable[[], None]
    site: str
    notes: list[str] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    rows: Rows | None = None
    knob: Knob | None = None
    knob_full: int | None = None
    cpu_s: float = 0.0
    files: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    _starts: list[tuple[float, float]] = field(default_factory=list)
    _processes: list[SliceProcess] = field(default_factory=list)

    def run(self) -> None:
        """All slices."""
        with self._process(self.cores_max) as process:
            ready = self._ready(process)
            if ready.error is not None:
                self.notes.append(f"not profiled: {ready.error}")
                return
            self._decide(ready.names)
            part = first_part(self.rows.total, self.rows.classes) if self.rows is not None else None
            if part is None:
                self._whole_if_fast(process)
                first: Measured | str | None = None
            else:
                first = self._run(process, part, {}, _LIMIT_S)
        if part is not None and first is not None:
            self._grow(part, first)
            self._other_cores()
        if self.knob is not None and not self._is_whole():
            self._turn_knob(self.knob)

    def close(self) -> None:
        """Wait until nothing of any slice is left, and remove their folders."""
        for process in self._processes:
            process.ended()
        for folder in self.folder.glob("slice-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def result(self, wall_s: float) -> Profile:
        """What was found."""
        return Profile(
            slices=tuple(self.slices),
            rows_names=tuple(hint.name for hint in self.rows.names) if self.rows is not None else (),
            rows_total=self.rows.total if self.rows is not None else None,
            knob=self.knob.name if self.knob is not None else None,
            knob_full=self.knob_full,
            notes=tuple(self.notes),
            files=tuple(sorted(self.files)),
            changed=tuple(sorted(self.changed)),
            cpu_s=self.cpu_s,
            wall_s=wall_s,
            startup_s=min((wall for wall, _ in self._starts), default=0.0),
        )

    # --- what to cut ---

    def _decide(self, infos: tuple[NameInfo, ...]) -> None:
        found = find_rows(infos, self.request.rows, self.setup.capture.transformed)
        if isinstance(found, Rows):
            self.rows = found
            self.notes.append(found.text)
        else:
            self.notes.append(found)
        if self.request.knobs:
            self.knob = self.request.knobs[0]
            self.knob_full = _full_value(self.knob, infos)
            self.notes += [f"knob {knob.name} is not used, one is enough" for knob in self.request.knobs[1:]]

    # --- rows ---

    def _grow(self, part: float, first: Measured | str) -> None:
        measured: Measured | str | None = first
        while measured is not None:
            if isinstance(measured, Measured) and measured.error is None:
                self._keep(part, self.cores_max, measured)
                following = self._following(part)
            else:
                self.notes.append(f"slice of {part:.1%} dropped: {_why(measured)}")
                # Too few rows is the likely reason; what fails with more rows too fails for another one.
                hopeless = bool(self.slices) or part >= 1 / 4 or _FORBIDDEN in _why(measured)
                following = None if hopeless else enlarged(part)
            if following is None:
                break
            part = following
            measured = self._one(part, self.cores_max, {}, self._limit_s(part))
        if self.slices and not self._is_whole() and len({s.rows_fraction for s in self.slices}) == 1:
            self.notes.append("one size of rows only: the law of rows is a guess")

    def _following(self, asked: float) -> float | None:
        done = self._spent()
        if self._is_whole() or len({slice_.part for slice_ in done}) >= _SIZES_MOST:
            return None
        start_s = min(cpu_s for _, cpu_s in self._starts)
        part = next_part(done, asked=asked, used_cpu_s=self.cpu_s, start_cpu_s=start_s, cores=self.cores_max)
        if part == 1.0:
            self.notes.append("the cell is fast: it was run whole instead of being sliced further")
        return part

    def _other_cores(self) -> None:
        """One of the sizes on one core: the largest that the budget has room for, else the smallest if it is cheap."""
        if self.cores_max < 2 or not self.slices or self._is_whole():
            return
        done = self._spent()
        start_s = min(cpu_s for _, cpu_s in self._starts)
        left_s = budget_s(done, self.cores_max) - self.cpu_s - start_s
        fitting = [slice_ for slice_ in done if slice_.cpu_s <= max(left_s, _CHEAP_S)]
        if not fitting:
            self.notes.append("one core count only, another would have cost too much: idle time of the slices is used")
            return
        part = max(fitting, key=lambda slice_: slice_.part).part
        measured = self._one(part, 1, {}, self._limit_s(part) * self.cores_max)
        if isinstance(measured, Measured) and measured.error is None:
            self._keep(part, 1, measured)
        else:
            self.notes.append(f"slice of {part:.1%} on one core dropped: {_why(measured)}")

    def _whole_if_fast(self, process: SliceProcess) -> None:
        """Nothing can be cut: a cell that ends at once needs no slices, any other gets none."""
        if self.rows is not None:
            self.notes.append(f"too few rows to slice: {self.rows.total}")
        measured = self._run(process, 1.0, {}, _FAST_LIMIT_S)
        if isinstance(measured, Measured) and measured.error is None:
            self._keep(1.0, self.cores_max, measured)
            self.notes.append("the cell is fast: it was run whole")
        elif isinstance(measured, Measured):
            self.notes.append(f"not profiled: the cell fails ({measured.error})")
        elif self.knob is None:
            self.notes.append(f"not profiled: nothing to cut, and the whole cell was {measured}")

    # --- knob ---

    def _turn_knob(self, knob: Knob) -> None:
        assert self.knob_full is not None
        for value in sorted(set(knob.values or _knob_values(self.knob_full))):
            if value > self.knob_full:
                self.notes.append(f"knob {knob.name}={value} is more than the cell's own {self.knob_full}: left out")
                continue
            measured = self._one(1.0, self.cores_max, {knob.name: value}, _LIMIT_S)
            if isinstance(measured, Measured) and measured.error is None:
                self._keep(1.0, self.cores_max, measured, knob=knob.name, value=value)
            else:
                self.notes.append(f"slice with {knob.name}={value} dropped: {_why(measured)}")
                return

    # --- one slice ---

    def _one(self, part: float, cores: int, knobs: Mapping[str, int], limit_s: float) -> Measured | str:
        with self._process(cores) as process:
            ready = self._ready(process)
            return ready.error or self._run(process, part, knobs, limit_s, cores)

    def _process(self, cores: int) -> SliceProcess:
        folder = self.folder / f"slice-{len(self._processes) + 1}"
        shutil.rmtree(folder, ignore_errors=True)  # a controller that was killed has left it
        folder.mkdir(parents=True)
        process = SliceProcess(self.setup, folder, cores, self.check)
        self._processes.append(process)
        return process

    def _ready(self, process: SliceProcess) -> Ready:
        ready = process.ready()
        self._starts.append((ready.startup_s, ready.cpu_s))
        self.cpu_s += ready.cpu_s
        return ready

    def _run(
        self, process: SliceProcess, part: float, knobs: Mapping[str, int], limit_s: float, cores: int | None = None
    ) -> Measured | str:
        cores = cores or self.cores_max
        turned = "".join(f", {name} = {value}" for name, value in knobs.items())
        what = "the whole cell" if part == 1.0 and not turned else f"{part:.1%} of the rows{turned}"
        self.on_progress(f"slice {len(self._processes)}: {what} on {cores} core{'s' if cores > 1 else ''}")
        began = time.monotonic()
        measured = process.run(self.rows, part, knobs, limit_s)
        if isinstance(measured, Measured):
            self.files |= set(measured.files)
            self.changed |= set(measured.changed)
        # A slice that was stopped tells nothing; it was busy for at most as long as it ran.
        self.cpu_s += measured.cpu_s if isinstance(measured, Measured) else (time.monotonic() - began) * cores
        return measured

    def _keep(
        self, part: float, cores: int, measured: Measured, *, knob: str | None = None, value: int | None = None
    ) -> None:
        rows = measured.rows if measured.rows is not None else (self.rows.total if self.rows is not None else None)
        real = rows / self.rows.total if rows and self.rows is not None else part
        self.slices.append(
            Slice(
                rows_fraction=real,
                rows=rows,
                cores=cores,
                knob=knob,
                knob_value=value,
                site=self.site,
                cpu_s=measured.cpu_s,
                wall_s=measured.wall_s,
                peak_rss_bytes=measured.peak_rss_bytes,
                serial_share=measured.serial_share,
                idle_share=measured.idle_share,
                unkept_mean_s=measured.unkept_mean_s,
                unkept_most_s=measured.unkept_most_s,
            )
        )

    def _spent(self) -> list[Spent]:
        return [Spent(part=s.rows_fraction, cpu_s=s.cpu_s) for s in self.slices if s.knob is None]

    def _is_whole(self) -> bool:
        return any(s.rows_fraction == 1.0 and s.knob is None for s in self.slices)

    def _limit_s(self, part: float) -> float:
        """Generous: ten times the CPU seconds that are expected, on one busy core."""
        done = self._spent()
        return min(_LIMIT_S, max(10.0, 10 * cpu_s_at(done, part))) if done else _LIMIT_S


def _full_value(knob: Knob, infos: tuple[NameInfo, ...]) -> int:
    value = next((info.value for info in infos if info.name == knob.name), None)
    if value is None or value < 1:
        raise UserError(
            f"{knob.name} is not a count that the cell reads",
            where="--knob",
            what_to_do="Name a variable that holds a whole number above 0, such as trees",
        )
    return value


def _knob_values(full: int) -> tuple[int, ...]:
    return tuple(max(1, round(full * part)) for part in _KNOB_PARTS)


def _why(measured: Measured | str) -> str:
    return measured if isinstance(measured, str) else str(measured.error)
