"""What the panel shows: one frozen record, made by the session from what the store holds; nothing here starts a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from greenkernel.clock import GridTime
from greenkernel.records import (
    Capture,
    ClockInfo,
    EpochOpen,
    Plan,
    Prediction,
    Profile,
    Progress,
    Proposal,
    Receipt,
    RunState,
    SignalPoint,
)

Phase = Literal["profiling", "choosing", "at work", "ended", "foreseen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteIntensity:
    """Carbon intensity of one site over the grid's time, and where it comes from."""

    site: str
    points: tuple[SignalPoint, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelState:
    """A run as it is at ``at``; everything that any view of it needs.

    A dry run ends where others begin: with what was foreseen.

    ``chosen`` is the site, once somebody chose; ``can_choose`` says whether anybody is asked; ``notes`` is the journal.
    """

    run: str
    name: str
    state: RunState
    detail: str
    at: datetime
    due_at: datetime | None
    capture: Capture
    profile: Profile | None
    predictions: tuple[Prediction, ...]
    plan: Plan | None
    impossible: str | None
    chosen: str | None
    can_choose: bool
    intensity: tuple[SiteIntensity, ...]
    clock: ClockInfo | None
    epochs: tuple[EpochOpen, ...]
    progress: Progress | None
    notes: tuple[tuple[datetime, str], ...]
    log_tail: str
    receipt: Receipt | None
    error: str | None
    dry_run: bool = False
    proposal: Proposal | None = None

    @property
    def phase(self) -> Phase:
        """Which of its faces the panel shows."""
        if self.state.ended and self.dry_run and self.predictions:
            return "foreseen"
        if self.state.ended:
            return "ended"
        if self.state is RunState.PROFILING:
            return "profiling"
        if self.state is RunState.CHOOSING and self.chosen is None:
            return "choosing"
        return "at work"

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site that was predicted, in the order of the predictions."""
        return tuple(dict.fromkeys(p.site for p in self.predictions))

    @property
    def here(self) -> str | None:
        """Where the run is, or was last."""
        return self.epochs[-1].site if self.epochs else None

    @property
    def grid(self) -> GridTime:
        """Real time to the grid's; the same where no clock is known yet."""
        return GridTime(self.clock or ClockInfo(real_start=self.at, grid_start=self.at, factor=1.0))
