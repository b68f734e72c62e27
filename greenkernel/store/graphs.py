"""Vertices and edges of igraph and sequences of them: their graph and their numbers, which pickle cannot tell."""

from __future__ import annotations

from typing import Any

_PLACES = {"VertexSeq": "vs", "EdgeSeq": "es", "Vertex": "vs", "Edge": "es"}


def reduced(value: Any, kind: type) -> tuple[Any, ...] | None:
    """How to find it again in its graph; None for everything else."""
    if kind.__module__.partition(".")[0] != "igraph" or kind.__name__ not in _PLACES:
        return None
    place = _PLACES[kind.__name__]
    if not kind.__name__.endswith("Seq"):
        return _one, (value.graph, place, value.index)
    whole = value.indices == list(range(len(getattr(value.graph, place))))
    return _some, (value.graph, place, None if whole else value.indices)


def _one(graph: Any, place: str, index: int) -> Any:
    return getattr(graph, place)[index]


def _some(graph: Any, place: str, indices: list[int] | None) -> Any:
    found = getattr(graph, place)
    return found if indices is None else found[indices]
