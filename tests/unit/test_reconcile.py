"""The reconcile function, state by state: what is wished and seen on the left, the actions on the right."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenkernel.records import (
    CellError,
    ClockInfo,
    EpochOpen,
    Interval,
    JobPhase,
    JobStatus,
    Offer,
    Payload,
    Plan,
    Prediction,
    Profile,
    Progress,
    Proposal,
    RecordRef,
    Request,
    Result,
    RunState,
    Step,
)
from greenkernel.run.proposal import ASK_AGAIN_S
from greenkernel.run.reconcile import (
    COME_UP_S,
    COOL_DOWN_S,
    LOST_AFTER_S,
    MISSING_AFTER_S,
    Accept,
    Advise,
    Drain,
    Finish,
    OpenEpoch,
    Propose,
    Seen,
    SeenJob,
    Settle,
    Stop,
    Submit,
    closed,
    reconcile,
)
from greenkernel.run.state import describe
from greenkernel.store.runs import Advice, Claim, Drained, End, Failure, PlanNow, Wish

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
GIB = 1 << 30


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def about(value: float) -> Interval:
    return Interval(low=value, mid=value, high=value)


def prediction(site: str, grams: float, *, feasible: bool = True) -> Prediction:
    return Prediction(
        site=site,
        cores=2,
        time_s=about(60),
        startup_s=about(1),
        memory_bytes=about(GIB),
        energy_wh=about(1),
        emissions_g=about(grams),
        cost=about(0),
        currency="EUR",
        p_due=None,
        feasible=feasible,
    )


def plan(*steps: tuple[str, float, float]) -> PlanNow:
    return PlanNow(
        plan=Plan(
            steps=tuple(Step(site=s, cores=2, start=at(a), end=at(b)) for s, a, b in steps),
            made_at=NOW,
            goal="co2",
            emissions_g=about(1),
            energy_wh=about(1),
            cost=about(0),
            finish_at=at(60),
            finish_latest_at=at(90),
            reason="greener",
        )
    )


STAY = plan(("a", 0, 60))
MOVE = plan(("a", -30, -5), ("b", -5, 60))


def advice(plan_now: PlanNow | None = STAY) -> Advice:
    return Advice(
        profile=Profile(slices=()),
        predictions=(prediction("a", 10), prediction("b", 20), prediction("c", 30, feasible=False)),
        plan=plan_now.plan if plan_now else None,
        clock=ClockInfo(real_start=NOW, grid_start=NOW, factor=1),
        impossible=None if plan_now else "too late everywhere",
    )


def epoch(number: int, site: str = "a", *, trigger: str = "start", memory: int = GIB, opened: float = -20) -> EpochOpen:
    return EpochOpen(
        run="r",
        epoch=number,
        site=site,
        cores=2,
        memory_bytes=memory,
        opened_at=at(opened),
        trigger=trigger,  # type: ignore[arg-type]
        reason="",
    )


def job(number: int, site: str = "a", phase: JobPhase = JobPhase.RUNNING, **more: object) -> SeenJob:
    return SeenJob(site=site, status=JobStatus(run="r", epoch=number, phase=phase, **more))  # type: ignore[arg-type]


def result(number: int = 1, error: CellError | None = None) -> Result:
    return Result(
        run="r",
        epoch=number,
        finished_at=NOW,
        names=(),
        deleted=(),
        payload=Payload(head="0" * 64),
        has_value=False,
        error=error,
    )


CLAIM = Claim(at=at(-10), host="h", pid=1)
PROGRESS = Progress(epoch=1, at=NOW)
DRAINED = Drained(at=NOW, records=3, progress=PROGRESS)
OFFERS = {site: Offer(site=site, reachable=True, cores_max=2) for site in "abc"}
NEW = Seen(now=NOW, request=Request(source="x", name="x", created_at=NOW), offers=OFFERS)
READY = replace(NEW, advice=advice(), plan=STAY)
OPEN = replace(READY, epochs=(epoch(1),))
RUNNING = replace(OPEN, claim=CLAIM, progress=PROGRESS, jobs=(job(1),))
MOVING = replace(RUNNING, plan=MOVE)
QUIET = replace(RUNNING, jobs=(), silent_sites=frozenset("a"), quiet_s=LOST_AFTER_S)
LEFT = replace(MOVING, drained=DRAINED, jobs=(job(1, phase=JobPhase.ENDED, exit_code=0),))
MOVED = replace(MOVING, epochs=(epoch(1), epoch(2, "b", trigger="plan")), jobs=(job(2, "b"),))
A = frozenset("a")
LEFT_ON_A = "what it had on a may still be there, and goes when that can be reached"
NO_A = {site: offer for site, offer in OFFERS.items() if site != "a"}
ASKING = replace(MOVING, request=replace(NEW.request, move="ask"))
ERROR = CellError(type_name="ValueError", message="bad", frames=(), text="")


def wish(kind: str, site: str | None = None, seconds: float = -1) -> Wish:
    return Wish(kind=kind, site=site, at=at(seconds))  # type: ignore[arg-type]


STOPPED = replace(RUNNING, jobs=(), wishes=(wish("resume"),))


def proposal(*, epoch: int = 1, until: float = 60, settled: bool = False) -> Proposal:
    return Proposal(
        number=1, epoch=epoch, site="b", saving_g=3.0, reason="", asked_at=NOW, until=at(until), settled=settled
    )


def opens(number: int, site: str, trigger: str, *, memory: int = GIB) -> tuple[int, str, str, int]:
    return number, site, trigger, memory


@pytest.mark.parametrize(
    ("name", "expected", "seen"),
    [
        ("new runs are profiled", [Advise()], NEW),
        ("impossible is said before the run", [Finish], replace(NEW, advice=advice(None))),
        ("a dry run ends with the advice", [Finish], replace(READY, request=replace(NEW.request, dry_run=True))),
        ("the first epoch opens where the plan says", [opens(1, "a", "start")], READY),
        ("without --auto it waits for a choice", [], replace(READY, request=replace(NEW.request, auto=False))),
        (
            "a choice opens the chosen site",
            [opens(1, "b", "start")],
            replace(READY, request=replace(NEW.request, auto=False), wishes=(wish("choose", "b"),)),
        ),
        ("a later start is waited for", [], replace(READY, plan=plan(("a", 30, 90)))),
        ("an open epoch is handed over", [Submit(epoch=1, site="a")], OPEN),
        ("a silent site is not asked twice", [], replace(OPEN, silent_sites=frozenset("a"))),
        ("a running job is left alone", [], RUNNING),
        ("nor where its site is silent and it speaks", [], replace(QUIET, quiet_s=LOST_AFTER_S - 1)),
        ("nor where it is silent and its site speaks", [], replace(QUIET, silent_sites=frozenset())),
        ("both are silent: it goes on elsewhere", [opens(2, "b", "fault")], QUIET),
        ("not where it is never to move", [], replace(QUIET, request=replace(NEW.request, move="never"))),
        ("nor where no other site answers", [], replace(QUIET, silent_sites=frozenset("ab"))),
        ("the plan's move drains first", [Drain(epoch=1, site="a", why="greener")], MOVING),
        ("no move to a site that is away", [], replace(MOVING, silent_sites=frozenset("b"))),
        (
            "no move to a site that cannot",
            [],
            replace(MOVING, offers={**OFFERS, "b": replace(OFFERS["b"], why_not="full")}),
        ),
        ("no move before the runner has started", [], replace(MOVING, claim=None, progress=None)),
        ("after the drain the target opens", [opens(2, "b", "plan")], LEFT),
        ("a target lost meanwhile: the old site goes on", [opens(2, "a", "fault")], replace(LEFT, offers={})),
        ("under --move ask the move is proposed", [Propose(site="b")], ASKING),
        ("and is waited for", [], replace(ASKING, proposal=proposal())),
        ("a later epoch may be asked about anew", [Propose(site="b")], replace(ASKING, proposal=proposal(epoch=0))),
        (
            "without an answer it stays",
            [Settle(proposal=proposal(until=0), answered=False)],
            replace(ASKING, proposal=proposal(until=0)),
        ),
        (
            "so it does where that is the answer",
            [Settle(proposal=proposal(), answered=True)],
            replace(ASKING, proposal=proposal(), wishes=(replace(wish("stay"), proposal=1),)),
        ),
        ("then nothing is asked for a while", [], replace(ASKING, proposal=proposal(until=-9, settled=True))),
        (
            "and asked again after it",
            [Propose(site="b")],
            replace(ASKING, proposal=proposal(until=-ASK_AGAIN_S, settled=True)),
        ),
        (
            "accepted it is a relocation",
            [Drain(epoch=1, site="a", why="relocated by hand")],
            replace(ASKING, proposal=proposal(), wishes=(wish("relocate", "b"),)),
        ),
        ("nothing is asked of a run that was put there", [], replace(ASKING, wishes=(wish("choose", "a"),))),
        ("nor about a site that is away", [], replace(ASKING, silent_sites=frozenset("b"))),
        ("drained unasked it goes on where it was", [opens(2, "a", "fault")], replace(LEFT, request=ASKING.request)),
        (
            "the old copy stays until the new one has reported",
            [Submit(epoch=2, site="b")],
            replace(LEFT, epochs=(epoch(1), epoch(2, "b", trigger="plan")), drained=None, claim=None, progress=None),
        ),
        (
            "the old copy goes once the new one has reported",
            [Stop(epoch=1, site="a")],
            replace(
                LEFT,
                epochs=(epoch(1), epoch(2, "b", trigger="plan")),
                drained=None,
                jobs=(job(1, phase=JobPhase.ENDED), job(2, "b")),
            ),
        ),
        (
            "a relocation by hand drains",
            [Drain(epoch=1, site="a", why="relocated by hand")],
            replace(RUNNING, wishes=(wish("relocate", "b"),)),
        ),
        (
            "the last relocation counts",
            [],
            replace(RUNNING, wishes=(wish("relocate", "b", -9), wish("relocate", "a", -1))),
        ),
        ("a relocation holds against the plan", [], replace(MOVING, wishes=(wish("relocate", "a"),))),
        ("a chosen site holds against the plan", [], replace(MOVING, wishes=(wish("choose", "a"),))),
        (
            "a relocation goes before the choice",
            [Drain(epoch=1, site="a", why="relocated by hand")],
            replace(RUNNING, wishes=(wish("choose", "a"), wish("relocate", "b"))),
        ),
        (
            "the recommended site, once taken, is left as the plan says",
            [Drain(epoch=1, site="a", why="greener")],
            replace(MOVING, wishes=(wish("choose", None),)),
        ),
        (
            "a killed runner goes on in a new epoch",
            [opens(2, "a", "fault")],
            replace(RUNNING, jobs=(job(1, phase=JobPhase.ENDED, exit_code=137),)),
        ),
        (
            "out of memory: twice the memory",
            [opens(2, "a", "fault", memory=2 * GIB)],
            replace(RUNNING, jobs=(job(1, phase=JobPhase.ENDED, out_of_memory=True),)),
        ),
        (
            "out of memory twice ends it",
            [Finish],
            replace(
                RUNNING,
                epochs=(epoch(1), epoch(2, trigger="fault", memory=2 * GIB)),
                jobs=(job(2, phase=JobPhase.ENDED, out_of_memory=True),),
            ),
        ),
        ("a job that was deleted goes on", [opens(2, "a", "fault")], replace(RUNNING, jobs=(), missing_s=60.0)),
        ("a listing may lag", [], replace(RUNNING, jobs=(), missing_s=MISSING_AFTER_S / 2)),
        (
            "a site that refuses the job: another one",
            [opens(2, "b", "fault")],
            replace(OPEN, failure=Failure(at=NOW, message="quota", temporary=False)),
        ),
        (
            "pending for long: another one",
            [opens(2, "b", "fault")],
            replace(
                OPEN, epochs=(epoch(1, opened=-COME_UP_S - 1),), jobs=(job(1, phase=JobPhase.PENDING, detail="image"),)
            ),
        ),
        ("pending for a while is normal", [], replace(OPEN, jobs=(job(1, phase=JobPhase.PENDING),))),
        (
            "a failure of the runner that no retry mends",
            [Finish],
            replace(RUNNING, failure=Failure(at=NOW, message="lost blob", temporary=False)),
        ),
        (
            "three faults in a row end it",
            [Finish],
            replace(
                RUNNING,
                epochs=(epoch(1), *(epoch(n, trigger="fault") for n in (2, 3, 4))),
                jobs=(job(4, phase=JobPhase.ENDED, exit_code=1),),
            ),
        ),
        (
            "faults that keep new records may go on",
            [opens(5, "a", "fault")],
            replace(
                RUNNING,
                epochs=(
                    epoch(1),
                    *(
                        replace(
                            epoch(n, trigger="fault"),
                            believed=tuple(RecordRef(name=f"{i}.rec", epoch=1, bytes=1) for i in range(n)),
                        )
                        for n in (2, 3, 4)
                    ),
                ),
                jobs=(job(4, phase=JobPhase.ENDED, exit_code=1),),
            ),
        ),
        (
            "a target that did not come up is left alone for a while",
            [Stop(epoch=1, site="a"), Stop(epoch=2, site="b")],
            replace(
                MOVING,
                epochs=(epoch(1), epoch(2, "b", trigger="plan"), epoch(3, "a", trigger="fault", opened=-2)),
                jobs=(job(1, phase=JobPhase.ENDED), job(2, "b", phase=JobPhase.ENDED), job(3)),
            ),
        ),
        (
            "and tried again after that",
            [Drain(epoch=3, site="a", why="greener")],
            replace(
                MOVING,
                epochs=(
                    epoch(1),
                    epoch(2, "b", trigger="plan"),
                    epoch(3, "a", trigger="fault", opened=-COOL_DOWN_S - 1),
                ),
                jobs=(job(3),),
            ),
        ),
        ("a result is verified first", [Accept(epoch=1)], replace(RUNNING, finished=result())),
        (
            "a result that was refused is not accepted again",
            [opens(2, "a", "fault")],
            replace(RUNNING, finished=result(), failure=Failure(at=NOW, message="cut", temporary=True)),
        ),
        ("an accepted result ends the run", [Finish(state=RunState.DONE)], replace(RUNNING, result=result())),
        (
            "an error of the cell is its end",
            [Finish(state=RunState.FAILED, error="ValueError: bad")],
            replace(RUNNING, result=result(error=ERROR)),
        ),
        (
            "a result goes before a cancel",
            [Accept(epoch=1)],
            replace(RUNNING, finished=result(), wishes=(wish("cancel"),)),
        ),
        ("cancel stops the job first", [Stop(epoch=1, site="a")], replace(RUNNING, wishes=(wish("cancel"),))),
        (
            "cancelled once nothing is left",
            [Finish(state=RunState.CANCELLED)],
            replace(RUNNING, jobs=(), wishes=(wish("cancel"),)),
        ),
        (
            "cancel waits for a silent site",
            [],
            replace(RUNNING, jobs=(), wishes=(wish("cancel"),), silent_sites=frozenset("a")),
        ),
        (
            "nor for one that is not in the sites file any more",
            [Finish(state=RunState.CANCELLED)],
            replace(RUNNING, jobs=(), wishes=(wish("cancel"),), silent_sites=A, gone_sites=A),
        ),
        (
            "a resumed run goes on where it was, whatever its last runner has said",
            [opens(2, "a", "user")],
            replace(STOPPED, failure=Failure(at=NOW, message="bad", temporary=False)),
        ),
        ("a resumed run goes where the plan says now", [opens(2, "b", "user")], replace(STOPPED, plan=MOVE)),
        ("it waits where the plan waits", [], replace(STOPPED, plan=plan(("a", 30, 90)))),
        ("it goes to another site where its own is gone", [opens(2, "b", "user")], replace(STOPPED, offers=NO_A)),
        ("it waits where no site is ready", [], replace(STOPPED, offers={})),
        ("copies from before go", [Stop(epoch=1, site="a"), opens(2, "a", "user")], replace(STOPPED, jobs=(job(1),))),
        ("a result that was left unseen is taken", [Accept(epoch=1)], replace(STOPPED, finished=result())),
        (
            "once its epoch is open it is a run like others",
            [Submit(epoch=2, site="a")],
            replace(STOPPED, epochs=(epoch(1), replace(epoch(2), resumes=1)), claim=None, progress=None),
        ),
        ("one that never began begins", [opens(1, "a", "start")], replace(STOPPED, epochs=(), claim=None)),
        ("an impossible one is profiled again", [Advise()], replace(STOPPED, epochs=(), advice=None, plan=None)),
        (
            "after the end leftovers go",
            [Stop(epoch=1, site="a")],
            replace(RUNNING, result=result(), end=End(state=RunState.DONE, at=NOW)),
        ),
        ("then nothing is left to do", [], replace(RUNNING, jobs=(), end=End(state=RunState.DONE, at=NOW))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reconcile(name: str, expected: list[object], seen: Seen) -> None:
    """Each state of a run leads to just these actions."""
    found = [_comparable(action, like) for action, like in zip(reconcile(seen), expected, strict=True)]
    assert expected == found, name


def _comparable(action: object, like: object) -> object:
    if isinstance(like, tuple):
        assert isinstance(action, OpenEpoch)
        return action.epoch, action.site, action.trigger, action.memory_bytes
    return type(action) if isinstance(like, type) else action


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        (RunState.PROFILING, NEW),
        (RunState.CHOOSING, replace(READY, request=replace(NEW.request, auto=False))),
        (RunState.WAITING, replace(READY, plan=plan(("a", 30, 90)))),
        (RunState.STARTING, OPEN),
        (RunState.RUNNING, RUNNING),
        (RunState.MOVING, LEFT),
        (RunState.COLLECTING, replace(RUNNING, finished=result())),
        (RunState.DONE, replace(RUNNING, end=End(state=RunState.DONE, at=NOW))),
    ],
)
def test_describe(expected: RunState, seen: Seen) -> None:
    """The word for a state follows from what is seen."""
    assert expected == describe(seen, UTC)[0]


def test_a_run_that_asks_says_so() -> None:
    """Lists of runs and terminals show what is waited for."""
    assert "on a, asks whether to move to b" == describe(replace(ASKING, proposal=proposal()), UTC)[1]


def test_a_run_that_waits_says_when_in_the_reader_s_time() -> None:
    """Nine seconds past noon in UTC is nine past one in Berlin."""
    seen = replace(READY, plan=plan(("a", 9, 90)))
    assert "starts on a at 13:00:09" == describe(seen, ZoneInfo("Europe/Berlin"))[1]


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        ("on b", MOVED),
        (
            "on b; what it had on a may still be there, and goes when that can be reached",
            replace(MOVED, silent_sites=A),
        ),
        ("b cannot be reached; the job goes on there", replace(MOVED, silent_sites=frozenset("b"))),
        (
            LEFT_ON_A,
            replace(MOVED, silent_sites=A, end=End(state=RunState.DONE, at=NOW), jobs=()),
        ),
        ("", replace(MOVED, end=End(state=RunState.DONE, at=NOW), jobs=())),
        (
            "a is not in the sites file any more; the job may go on there",
            replace(QUIET, gone_sites=A),
        ),
        (
            "on b; what it had on a may still be there, which the sites file has no more",
            replace(MOVED, silent_sites=A, gone_sites=A),
        ),
    ],
)
def test_what_is_left_on_a_site_that_does_not_answer_is_said(expected: str, seen: Seen) -> None:
    """Data that must not leave a region may be there still: it is said as long as that is so."""
    assert expected == describe(seen, UTC)[1]


def test_closed_only_when_every_site_is_known_to_be_clean() -> None:
    """A run is closed when it has ended, and no site it touched has or may have something of it."""
    ended = replace(RUNNING, end=End(state=RunState.DONE, at=NOW))
    assert not closed(RUNNING)
    assert not closed(ended)
    assert not closed(replace(ended, jobs=(), silent_sites=frozenset("a")))
    assert closed(replace(ended, jobs=(), silent_sites=frozenset("b")))
    assert closed(replace(ended, jobs=(), silent_sites=A, gone_sites=A))
