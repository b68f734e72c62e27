"""What lists, shows and steers runs: shared by the line magics and the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from greenkernel.errors import UserError
from greenkernel.follow import follow
from greenkernel.handle import Run
from greenkernel.home import Home
from greenkernel.options import Parser
from greenkernel.panel.text import plan_text, predictions_text, profile_text, receipt_text, table
from greenkernel.records import RunState, plain
from greenkernel.session import attach, runs, sites
from greenkernel.settings import MOST_DAYS, UserSettings
from greenkernel.units import format_bytes
from greenkernel.upkeep import Upkeep
from greenkernel.voices import Voice

NOBODY_CHOOSES = "nobody can choose here: the recommended site is taken"
_KEPT = f"{UserSettings().keep_days:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a command works with: the home, where words go, and what becomes of names that come back."""

    home: Home
    voice: Voice
    out: Callable[[str], None]
    take: Callable[[Run], Any]
    namespace: dict[str, Any] | None = None


def add_runs(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of ``greenkernel runs`` and ``%greenruns``."""
    what = parser.add_subparsers(dest="what", metavar="COMMAND")
    listing = what.add_parser("list", help="every run, newest first (the default)")
    listing.add_argument("--json", action="store_true", help="as JSON")
    for name, text in (
        ("show", "what was predicted, planned and decided"),
        ("attach", "follow a run and take its names back"),
        ("logs", "what the cell has printed"),
        ("cancel", f"stop a run everywhere; its logs and records stay {_KEPT} days, or as keep_days says"),
        ("resume", "go on with a run that was cancelled, or that failed for no error of the cell, from its records"),
    ):
        command = what.add_parser(name, help=text)
        command.add_argument("run", metavar="ID", help="the run, or the beginning of its id")
        if name == "show":
            command.add_argument("--json", action="store_true", help="as JSON")
        if name == "cancel":
            command.add_argument("--purge", action="store_true", help="remove its logs, records and payload, too")
    choose = what.add_parser("choose", help="choose a site for a run that waits for it")
    choose.add_argument("run", metavar="ID")
    choose.add_argument("site", metavar="SITE", nargs="?", help="the recommended one by default")
    relocate = what.add_parser("relocate", help="move a run to another site")
    relocate.add_argument("run", metavar="ID")
    relocate.add_argument("site", metavar="SITE")
    usage = what.add_parser("usage", help="how much disk runs and the home take, the limits, and when what is removed")
    usage.add_argument("--json", action="store_true", help="as JSON")
    prune = what.add_parser("prune", help="remove now what is too old or too much, as the controller does once a day")
    prune.add_argument(
        "--days", type=_days, metavar="N", help=f"runs that ended more than so many days ago; else keep_days ({_KEPT})"
    )
    prune.add_argument("--dry-run", action="store_true", help="only list what would go, with its size")


def runs_command(given: argparse.Namespace, desk: Desk) -> None:
    """Do what ``greenkernel runs`` or ``%greenruns`` was asked."""
    what = given.what or "list"
    if what == "list":
        _list(desk, as_json=bool(getattr(given, "json", False)))
    elif what == "usage":
        _usage(desk, as_json=given.json)
    elif what == "prune":
        _prune(desk, given.days, dry_run=given.dry_run)
    else:
        run = attach(given.run, namespace=desk.namespace, home=desk.home)
        _ONE_RUN[what](run, given, desk)


def sites_command(desk: Desk, *, as_json: bool) -> None:
    """List the sites."""
    found = sites(desk.home)
    if as_json:
        desk.out(json.dumps([plain(site) for site in found], indent=2))
        return
    rows = [
        (
            s.name,
            s.kind,
            s.zone,
            "yes" if s.reachable else "no",
            str(s.cores_max),
            "unknown" if s.intensity_g_per_kwh is None else f"{s.intensity_g_per_kwh:.0f} g/kWh ({s.source})",
            s.detail,
        )
        for s in found
    ]
    desk.out(table(rows, header=("site", "kind", "zone", "reachable", "cores", "intensity now", "")))
    path = desk.home.settings.sites_path
    inside = path.is_relative_to(Path.home())
    desk.out(f"from {'~' / path.relative_to(Path.home()) if inside else path}")


def report_command(desk: Desk, run: str | None, *, as_json: bool) -> None:
    """Show a receipt: of a run, or of the last one that has one."""
    real = (one for one in runs(desk.home) if not one.submission.request.dry_run)
    candidates = [attach(run, home=desk.home)] if run else real
    for candidate in candidates:
        receipt = candidate.receipt
        if receipt is not None:
            desk.out(receipt.to_json() if as_json else receipt_text(receipt, zone=desk.home.settings.timezone))
            return
    raise UserError(f"run {run} has no receipt yet" if run else "no run has a receipt yet")


def runs_parser(prog: str) -> Parser:
    """A parser for the words behind ``%greenruns``."""
    parser = Parser(prog=prog, description="List, show and steer runs.")
    add_runs(parser)
    return parser


def _list(desk: Desk, *, as_json: bool) -> None:
    desk.home.sync_journal()
    entries = desk.home.journal.entries()
    if as_json:
        desk.out(json.dumps([plain(entry) for entry in entries], indent=2))
        return
    if not entries:
        desk.out("no runs yet")
        return
    zone = desk.home.settings.timezone
    rows = [(e.id, _day(e.created_at, zone), e.state, e.name, e.detail[:80]) for e in entries]
    desk.out(table(rows, header=("run", "when", "state", "name", "")))


def _show(run: Run, given: argparse.Namespace, desk: Desk) -> None:
    zone = desk.home.settings.timezone
    advice, receipt = run.advice, run.receipt
    if given.json:
        shown: dict[str, Any] = {"run": run.id, "state": run.state, "detail": run.detail, "advice": plain(advice)}
        desk.out(json.dumps({**shown, "progress": plain(run.progress), "receipt": plain(receipt)}, indent=2))
        return
    desk.out(f"run {run.id}: {run.state}{f': {run.detail}' if run.detail else ''}")
    if advice is not None:
        desk.out(profile_text(advice.profile))
        desk.out(predictions_text(advice.predictions, advice.plan))
    if run.plan is not None:
        desk.out(plan_text(run.plan, advice.predictions if advice is not None else (), zone=zone))
    for at, text in run.journal():
        desk.out(f"{at.astimezone(zone):%H:%M:%S} {text}")
    if receipt is not None:
        desk.out(receipt_text(receipt, zone=zone))


def _attach(run: Run, _given: argparse.Namespace, desk: Desk) -> None:
    if not run.submission.request.auto and run.chosen is None and not run.epochs and not run.state.ended:
        run.choose(None)
        desk.out(f"nobody can choose a site here, so run {run.id} takes the recommended one")
    try:
        follow(run, desk.voice, zone=desk.home.settings.timezone)
    except KeyboardInterrupt:
        desk.voice.say(f"stopped following; run {run.id} goes on")
        raise
    if run.state in (RunState.DONE, RunState.FAILED):
        desk.take(run)


def _logs(run: Run, _given: argparse.Namespace, desk: Desk) -> None:
    for event in run.follower().poll():
        desk.voice.show(event)


def _resume(run: Run, given: argparse.Namespace, desk: Desk) -> None:
    run.resume()
    _attach(run, given, desk)


def _cancel(run: Run, given: argparse.Namespace, desk: Desk) -> None:
    if not (given.purge and run.state.ended):
        run.cancel()
    run.wait_stopped()
    state = run.state
    if given.purge:
        run.purge()
        desk.out(f"run {run.id}: {state}; nothing of it is left running, and its logs, records and payload are removed")
        return
    kept = f"; `runs resume {run.id}` goes on from its records" if state is RunState.CANCELLED else ""
    desk.out(f"run {run.id}: {state}; nothing of it is left running{kept}")


def _choose(run: Run, given: argparse.Namespace, desk: Desk) -> None:
    run.choose(given.site)
    desk.out(f"run {run.id} takes {given.site or 'the recommended site'}")


def _relocate(run: Run, given: argparse.Namespace, desk: Desk) -> None:
    run.relocate(given.site)
    desk.out(f"run {run.id} is asked to go on at {given.site}")


_ONE_RUN: dict[str, Callable[[Run, argparse.Namespace, Desk], None]] = {
    "show": _show,
    "attach": _attach,
    "logs": _logs,
    "cancel": _cancel,
    "resume": _resume,
    "choose": _choose,
    "relocate": _relocate,
}


def _days(text: str) -> timedelta:
    """A number of days as an option has it.

    Raises:
        UserError: It is none.
    """
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days <= MOST_DAYS:  # nor a number that is none
        raise UserError(
            f"{text!r} is no number of days",
            where="--days",
            what_to_do="Write 7 or 0.5, or 0 for every run that has ended",
        )
    return timedelta(days=days)


def _prune(desk: Desk, keep: timedelta | None, *, dry_run: bool) -> None:
    pruned = Upkeep(desk.home).prune(keep, dry_run=dry_run)
    zone = desk.home.settings.timezone
    if dry_run and pruned.runs:
        rows = [
            (one.run.run, _day(one.run.ended_at, zone), format_bytes(one.bytes), one.run.name, one.why)
            for one in pruned.runs
        ]
        desk.out(table(rows, header=("run", "ended", "frees", "name", "why")))
    desk.out(f"{pruned} {'would be removed' if dry_run else 'removed'}")
    if pruned.over_bytes:
        over, path = format_bytes(pruned.over_bytes), desk.home.settings.user_path
        desk.out(
            f"what is left is {over} above store_size: runs that are open or ended within a day stay; "
            f"raise it in {path}, or remove some with `greenkernel runs cancel ID --purge`"
        )


def _usage(desk: Desk, *, as_json: bool) -> None:
    usage, settings = Upkeep(desk.home).usage(), desk.home.settings
    if as_json:
        desk.out(json.dumps(plain(usage), indent=2))
        return
    total = usage.runs_bytes + usage.blobs_bytes + usage.unused_bytes + usage.bundles_bytes
    days = f"{settings.user.keep_days:g} days"
    each = format_bytes(settings.run_bytes)
    of_this = " of this home, which shares the store," if usage.other_homes else ""
    rows = [
        (f"runs: {usage.runs}, {usage.open_runs} of them open; logs, records and snapshots", usage.runs_bytes,
            f"{days} after the end (keep_days); at most {each} of a run (run_size)"),
        ("what they have sent and brought back", usage.blobs_bytes, f"as long as a run has it; at most {each} sent"),
        (f"what no run{of_this} has any more", usage.unused_bytes, "until it is a day old"),
        ("packages for pods", usage.bundles_bytes, "until they are three days old"),
        ("in the store", total, f"at most {format_bytes(usage.limit_bytes)} (store_size), else the oldest runs go"),
        ("the rest of the home", usage.home_bytes, "stays"),
    ]  # fmt: skip
    desk.out(table([(what, format_bytes(size), how) for what, size, how in rows], header=("what", "takes", "stays")))
    desk.out(f"the store is {settings.store.url}; the limits can be set in {settings.user_path}")
    if usage.tidied_at is not None:
        desk.out(f"{_day(usage.tidied_at, settings.timezone)}: {usage.tidied}")


def _day(when: datetime | None, zone: tzinfo | None) -> str:
    return "" if when is None else f"{when.astimezone(zone):%m-%d %H:%M}"


def move_policy(move: str | None, say: Callable[[str], None], *, answerable: bool) -> str | None:
    """``--move`` as it was given; ``ask`` becomes ``never`` where nobody could answer, which is said."""
    if move != "ask" or answerable:
        return move
    say("nobody can answer here, so --move ask works like --move never: the run stays where it starts")
    return "never"


def check_receipt(path: str | None) -> None:
    """Refuse a file that cannot be written, before the run.

    Raises:
        UserError: It is a folder, or its folder is not there.
    """
    target = Path(path).expanduser() if path is not None else None
    if target is not None and (target.is_dir() or not target.absolute().parent.is_dir()):
        what = "is a folder" if target.is_dir() else "lies in a folder that is not there"
        raise UserError(f"{path} {what}", where="--json", what_to_do="Name a file for the receipt")


def write_receipt(run: Run, path: str | None) -> None:
    """Write the receipt to the file that ``--json`` names."""
    receipt = run.receipt
    if path is None or receipt is None:
        return
    target = Path(path).expanduser()
    try:
        target.write_text(receipt.to_json() + "\n", encoding="utf-8")
    except OSError as e:
        raise UserError(f"the receipt cannot be written ({e})", where="--json") from e


def words(line: str) -> Sequence[str]:
    """A magic's line as a shell would split it."""
    import shlex

    try:
        return shlex.split(line)
    except ValueError as e:
        raise UserError(f"the line cannot be read ({e})", what_to_do="Close the quotation marks") from e
