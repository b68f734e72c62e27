"""Between a notebook and its pending runs: cells wait where they must, and runs that have ended are taken back."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

from greenkernel.cell.bind import Meanwhile
from greenkernel.errors import GreenKernelError
from greenkernel.handle import Run
from greenkernel.notebook.errors import lines_of, remember
from greenkernel.notebook.frontend import CellOutput, draw_inline, page
from greenkernel.notebook.live import Live
from greenkernel.notebook.pending import Notebook, Pending
from greenkernel.notebook.since import Since
from greenkernel.notebook.touch import Touch, touched
from greenkernel.records import RunState
from greenkernel.voices import Voice

_LOOK_S = 0.1
# Longer than the last output takes to be fetched, also where the store does not answer at once.
_SHOWN_S = 10.0
_COLUMNS = 68
_HOW = {RunState.DONE: "is done", RunState.CANCELLED: "was cancelled", RunState.REMOVED: "was removed"}


class Desk:
    """The pending runs of one shell.

    Everything here runs on the shell's main thread, between cells or before one; only `wake` may be called from others.

    Args:
        shell: The shell.
        voice: Makes the place for a sentence under the cell that runs now.
        since: Is told what runs have bound.
    """

    def __init__(self, shell: Any, voice: Callable[[], Voice], since: Since) -> None:
        self._shell = shell
        self._voice = voice
        self._since = since
        self._notebook = Notebook(shell.user_ns)
        self._outputs: dict[str, CellOutput] = {}
        self._lives: dict[str, Live] = {}
        # Runs whose end may have come to a page that was gone: with the number of the cell, and the page.
        self._told_to: list[tuple[Run, int, str, Live]] = []
        self._in_a_cell = False
        self._shown: BaseException | None = None
        # Cells run in one context, which nobody but a cell can change: what is set beside it is set there next time.
        self._context = copy_context()
        self._set_beside: dict[ContextVar[Any], Any] = {}
        shell.events.register("pre_run_cell", self._begins)
        shell.events.register("post_run_cell", self._ends)

    @property
    def pending(self) -> tuple[Pending, ...]:
        """In the order of submission."""
        return self._notebook.pending

    def add(self, run: Run, output: CellOutput, cell: int, live: Live) -> None:
        """A run was sent by the cell that runs now, or is followed there from now on."""
        self._in_a_cell = True
        self._outputs[run.id], self._lives[run.id] = output, live
        self._told_to = [told for told in self._told_to if told[0].id != run.id]
        self._told_to.append((run, cell, output.page, live))
        if any(pending.run.id == run.id for pending in self.pending):
            return
        submission = run.submission
        touch = touched(ast.parse(submission.capture.transformed), self._shell.user_ns, whole=True)
        reads = frozenset(submission.capture.reads)
        sent = Touch(
            reads=reads,
            binds=frozenset(name for name in submission.capture.binds if name.isidentifier()),
            changes=touch.changes,
            files=touch.files,
            settings=touch.settings,
        )
        mine = self._since.bound_anew(run.id, {*submission.capture.binds, *reads}, self._shell.user_ns)
        self._notebook.add(run, sent, reads, cell, frozenset(mine), self._since.contents(run.id))

    def before_cell(self, tree: ast.Module) -> ast.Module:
        """Called with each cell before it runs; waits for what it needs.

        Raises:
            InputRejected: The cell must not run: the wait was interrupted, or what it needs has failed.
        """
        try:
            self.take_ended()
            touch = self._touched(tree)
            while reasons := self._notebook.reasons(touch):
                self._wait(*reasons[0])
            self._notebook.read_by(self._shell.execution_count, touch)
        except KeyboardInterrupt:
            raise _rejected("this cell was interrupted while it waited and did not run; the run goes on") from None
        except GreenKernelError as e:
            raise _rejected(f"this cell did not run: {e}") from None
        return tree

    def _touched(self, tree: ast.Module) -> Touch:
        try:
            return touched(tree, self._shell.user_ns)
        # It looks at every sort of object; a cell that is not understood waits for everything.
        except Exception as e:
            return Touch(unknown=f"it is not understood ({type(e).__name__})")

    def take_ended(self) -> None:
        """Bind what runs that have ended have left; nothing while a cell runs."""
        for pending in self._notebook.pending:
            if pending.run.state.ended:
                self._take(pending)

    def when_idle(self) -> None:
        """Called by the kernel's own loop when a run has ended."""
        if self._in_a_cell:
            return
        before = dict(self._context.items())
        self._context.run(self.take_ended)
        self._shown = None
        self._set_beside |= {
            var: value for var, value in self._context.items() if var not in before or before[var] is not value
        }

    def _wait(self, pending: Pending, why: str) -> None:
        run, voice, told = pending.run, self._voice(), ""
        what = f"run {run.id} of cell {pending.cell}, because {why}"
        try:
            while not run.state.ended:
                if run.waits_for_choice:
                    told = self._choose(run)
                    voice.status(f"waits for {what}{told}")
                else:
                    voice.status(f"waits for {what}{told}; it is {_now(run)}")
                run.wait_a_while(_LOOK_S)
        except KeyboardInterrupt:
            voice.status(f"waited for {what}{told}; interrupted")
            raise
        self._take(pending)
        how = _HOW.get(run.state, "has failed")
        voice.status(f"waited for {what}{told}; it {how}")
        if run.state is not RunState.DONE:
            raise GreenKernelError(f"{why}, and run {run.id} of cell {pending.cell} {how}")

    def _choose(self, run: Run) -> str:
        """Nobody pressed Run: take what is picked in the panel, which is the recommended site at first."""
        live = self._lives.get(run.id)
        site = live.picked if live is not None else None
        run.choose(site)
        if site is None:
            return "; no site was chosen, so the recommended one is taken"
        return f"; Run was not pressed, so {site} is taken, which is picked in its panel"

    def _take(self, pending: Pending) -> None:
        """Bind, say what is not as after a plain run, and show a traceback under the cell that sent it."""
        run = pending.run
        output = self._outputs.pop(run.id, None)
        live = self._lives.pop(run.id, None)
        if live is not None:
            live.wait_shown(_SHOWN_S)
        say = output.say if output is not None else self._voice().say
        bound: dict[str, Any] = {}
        try:
            if run.has_result:
                bound = self._bind(pending, say)
        except GreenKernelError as e:
            say(f"what run {run.id} has left cannot be taken: {e}")
        finally:
            self._notebook.done(pending, bound)
        if run.state is RunState.FAILED:
            self._show_error(run, output)

    def _bind(self, pending: Pending, say: Callable[[str], None]) -> dict[str, Any]:
        run, space = pending.run, self._shell.user_ns
        kept, messages = self._notebook.bindable(pending)
        changed = self._notebook.conflicts(pending)
        messages += run.bind(space, Meanwhile(bound=kept, changed=changed))
        self._since.took(run.id, run.names_back, space, kept)
        for message in messages:
            say(message)
        draw_inline(self._shell)
        loaded = run.loaded(allow_error=True)
        for name in loaded.updated:
            readers = [f"cell {number}" for number, reads in pending.readers.items() if name in reads]
            if readers and name not in changed:
                who = ", ".join(readers)
                say(f"{name} was changed by run {run.id} although nothing foretold it; read before by {who}")
        value = loaded.value
        if value is not None and run.state is RunState.DONE:
            self._keep_value(pending.cell, value)
        return {name: value for name, value in loaded.names.items() if name not in kept}

    def _keep_value(self, cell: int, value: object) -> None:
        space = self._shell.user_ns
        space["_oh"][cell] = value
        space[f"_{cell}"] = value
        hook = self._shell.displayhook
        if max(space["_oh"]) == cell and space.get("_") is hook._:
            hook.___, hook.__, hook._ = hook.__, hook._, value
            space.update({"_": hook._, "__": hook.__, "___": hook.___})

    def _show_error(self, run: Run, output: CellOutput | None) -> None:
        error = run.error()
        if output is None or error is None:
            return
        output.error(error, lines_of(self._shell, error))
        remember(error)
        self._shown = error

    def _tell_again(self) -> None:
        """A page that was loaded again takes nothing more for cells that ran before: it gets their ends here."""
        here = page(self._shell)
        over = [told for told in self._told_to if told[3].over]
        self._told_to = [told for told in self._told_to if told not in over]
        for run, cell, there, live in over:
            if there != here:
                self._voice().say(
                    f"run {run.id} of cell {cell} has ended; this page was loaded after that cell was run, so the end "
                    f"is shown here. All that it printed: %greenruns logs {run.id}"
                )
                live.show_end()

    def _begins(self, *_: object) -> None:
        self._in_a_cell = True
        for var, value in self._set_beside.items():  # numpy's error handling, for one
            var.set(value)
        self._set_beside.clear()
        self._tell_again()

    def _ends(self, *_: object) -> None:
        self._in_a_cell = False
        self._tell_again()
        try:
            self.take_ended()
        except GreenKernelError as e:
            self._voice().say(str(e))
        if self._shown is not None:  # the cell that waited for it was stopped by an error of ours meanwhile
            remember(self._shown)
            self._shown = None
        self._context = copy_context()


def _now(run: Run) -> str:
    """Where a run stands, as the end of a sentence."""
    state, detail = run.state, run.detail
    joint = " " if detail.startswith(("on ", "to ")) else ": "
    return f"{state}{joint if detail else ''}{detail}"


def _rejected(text: str) -> BaseException:
    """What an AST transformer may raise: the cell does not run, and "Run all" stops."""
    from IPython.core.error import InputRejected

    error: BaseException = InputRejected(text)
    lines = textwrap.wrap(f"GreenKernel: {text}", _COLUMNS)  # JupyterLab breaks lines of errors inside of words
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]  # IPython asks for it
    return error
