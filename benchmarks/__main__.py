"""Run every benchmark, or those that are named, print one table, and fail where a limit is not kept.

python -m benchmarks [startup|overhead|travel|recording|snapshots|moves]...
"""

from __future__ import annotations

import sys

from benchmarks import moves, overhead, recording, snapshots, startup, travel
from benchmarks.figures import Figure
from greenkernel.panel.text import table

_ALL = (startup, overhead, travel, recording, snapshots, moves)
MODULES = {module.__name__.rpartition(".")[2]: module for module in _ALL}


def main(names: list[str]) -> int:
    if unknown := set(names) - MODULES.keys():
        print(f"there is no benchmark {', '.join(sorted(unknown))}, only {', '.join(MODULES)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name, module in MODULES.items():
        if names and name not in names:
            continue
        print(f"{module.__name__} ...", file=sys.stderr, flush=True)
        found = module.measure()
        figures += found
        print("".join(f"  {' '.join(_row(f))}\n" for f in found), end="", file=sys.stderr, flush=True)
    print(table([_row(f) for f in figures], header=("figure", "measured", "limit", "kept")))
    return 0 if all(f.kept for f in figures) else 1


def _row(f: Figure) -> tuple[str, str, str, str]:
    return f.name, f"{f.value:.3g} {f.unit}", f"{f.limit:.3g} {f.unit}", "yes" if f.kept else "NO"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
