"""Where our own words and the cell's output go: a terminal, a shell in one, a notebook."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from greenkernel.panel.words import OURS
from greenkernel.store.runs import LogEvent

# The metadata of our own displays, by which they can be told from the cell's.


class Voice(Protocol):
    """Where our own words and the cell's output go."""

    def say(self, text: str) -> None:
        """A paragraph that stays."""
        ...

    def status(self, text: str) -> None:
        """One line that replaces the one before."""
        ...

    def show(self, event: LogEvent) -> None:
        """Something that the cell printed or showed."""
        ...

    def ask(self, question: str) -> str | None:
        """A person's answer, in one line; None where nobody can be asked, or does not answer."""
        ...


class Terminal:
    """Our words on stderr; the cell's stdout and stderr are its own."""

    def __init__(self) -> None:
        self._last = ""

    def say(self, text: str) -> None:
        """A paragraph on stderr."""
        print(text, file=sys.stderr, flush=True)

    def status(self, text: str) -> None:
        """A line on stderr, once per change."""
        if text != self._last:
            self._last = text
            print(text, file=sys.stderr, flush=True)

    def show(self, event: LogEvent) -> None:
        """Text to its own stream; of a display its plain text."""
        if event.kind in ("stdout", "stderr"):
            stream = sys.stdout if event.kind == "stdout" else sys.stderr
            stream.write(event.text)
            stream.flush()
        elif event.kind == "error" and event.data:
            print("\n".join(event.data["traceback"]), file=sys.stderr, flush=True)
        elif event.kind == "display" and event.data and "text/plain" in event.data:
            print(event.data["text/plain"], flush=True)

    def ask(self, question: str) -> str | None:
        """A line of stdin; an interrupt, the end of the file and what is no terminal are no answer."""
        if not sys.stdin.isatty():
            return None
        print(f"\n{question} ", end="", file=sys.stderr, flush=True)
        try:
            return sys.stdin.readline().strip() or None
        except KeyboardInterrupt:
            print(file=sys.stderr)
            return None


def show_value(shell: Any, data: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Show a value's bundle as the shell shows the value of a cell."""
    hook: Any = shell.displayhook
    now: Any = sys.displayhook
    if now is not hook:  # %%capture, for one, puts its own there
        from greenkernel.store.returned import Shown

        now(Shown(data, metadata, ""))
        return
    hook.start_displayhook()
    hook.write_output_prompt()
    hook.write_format_data(data, metadata)
    hook.finish_displayhook()


class NotebookVoice:
    """Our words as displays; the cell's output on its own streams.

    Args:
        shell: The shell.
        values: Show the value of the last expression; False where whoever called the magic does that.
        can_ask: Whether the front end lets the cell ask.
    """

    def __init__(self, shell: Any, *, values: bool = True, can_ask: Callable[[], bool] = lambda: False) -> None:
        self._shell = shell
        self._values = values
        self._can_ask = can_ask
        self._status: Any = None
        self._last = ""

    def say(self, text: str) -> None:
        """A display that stays."""
        from IPython.display import display

        display(bundle(text), raw=True, metadata=OURS)

    def status(self, text: str) -> None:
        """One display that is updated in place."""
        from IPython.display import display

        if text == self._last:
            return
        self._last = text
        if self._status is None:
            self._status = display(bundle(text), raw=True, metadata=OURS, display_id=True)
        else:
            self._status.update(bundle(text), raw=True, metadata=OURS)

    def show(self, event: LogEvent) -> None:
        """What the cell printed or showed, as if it had run here."""
        if event.late:
            self._after_the_error(event)
            return
        if event.kind in ("stdout", "stderr"):
            stream = sys.stdout if event.kind == "stdout" else sys.stderr
            stream.write(event.text)
            stream.flush()
            return
        if event.kind == "result":
            if self._values:
                show_value(self._shell, event.data or {}, event.metadata or {})
            return
        if event.kind == "error":
            data = event.data or {}
            self._shell._showtraceback(type(data["ename"], (Exception,), {}), data["evalue"], data["traceback"])
            return
        publisher = self._shell.display_pub
        if event.kind == "clear_output":
            publisher.clear_output(wait=event.wait)
            return
        transient = {"display_id": event.display_id} if event.display_id else {}
        publisher.publish(
            event.data or {}, event.metadata or {}, transient=transient, update=event.kind == "update_display"
        )

    def ask(self, question: str) -> str | None:
        """Who sits in front of it, in a line below the cell; another interrupt is no answer."""
        if not self._can_ask():
            return None
        try:
            return str(self._shell.kernel.raw_input(f"{question} ")).strip() or None
        except (KeyboardInterrupt, EOFError):
            return None

    def _after_the_error(self, event: LogEvent) -> None:
        """The shell shows the error once the magic has raised it; what came later is shown then."""

        def show() -> None:
            self._shell.events.unregister("post_execute", show)
            self.show(replace(event, late=False))

        self._shell.events.register("post_execute", show)


class ShellVoice(Terminal):
    """Our words on stderr; the cell's output as IPython in a terminal shows it.

    Args:
        shell: The shell.
        values: Show the value of the last expression; False where whoever called the magic does that.
    """

    def __init__(self, shell: Any, *, values: bool = True) -> None:
        super().__init__()
        self._shell = shell
        self._values = values

    def show(self, event: LogEvent) -> None:
        """What the cell printed or showed, as if it had run here."""
        if event.kind == "result":
            if self._values:
                show_value(self._shell, event.data or {}, event.metadata or {})
        else:
            super().show(event)


def bundle(text: str) -> dict[str, str]:
    """A sentence of ours as a display."""
    wrap = "pre" if "\n" in text else "pre-wrap;word-break:normal;overflow-wrap:anywhere"  # tables keep their lines
    style = f"margin:0;padding:0 5px;font-size:12px;line-height:1.35;white-space:{wrap};overflow-x:auto"
    return {"text/plain": text, "text/html": f'<pre style="{style}">{html.escape(text)}</pre>'}
