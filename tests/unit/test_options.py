"""The option table: what it accepts, converts and refuses, with the sentences that users see."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenkernel.errors import NotBuiltYetError, UserError
from greenkernel.options import OPTIONS, Parser, add_options, describe_due, due_at, resolve
from greenkernel.records import Knob, RowsHint

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 1, 5, 11, tzinfo=UTC)  # 12:00 in Berlin


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        (("goal", "energy"), {"goal": "energy"}),
        (("site", ("a", "b", "c")), {"site": ["a,b", "c"]}),
        (("site", ("a",)), {"site": "a"}),
        (("cores", (2, 2)), {"cores": 2}),
        (("cores", (1, 4)), {"cores": "1-4"}),
        (("memory", 4 * 2**30), {"memory": "4GiB"}),
        (("memory", 1 << 30), {"memory": 1 << 30}),
        (("rows", (RowsHint(name="X", axis=1), RowsHint(name="y"))), {"rows": "X:1,y"}),
        (("knob", (Knob(name="trees", values=(3, 9)),)), {"knob": ["trees=3,9"]}),
        (("knob", (Knob(name="trees"),)), {"knob": "trees"}),
        (("no_profile", True), {"no_profile": True}),
        (("out", ("clf", "scores")), {"out": "clf,scores"}),
        (("move", "never"), {"move": "never"}),
        (("move", "ask"), {"move": "ask"}),
        (("name", None), {"name": None, "due": None, "site": []}),
    ],
)
def test_values(expected: tuple[str, object], given: dict[str, object]) -> None:
    """Text and Python values become the same checked value."""
    name, value = expected
    assert value == getattr(resolve(given), name)


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ("Did you mean goal?", {"gaol": "co2"}),
        ("Use one of co2, energy, cost, time", {"goal": "green"}),
        ("--cores", {"cores": "0"}),
        ("--cores", {"cores": "4-1"}),
        ("--cores", {"cores": "many"}),
        ("--memory", {"memory": "much"}),
        ("at least 128 MiB", {"memory": "0"}),
        ("--rows", {"rows": "X:one"}),
        ("--knob", {"knob": "trees=few"}),
        ("--move", {"move": "maybe"}),
        ("Leave one of them out", {"rows": "X", "no_profile": True}),
        ("'json' is an option of the magic and the command line. Write run.receipt.to_json()", {"json": "a.json"}),
    ],
)
def test_mistakes_are_explained(expected: str, given: dict[str, object]) -> None:
    """A value that cannot be is refused with the option's name or the way out."""
    with pytest.raises(UserError) as caught:
        resolve(given)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("dest", "value"),
    [("where", "x > 1"), ("gpu", "1"), ("needs", ["a=1"]), ("data_stays", "EU")],
)
def test_what_is_not_built_is_refused_by_name(dest: str, value: object) -> None:
    """A planned option that does nothing yet is never ignored."""
    with pytest.raises(NotBuiltYetError, match=dest.replace("_", "-")):
        resolve({dest: value})


def test_unknown_option_on_a_line() -> None:
    """A misspelt option is answered with the nearest right one."""
    parser = Parser(prog="x")
    add_options(parser)
    with pytest.raises(UserError, match=r"--deu is not an option. Did you mean --due"):
        parser.parse_args(["--deu", "18:00"])


def test_help_names_every_option() -> None:
    """The help is complete: every row of the table is in it."""
    parser = Parser(prog="x")
    add_options(parser)
    shown = parser.format_help()
    assert [] == [option.name for option in OPTIONS if f"--{option.name}" not in shown]


@pytest.mark.parametrize(
    ("expected", "due"),
    [
        (datetime(2026, 1, 5, 17, tzinfo=UTC), "18:00"),
        (datetime(2026, 1, 6, 9, tzinfo=UTC), "10:00"),
        (NOON + timedelta(hours=3), "+3h"),
        (datetime(2026, 2, 1, 7, 30, tzinfo=UTC), "2026-02-01T08:30"),
        (datetime(2026, 2, 1, 8, 30, tzinfo=UTC), "2026-02-01T08:30Z"),
        (datetime(2026, 2, 1, 8, 30, tzinfo=UTC), datetime(2026, 2, 1, 8, 30, tzinfo=UTC)),
        (NOON + timedelta(minutes=5), timedelta(minutes=5)),
        (None, None),
    ],
)
def test_due_dates(expected: datetime | None, due: object) -> None:
    """Due dates are read in the user's zone and kept in UTC."""
    assert expected == due_at(due, now=NOON, zone=BERLIN)  # type: ignore[arg-type]


def test_a_value_may_begin_with_a_minus() -> None:
    """It is no option then, and is refused for what it says."""
    parser = Parser(prog="x")
    add_options(parser)
    assert "-1h" == parser.parse_args(["--due", "-1h"]).due


@pytest.mark.parametrize("due", ["2020-01-01", "25:00", "soon", "+", "-1h", timedelta(seconds=-1), ""])
def test_bad_due_dates(due: object) -> None:
    """A due date that has passed or cannot be read is refused with the option's name."""
    with pytest.raises(UserError, match="--due"):
        due_at(due, now=NOON, zone=BERLIN)  # type: ignore[arg-type]


def test_due_is_echoed_with_date_zone_and_distance() -> None:
    """The user sees which 18:00 is meant."""
    due = datetime(2026, 1, 5, 17, tzinfo=UTC)
    shown = describe_due(due, now=NOON - timedelta(minutes=-48), zone=BERLIN)
    assert "Mon 2026-01-05 18:00:00 CET, in 5 h 12" in shown
