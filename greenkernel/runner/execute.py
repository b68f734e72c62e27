"""Runs a transformed cell as a notebook would: magics, shell lines, await, displays, figures, errors."""

from __future__ import annotations

import ast
import inspect
import io
import linecache
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Any

from greenkernel.records import CellError
from greenkernel.runner.shell import as_json, cell_shell
from greenkernel.runner.streams import Streams
from greenkernel.runner.trouble import cell_error
from greenkernel.store.runs import LogEvent

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
        bundle: Makes the MIME bundle of a value, for one that cannot travel itself.
    """

    value: object = None
    has_value: bool = False
    error: CellError | None = None
    error_object: BaseException | None = None
    file_name: str = "<cell>"
    brought: Mapping[str, object] = field(default_factory=dict)
    bundle: Callable[[object], tuple[dict[str, Any], dict[str, Any]]] = lambda value: ({"text/plain": repr(value)}, {})

    def as_script(self) -> Outcome:
        """The same, where a script may end itself: ``sys.exit()`` and ``sys.exit(0)`` are no errors."""
        if isinstance(self.error_object, SystemExit) and self.error_object.code in (None, 0):
            return replace(self, error=None, error_object=None)
        return self


def execute(
    python: str,
    namespace: dict[str, Any],
    emit: Callable[[LogEvent], None],
    *,
    file_name: str,
    passes: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> Outcome:
    """Run the cell.

    Args:
        python: The cell as Python (magics already calls of ``get_ipython()``).
        namespace: The notebook's namespace; it is the globals of the cell.
        emit: Gets what is printed and shown, in order, from several threads but one call at a time.
        file_name: The name of the cell's code in tracebacks.
        passes: Exceptions that are not the cell's and leave this function as they are.
    """
    linecache.cache[file_name] = (len(python), None, python.splitlines(keepends=True), file_name)
    with Streams(emit) as streams:
        notebooks = set(namespace)
        shell = cell_shell(namespace, streams.event)
        brought = {name: value for name, value in namespace.items() if name not in notebooks}

        def bundle(value: object) -> tuple[dict[str, Any], dict[str, Any]]:
            data, metadata = shell.display_formatter.format(value)
            return as_json(data), as_json(metadata)

        with shell.builtin_trap:
            shell.events.trigger("pre_execute")
            value: object = None
            has_value = False
            error: BaseException | None = None
            try:
                has_value, value = _run(shell, python, namespace, file_name)
            except passes:
                raise
            # The cell may end itself by any exception, SystemExit and KeyboardInterrupt included.
            except BaseException as e:
                error = e
            shell.events.trigger("post_execute")
    return Outcome(
        value=value,
        has_value=has_value,
        error=None if error is None else cell_error(error, namespace, file_name),
        error_object=error,
        file_name=file_name,
        brought=brought,
        bundle=bundle,
    )


def _run(shell: Any, python: str, namespace: dict[str, Any], file_name: str) -> tuple[bool, object]:
    tree = shell.compile.ast_parse(python, filename=file_name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    body: list[ast.Module | ast.Expression] = [ast.Module([node], []) for node in tree.body]
    if last is not None:
        body.append(ast.Expression(last.value))
    steps = _codes(shell, body, file_name, flags)
    value = shell.loop_runner(_steps(steps, namespace)) if _awaits(tree, last) else _plain(steps, namespace)
    quiet = last is None or value is None or ends_with_semicolon(python)
    return not quiet, None if quiet else value


def _codes(shell: Any, body: list[ast.Module | ast.Expression], file_name: str, flags: int) -> Iterator[CodeType]:
    """Each statement is compiled when its turn comes, as IPython does it."""
    for node in body:
        mode = "eval" if isinstance(node, ast.Expression) else "exec"
        with shell.compile.extra_flags(flags):
            code: CodeType = shell.compile(node, file_name, mode)
        yield code


def _plain(steps: Iterator[CodeType], namespace: dict[str, Any]) -> object:
    value = None
    for code in steps:
        value = eval(code, namespace)
    return value


async def _steps(steps: Iterator[CodeType], namespace: dict[str, Any]) -> object:
    value = None
    for code in steps:
        value = eval(code, namespace)
        if code.co_flags & inspect.CO_COROUTINE:
            value = await value  # compiled with top-level await
    return value


def _awaits(tree: ast.Module, last: ast.Expr | None) -> bool:
    """True where the cell itself awaits, outside of its functions."""
    pending: list[ast.AST] = [*tree.body, *([last] if last else [])]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            return True
        if isinstance(node, ast.comprehension) and node.is_async:
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
