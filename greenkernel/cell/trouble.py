"""A remote error -> an exception of the notebook, on the lines that the user wrote."""

from __future__ import annotations

import ast
import types
from collections.abc import Sequence
from functools import partial
from typing import Any

from greenkernel.cell.transform import remember_lines
from greenkernel.errors import GreenKernelError, UserError
from greenkernel.records import CellError, Frame, Request
from greenkernel.store.blobs import Blobs
from greenkernel.store.payloads import load
from greenkernel.store.returned import Link


class RemoteCellError(GreenKernelError):
    """Stands for an exception of the cell that cannot be rebuilt here.

    Args:
        error: What is known of it; ``error.text`` has its whole traceback.
    """

    def __init__(self, error: CellError) -> None:
        self.error = error
        super().__init__(f"{error.type_name}: {error.message}")

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteCellError, (self.error,)


def rebuild_error(error: CellError, blobs: Blobs, namespace: dict[str, Any], request: Request) -> BaseException:
    """The cell's own exception where it can be unpickled, else a `RemoteCellError`; with its traceback.

    Args:
        error: As the runner described it.
        blobs: Where the exception itself may be.
        namespace: Where exception classes of the notebook live.
        request: The cell, for its lines in the traceback.

    Raises:
        IntegrityError: The exception's bytes are not what was sent.
    """
    remember_lines(request.source, request.file_name)
    chain: Sequence[Link] = ()
    if error.pickled is not None:
        try:
            chain = load(error.pickled, blobs, namespace)["chain"]
        except UserError:  # its class is not here or does not unpickle; the words are here in any case
            chain = ()
    if not chain:
        return RemoteCellError(error).with_traceback(traceback_of(error.frames))
    for link in chain:
        link.error.__cause__ = None if link.cause is None else chain[link.cause].error
        link.error.__context__ = None if link.context is None else chain[link.context].error
        link.error.__suppress_context__ = link.suppressed
        link.error.__traceback__ = traceback_of(link.frames)
    return chain[0].error


def traceback_of(frames: Sequence[Frame]) -> types.TracebackType | None:
    """A traceback whose frames have the given files, lines and functions, outermost first."""
    trace: types.TracebackType | None = None
    for frame in reversed(frames):
        own = _raised_at(frame)
        trace = types.TracebackType(trace, own.tb_frame, own.tb_lasti, own.tb_lineno)
    return trace


def _raised_at(frame: Frame) -> types.TracebackType:
    """The traceback of one frame: of a function of this name that takes as much and raises on this line."""
    plain, only, star, stars = ([f"a{i}_{n}" for n in range(len(names))] for i, names in enumerate(frame.arguments))
    behind = [f"*{star[0]}"] if star else ["*"] if only else []
    takes = ", ".join([*plain, *behind, *only, *(f"**{name}" for name in stars)])
    tree = ast.parse("raise stop" if frame.function == "<module>" else f"def function({takes}):\n    raise stop")
    stop = next(node for node in ast.walk(tree) if isinstance(node, ast.Raise))
    # Without columns nothing is underlined, else what was at work there.
    end_line, end_column, column = frame.place or (frame.line, -1, -1)
    nowhere = (frame.first_line, frame.first_line, -1, -1)
    for root, found in ((tree, nowhere), (stop, (frame.line, max(frame.line, end_line), column, end_column))):
        names = ("lineno", "end_lineno", "col_offset", "end_col_offset")
        place = dict(zip(names, (max(1, found[0]), max(1, found[1]), *found[2:]), strict=True))
        for node in ast.walk(root):
            if node._attributes:  # others are shared by all trees
                for name, value in place.items():
                    setattr(node, name, value)
    code = compile(tree, frame.file, "exec")
    taken = tuple(name for part in frame.arguments for name in part)
    inner = next((const for const in code.co_consts if isinstance(const, types.CodeType)), code)
    raising = inner.replace(co_name=frame.function, co_qualname=frame.function)
    given: dict[str, Any] = {"stop": _Stop()}
    if inner is code:
        call: Any = partial(exec, raising, given)
    else:
        unknown = [_Unknown()] * len(plain)
        made = types.FunctionType(raising.replace(co_varnames=taken), given)
        call = partial(made, *unknown, **dict.fromkeys(frame.arguments[1], _Unknown()))
    try:
        call()
    except _Stop as e:
        trace = e.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    return trace


class _Unknown:
    """The value of a name of a frame that is not here."""

    def __repr__(self) -> str:
        return "…"


class _Stop(BaseException):
    """Raised for its traceback only."""
