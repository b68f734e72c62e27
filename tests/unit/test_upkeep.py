"""What stays in a store and what goes: limits of age and size, mark and sweep, and who may not be disturbed by it."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenkernel.clock import ManualClock
from greenkernel.errors import TemporaryError
from greenkernel.home import SENDING_LOCK_FILE, Home
from greenkernel.lock import Lock
from greenkernel.records import Capture, Package, Payload, Request, Result, RunState
from greenkernel.run.journal import Entry
from greenkernel.run.keeping import KeptRun, Limits, removals, taken
from greenkernel.run.wheels import WHEELS, collect_wheels
from greenkernel.settings import Settings
from greenkernel.store.blobs import GRACE, Blobs, name_of
from greenkernel.store.objects import ObjectInfo, ObjectStore, StoreAddress
from greenkernel.store.runs import End, Submission
from greenkernel.upkeep import EVERY, Upkeep

DAY = timedelta(days=1)
NOW = datetime(2026, 1, 30, tzinfo=UTC)
WEEK = Limits(keep=7 * DAY, store_bytes=1000)


class World:
    """A home on a real store. Its clock starts at the machine's time, for the store stamps objects by that."""

    def __init__(self, folder: Path, text: str = "", store: str | None = None) -> None:
        folder.mkdir(parents=True)
        (folder / "settings.toml").write_text(text)
        place = f'store = "{store}"\n' if store else ""
        (folder / "sites.toml").write_text(f'{place}[sites.near]\nkind = "embedded"\nintensity_g_per_kwh = 100\n')
        self.clock = ManualClock(datetime.now(UTC))
        self.home = Home(Settings(folder), self.clock)
        self.upkeep = Upkeep(self.home)

    def run(self, run: str, *contents: bytes, ended_days_ago: float | None = None, is_open: bool = False) -> None:
        """A run that has sent these blobs."""
        submit(self.home, run, Blobs(self.home.objects, self.home.settings.key), contents)
        if ended_days_ago is not None:
            at = self.clock.now() - ended_days_ago * DAY
            self.home.run_store(run).end(End(state=RunState.DONE, at=at))
            self.home.journal.update(run, state="done", detail="", is_open=is_open)

    def pass_days(self, days: float) -> None:
        """All that is in the store gets older."""
        self.clock.advance(days * 86400)

    @property
    def runs(self) -> set[str]:
        return set(self.home.objects.folders("runs"))

    @property
    def blobs(self) -> set[str]:
        return {info.name for info in self.home.objects.listing("blobs")}

    def name(self, content: bytes) -> str:
        return name_of(Blobs(self.home.objects, self.home.settings.key).address(content))


def submit(home: Home, run: str, blobs: Blobs, contents: tuple[bytes, ...]) -> None:
    head, *buffers = [blobs.put(content) for content in contents or (run.encode(),)]
    capture = Capture(transformed="", reads=(), binds=(), items=(), payload=Payload(head=head, buffers=tuple(buffers)))
    request = Request(source="", name=f"name of {run}", created_at=home.clock.now())
    home.run_store(run).submit(Submission(request=request, capture=capture))
    home.journal.add(
        Entry(id=run, name=request.name, created_at=request.created_at, open=True, state="running", detail="")
    )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def kept(run: str, days_ago: float | None, size: int = 100, *blobs: str) -> KeptRun:
    ended_at = None if days_ago is None else NOW - days_ago * DAY
    return KeptRun(run=run, name=run, ended_at=ended_at, bytes=size, blobs=frozenset(blobs))


@pytest.mark.parametrize(
    ("expected", "runs", "sizes"),
    [
        ([], [kept("open", None, 5000), kept("new", 0.5, 5000)], {}),
        (["old"], [kept("young", 6), kept("old", 8)], {}),
        (["b", "c"], [kept("a", 2, 500), kept("b", 4, 500), kept("c", 3, 500), kept("open", None, 500)], {}),
        (["b"], [kept("a", 2, 400), kept("b", 3, 400), kept("open", None, 400)], {}),
        # A blob that a run shares with one that stays frees nothing.
        (["b", "a"], [kept("a", 2, 10, "x"), kept("b", 3, 10, "x"), kept("open", None, 10, "x")], {"x": 2000}),
        (["b"], [kept("a", 2, 10), kept("b", 3, 10, "x"), kept("open", None, 10)], {"x": 2000}),
        # Blobs of no run count for none.
        ([], [kept("a", 2, 10)], {"x": 2000}),
    ],
)
def test_which_runs_go(expected: list[str], runs: list[KeptRun], sizes: dict[str, int]) -> None:
    """First for their age, then those that ended first, until the rest is small enough; never open or of today."""
    assert expected == [removal.run.run for removal in removals(runs, sizes, WEEK, NOW)]


