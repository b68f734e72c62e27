"""The receipt's comparison: only with what could have been."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from greenkernel.panel.text import receipt_text
from greenkernel.records import (
    Capture,
    ClockInfo,
    EpochOpen,
    Interval,
    Payload,
    Prediction,
    Profile,
    Progress,
    Request,
    RunState,
    SourceInfo,
)
from greenkernel.run.receipt import EpochFacts, RunFacts, Tariff, make_receipt

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRAMS = {"home": 400.0, "windy": 100.0, "small": 50.0}


def about(value: float) -> Interval:
    return Interval.exact(value, "")


def tariff(site: str) -> Tariff:
    return Tariff(
        site=site,
        pue=1.0,
        idle_w_per_core=about(0.0),
        busy_w_per_core=about(10.0),
        embodied_g_per_core_h=about(0.0),
        intensity=lambda _start, _end: GRAMS[site],
    )


def prediction(site: str, why_not: str | None = None) -> Prediction:
    return Prediction(
        site=site,
        cores=1,
        time_s=about(3600.0),
        startup_s=about(1.0),
        memory_bytes=about(1e9),
        energy_wh=about(10.0),
        emissions_g=about(1.0),
        cost=about(0.0),
        currency="EUR",
        p_due=None,
        feasible=why_not is None,
        why_not=why_not,
    )


def epoch(number: int, site: str, start: datetime, end: datetime, cpu_s: float) -> EpochFacts:
    opened = EpochOpen(
        run="r", epoch=number, site=site, cores=1, memory_bytes=1, opened_at=start, trigger="start", reason=""
    )
    progress = Progress(epoch=number, at=end, cpu_s=cpu_s, recorded_cpu_s=cpu_s)
    return EpochFacts(opened=opened, claimed_at=start, ended_at=end, progress=progress)


FACTS = RunFacts(
    run="r",
    request=Request(source="x", name="x", created_at=NOW),
    capture=Capture(transformed="", reads=(), binds=(), items=(), payload=Payload(head="")),
    profile=Profile(slices=()),
    predictions=(),
    plan=None,
    refused=(),
    epochs=(epoch(1, "windy", NOW, NOW + HOUR, 3600.0),),
    state=RunState.DONE,
    error=None,
    advised_at=NOW,
    finished_at=NOW + HOUR,
    clock=ClockInfo(real_start=NOW, grid_start=NOW, factor=1.0),
    home="home",
    sources=(),
)


@pytest.mark.parametrize(
    ("compared", "saved_g", "home_cannot", "sites"),
    [
        (["home", "windy"], 3.0, None, ()),
        (["home", "windy"], 3.0, "too late: would take about 2 h, 1 h are left", ()),
        (["home", "windy"], 3.0, "not among the sites that --site names", ("windy",)),
        (["windy"], None, "needs 9 GB of memory, 1 GB are there", ()),
    ],
)
def test_baselines_are_sites_that_could_have_run_it(
    compared: list[str], saved_g: float | None, home_cannot: str | None, sites: tuple[str, ...]
) -> None:
    """A site without the memory is no alternative, however green; home stays where only a wish rules it out."""
    predictions = (prediction("home", home_cannot), prediction("windy"), prediction("small", "needs 9 GB of memory"))
    facts = replace(FACTS, predictions=predictions, request=replace(FACTS.request, sites=sites))
    receipt = make_receipt(facts, {site: tariff(site) for site in GRAMS})
    assert compared == [baseline.site for baseline in receipt.baselines]
    if saved_g is None:
        assert "cannot run the cell" in receipt.saved_g.source
    else:
        assert saved_g == pytest.approx(receipt.saved_g.mid)


def test_sites_with_one_source_share_a_line() -> None:
    """A receipt of many sites says once where figures of the same place come from."""
    table = [("carbon intensity of a", "a.csv"), ("power of a", "sites.toml"), ("carbon intensity of b", "b.csv")]
    table += [("power of b", "sites.toml"), ("transfer", "the literature")]
    sources = tuple(SourceInfo(what=what, source=source, kind="estimate", age_s=None) for what, source in table)
    receipt = make_receipt(replace(FACTS, sources=sources), {site: tariff(site) for site in GRAMS})
    said = [line for line in receipt_text(receipt, zone=UTC).splitlines() if "source of" in line]
    assert [
        "  source of carbon intensity of a: a.csv",
        "  source of power of a, b: sites.toml",
        "  source of carbon intensity of b: b.csv",
        "  source of transfer: the literature",
    ] == said
