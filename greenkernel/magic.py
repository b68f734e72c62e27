"""The IPython magics: thin callers of the session that put a run's names back where they belong."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from greenkernel.errors import GreenKernelError, UserError
from greenkernel.notebook.since import Since
from greenkernel.options import OPTIONS, Parser, add_options
from greenkernel.units import format_bytes

_WAITS = "waiting for the run; Ctrl-C ends the waiting, the run goes on; where it can it asks first"
# From then on it is said how far the values have been taken.
_MUCH_BYTES, _LONG_S = 64 << 20, 3.0


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
    shell.ast_transformers[:] = [one for one in shell.ast_transformers if not isinstance(one, Gate)]
    shell.ast_transformers.append(Gate(magics))


class Gate:
    """Each cell passes it on its way to being run, as one of the shell's AST transformers."""

    def __init__(self, magics: Magics) -> None:
        self._magics = magics

    def visit(self, tree: Any) -> Any:
        """Let a cell pass at once, or when the runs that it needs have ended."""
        desk = self._magics.desk
        return tree if desk is None or not desk.pending else desk.before_cell(tree)


class Magics:
    """The magics of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._homes: dict[str | None, Any] = {}
        # Made with the first run that is left pending.
        self.desk: Any = None
        self._since = Since()

    def greentrain(self, line: str, cell: str) -> Any:
        """Run the cell on the best site and bind its names here."""
        __tracebackhide__ = True
        from greenkernel.cell.transform import NothingToRunError
        from greenkernel.commands import NOBODY_CHOOSES, check_receipt, move_policy, words

        if {"--help", "-h"} & set(words(line)):
            print(_train_parser().format_help())
            return None
        given = _train_parser().parse_args(words(line))
        given.move = move_policy(given.move, lambda text: self._voice().say(text), answerable=self._can_answer())
        check_receipt(given.json)
        home = self._home(given.sites)
        inside = self._is_inside()
        leaves = not given.wait and not given.dry_run and not inside and self._can_click()
        asks = leaves and not given.auto
        try:
            run = self._train(cell, given, home, auto=not asks)
        except NothingToRunError as e:
            self._voice().say(e.what)  # as plain: it is no error
            return None
        except UserError as e:
            if not isinstance(e.__cause__, SyntaxError):
                raise
            run, wrong = None, e.__cause__.with_traceback(None)
        if run is None:  # as plain: with its line and its caret, and with nothing behind it
            wrong.filename = self._file_name(cell)
            self._show_as_plain(wrong)
            raise wrong
        if leaves:
            return self._leave(run, home, can_choose=asks, receipt=given.json)
        if not (inside or given.auto or given.wait or given.dry_run or given.site):
            self._voice().say(NOBODY_CHOOSES)
        value = self._follow(run, home, receipt=given.json, shows_value=not inside)
        return value if inside else None

    def _train(self, cell: str, given: argparse.Namespace, home: Any, *, auto: bool) -> Any:
        from greenkernel.session import train

        options = {o.dest: getattr(given, o.dest) for o in OPTIONS if not o.front}
        taking = _Taking(self._voice())
        run = train(
            cell,
            namespace=self._shell.user_ns,
            home=home,
            auto=auto,
            file_name=self._file_name(cell),
            folder=Path.cwd(),
            taking=taking.more,
            **options,
        )
        taking.done()
        capture = run.submission.capture
        self._since.note(run.id, {*capture.binds, *capture.reads}, self._shell.user_ns)
        return run

    def _leave(self, run: Any, home: Any, *, can_choose: bool, receipt: str | None = None) -> None:
        """Leave the run pending, with a panel under this cell."""
        import asyncio

        from greenkernel.commands import write_receipt
        from greenkernel.notebook.desk import Desk
        from greenkernel.notebook.frontend import CellOutput
        from greenkernel.notebook.live import Live

        if self.desk is None:
            self.desk = Desk(self._shell, self._voice, self._since)
        desk, loop, output = self.desk, asyncio.get_running_loop(), CellOutput(self._shell)

        def ended() -> None:
            try:
                write_receipt(run, receipt)
            except UserError as e:
                output.say(str(e))
            with contextlib.suppress(RuntimeError):  # the kernel is on its way out
                loop.call_soon_threadsafe(desk.when_idle)

        live = Live(run, home, output, ended, can_choose=can_choose)
        desk.add(run, output, self._cell_number(), live)
        live.show()

    def _follow(self, run: Any, home: Any, *, receipt: str | None, shows_value: bool) -> Any:
        """Stay until the run has ended, and take back what it has left."""
        __tracebackhide__ = True
        from greenkernel.commands import write_receipt
        from greenkernel.follow import follow, hint_for
        from greenkernel.notebook.page import Page
        from greenkernel.records import RunState

        voice = self._voice(values=shows_value)
        try:
            if hasattr(self._shell, "kernel"):
                Page(run, home, voice).follow()
                if hint := hint_for(run):
                    voice.say(hint)
            else:
                voice.status(_WAITS)
                follow(run, voice, zone=home.settings.timezone)
        except KeyboardInterrupt as e:
            self._since.left(run.id, run.submission.capture.reads, self._shell.user_ns)
            voice.say(
                f"run {run.id} goes on; take it back with %greenruns attach {run.id}, "
                f"stop it with %greenruns cancel {run.id}"
            )
            self._show_as_plain(e)
            raise
        write_receipt(run, receipt)
        if run.submission.request.dry_run:
            return None
        if run.state is RunState.CANCELLED:
            raise UserError(f"run {run.id} was cancelled; nothing was changed here")
        return self._take(run, keeps_value=shows_value)

    def greensites(self, line: str) -> None:
        """List the sites and what they can give now."""
        from greenkernel.commands import sites_command, words

        parser = Parser(prog="%greensites", description=self.greensites.__doc__)
        parser.add_argument("--json", action="store_true", help="machine-readable")
        if (given := _parsed(parser, words(line))) is not None:
            sites_command(self._desk(), as_json=given.json)

    def greenruns(self, line: str) -> None:
        """List, show and steer runs."""
        from greenkernel.commands import runs_command, runs_parser, words

        given = _parsed(runs_parser("%greenruns"), words(line))
        if given is None:
            return
        if given.what in ("attach", "resume") and self._can_click():
            from greenkernel.session import attach

            run = attach(given.run, namespace=self._shell.user_ns, home=self._home(None))
            if given.what == "resume":
                run.resume()
            if not run.state.ended:
                self._leave(run, self._home(None), can_choose=True)
                return
        runs_command(given, self._desk())

    def greenreport(self, line: str) -> None:
        """Show the receipt of a run, of the last one by default."""
        from greenkernel.commands import report_command, words

        parser = Parser(prog="%greenreport", description=self.greenreport.__doc__)
        parser.add_argument("run", nargs="?", help="the run's id; without it the last run")
        parser.add_argument("--json", action="store_true", help="machine-readable")
        if (given := _parsed(parser, words(line))) is not None:
            report_command(self._desk(), given.run, as_json=given.json)

    def _take(self, run: Any, *, keeps_value: bool = True) -> Any:
        """Bind what the cell bound, also where it ended with an error; then raise that error."""
        __tracebackhide__ = True
        from greenkernel.cell.bind import Meanwhile
        from greenkernel.notebook.frontend import draw_inline
        from greenkernel.notebook.pending import kept_text

        space, names = self._shell.user_ns, run.names_back
        kept = self._since.bound_anew(run.id, names, space)
        changed = self._since.changed(run.id, run.submission.capture.reads, space)
        messages = run.bind(space, Meanwhile(bound=kept, changed=changed))
        if self._since.was_taken(run.id):
            messages = [f"run {run.id} was taken back before: what it has changed in place stays as it is by now"]
        for message in (*(kept_text(run.id, name) for name in kept), *messages):
            self._voice().say(message)
        self._since.took(run.id, names, space, kept)
        draw_inline(self._shell)
        try:
            value = run.loaded().value
        except GreenKernelError:
            raise
        except BaseException as e:  # the cell's own
            self._show_as_plain(e)
            raise
        if value is not None and keeps_value:
            # It has been shown already, where it was among the cell's output.
            self._shell.displayhook.update_user_ns(value)
            self._shell.displayhook.fill_exec_result(value)
        return value

    def _show_as_plain(self, error: BaseException) -> None:
        from greenkernel.notebook.errors import show_as_plain

        show_as_plain(self._shell, error)

    def _can_click(self) -> bool:
        from greenkernel.notebook.frontend import can_click

        return can_click(self._shell)

    def _can_answer(self) -> bool:
        """True where a person sits in front of it."""
        return self._can_click() if hasattr(self._shell, "kernel") else sys.stdin.isatty()

    def _is_inside(self) -> bool:
        """True where the magic is part of a cell, such as one of ``%%time``: its value is for that cell."""
        written = self._shell.history_manager.input_hist_raw[-1]
        return not str(written).lstrip().startswith("%%greentrain")

    def _cell_number(self) -> int:
        return len(self._shell.history_manager.input_hist_parsed) - 1  # as the notebook shows it

    def _file_name(self, cell: str) -> str:
        """What a plain cell's code would come from: IPython makes it of the code, warnings and tracebacks show it."""
        from greenkernel.notebook.errors import name_cell

        number = self._cell_number()
        # The magic gets its text with a new line at the end, which a plain cell need not have.
        written = str(self._shell.history_manager.input_hist_raw[-1])
        text = cell if written.endswith("\n") else cell.removesuffix("\n")
        name = str(self._shell.compile.get_code_name(text, text, number))
        name_cell(self._shell, name, number)
        return name

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

    def _voice(self, *, values: bool = True) -> Any:
        from greenkernel.voices import NotebookVoice, ShellVoice

        if hasattr(self._shell, "kernel"):
            return NotebookVoice(self._shell, values=values, can_ask=self._can_click)
        return ShellVoice(self._shell, values=values)


class _Taking:
    """Says how far the values have been taken, where that takes a while."""

    def __init__(self, voice: Any) -> None:
        self._voice = voice
        self._began = time.monotonic()
        self._bytes = 0
        self._said = False

    def more(self, size: int) -> None:
        """So many bytes come next."""
        self._bytes += size
        if self._bytes > _MUCH_BYTES or time.monotonic() - self._began > _LONG_S:
            self._said = True
            self._voice.status(f"taking the values, {format_bytes(self._bytes)} ...")

    def done(self) -> None:
        """All are in the store."""
        if self._said:
            took_s = time.monotonic() - self._began
            self._voice.status(f"took the values: {format_bytes(self._bytes)} in {took_s:.1f} s")


def _parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace | None:
    """What was given; None where the help was asked for and has been shown."""
    try:
        return parser.parse_args(words)
    except SystemExit:  # argparse ends a program after its help
        return None


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
