"""Recording and replaying joblib tasks: what is kept, what is refused, and that joblib behaves as without it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed

from greenkernel.runner.record import Drained, RecordingScope, TaskProgress, records

KEY = b"k" * 32
WAYS: list[dict[str, Any]] = [{}, {"n_jobs": 2, "prefer": "threads"}, {"n_jobs": 2}, {"n_jobs": 2, "backend": "loky"}]
WAY_NAMES = ["sequential", "threads", "processes", "loky by name"]


@dataclass
class Home:
    """A spool, a folder of believed records, and scopes between them."""

    folder: Path
    stays: int = 0
    cores: int = 2
    logical_cores: int = 2
    last: TaskProgress | None = field(default=None)

    def scope(self) -> RecordingScope:
        """A stay that believes all earlier ones' records."""
        self.stays += 1
        spool, believed = self.folder / f"spool{self.stays}", self.folder / "believed"
        spool.mkdir()
        believed.mkdir(exist_ok=True)
        return RecordingScope(
            spool=spool, believed=believed, key=KEY, cores=self.cores, logical_cores=self.logical_cores
        )

    def run(self, cell: Callable[[], Any]) -> Any:
        """Run ``cell`` in a new stay, then believe what it left."""
        with (scope := self.scope()):
            result = cell()
        self.last = scope.progress()
        for path in self.left():
            (self.folder / "believed" / path.name).write_bytes(path.read_bytes())
        return result

    def left(self) -> list[Path]:
        """The records of the last stay."""
        return sorted((self.folder / f"spool{self.stays}").glob("*.rec"))

    @property
    def counts(self) -> tuple[int, int]:
        """Done and reused in the last stay."""
        assert self.last is not None
        return self.last.done, self.last.reused


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A fresh home."""
    return Home(tmp_path)


def square(x: int) -> int:
    """A task."""
    return x * x


def total(values: Any) -> float:
    """A task on an array."""
    return float(np.sum(values))


def worker() -> tuple[int, float]:
    """Who runs it, and something that is never the same."""
    return os.getpid(), time.perf_counter()


def fails_at_three(x: int) -> int:
    """A task with a fault."""
    if x == 3:
        raise ValueError("three")
    return x


def inner_squares(n: int) -> list[int]:
    """A task that is parallel itself."""
    return list(Parallel(n_jobs=2, prefer="threads")(delayed(square)(x) for x in range(n)))


def busy(x: int, duration_s: float) -> int:
    """A task that needs CPU."""
    end = time.thread_time() + duration_s
    while time.thread_time() < end:
        x += 0
    return x


def careless(cell: Callable[[], Any]) -> None:
    """A cell that goes on after any error."""
    with contextlib.suppress(Exception):
        cell()


class Box:
    """Something that a task fits in place."""

    def __init__(self, start: int) -> None:
        self.start = start

    def fit(self, more: int) -> Box:
        """Like an estimator's."""
        self.sum_ = self.start + more
        return self


# --- what is replayed


@pytest.mark.parametrize("way", WAYS, ids=WAY_NAMES)
def test_a_second_stay_runs_nothing(home: Home, way: dict[str, Any]) -> None:
    """Every task of the first stay is believed by the second, also where a call has one worker (the default)."""
    cell = lambda: Parallel(**way)(delayed(square)(x) for x in range(7))  # noqa: E731
    assert [x * x for x in range(7)] == home.run(cell)
    assert 7 == len(home.left())
    assert [x * x for x in range(7)] == home.run(cell)
    assert ((7, 7), []) == (home.counts, home.left())


@pytest.mark.parametrize("way", WAYS, ids=WAY_NAMES)
def test_half_of_the_records(home: Home, way: dict[str, Any]) -> None:
    """What has no record is run again, the rest is not, and the order stays."""
    cell = lambda: [os_pid for os_pid, _ in Parallel(**way)(delayed(worker)() for _ in range(6))]  # noqa: E731
    home.run(cell)
    for path in sorted((home.folder / "believed").iterdir())[::2]:
        path.unlink()
    home.run(cell)
    assert (6, 3) == home.counts
    assert 3 == len(home.left())


