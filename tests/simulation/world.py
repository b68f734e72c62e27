"""One schedule: two controllers, two sites, a user and faults; and what must hold all the time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from random import Random
from typing import Any, cast

from greenkernel.clock import ManualClock
from greenkernel.errors import TemporaryError
from greenkernel.records import (
    Capture,
    EpochOpen,
    JobPhase,
    JobSpec,
    JobStatus,
    Payload,
    Request,
    RunState,
)
from greenkernel.run.conduct import Conductor, SitesNow
from greenkernel.site.fake import FakeSite, Script
from greenkernel.store.objects import ObjectStore
from greenkernel.store.runs import End, PlanNow, RunStore, Submission, Wish
from tests.advisers import START, FixedAdviser
from tests.simulation.faults import Crash, Faults
from tests.simulation.memory import MemoryStore, Shelf

KEY = b"k" * 32
WORK = 6
# Until then things go wrong; afterwards the run must come to its end.
_WILD_STEPS, _MOST_STEPS = 45, 600
# A wish may meet faults a few times; then it is lost.
_HEARD = 4


class Book:
    """Stands for the journal, which only explains."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, _run: str, text: str) -> None:
        self.notes.append(text)

    def update(self, *_: Any, **__: Any) -> None:
        return


class SimSite(FakeSite):
    """A fake site whose calls and jobs meet faults, and which looks at what is done to it."""

    world: World
    busy: set[tuple[str, int]]

    def submit(self, job: JobSpec) -> None:
        self.world.faults.call("submit", "controller", lambda: self._submit(job))

    def _submit(self, job: JobSpec) -> None:
        FakeSite.submit(self, job)
        if self.submitted.count((job.run, job.epoch)) > 1:
            self.world.broken.append(f"epoch {job.epoch} has two jobs")

    def drain(self, run: str, epoch: int) -> None:
        self.world.faults.call("drain", "controller", lambda: FakeSite.drain(self, run, epoch))

    def stop(self, run: str, epoch: int) -> None:
        self.world.before_stop(epoch)
        self.world.faults.call("stop", "controller", lambda: FakeSite.stop(self, run, epoch))

    def jobs(self) -> Sequence[JobStatus]:
        return self.world.faults.call("list jobs", "controller", lambda: FakeSite.jobs(self))

    def advance(self) -> None:
        """Each job does its next piece of work, if it is not paused; a crash or a fault is its own."""
        for key, job in list(self.ground.jobs.items()):
            if self.world.is_paused(self.name, job.spec.epoch) or key in self.busy:
                continue
            self.busy.add(key)
            try:
                begins = job.status.phase is JobPhase.PENDING
                self.advance_one(job)
                if begins:
                    self.world.after_start(job.spec.epoch, job.work_done, running=job.status.phase is JobPhase.RUNNING)
            except TemporaryError:
                continue  # a runner tries again
            except Crash:
                self.kill(job.spec.run, job.spec.epoch)
            finally:
                self.busy.discard(key)


