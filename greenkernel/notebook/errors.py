"""A cell's exception, shown as IPython shows it after a plain cell: on the cell's own lines, without frames of ours."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

_OURS = Path(__file__).parents[1]


def name_cell(shell: Any, file_name: str, number: int) -> None:
    """Let the lines of a cell's code be shown as those of ``In[number]``."""
    names = getattr(shell.compile, "_filename_map", None)
    if isinstance(names, dict):  # it is IPython's own affair
        names[file_name] = number


def show_as_plain(shell: Any, error: BaseException) -> None:
    """Let IPython show an exception that is about to be raised out of a magic without the frames of that.

    Where the user shows exceptions of this kind in a way of the notebook's own, it stays so.
    """
    if isinstance(error, shell.custom_exceptions):
        return
    before = shell.custom_exceptions, shell.CustomTB

    def restore() -> None:
        shell.custom_exceptions, shell.CustomTB = before
        shell.events.unregister("post_run_cell", restored)

    def restored(*_: object) -> None:  # it was not raised as far as IPython
        restore()

    def shown(_: Any, kind: type[BaseException], raised: BaseException, trace: TracebackType, **__: Any) -> None:
        restore()
        own = cells_own(raised.__traceback__)
        # The first frame is IPython's own, which it leaves out.
        raised.__traceback__ = TracebackType(own, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)
        shell.showtraceback((kind, raised, raised.__traceback__), running_compiled_code=own is not None)

    shell.set_custom_exc((type(error),), shown)
    shell.events.register("post_run_cell", restored)


def lines_of(shell: Any, error: BaseException) -> list[str]:
    """An exception that was never raised here, as IPython would show it."""
    kind, trace = type(error), error.__traceback__
    if hasattr(error, "_render_traceback_"):
        return list(error._render_traceback_())
    if isinstance(error, SyntaxError):
        return list(shell.SyntaxTB.structured_traceback(kind, error, traceback.extract_tb(trace)))
    if isinstance(error, BaseExceptionGroup):
        return "".join(traceback.format_exception(error)).splitlines()
    return list(shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset=0))


def remember(error: BaseException) -> None:
    """``%tb`` and ``%debug`` are about the last exception that was shown."""
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error


def cells_own(found: TracebackType | None) -> TracebackType | None:
    """The frames below the last one of ours."""
    own = found
    while found is not None:
        own = found.tb_next if Path(found.tb_frame.f_code.co_filename).is_relative_to(_OURS) else own
        found = found.tb_next
    return own
