"""Looks at a slice's processes from outside, several times a second: their memory, and how many cores they could use.

Shares are of CPU seconds and of looks, not of wall time, so that other work on the machine does not move them.
"""

from __future__ import annotations

from greenkernel.osfacts import runnable_threads, tree_usage

EVERY_S = 0.05
_LEAST_LOOKS = 6
_LEAST_CPU_S = 0.2


class TreeWatch:
    """What was seen of a process and its descendants since its making.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu_s = tree_usage(pid).cpu_s
        self._serial_s = 0.0
        self._total_s = 0.0
        self._looks = 0
        self._idle = 0
        self.peak_rss_bytes = 0

    def look(self) -> None:
        """Look once; the CPU seconds since the last look count as they look now."""
        runnable = runnable_threads(self._pid)
        used = tree_usage(self._pid)
        self.peak_rss_bytes = max(self.peak_rss_bytes, used.rss_bytes)
        if runnable is None:
            return
        spent_s = max(used.cpu_s - self._cpu_s, 0.0)
        self._cpu_s = used.cpu_s
        self._total_s += spent_s
        self._serial_s += spent_s if runnable <= 1 else 0.0
        self._looks += 1
        self._idle += runnable == 0

    @property
    def serial_share(self) -> float | None:
        """Part of the CPU seconds while at most one thread was runnable; None: seen too little."""
        return self._serial_s / self._total_s if self._enough and self._total_s >= _LEAST_CPU_S else None

    @property
    def idle_share(self) -> float | None:
        """Part of the looks at which no thread was runnable; None: seen too little."""
        return self._idle / self._looks if self._enough else None

    @property
    def _enough(self) -> bool:
        return self._looks >= _LEAST_LOOKS
