"""A day of one run in a kernel: its memory stays flat, whatever the run prints, shows and does."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

UPDATES = 1440
LINES = 100_000
LINE = "epoch {:06d}: loss 0.123456, accuracy 0.98765, learning rate 0.0010000"
PICTURE = "x" * 40_000


def test_memory_stays_flat_for_a_day(tmp_path: Path) -> None:
    """An update a minute with a new picture each, and 100,000 lines: the process grows by less than 20 MB."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "GREENKERNEL_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows.test_day"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert LINES == found["lines"]
    assert UPDATES == found["pictures"]
    assert found["grown_bytes"] < 20e6, found


class Output:
    """What the front end is sent, counted."""

    def __init__(self) -> None:
        self.lines = 0
        self.pictures = 0

    def show(self, event: Any) -> None:
        self.lines += event.text.count("\n")
        self.pictures += event.kind == "update_display"

    def say(self, text: str) -> None:
        raise AssertionError(text)


def _held_bytes() -> int:
    """Without what is free already: it would hide what grows into it."""
    gc.collect()
    getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _day() -> dict[str, int]:
    """Follow a run whose day is written into its store a minute at a time, whenever the follower waits."""
    from greenkernel.cell.capture import capture
    from greenkernel.handle import Run
    from greenkernel.home import Home
    from greenkernel.notebook.live import Live
    from greenkernel.records import EpochOpen, Request, RunState
    from greenkernel.run.journal import Entry
    from greenkernel.store.runs import End, LogEvent, Submission
    from tests.browser import states

    now = datetime.now(UTC)
    home = Home.open()
    store = home.run_store("day")
    request = Request(source="x = 1", name="day", created_at=now)
    store.submit(Submission(request=request, capture=capture(request, {}, store.blobs, Path.cwd())))
    store.open_epoch(
        EpochOpen(
            run="day", epoch=1, site="near", cores=1, memory_bytes=1, opened_at=now, trigger="start", reason="greener"
        )
    )
    home.journal.add(Entry(id="day", name="day", created_at=now, open=True, state="running", detail="on near"))
    held: list[int] = []

    class Day(Run):
        """A minute passes whenever somebody waits."""

        minute = 0

        def wait_a_while(self, seconds: float) -> None:
            self.minute += 1
            lines = range(LINES * (self.minute - 1) // UPDATES, LINES * self.minute // UPDATES)
            events = [LogEvent(at=now, kind="stdout", text=LINE.format(n) + "\n") for n in lines]
            picture = {"image/png": f"{self.minute}{PICTURE}"}
            events.append(LogEvent(at=now, kind="update_display", data=picture, display_id="figure"))
            store.put_log(1, self.minute, events)
            live._panel.update(states.running(1 + self.minute // 4, moved=self.minute > 800))
            if self.minute == UPDATES // 10:  # everything is imported, and each widget has its traits
                held.append(_held_bytes())
            if self.minute == UPDATES:
                held.append(_held_bytes())
                store.end(End(state=RunState.DONE, at=now))

    run, output = Day(home, "day"), Output()
    live = Live(run, home, output, lambda: None, can_choose=True)  # type: ignore[arg-type]
    live._follow()
    return {"lines": output.lines, "pictures": output.pictures, "grown_bytes": held[1] - held[0]}


if __name__ == "__main__":
    print(json.dumps(_day()))
