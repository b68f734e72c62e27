"""Why a plan is as it is, what else there was, and what would help where there is none: plain words with figures."""

from __future__ import annotations

from collections.abc import Sequence

from greenkernel.plan.costs import Costs, Figures, Leg
from greenkernel.plan.once import Once
from greenkernel.plan.problem import Impossible, Option, Problem
from greenkernel.records import Alternative
from greenkernel.units import clock_text, format_amount, format_duration


def reason(problem: Problem, costs: Costs, legs: Sequence[Leg], singles: Sequence[Once], penalty: float) -> str:
    """One or two sentences: what is done when, its figure, and the figure of the nearest other way."""
    mine = costs.figures(legs)
    late = _if_late(problem, costs, legs)
    if len(legs) == 1 and legs[0].enter_s is None:
        return _staying(problem, costs, mine, singles, penalty) + late
    if len(legs) == 1:
        return _starting(problem, costs, legs[0], mine, singles) + late
    names = [f"{problem.options[leg.option].site} {moment(problem, leg.enter_s or 0.0)}" for leg in _lasting(legs)]
    shown = f"{', then '.join(names)}: {figure(problem, mine)}"
    other = _cheapest(problem, costs, [s for s in singles if problem.current in (None, s.option)])
    if other is None:
        here = "staying" if problem.current is not None else "any one site"
        return f"{shown}; {here} might miss the due date{late}"
    where = "staying" if problem.current is not None else problem.options[other.option].site + " alone"
    return f"{shown} instead of {figure(problem, costs.figures(other.legs))} for {where}{late}"


def alternatives(
    asked: Problem, problem: Problem, costs: Costs, legs: Sequence[Leg], singles: Sequence[Once]
) -> tuple[Alternative, ...]:
    """The best single stay on each site that the plan is not, with its figures, and the sites that cannot, with why."""
    mine = costs.figures(legs)
    found = []
    for site in dict.fromkeys(option.site for option in asked.options):
        here = [s for s in singles if problem.options[s.option].site == site]
        best = _cheapest(problem, costs, here)
        if best is not None and best.legs != tuple(legs):
            found.append(_other(problem, mine, costs.figures(best.legs), best))
        elif best is None:
            found.append(_none_on(asked, problem, site, here))
    return tuple(found)


def nowhere(problem: Problem) -> Impossible:
    """No option can be taken at all."""
    why = "; ".join(f"{o.label}: {o.why_not or 'cannot run this cell'}" for o in problem.options)
    return Impossible(
        reason=f"no site can run this cell ({why})" if why else "no site is known",
        what_would_help=("a site with room for it; see `greenkernel sites`",),
    )


def impossible(asked: Problem, problem: Problem, singles: Sequence[Once]) -> Impossible:
    """No option keeps the due date at its upper bound."""
    best = min(singles, key=lambda s: s.late_s)
    option, late = problem.options[best.option], format_duration(best.late_s)
    finish_at = problem.when(problem.due_s + best.late_s)
    helps = [f"a due date {late} later, {_clock(problem, problem.due_s + best.late_s)}"]
    if best.late_s <= problem.work_left * (option.duration_high_s - option.duration_mid_s):
        helps.append(f"a narrower prediction: the best estimate for {option.label} is in time, its upper bound is not")
    for other in asked.options:
        if not other.feasible and _surely_s(problem, other) <= problem.due_s:
            helps.append(f"{other.label}, if it were not that {other.why_not or 'it cannot run this cell'}")
    return Impossible(
        reason=f"no site is surely done by {_clock(problem, problem.due_s)}: the quickest, {option.label}, "
        f"may need until {_clock(problem, problem.due_s + best.late_s)}, {late} too long",
        what_would_help=tuple(helps),
        best_finish_at=finish_at,
    )


def figure(problem: Problem, figures: Figures) -> str:
    """The figure that the goal looks at, with its unit."""
    return amount(problem, figures.of(problem.goal))


def amount(problem: Problem, value: float) -> str:
    """A value in the goal's unit."""
    if problem.goal == "time":
        return format_duration(value)
    unit = {"co2": "g CO2e", "energy": "Wh", "cost": problem.currency}[problem.goal]
    return format_amount(value, unit, digits=2)


def moment(problem: Problem, after_s: float) -> str:
    """``now``, or the time and how far away it is."""
    return "now" if after_s <= 0 else f"from {_clock(problem, after_s)} (in {format_duration(after_s)})"


