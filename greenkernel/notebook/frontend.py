"""What a kernel's front end can do, and how output is put under a cell that has returned long ago."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from greenkernel.runner.shell import INLINE_FIGURES
from greenkernel.store.runs import LogEvent


def can_click(shell: Any) -> bool:
    """True where a person sits in front of it: the front end then lets cells ask for input (nbclient's does not)."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    content = _request(kernel).get("content", {})
    return bool(content.get("allow_stdin", getattr(kernel, "_allow_stdin", False)))


def draw_inline(shell: Any) -> None:
    """Let figures that a run has left be shown as pictures, as if the notebook had drawn one itself."""
    inline = os.environ.get("MPLBACKEND") == INLINE_FIGURES and hasattr(shell, "kernel")
    if inline and "matplotlib.figure" in sys.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(INLINE_FIGURES.removeprefix("module://"))


class CellOutput:
    """The output area of the cell that runs now, also after it has returned. May be used from any thread.

    Args:
        shell: The kernel's shell.
    """

    def __init__(self, shell: Any) -> None:
        self._kernel = shell.kernel
        self._parent = _request(self._kernel)
        self._number = len(shell.history_manager.input_hist_parsed) - 1  # as the notebook shows it
        self.page = page(shell)
        self._late: list[LogEvent] = []
        self._failed = False

    def show(self, event: LogEvent) -> None:
        """What the cell printed or showed; what came after its error is shown after that."""
        if event.late and not self._failed:
            self._late.append(event)
        elif event.kind in ("stdout", "stderr"):
            self._send("stream", {"name": event.kind, "text": event.text})
        elif event.kind == "error":
            self._send("error", event.data or {})
        elif event.kind == "clear_output":
            self._send("clear_output", {"wait": event.wait})
        else:
            content: dict[str, Any] = {"data": event.data or {}, "metadata": event.metadata or {}}
            if event.kind == "result":
                self._send("execute_result", {**content, "execution_count": self._number})
                return
            transient = {"display_id": event.display_id} if event.display_id else {}
            kind = "update_display_data" if event.kind == "update_display" else "display_data"
            self._send(kind, {**content, "transient": transient})

    def say(self, text: str) -> None:
        """A sentence of ours."""
        from greenkernel.panel.words import OURS
        from greenkernel.voices import bundle

        self._send("display_data", {"data": bundle(text), "metadata": dict(OURS), "transient": {}})

    def error(self, error: BaseException, lines: list[str]) -> None:
        """An exception with its formatted traceback."""
        shown = {"ename": type(error).__name__, "evalue": str(error), "traceback": lines}
        self._send("error", shown)
        self._failed = True
        for event in self._late:
            self.show(event)

    def _send(self, kind: str, content: Mapping[str, Any]) -> None:
        kernel = self._kernel
        topic = f"kernel.{kernel.ident}.{kind}".encode()
        kernel.session.send(kernel.iopub_socket, kind, content, parent=self._parent, ident=topic)


def page(shell: Any) -> str:
    """The page that asked for the cell that runs now: one that is loaded again is another one."""
    return str(_request(shell.kernel).get("header", {}).get("session", ""))


def _request(kernel: Any) -> dict[str, Any]:
    """The request that the kernel works on."""
    try:
        return dict(kernel.get_parent("shell"))
    except TypeError:  # without channels
        return dict(kernel.get_parent())
