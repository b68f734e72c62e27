"""What a profile's slices say of the whole cell on the machine where they ran; every prediction starts from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenkernel.model.memory import memory
from greenkernel.model.time import Estimate, Run, Scaling, by_cores, by_knob, by_rows, combined
from greenkernel.records import Interval, Profile, Slice


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What the slices say of the whole cell on the profiled machine; the laws behind every prediction.

    Attributes:
        estimate: CPU seconds.
        scaling: Wall seconds by cores.
        extrapolation: Work of the whole cell over that of the largest slice.
        how: How it was estimated, in words.
        repeated: Parts of its time that a move does again, on average and at most; None where no slice says so.
    """

    estimate: Estimate
    scaling: Scaling
    extrapolation: float
    how: str
    repeated: tuple[float, float] | None = None

    @property
    def unsure(self) -> tuple[str, ...]:
        """Everything that speaks against it."""
        return (*self.estimate.unsure, *self.scaling.unsure)


def whole_cell(profile: Profile) -> Whole | None:
    """The laws through a profile's slices; None where there is none."""
    slices = profile.slices
    if not slices:
        return None
    at_full_knob = [s for s in slices if s.knob is None]
    rows_total = profile.rows_total or 1000
    # Every size is a slice of its own CPU seconds, so that repeats and core counts count as repeats.
    row_points = [(max(1.0, s.rows_fraction * rows_total), s.cpu_s) for s in at_full_knob]
    rows = by_rows(row_points, rows_total) if row_points else None
    knob_points = [(float(s.knob_value), s.cpu_s) for s in slices if s.knob and s.knob_value]
    knob = by_knob(knob_points, float(profile.knob_full)) if knob_points and profile.knob_full else None
    estimate = combined(rows, knob)
    runs = [_run(s, profile) for s in slices]
    largest_row = max((s.rows_fraction for s in at_full_knob), default=0.0)
    largest = largest_row or max(run.x for run in runs)
    parts = [f"{_count(len(row_points))} of rows"] if row_points and largest_row < 1 else []
    parts += ["the whole cell was run"] if largest_row == 1 else []
    parts += [f"{_count(len(knob_points))} of {profile.knob}"] if knob_points else []
    scaling = by_cores(runs, estimate)
    return Whole(
        estimate=estimate,
        scaling=scaling,
        extrapolation=1 / largest,
        how=" and ".join(parts) + (f", the largest {largest:.1%} of the work" if largest < 1 else ""),
        repeated=_repeated(slices, scaling),
    )


def _repeated(slices: Sequence[Slice], scaling: Scaling) -> tuple[float, float] | None:
    """Rounds, statements and tasks grow with the rows as the whole does; a knob says how many there are of them."""
    seen = [s for s in slices if s.unkept_mean_s is not None and s.unkept_most_s is not None]
    if not seen:
        return None
    s = max(seen, key=lambda s: (s.knob is None, s.rows_fraction, s.wall_s))
    whole_s = s.wall_s if s.knob is None else scaling.wall_s(s.cores) * s.rows_fraction
    mean, most = (min(1.0, (part_s or 0.0) / max(whole_s, 1e-9)) for part_s in (s.unkept_mean_s, s.unkept_most_s))
    return min(mean, most), most


def memory_of(profile: Profile, capture_bytes: int) -> Interval:
    """Peak bytes of the whole cell; ``high`` is the limit to give it."""
    peaks = [(_share(s, profile), float(s.peak_rss_bytes)) for s in profile.slices]
    by_size = [(s.rows_fraction, float(s.peak_rss_bytes)) for s in profile.slices if s.knob is None]
    return memory(by_size or peaks, capture_bytes, seen_bytes=max((peak for _, peak in peaks), default=0.0))


def _count(slices: int) -> str:
    return f"{slices} slice{'s' if slices != 1 else ''}"


def _run(slice_: Slice, profile: Profile) -> Run:
    return Run(
        x=_share(slice_, profile),
        cores=slice_.cores,
        cpu_s=slice_.cpu_s,
        wall_s=slice_.wall_s,
        serial_share=slice_.serial_share,
        idle_share=slice_.idle_share,
    )


def _share(slice_: Slice, profile: Profile) -> float:
    """The part of the whole cell's work that a slice had, as its rows and its knob say."""
    knob = slice_.knob_value / profile.knob_full if slice_.knob_value and profile.knob_full else 1.0
    return slice_.rows_fraction * min(knob, 1.0)
