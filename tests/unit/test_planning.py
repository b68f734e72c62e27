"""Planning for a run: predictions and signals become a problem, the planner's decision becomes the plan that holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenkernel.plan.problem import Impossible
from greenkernel.planning import Planner
from greenkernel.records import EpochOpen, Interval, Plan, Prediction, Progress, Proposal, Request
from greenkernel.run.receipt import Tariff
from greenkernel.run.reconcile import Seen
from greenkernel.settings import SiteConfig
from greenkernel.signals.base import Signal
from greenkernel.signals.trace import ConstantSignal, TraceSignal
from greenkernel.store.runs import PlanNow, Wish
from greenkernel.tariffs import SiteGrid

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = 3600.0
DIRTY, CLEAN = 500.0, 50.0


def grid(site: str, given: float | Signal) -> SiteGrid:
    tariff = Tariff(
        site=site,
        pue=1.0,
        idle_w_per_core=Interval.exact(0.0, ""),
        busy_w_per_core=Interval.exact(100.0, ""),
        embodied_g_per_core_h=Interval.exact(0.0, ""),
        intensity=lambda _start, _end: DIRTY,
    )
    signal = ConstantSignal(site, given) if isinstance(given, float) else given
    return SiteGrid(site=site, config=SiteConfig(kind="embedded"), signal=signal, tariff=tariff)


def prediction(site: str, *, hours: float = 4.0, high: float = 1.2, **changes: object) -> Prediction:
    """A job of 100 W on one core."""
    time_s = Interval(low=0.8 * hours * HOUR, mid=hours * HOUR, high=high * hours * HOUR)
    made = Prediction(
        site=site,
        cores=1,
        time_s=time_s,
        startup_s=Interval(low=10, mid=20, high=60),
        memory_bytes=Interval.exact(1e9, ""),
        energy_wh=time_s.scaled(100 / HOUR),
        emissions_g=time_s,
        cost=Interval.exact(0.0, ""),
        currency="EUR",
        p_due=None,
        feasible=True,
        power_w=Interval.exact(100.0, ""),
        cpu_s=time_s,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def planner(*predictions: Prediction, due_h: float | None = None, **grids: float | Signal) -> Planner:
    due_at = None if due_h is None else NOW + timedelta(hours=due_h)
    request = Request(source="x", name="x", created_at=NOW, due_at=due_at)
    return Planner(request, predictions, {site: grid(site, given) for site, given in grids.items()}, 1000, UTC)


def epoch(number: int, site: str, *, opened_s: float = -HOUR, trigger: str = "start") -> EpochOpen:
    return EpochOpen(
        run="r",
        epoch=number,
        site=site,
        cores=1,
        memory_bytes=1,
        opened_at=NOW + timedelta(seconds=opened_s),
        trigger=trigger,  # type: ignore[arg-type]
        reason="",
    )


def seen(plan: Plan, *epochs: EpochOpen, done_h: float = 1.0) -> Seen:
    """A run that has done so many hours of its work, all of it recorded."""
    progress = Progress(epoch=epochs[-1].epoch, at=NOW, cpu_s=done_h * HOUR, recorded_cpu_s=done_h * HOUR)
    request = Request(source="x", name="x", created_at=NOW)
    return Seen(now=NOW, request=request, plan=PlanNow(plan=plan), epochs=epochs, progress=progress)


def held(site: str) -> Plan:
    """A plan to stay at one site."""
    found = planner(prediction(site), **{site: DIRTY}).first(NOW)
    assert isinstance(found, Plan)
    return found


def sites_of(plan_now: PlanNow | None) -> list[str]:
    assert plan_now is not None
    return [step.site for step in plan_now.plan.steps]


A, B = prediction("a"), prediction("b")


def test_the_greener_site_is_planned() -> None:
    """All else equal, the plan goes where the grid is greener."""
    found = planner(A, B, a=DIRTY, b=CLEAN).first(NOW)
    assert isinstance(found, Plan)
    assert ["b"] == [step.site for step in found.steps]


def test_nowhere_to_run_names_each_reason() -> None:
    """What no site can do is said site by site."""
    gone = [replace(p, feasible=False, why_not=f"{p.site} is away") for p in (A, B)]
    found = planner(*gone, a=DIRTY, b=CLEAN).first(NOW)
    assert isinstance(found, Impossible)
    assert "a: a is away; b: b is away" in found.reason


def test_a_due_date_that_cannot_be_kept_says_what_would_help() -> None:
    """Four hours of work do not fit into two."""
    found = planner(A, B, due_h=2, a=DIRTY, b=CLEAN).first(NOW)
    assert isinstance(found, Impossible)
    assert found.what_would_help


def test_without_a_profile_nothing_is_promised() -> None:
    """A cell that may take a minute or a day begins at once; a due date before it can have started is refused."""
    unknown = [prediction(site, hours=0.2, high=100) for site in "ab"]
    for due_h, expected in ((1.0, Plan), (0.1, Impossible)):
        asked = planner(*unknown, due_h=due_h, a=DIRTY, b=CLEAN)
        why = asked.first(NOW)
        assert isinstance(why, Impossible)
        found = asked.unpromised(NOW, why)
        assert isinstance(found, expected)
        if isinstance(found, Plan):
            assert found.reason.startswith("no due date can be promised")
            assert found.steps[0].start == NOW


def test_a_move_that_pays_is_in_the_new_plan_with_its_saving() -> None:
    """Three hours left at 100 W: 150 g here, 15 g there, and the start-up's half gram."""
    found = planner(A, B, a=DIRTY, b=CLEAN).again(seen(held("a"), epoch(1, "a")), NOW)
    assert ["b"] == sites_of(found)
    assert found is not None
    assert found.saving_g == pytest.approx(135, rel=0.2)
    assert found.plan.reason.startswith("b now")