RUNS = st.lists(
    st.builds(
        kept,
        st.uuids().map(str),
        st.none() | st.floats(0, 20),
        st.integers(0, 600),
        st.sampled_from(["x", "y", "z"]),
    ),
    max_size=8,
)


@given(RUNS)
def test_what_goes_frees_what_is_said(runs: list[KeptRun]) -> None:
    """The bytes of the removals are the difference; what stays is small enough, or may not go."""
    sizes = {"x": 100, "y": 300, "z": 700}
    gone = removals(runs, sizes, WEEK, NOW)
    ids = {removal.run.run for removal in gone}
    left = [run for run in runs if run.run not in ids]
    assert taken(runs, sizes) - taken(left, sizes) == sum(removal.bytes for removal in gone)
    assert all(run.ended_at is not None for run in runs if run.run in ids)
    may_go = [run for run in left if run.ended_at is not None and run.ended_at < NOW - GRACE]
    assert not may_go or taken(left, sizes) <= WEEK.store_bytes


def test_an_old_run_goes_and_its_blobs_follow(world: World) -> None:
    """What another run has sent too stays, and so do runs that are open, or that have ended while jobs are left."""
    world.run("old", b"shared", b"only here", ended_days_ago=0)
    world.run("stays", b"shared")
    world.run("jobs-left", b"of jobs-left", ended_days_ago=0, is_open=True)
    world.pass_days(8)
    would = world.upkeep.prune(dry_run=True)
    assert {"old", "stays", "jobs-left"} == world.runs
    pruned = world.upkeep.prune()
    assert (["old"], 1, len(b"only here")) == ([one.run.run for one in pruned.runs], pruned.blobs, pruned.bytes)
    assert str(would) == str(pruned)
    assert {"stays", "jobs-left"} == world.runs
    assert {world.name(b"shared"), world.name(b"of jobs-left")} == world.blobs
    assert {"stays", "jobs-left"} == {entry.id for entry in world.home.journal.entries()}


def test_young_blobs_stay(world: World) -> None:
    """A run may be removed at once, blobs of no run are left alone for a day: somebody may be about to name them."""
    world.run("old", b"content", ended_days_ago=8)
    assert (1, 0) == ((pruned := world.upkeep.prune()).blobs + len(pruned.runs), pruned.blobs)
    assert {world.name(b"content")} == world.blobs
    world.pass_days(1.1)
    assert 1 == world.upkeep.prune().blobs
    assert set() == world.blobs


def test_results_are_named_too(world: World) -> None:
    """Blobs of a result that nobody has accepted yet stay."""
    world.run("open")
    store = world.home.run_store("open")
    payload = Payload(head=store.blobs.put(b"result"))
    store.finish(Result(run="open", epoch=1, finished_at=NOW, names=(), deleted=(), payload=payload, has_value=False))
    world.pass_days(30)
    assert 0 == world.upkeep.prune().blobs
    assert world.name(b"result") in world.blobs


def test_an_old_blob_that_is_put_again_is_young(world: World) -> None:
    """A runner that leaves bytes which are there already makes them stay, without a word to anybody."""
    key = world.home.settings.key
    Blobs(world.home.objects, key).put(b"content")
    (before,) = world.home.objects.listing("blobs")
    later = ManualClock(before.modified_at + GRACE)
    Blobs(world.home.objects, key, later, guarded=True).put(b"content")
    assert before == world.home.objects.info(before.name)
    Blobs(world.home.objects, key, later).put(b"content")
    after = world.home.objects.info(before.name)
    assert after is not None
    assert after.modified_at > before.modified_at


def test_too_much_goes_before_its_time(tmp_path: Path) -> None:
    """The oldest run goes until the rest is below store_size; what may not go is said."""
    world = World(tmp_path / "home", 'store_size = "10kB"\n')
    for days, run in ((3, "a"), (2, "b"), (0.5, "c")):
        world.run(run, run.encode() * 6000, ended_days_ago=days)
    pruned = world.upkeep.prune()
    assert ["a", "b"] == [one.run.run for one in pruned.runs]
    assert {"c"} == world.runs
    assert 0 == pruned.over_bytes
    world.run("d", b"d" * 6000)
    assert 2000 < world.upkeep.prune().over_bytes < 4000


