"""What a slice's process is told. A module of its own: the process's ``__main__`` is the notebook's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenkernel.records import Capture


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which rows a slice keeps.

    Attributes:
        axes: The axis that counts the rows, by name.
        fraction: Part of the rows, in (0, 1]; a smaller part is contained in every larger one.
        seed: Of the rows' order.
        stratify: A name whose values keep their shares.
        groups: A name whose equal values stay together.
        contiguous: Keep the first rows instead of a sample: their order means something.
    """

    axes: Mapping[str, int]
    fraction: float
    seed: int = 0
    stratify: str | None = None
    groups: str | None = None
    contiguous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceJob:
    """What a slice is told first; ``folder`` is its own, ``logical_cores`` is what ``n_jobs=-1`` means.

    ``notebook`` is the notebook's folder, whose files it may read; empty: there is none.
    """

    url: str
    options: dict[str, str]
    key: str
    capture: Capture
    script: str | None
    folder: str
    notebook: str
    cores: int
    logical_cores: int
    file_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceOrder:
    """What a slice is told second: the rows to keep, and counts to set by name."""

    cut: Cut | None = None
    knobs: dict[str, int]
