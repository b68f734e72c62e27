"""Classes of the notebook made anew, without what making them for the first time did.

Their own metaclasses and ``__init_subclass__`` have left their marks already, in what travels: a registry has its
entry. Run again, they would see a class without attributes, or names that are not there yet.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic

_HOOK = "__init_subclass__"


def skeleton(kind: Any, name: str, bases: tuple[Any, ...], given: Mapping[str, Any]) -> type:
    """A class without its attributes.

    Args:
        kind: Its metaclass.
        name: Its name.
        bases: Its bases, as they are written: ``Generic[T]`` is no class.
        given: What must be there from the beginning, such as ``__slots__``.
    """
    # Metaclasses of libraries do what their classes need; a TypedDict's refuses everything but a class statement.
    maker: Any = next(one for one in kind.__mro__ if not _is_notebooks(one))
    resolved = types.resolve_bases(bases)
    if kind.__name__ == "_TypedDictMeta":
        maker, resolved = type, (*(base for base in resolved if base is Generic), dict)
    with _without_hooks(resolved):
        if maker is kind:
            return types.new_class(name, bases, {"metaclass": kind}, lambda body: body.update(given))
        made: type = maker.__new__(kind, name, resolved, dict(given))
        maker.__init__(made, name, resolved, dict(given))
        return made


@contextmanager
def _without_hooks(bases: tuple[type, ...]) -> Iterator[None]:
    having = {one for base in bases for one in base.__mro__ if _is_notebooks(one) and _HOOK in vars(one)}
    kept = {one: vars(one)[_HOOK] for one in having}
    try:
        for one in having:
            type.__setattr__(one, _HOOK, _next_hook(one))
        yield
    finally:
        for one, hook in kept.items():
            type.__setattr__(one, _HOOK, hook)


def _next_hook(owner: Any) -> Any:
    def hook(cls: Any) -> None:
        super(owner, cls).__init_subclass__()

    return classmethod(hook)


def _is_notebooks(cls: type) -> bool:
    return cls.__module__ == "__main__"