def test_a_move_that_does_not_pay_is_kept_with_its_reason() -> None:
    """One percent greener is below the margin: it stays, and the refusal names the site."""
    found = planner(A, B, a=DIRTY, b=0.99 * DIRTY).again(seen(held("a"), epoch(1, "a")), NOW)
    assert ["a"] == sites_of(found)
    assert found is not None
    assert ["b"] == [refused.to_site for refused in found.refused]
    assert "moving takes" in found.refused[0].reason


def test_tasks_to_come_correct_a_prediction_that_was_too_short() -> None:
    """After 3.9 of 4 predicted hours four more are seen to come: there is something left to move for."""
    late = seen(held("a"), epoch(1, "a"), done_h=3.9)
    assert late.progress is not None
    asked = planner(A, B, a=DIRTY, b=CLEAN)
    nearly = asked.again(late, NOW)
    more = asked.again(replace(late, progress=replace(late.progress, left_cpu_s=4 * HOUR)), NOW)
    assert nearly is not None
    assert more is not None
    assert ["b"] == sites_of(more)
    assert more.saving_g is not None
    assert more.saving_g > 10 * (nearly.saving_g or 0)


def test_records_make_a_move_dearer() -> None:
    """Three hours left save 135 g; with 400 GB of records to take along at 0.01 kWh a GB they save nothing."""
    running = seen(held("a"), epoch(1, "a"))
    assert running.progress is not None
    heavy = replace(running, progress=replace(running.progress, record_bytes=400 * 10**9))
    asked = planner(A, B, a=DIRTY, b=CLEAN)
    assert ["b"] == sites_of(asked.again(running, NOW))
    assert ["a"] == sites_of(asked.again(heavy, NOW))


def test_a_run_that_has_just_moved_stays_for_a_while() -> None:
    """Within three start-ups after a move the next one is refused; later it is planned."""
    asked = planner(A, B, a=DIRTY, b=CLEAN)
    fresh = asked.again(seen(held("a"), epoch(1, "b"), epoch(2, "a", opened_s=-100, trigger="plan")), NOW)
    assert ["a"] == sites_of(fresh)
    assert fresh is not None
    assert "moved a short while ago" in fresh.refused[0].reason
    later = asked.again(seen(held("a"), epoch(1, "b"), epoch(2, "a", opened_s=-200, trigger="plan")), NOW)
    assert ["b"] == sites_of(later)


def test_a_site_where_the_run_did_not_come_up_is_avoided() -> None:
    """A fault that sent the run away keeps the planner from going back at once."""
    tried = (epoch(1, "a"), epoch(2, "b", opened_s=-400, trigger="plan"), epoch(3, "a", opened_s=-300, trigger="fault"))
    assert ["a"] == sites_of(planner(A, B, a=DIRTY, b=CLEAN).again(seen(held("a"), *tried), NOW))


