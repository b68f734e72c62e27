"""The one table of options: magic, command line and Python API all read it, so there is no second spelling."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal, NoReturn

from greenkernel.errors import NotBuiltYetError, UserError
from greenkernel.records import Knob, RowsHint
from greenkernel.units import format_bytes, format_duration, parse_bytes, parse_duration_s

# A Python with the runner alone takes about half of it.
_LEAST_MEMORY_BYTES = 128 << 20
_MOST_CORES = 4096
_FARTHEST = timedelta(days=3660)

Kind = Literal["flag", "value", "list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option. ``parse`` takes the text, or the Python value that the API was given, and returns what is kept.

    One of the front's own is for the magic and the command line; the API has another way, which ``front`` says.
    """

    name: str
    kind: Kind
    help: str
    metavar: str = ""
    parse: Callable[[Any], Any] = str
    built: bool = True
    front: str = ""

    @property
    def dest(self) -> str:
        """The keyword of the Python API."""
        return self.name.replace("-", "_")


def parse_cores(value: Any) -> tuple[int, int]:
    """``2``, ``"2"`` or ``"1-4"`` -> (least, most)."""
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", str(value))
    least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= least <= most <= _MOST_CORES:
        raise UserError(
            f"{value!r} is no number of cores",
            where="--cores",
            what_to_do=f"Write a number or a range of at most {_MOST_CORES}, such as 2 or 1-4",
        )
    return least, most


def parse_memory(value: Any) -> int:
    """``"4GiB"`` or bytes -> bytes."""
    found = int(value) if isinstance(value, int) else parse_bytes(str(value))
    if found < _LEAST_MEMORY_BYTES:
        least = format_bytes(_LEAST_MEMORY_BYTES)
        raise UserError(f"{value!r} is too little", where="--memory", what_to_do=f"A job needs at least {least}")
    return found


def parse_rows(value: Any) -> RowsHint:
    """``"X:1"`` -> name and axis."""
    name, _, axis = str(value).strip().partition(":")
    if not name.isidentifier() or (axis and not axis.isdigit()):
        raise UserError(f"{value!r} names no rows", where="--rows", what_to_do="Write NAME or NAME:AXIS, such as X,y:0")
    return RowsHint(name=name, axis=int(axis or 0))


def parse_knob(value: Any) -> Knob:
    """``"trees=10,30"`` -> name and the values for slices."""
    name, _, values = str(value).strip().partition("=")
    parts = [part.strip() for part in values.split(",") if part.strip()]
    if not name.isidentifier() or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(
            f"{value!r} is no knob", where="--knob", what_to_do="Write NAME or NAME=VALUES, such as trees=10,30"
        )
    return Knob(name=name, values=tuple(int(part) for part in parts))


