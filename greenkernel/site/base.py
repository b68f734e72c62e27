"""What a place where runs can live must offer: one protocol for embedded processes and Kubernetes alike.

A site knows nothing of plans, records or results: it starts one job per epoch, says how that job is, asks it to drain
and removes it. Everything the job reads and writes passes through the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from greenkernel.records import JobSpec, JobStatus, Offer


class Site(Protocol):
    """A place where jobs run. All methods are safe to repeat; outside faults are Temporary- or PermanentError."""

    @property
    def name(self) -> str:
        """The site's name in the settings."""
        ...

    def offer(self) -> Offer:
        """What the site can give now. Never raises for a site that is away: ``reachable`` is False and says why."""
        ...

    def submit(self, job: JobSpec) -> None:
        """Accept a job. A second call for the same run and epoch changes nothing, even after the job has ended.

        Raises:
            TemporaryError: The site could not be reached; whether the job was accepted is unknown, so call again.
            PermanentError: The site will never take this job (quota, admission, a right that is missing).
        """
        ...

    def jobs(self) -> Sequence[JobStatus]:
        """Every job of this home that the site knows, ended ones included until they are stopped.

        A job whose submission was cut off half-way is `JobPhase.PARTIAL`: submit it again, or stop it.

        Raises:
            TemporaryError: The site could not be reached; nothing is known, not even that a job is gone.
        """
        ...

    def logs(self, run: str, epoch: int, *, tail_lines: int = 200) -> str:
        """The last raw output of the job's process: what explains a start that failed. Empty if there is none."""
        ...

    def drain(self, run: str, epoch: int) -> None:
        """Ask the job to finish or drop what is in flight, write its records and exit. Returns at once.

        The job stays known (``ENDED``) until it is stopped. Unknown and ended jobs are left alone.
        """
        ...

    def stop(self, run: str, epoch: int) -> None:
        """End the job now and remove everything it has on the site. Returns when the site has accepted it.

        Unknown jobs are left alone. `jobs` no longer lists the job once all of it is gone.
        """
        ...

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call ``on_change`` (from any thread) soon after a job's status may have changed.

        Returns:
            A function that ends the watch.
        """
        ...
