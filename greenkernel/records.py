"""The frozen records in which the stages meet; they know one another only through these.

Standard library only, because a pod reads some of them too. Units are in the names; times are aware UTC datetimes;
``mid`` of an interval is the best estimate, ``low`` and ``high`` hold with the probability ``level``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

SCHEMA = 1

Goal = Literal["co2", "energy", "cost", "time"]
MovePolicy = Literal["auto", "ask", "never"]


class RunState(StrEnum):
    """Where a run stands; ``Run.detail`` says the rest in words."""

    PROFILING = "profiling"
    CHOOSING = "choosing"
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    MOVING = "moving"
    PAUSED = "paused"
    COLLECTING = "collecting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REMOVED = "removed"

    @property
    def ended(self) -> bool:
        """True where nothing happens any more, unless somebody resumes it."""
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED, RunState.REMOVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate that knows how far it may be off, and where it comes from."""

    low: float
    mid: float
    high: float
    level: float = 0.95
    source: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.mid <= self.high:
            raise ValueError(f"an interval needs low <= mid <= high, got {self.low}, {self.mid}, {self.high}")

    def scaled(self, factor: float, *, source: str | None = None) -> Interval:
        """The same interval in other units or for ``factor`` (>= 0) times as much."""
        return Interval(
            low=self.low * factor,
            mid=self.mid * factor,
            high=self.high * factor,
            level=self.level,
            source=self.source if source is None else source,
        )

    def __add__(self, other: Interval) -> Interval:
        """Sum of two estimates; ends are added, which is safe when their errors go together."""
        both = f"{self.source}; {other.source}".split("; ")
        sources = dict.fromkeys(source for source in both if source not in ("", "none"))
        return Interval(
            low=self.low + other.low,
            mid=self.mid + other.mid,
            high=self.high + other.high,
            level=min(self.level, other.level),
            source="; ".join(sources),
        )

    @classmethod
    def exact(cls, value: float, source: str) -> Interval:
        """A measured or defined value without spread."""
        return cls(low=value, mid=value, high=value, level=1.0, source=source)


# --- what the user asks for ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsHint:
    """``--rows X:1``: the name whose axis ``axis`` counts the rows."""

    name: str
    axis: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """``--knob NAME[=a,b]``: a count in the cell's namespace that slices may set to smaller values."""

    name: str
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One submission, as asked: the cell's text and the options, all of them resolved.

    ``logical_cores`` is what ``n_jobs=-1`` means on every site of the run, so that a move changes no result.
    """

    source: str
    name: str
    created_at: datetime
    due_at: datetime | None = None
    goal: Goal = "co2"
    sites: tuple[str, ...] = ()
    cores_min: int | None = None
    cores_max: int | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    """Most that travels, and most that records and snapshots take in the store."""
    rows: tuple[RowsHint, ...] = ()
    knobs: tuple[Knob, ...] = ()
    profile: bool = True
    files: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    move: MovePolicy = "auto"
    auto: bool = True
    dry_run: bool = False
    out: tuple[str, ...] = ()
    file_name: str = "<cell>"
    script: str | None = None
    """Name of the Python file that is run as one cell; None for cells and functions."""
    folder: str = ""
    """The notebook's folder: files of the cell come from below it and go back there."""
    owner: str = ""
    logical_cores: int = 1
    hash_seed: str = ""
    """The notebook's ``PYTHONHASHSEED``, empty where it has none; the run then has one of its own in every epoch."""


