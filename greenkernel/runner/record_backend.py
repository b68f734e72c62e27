"""joblib's thread and process backends: a fixed reported width, a limited real one, and a wait before the teardown."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from joblib.executor import get_memmapping_executor
from joblib.parallel import LokyBackend, ThreadingBackend

from greenkernel.runner.record_ledger import Ledger

_NOT_FOR_THE_EXECUTOR = ("prefer", "require", "idle_worker_timeout")
_IDLE_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Width:
    """How many workers a cell is told it has, and how many it really gets.

    Args:
        cores: Tasks that really run at a time.
        logical_cores: What ``n_jobs=-1`` means, the same on each site of a run.
    """

    cores: int
    logical_cores: int

    def reported(self, n_jobs: int | None) -> int:
        """What ``n_jobs`` means to the cell.

        Raises:
            ValueError: It is 0.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(self.logical_cores + 1 + n_jobs, 1)

    def told(self, name: str) -> Callable[..., int]:
        """What stands for a function that counts processors."""

        def count(*_: Any, **__: Any) -> int:
            return self.logical_cores

        count.__name__ = count.__qualname__ = name
        return count

    def real(self, reported: int) -> int:
        """Workers for a call that was told it has ``reported``."""
        return max(1, min(reported, self.cores))


class RecordingThreads(ThreadingBackend):  # type: ignore[misc]  # joblib has no types
    """The thread pool that joblib chooses by itself (``prefer="threads"``, ``require="sharedmem"``)."""

    def __init__(self, *, width: Width, ledger: Ledger, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._width = width
        self._ledger = ledger

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """The reported width."""
        return self._width.reported(n_jobs)

    def configure(self, n_jobs: int | None = 1, parallel: Any = None, **kwargs: Any) -> int:
        """Report one width and prepare a pool of another."""
        reported: int = super().configure(n_jobs=n_jobs, parallel=parallel, **kwargs)
        self._n_jobs = self._width.real(reported)
        return reported

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Where the scope drains, only after the tasks in flight."""
        if self._ledger.closed:
            self._ledger.let_finish()
        super().abort_everything(ensure_ready=ensure_ready)


class RecordingLoky(LokyBackend):  # type: ignore[misc]  # joblib has no types
    """The worker processes that joblib uses where nothing else is said, and for ``backend="loky"``."""

    def __init__(self, *, width: Width, ledger: Ledger, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._width = width
        self._ledger = ledger

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """The reported width; 1 where joblib cannot start processes."""
        reported = self._width.reported(n_jobs)
        return int(super().effective_n_jobs(reported))

    def configure(self, n_jobs: int | None = 1, parallel: Any = None, **kwargs: Any) -> int:
        """Report one width and prepare an executor of another."""
        reported = self.effective_n_jobs(n_jobs)
        real = self._width.real(reported)
        if reported == 1 or real > 1:
            super().configure(n_jobs=real, parallel=parallel, **kwargs)
            return reported
        # joblib would run the tasks in this process, where they could change the cell's own objects.
        settings = {name: value for name, value in kwargs.items() if name not in _NOT_FOR_THE_EXECUTOR}
        self._workers = get_memmapping_executor(
            1, timeout=_IDLE_S, env=self._prepare_worker_env(n_jobs=1), context_id=parallel._id, **settings
        )
        self.parallel = parallel
        return reported

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Any:
        """Hand a batch to the workers (joblib 1.5 and later)."""
        return self._followed(super().submit(func, callback))

    def apply_async(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Any:
        """Hand a batch to the workers (joblib before 1.5)."""
        return self._followed(super().apply_async(func, callback))

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Where the scope drains, only after the tasks in flight: the workers are killed here."""
        if self._ledger.closed:
            self._ledger.let_finish()
        super().abort_everything(ensure_ready=ensure_ready)

    def _followed(self, future: Any) -> Any:
        self._ledger.enter()
        future.add_done_callback(lambda _: self._ledger.leave())
        return future

    def _prepare_worker_env(self, n_jobs: int) -> dict[str, str]:
        env: dict[str, str] = super()._prepare_worker_env(n_jobs)
        if self.inner_max_num_threads is None:
            threads = str(max(self._width.cores // n_jobs, 1))
            env.update({name: threads for name in self.MAX_NUM_THREADS_VARS if name not in os.environ})
        return env


# joblib says them (``verbose=1``).
RecordingThreads.__name__ = ThreadingBackend.__name__
RecordingLoky.__name__ = LokyBackend.__name__
