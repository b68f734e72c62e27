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
        found = module.measure()
        figures += found
        print("".join(f"  {' '.join(_row(f))}\n" for f in found), end="", file=sys.stderr, flush=True)
    print(table([_row(f) for f in figures], header=("figure", "measured", "limit", "kept")))
    return 0 if all(f.kept for f in figures) else 1


def _row(f: Figure) -> tuple[str, str, str, str]:
    return f.name, f"{f.value:.3g} {f.unit}", f"{f.limit:.3g} {f.unit}", "yes" if f.kept else "NO"


if __name__ == "__main__":
    raise SystemExit(main())
