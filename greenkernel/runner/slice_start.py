"""``python -m greenkernel.runner.slice_start``: takes what only a process of one thread can have, then is a slice."""

from __future__ import annotations

import os
from pathlib import Path

from greenkernel.namespaces import keep_to, prepare_to_leave_network


def main() -> int:
    """Be a slice."""
    keep_to(Path.cwd())  # its own, in which it was started
    os.chdir(Path.cwd())  # as it is mounted now
    prepare_to_leave_network()
    from greenkernel.runner.slice import main as be_slice  # libraries that it imports start threads

    return be_slice()


if __name__ == "__main__":
    raise SystemExit(main())
