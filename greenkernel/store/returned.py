"""How a result's payload is laid out: names, the last expression's value, and updates of what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from greenkernel.records import Frame

# Names that a module has of itself: neither sent nor brought back.
OF_THE_INTERPRETER = frozenset(
    {
        *("__builtins__", "__builtin__", "__name__", "__loader__", "__spec__", "__package__", "__file__", "__cached__"),
        *("__path__", "__main__", "__session__", "__warningregistry__"),
    }
)
VALUE = "value"
ORIGIN = "origin"
_NAME = "name "
_UPDATE = "update "
_INNER = "inner "


def name_key(name: str) -> str:
    """The payload's key of a name that the cell bound."""
    return _NAME + name


def update_key(name: str) -> str:
    """The payload's key of the update of the object that was sent under a name."""
    return _UPDATE + name


def inner_name(number: int) -> str:
    """What an object inside of what was sent is called: no name of Python's."""
    return f"#{number}"


def inner_key(number: int, owner: str) -> str:
    """The payload's key of the update of an object inside of the one that was sent under ``owner``."""
    return f"{_INNER}{number} {owner}"


def owner_of(key: str) -> str | None:
    """Under which name the whole was sent whose part a key is of; None for other keys."""
    return key.removeprefix(_INNER).partition(" ")[2] if key.startswith(_INNER) else None


def inner_in(found: dict[str, Any]) -> Iterator[tuple[int, str, Any]]:
    """Number, owner and update of objects inside of what was sent."""
    for key, value in found.items():
        if key.startswith(_INNER):
            number, _, owner = key.removeprefix(_INNER).partition(" ")
            yield int(number), owner, value


def names_in(found: dict[str, Any]) -> dict[str, Any]:
    """Bound names -> values."""
    return {key.removeprefix(_NAME): value for key, value in found.items() if key.startswith(_NAME)}


def updates_in(found: dict[str, Any]) -> dict[str, Any]:
    """Names of sent objects -> their updates."""
    return {key.removeprefix(_UPDATE): value for key, value in found.items() if key.startswith(_UPDATE)}


def plain_name(key: str) -> str:
    """What to call an entry of the payload in a message."""
    if key == VALUE:
        return "the value of the last expression"
    if key.startswith(_INNER):
        return f"a part of {key.removeprefix(_INNER).partition(' ')[2]}"
    return key.removeprefix(_NAME).removeprefix(_UPDATE)


class ModuleName:
    """A module that the cell imported: looked up by name when it is bound.

    Args:
        name: Its full name.
        also: Modules below it that the cell's ``import a.b`` has loaded with it.
    """

    def __init__(self, name: str, also: tuple[str, ...] = ()) -> None:
        self.name = name
        self.also = also


@dataclass(frozen=True, slots=True)
class ImportedName:
    """What ``from module import name`` has bound, where it is known under another name, too.

    Libraries decide by where they are imported what it is: ``from tqdm.auto import tqdm``.
    """

    module: str
    name: str


class Shown:
    """Stands for a value that cannot travel: looks as it did where it was made.

    Args:
        data: Its MIME bundle.
        metadata: The bundle's metadata.
        why: Why the value itself is not here.
    """

    def __init__(self, data: dict[str, Any], metadata: dict[str, Any], why: str) -> None:
        self.data = data
        self.metadata = metadata
        self.why = why

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.data, self.metadata

    def __repr__(self) -> str:
        return str(self.data.get("text/plain", self.why))


@dataclass(frozen=True, slots=True)
class Link:
    """One exception of a chain, as a payload's entry ``chain`` holds them; the first is the one that was raised.

    Attributes:
        error: The exception itself, without traceback and chain.
        frames: Its lines, outermost first.
        cause: Index of its ``__cause__`` in the chain.
        context: Index of its ``__context__``.
        suppressed: Its ``__suppress_context__``.
    """

    error: BaseException
    frames: tuple[Frame, ...]
    cause: int | None
    context: int | None
    suppressed: bool
