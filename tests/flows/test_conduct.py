"""Runs under the conductor with fake sites: every kind of end, and crashes of the controller between two effects."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC
from itertools import count
from pathlib import Path
from random import Random
from typing import Self

import pytest

from greenkernel.clock import ManualClock
from greenkernel.errors import GreenKernelError, TemporaryError, UserError
from greenkernel.records import (
    Capture,
    EpochOpen,
    MovePolicy,
    Payload,
    Receipt,
    Request,
    RunState,
)
from greenkernel.run.conduct import Conductor, SitesNow
from greenkernel.run.journal import Entry, Journal
from greenkernel.run.lease import Lease
from greenkernel.run.reconcile import Seen
from greenkernel.site.fake import FakeSite, Script
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.runs import Advice, End, RunStore, Submission, Wish
from tests.advisers import START, FixedAdviser

KEY = b"k" * 32


class World:
    """A store, two fake sites and a controller that can be replaced by a new one at any moment."""

    def __init__(
        self,
        folder: Path,
        adviser: FixedAdviser,
        *,
        auto: bool = True,
        move: MovePolicy = "auto",
        crash: Random | None = None,
    ) -> None:
        self.clock = ManualClock(START)
        self.objects = ObjectStore(StoreAddress(url=(folder / "store").as_uri()))
        self.store = RunStore(self.objects, KEY, "r")
        self.adviser = adviser
        self.sites = {name: FakeSite(name, lambda run: self.store, self.clock) for name in ("a", "b")}
        self.journal = Journal(folder / "journal")
        self.crash = crash
        request = Request(source="x", name="x", created_at=START, auto=auto, move=move)
        capture = Capture(transformed="x", reads=(), binds=("x",), items=(), payload=Payload(head="0" * 64))
        self.store.submit(Submission(request=request, capture=capture))
        self.journal.add(Entry(id="r", name="x", created_at=START, open=True, state="profiling", detail=""))
        self.conductor = self.new_controller()

    def new_controller(self) -> Conductor:
        return Conductor(self.store, self.sites, self.adviser, self.journal, self.clock, UTC)

    def steps(self, *, most: int = 200) -> Iterator[int]:
        """Step until the run is closed; a crash replaces the controller and loses what it had in memory."""
        for number in range(most):
            if self.crash is not None and self.crash.random() < 0.4:
                self.conductor = self.new_controller()
            if self.conductor.step(self.look()):
                return
            if self.conductor._advising is not None:
                self.conductor._advising.join()
            for site in self.sites.values():
                site.advance()
            self.clock.advance(1)
            yield number
        pytest.fail(f"not closed after {most} steps: {self.journal.entries()}")

    def resume(self) -> None:
        """As the session does it."""
        end = self.store.ended()
        assert end is not None
        assert self.store.resume(end, self.clock.now())
        self.journal.update("r", state=RunState.STARTING, detail="resumed", is_open=True)

    def finish(self) -> Self:
        for _ in self.steps():
            pass
        return self

    def look(self) -> SitesNow:
        jobs, silent = {}, set()
        for name, site in self.sites.items():
            try:
                jobs[name] = list(site.jobs())
            except TemporaryError:
                silent.add(name)
        offers = {name: site.offer() for name, site in self.sites.items()}
        return SitesNow(jobs=jobs, offers=offers, silent=frozenset(silent))

    @property
    def state(self) -> RunState | None:
        end = self.store.ended()
        return end.state if end else None

    def stays(self) -> list[tuple[str, str]]:
        epochs = []
        for number in count(1):
            opened = self.store.epoch(number)
            if opened is None:
                return epochs
            epochs.append((opened.site, opened.trigger))
        raise AssertionError


def test_straight_through(tmp_path: Path) -> None:
    """A run is advised once, started once, accepted once, and leaves nothing behind."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)])).finish()
    assert RunState.DONE == world.state
    assert [("a", "start")] == world.stays()
    assert [("r", 1)] == world.sites["a"].submitted
    assert [] == list(world.sites["a"].jobs())
    assert not world.journal.entries()[0].open


