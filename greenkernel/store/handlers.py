"""Handlers of loggers: where a logger has one, the logger's own is meant, here as there.

Loggers are set up apart from the names (`runner.logging_setup`), earlier or later: whoever comes first makes the
handler, the other takes that one.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

# Of the process it is in.
_OWN = ("lock", "stream", "baseFilename", "_builtin_open")
_KINDS = (logging.StreamHandler, logging.FileHandler)
Place = tuple[str, str, int]
# What names hold, until the loggers are set up.
_made: WeakValueDictionary[Place, logging.Handler] = WeakValueDictionary()


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to find or rebuild a logger's handler that writes to one of the two streams or a file; None for all else."""
    if kind not in _KINDS or (place := _place_of(value)) is None:
        return None
    file = (value.baseFilename, value.mode, value.encoding) if kind is logging.FileHandler else None
    return _handler, (place, file, settings(value))


def is_loggers(value: object) -> bool:
    """True for a handler that `reduced` knows."""
    return type(value) in _KINDS and _place_of(cast("logging.Handler", value)) is not None


def settings(handler: logging.Handler) -> dict[str, Any]:
    """Its level, format and filters."""
    return {name: part for name, part in vars(handler).items() if name not in _OWN}


def put_settings(handler: logging.Handler, content: dict[str, Any]) -> bool:
    """Give a handler what `settings` has taken of another."""
    vars(handler).update(content)
    return True


def waiting(place: Place) -> logging.Handler | None:
    """The handler that names hold, for a logger that has none at this place yet."""
    return _made.pop(place, None)


def places(logger: logging.Logger) -> list[tuple[logging.Handler, Place]]:
    """A logger's handlers that can be told: its name, what they write to, how many of these came before."""
    seen: dict[str, int] = {}
    found = []
    for handler in logger.handlers:
        if (target := _target(handler)) is not None:
            number = seen.get(target, 0)
            seen[target] = number + 1
            found.append((handler, (logger.name, target, number)))
    return found


def next_place(logger: logging.Logger, target: str) -> Place:
    """The place of the handler that is added to a logger next."""
    return logger.name, target, sum(there[1] == target for _, there in places(logger))


def _place_of(handler: logging.Handler) -> Place | None:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    owners = [one for one in loggers if isinstance(one, logging.Logger) and handler in one.handlers]
    return next((place for one in owners for known, place in places(one) if known is handler), None)


def _target(handler: logging.Handler) -> str | None:
    if type(handler) is logging.FileHandler:
        return Path(handler.baseFilename).name
    if type(handler) is not logging.StreamHandler:
        return None
    for name in ("stdout", "stderr"):
        # The cell's own stream, when it has ended, is known by its name only.
        if handler.stream is getattr(sys, name) or getattr(handler.stream, "name", None) == f"<{name}>":
            return name
    return None


def _handler(place: Place, file: tuple[str, str, str | None] | None, content: dict[str, Any]) -> logging.Handler:
    name, target, _ = place
    known = {there: handler for handler, there in places(logging.getLogger(name))}
    if place in known:
        return known[place]
    made: logging.Handler = (
        logging.StreamHandler(getattr(sys, target)) if file is None else logging.FileHandler(*file, delay=True)
    )
    put_settings(made, content)
    _made[place] = made
    return made
