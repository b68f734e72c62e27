"""Amounts as Kubernetes writes them, such as ``500m`` cores or ``2Gi``."""

from __future__ import annotations

import re

_FORM = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)")
_FACTORS = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    **{letter: 1000.0**power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)},
}


def quantity(text: str | float) -> float:
    """The number behind an amount.

    Raises:
        ValueError: It is not an amount.
    """
    form = _FORM.fullmatch(str(text).strip())
    if form is None or form[2] not in _FACTORS:
        raise ValueError(f"{text!r} is not an amount")
    return float(form[1]) * _FACTORS[form[2]]