def test_the_planned_move_takes_its_records_along(tmp_path: Path) -> None:
    """At the planned moment the run goes on elsewhere with the records of what it has done."""
    world = World(tmp_path, FixedAdviser([("a", 0, 4), ("b", 4, 60)])).finish()
    assert [("a", "start"), ("b", "plan")] == world.stays()
    second = world.store.epoch(2)
    assert second is not None
    assert ["0.rec"] == [ref.name for ref in second.believed]
    assert RunState.DONE == world.state


@pytest.mark.parametrize(
    ("answer", "stays", "told"),
    [
        (None, [("a", "start")], "stays on a, for nobody has answered; asks again after 00:40 at the earliest"),
        ("stay", [("a", "start")], "stays on a, as was answered; asks again after 00:40 at the earliest"),
        ("relocate", [("a", "start"), ("b", "user")], "leaves a: relocated by hand"),
    ],
)
def test_a_move_that_is_asked_about(
    answer: str | None, stays: list[tuple[str, str]], told: str, tmp_path: Path
) -> None:
    """Under --move ask the plan's move is proposed once; it is made when a person says so, and else it stays."""
    world = World(tmp_path, FixedAdviser([("a", 0, 4), ("b", 4, 2000)]), move="ask")
    world.sites["a"].script_of = lambda _: Script(work=900)
    for number in world.steps(most=2000):
        if number == 9 and answer is not None:
            proposal = world.store.proposal()
            assert proposal is not None
            site = "b" if answer == "relocate" else None
            wish = Wish(kind=answer, site=site, at=world.clock.now(), proposal=proposal.number)  # type: ignore[arg-type]
            world.store.wish(f"{answer}-0001", wish)
    assert stays == world.stays()
    said = [text for _, text in world.journal.notes("r")]
    assert told in said
    asked = [text for text in said if text.startswith("asks")]
    assert ["asks whether to move to b; without an answer by 00:10 it stays"] == asked


def test_relocation_by_hand(tmp_path: Path) -> None:
    """A person's wish moves the run, whatever the plan says."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    for number in world.steps():
        if number == 3:
            world.store.wish("relocate-0001", Wish(kind="relocate", site="b", at=world.clock.now()))
    assert [("a", "start"), ("b", "user")] == world.stays()
    assert RunState.DONE == world.state


def test_cancel_leaves_nothing(tmp_path: Path) -> None:
    """A cancelled run ends without a result once its job is gone."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    for number in world.steps():
        if number == 3:
            world.store.wish("cancel", Wish(kind="cancel", site=None, at=world.clock.now()))
    assert RunState.CANCELLED == world.state
    assert world.store.result() is None
    assert [] == list(world.sites["a"].jobs())


@pytest.mark.parametrize("resumed_by", ["the same controller", "a new controller"])
def test_resumed_after_a_cancel(resumed_by: str, tmp_path: Path) -> None:
    """It goes on in the next epoch with the records of the one before; its second cancel counts as its first did."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    for number in world.steps():
        if number == 4:
            world.store.cancel(world.clock.now())
    world.clock.advance(3600)
    world.resume()
    if resumed_by == "a new controller":
        world.conductor = world.new_controller()
    world.finish()
    assert RunState.DONE == world.state
    assert [("a", "start"), ("a", "user")] == world.stays()
    second = world.store.epoch(2)
    assert second is not None
    assert second.believed
    assert not world.journal.entries()[0].open


def test_cancelled_again_after_a_resume(tmp_path: Path) -> None:
    """A resumed run can be cancelled and resumed once more."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    for _ in range(2):
        for number in world.steps():
            if number == 3:
                world.store.cancel(world.clock.now())
        assert RunState.CANCELLED == world.state
        world.resume()
    world.finish()
    assert (RunState.DONE, 3) == (world.state, len(world.stays()))


