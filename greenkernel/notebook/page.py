"""A run where nobody can click: one display that is brought up to date, and the output of the cell below it."""

from __future__ import annotations

import time
from typing import Any

from greenkernel.follow import wait
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.notebook.look import Looker
from greenkernel.panel.page import page_html, page_text
from greenkernel.panel.words import OURS
from greenkernel.voices import Voice

# A page is some kilobytes: it is sent when something has changed, and no more often than this.
_PAGE_S = 1.0


class Page:
    """One run's page.

    Args:
        run: The run.
        home: Its home.
        voice: Where the cell's output goes.
    """

    def __init__(self, run: Run, home: Home, voice: Voice) -> None:
        self._run = run
        self._voice = voice
        self._zone = home.settings.timezone
        self._looker = Looker(run, home, can_choose=False)
        self._follower = run.follower()
        self._shown: Any = None
        self._last: tuple[object, ...] = ()
        self._shown_at = 0.0

    def follow(self) -> None:
        """Show the run until it has ended; an interrupt asks what is meant, where it can."""
        self._show()
        wait(self._run, self._voice, self._each)
        self._each()
        self._show()

    def _each(self) -> None:
        for event in self._follower.poll():
            self._voice.show(event)
        if time.monotonic() - self._shown_at > _PAGE_S:
            self._show()

    def _show(self) -> None:
        from IPython.display import display

        state = self._looker.look()
        progress = state.progress
        tasks = (progress.rounds_done or progress.tasks_done) if progress is not None else 0
        looks = (state.state, state.detail, len(state.epochs), state.receipt is not None, tasks // 20, state.proposal)
        self._shown_at = time.monotonic()
        if looks == self._last:
            return
        self._last = looks
        page = {"text/plain": page_text(state, zone=self._zone), "text/html": page_html(state, zone=self._zone)}
        if self._shown is None:
            self._shown = display(page, raw=True, metadata=OURS, display_id=True)
        else:
            self._shown.update(page, raw=True, metadata=OURS)
