"""What works between threads and processes comes home as a new one: locks, queues, threads that have ended.

Whoever else used it has ended with the cell's process. Only on the way back: a cell that reads a lock of the notebook's
would not share it with the notebook.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from greenkernel.store.refused import RefusedError

_LOCK, _R_LOCK = type(threading.Lock()), type(threading.RLock())


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to make one that is as this; None for everything else, and for what is held by a certain thread."""
    if kind is _LOCK:
        return _lock, (value.locked(),)
    if kind is _R_LOCK:  # older Pythons tell only so
        return (threading.RLock, ()) if repr(value).startswith("<unlocked") else None
    if kind is queue.SimpleQueue:
        return _simple_queue, (_items(value),)
    if isinstance(value, threading.Thread):
        if value.is_alive():
            raise RefusedError(value, "at work when the cell ends")
        return (_thread, (kind,), _without_clockwork(value)) if value.ident else None
    if (program := sys.modules.get("subprocess")) is not None and isinstance(value, program.Popen):
        if value.poll() is None:
            raise RefusedError(value, "at work when the cell ends, and is ended with it")
        return None
    if kind.__module__ == "multiprocessing.queues" and kind.__name__ in ("Queue", "SimpleQueue"):
        return _process_queue, (kind.__name__, getattr(value, "_maxsize", None), _items(value))
    if kind.__module__ in ("multiprocessing.synchronize", "multiprocessing.sharedctypes"):
        return _of_processes(value, kind)
    if (process := sys.modules.get("multiprocessing.process")) is not None and isinstance(value, process.BaseProcess):
        return _ended_process(value, kind)
    return None


def _lock(locked: bool) -> Any:
    made = threading.Lock()
    if locked:
        made.acquire()
    return made


def _items(value: Any) -> list[Any]:
    """What is in it, which it tells only who takes it out."""
    items = []
    wait = (
        {} if type(value).__module__ == "multiprocessing.queues" and not hasattr(value, "_maxsize") else {"timeout": 1}
    )
    while not value.empty():  # somebody else may take the last one meanwhile: that is no reason to wait for ever
        items.append(value.get(**wait))
    for item in items:
        value.put(item)
    return items


def _simple_queue(items: list[Any]) -> queue.SimpleQueue[Any]:
    made: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for item in items:
        made.put(item)
    return made


# What a thread is moved by.
_CLOCKWORK = ("_started", "_tstate_lock", "_handle", "_os_thread_handle", "_invoke_excepthook", "_stderr", "_context")


def _without_clockwork(thread: threading.Thread) -> dict[str, Any]:
    return {name: part for name, part in vars(thread).items() if name not in _CLOCKWORK}


def _thread(kind: type[threading.Thread]) -> threading.Thread:
    """A thread that has ended: one of nothing that did; its name, number and own attributes are put into it."""
    ended = threading.Thread()
    ended.start()
    ended.join()
    made = kind.__new__(kind)
    vars(made).update({name: part for name, part in vars(ended).items() if name in _CLOCKWORK})
    return made


def _of_processes(value: Any, kind: type) -> tuple[Any, ...] | None:
    name = kind.__name__
    if kind.__module__.endswith(".sharedctypes"):
        if name == "Synchronized":
            return _made, ("Value", type(value.get_obj()), value.value)
        if name in ("SynchronizedArray", "SynchronizedString"):
            return _made, ("Array", type(value.get_obj())._type_, list(value.get_obj()))
    elif name == "Event":
        return _event, (value.is_set(),)
    elif name == "Condition":
        return _made, (name, value._lock)
    elif name in ("Lock", "RLock"):
        return (_made, (name,)) if value._semlock._get_value() else None
    elif name in ("Semaphore", "BoundedSemaphore"):
        return _made, (name, value._semlock._get_value())
    return None


def _made(name: str, *args: Any) -> Any:
    import multiprocessing

    make: Callable[..., Any] = getattr(multiprocessing, name)
    return make(*args)


def _process_queue(name: str, most: int | None, items: list[Any]) -> Any:
    made = _made(name, *(() if most is None else (most,)))
    for item in items:
        made.put(item)
    return made


def _event(is_set: bool) -> Any:
    made = _made("Event")
    if is_set:
        made.set()
    return made


# What is of the process that has started it.
_PROCESS_ONLY = ("_config", "_popen", "_parent_pid", "_parent_name", "_sentinel")


class _Over:
    """In place of what moved a process: how it has ended."""

    def __init__(self, pid: int, returncode: int | None) -> None:
        self.pid = pid
        self.returncode = returncode
        self.sentinel = -1

    def poll(self, *_: Any) -> int | None:
        """The exit code."""
        return self.returncode

    wait = poll


def _ended_process(value: Any, kind: type) -> tuple[Any, ...] | None:
    popen = value._popen
    if popen is None or value._parent_pid != os.getpid() or value.is_alive():
        return None
    parts = {name: part for name, part in vars(value).items() if name not in _PROCESS_ONLY}
    return _process, (kind, _Over(popen.pid, popen.returncode)), parts


def _process(kind: Any, popen: _Over) -> Any:
    import multiprocessing

    made: Any = kind.__new__(kind)
    here = multiprocessing.current_process()
    new = vars(multiprocessing.Process())
    vars(made).update({name: new[name] for name in _PROCESS_ONLY if name in new}, _popen=popen, _parent_name=here.name)
    return made
