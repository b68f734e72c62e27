"""Run every benchmark, print one table, and fail where a limit is not kept."""

from __future__ import annotations

import sys

from benchmarks import moves, overhead, recording, snapshots, startup, travel
from benchmarks.figures import Figure
from greenkernel.panel.text import table


def main() -> int:
    figures: list[Figure] = []
    for module in (startup, overhead, travel, recording, snapshots, moves):
        print(f"{module.__name__} ...", file=sys.stderr, flush=True)
        figures += module.measure()
    rows = [(f.name, f"{f.value:.3g} {f.unit}", f"{f.limit:.3g} {f.unit}", "yes" if f.kept else "NO") for f in figures]
    print(table(rows, header=("figure", "measured", "limit", "kept")))
    return 0 if all(f.kept for f in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
