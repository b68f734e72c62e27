"""The chart of a run as a Vega-Lite spec: carbon intensity per site, what is planned, what happened, now and due.

The spec's frame is the same for the whole run and its figures lie in named data sets, so that a view can be given new
data without being built again. Every site has its own dash pattern and its name at its line: nothing is told by colour
alone. Instants are milliseconds of the wall clock of the reader's zone, drawn on a UTC scale, because data that arrive
later are not parsed any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from greenkernel.panel.chartframe import HEIGHT_PX, LANES_PX, frame
from greenkernel.panel.state import PanelState
from greenkernel.panel.words import simulated_text
from greenkernel.records import Plan, SignalPoint
from greenkernel.units import clock_text

_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
_MOST_POINTS: Final = 1500
_CHARS_ACROSS: Final = 66


def chart_spec(state: PanelState, *, zone: tzinfo | None) -> dict[str, Any]:
    """The spec with its data; ``datasets`` is all of it that changes while a run goes on."""
    sites = tuple(dict.fromkeys((*[i.site for i in state.intensity], *state.sites)))
    window = _window(state)
    return {
        "$schema": _SCHEMA,
        "title": _title(state, zone),
        "description": f"Carbon intensity of {', '.join(sites)} over time, with the plan, the stays, now and due",
        **frame(sites),
        "datasets": datasets(state, window, zone),
    }


def datasets(
    state: PanelState, window: tuple[datetime, datetime], zone: tzinfo | None
) -> dict[str, list[dict[str, Any]]]:
    """Lines, their names, bars of plan and stays, and the two rules; instants are cut to ``window`` (grid time)."""
    lines = [point for one in state.intensity for point in _line(one.site, one.points, window, zone)]
    top = max([float(point["g"]) for point in lines], default=100.0) or 100.0
    edges = [{"at": _ms(at, zone), "g": 0.0 if n == 0 else top * 1.32} for n, at in enumerate(window)]
    return {
        "lines": lines,
        "names": _names(lines, top),
        "bars": _bars(state, window, zone),
        "rules": _rules(state, window, zone),
        "edges": edges,
    }


def _window(state: PanelState) -> tuple[datetime, datetime]:
    """What is worth looking at: from the run's first start to its end or due date, and a little around it."""
    grid = state.grid
    known = [p for one in state.intensity for p in (*one.points[:1], *one.points[-1:])]
    begin = [e.opened_at for e in state.epochs[:1]] or [state.at]
    end = [state.at] if state.due_at is None else [state.at, state.due_at]
    if state.plan is not None:
        begin.append(min(state.plan.made_at, *[s.start for s in state.plan.steps]))
        end.append(state.plan.finish_latest_at if _says_when(state.plan) else state.plan.finish_at)
    if state.receipt is not None:
        end.append(state.receipt.finished_at)
    first, last = grid.to_grid(min(begin)), grid.to_grid(max(end))
    if last - first < timedelta(minutes=5):
        last = max([last, *[p.end for p in known]])
    margin = max((last - first) * 0.03, timedelta(minutes=2))
    return first - margin, last + 2 * margin


def _says_when(plan: Plan) -> bool:
    """False where its end only stands in for what was not measured."""
    return plan.finish_latest_at - plan.made_at < 10 * (plan.finish_at - plan.made_at)


def _line(
    site: str, points: Sequence[SignalPoint], window: tuple[datetime, datetime], zone: tzinfo | None
) -> list[dict[str, Any]]:
    begin, end = window
    seen = [p for p in points if p.end > begin and p.start < end]
    seen = seen[:: len(seen) // _MOST_POINTS + 1]
    drawn = [
        {"site": site, "at": _ms(max(p.start, begin), zone), "g": round(p.intensity_g_per_kwh, 1), "kind": _kind(p)}
        for p in seen
    ]
    if seen:
        drawn.append({**drawn[-1], "at": _ms(min(seen[-1].end, end), zone)})
    return drawn


def _kind(point: SignalPoint) -> str:
    return "forecast" if point.forecast else "estimated" if point.estimated else "measured"


def _names(lines: Sequence[dict[str, Any]], top: float) -> list[dict[str, Any]]:
    """The name at the end of each line, moved apart where lines end close to one another."""
    last = sorted({line["site"]: line for line in lines}.values(), key=lambda line: float(line["g"]))
    gap, below = top * 1.32 * 14 / HEIGHT_PX, float("-inf")
    placed = []
    for line in last:
        below = max(float(line["g"]), below + gap)
        placed.append({"site": line["site"], "at": line["at"], "g": round(below, 1)})
    return placed


def _bars(state: PanelState, window: tuple[datetime, datetime], zone: tzinfo | None) -> list[dict[str, Any]]:
    steps = (
        [("plan", s.site, s.start, s.end) for s in state.plan.steps] if state.plan and _says_when(state.plan) else []
    )
    if state.receipt is not None:
        steps += [("was", s.site, s.start, s.end) for s in state.receipt.stays]
    else:
        opened = [(e.site, e.opened_at) for e in state.epochs]
        ends = [*[at for _, at in opened[1:]], state.at][: len(opened)]
        steps += [("was", site, start, end) for (site, start), end in zip(opened, ends, strict=True)]
    across = (window[1] - window[0]).total_seconds()
    bars = []
    for lane, site, start, end in steps:
        begin, until = (min(max(state.grid.to_grid(t), window[0]), window[1]) for t in (start, end))
        room = int(_CHARS_ACROSS * (until - begin).total_seconds() / across) - 1
        label = f"{'plan: ' if lane == 'plan' else 'was: '}{site}"
        label = label if len(label) <= room else site if len(site) <= room else ""
        top, bottom = LANES_PX[lane]
        bars.append(
            {
                "lane": lane,
                "site": site,
                "at": _ms(begin, zone),
                "to": _ms(until, zone),
                "label": label,
                "top": top,
                "bottom": bottom,
            }
        )
    return bars


def _rules(state: PanelState, window: tuple[datetime, datetime], zone: tzinfo | None) -> list[dict[str, Any]]:
    """Now, in steps that an eye can see, and the due date; after the end only the due date."""
    grid, rules = state.grid, []
    if not state.state.ended:
        step = (window[1] - window[0]) / 200
        now = window[0] + (grid.to_grid(state.at) - window[0]) // step * step
        rules.append({"what": "now", "label": "now", "at": _ms(now, zone)})
    if state.due_at is not None:
        real = clock_text(state.due_at, zone, today=state.at, seconds=grid.simulated)
        rules.append({"what": "due", "label": f"due {real}", "at": _ms(grid.to_grid(state.due_at), zone)})
    return rules


def _title(state: PanelState, zone: tzinfo | None) -> dict[str, Any]:
    simulated = simulated_text(state.grid)
    what = "times are the grid's, due is real" if simulated else "times are yours"
    kinds = dict.fromkeys(f"{p.kind}, {p.scope}" for one in state.intensity for p in one.points[:1])
    said = [simulated, what, *kinds]
    return {
        "text": "Carbon intensity, g CO2e per kWh" + (" (simulated grid)" if simulated else ""),
        "subtitle": "; ".join(word for word in said if word),
        "anchor": "start",
    }


def _ms(when: datetime, zone: tzinfo | None) -> int:
    """Milliseconds at which a UTC clock shows what the clock of ``zone`` shows at ``when``."""
    return round(when.astimezone(zone).replace(tzinfo=UTC).timestamp() * 1000)
