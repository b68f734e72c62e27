"""Says which part of an object cannot travel, in words that name the part and what to do about it."""

from __future__ import annotations

import contextlib
import io
import re
import types
from collections import deque
from collections.abc import Iterator, Mapping

from greenkernel.errors import UserError
from greenkernel.store.pickling import Writer, on_gpu
from greenkernel.store.refused import RefusedError
from greenkernel.store.returned import plain_name

_DEPTH = 8
# So many parts are looked at for one of a type.
_MOST = 20_000
_NAMED = re.compile(r"cannot pickle '([\w.]+)' object")
_CHILDREN = 2000
_ADVICE = {
    "generator": "Make it inside the cell, or turn it into a list first",
    "async_generator": "Make it inside the cell",
    "coroutine": "Call the function inside the cell",
    "lock": "Make the lock inside the cell",
    "RLock": "Make the lock inside the cell",
    "Condition": "Make it inside the cell",
    "Semaphore": "Make it inside the cell",
    "Event": "Make it inside the cell",
    "Thread": "Start the thread inside the cell",
    "Popen": "Start the process inside the cell",
    "socket": "Open the connection inside the cell",
    "Connection": "Open the connection inside the cell",
    "Cursor": "Open the connection inside the cell",
    "frame": "Leave it out",
    "traceback": "Leave it out",
}
_DEFAULT_ADVICE = "Make it inside the cell, or keep it out of what the cell reads"
_ADVICE_ON_RETURN = "Close it or delete the name at the end of the cell, and keep what is needed in another form"


class CannotTravelError(UserError):
    """An object that cannot be pickled; ``name`` is the name that it was to travel under.

    ``needed_by`` is the object that was asked for and needs this one, empty where this one itself was.
    """

    def __init__(self, name: str, what: str, *, what_to_do: str | None = None) -> None:
        self.name = name
        self.needed_by = ""
        super().__init__(what, what_to_do=what_to_do)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (self.name, self.what, self.what_to_do))


def _rebuilt(name: str, what: str, what_to_do: str | None) -> CannotTravelError:
    return CannotTravelError(name, what, what_to_do=what_to_do)


def refusal(
    name: str,
    value: object,
    error: BaseException,
    namespace: Mapping[str, object] | None,
    *,
    needed_by: str | None = None,
    returns: bool = False,
) -> CannotTravelError:
    """The error for an object that could not be pickled.

    Args:
        name: The name that it travels under.
        value: The object.
        error: What the pickler said.
        namespace: The notebook's namespace.
        needed_by: The function that reads the name, where the cell does not read it itself.
        returns: As of `Writer`.
    """
    path, part = culprit(plain_name(name), value, namespace, returns=returns)
    kind = _NAMED.search(str(error))
    if kind is not None and not _is_of(part, kind[1]):
        path, part = _of_kind(plain_name(name), value, kind[1]) or (path, part)
    label, advice = _described(part)
    reader = f" (read by {needed_by})" if needed_by else ""
    said = error.why if isinstance(error, RefusedError) else "" if advice else _first_line(error)
    what = f"{path}{reader} cannot travel, it is {label}{f': {said}' if said else ''}"
    back = _ADVICE_ON_RETURN if returns and not on_gpu(part) else None
    return CannotTravelError(name, what, what_to_do=back or advice or _DEFAULT_ADVICE)


def _described(part: object) -> tuple[str, str | None]:
    """What it is, and what to do about it where there is more to say than of anything else."""
    kind = type(part)
    if isinstance(part, io.IOBase):
        return "an open file", "Open the file inside the cell"
    if on_gpu(part):
        back = "cpu" if kind.__module__.startswith("torch") else "get"
        return (
            f"of type {_kind_name(kind)} in the memory of a GPU, and no site has one",
            f"Bring it back with .{back}() first",
        )
    return f"of type {_kind_name(kind)}", _ADVICE.get(kind.__name__)


def _of_kind(name: str, value: object, kind: str) -> tuple[str, object] | None:
    """The nearest part of a type: among parts that know the whole each one alone cannot travel either."""
    waiting, seen = deque([(name, value)]), {id(value)}
    while waiting and len(seen) < _MOST:
        path, part = waiting.popleft()
        for step, child in _seen_parts(part):
            if _is_of(child, kind):
                return path + step, child
            # Modules travel by name; other mappings than dicts may have to ask a file or a server for what they hold.
            asks = isinstance(child, Mapping) and not isinstance(child, dict)
            if id(child) not in seen and not asks and not isinstance(child, types.ModuleType):
                seen.add(id(child))
                waiting.append((path + step, child))
    return None


def _is_of(value: object, kind: str) -> bool:
    return kind in (type(value).__name__, f"{type(value).__module__}.{type(value).__qualname__}")


def culprit(name: str, value: object, namespace: Mapping[str, object] | None, *, returns: bool) -> tuple[str, object]:
    """The innermost part that cannot be pickled by itself, with the way to it (``conf['db'].lock``)."""
    path, part = name, value
    way = {id(value)}  # parts that know the whole would lead in circles
    for _ in range(_DEPTH):
        for step, child in _seen_parts(part):
            if id(child) not in way and not _travels(child, namespace, returns=returns):
                path, part = path + step, child
                way.add(id(child))
                break
        else:
            break
    return path, part


def _seen_parts(value: object) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    # A container of any library may raise anything when it is read: a file that has been closed, a cursor.
    with contextlib.suppress(Exception):
        found.extend(_parts(value))
    return found


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        steps = ((f"[{_short(key)}]", child) for key, child in list(value.items())[:_CHILDREN])
        yield from steps
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{index}]", child) for index, child in enumerate(list(value)[:_CHILDREN]))
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
    elif isinstance(value, types.FunctionType):
        for cell_name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            try:
                yield f"'s variable {cell_name}", cell.cell_contents
            except ValueError:  # the cell is empty
                continue
        yield from ((f"'s default {index}", child) for index, child in enumerate(value.__defaults__ or ()))
    if isinstance(getattr(value, "__dict__", None), dict):
        yield from ((f".{key}", child) for key, child in list(vars(value).items())[:_CHILDREN])


def _travels(value: object, namespace: Mapping[str, object] | None, *, returns: bool) -> bool:
    try:
        Writer(io.BytesIO(), None, namespace=namespace, returns=returns).dump(value)
    # A reducer of any library may raise anything.
    except Exception:
        return False
    return True


def _short(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "..."


def _kind_name(kind: type) -> str:
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
