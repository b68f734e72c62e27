"""Loggers as a notebook has set them up: levels, and handlers that write to stdout, stderr or a file of its folder."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greenkernel.store.handlers import next_place, places, waiting

# Of the kernel itself.
_NOT_THE_USERS = ("ipykernel", "IPKernelApp", "traitlets", "tornado", "asyncio", "jupyter", "Comm", "comm", "parso")
_FILE = "file "
_HANDLERS_OF_USERS = ("__main__", "logging.handlers")
_PLAIN = (logging.NOTSET, False, True, ())


def take(root: Path) -> dict[str, Any]:
    """Loggers that differ from new ones: level, disabled, propagate, and their handlers.

    Args:
        root: The notebook's folder; files below it are named relative to it.
    """
    found = {name: _described(one, root) for name, one in _loggers().items()}
    found["disable"] = (logging.root.manager.disable,)
    return {name: described for name, described in found.items() if described != _PLAIN}


def files(root: Path) -> list[str]:
    """Files below a folder that loggers write to, relative to it."""
    handlers = [handler for logger in _loggers().values() for handler in logger.handlers]
    places = [_place_of(handler, root) for handler in handlers]
    return [place.removeprefix(_FILE) for place in places if place is not None and place.startswith(_FILE)]


def left_here(root: Path) -> list[str]:
    """Handlers that do not travel, with the names of their loggers: what a cell logs does not reach them."""
    return [
        f"{type(handler).__name__} of logger {name or 'root'}"
        for name, logger in _loggers().items()
        for handler in logger.handlers
        if _is_users_handler(handler) and _place_of(handler, root) is None
    ]


def put(values: Mapping[str, Any], root: Path) -> None:
    """Set loggers up as described; handlers that write elsewhere stay."""
    for name, described in values.items():
        if name == "disable":
            logging.disable(described[0] if described else logging.NOTSET)
            continue
        level, disabled, propagate, handlers = described or _PLAIN
        logger = logging.getLogger(name or None)
        if _described(logger, root) == (level, disabled, propagate, handlers):
            continue
        logger.setLevel(level)
        logger.disabled, logger.propagate = disabled, propagate
        if _described(logger, root)[3] == handlers:
            continue
        mine = {there: one for one, there in places(logger) if _place_of(one, root) is not None}
        for handler in mine.values():
            logger.removeHandler(handler)
        for place, encoding, handler_level, text, dates in handlers:
            there = next_place(logger, Path(place.removeprefix(_FILE)).name)
            # The notebook may hold the one that it has, or that has just come back.
            handler = _writing_to(place, encoding, root, mine.get(there) or waiting(there))
            handler.setLevel(handler_level)
            if (text, dates) != _words(handler):
                handler.setFormatter(None if text is None else logging.Formatter(text, dates))
            logger.addHandler(handler)


def _is_users_handler(handler: logging.Handler) -> bool:
    kept = type(handler) is logging.StreamHandler and isinstance(handler.stream, io.StringIO)
    return kept or type(handler) is logging.FileHandler or type(handler).__module__ in _HANDLERS_OF_USERS


def _writing_to(place: str, encoding: str | None, root: Path, known: logging.Handler | None) -> logging.Handler:
    if place.startswith(_FILE):
        file = str(root / place.removeprefix(_FILE))
        made = known if isinstance(known, logging.FileHandler) else logging.FileHandler(file, "a", encoding, delay=True)
        made.baseFilename = file
        return made
    stream = known if isinstance(known, logging.StreamHandler) else logging.StreamHandler()
    stream.setStream(getattr(sys, place))
    return stream


def _loggers() -> dict[str, logging.Logger]:
    named = {name: one for name, one in logging.root.manager.loggerDict.items() if isinstance(one, logging.Logger)}
    return {"": logging.root, **{name: one for name, one in named.items() if _is_users(name)}}


def _described(logger: logging.Logger, root: Path) -> tuple[Any, ...]:
    handlers = []
    for handler in logger.handlers:
        place = _place_of(handler, root)
        if place is not None:
            handlers.append((place, getattr(handler, "encoding", None), handler.level, *_words(handler)))
    return logger.level, logger.disabled, logger.propagate, tuple(handlers)


def _words(handler: logging.Handler) -> tuple[str | None, str | None]:
    form = handler.formatter
    return (form._fmt, form.datefmt) if form else (None, None)


def _place_of(handler: logging.Handler, root: Path) -> str | None:
    """Where a handler writes: one of the two streams, or a file below the folder."""
    if type(handler) is logging.FileHandler:
        file = Path(handler.baseFilename).resolve()
        return f"{_FILE}{file.relative_to(root).as_posix()}" if file.is_relative_to(root) else None
    if type(handler) is not logging.StreamHandler:
        return None
    if handler.stream is sys.stdout:
        return "stdout"
    return "stderr" if handler.stream in (sys.stderr, sys.__stderr__) else None


def _is_users(name: str) -> bool:
    return name.partition(".")[0] not in _NOT_THE_USERS