@pytest.mark.parametrize("return_as", ["list", "generator", "generator_unordered"])
@pytest.mark.parametrize("way", WAYS[1:3], ids=WAY_NAMES[1:3])
def test_generators(home: Home, way: dict[str, Any], return_as: str) -> None:
    """Records belong to items, in whatever order they are asked for."""
    if return_as == "generator_unordered" and joblib.__version__.startswith("1.3"):
        pytest.skip("joblib 1.4 brought it")
    cell = lambda: sorted(Parallel(return_as=return_as, **way)(delayed(square)(x) for x in range(9)))  # noqa: E731
    assert home.run(cell) == home.run(cell) == [x * x for x in range(9)]
    assert (9, 9) == home.counts


@pytest.mark.parametrize("way", WAYS[:3], ids=WAY_NAMES[:3])
def test_five_thousand_records(home: Home, way: dict[str, Any]) -> None:
    """Replaying many tiny tasks neither recurses too deep nor depends on how joblib batches them."""
    cell = lambda: Parallel(**way)(delayed(square)(x) for x in range(5000))  # noqa: E731
    assert home.run(cell) == home.run(cell) == [x * x for x in range(5000)]
    assert (5000, 5000) == home.counts


def test_pre_sized_batches(home: Home) -> None:
    """A batch size of the user's own changes nothing about the records."""
    home.run(lambda: Parallel(n_jobs=2, batch_size=4)(delayed(square)(x) for x in range(10)))
    home.run(lambda: Parallel(n_jobs=2, batch_size=1)(delayed(square)(x) for x in range(10)))
    assert (10, 10) == home.counts


def test_equal_calls_are_told_apart(home: Home) -> None:
    """Two calls with the same tasks have records of their own: their results need not be the same."""
    cell = lambda: [Parallel(n_jobs=2)(delayed(worker)() for _ in range(3)) for _ in range(2)]  # noqa: E731
    first = home.run(cell)
    assert first[0] != first[1]
    assert first == home.run(cell)


def test_calls_are_counted_on_where_the_first_ones_are_skipped(home: Home) -> None:
    """A statement that is not run again does not leave its records to the next one."""
    call = lambda: Parallel(n_jobs=2)(delayed(worker)() for _ in range(2))  # noqa: E731
    with (first := home.scope()):
        call()
        calls = first.calls()
        second = call()
    for path in home.left():
        (home.folder / "believed" / path.name).write_bytes(path.read_bytes())
    with (later := home.scope()):
        later.go_on(calls)
        assert second == call()


def test_processors_are_counted_alike_on_each_site(home: Home) -> None:
    """Whoever asks for them is told the run's own width, and afterwards the machine's."""
    before = os.cpu_count(), joblib.cpu_count()
    home.cores, home.logical_cores = 1, 7
    with home.scope():
        assert (7, 7, 7) == (os.cpu_count(), multiprocessing.cpu_count(), joblib.cpu_count())
    assert before == (os.cpu_count(), joblib.cpu_count())


def test_two_threads_of_a_cell(home: Home) -> None:
    """Calls are known by what they do, so it does not matter which of two threads begins first."""

    def cell(order: list[int]) -> dict[int, Any]:
        found: dict[int, Any] = {}

        def call(start: int) -> None:
            found[start] = Parallel(n_jobs=2, prefer="threads")(delayed(square)(start + x) for x in range(5))

        for start in order:
            thread = threading.Thread(target=call, args=(start,))
            thread.start()
            if order == [100, 0]:
                thread.join()
        while len(found) < len(order):
            time.thread_time()
        return found

    assert home.run(lambda: cell([0, 100])) == home.run(lambda: cell([100, 0]))
    assert (10, 10) == home.counts


@pytest.mark.parametrize("way", WAYS[:3], ids=WAY_NAMES[:3])
def test_nested_calls_belong_to_their_task(home: Home, way: dict[str, Any]) -> None:
    """Only the tasks of the outer call are recorded and counted."""
    cell = lambda: Parallel(**way)(delayed(inner_squares)(n) for n in (2, 3))  # noqa: E731
    assert [[0, 1], [0, 1, 4]] == home.run(cell) == home.run(cell)
    assert (2, 2) == home.counts


