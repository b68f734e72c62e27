"""What a runner is told when it starts: its epoch, its share of the machine, and the way to the store."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

from greenkernel.errors import PermanentError
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.runs import RunStore

JOB = "GREENKERNEL_JOB"
STORE = "GREENKERNEL_STORE"
KEY = "GREENKERNEL_KEY"
# The cell's working folder, below the runner's own.
WORK = "work"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerJob:
    """One epoch as its runner sees it.

    ``memory_bytes`` is the limit, ``grace_s`` the time from SIGTERM to the end, ``lost_every_s`` how often in the mean
    the site takes the process away unasked. ``folder`` is the notebook's folder at home.
    """

    run: str
    epoch: int
    site: str
    cores: int
    memory_bytes: int
    grace_s: float
    lost_every_s: float
    folder: str
    store: StoreAddress
    key: bytes = field(repr=False)

    def open_store(self) -> RunStore:
        """The run's objects."""
        return RunStore(ObjectStore(self.store), self.key, self.run)


def secrets_of(store: StoreAddress, key: bytes) -> dict[str, str]:
    """The part of a runner's environment that must stay secret: the way to the store, and the key."""
    return {STORE: json.dumps({"url": store.url, "options": dict(store.options)}), KEY: key.hex()}


def take_job(environment: MutableMapping[str, str]) -> RunnerJob:
    """The job that the environment describes; its secrets are taken out, so that the cell does not see them.

    Raises:
        PermanentError: A part is missing or is not what it should be.
    """
    try:
        job = json.loads(environment[JOB])
        store = json.loads(environment.pop(STORE))
        return RunnerJob(
            run=str(job["run"]),
            epoch=int(job["epoch"]),
            site=str(job["site"]),
            cores=int(job["cores"]),
            memory_bytes=int(job["memory_bytes"]),
            grace_s=float(job["grace_s"]),
            lost_every_s=float(job["lost_every_s"]),
            folder=str(job["folder"]),
            store=StoreAddress(url=store["url"], options=_strings(store["options"])),
            key=bytes.fromhex(environment.pop(KEY)),
        )
    except (KeyError, ValueError, TypeError) as e:
        raise PermanentError(f"a runner needs {JOB}, {STORE} and {KEY} in its environment: {e!r}") from e


def _strings(options: Mapping[str, object]) -> dict[str, str]:
    return {str(name): str(value) for name, value in options.items()}
