"""Which slice comes next, from what the slices so far have cost; and which cells are not sliced at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FAST_S = 1.0
"""A cell of so many seconds is its own slice."""

_LADDER = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
_LEAST_ROWS = 200
_LEAST_PART = 1 / 32
_LEAST_OF_EACH_CLASS = 3
_ENOUGH_S = 1.0
_LARGEST = 1 / 8
_SHARE = 0.15
_SHARE_LONG = 0.05
_LONG_S = 600.0
_ALLOWANCE_S = 6.0
# A second size may take this much in any case: an eighth of a cell of a minute, less says too little of the whole.
_SECOND_S = 10.0
_COST_EXPONENT = 0.8
_OUTSIDE = frozenset({"subprocess", "socket", "requests", "urllib", "httpx", "aiohttp", "ftplib", "smtplib", "boto3"})
_COMMANDS = frozenset({"system", "popen", "getoutput", "startfile", "fork", "execv", "spawnv"})
# Magics that only run, time or show what the cell itself says.
_PLAIN_MAGICS = frozenset({"time", "timeit", "prun", "capture", "python", "matplotlib", "config", "who", "whos", "pwd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """One slice that ran: part of the rows, and CPU seconds of the execution."""

    part: float
    cpu_s: float


def refusal(python: str) -> str | None:
    """Why a cell is not run on slices at all: what it does outside of itself would happen with a part of the data."""
    try:
        tree = ast.parse(python)
    except SyntaxError:
        return None
    for what in _outside_calls(tree):
        return f"not sliced: the cell {what}, and a slice must do nothing outside of itself"
    return None


def first_part(rows: int, classes: int) -> float | None:
    """The smallest part of the rows that is worth a slice; None where even half of them is too few."""
    least = max(10, _LEAST_OF_EACH_CLASS * classes)
    for part in _LADDER[:-1]:
        if part * rows >= least and (part * rows >= _LEAST_ROWS or part >= _LEAST_PART):
            return part
    return None


def enlarged(part: float) -> float | None:
    """The part to try after a slice of ``part`` has failed; None where there is none below the whole."""
    return next((larger for larger in _LADDER[:-1] if larger >= 4 * part), None) or (0.5 if part < 0.5 else None)


def next_part(
    done: Sequence[Spent], *, asked: float, used_cpu_s: float, start_cpu_s: float, cores: int
) -> float | None:
    """The next larger part of the rows to run, or None where enough is known or too much would be spent.

    A second size is always run, the smallest next one where the budget is tight; the largest that fits otherwise.

    Args:
        done: Slices so far, at least one.
        asked: The largest part that was asked for: of few rows a slice has a smaller one, as rows are whole.
        used_cpu_s: CPU seconds of everything so far.
        start_cpu_s: CPU seconds of starting one more slice.
        cores: On which the cell would run here.
    """
    largest = max(done, key=lambda slice_: slice_.part)
    if len({slice_.part for slice_ in done}) > 1 and largest.cpu_s >= _ENOUGH_S and largest.part >= _LARGEST:
        return None
    if cpu_s_at(done, 1.0) + start_cpu_s <= FAST_S * 2 and max(asked, largest.part) < 1.0:
        return 1.0
    left_s = budget_s(done, cores) - used_cpu_s - start_cpu_s
    if len({slice_.part for slice_ in done}) == 1:
        left_s = max(left_s, _SECOND_S)
    larger = [part for part in _LADDER if part > max(asked, largest.part) and part <= max(_LARGEST, 4 * largest.part)]
    if largest.cpu_s >= _ENOUGH_S or largest.part >= _LARGEST:
        larger = [part for part in larger if part <= _LARGEST] or larger[:1]
    fitting = [part for part in larger if _next_cpu_s(done, part) <= left_s]
    if fitting:
        return fitting[-1]
    return larger[0] if larger and len({slice_.part for slice_ in done}) == 1 else None


def budget_s(done: Sequence[Spent], cores: int) -> float:
    """CPU seconds that slices may take together: a share of what the whole cell seems to take, or a small allowance."""
    whole_s = cpu_s_at(done, 1.0)
    share = _SHARE_LONG if whole_s / cores > _LONG_S else _SHARE
    return max(share * whole_s, _ALLOWANCE_S)


def cpu_s_at(done: Sequence[Spent], part: float) -> float:
    """CPU seconds at a part of the rows, roughly: on the line through the two largest sizes, else in proportion."""
    sizes = {slice_.part: slice_.cpu_s for slice_ in done}
    largest = max(sizes)
    below = [size for size in sizes if size < largest]
    if not below:
        return sizes[largest] * part / largest
    before = max(below)
    slope = max((sizes[largest] - sizes[before]) / (largest - before), 0.0)
    return max(sizes[largest] + slope * (part - largest), 0.0)


def _next_cpu_s(done: Sequence[Spent], part: float) -> float:
    """What one more slice may cost: of one size only a constant part must be expected, so less than in proportion."""
    if len({slice_.part for slice_ in done}) > 1:
        return cpu_s_at(done, part)
    return done[0].cpu_s * float((part / done[0].part) ** _COST_EXPONENT)


def _outside_calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for module in modules:
                if module.split(".")[0] in _OUTSIDE:
                    yield f"uses {module.split('.')[0]}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from _command(node.func, node.args)


def _command(function: ast.Attribute, args: Sequence[ast.expr]) -> Iterator[str]:
    owner = function.value
    ours = isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "get_ipython"
    if isinstance(owner, ast.Name) and owner.id in _OUTSIDE:
        yield f"uses {owner.id}"
    elif function.attr in _COMMANDS and (ours or (isinstance(owner, ast.Name) and owner.id == "os")):
        yield "runs commands of the system"
    elif ours and function.attr in ("run_line_magic", "run_cell_magic") and args and isinstance(args[0], ast.Constant):
        mark = "%%" if function.attr == "run_cell_magic" else "%"
        yield from [f"runs {mark}{args[0].value!s}"] if args[0].value not in _PLAIN_MAGICS else []
