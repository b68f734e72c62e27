"""PyTorch: what has a ``state_dict`` in the memory of the CPU, and every generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any, TypeVar

import torch

from greenkernel.runner.checkpoints import resumable

T = TypeVar("T")


def rounds(data: Iterable[T], objects: tuple[Any, ...]) -> Iterator[T]:
    """`resumable`, with what PyTorch has beside the objects."""
    draws = _Draws([one for one in objects if isinstance(one, torch.Generator)])
    others = [one for one in objects if not isinstance(one, torch.Generator)]
    for item in resumable(data, *map(_portable, others), draws):
        draws.throw()
        yield item


def _portable(one: Any) -> Any:
    return _Portable(one) if hasattr(one, "state_dict") and hasattr(one, "load_state_dict") else one


class _Portable:
    """An object whose state any machine can read."""

    def __init__(self, one: Any) -> None:
        self._one = one

    def state_dict(self) -> Any:
        return _on_cpu(self._one.state_dict())

    def load_state_dict(self, state: Any) -> None:
        self._one.load_state_dict(state)


class _Draws:
    """The generators of the GPUs and those of the user; that of the CPU is kept with every checkpoint."""

    def __init__(self, generators: list[Any]) -> None:
        self._generators = generators
        self._found: Any = None

    def state_dict(self) -> Any:
        gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"gpus": gpus, "own": [one.get_state() for one in self._generators]}

    def load_state_dict(self, state: Any) -> None:
        self._found = state

    def throw(self) -> None:
        """At the first round that follows, for making the data may have drawn."""
        found, self._found = self._found, None
        if found is None:
            return
        if len(found["gpus"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(found["gpus"])
        for one, state in zip(self._generators, found["own"], strict=True):
            one.set_state(state)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        copied = copy(value)  # a model's has attributes
        copied.update((key, _on_cpu(one)) for key, one in value.items())
        return copied
    return type(value)(map(_on_cpu, value)) if type(value) in (list, tuple) else value