# --- what must not be replayed


def test_another_split_of_the_work_is_not_mixed_in(home: Home) -> None:
    """Records of two chunks are no records of four: the arguments are part of the name."""

    def cell(n_jobs: int) -> list[int]:
        chunks = np.array_split(np.arange(20), n_jobs)
        return [n for part in Parallel(n_jobs=n_jobs)(delayed(np.ndarray.tolist)(c) for c in chunks) for n in part]

    assert list(range(20)) == home.run(lambda: cell(2))
    assert list(range(20)) == home.run(lambda: cell(4))
    assert (4, 0) == home.counts


def test_a_mended_function_runs_again(home: Home) -> None:
    """A failing task leaves the others' records; the mended function does not use them, its code is another."""

    def cell(function: Callable[[int], int]) -> Any:
        return Parallel()(delayed(function)(x) for x in range(5))

    with pytest.raises(ValueError, match="three"), home.scope():
        cell(fails_at_three)
    assert 3 == len(home.left())
    for path in home.left():
        (home.folder / "believed" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="three"), (again := home.scope()):
        cell(fails_at_three)
    assert 3 == again.progress().reused
    home.run(lambda: cell(square))
    assert (5, 0) == home.counts


@pytest.mark.parametrize("way", WAYS[1:3], ids=WAY_NAMES[1:3])
def test_a_failing_task_fails_as_without_recording(home: Home, way: dict[str, Any]) -> None:
    """The user's own exception comes out, and the scope can go on."""
    with home.scope():
        with pytest.raises(ValueError, match="three"):
            Parallel(**way)(delayed(fails_at_three)(x) for x in range(9))
        assert [0, 1] == Parallel(**way)(delayed(square)(x) for x in range(2))


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: b"", lambda data: data.replace(b"f", b"e", 1)])
@pytest.mark.parametrize("way", WAYS[:3], ids=WAY_NAMES[:3])
def test_a_spoilt_record_is_computed_again(home: Home, way: dict[str, Any], spoil: Callable[[bytes], bytes]) -> None:
    """Cut, empty or changed: refused with the reason, and the right result all the same."""
    cell = lambda: Parallel(**way)(delayed(square)(x) for x in range(4))  # noqa: E731
    home.run(cell)
    first = sorted((home.folder / "believed").iterdir())[0]
    first.write_bytes(spoil(first.read_bytes()))
    assert [0, 1, 4, 9] == home.run(cell)
    assert home.last is not None
    assert (3, 1, {"a record is cut or was changed": 1}) == (home.last.reused, home.last.recomputed, home.last.refused)


class Vanishing:
    """A result whose class will not unpickle."""

    def __reduce__(self) -> Any:
        return os.listdir, ("/does/not/exist",)


def test_a_record_that_does_not_unpickle_is_computed_again(home: Home) -> None:
    """Whatever the class raises."""
    cell = lambda: len(Parallel()(delayed(Vanishing)() for _ in range(2)))  # noqa: E731
    home.run(cell)
    assert 2 == home.run(cell)
    assert home.last is not None
    assert {"a record cannot be unpickled": 2} == home.last.refused


def test_unhashable_arguments_run_unrecorded(home: Home) -> None:
    """A lock among the arguments costs the record, never the task."""
    lock = threading.Lock()
    cell = lambda: Parallel(n_jobs=2, prefer="threads")(delayed(bool)(a) for a in (lock, 1, lock))  # noqa: E731
    assert [True, True, True] == home.run(cell)
    assert home.last is not None
    assert {"its arguments cannot be hashed": 2} == home.last.not_recorded
    assert 1 == len(home.left())


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ({"n_jobs": 2, "require": "sharedmem"}, "it works in shared memory"),
        ({"n_jobs": 1, "require": "sharedmem"}, "it works in shared memory"),
        ({"n_jobs": 2, "backend": "threading"}, "its backend is ThreadingBackend"),
        ({"n_jobs": 2, "backend": "multiprocessing"}, "its backend is MultiprocessingBackend"),
    ],
)
def test_shared_memory_and_chosen_backends_are_left_alone(home: Home, way: dict[str, Any], reason: str) -> None:
    """They run as without a scope, and the reason is counted."""
    assert [0, 1, 4] == home.run(lambda: Parallel(**way)(delayed(square)(x) for x in range(3)))
    assert home.last is not None
    assert ({reason: 3}, []) == (home.last.not_recorded, home.left())


