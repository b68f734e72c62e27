"""Runs a transformed cell as a notebook would: magics, shell lines, await, displays, figures, errors."""

from __future__ import annotations

import ast
import contextvars
import inspect
import io
import linecache
import tokenize
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import CodeType
from typing import TYPE_CHECKING, Any

from greenkernel.records import CellError
from greenkernel.runner.setting_kinds import assigned
from greenkernel.runner.shell import as_json, inline_figures
from greenkernel.runner.streams import Streams
from greenkernel.runner.surroundings import Surroundings, Taken
from greenkernel.runner.trouble import cell_error
from greenkernel.store.runs import LogEvent

if TYPE_CHECKING:
    from greenkernel.runner.snapshots.points import Points, Step

_UNSET = object()
_QUIET_TOKENS = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.DEDENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a cell ended.

    Attributes:
        value: What its last expression is.
        has_value: False where there is none, it is None, or a ``;`` silences it.
        error: The exception that ended it, in words.
        error_object: The same as an object.
        file_name: The name of the cell's code.
        brought: What the shell itself has put into the namespace.
        settings: Process-wide settings that it has changed.
        bundle: Makes the MIME bundle of a value, for one that cannot travel itself.
    """

    value: object = None
    has_value: bool = False
    error: CellError | None = None
    error_object: BaseException | None = None
    file_name: str = "<cell>"
    brought: Mapping[str, object] = field(default_factory=dict)
    settings: Taken = field(default_factory=dict)
    bundle: Callable[[object], tuple[dict[str, Any], dict[str, Any]]] = lambda value: ({"text/plain": repr(value)}, {})

    def as_script(self) -> Outcome:
        """The same, where a script may end itself: ``sys.exit()`` and ``sys.exit(0)`` are no errors."""
        if isinstance(self.error_object, SystemExit) and self.error_object.code in (None, 0):
            return replace(self, error=None, error_object=None)
        return self


def execute(
    python: str,
    shell: Any,
    emit: Callable[[LogEvent], None],
    *,
    file_name: str,
    passes: type[BaseException] | tuple[type[BaseException], ...] = (),
    surroundings: Surroundings | None = None,
    points: Points | None = None,
) -> Outcome:
    """Run the cell.

    Args:
        python: The cell as Python (magics already calls of ``get_ipython()``).
        shell: As `cell_shell` gave it; the globals of the cell are its namespace, the notebook's.
        emit: Gets what is printed and shown, in order, from several threads but one call at a time.
        file_name: The name of the cell's code in tracebacks.
        passes: Exceptions that are not the cell's and leave this function as they are.
        surroundings: Process-wide settings, put before the cell begins.
        points: Is told of the points that the cell comes to, and knows where it goes on.
    """
    namespace: dict[str, Any] = shell.user_ns
    linecache.cache[file_name] = (len(python), None, python.splitlines(keepends=True), file_name)
    with Streams(emit) as streams:
        error: BaseException | None = None

        def event(event: LogEvent) -> None:
            streams.event(replace(event, late=error is not None))

        shell.emit = event
        inline_figures(shell)
        # What the notebook has wins over the shell's own of that name.
        brought = {name: value for name, value in shell.brought.items() if namespace.setdefault(name, value) is value}

        def bundle(value: object) -> tuple[dict[str, Any], dict[str, Any]]:
            data, metadata = shell.display_formatter.format(value)
            return as_json(data), as_json(metadata)

        def result(data: dict[str, Any], metadata: dict[str, Any]) -> None:
            streams.event(LogEvent(at=datetime.now(UTC), kind="result", data=data, metadata=metadata))

        fill = shell.displayhook.fill_exec_result
        shown = _Shown(bundle, result, fill, brought, quiet=ends_with_semicolon(python))
        _loop()  # what it tells loggers is nothing of the cell's
        if surroundings is not None:
            assigned.note(python, namespace)
            surroundings.begin()
        shell.display_trap.hook = shown
        with shell.builtin_trap, shell.display_trap:
            shell.events.trigger("pre_execute")
            try:
                nodes = shell.compile.ast_parse(python, filename=file_name).body
                body = _modes(nodes, shell.ast_node_interactivity)
                if namespace.get("__name__") == "__main__":
                    body = [step for one in body for step in _unfolded(one)]
                if points is not None:
                    points.begin(shown, len(body))
                _run(shell, body, namespace, file_name, points, in_loop=shell.front_end == "kernel" or _awaits(nodes))
            except passes:
                raise
            # The cell may end itself by any exception, SystemExit and KeyboardInterrupt included.
            except BaseException as e:
                error = e
            if points is not None:
                points.end()
            shell.events.trigger("post_execute")
        # Loggers write to the cell's own streams, and are known by them.
        settings = surroundings.changed() if surroundings is not None else {}
    return Outcome(
        value=shown.value,
        has_value=shown.value is not None,
        error=None if error is None else cell_error(error, namespace, file_name),
        error_object=error,
        file_name=file_name,
        brought=brought,
        settings=settings,
        bundle=bundle,
    )


class _Shown:
    """``sys.displayhook`` of the cell: what an expression shows takes its place among what is printed.

    Args:
        bundle: Makes the MIME bundle of a value.
        emit: Gets it.
        fill: Gets the value, for who runs a cell inside of the cell.
        brought: What the shell itself has put into the namespace.
        quiet: A ``;`` at the end of the cell: values are neither shown nor kept.
    """

    def __init__(
        self,
        bundle: Callable[[object], tuple[dict[str, Any], dict[str, Any]]],
        emit: Callable[[dict[str, Any], dict[str, Any]], None],
        fill: Callable[[object], None],
        brought: Mapping[str, object],
        *,
        quiet: bool,
    ) -> None:
        self._bundle = bundle
        self._emit = emit
        self._fill = fill
        self._quiet = quiet
        self.brought = brought
        self.value: object = None

    def __call__(self, value: object) -> None:
        if value is None or self._quiet:
            return
        self.value = value
        self._fill(value)
        self._emit(*self._bundle(value))


def _run(
    shell: Any, body: list[Step], namespace: dict[str, Any], file_name: str, points: Points | None, *, in_loop: bool
) -> None:
    """In a kernel a loop is running while any cell runs: what looks for it, or refuses it, does so here too."""
    steps = _codes(shell, body, file_name) if points is None else _pointed_codes(shell, body, file_name, points)
    if in_loop:
        error = _in_loop(_steps(steps, namespace))
        if error is not None:
            raise error
    else:
        for code in steps:
            exec(code, namespace)


def _modes(nodes: list[ast.stmt], interactivity: str) -> list[Step]:
    """Which statements show their values, as the shell's setting has it."""
    last = nodes[-1] if nodes else None
    if interactivity == "last_expr_or_assign" and isinstance(last, ast.Assign | ast.AugAssign | ast.AnnAssign):
        target = last.targets[0] if isinstance(last, ast.Assign) and len(last.targets) == 1 else None
        target = last.target if isinstance(last, ast.AugAssign | ast.AnnAssign) else target
        if isinstance(target, ast.Name):
            named = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            nodes = [*nodes, ast.copy_location(ast.Expr(named), last)]
    count = {"all": len(nodes), "none": 0, "last": 1}.get(interactivity, int(isinstance(last, ast.Expr)))
    if interactivity == "last_expr_or_assign":
        count = int(bool(nodes) and isinstance(nodes[-1], ast.Expr))
    first = len(nodes) - count
    return [ast.Module([n], []) if i < first else ast.Interactive([n]) for i, n in enumerate(nodes)]


