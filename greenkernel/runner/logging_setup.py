"""Loggers as a notebook has set them up: levels, and handlers that write to stdout or stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Of the kernel itself.
_NOT_THE_USERS = ("ipykernel", "IPKernelApp", "traitlets", "tornado", "asyncio", "jupyter", "Comm", "comm", "parso")
_PLAIN = (logging.NOTSET, False, True, ())


def take(_: Path) -> dict[str, Any]:
    """Loggers that differ from new ones: level, disabled, propagate, and their stream handlers."""
    named = {name: one for name, one in logging.root.manager.loggerDict.items() if isinstance(one, logging.Logger)}
    found = {"": _described(logging.root), **{name: _described(one) for name, one in named.items() if _is_users(name)}}
    found["disable"] = (logging.root.manager.disable,)
    return {name: described for name, described in found.items() if described != _PLAIN}


def put(values: Mapping[str, Any], _: Path) -> None:
    """Set loggers up as described; handlers that write elsewhere than to the two streams stay."""
    for name, described in values.items():
        if name == "disable":
            logging.disable(described[0] if described else logging.NOTSET)
            continue
        level, disabled, propagate, handlers = described or _PLAIN
        logger = logging.getLogger(name or None)
        if _described(logger) == (level, disabled, propagate, handlers):
            continue
        logger.setLevel(level)
        logger.disabled, logger.propagate = disabled, propagate
        if _described(logger)[3] == handlers:
            continue
        for handler in [one for one in logger.handlers if _stream_of(one) is not None]:
            logger.removeHandler(handler)
        for stream, handler_level, text, dates in handlers:
            made = logging.StreamHandler(getattr(sys, stream))
            made.setLevel(handler_level)
            if text is not None:
                made.setFormatter(logging.Formatter(text, dates))
            logger.addHandler(made)


def _described(logger: logging.Logger) -> tuple[Any, ...]:
    handlers = []
    for handler in logger.handlers:
        stream = _stream_of(handler)
        if stream is not None:
            form = handler.formatter
            handlers.append((stream, handler.level, form._fmt if form else None, form.datefmt if form else None))
    return logger.level, logger.disabled, logger.propagate, tuple(handlers)


def _stream_of(handler: logging.Handler) -> str | None:
    if type(handler) is not logging.StreamHandler:
        return None
    if handler.stream is sys.stdout:
        return "stdout"
    return "stderr" if handler.stream in (sys.stderr, sys.__stderr__) else None


def _is_users(name: str) -> bool:
    return name.partition(".")[0] not in _NOT_THE_USERS
