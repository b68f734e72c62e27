"""A profile and a site's facts -> what the whole cell would take there, on each core count, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from greenkernel.model.bounds import Circumstances, bounded, chance_at_most, unknown_time
from greenkernel.model.power import SitePower, mean_power_w
from greenkernel.model.whole import Whole, memory_of, whole_cell
from greenkernel.records import Interval, Prediction, Profile, Request
from greenkernel.units import format_bytes, format_duration

_NOTHING = Interval(low=0.0, mid=0.0, high=0.0, level=1.0, source="none")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """What a prediction needs to know of a site; its times are seconds from now.

    Attributes:
        name: The site.
        cores: Core counts to predict for.
        cores_most: Most cores that a job can have there.
        startup_s: From the decision until the runner is up, without restoring the cell's values.
        power: What a core draws.
        emissions_of: ``(energy_wh, start_s, end_s) -> g``, with the mean intensity of that time.
        speed: Share of the time that the site lets a job run; CPU seconds do not change with it.
        same_machine: The slices ran on this machine.
        memory_most_bytes: Most memory that a job can have there; None: not known.
        bandwidth_bytes_per_s: How fast the payload gets there; None: what is there already.
        price_per_kwh: In ``currency``.
        price_per_core_h: In ``currency``.
        currency: Of the prices.
        embodied_g_per_core_h: Embodied emissions of a reserved core.
        reachable: False: nothing can run there now.
        why_not: Why it is not reachable.
    """

    name: str
    cores: tuple[int, ...]
    cores_most: int
    startup_s: Interval
    power: SitePower
    emissions_of: Callable[[float, float, float], float]
    speed: float = 1.0
    same_machine: bool = True
    memory_most_bytes: int | None = None
    bandwidth_bytes_per_s: float | None = None
    price_per_kwh: float = 0.0
    price_per_core_h: float = 0.0
    currency: str = "EUR"
    embodied_g_per_core_h: Interval = field(default_factory=lambda: _NOTHING)
    reachable: bool = True
    why_not: str | None = None


def predict(
    profile: Profile,
    capture_bytes: int,
    request: Request,
    site: SiteFacts,
    *,
    due_s: float | None,
    scores: Sequence[float] = (),
) -> tuple[Prediction, ...]:
    """What the whole cell would take on a site if it were started now, one prediction for each core count.

    Args:
        profile: The slices; without any the intervals are the widest and say so.
        capture_bytes: What travels.
        request: For the memory that was asked for.
        site: Where.
        due_s: Seconds until the due date.
        scores: log(true / predicted) of finished runs like this one.
    """
    whole = whole_cell(profile)
    return tuple(_on(whole, profile, capture_bytes, request, site, cores, due_s, scores) for cores in site.cores)


def _on(
    whole: Whole | None,
    profile: Profile,
    capture_bytes: int,
    request: Request,
    site: SiteFacts,
    cores: int,
    due_s: float | None,
    scores: Sequence[float],
) -> Prediction:
    time_s, cpu_s = _times(whole, site, cores, scores)
    startup_s = _startup(profile, capture_bytes, site)
    total_s = time_s + startup_s
    memory_bytes = memory_of(profile, capture_bytes)
    energy_wh = site.power.energy_wh(cores=cores, reserved_s=total_s, cpu_s=cpu_s)
    p_due = None if due_s is None else chance_at_most(total_s, due_s)
    why_not = _why_not(request, site, cores, memory_bytes, total_s, due_s, known=whole is not None)
    return Prediction(
        site=site.name,
        cores=cores,
        time_s=time_s,
        startup_s=startup_s,
        memory_bytes=memory_bytes,
        energy_wh=energy_wh,
        emissions_g=_emissions(site, energy_wh, total_s, cores),
        cost=_cost(site, energy_wh, total_s, cores),
        currency=site.currency,
        p_due=p_due,
        feasible=why_not is None,
        why_not=why_not,
        repeat_s=_repeat(whole, time_s),
        power_w=mean_power_w(energy_wh, total_s),
        cpu_s=cpu_s,
    )


def _times(whole: Whole | None, site: SiteFacts, cores: int, scores: Sequence[float]) -> tuple[Interval, Interval]:
    """Wall and CPU seconds."""
    if whole is None:
        unknown = unknown_time()
        return unknown.scaled(1 / site.speed), unknown
    beyond = () if cores <= whole.scaling.cores_most else (f"no more than {whole.scaling.cores_most} cores promised",)
    given = Circumstances(
        extrapolation=whole.extrapolation,
        same_machine=site.same_machine,
        unsure=(*whole.unsure, *beyond),
        scores=scores,
    )
    time_s = bounded(whole.scaling.wall_s(cores), given, what=whole.how).scaled(1 / site.speed)
    return time_s, bounded(whole.estimate.cpu_s, given, what=whole.how)


def _repeat(whole: Whole | None, time_s: Interval) -> Interval | None:
    if whole is None or whole.repeated is None:
        return None
    mean, most = whole.repeated
    return Interval(low=0.0, mid=mean * time_s.mid, high=most * time_s.high, source="the slices' rounds and statements")


def _startup(profile: Profile, capture_bytes: int, site: SiteFacts) -> Interval:
    restore_s = Interval(
        low=profile.startup_s / 2,
        mid=profile.startup_s,
        high=profile.startup_s * 2,
        source="restore and imports as in the slices" if profile.startup_s else "",
    )
    if not site.bandwidth_bytes_per_s:
        return site.startup_s + restore_s
    transfer_s = capture_bytes / site.bandwidth_bytes_per_s
    transfer = Interval(low=transfer_s / 2, mid=transfer_s, high=transfer_s * 2, source="transfer")
    return site.startup_s + restore_s + transfer


def _emissions(site: SiteFacts, energy_wh: Interval, total_s: Interval, cores: int) -> Interval:
    """Grams of the energy over the mid of its time, and the embodied share."""
    grams_per_wh = site.emissions_of(1.0, 0.0, max(total_s.mid, 1e-3))
    embodied = [
        rate * cores * seconds / 3600
        for rate, seconds in (
            (site.embodied_g_per_core_h.low, total_s.low),
            (site.embodied_g_per_core_h.mid, total_s.mid),
            (site.embodied_g_per_core_h.high, total_s.high),
        )
    ]
    share = Interval(low=embodied[0], mid=embodied[1], high=embodied[2], source="embodied" if embodied[1] else "")
    return energy_wh.scaled(grams_per_wh) + share


def _cost(site: SiteFacts, energy_wh: Interval, total_s: Interval, cores: int) -> Interval:
    energy = energy_wh.scaled(site.price_per_kwh / 1000)
    rent = total_s.scaled(site.price_per_core_h * cores / 3600)
    return replace(energy + rent, source=f"{site.price_per_kwh:g}/kWh, {site.price_per_core_h:g}/core h")


def _why_not(
    request: Request,
    site: SiteFacts,
    cores: int,
    memory_bytes: Interval,
    total_s: Interval,
    due_s: float | None,
    *,
    known: bool,
) -> str | None:
    """Why the whole cell cannot run there, None where it can."""
    if not site.reachable:
        return site.why_not or "not reachable"
    if cores > site.cores_most:
        return f"has {site.cores_most} cores at most"
    # Of a cell that nobody measured only the least it takes is an argument.
    needed = request.memory_bytes or (memory_bytes.high if known else memory_bytes.low)
    if site.memory_most_bytes is not None and needed > site.memory_most_bytes:
        return f"needs {format_bytes(needed)} of memory, {format_bytes(site.memory_most_bytes)} are there"
    if due_s is not None and known and total_s.mid > due_s:
        return f"too late: would take about {format_duration(total_s.mid)}, {format_duration(max(due_s, 0.0))} are left"
    return None