def _unfolded(step: Step) -> list[Step]:
    """``if __name__ == "__main__":`` as what stands in it, a statement each, where that is so."""
    node = step.body[0]
    if not isinstance(node, ast.If) or node.orelse or ast.unparse(node.test) != "__name__ == '__main__'":
        return [step]
    return [ast.Module([one], []) for one in node.body]


def _codes(shell: Any, body: list[Step], file_name: str) -> Iterator[CodeType]:
    """Each statement is compiled when its turn comes, as IPython does it."""
    for node in body:
        yield _compiled(shell, node, file_name)


def _pointed_codes(shell: Any, body: list[Step], file_name: str, points: Points) -> Iterator[CodeType]:
    """The same from where the cell goes on; what was done is compiled for the sake of ``__future__`` imports."""
    for index, node in enumerate(body):
        step = points.step(index, node)
        code = _compiled(shell, node if step is None else step, file_name)
        if step is not None:
            yield points.fitted(code)
            points.passed(index)


def _compiled(shell: Any, node: Step, file_name: str) -> CodeType:
    mode = "single" if isinstance(node, ast.Interactive) else "exec"
    with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
        code: CodeType = shell.compile(node, file_name, mode)
    return code


def _in_loop(steps: Coroutine[Any, Any, BaseException | None]) -> BaseException | None:
    """A task has a context of its own: what is set in it, such as numpy's print options, is set here afterwards."""
    loop, context = _loop(), contextvars.copy_context()
    error: BaseException | None = loop.run_until_complete(loop.create_task(steps, context=context))
    for variable, value in context.items():
        if variable.get(_UNSET) is not value:
            variable.set(value)
    return error


def _loop() -> Any:
    from IPython.core.async_helpers import get_asyncio_loop

    return get_asyncio_loop()


async def _steps(steps: Iterator[CodeType], namespace: dict[str, Any]) -> BaseException | None:
    """What ends the cell is returned: a loop takes some exceptions for its own, and StopIteration for the end."""
    try:
        for code in steps:
            value = eval(code, namespace)
            if code.co_flags & inspect.CO_COROUTINE:
                await value  # compiled with top-level await
    except BaseException as e:
        return e
    return None


def _awaits(nodes: list[ast.stmt]) -> bool:
    """True where the cell itself awaits, outside of its functions."""
    pending: list[ast.AST] = [*nodes]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending.extend(ast.iter_child_nodes(node))
    return False


def ends_with_semicolon(python: str) -> bool:
    """True where the last token that counts is a ``;``."""
    last = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(python).readline):
            if token.type not in _QUIET_TOKENS:
                last = token.string
    except (tokenize.TokenError, SyntaxError):
        return False
    return last == ";"
