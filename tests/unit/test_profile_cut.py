"""Rows are cut coherently, nested, stratified, with whole groups, from everything that can hold them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from greenkernel.runner.slice_order import Cut
from greenkernel.runner.slice_rows import cut_rows, describe, kept_rows

ROWS = 1000


def everything() -> dict[str, Any]:
    ids = np.arange(ROWS)
    return {
        "ids": ids,
        "X": np.column_stack([ids, ids]),
        "wide": np.vstack([ids, ids]),
        "frame": pd.DataFrame({"a": ids}, index=[f"r{i}" for i in ids]),
        "series": pd.Series(ids, name="s"),
        "matrix": scipy.sparse.csc_matrix(ids[:, None] + 1),
        "list": ids.tolist(),
        "tuple": tuple(ids.tolist()),
        "y": np.array(["rare" if i % 50 == 0 else "often" for i in ids]),
        "groups": ids // 7,
    }


AXES = {name: int(name == "wide") for name in everything()}


def test_every_kind_keeps_the_same_rows() -> None:
    """Arrays on either axis, frames, series, sparse, lists and tuples hold the same rows, of the kind they were."""
    namespace = everything()
    kept = cut_rows(namespace, Cut(axes=AXES, fraction=0.1))
    ids = namespace["ids"]
    assert kept == len(ids) == 100
    assert (ids == np.sort(ids)).all()
    for found in (
        namespace["X"][:, 1],
        namespace["wide"][0],
        namespace["frame"]["a"].to_numpy(),
        namespace["series"].to_numpy(),
        namespace["matrix"].toarray()[:, 0] - 1,
        namespace["list"],
        namespace["tuple"],
    ):
        assert ids.tolist() == list(found)
    assert {type(value) for value in everything().values()} == {type(value) for value in namespace.values()}
    assert "csc" == namespace["matrix"].format


@pytest.mark.parametrize("how", [{}, {"stratify": "y"}, {"groups": "groups"}, {"contiguous": True}])
def test_a_smaller_part_is_within_every_larger_one(how: dict[str, Any]) -> None:
    """The same seed gives nested rows, the whole gives all, and more part never gives fewer."""
    parts = [
        set(kept_rows(ROWS, Cut(axes=AXES, fraction=part, **how), everything()).tolist())
        for part in (0.02, 0.05, 0.3, 1.0)
    ]
    assert all(smaller < larger for smaller, larger in pairwise(parts))
    assert set(range(ROWS)) == parts[-1]


def test_shares_of_classes_are_kept_and_none_is_lost() -> None:
    """A class of 2 % has its share in a tenth of the rows, and two of it in a hundredth."""
    labels = everything()["y"]
    tenth = Counter(labels[kept_rows(ROWS, Cut(axes=AXES, fraction=0.1, stratify="y"), everything())])
    hundredth = Counter(labels[kept_rows(ROWS, Cut(axes=AXES, fraction=0.01, stratify="y"), everything())])
    assert {"rare": 2, "often": 98} == tenth
    assert {"rare": 2, "often": 8} == hundredth


def test_groups_are_kept_whole() -> None:
    """Every group is in with all its rows or with none."""
    groups = everything()["groups"]
    kept = Counter(groups[kept_rows(ROWS, Cut(axes=AXES, fraction=0.1, groups="groups"), everything())].tolist())
    every = Counter(groups.tolist())
    assert all(every[group] == count for group, count in kept.items())
    assert 100 <= sum(kept.values()) <= 106


def test_one_object_under_two_names_stays_one() -> None:
    """Aliases are aliases after the cut too."""
    data = np.arange(ROWS)
    namespace = {"a": data, "b": data}
    cut_rows(namespace, Cut(axes={"a": 0, "b": 0}, fraction=0.1))
    assert namespace["a"] is namespace["b"]


@pytest.mark.parametrize(
    ("value", "kind", "shape", "distinct"),
    [
        (np.zeros((5, 2)), "array", [5, 2], None),
        (np.array(["a", "b", "a"]), "array", [3], 2),
        (pd.Series([1, 2, 2]), "series", [3], 2),
        (pd.DataFrame({"a": [1]}), "frame", [1, 1], None),
        (scipy.sparse.eye(4).tocsr(), "sparse", [4, 4], None),
        ([[1], [2]], "list", [2], None),
        (("a", "b"), "tuple", [2], 2),
        (7, "int", [], None),
        (True, "other", [], None),
        (len, "other", [], None),
    ],
)
def test_descriptions_are_light_and_right(value: object, kind: str, shape: list[int], distinct: int | None) -> None:
    """Kind, lengths and different values of what may hold rows; the value itself of a count only."""
    found = describe("name", value)
    assert (kind, shape, distinct) == (found["kind"], found["shape"], found["distinct"])
    assert (value if kind == "int" else None) == found["value"]
    assert found["bytes"] > 0 or kind == "sparse"


def test_points_in_time_are_known_as_such() -> None:
    """A frame with dates as its index says so."""
    dated = pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2026-01-01", periods=2))
    assert describe("df", dated)["time_index"]
    assert not describe("df", dated.reset_index())["time_index"]