@pytest.mark.parametrize("way", WAYS[:2], ids=WAY_NAMES[:2])
def test_tasks_that_return_nothing_are_run_again(home: Home, way: dict[str, Any]) -> None:
    """They were run for their effect."""

    def cell() -> list[int]:
        seen: list[int] = []
        Parallel(**way)(delayed(seen.append)(x) for x in range(4))
        return sorted(seen)

    assert [0, 1, 2, 3] == home.run(cell) == home.run(cell)
    assert 0 == home.counts[1]


@pytest.mark.parametrize("way", WAYS[:2], ids=WAY_NAMES[:2])
def test_an_effect_on_an_argument_is_not_lost(home: Home, way: dict[str, Any]) -> None:
    """A task in this process that changes a list, an array or a global is run again, though it returns something."""

    def fill(target: Any, index: int) -> int:
        target[index] = index
        return index

    def cell(make: Callable[[], Any]) -> list[int]:
        target = make()
        Parallel(**way)(delayed(fill)(target, x) for x in range(1, 4))
        return [int(x) for x in target[:4]]

    def big() -> Any:
        return np.zeros(100_000, dtype=int)

    for make in (lambda: [0] * 4, lambda: np.zeros(4, dtype=int), big):
        assert [0, 1, 2, 3] == home.run(lambda make=make: cell(make)) == home.run(lambda make=make: cell(make))
        assert home.last is not None
        assert {"it changes what other code can see": 3} == home.last.not_recorded


def test_an_effect_on_a_closure_is_not_lost(home: Home) -> None:
    """The same for what the function merely sees."""

    def cell() -> dict[int, int]:
        seen: dict[int, int] = {}

        def note(x: int) -> int:
            seen[x] = x
            return x

        Parallel()(delayed(note)(x) for x in range(3))
        return seen

    assert {0: 0, 1: 1, 2: 2} == home.run(cell) == home.run(cell)


@pytest.mark.parametrize("way", WAYS[:2], ids=WAY_NAMES[:2])
def test_objects_fitted_in_place_are_fitted_by_a_replay(home: Home, way: dict[str, Any]) -> None:
    """``delayed(model.fit)`` changes the model itself: so does its record, and what it returns is that model."""

    def cell() -> list[tuple[int, bool]]:
        boxes = [Box(x) for x in range(4)]
        returned = Parallel(**way)(delayed(box.fit)(10) for box in boxes)
        return [(box.sum_, box is back) for box, back in zip(boxes, returned, strict=True)]

    assert [(10 + x, True) for x in range(4)] == home.run(cell) == home.run(cell)
    assert (4, 4) == home.counts


# --- random numbers


def test_one_worker_draws_as_without_recording(home: Home) -> None:
    """With one worker tasks draw from the global generators in order, recorded, half replayed or fully replayed."""

    def draw(_: int) -> tuple[float, float]:
        return random.random(), float(np.random.normal())

    def cell() -> Any:
        random.seed(3)
        np.random.seed(3)
        return Parallel()(delayed(draw)(np.random.randint(9)) for _ in range(5)), random.random(), np.random.rand()

    plain = cell()
    assert plain == home.run(cell) == home.run(cell)
    assert (5, 5) == home.counts
    for path in sorted((home.folder / "believed").iterdir())[::2]:
        path.unlink()
    assert plain == home.run(cell)
    assert (5, 2) == home.counts


def test_another_state_is_another_draw(home: Home) -> None:
    """A record of a task that drew is not believed at another state of the generators."""

    def draw(_: int) -> float:
        return random.random()

    def cell(seed: int) -> Any:
        random.seed(seed)
        return Parallel()(delayed(draw)(x) for x in range(3))

    home.run(lambda: cell(1))
    random.seed(2)
    plain = [random.random() for _ in range(3)]
    assert plain == home.run(lambda: cell(2))
    assert home.last is not None
    assert {"a record was made at another state of the random generators": 3} == home.last.refused