def _choice(name: str, *choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if str(value) not in choices:
            raise UserError(f"{value!r} is not known", where=f"--{name}", what_to_do=f"Use one of {', '.join(choices)}")
        return str(value)

    return parse


def _same(value: Any) -> Any:
    return value


OPTIONS: tuple[Option, ...] = (
    Option(
        name="due",
        kind="value",
        metavar="WHEN",
        help="when the result must be there: 18:00, +3h, or ISO 8601",
        parse=_same,
    ),
    Option(
        name="goal",
        kind="value",
        metavar="GOAL",
        help="what to keep low: co2 (default), energy, cost or time",
        parse=_choice("goal", "co2", "energy", "cost", "time"),
    ),
    Option(name="site", kind="list", metavar="NAME", help="only this site; may be given several times"),
    Option(name="where", kind="value", metavar="EXPR", help="only sites for which EXPR holds", built=False),
    Option(name="cores", kind="value", metavar="N|N-M", help="cores, or a range of them", parse=parse_cores),
    Option(name="memory", kind="value", metavar="SIZE", help="memory limit, such as 4GiB", parse=parse_memory),
    Option(name="gpu", kind="value", metavar="N", help="GPUs", parse=int, built=False),
    Option(name="needs", kind="list", metavar="RESOURCE=N", help="other resources of a site", built=False),
    Option(
        name="rows",
        kind="list",
        metavar="X[:AXIS],Y",
        help="names whose axis counts the rows, for slices",
        parse=parse_rows,
    ),
    Option(
        name="knob",
        kind="list",
        metavar="NAME[=A,B]",
        help="a count that slices may set lower, such as trees=10,30",
        parse=parse_knob,
    ),
    Option(name="no-profile", kind="flag", help="do not run slices; the prediction is then a wide default"),
    Option(name="files", kind="list", metavar="GLOB", help="data files that travel too, below the working folder"),
    Option(name="env", kind="list", metavar="NAME", help="environment variables that travel too"),
    Option(name="data-stays", kind="value", metavar="REGION", help="data must not leave REGION", built=False),
    Option(
        name="move",
        kind="value",
        metavar="POLICY",
        help="auto (default): move the running cell when it pays; ask: propose it, stay without an answer; never: stay",
        parse=_choice("move", "auto", "ask", "never"),
    ),
    Option(name="auto", kind="flag", help="take the recommended site without asking", front="Give auto=True"),
    Option(name="wait", kind="flag", help="block until the run has ended, also in a notebook", front="Give wait=True"),
    Option(name="dry-run", kind="flag", help="everything up to the choice; nothing is shipped"),
    Option(name="name", kind="value", metavar="TEXT", help="a name for lists and receipts"),
    Option(name="out", kind="list", metavar="NAMES", help="only these names come back"),
    Option(
        name="json",
        kind="value",
        metavar="FILE",
        help="write the receipt as JSON",
        front="Write run.receipt.to_json() into the file when the run has ended",
    ),
)
_BY_DEST = {option.dest: option for option in OPTIONS}
_SPLIT = {"rows", "site", "files", "env", "out"}


class Parser(argparse.ArgumentParser):
    """argparse whose mistakes are `UserError`s with the nearest right spelling."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._negative_number_matcher = re.compile(r"-\d")  # -1h is no option, and may be a value

    def error(self, message: str) -> NoReturn:
        """Translate argparse's complaint."""
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        if unknown:
            # A mistake behind a sub-command is reported by the parser before it, which does not know its options.
            mine = {string for string in self._option_string_actions if string.startswith("--")}
            known = sorted(mine | {f"--{option.name}" for option in OPTIONS})
            name = unknown[1].split("=")[0]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
            advice = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}"
            if name in known:
                advice = "It is one of another command"
            elif self.epilog and not near:
                advice = self.epilog if not name.startswith("-") else f"{advice}. {self.epilog}"
            raise UserError(f"{unknown[1]} is not an option", what_to_do=advice)
        raise UserError(message[:1].lower() + message[1:], what_to_do=f"See {self.prog} --help for how it is used")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add every option of the table to a parser; values stay text until `resolve`."""
    for option in OPTIONS:
        text = option.help.replace("%", "%%") + ("" if option.built else " (not built yet: refused)")
        if option.kind == "flag":
            parser.add_argument(f"--{option.name}", dest=option.dest, action="store_true", default=None, help=text)
        else:
            action: Any = "append" if option.kind == "list" else "store"
            parser.add_argument(
                f"--{option.name}", dest=option.dest, action=action, metavar=option.metavar, default=None, help=text
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options as given, checked; what was not given is None, empty or False."""

    due: str | datetime | timedelta | None = None
    goal: str | None = None
    site: tuple[str, ...] = ()
    cores: tuple[int, int] | None = None
    memory: int | None = None
    rows: tuple[RowsHint, ...] = ()
    knob: tuple[Knob, ...] = ()
    no_profile: bool = False
    files: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    move: str | None = None
    dry_run: bool = False
    name: str | None = None
    out: tuple[str, ...] = ()


