"""Advice that is given beforehand, for runs that are conducted without profiling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.records import (
    Capture,
    ClockInfo,
    EpochOpen,
    Interval,
    Payload,
    Plan,
    Prediction,
    Profile,
    Receipt,
    Step,
)
from greenkernel.run.receipt import RunFacts, make_receipt
from greenkernel.run.reconcile import Seen
from greenkernel.store.runs import Advice, End, PlanNow, RunStore, Submission

START = datetime(2026, 1, 5, tzinfo=UTC)


def about(value: float) -> Interval:
    return Interval(low=value, mid=value, high=value)


@dataclass
class FixedAdviser:
    """Advice that is given beforehand: steps as (site, from, to) in seconds after the start."""

    steps: list[tuple[str, float, float]]
    problem: str | None = None
    advised: int = 0
    receipts: list[Seen] = field(default_factory=list)

    def advise(
        self, store: RunStore, submission: Submission, say: Callable[[str], None], check: Callable[[], None]
    ) -> Advice:
        self.advised += 1
        if self.problem == "temporary" and self.advised == 1:
            raise TemporaryError("not yet")
        if self.problem == "permanent":
            raise PermanentError("no way")
        return self.advice()

    def advice(self) -> Advice:
        """What it says."""
        return Advice(
            profile=Profile(slices=()),
            predictions=tuple(self._prediction(site) for site in ("a", "b")),
            plan=self._plan(),
            clock=ClockInfo(real_start=START, grid_start=START, factor=1),
            home="a",
        )

    def replan(self, seen: Seen) -> PlanNow | None:
        return None

    def secrets(self, submission: Submission, epoch: EpochOpen) -> Mapping[str, str]:
        return {"KEY": "secret"}

    def lost_every_s(self, site: str) -> float:
        return 7200.0

    def receipt(self, seen: Seen, store: RunStore, end: End) -> Receipt:
        self.receipts.append(seen)
        facts = RunFacts(
            run=store.run,
            request=seen.request,
            capture=Capture(transformed="", reads=(), binds=(), items=(), payload=Payload(head="")),
            profile=Profile(slices=()),
            predictions=(),
            plan=None,
            refused=(),
            epochs=(),
            state=end.state,
            error=end.error,
            advised_at=None,
            finished_at=end.at,
            clock=ClockInfo(real_start=START, grid_start=START, factor=1),
            home="a",
            sources=(),
        )
        return make_receipt(facts, {})

    def _prediction(self, site: str) -> Prediction:
        return Prediction(
            site=site,
            cores=1,
            time_s=about(10),
            startup_s=about(1),
            memory_bytes=about(1 << 20),
            energy_wh=about(1),
            emissions_g=about(1),
            cost=about(0),
            currency="EUR",
            p_due=None,
            feasible=True,
        )

    def _plan(self) -> Plan:
        def at(seconds: float) -> datetime:
            return START + timedelta(seconds=seconds)

        return Plan(
            steps=tuple(Step(site=s, cores=1, start=at(a), end=at(b)) for s, a, b in self.steps),
            made_at=START,
            goal="co2",
            emissions_g=about(1),
            energy_wh=about(1),
            cost=about(0),
            finish_at=at(self.steps[-1][2]),
            finish_latest_at=at(self.steps[-1][2]),
            reason="as told",
        )