def test_another_home_in_the_same_store(tmp_path: Path) -> None:
    """Neither its runs nor its blobs are touched, by pruning nor by purging, though nobody here can read them."""
    store = (tmp_path / "store").as_uri()
    mine, other = World(tmp_path / "a", store=store), World(tmp_path / "b", store=store)
    mine.run("mine", b"content", ended_days_ago=0)
    mine.run("purged", b"more", ended_days_ago=0)
    other.run("theirs", b"content")
    Blobs(other.home.objects, other.home.settings.key).put(b"of no run")
    (tmp_path / "store" / "blobs" / ".cut-off").write_bytes(b"half")
    mine.upkeep.purge("purged")
    mine.pass_days(8)
    assert 1 == mine.upkeep.prune().blobs
    assert mine.upkeep.usage().other_homes
    assert {"theirs"} == mine.runs
    assert {other.name(b"content"), other.name(b"of no run"), "blobs/.cut-off"} == mine.blobs


def test_a_run_that_cannot_be_read(world: World) -> None:
    """Nobody knows what it names, so no blob goes, and what to do is said; when it is gone they go."""
    world.run("broken", b"content", ended_days_ago=0)
    world.run("old", b"old", ended_days_ago=0)
    world.run("purged", b"content", ended_days_ago=0)
    world.home.objects.put("runs/broken/request", b"not sealed")
    world.upkeep.purge("purged")
    assert world.name(b"content") in world.blobs
    world.pass_days(8)
    pruned = world.upkeep.prune()
    assert (["old"], 0) == ([one.run.run for one in pruned.runs], pruned.blobs)
    assert "`greenkernel runs cancel broken --purge`" in str(pruned)
    world.upkeep.purge("broken")
    assert 2 == world.upkeep.prune().blobs
    assert set() == world.blobs | world.runs


def test_a_removal_that_was_cut_off_is_finished(world: World) -> None:
    """A run without its request is what somebody has left half removed."""
    world.home.objects.put("runs/half/epochs/0001/log/00000001", b"log")
    world.pass_days(6)
    assert not world.upkeep.prune().runs
    world.pass_days(2)
    assert ["half"] == [one.run.run for one in world.upkeep.prune().runs]
    assert set() == world.runs


def test_what_was_cut_off_in_writing_goes(world: World) -> None:
    """Half a blob is no blob's."""
    world.run("open")
    (world.home.settings.home / "store" / "blobs" / ".cut-off").write_bytes(b"half")
    world.pass_days(2)
    assert 1 == world.upkeep.prune().blobs
    assert {world.name(b"open")} == world.blobs


def test_parts_of_bundles_go_after_three_days(world: World) -> None:
    """They are sent again when a pod needs them."""
    world.home.objects.put("bundles/old.zip", b"wheel")
    world.pass_days(2.9)
    assert 0 == world.upkeep.prune().blobs
    world.pass_days(0.2)
    assert 1 == world.upkeep.prune().blobs


def test_packages_that_no_run_has_needed_go(world: World) -> None:
    """They are fetched once more when a pod needs them; one that was needed meanwhile stays."""
    cache = world.home.settings.home / WHEELS
    for name in ("wanted", "other"):
        (cache / f"{name}-1-3.11").mkdir(parents=True)
        (cache / f"{name}-1-3.11" / f"{name}-1-py3-none-any.whl").write_bytes(b"wheel")
        os.utime(cache / f"{name}-1-3.11", (1, 1))
    assert 1 == len(collect_wheels([Package(name="wanted", version="1")], cache, python="3.11").wheels)
    assert (1, 5) == (world.upkeep.prune(dry_run=True).blobs, world.upkeep.prune().bytes)
    assert ["wanted-1-3.11"] == [path.name for path in cache.iterdir()]


def test_nothing_goes_while_a_cell_is_sent(world: World) -> None:
    """Who removes waits, and then says why he has not; who sends afterwards is not disturbed."""
    world.run("old", b"content", ended_days_ago=0)
    world.pass_days(8)
    quick = Upkeep(world.home, patience_s=0.0)
    with world.home.sending(), world.home.sending():
        with pytest.raises(TemporaryError, match="just being sent"):
            quick.prune()
        with pytest.raises(TemporaryError, match="just being sent"):
            quick.purge("old")
    assert {"old"} == world.runs
    assert 1 == len(quick.prune().runs)