def resolve(given: Mapping[str, Any]) -> Wanted:
    """Check and convert options by their API names; None means: not given.

    Raises:
        UserError: An unknown option or a value that cannot be.
        NotBuiltYetError: An option that is planned but does not work yet.
    """
    kept: dict[str, Any] = {}
    for dest, value in given.items():
        option = _BY_DEST.get(dest)
        if option is None:
            near = difflib.get_close_matches(dest, _BY_DEST, n=1)
            advice = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(_BY_DEST)}"
            raise UserError(f"{dest!r} is not an option", what_to_do=advice)
        if value is None or value is False or value in ((), []):
            continue
        if option.front:
            raise UserError(f"{dest!r} is an option of the magic and the command line", what_to_do=option.front)
        if not option.built:
            raise NotBuiltYetError(f"--{option.name} is not built yet", what_to_do="Leave it out")
        kept[dest] = _converted(option, value)
    useless = [f"--{dest}" for dest in ("rows", "knob") if dest in kept and "no_profile" in kept]
    if useless:
        raise UserError(
            f"{' and '.join(useless)} say how slices are made, and --no-profile that none are",
            what_to_do="Leave one of them out",
        )
    return Wanted(**kept)


def _converted(option: Option, value: Any) -> Any:
    if option.kind == "flag":
        return bool(value)
    try:
        if option.kind == "value":
            return option.parse(value)
        parts: Sequence[Any] = [value] if isinstance(value, str) else list(value)
        if option.name in _SPLIT:
            parts = [piece for part in parts for piece in str(part).split(",") if piece.strip()]
        return tuple(option.parse(part.strip() if isinstance(part, str) else part) for part in parts)
    except UserError as e:
        if e.where is not None:
            raise
        raise UserError(e.what, where=f"--{option.name}", what_to_do=e.what_to_do) from e
    except (TypeError, ValueError) as e:
        raise UserError(f"{value!r} cannot be used ({e})", where=f"--{option.name}") from e


def due_at(due: str | datetime | timedelta | None, *, now: datetime, zone: tzinfo | None) -> datetime | None:
    """A due date in UTC.

    Args:
        due: ``18:00`` (the next one), ``+3h``, ISO 8601, or Python's own types; None for no due date.
        now: The present, aware.
        zone: The zone of times that name none; None: the machine's.

    Raises:
        UserError: It cannot be read, or lies in the past.
    """
    if due is None:
        return None
    try:
        when = _due(due, now.astimezone(zone))
        too_far = when - now > _FARTHEST
    except OverflowError:
        too_far = True
    if too_far:
        raise UserError(f"{due} is too far away", where="--due", what_to_do="Give a time within ten years")
    if when <= now:
        raise UserError(
            f"{when.astimezone(zone):%Y-%m-%d %H:%M %Z} has passed",
            where="--due",
            what_to_do="Give a time to come, such as +2h",
        )
    return when.astimezone(UTC)


def _due(due: str | datetime | timedelta, here: datetime) -> datetime:
    if isinstance(due, timedelta):
        return here + due
    if isinstance(due, datetime):
        return due if due.tzinfo is not None else due.replace(tzinfo=here.tzinfo)
    text = str(due).strip()
    clock = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if clock and int(clock[1]) < 24 and int(clock[2]) < 60:
        when = here.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return when if when > here else when + timedelta(days=1)
    try:
        if text.startswith("+"):
            return here + timedelta(seconds=parse_duration_s(text[1:]))
        found = datetime.fromisoformat(text)
    except (UserError, ValueError) as e:
        raise UserError(
            f"{text!r} is no due date", where="--due", what_to_do="Write 18:00, +3h or 2026-05-01T18:00"
        ) from e
    return found if found.tzinfo is not None else found.replace(tzinfo=here.tzinfo)


def describe_due(due: datetime, *, now: datetime, zone: tzinfo | None) -> str:
    """A due date with its date, its zone and how far away it is."""
    left_s = (due - now).total_seconds()
    how_far = f"in {format_duration(left_s)}" if left_s >= 0 else f"{format_duration(-left_s)} ago"
    return f"{due.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}, {how_far}"
