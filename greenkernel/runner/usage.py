"""What a runner and its children use: CPU seconds, wall seconds and the highest memory that was seen."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

from greenkernel.osfacts import tree_usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Since the runner began; memory is of all its processes together."""

    cpu_s: float
    wall_s: float
    peak_rss_bytes: int


class Usage:
    """Counts from its making on. CPU seconds of children that ended without their parent waiting are kept."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._cpu_s = 0.0
        self._peak = 0
        self._lock = threading.Lock()

    def now(self) -> Used:
        """What has been used until now; never less than at the call before."""
        tree = tree_usage(os.getpid())
        with self._lock:
            self._cpu_s = max(self._cpu_s, tree.cpu_s)
            self._peak = max(self._peak, tree.rss_bytes)
            return Used(cpu_s=self._cpu_s, wall_s=time.monotonic() - self._began, peak_rss_bytes=self._peak)
