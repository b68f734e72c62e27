"""Small planning problems for tests, and a planner that tries everything, written apart from the real one."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st

from greenkernel.plan.problem import Option, Problem

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = 3600.0


def option(site: str, intensity: list[float], **changes: Any) -> Option:
    """An option of 1 kW and four hours without start-up, so that an hour's grams are its intensity."""
    given: dict[str, Any] = {"duration_mid_s": 4 * HOUR, "power_w": 1000.0, "cores": 1, **changes}
    for name, source in (("duration_low_s", "duration_mid_s"), ("duration_high_s", "duration_mid_s")):
        given.setdefault(name, given[source])
    given.setdefault("power_low_w", given["power_w"])
    given.setdefault("power_high_w", given["power_w"])
    given.setdefault("repeat_high_s", given.get("repeat_mid_s", 0.0))
    given.setdefault("startup_high_s", given.get("startup_mid_s", 0.0))
    return Option(site=site, intensity=np.array(intensity, dtype=np.float64), **given)


def problem(*options: Option, **changes: Any) -> Problem:
    """These options on hourly slots from START."""
    given: dict[str, Any] = {"start": START, "slot_s": HOUR, "slots": len(options[0].intensity), "zone": UTC, **changes}
    return Problem(options=options, **given)


def cheapest(asked: Problem) -> float:
    """Least grams over every plan that starts, stays and moves at slot boundaries safely; infinite where none does."""
    if asked.current is not None:
        return _from(asked, 0, asked.current, asked.work_left)
    best = math.inf
    for slot in range(asked.slots if asked.can_wait else 1):
        for o, there in enumerate(asked.options):
            if _may_enter(asked, slot, o, asked.work_left) and _in_horizon(asked, slot, there):
                best = min(best, there.arrive_g + _entered(asked, slot, o, asked.work_left))
    return best


def _in_horizon(asked: Problem, slot: int, there: Option) -> bool:
    end_s = slot * asked.slot_s + there.startup_high_s + asked.work_left * there.duration_high_s
    return slot == 0 or asked.due_at is not None or end_s <= asked.slots * asked.slot_s


def _from(asked: Problem, slot: int, o: int, work: float) -> float:
    here = asked.options[o]
    if work <= 1e-12:
        return 0.0
    if slot >= asked.slots:
        return _grams(asked, o, slot * asked.slot_s, work * here.duration_mid_s)
    best = math.inf
    if _may_stay(asked, slot, o, work):
        run_s = min(asked.slot_s, work * here.duration_mid_s)
        best = _grams(asked, o, slot * asked.slot_s, run_s) + _from(
            asked, slot + 1, o, work - run_s / here.duration_mid_s
        )
    again = min(1.0, work + here.repeat_mid_s / here.duration_mid_s)
    for q, there in enumerate(asked.options):
        if q != o and asked.can_move and _may_enter(asked, slot, q, again):
            arrive_g = there.arrive_g if there.site != here.site else 0.0
            best = min(best, arrive_g + _entered(asked, slot, q, again))
    return best


def _entered(asked: Problem, slot: int, o: int, work: float) -> float:
    there, at_s = asked.options[o], slot * asked.slot_s
    slots = math.floor(there.startup_mid_s / asked.slot_s + 1e-9) + 1
    run_s = min(slots * asked.slot_s - there.startup_mid_s, work * there.duration_mid_s)
    grams = _startup_grams(asked, o, at_s) + _grams(asked, o, at_s + there.startup_mid_s, run_s)
    return grams + _from(asked, slot + slots, o, work - run_s / there.duration_mid_s)


def _startup_grams(asked: Problem, o: int, at_s: float) -> float:
    there = asked.options[o]
    if there.startup_mid_s == 0:
        return (
            there.startup_wh * there.pue / 1000 * float(there.intensity[min(int(at_s / asked.slot_s), asked.slots - 1)])
        )
    power_w = there.startup_wh * 3600 / there.startup_mid_s
    return _grams(asked, o, at_s, there.startup_mid_s, power_w)