def test_threads_that_draw_leave_no_record(home: Home) -> None:
    """Replaying some of them would make the others draw the same numbers once more."""

    def draw(_: int) -> float:
        return float(np.random.normal())

    home.run(lambda: Parallel(n_jobs=2, prefer="threads")(delayed(draw)(x) for x in range(4)))
    assert home.last is not None
    assert {"it draws from the global random generators in a thread": 4} == home.last.not_recorded


@pytest.mark.parametrize("way", WAYS[:3], ids=WAY_NAMES[:3])
def test_seeds_drawn_while_tasks_are_handed_out(home: Home, way: dict[str, Any]) -> None:
    """The same seeds come again when the state of the generators was restored, so the records match."""

    def cell() -> Any:
        np.random.seed(7)
        seeds = [int(np.random.randint(1 << 30)) for _ in range(6)]
        return Parallel(**way)(delayed(square)(seed) for seed in seeds)

    assert home.run(cell) == home.run(cell)
    assert (6, 6) == home.counts


# --- widths


def running_at_once(count: int, **way: Any) -> int:
    """The largest number of tasks that ran at the same time in threads."""
    lock, now, most = threading.Lock(), [0], [0]

    def task(x: int) -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        busy(x, 0.02)
        with lock:
            now[0] -= 1
        return x

    Parallel(prefer="threads", **way)(delayed(task)(x) for x in range(count))
    return most[0]


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 2)])
def test_threads_really_running(home: Home, cores: int, expected: int) -> None:
    """The cell asks for four workers and is told it has them; as many as the site has cores run."""
    home.cores = cores
    assert expected == home.run(lambda: running_at_once(12, n_jobs=4))


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 2)])
def test_processes_really_running(home: Home, cores: int, expected: int) -> None:
    """The same for worker processes; even one of them is a process of its own."""
    home.cores = cores

    def cell() -> set[int]:
        return {os.getpid()} | {pid for pid, _ in Parallel(n_jobs=4)(delayed(worker)() for _ in range(12))}

    assert 1 + expected >= len(home.run(cell)) >= 2


@pytest.mark.parametrize(("n_jobs", "expected"), [(-1, 6), (-2, 5), (8, 8), (1, 1), (None, 1)])
def test_the_cell_is_told_the_same_width_on_each_site(home: Home, n_jobs: int | None, expected: int) -> None:
    """``n_jobs=-1`` means the run's logical cores, whatever the machine has."""
    home.logical_cores = 6
    assert expected == home.run(lambda: joblib.effective_n_jobs(n_jobs))


def test_no_jobs_is_an_error_as_ever(home: Home) -> None:
    """``n_jobs=0`` has no meaning."""
    with home.scope(), pytest.raises(ValueError, match="n_jobs == 0"):
        Parallel(n_jobs=0)(delayed(square)(x) for x in range(2))


# --- scope and progress


def test_joblib_is_as_before_afterwards(home: Home) -> None:
    """Backends, default and ``Parallel`` itself are put back, also after an error."""
    before = dict(joblib.parallel.BACKENDS), joblib.parallel.DEFAULT_THREAD_BACKEND, Parallel.__call__
    with pytest.raises(KeyError), home.scope():
        raise KeyError
    assert before == (dict(joblib.parallel.BACKENDS), joblib.parallel.DEFAULT_THREAD_BACKEND, Parallel.__call__)
    home.run(lambda: None)


def test_one_scope_at_a_time(home: Home) -> None:
    """Two would record each other's tasks."""
    with home.scope(), pytest.raises(RuntimeError, match="one RecordingScope"), home.scope():
        pass


def test_wrong_items_are_joblibs_business(home: Home) -> None:
    """The message for a call without ``delayed`` is joblib's own."""
    with pytest.raises(TypeError) as plain:
        Parallel()([1, 2])
    with home.scope(), pytest.raises(TypeError) as recorded:
        Parallel()([1, 2])
    assert str(plain.value) == str(recorded.value)