def _clock(problem: Problem, after_s: float) -> str:
    return clock_text(problem.when(after_s), problem.zone, today=problem.start, seconds=problem.slot_s < 60)


def _lasting(legs: Sequence[Leg]) -> list[Leg]:
    return [leg for leg in legs if leg.leave_s is None or leg.leave_s > (leg.enter_s or 0.0)]


def _cheapest(problem: Problem, costs: Costs, singles: Sequence[Once]) -> Once | None:
    possible = [s for s in singles if s.legs]
    return min(possible, key=lambda s: costs.figures(s.legs).of(problem.goal), default=None)


def _starting(problem: Problem, costs: Costs, leg: Leg, mine: Figures, singles: Sequence[Once]) -> str:
    site = problem.options[leg.option].site
    shown = f"{site} {moment(problem, leg.enter_s or 0.0)}: {figure(problem, mine)}"
    if leg.enter_s:
        now = costs.figures([Leg(leg.option, 0.0)])
        return f"{shown} instead of {figure(problem, now)} for starting there now"
    other = _cheapest(problem, costs, [s for s in singles if problem.options[s.option].site != site])
    if other is None:
        return f"{shown}; no other site can make it" if len(_sites(problem)) > 1 else f"{shown}; the only site"
    next_best = f"{problem.options[other.option].site} {figure(problem, costs.figures(other.legs))}"
    return f"{shown}, the least of {len(_sites(problem))} sites; next is {next_best}"


def _staying(problem: Problem, costs: Costs, mine: Figures, singles: Sequence[Once], penalty: float) -> str:
    site = problem.options[problem.current or 0].site
    shown = f"stays on {site}: {figure(problem, mine)}"
    other = _cheapest(problem, costs, [s for s in singles if problem.options[s.option].site != site])
    if other is None:
        return shown
    theirs = costs.figures(other.legs)
    gain = mine.of(problem.goal) - theirs.of(problem.goal)
    target = f"{problem.options[other.option].site} {moment(problem, other.legs[-1].enter_s or 0.0)}"
    if gain > 0:
        margin = f"less than the margin of {amount(problem, penalty)}"
        return f"{shown}; going to {target} would gain {amount(problem, gain)}, {margin}"
    return f"{shown}; going to {target} would take {figure(problem, theirs)}"


def _if_late(problem: Problem, costs: Costs, legs: Sequence[Leg]) -> str:
    """A plan whose own upper bound is too long relies on leaving for a quicker option; it says so."""
    if costs.figures(legs, "high").finish_s <= problem.due_s:
        return ""
    return "; if it runs late it moves to a quicker place in time for the due date"


def _other(problem: Problem, mine: Figures, theirs: Figures, single: Once) -> Alternative:
    option, begin_s = problem.options[single.option], single.legs[-1].enter_s
    more = theirs.of(problem.goal) - mine.of(problem.goal)
    what = f"stay on {option.label}" if begin_s is None else f"{option.label} {moment(problem, begin_s)}"
    return Alternative(
        site=option.site,
        what=what,
        emissions_g=theirs.grams,
        energy_wh=theirs.energy_wh,
        cost=theirs.cost,
        finish_at=problem.when(theirs.finish_s),
        why_not=f"{amount(problem, more)} more" if more > 0 else "the gain does not pay a move",
    )


def _none_on(asked: Problem, problem: Problem, site: str, singles: Sequence[Once]) -> Alternative:
    if singles:
        best = min(singles, key=lambda s: s.late_s)
        what = problem.options[best.option].label
        ends = _clock(problem, problem.due_s + best.late_s) if best.late_s > 0 else ""
        late = f"may need until {ends}, {format_duration(best.late_s)} after the due date"
        why = late if best.late_s > 0 else "the run may not move"
    else:
        option = next(o for o in asked.options if o.site == site)
        what, why = option.label, option.why_not or "cannot run this cell"
    return Alternative(site=site, what=what, emissions_g=0.0, energy_wh=0.0, cost=0.0, finish_at=None, why_not=why)


def _sites(problem: Problem) -> set[str]:
    return {option.site for option in problem.options}


def _surely_s(problem: Problem, option: Option) -> float:
    return option.startup_high_s + problem.work_left * option.duration_high_s
