"""A kernel as a front end with a person sees it: requests that allow input, output by the cell it belongs to."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager


class Cell:
    """One executed cell: everything that has arrived for it so far."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.wall_s = 0.0

    def text(self, stream: str = "stdout") -> str:
        found = [m["content"] for m in self.messages if m["msg_type"] == "stream"]
        return "".join(c["text"] for c in found if c["name"] == stream)

    @property
    def value(self) -> str | None:
        found = [m["content"]["data"] for m in self.messages if m["msg_type"] == "execute_result"]
        return found[-1]["text/plain"] if found else None

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [m["content"] for m in self.messages if m["msg_type"] == "error"]

    @property
    def error(self) -> str | None:
        found = self.errors
        return f"{found[-1]['ename']}: {found[-1]['evalue']}" if found else None

    @property
    def words(self) -> str:
        """Our own sentences: plain texts of displays."""
        kinds = ("display_data", "update_display_data")
        found = [m["content"]["data"].get("text/plain", "") for m in self.messages if m["msg_type"] in kinds]
        return "\n".join(found)


class Kernel:
    """One kernel with the extension loaded."""

    def __init__(self, folder: Path) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(folder))
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self._cells: dict[str, Cell] = {}
        self._idle: set[str] = set()
        self._displays: dict[str, str] = {}
        self.run("%load_ext greenkernel")

    def run(self, code: str, *, timeout_s: float = 90, person: bool = True) -> Cell:
        """Execute a cell and wait until the kernel is idle again."""
        began = time.monotonic()
        ident = self.send(code, person=person)
        self._pump(lambda: ident in self._idle, timeout_s)
        self._cells[ident].wall_s = time.monotonic() - began
        return self._cells[ident]

    def send(self, code: str, *, person: bool = True) -> str:
        """Execute a cell without waiting for it; without a person input is not allowed, as in nbclient."""
        ident: str = self._client.execute(code, allow_stdin=person)
        self._cells[ident] = Cell()
        return ident

    def cell(self, ident: str) -> Cell:
        return self._cells[ident]

    def until(self, done: Callable[[], bool], *, timeout_s: float = 90) -> None:
        """Take what arrives until something is true."""
        self._pump(done, timeout_s)

    def answer(self, text: str, *, timeout_s: float = 60) -> str:
        """Answer what the cell that runs asks; the question."""
        asked = self._client.get_stdin_msg(timeout=timeout_s)
        self._client.input(text)
        return str(asked["content"]["prompt"])

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        self._manager.restart_kernel(now=True)
        self._client.wait_for_ready(timeout=60)
        self.run("%load_ext greenkernel")

    def stop(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def is_idle(self, ident: str) -> bool:
        return ident in self._idle

    def _pump(self, done: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, f"the kernel did not get there in time; {self._where_it_is()}"
            self._take()

    def _take(self) -> None:
        try:
            message = self._client.get_iopub_msg(timeout=0.2)
        except queue.Empty:
            return
        parent = message["parent_header"].get("msg_id")
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            self._idle.add(parent)
        elif (owner := self._owner(message)) in self._cells:
            self._cells[owner].messages.append(message)

    def _where_it_is(self) -> str:
        """What an interrupted kernel says of the cell that runs."""
        if not self._manager.is_alive():
            return "it is dead"
        self._manager.interrupt_kernel()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self._take()
        cells = [cell for ident, cell in self._cells.items() if ident not in self._idle]
        cells = cells or list(self._cells.values())[-1:]
        return "\n".join(
            "\n".join((cell.words, cell.text(), *(line for error in cell.errors for line in error["traceback"])))
            for cell in cells
        )

    def _owner(self, message: dict[str, Any]) -> str:
        """Front ends put an update where the display is, whoever sent it."""
        parent: str = message["parent_header"].get("msg_id", "")
        display = message["content"].get("transient", {}).get("display_id")
        if display is None:
            return parent
        if message["msg_type"] == "update_display_data":
            return self._displays.get(display, parent)
        self._displays[display] = parent
        return parent
