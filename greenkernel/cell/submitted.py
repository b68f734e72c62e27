"""Which objects of this process were sent: a result is put into these very objects, so that they stay the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from greenkernel.records import Payload
from greenkernel.store.inner import Inner
from greenkernel.store.references import GONE, reference
from greenkernel.store.returned import inner_name

# Containers of the language cannot be referred to weakly; so many submissions keep theirs alive at most.
_KEPT = 8
_sent: OrderedDict[tuple[str, ...], list[dict[str, Callable[[], Any]]]] = OrderedDict()


def remember(payload: Payload, objects: Mapping[str, object], inner: Inner) -> None:
    """Note what was sent under which name, and what is inside of it."""
    parts = {inner_name(number): inner.objects[number] for number in inner.owners}
    named = {**parts, **objects}
    _sent.setdefault(_key(payload), []).append({name: reference(value) for name, value in named.items()})
    _sent.move_to_end(_key(payload))
    while len(_sent) > _KEPT:
        _sent.popitem(last=False)


def recall(payload: Payload, namespace: Mapping[str, object]) -> dict[str, object]:
    """The objects of a submission that are still there; empty in another process.

    Args:
        payload: What was sent.
        namespace: The notebook as it is now; of several equal submissions the one is taken that fits it best.
    """
    submissions = _sent.get(_key(payload), [])
    alive = [{name: value for name, ref in one.items() if (value := ref()) is not GONE} for one in submissions]
    return max(alive, key=lambda one: sum(namespace.get(n) is v for n, v in one.items()), default={})


def forget(payload: Payload) -> None:
    """Let the oldest submission of this payload go: its result is bound."""
    submissions = _sent.get(_key(payload), [])
    if len(submissions) > 1:
        del submissions[0]
    else:
        _sent.pop(_key(payload), None)


def _key(payload: Payload) -> tuple[str, ...]:
    return (payload.head, *payload.buffers)
