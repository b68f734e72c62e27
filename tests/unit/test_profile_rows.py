"""Which names count the rows: common cells are understood, unclear ones refused with the way out."""

from __future__ import annotations

import pytest

from greenkernel.errors import UserError
from greenkernel.profile.rows import NameInfo, Rows, find_rows
from greenkernel.records import RowsHint


def array(
    name: str, *shape: int, distinct: int | None = None, kind: str = "array", time_index: bool = False
) -> NameInfo:
    size = 8
    for length in shape:
        size *= length
    return NameInfo(name=name, kind=kind, shape=shape, bytes=size, distinct=distinct, time_index=time_index)


def items(name: str, length: int, *, each: int = 100, distinct: int | None = None) -> NameInfo:
    return NameInfo(name=name, kind="list", shape=(length,), bytes=length * each, distinct=distinct)


TREES = NameInfo(name="trees", kind="int", bytes=28, value=100)
X, Y = array("X", 1000, 20), array("y", 1000, distinct=3)


@pytest.mark.parametrize(
    ("infos", "names", "stratify"),
    [
        ([X, Y, TREES], ["X", "y"], "y"),
        ([X, array("y", 1000, distinct=998)], ["X", "y"], None),
        ([X, array("label", 1000, distinct=2), array("site", 1000, distinct=5)], ["X", "label", "site"], "label"),
        ([array("site", 1000, distinct=5), X], ["site", "X"], "site"),
        ([array("df", 5000, 8, kind="frame")], ["df"], None),
        ([array("M", 5000, 300, kind="sparse"), array("y", 5000, distinct=2)], ["M", "y"], "y"),
        ([items("texts", 800), items("labels", 800, distinct=4)], ["texts", "labels"], "labels"),
        ([items("signals", 400, each=18_000), array("labels", 400, distinct=4)], ["signals", "labels"], "labels"),
        ([X, Y, items("stopwords", 300, each=60)], ["X", "y"], "y"),
        ([X, Y, array("feature_names", 20, distinct=20)], ["X", "y"], "y"),
        ([array("X", 100, 5000), array("y", 100, distinct=2), array("genes", 5000)], ["X", "y"], "y"),
        (
            [array("X_train", 800, 20), array("y_train", 800, distinct=2), array("X_test", 200, 20)],
            ["X_train", "y_train"],
            "y_train",
        ),
    ],
)
def test_rows_of_common_cells(infos: list[NameInfo], names: list[str], stratify: str | None) -> None:
    """The dominant length wins; short lists, names of features and held-out parts stay whole."""
    found = find_rows(infos, (), "fit(X)")
    assert isinstance(found, Rows)
    assert names == [hint.name for hint in found.names]
    assert stratify == found.stratify
    assert names[0] in found.text


@pytest.mark.parametrize(
    ("infos", "reason"),
    [
        ([], "no rows found"),
        ([TREES, items("sizes", 150)], "no rows found"),
        ([array("K", 1000, 1000), Y], "square"),
        ([array("X", 20, 1000), array("y", 1000, distinct=2)], "another axis"),
        ([array("A", 1000, 20), array("B", 800, 20)], "ambiguous"),
        ([array("X", 30, 5), array("y", 30, distinct=2)], "too few rows"),
    ],
)
def test_unclear_cells_are_refused_with_the_way_out(infos: list[NameInfo], reason: str) -> None:
    """The reason is said, and how to override it where that can help."""
    found = find_rows(infos, (), "fit(X)")
    assert isinstance(found, str)
    assert reason in found
    assert ("--rows" in found) == (reason != "too few rows")


def test_hints_decide() -> None:
    """What the user names is cut, along the axis that is named, and nothing else."""
    found = find_rows([array("X", 20, 1000), Y, array("Z", 1000)], (RowsHint(name="X", axis=1), RowsHint(name="y")), "")
    assert isinstance(found, Rows)
    assert (1000, "y") == (found.total, found.stratify)
    assert [("X", 1), ("y", 0)] == [(hint.name, hint.axis) for hint in found.names]


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (RowsHint(name="W"), "no 'W'"),
        (RowsHint(name="trees"), "no axis 0"),
        (RowsHint(name="X", axis=2), "no axis 2"),
        (RowsHint(name="short"), "unequal length"),
    ],
)
def test_hints_that_fit_nothing_are_the_users_to_mend(hint: RowsHint, message: str) -> None:
    """A wrong hint is an error in words, not a slice of something else."""
    with pytest.raises(UserError, match=message):
        find_rows([X, Y, TREES, array("short", 900)], (RowsHint(name="y"), hint), "")


def test_groups_stay_whole_and_time_stays_in_order() -> None:
    """Neither is stratified: what belongs together or follows one another would be torn apart."""
    grouped = find_rows([X, Y, array("groups", 1000, distinct=40)], (), "")
    assert isinstance(grouped, Rows)
    assert ("groups", None, False) == (grouped.groups, grouped.stratify, grouped.contiguous)
    for infos, python in (
        ([X, Y], "cv = TimeSeriesSplit(5)"),
        ([array("df", 1000, 3, kind="frame", time_index=True)], ""),
    ):
        ordered = find_rows(infos, (), python)
        assert isinstance(ordered, Rows)
        assert (True, None) == (ordered.contiguous, ordered.stratify)
