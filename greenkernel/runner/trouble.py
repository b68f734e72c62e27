"""Exceptions of a cell in words and as objects that can go home with their lines."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from greenkernel.records import CellError, Frame
from greenkernel.store.returned import Link

_OWN_FOLDER = str(Path(__file__).parent)
_EXECUTE = str(Path(__file__).with_name("execute.py"))


def cell_error(error: BaseException, namespace: dict[str, Any], file_name: str) -> CellError:
    """An exception in words, without our own frames.

    Args:
        error: The exception.
        namespace: Frames of functions with these globals are the notebook's.
        file_name: The name of the cell's code.
    """
    trace = own_frames_removed(error.__traceback__)
    error = error.with_traceback(trace)
    return CellError(
        type_name=type(error).__name__,
        message=text_of(error),
        frames=tuple(frames(trace, namespace, file_name)),
        text="".join(traceback.format_exception(type(error), error, trace)),
    )


def own_frames_removed(trace: TracebackType | None) -> TracebackType | None:
    """A traceback of the cell's frames and those below them, without any of the runner."""
    kept: list[TracebackType] = []
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file == _EXECUTE:
            kept = []  # what stands above the cell: ours, and the event loop's where it awaits
        elif not file.startswith(_OWN_FOLDER):
            kept.append(trace)
        trace = trace.tb_next
    found: TracebackType | None = None
    for one in reversed(kept):
        found = TracebackType(found, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return found


def frames(trace: TracebackType | None, namespace: dict[str, Any], file_name: str) -> Iterator[Frame]:
    """The lines of a traceback, outermost first."""
    while trace is not None:
        code = trace.tb_frame.f_code
        mine = code.co_filename == file_name or trace.tb_frame.f_globals is namespace
        yield Frame(
            file=code.co_filename,
            line=trace.tb_lineno,
            function=code.co_name,
            in_cell=mine,
            first_line=code.co_firstlineno,
            arguments=_arguments(code),
            place=_place(code, trace.tb_lasti),
        )
        trace = trace.tb_next


def _place(code: CodeType, instruction: int) -> tuple[int, int, int] | None:
    """As `Frame` has it."""
    _, end_line, column, end_column = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    return None if end_line is None or column is None or end_column is None else (end_line, end_column, column)


def _arguments(code: CodeType) -> tuple[tuple[str, ...], ...]:
    """As `Frame` has them."""
    names = iter(code.co_varnames)
    star, stars = (bool(code.co_flags & flag) for flag in (inspect.CO_VARARGS, inspect.CO_VARKEYWORDS))
    return tuple(tuple(islice(names, n)) for n in (code.co_argcount, code.co_kwonlyargcount, star, stars))


def text_of(error: BaseException) -> str:
    """What an exception says, also where its own ``__str__`` is broken."""
    try:
        return str(error)
    except Exception:  # the exception's own __str__ may be broken
        return f"<{type(error).__name__} without a text>"


def chain_of(error: BaseException, namespace: dict[str, Any], file_name: str) -> tuple[Link, ...]:
    """An exception and all that it hangs on, the exception first.

    Args:
        error: As the cell raised it.
        namespace: Frames of functions with these globals are the notebook's.
        file_name: The name of the cell's code.
    """
    found: list[BaseException] = [error]
    for known in found:  # grows while it is walked
        members = known.exceptions if isinstance(known, BaseExceptionGroup) else ()
        for other in (known.__cause__, known.__context__, *members):
            if other is not None and not any(other is one for one in found):
                found.append(other)

    def index(other: BaseException | None) -> int | None:
        return None if other is None else next(i for i, one in enumerate(found) if one is other)

    return tuple(
        Link(
            error=one,
            frames=tuple(frames(own_frames_removed(one.__traceback__), namespace, file_name)),
            cause=index(one.__cause__),
            context=index(one.__context__),
            suppressed=one.__suppress_context__,
        )
        for one in found
    )
