"""Predictions for sites: they follow the data, the cores and the site, and say why a site cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from greenkernel.model.power import SitePower
from greenkernel.model.predict import SiteFacts, predict
from greenkernel.model.progress import remaining
from greenkernel.records import Interval, Prediction, Profile, Request, Slice

GIB = 1 << 30
REQUEST = Request(source="fit(X)", name="fit", created_at=datetime(2026, 1, 1, tzinfo=UTC))
SITE = SiteFacts(
    name="near",
    cores=(1, 2),
    cores_most=2,
    startup_s=Interval(low=1.0, mid=2.0, high=4.0, source="set"),
    power=SitePower(
        idle_w_per_core=Interval.exact(2.0, "set"), busy_w_per_core=Interval.exact(9.0, "set"), pue=1.2, source="set"
    ),
    emissions_of=lambda energy_wh, start_s, end_s: energy_wh * 0.4,
    memory_most_bytes=8 * GIB,
    price_per_kwh=0.2,
    price_per_core_h=0.05,
)


def slice_of(fraction: float, cpu_s: float, *, rows_total: int = 10_000, cores: int = 2, **other: object) -> Slice:
    base = Slice(
        rows_fraction=fraction,
        rows=round(fraction * rows_total),
        cores=cores,
        knob=None,
        knob_value=None,
        site="here",
        cpu_s=cpu_s,
        wall_s=cpu_s / cores,
        peak_rss_bytes=round(100e6 + 200e6 * fraction),
    )
    return replace(base, **other)  # type: ignore[arg-type]


def profile_of(*slices: Slice, rows_total: int = 10_000) -> Profile:
    return Profile(slices=slices, rows_names=("X",), rows_total=rows_total, startup_s=1.0)


PROFILE = profile_of(slice_of(1 / 32, 1.0), slice_of(1 / 8, 4.0))


def one(
    profile: Profile = PROFILE, site: SiteFacts = SITE, *, due_s: float | None = None, cores: int = 2
) -> Prediction:
    return predict(profile, 10_000, REQUEST, replace(site, cores=(cores,)), due_s=due_s)[0]


def test_one_prediction_for_each_core_count() -> None:
    """32 CPU seconds of shared work are 16 s on two cores and 32 s on one."""
    alone, both = predict(PROFILE, 10_000, REQUEST, SITE, due_s=None)
    assert (1, 2) == (alone.cores, both.cores)
    assert (32.0, 16.0) == pytest.approx((alone.time_s.mid, both.time_s.mid), rel=0.15)
    assert 32.0 == pytest.approx(both.cpu_s.mid, rel=0.15)


@pytest.mark.parametrize(
    ("rows", "trees", "seconds", "expected"),
    [(1 / 8, None, (0.5, 1.0), (4.0, 8.0)), (1.0, 10, (0.5, 1.0), (0.5, 1.0)), (1 / 8, None, (9.0, 9.0), (16.0, 16.0))],
    ids=["rounds grow with the rows", "a knob says how many there are", "never more than all"],
)
def test_what_a_move_repeats(
    rows: float, trees: int | None, seconds: tuple[float, float], expected: tuple[float, float]
) -> None:
    """A stretch of 1 s in an eighth of the rows is one of 8 s in all of them; with an eighth of the trees it stays."""
    stretch = {"unkept_mean_s": seconds[0], "unkept_most_s": seconds[1]}
    less = slice_of(rows if trees else rows / 4, 1.0, knob=trees and "trees", knob_value=trees and trees // 4)
    more = slice_of(rows, 4.0, knob=trees and "trees", knob_value=trees, **stretch)
    found = one(replace(profile_of(less, more), knob="trees", knob_full=80))
    assert found.repeat_s is not None
    mid, high = found.repeat_s.mid / found.time_s.mid, found.repeat_s.high / found.time_s.high
    assert expected == pytest.approx((mid * 16, high * 16), rel=0.15)
    assert one().repeat_s is None


def test_another_size_of_the_data_changes_the_prediction() -> None:
    """The same slices as parts of ten times the rows predict ten times the seconds, and a wider interval."""
    more = profile_of(
        slice_of(1 / 320, 1.0, rows_total=100_000), slice_of(1 / 80, 4.0, rows_total=100_000), rows_total=100_000
    )
    assert 10 * one().time_s.mid == pytest.approx(one(more).time_s.mid, rel=0.2)
    assert one().time_s.high / one().time_s.mid < one(more).time_s.high / one(more).time_s.mid


def test_figures_follow_from_time_and_power() -> None:
    """Energy, emissions and cost of one prediction agree with one another."""
    found = one()
    reserved_s = found.time_s.mid + found.startup_s.mid
    energy_wh = 1.2 * (2 * 2.0 * reserved_s + 9.0 * found.cpu_s.mid) / 3600
    assert energy_wh == pytest.approx(found.energy_wh.mid)
    assert 0.4 * energy_wh == pytest.approx(found.emissions_g.mid)
    assert energy_wh / 1000 * 0.2 + 2 * reserved_s / 3600 * 0.05 == pytest.approx(found.cost.mid)
    assert 3600 * energy_wh / reserved_s == pytest.approx(found.power_w.mid)
    assert 3.0 == found.startup_s.mid
    assert all(part in found.time_s.source for part in ("2 slices of rows", "provisional: 0 finished runs"))


def test_a_slow_site_takes_longer_for_the_same_cpu_seconds() -> None:
    """Half the speed doubles the time only; another machine makes the interval wider."""
    slow, elsewhere = one(site=replace(SITE, speed=0.5)), one(site=replace(SITE, same_machine=False))
    assert 2 * one().time_s.mid == pytest.approx(slow.time_s.mid)
    assert one().cpu_s.mid == slow.cpu_s.mid
    assert 1.6 * one().time_s.high == pytest.approx(elsewhere.time_s.high)


def test_transfer_and_embodied_shares_count() -> None:
    """A slow line makes the start longer, embodied grams are added for the reserved time."""
    far = replace(SITE, bandwidth_bytes_per_s=1000.0, embodied_g_per_core_h=Interval.exact(1.8, "set"))
    assert one().startup_s.mid + 10.0 == pytest.approx(one(site=far).startup_s.mid)
    reserved_s = one(site=far).time_s.mid + one(site=far).startup_s.mid
    assert one(site=far).energy_wh.mid * 0.4 + 1.8 * 2 * reserved_s / 3600 == pytest.approx(
        one(site=far).emissions_g.mid
    )


@pytest.mark.parametrize(
    ("changes", "due_s", "cores", "reason"),
    [
        ({"reachable": False, "why_not": "the API does not answer"}, None, 2, "the API does not answer"),
        ({}, None, 4, "has 2 cores at most"),
        ({"memory_most_bytes": 100 << 20}, None, 2, "of memory"),
        ({}, 5.0, 2, "too late"),
        ({}, 1000.0, 2, None),
    ],
)
def test_why_a_site_cannot(changes: dict[str, object], due_s: float | None, cores: int, reason: str | None) -> None:
    """Each reason is said in words; without one the site is feasible."""
    found = one(site=replace(SITE, **changes), due_s=due_s, cores=cores)  # type: ignore[arg-type]
    assert (reason is None) == found.feasible
    assert (reason or "") in (found.why_not or "")


def test_chance_to_make_the_due_date_grows_with_the_time_left() -> None:
    """No due date has no chance; more time has more of it; the upper end has the level."""
    assert one().p_due is None
    chances = [one(due_s=due_s).p_due or 0.0 for due_s in (5.0, 19.0, 25.0, 60.0)]
    assert sorted(chances) == chances
    total = one().time_s + one().startup_s
    assert 0.95 == pytest.approx(one(due_s=total.high).p_due)


def test_without_a_profile_everything_is_possible_and_says_so() -> None:
    """The widest interval, feasible even where its upper end is too late or too large."""
    found = one(Profile(slices=(), notes=("--no-profile",)), replace(SITE, memory_most_bytes=GIB // 2), due_s=60.0)
    assert (1.0, 86400.0) == (found.time_s.low, found.time_s.high)
    assert found.time_s.source == "default: no profile"
    assert found.feasible
    assert 0.0 < (found.p_due or 0.0) < 0.5


def test_a_knob_at_full_rows_is_a_second_estimate() -> None:
    """Three and ten of a hundred trees alone predict the whole, and pull an estimate from rows."""
    knob = {"knob": "trees", "rows": 10_000}
    trees = [slice_of(1.0, 1 + 0.5 * n, knob_value=n, **knob) for n in (3, 10)]
    alone = replace(profile_of(*trees), knob="trees", knob_full=100)
    assert 51.0 == pytest.approx(one(alone).cpu_s.mid, rel=0.01)
    together = replace(alone, slices=(*PROFILE.slices, *trees))
    assert one().cpu_s.mid < one(together).cpu_s.mid < 51.0


def test_what_is_left_follows_progress() -> None:
    """At half of a run that goes as predicted half is left, more surely; a slower one has more left."""
    expected = one()
    half = remaining(expected, 0.5, expected.cpu_s.mid / 2)
    assert expected.time_s.mid / 2 == pytest.approx(half.mid)
    assert half.high / half.mid < expected.time_s.high / expected.time_s.mid
    assert half.mid < remaining(expected, 0.5, expected.cpu_s.mid).mid < expected.time_s.mid
    assert expected.time_s == remaining(expected, 0.0, 0.0)
    assert 0.0 == remaining(expected, 1.0, 50.0).high
