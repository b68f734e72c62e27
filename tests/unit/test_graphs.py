"""Vertices and edges of igraph, of which stand-ins with the same names and attributes are made here."""

from __future__ import annotations

import types
from typing import Any

import pytest

from greenkernel.store.graphs import reduced

LIBRARY = """
class Vertex:
    def __init__(self, graph, index): self.graph, self.index = graph, index
class VertexSeq:
    def __init__(self, graph, indices): self.graph, self.indices = graph, indices
    def __len__(self): return len(self.indices)
    def __getitem__(self, at):
        return Vertex(self.graph, at) if isinstance(at, int) else VertexSeq(self.graph, list(at))
class Graph:
    size = 3
    @property
    def vs(self): return VertexSeq(self, list(range(self.size)))
"""


@pytest.fixture
def igraph() -> Any:
    module = types.ModuleType("igraph")
    exec(LIBRARY, vars(module))
    return module


def rebuilt(value: Any) -> Any:
    found = reduced(value, type(value))
    assert found is not None
    make, arguments = found
    return make(*arguments)


def test_they_are_found_again_in_their_graph(igraph: Any) -> None:
    """One, some, and all of them, which are as many as the graph then has."""
    graph = igraph.Graph()
    one, some = rebuilt(graph.vs[2]), rebuilt(graph.vs[[0, 2]])
    assert (2, [0, 2]) == (one.index, some.indices)
    assert one.graph is some.graph is graph
    _, arguments = reduced(graph.vs, igraph.VertexSeq)  # type: ignore[misc]
    assert (graph, "vs", None) == arguments
    graph.size = 4
    assert [0, 1, 2, 3] == reduced(graph.vs, igraph.VertexSeq)[0](*arguments).indices  # type: ignore[index]


def test_other_objects_are_left_alone(igraph: Any) -> None:
    """The graph pickles by itself, and others may have a class of that name."""
    assert reduced(igraph.Graph(), igraph.Graph) is None
    own = type("VertexSeq", (), {"__module__": "__main__"})
    assert reduced(own(), own) is None
