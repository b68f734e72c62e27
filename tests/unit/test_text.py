"""What terminals and saved notebooks show of predictions, plans and manifests."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from greenkernel.panel.text import manifest_text, plan_text, predictions_text, profile_text, table
from greenkernel.records import Capture, Interval, Item, Payload, Plan, Prediction, Profile, SourceFile, Step

NOW = datetime(2026, 1, 5, 22, 30, tzinfo=UTC)


def about(value: float) -> Interval:
    return Interval(low=value / 2, mid=value, high=value * 2, source="a test")


def prediction(site: str, cores: int, **changes: object) -> Prediction:
    given: dict[str, object] = {"p_due": 0.97, "feasible": True, **changes}
    return Prediction(
        site=site,
        cores=cores,
        time_s=about(60),
        startup_s=about(1),
        memory_bytes=about(1 << 30),
        energy_wh=about(1),
        emissions_g=about(0.5),
        cost=about(0.01),
        currency="EUR",
        **given,  # type: ignore[arg-type]
    )


def plan(hours: float) -> Plan:
    end = NOW + timedelta(hours=hours)
    return Plan(
        steps=(Step(site="b", cores=1, start=NOW, end=end),),
        made_at=NOW,
        goal="co2",
        emissions_g=about(1),
        energy_wh=about(1),
        cost=about(0),
        finish_at=end,
        finish_latest_at=end + timedelta(hours=1),
        reason="b is greener",
    )


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Header, rule and rows line up; nothing trails."""
    assert "a   bb\n--  --\nxx  y" == table([("xx", "y")], header=("a", "bb"))


def test_what_a_move_repeats_is_said_of_the_recommended_site() -> None:
    """On average and at most; nothing is said where no slice tells."""
    priced = Interval(low=0, mid=2, high=40)
    rows = [prediction("a", 1), prediction("b", 1, repeat_s=priced)]
    said = "a move repeats by the slices about 2 s of the time on b, at most 40 s"
    assert said in predictions_text(rows, plan(1))
    assert "a move repeats" not in predictions_text(rows[:1], plan(1))


def test_the_recommended_row_is_ticked_and_the_impossible_has_its_reason() -> None:
    """The first step's site and cores are ticked, no other row is."""
    rows = [prediction("a", 1), prediction("b", 1), prediction("b", 2, feasible=False, why_not="too late", p_due=0.1)]
    lines = predictions_text(rows, plan(1)).splitlines()
    assert ["b"] == [line.split()[1] for line in lines if line.startswith("→")]
    assert "recommended" in lines[3]
    assert "cannot: too late" in lines[4]
    assert "30 s-2 min" in lines[2]
    assert "97%" in lines[2]
    assert "times: a test" in lines[-1]


def test_times_of_another_day_have_their_date() -> None:
    """A plan over midnight says so, in the user's own zone."""
    assert "22:30:00-23:00:00" in plan_text(plan(0.5), [], zone=UTC)
    assert "done 23:00:00, at the latest 06 Jan 00:00:00" in plan_text(plan(0.5), [], zone=UTC)
    assert "b (1 core) 23:30:00-06 Jan 00:30:00" in plan_text(plan(1), [], zone=ZoneInfo("Europe/Berlin"))


def test_a_manifest_names_the_biggest_and_what_looks_like_a_secret() -> None:
    """Sizes by name, the rest by count, files by count, secrets by name."""
    items = tuple(Item(name=f"x{n}", kind="int", bytes=n * 1024, why="read", secret_like=n == 1) for n in (1, 2, 3))
    file = SourceFile(path="helper.py", kind="module", blob="0" * 64, bytes=10)
    capture = Capture(
        transformed="x",
        reads=(),
        binds=(),
        items=items,
        payload=Payload(head="0" * 64, bytes=6 * 1024),
        files=(file,),
        packages=(),
        python_version="3.11.7",
    )
    text = manifest_text(capture, most=2)
    assert "x3 (int, 3 KiB, read), x2 (int, 2 KiB, read) and 1 more; 1 file" in text
    assert "looks like a secret: x1" in text


def test_a_profile_says_what_ran_and_why_not() -> None:
    """Without slices there are none, and the notes have the reason."""
    assert "slices: none\n  not profiled: --no-profile" == profile_text(
        Profile(slices=(), notes=("not profiled: --no-profile",))
    )


def test_what_was_not_measured_gets_no_figure() -> None:
    """The middle between a second and a day is nobody's prediction."""
    guess = Interval(low=1.0, mid=600.0, high=86_400.0, source="default: no profile")
    shown = predictions_text((replace(prediction("a", 2), time_s=guess),), None)
    (row,) = [line for line in shown.splitlines() if " a " in line]
    assert ["a", "2", "not known, up to 24 h"] == [part for part in re.split(r"\s{2,}", row) if part]


def test_a_plan_for_what_was_not_measured_has_no_end() -> None:
    """It says where it begins, and that how long it takes is not known."""
    guess = Interval(low=1.0, mid=600.0, high=86_400.0, source="default: no profile")
    made = plan(1)
    first = made.steps[0]
    rows = [replace(prediction(first.site, first.cores), time_s=guess)]
    shown = plan_text(made, rows, zone=UTC)
    assert f"plan: {first.site} (1 core) from 22:30:00; best by what is known" in shown
    assert "done" not in shown
