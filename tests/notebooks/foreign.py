"""Other people's scripts and notebooks, each in a plain kernel and through the magic: which are the same, which not.

    python -m tests.notebooks.foreign [--cells] [--options=TEXT] [--limit S] [--jobs N] [--out FILE] PATH...

What differs between two plain runs too (times, addresses, draws without a seed) is not counted.
"""

from __future__ import annotations

import argparse
import json
import queue
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from greenkernel import errors
from greenkernel.handle import Run
from greenkernel.home import Home
from tests.flows.conftest import PLAIN_SITES, end_controllers
from tests.notebooks.compare import Case, Pair

# A folder beside a script travels with it up to this size.
_MOST_BYTES = 50_000_000
_REFUSALS = tuple(name for name in vars(errors) if name.endswith("Error"))
_CELL_MARK = re.compile(r"^# ?%%.*$|^#{20,}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one script: ``same``, ``refused``, ``differs`` or ``not run``, and what there is to say."""

    path: Path
    kind: str
    found: tuple[str, ...] = ()


def judge(path: Path, pairs: tuple[Pair, Pair], *, cells: bool, options: str) -> Verdict:
    """Compare one script; the first pair has the magic, the second says what varies by itself."""
    pair, twins = pairs
    sources = cells_of(path) if cells or path.suffix == ".ipynb" else [path.read_text(encoding="utf-8")]
    if not sources:
        return Verdict(path, "not run", ("it has no cells",))
    case = Case(
        shows=str(path),
        cell=sources[0],
        then=tuple(sources[1:]),
        every=True,
        options=options,
        fresh=True,
        folder=path.parent if _bytes(path.parent) <= _MOST_BYTES else None,
    )
    try:
        found = pair.differences(case)
        if found:
            varies = _heads(twins.differences(case))
            if any("shows" in head for head in varies):
                case = replace(case, numbers=False, clock=False)
                found = pair.differences(case)
                varies = {head for head in varies if "shows" not in head} | _heads(twins.differences(case))
            found = [text for text in found if not _heads([text]) & varies and not text.startswith("  (said")]
    except (TimeoutError, RuntimeError) as e:
        _end_runs(pair.home)
        return Verdict(path, "not run", (str(e)[:300],))
    if any(re.search(rf"magic \['({'|'.join(_REFUSALS)})'", text) for text in found):
        return Verdict(path, "refused", tuple(found))
    return Verdict(path, "differs" if found else "same", tuple(found))


def _end_runs(home: Path) -> None:
    """What was not waited for would go on beside the next script."""
    at = Home.open(home)
    for entry in at.journal.entries(only_open=True):
        Run(at, entry.id).cancel()


def cells_of(path: Path) -> list[str]:
    """The code cells of a notebook, or of a script with marks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return [part for part in _CELL_MARK.split(text) if part.strip()]
    cells = json.loads(text)["cells"]
    return [
        "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    ]


def _heads(found: Iterable[str]) -> set[str]:
    return {text.splitlines()[0] for text in found}


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: list[str]) -> int:
    """Judge what the command line names; exits with 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--cells", action="store_true", help="scripts with cell marks go cell by cell")
    parser.add_argument("--options", default="", help="more options of the magic")
    parser.add_argument("--limit", type=float, default=60, help="seconds in which a cell is done")
    parser.add_argument("--jobs", type=int, default=2, help="scripts at once")
    parser.add_argument("--out", type=Path, help="a file to which each verdict is appended, in JSON")
    asked = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(asked.jobs) as pool:
        idle: queue.Queue[tuple[Pair, Pair]] = queue.Queue()
        for n in range(asked.jobs):
            one = Pair(Path(place, str(n)), PLAIN_SITES, patience_s=asked.limit)
            two = Pair(Path(place, f"{n}-plain"), PLAIN_SITES, patience_s=asked.limit, only_plain=True)
            idle.put((one, two))

        def work(path: Path) -> Verdict:
            pairs = idle.get()
            try:
                return judge(path, pairs, cells=asked.cells, options=asked.options)
            finally:
                idle.put(pairs)

        for done in as_completed([pool.submit(work, path) for path in asked.paths]):
            verdict = done.result()
            counts[verdict.kind] += 1
            print(f"{verdict.kind:8} {verdict.path}", *verdict.found, sep="\n    ", flush=True)
            if asked.out:
                with asked.out.open("a", encoding="utf-8") as file:
                    line = {"path": str(verdict.path), "kind": verdict.kind, "found": verdict.found}
                    file.write(json.dumps(line) + "\n")
        while not idle.empty():
            for pair in idle.get():
                pair.close()
                end_controllers(pair.home)
    print(", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())))
    return int(counts["differs"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
