"""How a job ended, in words that are the same on every kind of site."""

from __future__ import annotations

import signal

from greenkernel.units import format_bytes

# What a process does to itself.
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGSYS", "SIGTRAP")
# The line of a pod's bootstrap.
_ALL_IS_WELL = "greenkernel: installed "


def out_of_memory(limit_bytes: int, used_bytes: int | None = None) -> str:
    """A job that was killed because it wanted more memory than it was given."""
    limit = format_bytes(limit_bytes)
    used = f"limit {limit}" if used_bytes is None else f"used {format_bytes(used_bytes)} of {limit}"
    return f"out of memory: {used}"


def killed_by(number: int) -> str:
    """A job that a signal ended which its site did not send."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"crashed ({name})" if name in _CRASHES else f"killed from outside ({name})"


def said_last(output: str) -> str:
    """The last line of a job's output behind a colon, or nothing; at most 300 characters.

    What a start that went well has said explains nothing and is left out.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith(_ALL_IS_WELL)]
    return f": {lines[-1][-300:]}" if lines else ""
