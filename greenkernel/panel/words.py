"""Small pieces of text that the views of a run share: escaping, bounded tails, the grid's clock."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Final

from greenkernel.clock import GridTime
from greenkernel.records import Interval, Plan, Prediction, Receipt
from greenkernel.units import format_duration

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MOST_REFUSED: Final = 3
_TOO_WIDE: Final = 100.0
OURS: Final = {"greenkernel": True}
"""The metadata of every display that is ours and not the cell's."""
NOT_KNOWN: Final = "not known"
SECONDS_BELOW_S: Final = 900.0
"""Times of something shorter than this are shown with their seconds."""


def repeats(predictions: Sequence[Prediction], plan: Plan | None) -> str:
    """What a move away from the recommended site does again, as the slices say; empty where they do not."""
    first = plan.steps[0] if plan and plan.steps else None
    here = [p for p in predictions if first is None or (p.site, p.cores) == (first.site, first.cores)]
    priced = next((p for p in here if p.repeat_s is not None), None)
    if priced is None or priced.repeat_s is None:
        return ""
    mid, high = (format_duration(seconds) for seconds in (priced.repeat_s.mid, priced.repeat_s.high))
    return f"by the slices about {mid} of the time on {priced.site}, at most {high}"


def is_known(took: Interval) -> bool:
    """False for what stands in where nothing was measured: from a second to a day."""
    return took.high < _TOO_WIDE * max(took.low, 1.0)


def refused_moves(receipt: Receipt) -> list[str]:
    """The last moves that did not pay or were not safe, without those that were made all the same later."""
    found = [
        r
        for r in receipt.refused_moves
        if not any(m.to_site == r.to_site and m.decided_at >= r.at for m in receipt.moves)
    ]
    return [f"not moved to {refused.to_site}: {refused.reason}" for refused in found[-_MOST_REFUSED:]]


def sources_of(receipt: Receipt) -> list[tuple[str, str, str]]:
    """What a figure is of, where it comes from, and its kind; sites whose figures come from one place in one line."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in receipt.sources:
        what, _, site = one.what.partition(" of ")
        found.setdefault((what, one.source, one.kind), []).append(site)
    return [
        (f"{what} of {', '.join(sites)}" if any(sites) else what, source, kind)
        for (what, source, kind), sites in found.items()
    ]


def escape(text: object, *, most: int = 400) -> str:
    """Text for HTML, cut where it is longer than anybody reads; what a user wrote can never become markup."""
    shown = str(text)
    shown = shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"
    return html.escape(_CONTROLS.sub(" ", shown))


def log_lines(text: str, *, most_lines: int = 8, most_bytes: int = 4096) -> str:
    """The end of a log for HTML: escaped, without colours, carriage returns honoured, at most ``most_bytes`` long."""
    plain = _ESCAPES.sub("", text[-8 * most_bytes :].replace("\r\n", "\n"))
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in plain.rstrip("\n").split("\n")][-most_lines:]
    kept: list[str] = []
    left = most_bytes
    for line in reversed(lines):
        shown = _cut(line, left - 1)
        kept.append(shown)
        left -= len(shown.encode()) + 1
        if left <= 8:
            break
    return "\n".join(reversed(kept))


def _cut(line: str, most_bytes: int) -> str:
    line = _CONTROLS.sub(" ", line)
    shown = html.escape(line)
    while len(shown.encode()) > most_bytes and line:
        line = line[: int(len(line) * 0.8)]
        shown = html.escape(line) + "…"
    return shown


def simulated_text(grid: GridTime) -> str:
    """How the grid's time goes where it is not the real one; empty where it is."""
    if not grid.simulated:
        return ""
    if grid.info.factor == 1:
        return f"simulated grid, which began at {grid.info.grid_start:%Y-%m-%d %H:%M} UTC"
    return f"simulated grid: one real second is {format_duration(grid.info.factor)} of the grid's time"
