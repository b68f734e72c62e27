"""What could be pickled, but must not travel."""

from __future__ import annotations


class RefusedError(Exception):
    """An object that could be pickled but would not be the same thing elsewhere: ``value``, and ``why`` in words."""

    def __init__(self, value: object, why: str = "") -> None:
        super().__init__(f"{type(value).__name__} cannot travel{f', {why}' if why else ''}")
        self.value = value
        self.why = why
