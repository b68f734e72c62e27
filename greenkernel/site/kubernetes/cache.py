"""The Jobs of one owner as last heard of: one list and watch for all of a site's runs, in a thread of its own."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from typing import Any

from greenkernel.site.kubernetes.client import Cluster, Listing, Stream
from greenkernel.site.kubernetes.watch import Away, Changed, Connected, Event, Listed, follow, version_of

_WATCH_S = 300


class JobSource:
    """The Jobs that a label selector finds, as `watch.follow` wants them.

    Args:
        cluster: Where they are.
        selector: Which.
    """

    def __init__(self, cluster: Cluster, selector: str) -> None:
        self._cluster = cluster
        self._selector = selector
        self._stream: Stream | None = None

    def list(self) -> Listing:
        """All of them now."""
        path = self._cluster.path("jobs", group="apis/batch/v1")
        return self._cluster.listing(path, query={"labelSelector": self._selector})

    def open(self, version: str) -> Iterable[bytes]:
        """A watch that goes on from a version; the API ends it after a few minutes."""
        query = {
            "labelSelector": self._selector,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_S),
        }
        self._stream = self._cluster.stream(self._cluster.path("jobs", group="apis/batch/v1"), query=query)
        return self._stream

    def close(self) -> None:
        """End the watch that is open, from any thread."""
        if self._stream is not None:
            self._stream.close()


class JobCache:
    """What is known of the Jobs. Live only while a watch is connected; readers list for themselves otherwise."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, Any]] = {}
        self._live = False
        self._lock = threading.Lock()

    def jobs(self) -> list[dict[str, Any]] | None:
        """The Jobs in the order of their names; None where that is not known just now."""
        with self._lock:
            return [self._jobs[name] for name in sorted(self._jobs)] if self._live else None

    def take(self, event: Event) -> bool:
        """Learn from an event of the watch; True where something may have changed."""
        with self._lock:
            match event:
                case Connected():
                    self._live = True
                    return False
                case Away():
                    self._live = False
                case Listed(items=items):
                    self._jobs = {item["metadata"]["name"]: item for item in items}
                case Changed(item=item, gone=True):
                    self._drop(item)
                case Changed(item=item):
                    self._keep(item)
            return True

    def learn(self, item: dict[str, Any]) -> None:
        """Learn from the answer to a request of our own, which the watch will tell a little later."""
        with self._lock:
            self._keep(item)

    def _drop(self, item: dict[str, Any]) -> None:
        """Forget an object, but not another one that has got its name since."""
        known = self._jobs.get(item["metadata"]["name"])
        if known is not None and known["metadata"]["uid"] == item["metadata"]["uid"]:
            del self._jobs[item["metadata"]["name"]]

    def _keep(self, item: dict[str, Any]) -> None:
        known = self._jobs.get(item["metadata"]["name"])
        if known is None or not _is_older(item, known):
            self._jobs[item["metadata"]["name"]] = item


class Follower:
    """The thread that keeps a cache up to date while anybody watches.

    Args:
        source: The Jobs.
        cache: What learns of them.
    """

    def __init__(self, source: JobSource, cache: JobCache) -> None:
        self._source = source
        self._cache = cache
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._end: threading.Event | None = None

    def add(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Tell one more listener of changes; the first one starts the thread, the end of the last one ends it."""
        with self._lock:
            self._listeners.append(on_change)
            if self._end is None:
                self._end = threading.Event()
                threading.Thread(
                    target=self._run, args=(self._end,), name="greenkernel-watch-kubernetes", daemon=True
                ).start()
        return lambda: self._remove(on_change)

    def _remove(self, on_change: Callable[[], None]) -> None:
        with self._lock:
            if on_change in self._listeners:
                self._listeners.remove(on_change)
            if self._listeners or self._end is None:
                return
            self._end.set()
            self._end = None
        self._source.close()

    def _run(self, end: threading.Event) -> None:
        for event in follow(self._source, end.wait, random.random):
            changed = self._cache.take(event)
            if end.is_set():
                break
            if changed:
                with self._lock:
                    listeners = list(self._listeners)
                for listener in listeners:
                    listener()
        with self._lock:
            if self._end is None:  # else another thread has begun to fill the cache
                self._cache.take(Away(reason="nobody watches", delay_s=0.0))


def _is_older(item: dict[str, Any], known: dict[str, Any]) -> bool:
    """True where ``item`` is certainly the older state of the same object; odd versions tell nothing."""
    if item["metadata"].get("uid") != known["metadata"].get("uid"):
        return False
    versions = version_of(item), version_of(known)
    return all(version.isdigit() for version in versions) and int(versions[0]) < int(versions[1])
