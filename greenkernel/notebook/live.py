"""One pending run before a person: its panel, and its output under its own cell, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from greenkernel.errors import GreenKernelError, TemporaryError
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.notebook.frontend import CellOutput
from greenkernel.notebook.look import Looker
from greenkernel.panel.widget import Panel

# Output is shown as it comes, figures of the panel a little slower: people read no faster.
_OUTPUT_S = 0.2
_PANEL_S = 0.5
# Below the home folder.
SCRIPTS = "scripts"


class Actions:
    """What the panel's buttons do: wishes, written down and seen by the controller."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def choose(self, site: str | None) -> None:
        """Take a site, or the recommended one."""
        self._run.choose(site)

    def cancel(self) -> None:
        """Stop the run everywhere."""
        self._run.cancel()

    def relocate(self, site: str) -> None:
        """Move the run."""
        self._run.relocate(site)

    def stay(self) -> None:
        """Leave the run where it is."""
        self._run.stay()


class Live:
    """Follows a run until it has ended.

    Args:
        run: The run.
        home: Its home.
        output: The place below its cell.
        ended: Called once, from the thread, when it has ended.
    """

    def __init__(
        self, run: Run, home: Home, output: CellOutput, ended: Callable[[], None], *, can_choose: bool
    ) -> None:
        self._run = run
        self._output = output
        self._ended = ended
        self.over = False
        self._all_shown = threading.Event()
        self._looker = Looker(run, home, can_choose=can_choose)
        self._panel = Panel(Actions(run), zone=home.settings.timezone, scripts=home.settings.home / SCRIPTS)
        self._thread = threading.Thread(target=self._follow, name=f"greenkernel-{run.id}", daemon=True)

    def show(self) -> None:
        """Show the panel under the cell that runs now, and begin to follow."""
        self._panel.update(self._looker.look())
        self._panel.show()
        self._thread.start()

    @property
    def picked(self) -> str | None:
        """The site that is picked in the panel; None where it is the recommended one."""
        return self._panel.picked

    def wait_shown(self, seconds: float) -> None:
        """Until what the cell has printed is shown, so that its error comes below it; of a run that has ended."""
        self._all_shown.wait(seconds)

    def show_end(self) -> None:
        """Show how the run has ended under the cell that runs now."""
        self._panel.show_page()

    def _follow(self) -> None:
        follower = self._run.follower()
        looked_at = 0.0
        while True:
            try:
                over = self._run.state.ended
                for event in follower.poll():
                    self._output.show(event)
                    if event.kind in ("stdout", "stderr"):
                        self._looker.printed(event.text)
                if over:
                    self._all_shown.set()
                if over or time.monotonic() - looked_at > _PANEL_S:
                    self._panel.update(self._looker.look())
                    if self._panel.lacks_chart:  # output does not wait for it
                        threading.Thread(target=self._panel.draw, name="greenkernel-chart", daemon=True).start()
                    looked_at = time.monotonic()
                if over:
                    break
                self._run.wait_a_while(_OUTPUT_S)
            except TemporaryError as e:  # the store is away: the run goes on without us
                time.sleep(e.delay_s)
            except GreenKernelError as e:
                self._output.say(f"run {self._run.id} cannot be followed any more: {e}")
                break
        self._all_shown.set()
        self.over = True
        self._ended()
