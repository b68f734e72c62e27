"""NaNs by number: pickle writes each anew, and what looks for one in a list or dict would not find it any more."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator

# How pickle writes a NaN. Where these bytes are something else, writing once more does no harm.
_WRITTEN = re.compile(re.escape(b"G\x7f\xf8\0\0\0\0\0\0"))
_OF_NUMPY, _OF_MATH = 0, 1


def has_nans(pickled: memoryview) -> bool:
    """Whether there may be a NaN among what was pickled."""
    return _WRITTEN.search(pickled) is not None


class Nans:
    """Those of one payload: numpy's and math's own are the reader's own, others are as many as there were."""

    def __init__(self) -> None:
        self._others: list[float] = []
        self._numbers = {id(nan): number for number, nan in _own()}

    def number(self, nan: float) -> int:
        """The same for the same object."""
        if id(nan) not in self._numbers:
            self._others.append(nan)  # alive, or its ``id`` would be another one's
            self._numbers[id(nan)] = _OF_MATH + len(self._others)
        return self._numbers[id(nan)]

    def numbered(self, number: int) -> float:
        """The object of a number."""
        if number <= _OF_MATH:
            return dict(_own()).get(number, math.nan)
        while len(self._others) < number - _OF_MATH:
            self._others.append(float("nan"))
        return self._others[number - _OF_MATH - 1]


def _own() -> Iterator[tuple[int, float]]:
    """Pandas and scikit-learn use numpy's."""
    yield _OF_MATH, math.nan
    if "numpy" in sys.modules:
        yield _OF_NUMPY, sys.modules["numpy"].nan