def test_a_resumed_run_is_open_again(world: World) -> None:
    """Between the look and the removal somebody has resumed it: it stays."""
    world.run("old", ended_days_ago=8)
    home = Between(world, lambda: world.home.journal.update("old", state="starting", detail="", is_open=True))
    assert not Upkeep(home).prune().runs
    assert {"old"} == world.runs


def test_once_a_day(world: World) -> None:
    """The controller asks often; the second time of a day does nothing, and a damaged note is no matter."""
    assert "0 runs" in (world.upkeep.tidy() or "")
    assert world.upkeep.tidy() is None
    world.clock.advance(EVERY.total_seconds())
    assert world.upkeep.tidy() is not None
    (world.home.settings.home / "tidied.json").write_text("[")
    assert world.upkeep.tidy() is not None
    assert "0 runs" in json.loads((world.home.settings.home / "tidied.json").read_text())["said"]


def test_usage_counts_everything_once(world: World) -> None:
    """A blob that two runs name is there once, one that none names is told apart; so is the rest of the home."""
    world.run("a", b"x" * 1000, ended_days_ago=0)
    world.run("b", b"x" * 1000)
    Blobs(world.home.objects, world.home.settings.key).put(b"y" * 10)
    usage = world.upkeep.usage()
    assert (2, 1, 1000, 10) == (usage.runs, usage.open_runs, usage.blobs_bytes, usage.unused_bytes)
    on_disk = sum(path.stat().st_size for path in (world.home.settings.home / "store").rglob("*") if path.is_file())
    assert on_disk == usage.runs_bytes + usage.blobs_bytes + usage.unused_bytes + usage.bundles_bytes
    assert 0 < usage.home_bytes


class Store(ObjectStore):
    """One that lets others act before each of its calls."""

    def __init__(self, address: StoreAddress, before: Callable[[], None]) -> None:
        super().__init__(address)
        self._before = before

    def info(self, name: str) -> ObjectInfo | None:
        self._before()
        return super().info(name)

    def listing(self, prefix: str, *, after: str | None = None) -> list[ObjectInfo]:
        self._before()
        return super().listing(prefix, after=after)

    def folders(self, prefix: str) -> list[str]:
        self._before()
        return super().folders(prefix)

    def delete(self, *names: str) -> None:
        self._before()
        super().delete(*names)


class Between(Home):
    """The same home, seen by a process during whose calls of the store others act."""

    def __init__(self, world: World, before: Callable[[], None]) -> None:
        super().__init__(world.home.settings, world.clock)
        self.objects = Store(world.home.settings.store, before)


class Kernel:
    """Sends cells step by step, each time as far as the lock lets it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.sent: list[str] = []
        self._is_sending = False
        self._steps = self._send()

    def step(self) -> None:
        next(self._steps)

    def finish(self) -> None:
        """What has begun comes to its end; nothing is begun."""
        while self._is_sending:
            self.step()
        self._steps.close()

    def _send(self) -> Iterator[None]:
        while True:
            with self._lock() as mine:
                while not mine():
                    yield
                self._is_sending = True
                blobs = Blobs(self._home.objects, self._home.settings.key, guarded=True)
                for content in (b"a", b"b"):
                    blobs.put(content)
                    yield
                run = f"sent-{len(self.sent)}"
                submit(self._home, run, blobs, (b"a", b"b"))
                self.sent.append(run)
                self._is_sending = False
            yield

    @contextmanager
    def _lock(self) -> Iterator[Callable[[], bool]]:
        lock = Lock(self._home.settings.home / SENDING_LOCK_FILE)
        try:
            yield lock.share
        finally:
            lock.release()


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.integers(0, 20), st.integers(1, 6), max_size=4), st.booleans())
def test_no_blob_of_a_run_is_ever_removed(steps: dict[int, int], purges: bool) -> None:
    """Another kernel sends what an old run has sent, in the middle of a removal: its run has all of its blobs."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder, "home"))
        world.run("old", b"a", b"b", b"c", ended_days_ago=0)
        world.pass_days(8)
        kernel, calls = Kernel(world.home), itertools.count()

        def before() -> None:
            for _ in range(steps.get(next(calls), 0)):
                kernel.step()

        upkeep = Upkeep(Between(world, before), patience_s=0.0)
        with suppress(TemporaryError):
            upkeep.purge("old") if purges else upkeep.prune()
        kernel.finish()
        for run in kernel.sent:
            store = world.home.run_store(run)
            assert all(store.blobs.has(address) for address in store.named_blobs())
