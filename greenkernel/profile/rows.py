"""Which names of a cell count its rows: decided from light descriptions, or refused with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenkernel.errors import UserError
from greenkernel.records import RowsHint

_ROW_KINDS = frozenset({"array", "frame", "series", "sparse", "list", "tuple"})
_LEAST_ITEMS = 200  # shorter lists are settings more often than data
_LEAST_ROWS = 64
_RIVAL_SHARE = 0.2
_CLASSES_MOST = 50
_TARGETS = ("y", "target", "targets", "label", "labels", "classes")
_GROUPS = ("groups", "group", "group_ids", "group_id")
_KEPT_WHOLE = ("test", "val", "valid", "validation", "holdout", "eval")
_OVERRIDE = "say which with --rows, such as --rows X,y or --rows X:1,y"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameInfo:
    """What a slice's process tells of one name.

    Attributes:
        name: The name.
        kind: ``array``, ``frame``, ``series``, ``sparse``, ``list``, ``tuple``, ``int`` or ``other``.
        shape: Length along each axis; empty where there is none.
        bytes: About how large it is.
        distinct: Different values of something with one axis; None where they cannot be compared.
        time_index: Its rows are points in time.
        value: Of an ``int``.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    bytes: int = 0
    distinct: int | None = None
    time_index: bool = False
    value: int | None = None

    @property
    def length(self) -> int:
        """Length along the first axis."""
        return self.shape[0] if self.shape else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The names that are cut together, and how.

    Attributes:
        names: Names and the axis that counts the rows.
        total: Rows of the whole cell.
        stratify: A name whose values keep their shares in every slice.
        classes: Different values of that name; 1 without.
        groups: A name whose equal values stay together.
        contiguous: The order of the rows means something: slices are their beginning.
    """

    names: tuple[RowsHint, ...]
    total: int
    stratify: str | None = None
    classes: int = 1
    groups: str | None = None
    contiguous: bool = False

    @property
    def text(self) -> str:
        """What was decided, in words."""
        names = ", ".join(f"{hint.name}:{hint.axis}" if hint.axis else hint.name for hint in self.names)
        how = f", shares of {self.stratify} kept" if self.stratify else ""
        how += f", equal {self.groups} kept together" if self.groups else ""
        how += ", from the beginning since order matters" if self.contiguous else ""
        return f"rows: {names} ({self.total}{how})"


def find_rows(infos: Sequence[NameInfo], hints: Sequence[RowsHint], python: str) -> Rows | str:
    """The names that count the rows, or why none can be told.

    Args:
        infos: Every captured name.
        hints: What the user has said; then nothing is guessed.
        python: The cell.

    Raises:
        UserError: A hint names something that has no such axis, or their lengths differ.
    """
    if hints:
        return _with_rules(tuple(hints), _hinted(infos, hints), infos, python)
    members = _dominant(infos)
    if isinstance(members, str):
        return members
    total = members[0].length
    reason = _doubt(members, infos)
    if reason is not None:
        return reason
    if total < _LEAST_ROWS:
        return f"too few rows to slice: {members[0].name} has {total}"
    return _with_rules(tuple(RowsHint(name=info.name) for info in members), total, infos, python)


def _hinted(infos: Sequence[NameInfo], hints: Sequence[RowsHint]) -> int:
    known = {info.name: info for info in infos}
    names = ", ".join(sorted(info.name for info in infos if info.kind in _ROW_KINDS))
    lengths: dict[str, int] = {}
    for hint in hints:
        info = known.get(hint.name)
        if info is None:
            raise UserError(
                f"the cell reads no {hint.name!r}",
                where="--rows",
                what_to_do=f"Use one of {names}" if names else "It reads nothing that has rows",
            )
        if info.kind not in _ROW_KINDS or hint.axis >= len(info.shape):
            raise UserError(f"{hint.name} has no axis {hint.axis}", where="--rows", what_to_do="Name another axis")
        lengths[hint.name] = info.shape[hint.axis]
    if len(set(lengths.values())) > 1:
        found = " and ".join(f"{name} has {length}" for name, length in lengths.items())
        raise UserError(f"rows of unequal length: {found}", where="--rows", what_to_do="Name what is cut together")
    return next(iter(lengths.values()))


def _dominant(infos: Sequence[NameInfo]) -> list[NameInfo] | str:
    """The members of the one length to which most bytes belong."""
    groups: dict[int, list[NameInfo]] = {}
    for info in infos:
        least = _LEAST_ITEMS if info.kind in ("list", "tuple") else 1
        if info.kind in _ROW_KINDS and info.length >= least:
            groups.setdefault(info.length, []).append(info)
    if not groups:
        return f"no rows found: the cell reads no array, frame or list of {_LEAST_ITEMS} items; {_OVERRIDE}"
    by_bytes = sorted(groups.values(), key=lambda group: sum(info.bytes for info in group), reverse=True)
    rivals = [group for group in by_bytes[1:] if _bytes(group) >= _RIVAL_SHARE * _bytes(by_bytes[0])]
    if not rivals:
        return by_bytes[0]
    # A held-out part is evaluated whole, whatever the rows that are learnt from.
    learnt = [group for group in (by_bytes[0], *rivals) if not all(_is_held_out(info.name) for info in group)]
    if len(learnt) == 1:
        return learnt[0]
    names = " or ".join(f"{group[0].name} ({group[0].length})" for group in (by_bytes[0], *rivals))
    return f"rows are ambiguous: {names}; {_OVERRIDE}"


def _doubt(members: Sequence[NameInfo], infos: Sequence[NameInfo]) -> str | None:
    """Why cutting the first axis of these members could be wrong."""
    rows = members[0].length
    for info in members:
        if len(info.shape) > 1 and info.shape[1] == rows:
            return f"{info.name} is square ({rows} x {rows}): its rows cannot be cut alone; {_OVERRIDE}"
    if any(len(info.shape) == 1 for info in members):
        return None
    flat = [info for info in infos if len(info.shape) == 1 and info.kind in _ROW_KINDS]
    for info in members:
        across = [other for other in flat if other.length in info.shape[1:] and other.length > rows]
        if across:
            return (
                f"{info.name} may have its rows on another axis ({across[0].name} has {across[0].length}); {_OVERRIDE}"
            )
    return None


def _with_rules(names: tuple[RowsHint, ...], total: int, infos: Sequence[NameInfo], python: str) -> Rows:
    known = {info.name: info for info in infos}
    flat = [known[hint.name] for hint in names if len(known[hint.name].shape) == 1]
    groups = next((info.name for info in flat if info.name.lower() in _GROUPS), None)
    in_order = "TimeSeriesSplit" in python or any(known[hint.name].time_index for hint in names)
    classes = [info for info in flat if info.distinct is not None and 1 < info.distinct <= _CLASSES_MOST]
    named = [info for info in classes if info.name.lower().split("_")[0] in _TARGETS]
    chosen = next(iter([*named, *classes]), None) if not in_order and groups is None else None
    return Rows(
        names=names,
        total=total,
        stratify=chosen.name if chosen else None,
        classes=(chosen.distinct or 1) if chosen else 1,
        groups=None if in_order else groups,
        contiguous=in_order,
    )


def _is_held_out(name: str) -> bool:
    return any(part in _KEPT_WHOLE for part in name.lower().split("_"))


def _bytes(group: Sequence[NameInfo]) -> int:
    return sum(info.bytes for info in group)
