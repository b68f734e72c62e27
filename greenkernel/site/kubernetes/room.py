"""What a namespace has left: its ResourceQuotas and LimitRanges as numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from greenkernel.site.kubernetes.quantity import quantity

Object = Mapping[str, Any]

_CPU = ("limits.cpu", "requests.cpu", "cpu")
_MEMORY = ("limits.memory", "requests.memory", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """None: nothing bounds it that may be read here."""

    cores_free: float | None = None
    memory_free_bytes: int | None = None
    cores_most: float | None = None
    memory_most_bytes: int | None = None


def room(quotas: Iterable[Object], ranges: Iterable[Object]) -> Room:
    """The tightest of all quotas and ranges.

    Args:
        quotas: ResourceQuota objects.
        ranges: LimitRange objects.
    """
    statuses = [quota.get("status") or {} for quota in quotas]
    limits = [limit for found in ranges for limit in (found.get("spec") or {}).get("limits") or []]
    most = [limit.get("max") or {} for limit in limits if limit.get("type") in ("Container", "Pod")]
    memory_free, memory_most = _left(statuses, _MEMORY), _least(amounts.get("memory") for amounts in most)
    return Room(
        cores_free=_left(statuses, _CPU),
        memory_free_bytes=None if memory_free is None else int(memory_free),
        cores_most=_least(amounts.get("cpu") for amounts in most),
        memory_most_bytes=None if memory_most is None else int(memory_most),
    )


def _left(statuses: Iterable[Object], names: Iterable[str]) -> float | None:
    left = []
    for status in statuses:
        hard, used = status.get("hard") or {}, status.get("used") or {}
        left += [quantity(hard[name]) - quantity(used.get(name, "0")) for name in names if name in hard]
    return max(0.0, min(left)) if left else None


def _least(amounts: Iterable[str | None]) -> float | None:
    return min((quantity(amount) for amount in amounts if amount is not None), default=None)
