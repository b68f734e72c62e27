"""The command line: a thin edge on the session."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from greenkernel.errors import GreenKernelError, UserError
from greenkernel.options import OPTIONS, Parser, add_options

_BEHIND = "What is for the Python file itself stands behind --: greenkernel train FILE.py --due 18:00 -- WORDS"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if it has succeeded (for ``train``: if the cell has finished), 1 if the cell has failed, 2 for a mistake of
        the user, 130 when interrupted.
    """
    try:
        parser = _parser()
        if "_ARGCOMPLETE" in os.environ:  # the shell asks what could stand next
            import argcomplete

            argcomplete.autocomplete(parser)
        words = list(sys.argv[1:] if arguments is None else arguments)
        end = words.index("--") if "--" in words else len(words)
        given = parser.parse_args(words[:end])
        given.words = words[end + 1 :]
        return int(_COMMANDS[given.command](given) or 0)
    except UserError as e:
        print(f"greenkernel: {e}", file=sys.stderr)
        return 2
    except GreenKernelError as e:
        print(f"greenkernel: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="greenkernel", description="Run code where and when electricity is green, in time.", epilog=_BEHIND
    )
    from importlib.metadata import version

    parser.add_argument("--version", action="version", version=f"greenkernel {version('greenkernel')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, text in (
        ("train", "run a Python file as one cell on the best site"),
        ("predict", "what a Python file would take on each site; nothing is shipped"),
    ):
        command = commands.add_parser(name, help=text, description=text, epilog=_BEHIND)
        command.add_argument("file", metavar="FILE.py")
        add_options(command)
        _add_sites(command)
    listing = commands.add_parser("sites", help="the sites and what they can give now")
    listing.add_argument("--json", action="store_true", help="as JSON")
    _add_sites(listing)
    from greenkernel.commands import add_runs

    runs = commands.add_parser("runs", help="list, show and steer runs")
    add_runs(runs)
    report = commands.add_parser("report", help="the receipt of a run")
    report.add_argument("run", metavar="ID", nargs="?", help="the last one by default")
    report.add_argument("--json", action="store_true", help="as JSON")
    controller = commands.add_parser("controller", help="bring this home's runs on in the foreground")
    controller.add_argument(
        "--stay",
        action="store_true",
        help="for ever, also for notebooks on other machines: see docs/controller.md",
    )
    _add_sites(controller)
    demo = commands.add_parser("demo", help="the ECG forest on three embedded sites, from profile to receipt")
    _add_sites(demo)
    demo.add_argument("--traces", metavar="DIR", help="folder with coast.csv, windy.csv and sunny.csv")
    demo.add_argument("--folder", metavar="DIR", default="build/demo", help="where home and receipt go")
    demo.add_argument("--records", metavar="N", type=int, help="use only so many ECG records")
    return parser