def test_where_a_person_is_asked_the_first_plan_relies_on_no_move() -> None:
    """The greener site changes after two hours: planned to move on its own, planned to stay where it asks."""
    hours = [NOW + timedelta(hours=h) for h in range(12)]
    turns = TraceSignal("a", {h: (CLEAN if i < 2 else DIRTY) for i, h in enumerate(hours)}, source="")
    back = TraceSignal("b", {h: (2 * DIRTY if i < 2 else CLEAN) for i, h in enumerate(hours)}, source="")
    for move, expected in (("auto", 2), ("ask", 1), ("never", 1)):
        asked = planner(A, B, due_h=5, a=turns, b=back)
        asked._request = replace(asked._request, move=move)  # type: ignore[arg-type]
        found = asked.first(NOW)
        assert isinstance(found, Plan)
        assert expected == len(found.steps), move


@pytest.mark.parametrize(("repeated_h", "expected"), [(0.0, ["a", "b"]), (0.5, ["a", "b"]), (3.9, ["b"])])
def test_a_cell_that_keeps_nothing_is_not_planned_to_move(repeated_h: float, expected: list[str]) -> None:
    """The greener site changes after two hours: worth half an hour again, and not all that was done by then."""
    hours = [NOW + timedelta(hours=h) for h in range(24)]
    turns = TraceSignal("a", {h: (CLEAN if i < 2 else DIRTY) for i, h in enumerate(hours)}, source="")
    back = TraceSignal("b", {h: (DIRTY if i < 2 else CLEAN) for i, h in enumerate(hours)}, source="")
    repeat_s = Interval(low=0.0, mid=repeated_h * HOUR, high=repeated_h * HOUR)
    options = (replace(A, repeat_s=repeat_s), replace(B, repeat_s=repeat_s))
    found = planner(*options, due_h=6, a=turns, b=back).first(NOW)
    assert isinstance(found, Plan)
    assert expected == [step.site for step in found.steps]


@pytest.mark.parametrize(
    ("move", "rests", "expected"), [("ask", False, "b"), ("ask", True, "a"), ("never", False, "a")]
)
def test_a_move_is_looked_for_where_it_may_be_proposed(move: str, rests: bool, expected: str) -> None:
    """After a proposal that came to nothing the plan is to stay, for a while."""
    running = seen(held("a"), epoch(1, "a"))
    last = Proposal(number=1, epoch=1, site="b", saving_g=1.0, reason="", asked_at=NOW, until=NOW, settled=True)
    request = replace(running.request, move=move)  # type: ignore[arg-type]
    asked = planner(A, B, a=DIRTY, b=CLEAN)
    asked._request = request
    found = asked.again(replace(running, request=request, proposal=last if rests else None), NOW)
    assert [expected] == sites_of(found)


@pytest.mark.parametrize(("due_h", "expected"), [(None, ["b"]), (4.0, ["b"]), (0.5, ["a"])])
def test_a_resumed_run_is_planned_anew_for_what_is_left(due_h: float | None, expected: list[str]) -> None:
    """Three of four hours are left: to the greener site, or to the quickest where the due date is lost."""
    asked = planner(prediction("a", hours=3), B, due_h=due_h, a=DIRTY, b=CLEAN)
    stopped = replace(seen(held("b"), epoch(1, "b")), wishes=(Wish(kind="resume", site=None, at=NOW),))
    found = asked.onward(stopped, NOW)
    assert expected == sites_of(found)
    assert found is not None
    assert found.plan.steps[0].start == NOW


def test_a_run_that_gets_late_hurries() -> None:
    """Where the due date cannot be promised any more, the quickest site is taken although it is dirtier."""
    quick = prediction("b", hours=1)
    found = planner(A, quick, due_h=0.5, a=CLEAN, b=DIRTY).again(seen(held("a"), epoch(1, "a")), NOW)
    assert ["b"] == sites_of(found)
    assert found is not None
    assert found.plan.reason.startswith("the due date is at risk")


def test_a_record_that_ended_long_ago_gives_no_new_plan() -> None:
    """Signals that are a day old are not believed again; the plan that was made before holds."""
    old = {NOW - timedelta(days=1, hours=h): 10.0 for h in range(24)}
    asked = planner(A, B, a=DIRTY, b=TraceSignal("b", old, source="yesterday's record"))
    assert asked.again(seen(held("a"), epoch(1, "a")), NOW) is None