def _grams(asked: Problem, o: int, at_s: float, length_s: float, power_w: float | None = None) -> float:
    """Slot by slot."""
    here, end_s, grams = asked.options[o], at_s + length_s, 0.0
    watts = here.power_w if power_w is None else power_w
    while at_s < end_s - 1e-9:
        slot = int((at_s + 1e-9) / asked.slot_s)
        upto_s = min(end_s, (slot + 1) * asked.slot_s)
        intensity = float(here.intensity[min(slot, asked.slots - 1)])
        hours = (upto_s - at_s) / HOUR
        grams += hours * (watts * here.pue / 1000 * intensity + here.embodied_g_per_h)
        at_s = upto_s
    return grams


def _surely_s(asked: Problem, work: float) -> float:
    return min(o.startup_high_s + min(1.0, work) * o.duration_high_s for o in asked.options)


def _may_stay(asked: Problem, slot: int, o: int, work: float) -> bool:
    here, now_s = asked.options[o], slot * asked.slot_s
    if now_s + work * here.duration_high_s <= asked.due_s + 1e-9:
        return True
    left = max(0.0, work - asked.slot_s / here.duration_high_s) + here.repeat_high_s / here.duration_mid_s
    return asked.can_move and now_s + asked.slot_s + _surely_s(asked, left) <= asked.due_s + 1e-9


def _may_enter(asked: Problem, slot: int, o: int, work: float) -> bool:
    there, now_s = asked.options[o], slot * asked.slot_s
    if now_s + there.startup_high_s + work * there.duration_high_s <= asked.due_s + 1e-9:
        return True
    upto_s = (math.floor(there.startup_high_s / asked.slot_s + 1e-9) + 1) * asked.slot_s
    done = max(0.0, upto_s - there.startup_high_s) / there.duration_high_s
    left = max(0.0, work - done) + there.repeat_high_s / there.duration_mid_s
    return asked.can_move and now_s + upto_s + _surely_s(asked, left) <= asked.due_s + 1e-9


@st.composite
def problems(draw: st.DrawFn, *, aligned: bool = False) -> Problem:
    """Small problems. ``aligned``: all durations, start-ups and work are whole slots, so that levels are exact."""
    slots = draw(st.integers(3, 7))
    intensity = st.lists(st.integers(0, 500).map(float), min_size=slots, max_size=slots)
    same_h = draw(st.integers(1, slots))
    found = []
    for site in draw(st.sampled_from(("a", "ab", "abc", "aab"))):
        mid_s = HOUR * (same_h if aligned else draw(st.floats(0.4, slots)))
        startup_s = HOUR * (draw(st.integers(0, 2)) if aligned else draw(st.integers(0, 24)) / 10)
        repeat_s = HOUR * draw(st.integers(0, 1)) if aligned else draw(st.sampled_from((0.0, 900.0, 7000.0)))
        found.append(
            option(
                site,
                draw(intensity),
                duration_mid_s=mid_s,
                duration_high_s=mid_s * draw(st.sampled_from((1.0, 1.3, 1.6, 2.5))),
                startup_mid_s=startup_s,
                startup_high_s=startup_s * draw(st.sampled_from((1.0, 1.5))),
                startup_wh=draw(st.sampled_from((0.0, 100.0, 700.0))),
                power_w=draw(st.sampled_from((500.0, 1000.0))),
                pue=draw(st.sampled_from((1.0, 1.3))),
                embodied_g_per_h=draw(st.sampled_from((0.0, 20.0))),
                arrive_g=draw(st.sampled_from((0.0, 30.0))),
                repeat_mid_s=repeat_s,
                repeat_high_s=repeat_s * draw(st.sampled_from((1.0, 2.0))),
            )
        )
    running = draw(st.booleans())
    work = draw(st.integers(1, same_h)) / same_h if aligned else draw(st.floats(0.05, 1.0))
    surely_s = [o.startup_high_s + work * o.duration_high_s for o in found]
    tight = st.tuples(st.sampled_from(surely_s), st.floats(-0.3, 2.5)).map(lambda drawn: drawn[0] + drawn[1] * HOUR)
    due_s = draw(st.one_of(st.none(), tight, tight))
    return problem(
        *found,
        current=draw(st.integers(0, len(found) - 1)) if running else None,
        work_left=work,
        due_at=None if due_s is None else datetime.fromtimestamp(START.timestamp() + round(due_s), UTC),
        can_wait=draw(st.booleans()),
        can_move=draw(st.sampled_from((True, True, False))),
    )
