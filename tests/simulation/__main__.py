"""Play one schedule again, with as few faults as it takes: ``python -m tests.simulation SEED``."""

from __future__ import annotations

import sys

from tests.simulation.world import played, shrunk


def main() -> int:
    seed = int(sys.argv[1])
    world = played(seed)
    if world.broken:
        world = played(seed, shrunk(seed))
    print("\n".join([*world.faults.log, *(f"  {note}" for note in world.book.notes), *world.broken]))
    return 1 if world.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
