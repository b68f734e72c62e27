"""The IPython magics: thin callers of the session that put a run's names back where they belong."""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenkernel.errors import GreenKernelError, UserError
from greenkernel.options import OPTIONS, Parser, add_options

_WAITS = "waiting for the run; Interrupt stops the waiting only, the run goes on"
# The metadata of our own displays, by which they can be told from the cell's.
_OURS = {"greenkernel": True}


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext greenkernel``."""
    from IPython.core.magic import no_var_expand

    magics = Magics(shell)
    for name, kind in (
        ("greentrain", "cell"),
        ("greensites", "line"),
        ("greenruns", "line"),
        ("greenreport", "line"),
    ):
        shell.register_magic_function(no_var_expand(_documented(getattr(magics, name), name)), kind, name)


class Magics:
    """The magics of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._homes: dict[str | None, Any] = {}

    def greentrain(self, line: str, cell: str) -> Any:
        """Run the cell on the best site and bind its names here."""
        __tracebackhide__ = True
        from greenkernel.commands import words, write_receipt
        from greenkernel.follow import follow
        from greenkernel.records import RunState
        from greenkernel.session import train

        given = _train_parser().parse_args(words(line))
        home = self._home(given.sites)
        voice = self._voice()
        options = {o.dest: getattr(given, o.dest) for o in OPTIONS if o.dest not in ("auto", "wait")}
        number = len(self._shell.user_ns["In"]) - 1  # as the notebook shows it
        file_name = f"<greentrain cell {number}>"
        namespace = self._shell.user_ns
        run = train(cell, namespace=namespace, home=home, file_name=file_name, folder=Path.cwd(), **options)
        voice.status(_WAITS)
        try:
            follow(run, voice, zone=home.settings.timezone)
        except KeyboardInterrupt:
            voice.say(
                f"run {run.id} goes on; take it back with %greenruns attach {run.id}, "
                f"stop it with %greenruns cancel {run.id}"
            )
            raise
        write_receipt(run, given.json)
        if run.submission.request.dry_run:
            return None
        if run.state is RunState.CANCELLED:
            raise UserError(f"run {run.id} was cancelled; nothing was changed here")
        return self._take(run)

    def greensites(self, line: str) -> None:
        """List the sites and what they can give now."""
        from greenkernel.commands import sites_command, words

        parser = Parser(prog="%greensites")
        parser.add_argument("--json", action="store_true")
        sites_command(self._desk(), as_json=parser.parse_args(words(line)).json)

    def greenruns(self, line: str) -> None:
        """List, show and steer runs."""
        from greenkernel.commands import runs_command, runs_parser, words

        runs_command(runs_parser("%greenruns").parse_args(words(line)), self._desk())

    def greenreport(self, line: str) -> None:
        """Show the receipt of a run, of the last one by default."""
        from greenkernel.commands import report_command, words

        parser = Parser(prog="%greenreport")
        parser.add_argument("run", nargs="?")
        parser.add_argument("--json", action="store_true")
        given = parser.parse_args(words(line))
        report_command(self._desk(), given.run, as_json=given.json)

    def _take(self, run: Any) -> Any:
        """Bind what the cell bound, also where it ended with an error; then raise that error."""
        __tracebackhide__ = True
        for message in run.bind(self._shell.user_ns):
            self._voice().say(message)
        return run.loaded().value

    def _desk(self) -> Any:
        from greenkernel.commands import Desk

        return Desk(
            home=self._home(None), voice=self._voice(), out=print, take=self._take, namespace=self._shell.user_ns
        )

    def _home(self, sites: str | None) -> Any:
        from greenkernel.home import Home

        if sites not in self._homes:
            self._homes[sites] = Home.open(None, Path(sites) if sites else None)
        return self._homes[sites]

    def _voice(self) -> Any:
        from greenkernel.follow import Terminal

        return NotebookVoice() if hasattr(self._shell, "kernel") else Terminal()


class NotebookVoice:
    """Our words as displays; the cell's output on its own streams."""

    def __init__(self) -> None:
        self._status: Any = None
        self._last = ""

    def say(self, text: str) -> None:
        """A display that stays."""
        from IPython.display import display

        display(_both(text), raw=True, metadata=_OURS)

    def status(self, text: str) -> None:
        """One display that is updated in place."""
        from IPython.display import display

        if text == self._last:
            return
        self._last = text
        if self._status is None:
            self._status = display(_both(text), raw=True, metadata=_OURS, display_id=True)
        else:
            self._status.update(_both(text), raw=True, metadata=_OURS)

    def show(self, event: Any) -> None:
        """What the cell printed or showed, as if it had run here."""
        if event.kind in ("stdout", "stderr"):
            stream = sys.stdout if event.kind == "stdout" else sys.stderr
            stream.write(event.text)
            stream.flush()
            return
        from IPython.core.interactiveshell import InteractiveShell

        publisher = InteractiveShell.instance().display_pub
        if event.kind == "clear_output":
            publisher.clear_output(wait=event.wait)
            return
        transient = {"display_id": event.display_id} if event.display_id else {}
        publisher.publish(
            event.data or {}, event.metadata or {}, transient=transient, update=event.kind == "update_display"
        )


def _both(text: str) -> dict[str, str]:
    style = "margin:0;font-size:12px;line-height:1.35;white-space:pre;overflow-x:auto"
    return {"text/plain": text, "text/html": f'<pre style="{style}">{html.escape(text)}</pre>'}


def _train_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="%%greentrain",
        add_help=False,
        description="Run this cell on the site and at the hour that are best, and bind its names here.",
    )
    add_options(parser)
    parser.add_argument("--sites", metavar="FILE", help="the sites file, instead of sites.toml of the home folder")
    return parser


def _documented(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The magic with complete help, and with plain sentences instead of tracebacks of ours."""

    def call(*given: str) -> Any:
        __tracebackhide__ = True
        try:
            return method(*given)
        except GreenKernelError as e:
            shown = [f"{type(e).__name__}: {e}"]
            e._render_traceback_ = lambda: shown  # type: ignore[attr-defined]  # IPython asks for it
            raise

    from greenkernel.commands import runs_parser

    call.__name__ = name
    helps = {"greentrain": _train_parser().format_help(), "greenruns": runs_parser("%greenruns").format_help()}
    call.__doc__ = helps.get(name, method.__doc__)
    return call
