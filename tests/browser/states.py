"""Realistic states of one run for the panel: three sites like the embedded ones, a plan with one move, a receipt."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from greenkernel.panel.state import PanelState, SiteIntensity
from greenkernel.records import (
    SCHEMA,
    Alternative,
    Baseline,
    Capture,
    ClockInfo,
    Emissions,
    EpochOpen,
    Interval,
    Item,
    Move,
    Payload,
    Plan,
    Prediction,
    Profile,
    ProfileReceipt,
    Progress,
    Proposal,
    Receipt,
    RefusedMove,
    RunState,
    SignalPoint,
    Slice,
    SourceFile,
    SourceInfo,
    Stay,
    Step,
    Work,
)

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DUE = START + timedelta(hours=9)
REAL = ClockInfo(real_start=START, grid_start=START, factor=1.0)


def about(mid: float, spread: float = 0.2, source: str = "example") -> Interval:
    return Interval(low=mid * (1 - spread), mid=mid, high=mid * (1 + spread), source=source)


def prediction(site: str, cores: int, hours: float, **changes: Any) -> Prediction:
    watts = 40.0 * cores
    given: dict[str, Any] = {
        "site": site,
        "cores": cores,
        "time_s": about(hours * 3600, source="least squares of 6 slices, provisional"),
        "startup_s": about(12, 0.5),
        "memory_bytes": about(1.4 * 2**30),
        "energy_wh": about(watts * hours),
        "emissions_g": about(watts * hours * 0.42, 0.25),
        "cost": about(watts * hours / 1000 * 0.21),
        "currency": "EUR",
        "p_due": 0.97,
        "feasible": True,
        **changes,
    }
    return Prediction(**given)


PREDICTIONS = (
    prediction("coast", 1, 7.6),
    prediction("coast", 2, 4.1),
    prediction("windy", 1, 7.6, emissions_g=about(52, 0.25)),
    prediction("windy", 2, 4.1, emissions_g=about(61, 0.25)),
    prediction("sunny", 2, 9.4, p_due=0.21, feasible=False, why_not="may need until 20:17, 2 h 17 after the due date"),
)
PLAN = Plan(
    steps=(
        Step(site="windy", cores=2, start=START, end=START + timedelta(hours=2, minutes=20)),
        Step(
            site="coast",
            cores=2,
            start=START + timedelta(hours=2, minutes=20),
            end=START + timedelta(hours=4, minutes=15),
        ),
    ),
    made_at=START,
    goal="co2",
    emissions_g=about(48, 0.2),
    energy_wh=about(330),
    cost=about(0.06),
    finish_at=START + timedelta(hours=4, minutes=15),
    finish_latest_at=START + timedelta(hours=5, minutes=10),
    reason="windy now, then coast from 11:20 (in 2 h 20): 48 g CO2e instead of 61 g CO2e for windy alone",
    alternatives=(
        Alternative(
            site="coast",
            what="coast, 2 cores from 11:00 UTC (in 2 h)",
            emissions_g=70.0,
            energy_wh=328.0,
            cost=0.07,
            finish_at=START + timedelta(hours=6),
            why_not="22 g CO2e more",
        ),
    ),
)
CAPTURE = Capture(
    transformed="clf = forest.fit(X, y)",
    reads=("X", "y", "forest", "api_key"),
    binds=("clf",),
    items=(
        Item(name="X", kind="ndarray (20000, 187)", bytes=29_920_000, why="read by the cell"),
        Item(name="y", kind="ndarray (20000,)", bytes=160_000, why="read by the cell"),
        Item(name="forest", kind="RandomForestClassifier", bytes=1_204, why="read by the cell"),
        Item(name="api_key", kind="str", bytes=64, why="read by features()", secret_like=True),
    ),
    payload=Payload(head="0" * 64, bytes=30_081_268),
    files=(SourceFile(path="features.py", blob="1" * 64, bytes=4_211),),
    python_version="3.11.7",
)
PROFILE = Profile(
    slices=tuple(
        Slice(
            rows_fraction=rows / 20_000,
            rows=rows,
            cores=cores,
            knob="n_estimators",
            knob_value=knob,
            site="coast",
            cpu_s=0.4 + rows * knob / 90_000,
            wall_s=(0.4 + rows * knob / 90_000) / cores,
            peak_rss_bytes=180 << 20,
        )
        for rows, cores, knob in ((200, 1, 8), (400, 1, 8), (400, 1, 16), (800, 2, 16))
    ),
    rows_names=("X", "y"),
    rows_total=20_000,
    knob="n_estimators",
    knob_full=400,
    notes=("rows: X and y share their first axis",),
    cpu_s=6.1,
    wall_s=8.4,
)


def intensity(site: str, base: float, swing: float, hour: float) -> SiteIntensity:
    """Two days of hours, forecast from the start on."""
    first = START - timedelta(hours=6)
    points = tuple(
        SignalPoint(
            start=first + timedelta(hours=n),
            end=first + timedelta(hours=n + 1),
            intensity_g_per_kwh=base + swing * math.sin((n + hour) / 24 * 2 * math.pi),
            forecast=n >= 6,
        )
        for n in range(48)
    )
    return SiteIntensity(site=site, points=points, source="example trace")


INTENSITY = (intensity("coast", 420, 160, 2), intensity("windy", 230, 130, 16), intensity("sunny", 350, 240, 21))


def _state(state: RunState, detail: str, after: timedelta, **changes: Any) -> PanelState:
    given: dict[str, Any] = {
        "run": "k3x9",
        "name": "ecg forest",
        "state": state,
        "detail": detail,
        "at": START + after,
        "due_at": DUE,
        "capture": CAPTURE,
        "profile": None,
        "predictions": (),
        "plan": None,
        "impossible": None,
        "chosen": None,
        "can_choose": True,
        "intensity": (),
        "clock": None,
        "epochs": (),
        "progress": None,
        "notes": (),
        "log_tail": "",
        "receipt": None,
        "error": None,
        **changes,
    }
    return PanelState(**given)


def profiling() -> PanelState:
    return _state(RunState.PROFILING, "slice 3: 400 of 20000 rows, n_estimators = 16, 1 core", timedelta(seconds=4))


def choosing(**changes: Any) -> PanelState:
    given: dict[str, Any] = {
        "profile": PROFILE,
        "predictions": PREDICTIONS,
        "plan": PLAN,
        "intensity": INTENSITY,
        "clock": REAL,
        **changes,
    }
    return _state(RunState.CHOOSING, "which site?", timedelta(minutes=1), **given)


def _epoch(number: int, site: str, after: timedelta, reason: str) -> EpochOpen:
    return EpochOpen(
        run="k3x9",
        epoch=number,
        site=site,
        cores=2,
        memory_bytes=2 << 30,
        opened_at=START + after,
        trigger="start" if number == 1 else "plan",
        reason=reason,
    )


FIRST = _epoch(1, "windy", timedelta(minutes=1), "the first step of the plan")
SECOND = _epoch(2, "coast", timedelta(hours=2, minutes=20), "coast has become greener: 48 g CO2e instead of 61 g CO2e")


PROPOSAL = Proposal(
    number=1,
    epoch=1,
    site="coast",
    saving_g=12.0,
    reason="coast now: 36 g CO2e instead of 48 g CO2e for staying",
    asked_at=START + timedelta(hours=2, minutes=20),
    until=START + timedelta(hours=2, minutes=30),
)


def running(done: int = 120, *, moved: bool = False, **changes: Any) -> PanelState:
    after = timedelta(minutes=1 + done * 0.6)
    given: dict[str, Any] = {
        "chosen": "windy",
        "epochs": (FIRST, SECOND) if moved else (FIRST,),
        "progress": Progress(
            epoch=2 if moved else 1,
            at=START + after,
            fraction=done / 400,
            tasks_done=done,
            tasks_total=400,
            reused_tasks=180 if moved else 0,
            left_cpu_s=(400 - done) * 72.0,
            cpu_s=done * 72.0,
            wall_s=done * 36.5,
        ),
        "notes": (
            (START + timedelta(minutes=1), "epoch 1 opens on windy: the first step of the plan"),
            (START + timedelta(minutes=1, seconds=9), "windy has begun"),
        ),
        "log_tail": "".join(
            f"[Parallel(n_jobs=2)]: Done {n:3d} tasks | elapsed: {n * 0.6:.1f}min\n" for n in range(done)
        ),
        **changes,
    }
    base = choosing(**given)
    return dataclasses.replace(base, state=RunState.RUNNING, detail="growing trees", at=START + after)


def receipt(state: RunState = RunState.DONE, error: str | None = None) -> Receipt:
    move_at, end = START + timedelta(hours=2, minutes=20), START + timedelta(hours=4, minutes=12)
    stays = tuple(
        Stay(
            epoch=n,
            site=site,
            cores=2,
            start=a,
            end=b,
            cpu_s=cpu_s,
            energy_wh=about(wh, 0.15),
            emissions_g=about(g, 0.15),
        )
        for n, site, a, b, cpu_s, wh, g in (
            (1, "windy", START + timedelta(minutes=1), move_at, 16_400.0, 184.0, 25.0),
            (2, "coast", move_at, end, 13_300.0, 149.0, 22.4),
        )
    )
    parts = {"running": 44.0, "idle": 1.6, "startup": 0.4, "transfer": 0.3, "profiling": 0.6, "embodied": 1.1}
    return Receipt(
        schema=SCHEMA,
        run="k3x9",
        name="ecg forest",
        state=state,
        error=error,
        due=DUE,
        due_met=True,
        goal="co2",
        created_at=START,
        finished_at=end,
        profile=ProfileReceipt(slices=PROFILE.slices, cpu_s=PROFILE.cpu_s, share=0.0002),
        predictions=PREDICTIONS,
        plan=PLAN.steps,
        stays=stays,
        moves=(
            Move(
                from_site="windy",
                to_site="coast",
                trigger="plan",
                reason=SECOND.reason,
                decided_at=move_at,
                dead_s=14.2,
                lost_cpu_s=31.0,
                reused=Work(tasks=231, cpu_s=16_369.0, why="recorded"),
                recomputed=Work(tasks=1, cpu_s=31.0, why="in flight"),
                bytes=82_000_000,
                cost_g=about(0.7),
                predicted_saving_g=13.0,
            ),
        ),
        refused_moves=(RefusedMove(to_site="sunny", at=move_at, reason="not done by the due date"),),
        emissions_g=Emissions(total=about(48.0, 0.15), **{name: about(g, 0.15) for name, g in parts.items()}),
        baselines=(Baseline(name="now, at home", site="coast", emissions_g=about(138.0, 0.2)),),
        saved_g=Interval(low=62.0, mid=90.0, high=118.0),
        clock=REAL,
        sources=(
            SourceInfo(what="carbon intensity of windy", source="example trace", kind="average, lifecycle", age_s=0.0),
            SourceInfo(what="power of windy", source="sites.toml", kind="estimate", age_s=None),
        ),
    )


def done() -> PanelState:
    base = running(400, moved=True)
    return dataclasses.replace(
        base, state=RunState.DONE, detail="", at=START + timedelta(hours=4, minutes=12), receipt=receipt()
    )


def failed() -> PanelState:
    error = "ValueError: could not convert string to float: '<b>'"
    return dataclasses.replace(done(), state=RunState.FAILED, error=error, receipt=receipt(RunState.FAILED, error))