@pytest.mark.parametrize("way", WAYS[:3], ids=WAY_NAMES[:3])
def test_progress_counts_tasks_and_seconds(home: Home, way: dict[str, Any]) -> None:
    """CPU seconds are measured where the task runs and stay with its record."""
    cell = lambda: Parallel(**way)(delayed(busy)(x, 0.03) for x in range(3))  # noqa: E731
    home.run(cell)
    first = home.last
    assert first is not None
    assert (3, 3, 0) == (first.done, first.total, first.reused)
    assert 0.09 <= first.task_cpu_s < 0.5
    assert first.task_cpu_s == pytest.approx(sum(info.cpu_s for info in records(home.folder / "spool1")), abs=1e-4)
    home.run(cell)
    assert home.last is not None
    assert (first.task_cpu_s, 0.0) == (pytest.approx(home.last.reused_cpu_s, abs=1e-4), home.last.task_cpu_s)


def test_the_total_is_known_while_tasks_run(home: Home) -> None:
    """From a list or a plain generator expression at once, from a generator function when it has ended."""
    seen: list[int | None] = []
    with (scope := home.scope()):

        def look(x: int) -> int:
            seen.append(scope.progress().total)
            return x

        def items() -> Iterator[Any]:
            yield delayed(look)(1)
            yield delayed(look)(2)

        Parallel()(delayed(look)(x) for x in range(3))
        Parallel()(items())
    assert [3, 3, 3, None, None] == seen
    assert 5 == scope.progress().total


# --- leaving


@pytest.mark.parametrize("way", WAYS[:3], ids=WAY_NAMES[:3])
def test_draining_a_running_call(home: Home, way: dict[str, Any]) -> None:
    """Tasks in flight are recorded, no other starts, ``Drained`` comes out, and the next stay goes on from there."""
    with (scope := home.scope()):
        finished: list[bool] = []

        def leave() -> None:
            while scope.progress().done < 3:
                time.thread_time()
            finished.append(scope.drain(20.0))

        thread = threading.Thread(target=leave)
        thread.start()
        with pytest.raises(Drained):
            careless(lambda: Parallel(**way)(delayed(busy)(x, 0.05) for x in range(60)))
        thread.join()
        done = scope.progress().done
    assert [True] == finished
    assert 3 <= done < 30
    assert done <= len(home.left()) <= done + 2
    assert {".rec"} == {path.suffix for path in (home.folder / "spool1").iterdir()}
    for path in home.left():
        (home.folder / "believed" / path.name).write_bytes(path.read_bytes())
    records_left = len(home.left())
    assert list(range(60)) == home.run(lambda: Parallel(**way)(delayed(busy)(x, 0.05) for x in range(60)))
    assert (60, records_left) == home.counts


def test_draining_while_nothing_runs(home: Home) -> None:
    """Returns at once; the next call does not start."""
    with (scope := home.scope()):
        assert scope.drain(60.0)
        with pytest.raises(Drained):
            Parallel()(delayed(square)(x) for x in range(3))
    assert [] == home.left()


def test_draining_before_and_after_the_scope(home: Home) -> None:
    """SIGTERM may come at any time."""
    scope = home.scope()
    assert scope.drain(1.0)
    with scope:
        pass
    assert scope.drain(1.0)


def test_a_task_that_outlives_the_deadline_leaves_nothing(home: Home) -> None:
    """The spool is closed at the deadline: a late record neither appears nor is half there."""
    started, go_on = threading.Event(), threading.Event()

    def task(x: int) -> int:
        started.set()
        go_on.wait(20)
        return x

    with (scope := home.scope()):
        thread = threading.Thread(target=lambda: Parallel()(delayed(task)(x) for x in range(1)))
        thread.start()
        started.wait(20)
        assert not scope.drain(0.05)
        go_on.set()
        thread.join()
        assert [] == home.left()
    assert [] == list((home.folder / "spool1").iterdir())


def test_what_a_killed_process_leaves_is_in_its_own_folders(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours stands in the user's folder for temporary files, which nobody would clean up."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with home.scope() as scope:
        assert [0, 1, 4, 9] == Parallel(n_jobs=2, prefer="threads")(delayed(square)(n) for n in range(4))
        assert [] == list(temporary.iterdir())
    assert 4 == scope.progress().done