@dataclass
class World:
    """A schedule, all of it drawn from a seed.

    Attributes:
        broken: What did not hold, in words.
    """

    seed: int
    skips: Collection[int] = ()
    site_kind: type[SimSite] = SimSite
    store_kind: type[RunStore] = RunStore
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)
        self.clock = ManualClock(START)
        self.shelf = Shelf()
        self.faults = Faults(Random(self.seed + 1), self.dice.uniform(0.01, 0.08), self.skips, self._others)
        self.faults.active = False
        self.truth = self.store_of("truth")
        self.sites = {name: self._site(name) for name in ("a", "b")}
        self.cancelled_at: int | None = None
        self.heard = 0
        self._paused: dict[tuple[str, int], int] = {}
        self._step = 0
        self._listed: dict[str, set[str]] = {}
        self._submit()
        self.shelf.written = self._written
        self.book = Book()
        self.controllers = [self._controller(n) for n in range(2)]
        self.faults.active = True

    # --- what there is ---

    def store_of(self, actor: str) -> RunStore:
        return self.store_kind(cast("ObjectStore", MemoryStore(self.shelf, self.faults, actor)), KEY, "r")

    def _site(self, name: str) -> SimSite:
        site = self.site_kind(
            name, lambda run: self.store_of(f"job on {name}"), self.clock, lambda _: Script(work=WORK)
        )
        site.world, site.busy = self, set()
        return site

    def _controller(self, number: int) -> Conductor:
        store, book = self.store_of(f"controller {number}"), cast("Any", self.book)
        return Conductor(store, self.sites, self.adviser, book, self.clock, UTC)

    def _submit(self) -> None:
        request = Request(source="x", name="x", created_at=START)
        capture = Capture(transformed="x", reads=(), binds=("x",), items=(), payload=Payload(head="0" * 64))
        move_at = self.dice.choice((4.0, 8.0, 15.0, 1e6))
        self.adviser = FixedAdviser([("a", 0, move_at), ("b", move_at, 1e7)])
        advice = self.adviser.advice()
        assert advice.plan is not None
        self.truth.submit(Submission(request=request, capture=capture))
        self.truth.put_plan(PlanNow(plan=advice.plan))
        self.truth.advise(advice)

    # --- what happens ---

    def run(self) -> World:
        """From the beginning to the end."""
        for step in range(_MOST_STEPS):
            self._step = step
            if step == _WILD_STEPS:
                self.faults.active = False
                self._paused.clear()
                for site in self.sites.values():
                    site.reachable = True
            wild = step < _WILD_STEPS
            if wild:
                self._fate()
            order = self.dice.sample(range(2), k=self.dice.randint(1, 2)) if wild else [0, 1]
            closed = [self._act(number) for number in order]
            for site in self.sites.values():
                site.advance()
            self.clock.advance(self.dice.choice((1, 1, 2, 7200 if self.dice.random() < 0.02 else 1)))
            if not wild and all(closed):
                break
        self._at_the_end()
        return self

    def _act(self, number: int) -> bool:
        """One step of a controller; a crash puts a new one in its place."""
        self._listed = self._records()
        try:
            closed = self.controllers[number].step(self._look())
            self._heard()
            return closed
        except TemporaryError:
            return False
        except Crash:
            self.controllers[number] = self._controller(number)
            return False

    def _heard(self) -> None:
        """A controller has come through a step; after a few of them a wish to cancel must have been heard."""
        last = self._last()
        finished = last is None or self._has(f"epochs/{last.epoch:04d}/result")
        if self.cancelled_at is not None and not finished and all(site.reachable for site in self.sites.values()):
            self.heard += 1

    def _look(self) -> SitesNow:
        jobs, silent = {}, set()
        for name, site in self.sites.items():
            try:
                jobs[name] = list(site.jobs())
            except TemporaryError:
                silent.add(name)
        offers = {name: site.offer() for name, site in self.sites.items()}
        return SitesNow(jobs=jobs, offers=offers, silent=frozenset(silent))

    def _others(self, actor: str) -> None:
        """In the middle of somebody's call the others go on."""
        for _ in range(self.dice.randint(1, 4)):
            if self.dice.random() < 0.4:
                other = 1 if actor.endswith("0") else 0
                listed = self._listed
                self._act(other)
                self._listed = listed
            else:
                self.dice.choice(list(self.sites.values())).advance()

    def _fate(self) -> None:
        """A person's wishes, and what befalls sites and jobs."""
        chance = self.dice.random()
        site = self.dice.choice(list(self.sites.values()))
        last = self._last()
        if chance < 0.008 and self.cancelled_at is None:
            self.truth_call(lambda: self.truth.cancel(self.clock.now()))
            self.cancelled_at = self._step
        elif chance < 0.03:
            wish = Wish(kind="relocate", site=site.name, at=self.clock.now())
            self.truth_call(lambda: self.truth.wish(f"relocate-{self._step:04d}", wish))
        elif chance < 0.06:
            site.reachable = not site.reachable
        elif chance < 0.10 and last is not None:
            site.kill("r", last.epoch)
        elif chance < 0.14 and last is not None:
            self._paused[last.site, last.epoch] = self._step + self.dice.randint(3, 25)

    def truth_call(self, call: Any) -> None:
        """What a person does meets no faults."""
        active, self.faults.active = self.faults.active, False
        call()
        self.faults.active = active

    # --- what must hold ---

    def _records(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in self.shelf.objects:
            parts = name.split("/")
            if "records" in parts:
                found.setdefault(parts[-3], set()).add(parts[-1])
        return found

    def _last(self) -> EpochOpen | None:
        found: list[EpochOpen] = []
        self.truth_call(lambda: found.extend(one for one in [self.truth.last_epoch()] if one is not None))
        return found[0] if found else None

    def _has(self, name: str) -> bool:
        return f"runs/r/{name}" in self.shelf.objects

    def is_paused(self, site: str, epoch: int) -> bool:
        return self._paused.get((site, epoch), -1) > self._step

    def _written(self, name: str) -> None:
        if not name.endswith("/open"):
            return
        number = int(name.split("/")[-2])
        opened: list[EpochOpen | None] = []
        self.truth_call(lambda: opened.append(self.truth.epoch(number)))
        assert opened[0] is not None
        if self._has("result") or (self._has("end")):
            self.broken.append(f"epoch {number} was opened after the end")
        before = self._listed.get(f"{number - 1:04d}", set())
        if missing := before - {ref.name for ref in opened[0].believed}:
            self.broken.append(f"epoch {number} does not believe {sorted(missing)}, which were there")

    def before_stop(self, epoch: int) -> None:
        last = self._last()
        if last is None or epoch >= last.epoch or self._has("result") or self._has("end"):
            return
        later = range(epoch + 1, last.epoch + 1)
        if self.cancelled_at is None and not any(self._has(f"epochs/{one:04d}/progress") for one in later):
            self.broken.append(f"the job of epoch {epoch} was removed before a later one had reported")

    def after_start(self, epoch: int, done: int, *, running: bool) -> None:
        opened: list[EpochOpen | None] = []
        self.truth_call(lambda: opened.append(self.truth.epoch(epoch)))
        if running and opened[0] is not None and done != len(opened[0].believed):
            self.broken.append(f"epoch {epoch} begins with {done} records and {len(opened[0].believed)} are believed")
        if running and self._has("result"):
            self.broken.append(f"epoch {epoch} was started after the end")

    def _at_the_end(self) -> None:
        self.broken += self.shelf.broken
        ends: list[End | None] = []
        self.truth_call(lambda: ends.append(self.truth.ended()))
        end = ends[0]
        if end is None:
            self.broken.append(f"it has not ended after {_MOST_STEPS} steps")
            return
        left = [name for name, site in self.sites.items() if site.ground.jobs]
        if left:
            self.broken.append(f"jobs are left on {left}")
        if end.state is RunState.DONE and not self._has("result"):
            self.broken.append("it is done without a result")
        if self.heard > _HEARD and end.state is RunState.DONE:
            self.broken.append("it was cancelled long before it had a result, and is done")
        self.state = end.state

    @property
    def epochs(self) -> int:
        """Epochs that were opened."""
        last = self._last()
        return last.epoch if last is not None else 0


def played(seed: int, skips: Collection[int] = (), **kinds: Any) -> World:
    """A schedule from its beginning to its end."""
    return World(seed, skips, **kinds).run()


def shrunk(seed: int, **kinds: Any) -> list[int]:
    """Numbers of faults that can be left out, so that it still breaks: what remains is what it takes."""
    skips: list[int] = []
    total = played(seed, **kinds).faults.count
    for number in range(total, 0, -1):
        if played(seed, (*skips, number), **kinds).broken:
            skips.append(number)
    return skips
