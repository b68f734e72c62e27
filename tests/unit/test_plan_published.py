"""Published optima of 2022 on real traces: running now and waiting for the best window."""

import csv
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from greenkernel.plan.costs import Costs
from greenkernel.plan.path import solve
from greenkernel.plan.problem import Floats
from greenkernel.records import Plan
from tests.plans import HOUR, option, problem

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "carbon" / "sukprasert_2022"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no published optima in {FOLDER}")

# Zones in which no best window needs the year's last hour.
WHOLE = ("CH", "DE", "ES", "FR", "PL", "US-CAL-CISO", "US-MIDW-MISO", "US-NY-NYIS", "US-TEX-ERCO")
YEAR = datetime(2022, 1, 1, tzinfo=UTC)


def intensities() -> dict[str, list[float]]:
    """Hourly intensity by zone."""
    with gzip.open(FOLDER / "ci_hourly_2022.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return {zone: [float(row[i]) for row in rows[1:]] for i, zone in enumerate(rows[0]) if i > 0}


def published() -> list[dict[str, str]]:
    """Rows whose windows are cut at the year's end as ours are: jobs of half a day at most."""
    with (FOLDER / "optima.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if int(row["job_h"]) <= 12 and int(row["slack_h"]) < 8760]


def windows(values: list[float], job_h: int) -> Floats:
    """Grams of a 1 kW job begun at each hour of the year, by the planner's own cost terms."""
    costs = Costs(problem(option("here", values, duration_mid_s=job_h * HOUR)))
    start_s = np.arange(len(values) - job_h + 1) * HOUR
    return costs.running(0, start_s, np.ones(start_s.shape))


def test_running_now_meets_the_published_means() -> None:
    """Mean grams of running now over all starts agree to a millionth, or their last digit, in every zone."""
    by_zone = intensities()
    for row in published():
        now = windows(by_zone[row["zone"]], int(row["job_h"]))
        assert int(row["n_starts"]) == len(now), row
        assert float(row["mean_now"]) == pytest.approx(now.mean(), rel=1e-6, abs=5e-5), row


def test_best_windows_meet_the_published_means() -> None:
    """So do best windows; where the year's last hour, which the file lacks, is a good one, ours are a little dearer."""
    by_zone, rows = intensities(), published()
    assert len(rows) == 22 * 3 * 4
    for row in rows:
        now, slack_h = windows(by_zone[row["zone"]], int(row["job_h"])), int(row["slack_h"])
        padded = np.concatenate((now, np.full(slack_h, np.inf)))
        ours = np.lib.stride_tricks.sliding_window_view(padded, slack_h + 1).min(axis=1).mean()
        best = float(row["mean_best_window"])
        rounding = 0.00005 / best
        assert -1e-6 - rounding <= ours / best - 1 <= (1e-6 + rounding if row["zone"] in WHOLE else 0.004), row


@pytest.mark.parametrize("zone", ["DE", "US-CAL-CISO", "NO-NO1"])
def test_plans_take_the_best_window(zone: str) -> None:
    """A plan for a six-hour job due in thirty hours is the best of its windows, at starts all over the year."""
    values = intensities()[zone]
    grams = windows(values, 6)
    for start in range(0, len(values) - 30, 97):
        begin = YEAR + timedelta(hours=start)
        site = option("here", values[start : start + 30], duration_mid_s=6 * HOUR)
        plan = solve(problem(site, start=begin, due_at=begin + timedelta(hours=30), can_wait=True))
        assert isinstance(plan, Plan)
        assert grams[start : start + 25].min() == pytest.approx(plan.emissions_g.mid, rel=1e-6)
        assert plan.finish_latest_at <= begin + timedelta(hours=30)