def _add_sites(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sites", metavar="FILE", help="the sites file, instead of sites.toml of the home folder")


def _train(given: argparse.Namespace) -> int:
    from greenkernel.commands import NOBODY_CHOOSES, check_receipt, write_receipt
    from greenkernel.follow import follow
    from greenkernel.records import RunState
    from greenkernel.voices import Terminal

    check_receipt(given.json)
    home, run = _submit(given)
    if not (given.auto or given.dry_run or given.site):
        Terminal().say(NOBODY_CHOOSES)
    try:
        follow(run, Terminal(), zone=home.settings.timezone)
    except KeyboardInterrupt:
        print(
            f"greenkernel: stopped following; run {run.id} goes on. Cancel it with: greenkernel runs cancel {run.id}",
            file=sys.stderr,
        )
        raise
    write_receipt(run, given.json)
    if run.state in (RunState.DONE, RunState.FAILED):
        _bring(run)
    if (words := run.exit_words) is not None:
        return _exited(words)
    if run.state is not RunState.DONE:
        why = f": {run.detail}" if run.detail else ""
        print(run.error_text or f"greenkernel: run {run.id} {run.state}{why}", file=sys.stderr)
        return 1
    return 0


def _exited(words: str) -> int:
    """The exit status of a script that has ended itself; a sentence goes to stderr, as Python does it."""
    try:
        return int(words) & 0xFF
    except ValueError:
        print(words, file=sys.stderr)
        return 1


def _bring(run: Any) -> None:
    """Put the files that the run has left into the folder that it was sent from."""
    for message in run.bring_files():
        print(f"greenkernel: {message}", file=sys.stderr)
    for name, why in run.not_returned.items():
        print(f"greenkernel: {name} did not come back: {why}", file=sys.stderr)


def _predict(given: argparse.Namespace) -> int:
    from greenkernel.commands import check_receipt
    from greenkernel.panel.text import plan_text, predictions_text, profile_text
    from greenkernel.session import Forecast

    check_receipt(given.json)
    given.dry_run = True
    home, run = _submit(given)
    run.wait()
    advice = run.advice
    if advice is None:
        raise UserError(run.detail or "no prediction could be made")
    forecast = Forecast(
        predictions=advice.predictions, profile=advice.profile, plan=advice.plan, impossible=advice.impossible
    )
    if given.json:
        Path(given.json).write_text(forecast.to_json() + "\n", encoding="utf-8")
    print(profile_text(advice.profile))
    print(predictions_text(advice.predictions, advice.plan))
    print(
        plan_text(advice.plan, advice.predictions, zone=home.settings.timezone)
        if advice.plan
        else f"impossible: {advice.impossible}"
    )
    return 0 if advice.plan else 1


def _submit(given: argparse.Namespace) -> tuple[Any, Any]:
    from greenkernel.commands import move_policy
    from greenkernel.session import train
    from greenkernel.voices import Terminal

    path = Path(given.file)
    if path.suffix == ".ipynb":
        raise UserError(
            f"{given.file} is a notebook", what_to_do="Write %%greentrain above the cell in it, or name a Python file"
        )
    try:
        with tokenize.open(path) as file:  # as Python reads it: its coding line, its byte order mark
            text = file.read()
    except (OSError, SyntaxError, UnicodeDecodeError) as e:
        todo = (
            "Name a Python file"
            if isinstance(e, OSError)
            else "Save it as UTF-8, or name its encoding in its first line"
        )
        raise UserError(f"{given.file} cannot be read ({e})", what_to_do=todo) from e
    home = _home(given)
    # As Python does it: modules are looked for beside the script, files from where it is started.
    sys.path.insert(0, str(path.absolute().parent))
    sys.argv[:] = [given.file, *given.words]
    options = {option.dest: getattr(given, option.dest) for option in OPTIONS if not option.front}
    options["name"] = options["name"] or path.name
    options["move"] = move_policy(options["move"], Terminal().say, answerable=sys.stdin.isatty())
    names = {"__name__": "__main__"}
    run = train(text, namespace=names, home=home, file_name=str(path), script=path.name, **options)
    return home, run


def _sites(given: argparse.Namespace) -> None:
    from greenkernel.commands import sites_command

    sites_command(_desk(given), as_json=given.json)


def _runs(given: argparse.Namespace) -> None:
    from greenkernel.commands import runs_command

    runs_command(given, _desk(given))


def _report(given: argparse.Namespace) -> None:
    from greenkernel.commands import report_command

    report_command(_desk(given), given.run, as_json=given.json)


def _controller(given: argparse.Namespace) -> None:
    from greenkernel.controller import serve, stand

    home = _home(given)
    if given.stay:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        stand(home, lambda text: print(f"greenkernel: {text}", file=sys.stderr, flush=True))
    print(f"greenkernel: controller of {home.settings.home}; ends when no run is open", file=sys.stderr)
    if not serve(home):
        raise UserError(
            "another controller is at work in this home", what_to_do="Leave it to that one, or end it first"
        )


def _demo(given: argparse.Namespace) -> int:
    from greenkernel.demo.main import run_demo

    sites, traces = (Path(name) if name else None for name in (given.sites, given.traces))
    return run_demo(Path(given.folder), sites=sites, traces=traces, records=given.records)


def _desk(given: argparse.Namespace) -> Any:
    from greenkernel.commands import Desk
    from greenkernel.voices import Terminal

    return Desk(home=_home(given), voice=Terminal(), out=print, take=_bring)


def _home(given: argparse.Namespace) -> Any:
    from greenkernel.home import Home

    named = getattr(given, "sites", None)
    return Home.open(None, Path(named) if named else None)


_COMMANDS = {
    "train": _train,
    "predict": _predict,
    "sites": _sites,
    "runs": _runs,
    "report": _report,
    "controller": _controller,
    "demo": _demo,
}

if __name__ == "__main__":
    raise SystemExit(main())