def test_resumed_elsewhere_when_its_site_is_gone(tmp_path: Path) -> None:
    """A run that failed because its site keeps killing it goes on where it can."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    for _ in world.steps():
        last = world.store.last_epoch()
        world.sites["b"].reachable = False
        if last is not None:
            world.sites["a"].kill("r", last.epoch)
    assert RunState.FAILED == world.state
    world.sites["a"].reachable, world.sites["b"].reachable = False, True
    world.resume()
    for _ in world.steps():
        world.sites["a"].reachable = world.state is not None
    assert (RunState.DONE, "b") == (world.state, world.stays()[-1][0])


@pytest.mark.parametrize("seed", range(10))
def test_crashes_around_a_resume(seed: int, tmp_path: Path) -> None:
    """A controller that dies at any moment loses no resume."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]), crash=Random(seed))
    for number in world.steps():
        if number == 3 + seed % 3:
            world.store.cancel(world.clock.now())
        if world.state is RunState.CANCELLED and not world.store.resumes():
            world.resume()
    assert (RunState.DONE, 1) == (world.state, world.store.resumes())


def test_resumed_while_it_is_being_closed(tmp_path: Path) -> None:
    """Whoever resumes a run just before the controller writes that it is closed finds it open all the same."""

    class Late(Journal):
        world: World | None = None

        def update(self, run: str, *, state: str, detail: str, is_open: bool) -> None:
            if not is_open and self.world is not None:
                world, self.world = self.world, None
                world.resume()
            super().update(run, state=state, detail=detail, is_open=is_open)

    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    world.store.cancel(START)
    late = Late(tmp_path / "journal")
    late.world = world
    world.journal = late
    world.conductor = world.new_controller()
    world.finish()
    assert (RunState.DONE, 1) == (world.state, world.store.resumes())


def test_cancelled_while_it_is_profiled(tmp_path: Path) -> None:
    """The run has ended only when nothing of its profile is left; resumed, it is advised again."""

    class Slow(FixedAdviser):
        begun, over = threading.Event(), False

        def advise(
            self, store: RunStore, submission: Submission, say: Callable[[str], None], check: Callable[[], None]
        ) -> Advice:
            if self.begun.is_set():
                return super().advise(store, submission, say, check)
            self.begun.set()
            try:
                while True:
                    check()
            finally:
                self.over = True

    adviser = Slow([("a", 0, 60)])
    world = World(tmp_path, adviser)
    world.conductor.step(world.look())
    adviser.begun.wait()
    world.store.cancel(START)
    world.conductor.step(world.look())
    world.finish()
    assert (RunState.CANCELLED, True) == (world.state, adviser.over)
    world.resume()
    assert RunState.DONE == world.finish().state


def test_a_killed_runner_goes_on_from_its_records(tmp_path: Path) -> None:
    """The next epoch believes what the killed one had shipped."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    for number in world.steps():
        if number == 5:
            world.sites["a"].kill("r", 1)
    assert [("a", "start"), ("a", "fault")] == world.stays()
    second = world.store.epoch(2)
    assert second is not None
    assert second.believed
    assert RunState.DONE == world.state


def test_a_site_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """While a site cannot be reached its job is not started a second time anywhere."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    for number in world.steps():
        world.sites["a"].reachable = not 4 <= number < 40
    assert [("a", "start")] == world.stays()
    assert RunState.DONE == world.state


def test_a_target_that_is_away_does_not_stop_the_run(tmp_path: Path) -> None:
    """Without the target the old site goes on to the end."""
    world = World(tmp_path, FixedAdviser([("a", 0, 4), ("b", 4, 60)]))
    world.sites["b"].reachable = False
    world.finish()
    assert [("a", "start")] == world.stays()
    assert RunState.DONE == world.state


def test_a_fenced_copy_is_not_believed(tmp_path: Path) -> None:
    """A copy that goes on behind a partition may compute to its end: the run's result is the later epoch's."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    for number in world.steps():
        world.sites["a"].reachable = number < 4 or number > 30
        if number == 4:
            opened = EpochOpen(
                run="r",
                epoch=2,
                site="b",
                cores=1,
                memory_bytes=1 << 20,
                opened_at=world.clock.now(),
                trigger="fault",
                reason="taken for lost",
            )
            world.store.open_epoch(opened)
    result = world.store.result()
    assert result is not None
    assert 2 == result.epoch
    assert world.store.finished(1) is not None


def test_choice_is_waited_for(tmp_path: Path) -> None:
    """Without --auto nothing starts until a person has chosen; the choice goes before the plan."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]), auto=False)
    for number in world.steps():
        if number == 9:
            assert [] == world.stays()
            world.store.wish("choose", Wish(kind="choose", site="b", at=world.clock.now()))
    assert ("b", "start") == world.stays()[0]


