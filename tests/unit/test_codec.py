"""Records as JSON from many threads at once."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, in which no record has been read before: a crash takes the whole process with it.
_AT_ONCE = """
import dataclasses, json, sys, threading
from greenkernel import records
from greenkernel.errors import IntegrityError
from greenkernel.store.codec import from_json

sys.setswitchinterval(1e-6)
kinds = [kind for kind in vars(records).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
together = threading.Barrier(8)

def read(kinds):
    together.wait()
    for kind in kinds:
        for field in dataclasses.fields(kind)[::-1]:
            for value in ([{}], {}, [[1]]):
                try:
                    from_json(json.dumps({field.name: value}), kind)
                except IntegrityError:
                    pass

threads = [threading.Thread(target=read, args=(kinds[:: 1 if n % 2 else -1],)) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("read", bool(kinds))
"""


def test_the_first_records_are_read_by_many_threads_at_once() -> None:
    """None of them meets a type whose description is half made, which would crash the process."""
    done = subprocess.run([sys.executable, "-c", _AT_ONCE], capture_output=True, text=True, check=False)
    assert (0, "read True\n") == (done.returncode, done.stdout), done.stderr