# --- what travels -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the manifest: what travels, how big it is and why. ``bytes`` is the pickled size."""

    name: str
    kind: str
    bytes: int
    why: str
    secret_like: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A pickle of protocol 5 in the blob store: the addresses of its head and of its out-of-band buffers, in order."""

    head: str
    buffers: tuple[str, ...] = ()
    bytes: int = 0


Origin = Literal["index", "vcs", "editable", "local", "archive", "conda", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed distribution that the cell needs, pinned; of ``unknown`` origin: a module that no package has.

    ``source`` is the address or the folder that it came from, never with credentials; ``place`` the folder at home that
    it is imported from. ``installed`` tells one installation from another of the same version where an index cannot.
    ``indexed``: whoever asks an index for this version is given the same code.
    """

    name: str
    version: str
    origin: Origin = "index"
    source: str = ""
    place: str = ""
    installed: str = ""
    indexed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that travels: its path below the run's folder (POSIX, relative) and the address of its bytes.

    ``executable`` is whether its owner may run it.
    """

    path: str
    blob: str
    bytes: int
    kind: Literal["module", "data"] = "module"
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file or folder that the cell has left otherwise than it found it; its path as in `SourceFile`.

    ``blob`` is the address of its bytes, None where it is gone, a folder or a link; ``base`` that of the bytes which
    were sent, None where the site had no such file. ``link`` is what a symbolic link says, relative to where it is.
    """

    path: str
    kind: Literal["file", "folder", "link", "deleted", "folder deleted"]
    blob: str | None = None
    base: str | None = None
    bytes: int = 0
    link: str | None = None
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """All that a cell needs elsewhere, already in the store as blobs."""

    transformed: str
    reads: tuple[str, ...]
    binds: tuple[str, ...]
    items: tuple[Item, ...]
    payload: Payload
    files: tuple[SourceFile, ...] = ()
    packages: tuple[Package, ...] = ()
    python_version: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    dice: Payload | None = None
    """State of the global random generators: the same at the start of every epoch."""
    surroundings: Payload | None = None
    """Settings of the whole process as they were at submission."""
    not_sent: tuple[str, ...] = ()
    """What the cell may want and does not travel, in sentences."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Texts of the notebook's earlier cells that functions come from, by the name of their code's file."""
    folders: tuple[str, ...] = ()
    """Folders below the notebook's: a cell can write into them, also where no file of theirs travels."""
    front_end: Literal["", "terminal", "kernel"] = ""
    """What the notebook's IPython shows things in: libraries lay them out for it. Empty without IPython."""
    owned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names whose objects modules of the notebook's own have too, as ``module:name``."""
    held: tuple[str, ...] = ()
    """Names and parts whose objects something else in the notebook holds: it sees what becomes of them."""
    keeps: str = ""
    """What a move of the cell does again, in words."""
    submodules: tuple[str, ...] = ()
    """Modules inside of packages that it names with a dot and that earlier cells have loaded."""

    @property
    def bytes(self) -> int:
        """Bytes that travel when nothing is on the other side yet."""
        return self.payload.bytes + sum(f.bytes for f in self.files)


