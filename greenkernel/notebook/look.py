"""A run as the panel shows it: everything read from the store and the journal, now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from greenkernel.clock import GridTime
from greenkernel.errors import GreenKernelError
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.panel.state import PanelState, SiteIntensity
from greenkernel.records import SignalPoint
from greenkernel.store.runs import Advice
from greenkernel.tariffs import site_grids

# The chart shows a little of what was before, and at least so much of what is to come.
_BEFORE = timedelta(minutes=30)
_LEAST = timedelta(hours=1)
_MOST_POINTS = 400
_TAIL_CHARACTERS = 4000


class Looker:
    """Looks at one run again and again; what cannot change is read once.

    Args:
        run: The run.
        home: Its home.
        can_choose: Whether a person is asked for the site.
    """

    def __init__(self, run: Run, home: Home, *, can_choose: bool) -> None:
        self._run = run
        self._home = home
        self._can_choose = can_choose
        self._submission = run.submission
        self._intensity: tuple[SiteIntensity, ...] | None = None
        self._tail = ""

    def printed(self, text: str) -> None:
        """Remember the end of what the cell prints."""
        self._tail = (self._tail + text)[-_TAIL_CHARACTERS:]

    def look(self) -> PanelState:
        """The run as it is now."""
        run, request = self._run, self._submission.request
        advice, capture = run.advice, self._submission.capture
        state = run.state
        if self._intensity is None and advice is not None:
            self._intensity = self._intensities(advice)
        return PanelState(
            run=run.id,
            name=request.name,
            state=state,
            detail=run.detail,
            at=self._home.clock.now(),
            due_at=request.due_at,
            capture=advice.complete(capture) if advice else capture,
            profile=advice.profile if advice else None,
            predictions=advice.predictions if advice else (),
            plan=run.plan or (advice.plan if advice else None),
            impossible=advice.impossible if advice else None,
            chosen=run.chosen,
            can_choose=self._can_choose,
            intensity=self._intensity or (),
            clock=advice.clock if advice else None,
            epochs=run.epochs,
            progress=run.progress,
            notes=tuple(run.journal()),
            log_tail=self._tail,
            receipt=run.receipt if state.ended else None,
            error=run.detail if state.ended and run.detail else None,
            dry_run=request.dry_run,
            proposal=run.proposal if request.move == "ask" else None,
        )

    def _intensities(self, advice: Advice) -> tuple[SiteIntensity, ...]:
        grid = GridTime(advice.clock)
        start = advice.clock.real_start - _BEFORE / max(1.0, advice.clock.factor)
        end = advice.clock.real_start + _LEAST / max(1.0, advice.clock.factor)
        ends = [self._submission.request.due_at, advice.plan.finish_latest_at if advice.plan else None]
        end = max([end, *(when for when in ends if when is not None)])
        try:
            grids = site_grids(self._home.settings, grid)
        except GreenKernelError:  # a trace that is gone meanwhile: the panel does without its chart
            return ()
        found = []
        for site, one in grids.items():
            points = _points(one.signal.points(start, end), grid, start)
            found.append(SiteIntensity(site=site, points=points, source=one.signal.source))
        return tuple(found)


def _points(points: Sequence[SignalPoint], grid: GridTime, start: datetime) -> tuple[SignalPoint, ...]:
    """At most so many points, in the grid's time."""
    kept = [point for point in points if point.end > start]
    step = max(1, len(kept) // _MOST_POINTS)
    return tuple(replace(p, start=grid.to_grid(p.start), end=grid.to_grid(p.end)) for p in kept[::step])