@pytest.mark.parametrize(("problem", "expected"), [("temporary", RunState.DONE), ("permanent", RunState.FAILED)])
def test_advice_that_fails(problem: str, expected: RunState, tmp_path: Path) -> None:
    """Advice is tried again after a passing fault; what no retry mends ends the run with its reason."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)], problem=problem)).finish()
    assert expected == world.state


def test_a_lost_result_is_computed_again(tmp_path: Path) -> None:
    """A result whose bytes are gone is not accepted: a new epoch writes another."""
    world = World(tmp_path, FixedAdviser([("a", 0, 60)]))
    broken = False
    for _ in world.steps():
        result = world.store.finished(1)
        if result is not None and not broken:
            broken = True
            world.objects.delete(f"blobs/{result.payload.head}")
            world.store.blobs._known.clear()
    final = world.store.result()
    assert final is not None
    assert 2 == final.epoch
    assert RunState.DONE == world.state


@pytest.mark.parametrize("seed", range(40))
def test_crashes_and_faults(seed: int, tmp_path: Path) -> None:
    """Seeded crashes of the controller, killed jobs and sites that come and go: one result, nothing left, never two."""
    chance = Random(seed)
    world = World(tmp_path, FixedAdviser([("a", 0, 6), ("b", 6, 14), ("a", 14, 99)]), crash=Random(seed + 1000))
    for number in world.steps(most=600):
        for site in world.sites.values():
            site.reachable = number > 60 or chance.random() > 0.2
        if number < 60 and chance.random() < 0.1:
            last = world.store.last_epoch()
            if last is not None:
                world.sites[last.site].kill("r", last.epoch)
    assert world.state in (RunState.DONE, RunState.FAILED)
    assert RunState.DONE == world.state or "in a row" in (world.store.ended().error or "")  # type: ignore[union-attr]
    for site in world.sites.values():
        site.reachable = True
    starts = [key for site in world.sites.values() for key in site.submitted]
    assert len(starts) == len(set(starts))
    assert all(not list(site.jobs()) for site in world.sites.values())


@pytest.mark.parametrize(("trouble", "has_receipt"), [(TemporaryError("away"), True), (UserError("no trace"), False)])
def test_a_receipt_that_cannot_be_made_does_not_keep_a_run_open(
    trouble: GreenKernelError, has_receipt: bool, tmp_path: Path
) -> None:
    """A passing fault is tried again; one that stays costs the receipt alone."""

    class Troubled(FixedAdviser):
        failed = False

        def receipt(self, seen: Seen, store: RunStore, end: End) -> Receipt:
            if not self.failed:
                self.failed = True
                raise trouble
            return super().receipt(seen, store, end)

    world = World(tmp_path, Troubled([("a", 0, 60)]))
    for _ in world.steps():
        pass
    assert RunState.DONE == world.state
    assert has_receipt is (world.store.receipt() is not None)


def test_whose_a_run_is(tmp_path: Path) -> None:
    """It is the lease's once it has advice and while it is on the lease's sites; never one that was resumed."""
    world = World(tmp_path, FixedAdviser([("a", 0, 1000)]))
    lease = Lease(holder="h", host="x", pid=1, owner="", python="", sites=("a",))
    assert not world.conductor.is_for(lease)
    for number in world.steps(most=100):
        if number == 6:
            assert world.store.epoch(1) is not None
            assert world.conductor.is_for(lease)
            assert not world.conductor.is_for(replace(lease, sites=("b",)))
            assert not world.conductor.is_for(replace(lease, owner="other"))
            world.store.cancel(world.clock.now())
    end = world.store.ended()
    assert end is not None
    world.store.resume(end, world.clock.now())
    assert not world.new_controller().is_for(lease)