# --- profile and prediction ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One slice that really ran: what was cut, and what it used. ``rows_fraction`` is in (0, 1].

    ``serial_share`` is the part of its CPU seconds during which at most one thread had something to do, ``idle_share``
    the part of its time during which none had; None where nobody looked, or not often enough. ``unkept_*`` are the wall
    seconds that a move would have done again, on average over its time and at most.
    """

    rows_fraction: float
    rows: int | None
    cores: int
    knob: str | None
    knob_value: int | None
    site: str
    cpu_s: float
    wall_s: float
    peak_rss_bytes: int
    serial_share: float | None = None
    idle_share: float | None = None
    unkept_mean_s: float | None = None
    unkept_most_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The slices of a cell and what was decided about its rows; no slices: not possible or not wanted (see notes).

    ``cpu_s`` and ``wall_s`` are what profiling took, discarded slices and process starts included; ``startup_s`` is
    what a fresh process needs before the cell: reading its values back and importing. ``files`` are those that slices
    opened below the notebook's folder and that nobody had named. ``changed`` are names whose objects slices changed in
    place.
    """

    slices: tuple[Slice, ...]
    rows_names: tuple[str, ...] = ()
    rows_total: int | None = None
    knob: str | None = None
    knob_full: int | None = None
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    cpu_s: float = 0.0
    wall_s: float = 0.0
    startup_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a site can give now. ``cores_free`` or ``memory_free_bytes`` None means: not known."""

    site: str
    reachable: bool
    cores_max: int
    cores_free: float | None = None
    memory_free_bytes: int | None = None
    speed: float = 1.0
    why_not: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the whole cell would take on one site with so many cores, started now.

    ``repeat_s`` are the seconds of its time that a move away from there does again: on average, and at most.
    """

    site: str
    cores: int
    time_s: Interval
    startup_s: Interval
    memory_bytes: Interval
    energy_wh: Interval
    emissions_g: Interval
    cost: Interval
    currency: str
    p_due: float | None
    feasible: bool
    why_not: str | None = None
    repeat_s: Interval | None = None
    power_w: Interval = field(default_factory=lambda: Interval(low=0.0, mid=0.0, high=0.0))
    cpu_s: Interval = field(default_factory=lambda: Interval(low=0.0, mid=0.0, high=0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalPoint:
    """Carbon intensity of one zone over [start, end), in g CO2e per kWh."""

    start: datetime
    end: datetime
    intensity_g_per_kwh: float
    kind: Literal["average", "marginal"] = "average"
    scope: Literal["lifecycle", "direct"] = "lifecycle"
    estimated: bool = False
    forecast: bool = False
    issued_at: datetime | None = None


# --- plan ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Part of a plan: run on ``site`` with ``cores`` from ``start`` to ``end``; waiting has no step."""

    site: str
    cores: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A plan that was not taken, with its figures and the reason. ``site`` is where it would go."""

    site: str
    what: str
    emissions_g: float
    energy_wh: float
    cost: float
    finish_at: datetime | None
    why_not: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The cheapest steps under the due date, and why these."""

    steps: tuple[Step, ...]
    made_at: datetime
    goal: Goal
    emissions_g: Interval
    energy_wh: Interval
    cost: Interval
    finish_at: datetime
    finish_latest_at: datetime
    reason: str
    alternatives: tuple[Alternative, ...] = ()

    def at(self, when: datetime) -> Step | None:
        """The step that holds at ``when``; None while the plan waits."""
        for step in self.steps:
            if step.start <= when < step.end:
                return step
        return None


# --- run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One epoch to be started on a site.

    ``folder`` is the notebook's: a site shows the cell its own working folder at that path, where it can. ``hash_seed``
    is the runner's ``PYTHONHASHSEED``. ``lost_every_s`` is how often, in the mean, the site takes a job's process away
    unasked. ``secrets`` never reach a manifest's text, a log or a repr.
    """

    run: str
    epoch: int
    cores: int
    memory_bytes: int
    grace_s: float = 30.0
    owner: str = ""
    folder: str = ""
    hash_seed: str = "0"
    lost_every_s: float = 7200.0
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Deterministic name, so that creating twice is harmless; a valid DNS label."""
        return f"gk-{self.run}-{self.epoch}"


class JobPhase(StrEnum):
    """What a site knows of a job: PENDING has been accepted, ENDED has an exit code or a reason.

    PARTIAL: whoever submitted it was cut off half-way; submitting again completes it.
    """

    PARTIAL = "partial"
    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A site's view of one job. ``detail`` explains pending and ended in one line with what to do."""

    run: str
    epoch: int
    phase: JobPhase
    exit_code: int | None = None
    out_of_memory: bool = False
    detail: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRef:
    """One record of a finished task: its name, and the epoch in whose records it lies."""

    name: str
    epoch: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochOpen:
    """The fence: written once per epoch (put-if-absent); lists which records of earlier epochs are believed."""

    run: str
    epoch: int
    site: str
    cores: int
    memory_bytes: int
    opened_at: datetime
    trigger: Literal["start", "plan", "user", "fault"]
    reason: str
    believed: tuple[RecordRef, ...] = ()
    predicted_saving_g: float | None = None
    resumes: int = 0
    """How often the run had been resumed by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A move that a person is asked about under ``--move ask``: without an answer by ``until`` the run stays.

    ``settled``: it was answered by staying, or nobody answered in time.
    """

    number: int
    epoch: int
    site: str
    saving_g: float | None
    reason: str
    asked_at: datetime
    until: datetime
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the runner last said of itself.

    ``fraction`` is of the rounds of the loop that is under way, or of joblib's tasks; None where their total is not
    known. ``recorded_cpu_s`` are the CPU seconds that records and the last snapshot hold; ``stops_soon`` says that
    another snapshot is taken at the end of the present round if the run is asked to leave, so that a move repeats
    nothing. ``cpu_s`` are those of this epoch; ``left_cpu_s`` are those of rounds, or of tasks of the calls begun so
    far, still to come; ``record_bytes`` are what a move would take along besides the payload. ``resumed_at`` is where
    this epoch went on; ``why_not_kept`` is why the last snapshot could not be taken.
    """

    epoch: int
    at: datetime
    fraction: float | None = None
    tasks_done: int = 0
    tasks_total: int | None = None
    reused_tasks: int = 0
    reused_cpu_s: float = 0.0
    recomputed_tasks: int = 0
    recorded_cpu_s: float = 0.0
    record_bytes: int = 0
    left_cpu_s: float = 0.0
    rounds_done: int | None = None
    rounds_total: int | None = None
    stops_soon: bool = False
    resumed_at: str = ""
    why_not_kept: str = ""
    not_recorded: Mapping[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_rss_bytes: int = 0
    detail: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One line of a remote traceback; ``in_cell`` frames are shown on the cell's own lines.

    ``first_line`` is the one on which the function begins, ``arguments`` are the names of what it takes: without a
    star, behind a star only, with one, with two. ``place`` is where in the line it was: the line and the column where
    that ends, and the column where it begins, in bytes.
    """

    file: str
    line: int
    function: str
    in_cell: bool
    first_line: int = 1
    arguments: tuple[tuple[str, ...], ...] = ((), (), (), ())
    place: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellError:
    """An exception of the cell: enough to show it even where the object itself could not travel."""

    type_name: str
    message: str
    frames: tuple[Frame, ...]
    text: str
    pickled: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a finished epoch leaves: put-if-absent, names its epoch, everything in it is a verified blob."""

    run: str
    epoch: int
    finished_at: datetime
    names: tuple[str, ...]
    deleted: tuple[str, ...]
    payload: Payload
    has_value: bool
    error: CellError | None = None
    not_returned: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None
    dice: Payload | None = None
    """State of the global random generators as the cell left it; None where it has not drawn from them."""
    dice_before: str = ""
    """Fingerprint of their state when the cell began, which was the notebook's at submission."""
    files: tuple[FileChange, ...] = ()
    surroundings: Payload | None = None
    """Settings of the whole process that the cell has changed; None where it has changed none."""
    owned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names whose objects modules of the notebook's own have too, as ``module:name``."""

    @property
    def payloads(self) -> tuple[Payload, ...]:
        """Every payload that it names."""
        error = self.error.pickled if self.error is not None else None
        return tuple(p for p in (self.payload, self.dice, self.surroundings, error) if p is not None)


# --- receipt ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One epoch as it really was."""

    epoch: int
    site: str
    cores: int
    start: datetime
    end: datetime
    cpu_s: float
    energy_wh: Interval
    emissions_g: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Tasks and CPU seconds that were reused or done again, and why."""

    tasks: int
    cpu_s: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One relocation: why, what it cost, and what it was to save."""

    from_site: str
    to_site: str
    trigger: Literal["plan", "user", "fault"]
    reason: str
    decided_at: datetime
    dead_s: float
    lost_cpu_s: float
    reused: Work
    recomputed: Work
    bytes: int
    cost_g: Interval
    predicted_saving_g: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedMove:
    """A move that was looked at and did not pay or was not safe."""

    to_site: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Emissions:
    """Grams CO2e, itemised; the items' mids sum to the total's."""

    total: Interval
    running: Interval
    idle: Interval
    startup: Interval
    transfer: Interval
    profiling: Interval
    embodied: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The same job by the same method under another policy."""

    name: str
    site: str
    emissions_g: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockInfo:
    """How real time maps to the grid's time; factor 1 is the real grid, anything else a simulation."""

    real_start: datetime
    grid_start: datetime
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """Where a figure comes from, of what kind it is, and how old it was when used."""

    what: str
    source: str
    kind: str
    age_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileReceipt:
    """The profile in the receipt; ``share`` is its CPU seconds over those of the run."""

    slices: tuple[Slice, ...]
    cpu_s: float
    share: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Predicted against measured: everything that a run took, by item, with sources."""

    schema: int
    run: str
    name: str
    state: RunState
    error: str | None
    due: datetime | None
    due_met: bool | None
    goal: Goal
    created_at: datetime
    finished_at: datetime
    profile: ProfileReceipt
    predictions: tuple[Prediction, ...]
    plan: tuple[Step, ...]
    stays: tuple[Stay, ...]
    moves: tuple[Move, ...]
    refused_moves: tuple[RefusedMove, ...]
    emissions_g: Emissions
    baselines: tuple[Baseline, ...]
    saved_g: Interval
    clock: ClockInfo
    sources: tuple[SourceInfo, ...]

    def to_json(self) -> str:
        """The receipt as JSON of schema `SCHEMA`; times are ISO 8601 in UTC."""
        return json.dumps(plain(self), indent=2)


# JSON has the words that Python keeps for itself.
_JSON_NAMES: dict[type, dict[str, str]] = {
    Step: {"start": "from", "end": "to"},
    Stay: {"start": "from", "end": "to"},
}


def plain(value: Any) -> Any:
    """A record as dicts, lists, numbers and text, as its JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = _JSON_NAMES.get(type(value), {})
        return {names.get(f.name, f.name): plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [plain(item) for item in value]
    return value
