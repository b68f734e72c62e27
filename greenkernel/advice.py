"""The stages before a run, joined for the controller: profile, predict, plan, plan again; and the receipt."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from greenkernel.cell.files import stored
from greenkernel.clock import Clock, GridTime
from greenkernel.errors import TemporaryError, UserError
from greenkernel.model.power import SitePower
from greenkernel.model.predict import SiteFacts, predict
from greenkernel.model.room import no_room, no_site
from greenkernel.osfacts import cpu_count
from greenkernel.plan.problem import Impossible
from greenkernel.planning import Planner
from greenkernel.profile.profiler import profile
from greenkernel.records import (
    Capture,
    EpochOpen,
    Interval,
    Offer,
    Package,
    Plan,
    Prediction,
    Profile,
    Receipt,
    Request,
    SourceFile,
    SourceInfo,
)
from greenkernel.run.bundle import BundleRef, build_bundle, wanted_packages
from greenkernel.run.receipt import EpochFacts, RunFacts, make_receipt
from greenkernel.run.reconcile import Seen
from greenkernel.run.wheels import WHEELS, Collected, collect_wheels
from greenkernel.runner.bootstrap import BUNDLE
from greenkernel.runner.job import secrets_of
from greenkernel.settings import Settings, SiteConfig
from greenkernel.store.objects import ObjectStore
from greenkernel.store.runs import Advice, End, PlanNow, RunStore, Submission
from greenkernel.tariffs import SiteGrid, grid_time, site_grids

# Until a site has been measured: from the decision to the first line of the cell.
_STARTUP = {
    "embedded": Interval(low=0.5, mid=1.5, high=5.0, source="start-up: default for embedded sites"),
    "kubernetes": Interval(low=3.0, mid=10.0, high=60.0, source="start-up: default for Kubernetes, image present"),
}
_STATED_STARTUP_ERROR = 0.5
_REPLAN_S = 60.0
_REPLAN_SIMULATED_S = 1.0
_LESS_DATA = "send less of it, or load it inside the cell"
# URLs of a bundle are signed for a day and renewed after half of it.
_BUNDLE_VALID_S = 86_400.0
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# So many packages are named in a reason; the rest are counted.
_NAMED_MOST = 3


class Stages:
    """Implements the conductor's `Adviser` with the real stages.

    Args:
        settings: The home's.
        objects: The store, for the bundles of pods.
        offers: What each site can give now.
        clock: Time.
    """

    def __init__(
        self, settings: Settings, objects: ObjectStore, offers: Callable[[], dict[str, Offer]], clock: Clock
    ) -> None:
        self._settings = settings
        self._objects = objects
        self._offers = offers
        self._clock = clock
        self._bundles: dict[tuple[Package, ...], tuple[float, Collected, BundleRef]] = {}
        self._bundle_lock = threading.Lock()
        self._planned_at: dict[str, float] = {}

    def advise(
        self, store: RunStore, submission: Submission, say: Callable[[str], None], check: Callable[[], None]
    ) -> Advice:
        """Profile, predict and plan one submission."""
        request, capture = submission.request, submission.capture
        asked = [offer for name, offer in self._offers().items() if _is_asked(name, request)]
        if (nowhere := no_site(request, capture, asked)) is None:
            measured = self._profile(store, request, capture, say, check)
        else:  # slices would take their time here for nothing
            measured = Profile(slices=(), notes=(f"not profiled: {nowhere}",))
        files = self._opened(store, request, measured)
        capture = replace(capture, files=(*capture.files, *files))
        now = self._clock.now()
        grid = grid_time(self._settings.sites.clock, now)
        grids = site_grids(self._settings, grid)
        offers = self._with_packages(self._offers(), request, capture, say)
        predictions = self._predict(measured, request, capture, grids, offers, now)
        planner = Planner(request, predictions, grids, capture.bytes, self._settings.timezone)
        planned = planner.first(now)
        if isinstance(planned, Impossible) and not measured.slices:
            planned = planner.unpromised(now, planned)
        plan = planned if isinstance(planned, Plan) else None
        if plan is not None and not request.dry_run:
            check()
            self._prepare_bundle(plan, predictions, capture)
        return Advice(
            profile=measured,
            predictions=predictions,
            plan=plan,
            clock=grid.info,
            impossible=_why_impossible(planned) if isinstance(planned, Impossible) else None,
            home=self._settings.home_site,
            capture_bytes=capture.bytes,
            files=files,
        )

    def replan(self, seen: Seen) -> PlanNow | None:
        """Plan again: once where the run is resumed, and now and then while it is at work and may move."""
        advice, now, resumed_at = seen.advice, seen.now, seen.resumed_at
        if advice is None or advice.plan is None or seen.plan is None:
            return None
        if resumed_at is None and (not _may_move(seen) or not self._is_time(seen)):
            return None
        if resumed_at is not None and seen.plan.plan.made_at >= resumed_at:
            return None
        grids = site_grids(self._settings, GridTime(advice.clock))
        usable = tuple(
            p
            for p in advice.predictions
            if (offer := seen.offers.get(p.site)) is not None and offer.reachable and offer.why_not is None
        )
        zone = self._settings.timezone
        planner = Planner(seen.request, usable, grids, advice.capture_bytes, zone)
        return planner.again(seen, now) if resumed_at is None else planner.onward(seen, now)

    def secrets(self, submission: Submission, epoch: EpochOpen) -> Mapping[str, str]:
        """The way to the store, the key, and for a pod the way to its bundle."""
        secrets = secrets_of(self._settings.store, self._settings.key)
        if self._config(epoch.site).kind == "kubernetes":
            secrets[BUNDLE] = self._bundle(submission.capture).to_json()
        return secrets

    def lost_every_s(self, site: str) -> float:
        """As the site's settings have it."""
        return self._config(site).lost_every_h * 3600

    def receipt(self, seen: Seen, store: RunStore, end: End) -> Receipt:
        """What the run took, from everything that it has left in the store."""
        submission, advice = store.submission(), seen.advice
        now = self._clock.now()
        clock = advice.clock if advice is not None else grid_time(self._settings.sites.clock, now).info
        grids = site_grids(self._settings, GridTime(clock))
        home = advice.home if advice is not None else self._settings.home_site
        if home not in grids:
            raise UserError(f"the run was sent where {home} is home, and {self._settings.sites_path} has no such site")
        plan_now = store.plan()
        facts = RunFacts(
            run=store.run,
            request=submission.request,
            capture=submission.capture,
            profile=advice.profile if advice is not None else Profile(slices=()),
            predictions=advice.predictions if advice is not None else (),
            plan=advice.plan if advice is not None else None,
            refused=plan_now.refused if plan_now is not None else (),
            epochs=_epochs(store, seen, end),
            state=end.state,
            error=end.error,
            advised_at=clock.real_start if advice is not None else None,
            finished_at=end.at,
            clock=clock,
            home=home,
            sources=_sources(grids, now),
        )
        return make_receipt(facts, {name: grid.tariff for name, grid in grids.items()})

    def _profile(
        self,
        store: RunStore,
        request: Request,
        capture: Capture,
        say: Callable[[str], None],
        check: Callable[[], None],
    ) -> Profile:
        folder = self._settings.home / "scratch" / store.run
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return profile(
                request,
                capture,
                self._settings.store,
                self._settings.key,
                folder=folder,
                cores_max=max(1, min(cpu_count(), request.cores_max or cpu_count())),
                clock=self._clock,
                on_progress=say,
                check=check,
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _opened(self, store: RunStore, request: Request, measured: Profile) -> tuple[SourceFile, ...]:
        """Files that the slices have opened, as they are now; what is gone meanwhile the cell will not find either."""
        folder = Path(request.folder)
        there = {name: folder / name for name in measured.files if (folder / name).is_file()}
        return stored(there, store.blobs)

    def _with_packages(
        self, offers: Mapping[str, Offer], request: Request, capture: Capture, say: Callable[[str], None]
    ) -> dict[str, Offer]:
        """The offers, without those of sites whose image lacks a package that nobody can give."""
        wanted = {name for name, offer in offers.items() if offer.why_not is None and _is_asked(name, request)}
        pods = {name for name in wanted if self._config(name).kind == "kubernetes"}
        if not pods:
            return dict(offers)
        say("collecting the packages that an image may lack")
        try:
            with self._bundle_lock:
                lacking = self._collect(capture).lacking
        except (TemporaryError, UserError) as e:
            if wanted == pods:
                raise
            # Nothing can be promised of the others until the index answers; these can begin.
            return {
                n: replace(offer, why_not=str(e).rstrip(".")) if n in pods else offer for n, offer in offers.items()
            }
        if not lacking:
            return dict(offers)
        more = f" And {len(lacking) - _NAMED_MOST} more." if len(lacking) > _NAMED_MOST else ""
        why = " ".join(str(one) for one in lacking[:_NAMED_MOST]).rstrip(".") + more.rstrip(".")
        # An image of one's own may have them: its pod says so where it does not.
        return {
            name: replace(offer, why_not=why) if name in pods and self._config(name).image is None else offer
            for name, offer in offers.items()
        }

    def _predict(
        self,
        measured: Profile,
        request: Request,
        capture: Capture,
        grids: Mapping[str, SiteGrid],
        offers: Mapping[str, Offer],
        now: datetime,
    ) -> tuple[Prediction, ...]:
        due_s = (request.due_at - now).total_seconds() if request.due_at is not None else None
        found: list[Prediction] = []
        for name, grid in grids.items():
            offer = _with_room(offers[name], capture)
            facts = _site_facts(grid, offer, request, now, profiled=bool(measured.slices))
            found += predict(measured, capture.bytes, request, facts, due_s=due_s)
        return tuple(found)

    def _config(self, site: str) -> SiteConfig:
        return self._settings.sites.sites[site]

    def _is_time(self, seen: Seen) -> bool:
        """True once per replanning interval and run."""
        assert seen.advice is not None
        key = f"{seen.request.created_at} {seen.request.name}"
        every_s = _REPLAN_SIMULATED_S if seen.advice.clock.factor != 1 else _REPLAN_S
        if time.monotonic() - self._planned_at.get(key, -every_s) < every_s:
            return False
        self._planned_at[key] = time.monotonic()
        return True

    def _prepare_bundle(self, plan: Plan, predictions: tuple[Prediction, ...], capture: Capture) -> None:
        """Sending wheels takes its time: done here, beside the other runs, and not when a job is handed over."""
        sites = {p.site for p in predictions if p.feasible} | {step.site for step in plan.steps}
        if any(self._config(site).kind == "kubernetes" for site in sites):
            self._bundle(capture)

    def _collect(self, capture: Capture) -> Collected:
        """Wheels as they can be had now; a bundle that was made of others is not used again."""
        collected = collect_wheels(wanted_packages(capture.packages), self._settings.home / WHEELS, python=_PYTHON)
        known = self._bundles.get(capture.packages)
        if known is not None and known[1] != collected:
            del self._bundles[capture.packages]
        return collected

    def _bundle(self, capture: Capture) -> BundleRef:
        with self._bundle_lock:
            known = self._bundles.get(capture.packages)
            if known is None or time.monotonic() - known[0] > _BUNDLE_VALID_S / 2:
                collected = self._collect(capture)
                bundle = build_bundle(self._objects, collected, python=_PYTHON, valid_s=_BUNDLE_VALID_S)
                known = self._bundles[capture.packages] = (time.monotonic(), collected, bundle)
            return known[2]


def _site_facts(grid: SiteGrid, offer: Offer, request: Request, now: datetime, *, profiled: bool) -> SiteFacts:
    config, tariff = grid.config, grid.tariff
    excluded = not _is_asked(grid.site, request)
    least, most = request.cores_min or 1, min(request.cores_max or offer.cores_max, offer.cores_max)
    # Nothing is known of how the cell uses cores without a profile: it gets what it would have here.
    counts = _core_counts(least, max(least, most)) if profiled else (max(least, most),)

    def emissions_of(energy_wh: float, start_s: float, end_s: float) -> float:
        start, end = now + timedelta(seconds=start_s), now + timedelta(seconds=end_s)
        return energy_wh / 1000 * tariff.intensity(start, end)

    return SiteFacts(
        name=grid.site,
        cores=counts,
        cores_most=offer.cores_max,
        startup_s=_startup(config),
        power=SitePower(
            idle_w_per_core=tariff.idle_w_per_core,
            busy_w_per_core=tariff.busy_w_per_core,
            pue=tariff.pue,
            source=tariff.busy_w_per_core.source,
        ),
        emissions_of=emissions_of,
        speed=offer.speed,
        same_machine=config.kind == "embedded",
        memory_most_bytes=offer.memory_free_bytes,
        price_per_kwh=config.price_per_kwh,
        price_per_core_h=config.price_per_core_h,
        currency=config.currency,
        embodied_g_per_core_h=tariff.embodied_g_per_core_h,
        reachable=offer.reachable and offer.why_not is None and not excluded,
        why_not="not among the sites that --site names" if excluded else offer.why_not,
    )


def _is_asked(site: str, request: Request) -> bool:
    return not request.sites or site in request.sites


def _with_room(offer: Offer, capture: Capture) -> Offer:
    why = no_room(capture, offer.memory_free_bytes)
    return offer if why is None or offer.why_not else replace(offer, why_not=f"{why}: {_LESS_DATA}")


def _core_counts(least: int, most: int) -> tuple[int, ...]:
    """Doublings from ``least`` to ``most``, both included."""
    counts = [least]
    while counts[-1] * 2 < most:
        counts.append(counts[-1] * 2)
    return (*counts, most) if most > counts[-1] else tuple(counts)


def _startup(config: SiteConfig) -> Interval:
    if config.startup_s is None:
        return _STARTUP[config.kind]
    low, high = config.startup_s * (1 - _STATED_STARTUP_ERROR), config.startup_s * (1 + _STATED_STARTUP_ERROR)
    return Interval(low=low, mid=config.startup_s, high=high, source="start-up: sites file")


def _may_move(seen: Seen) -> bool:
    """True while the run is at work and neither a person nor a drain has decided where it goes."""
    decided = any(wish.kind in ("relocate", "cancel") or wish.site is not None for wish in seen.wishes)
    at_work = seen.epoch is not None and seen.claim is not None and seen.progress is not None
    left = seen.drained is not None or seen.finished is not None or seen.failure is not None
    asked = seen.request.move == "never" or seen.is_asking
    return not asked and at_work and not decided and not left and seen.result is None


def _why_impossible(impossible: Impossible) -> str:
    helps = f"; what would help: {', or '.join(impossible.what_would_help)}" if impossible.what_would_help else ""
    return f"{impossible.reason}{helps}"


def _epochs(store: RunStore, seen: Seen, end: End) -> tuple[EpochFacts, ...]:
    found: list[EpochFacts] = []
    ended_on_site = {(job.site, job.status.epoch): job.status.ended_at for job in seen.jobs}
    for number in count(1):
        opened = store.epoch(number)
        if opened is None:
            break
        claim, drained, result = store.claimed(number), store.drained(number), store.finished(number)
        following = store.epoch(number + 1)
        stopped = store.end_after(opened.resumes)  # between an end and the resume after it there was no stay
        known = [
            drained.at if drained else None,
            result.finished_at if result else None,
            ended_on_site.get((opened.site, number)),
            stopped.at if stopped and following and following.resumes > opened.resumes else None,
            following.opened_at if following else None,
            end.at,
        ]
        last = drained.progress if drained else (result.progress if result else None)
        found.append(
            EpochFacts(
                opened=opened,
                claimed_at=claim.at if claim else None,
                ended_at=max(opened.opened_at, next(when for when in known if when is not None)),
                progress=last or store.progress(number),
            )
        )
    return tuple(found)


def _sources(grids: Mapping[str, SiteGrid], now: datetime) -> tuple[SourceInfo, ...]:
    every = [source for grid in grids.values() for source in grid.sources(now)]
    return (
        *every,
        SourceInfo(
            what="transfer", source="0.001-0.06 kWh/GB in the literature; both ends' grids", kind="estimate", age_s=None
        ),
    )
