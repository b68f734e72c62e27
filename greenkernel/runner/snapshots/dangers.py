"""What makes a moment worthless to another process: things under way that no name holds."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import FunctionType

from greenkernel.runner.record_code import is_user_code


def danger(cell_thread: int) -> str | None:
    """Why what a cell has computed cannot be gone on with elsewhere just now; None where it can.

    Args:
        cell_thread: The thread that the cell runs in.
    """
    for thread in threading.enumerate():
        target = getattr(thread, "_target", None)
        if thread.ident == cell_thread or thread.name.startswith("greenkernel"):
            continue
        own_run = type(thread).run is not threading.Thread.run and is_user_code(type(thread).__module__)
        if own_run or (isinstance(target, FunctionType) and is_user_code(target.__module__)):
            return f"the thread {thread.name} of the cell is at work"
    processes = sys.modules.get("multiprocessing")
    if processes is not None and any(_is_users(child) for child in processes.active_children()):
        return "a process of the cell is at work"
    return _tasks()


def _is_users(child: object) -> bool:
    """Not a worker of joblib's, which waits for work."""
    return not type(child).__module__.startswith(("joblib.", "loky."))


def _tasks() -> str | None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return "tasks of the cell are under way" if len(asyncio.all_tasks(loop)) > 1 else None
