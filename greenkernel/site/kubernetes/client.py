"""One namespace of one cluster over HTTP: the one module that knows the official client.

The client reads the kubeconfig (contexts, certificates, exec plugins) and holds the connections; requests and answers
are plain JSON, so that versions of its thousand models do not matter. No global state of the client is touched.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from greenkernel.errors import PermanentError, TemporaryError

_CONNECT_S = 5.0
_READ_S = 20.0
# Bookmarks come about once a minute: a stream that is silent for longer is cut somewhere.
_SILENCE_S = 90.0
_PAGE = 500
_NO_RIGHT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)


class TooOldError(TemporaryError):
    """The API no longer knows the version that a watch or a page was to go on from: list again."""


class NotAllowedError(PermanentError):
    """A right is missing; the message names it. It may be given later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Which namespace of which cluster; None: the kubeconfig's place and context that are usual for the user."""

    kubeconfig: Path | None
    context: str | None
    namespace: str

    def __str__(self) -> str:
        return self.context or "the current context"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and JSON of a request that was answered as expected."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Objects, and the version of the whole list that a watch goes on from."""

    items: tuple[dict[str, Any], ...]
    version: str


class Stream:
    """A watch's open connection: iterate over its bytes; `close` may be called from any thread."""

    def __init__(self, response: Any, what: str) -> None:
        self._response = response
        self._what = what

    def __iter__(self) -> Iterator[bytes]:
        with _translated(self._what):
            yield from self._response.stream(65536)

    def close(self) -> None:
        """End the stream now, also for a thread that waits in it."""
        connection = getattr(self._response, "connection", None)
        try:
            if connection is not None and connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it had ended by itself


class Cluster:
    """Requests to one namespace. Nothing is read or connected before the first one.

    Every fault is a `TemporaryError` (away, overloaded, log in again) or a `PermanentError` (refused, with the
    server's sentence; a missing right is named).
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.suspect = False
        """True from a fault of the connection on until the next answer."""
        self._api: Any = None
        self._lock = threading.Lock()

    def path(self, resource: str, name: str | None = None, *more: str, group: str = "api/v1") -> str:
        """The path of a resource in the namespace, such as ``("jobs", group="apis/batch/v1")``."""
        parts = [group, "namespaces", self.address.namespace, resource, *([name] if name else []), *more]
        return "/" + "/".join(parts)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> Answer:
        """One request; merge patches for PATCH.

        Args:
            method: HTTP method.
            path: From `path`.
            body: JSON to send.
            query: Query parameters.
            accept: Statuses besides 2xx that are answers and no faults.
        """
        response = self._send(method, path, body=body, query=query)
        text = _read(response, path)
        if response.status < 300 or response.status in accept:
            return Answer(status=response.status, body=_json(text))
        raise fault(response.status, _json(text) or {"message": text.decode(errors="replace")}, response.headers)

    def listing(self, path: str, *, query: Mapping[str, str] | None = None) -> Listing:
        """Every object below a path, page by page."""
        items: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            body = self.call("GET", path, query={**(query or {}), "limit": str(_PAGE), **more}).body
            items += body.get("items") or []
            if not body["metadata"].get("continue"):
                return Listing(items=tuple(items), version=body["metadata"]["resourceVersion"])
            more = {"continue": body["metadata"]["continue"]}

    def text(self, path: str, *, query: Mapping[str, str]) -> str:
        """A plain answer such as a log; empty where there is none (yet)."""
        response = self._send("GET", path, query=query)
        content = _read(response, path)
        if response.status in (400, 404):  # no such pod, or its container has not started
            return ""
        if response.status >= 300:
            raise fault(response.status, _json(content), response.headers)
        return content.decode(errors="replace")

    def stream(self, path: str, *, query: Mapping[str, str]) -> Stream:
        """Open a watch."""
        response = self._send("GET", path, query=query, silence_s=_SILENCE_S)
        if response.status >= 300:
            raise fault(response.status, _json(_read(response, path)), response.headers)
        return Stream(response, path)

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        silence_s: float = _READ_S,
    ) -> Any:
        response = self._try(method, path, body, query, silence_s)
        if response.status == 401:  # a token that has expired: the kubeconfig's plugin may have a new one
            response.release_conn()
            with self._lock:
                self._api = None
            response = self._try(method, path, body, query, silence_s)
        if response.status == 401:
            response.release_conn()
            advice = "log in to it again; what runs there goes on"
            raise TemporaryError(f"{self.address} does not accept these credentials: {advice}", delay_s=10.0)
        return response

    def _try(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str] | None,
        silence_s: float,
    ) -> Any:
        import urllib3

        api = self._connected()
        headers = {"Accept": "application/json, */*", "User-Agent": "greenkernel"}
        if body is not None:
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            headers["Content-Type"] = kind
        for setting in api.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        url = api.configuration.host.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        self.suspect, was = True, self.suspect
        with _translated(str(self.address)):
            response = api.rest_client.pool_manager.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                preload_content=False,
                retries=False,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=silence_s),
            )
            self.suspect = was if response.status >= 500 else False
        return response

    def _connected(self) -> Any:
        with self._lock:
            if self._api is None:
                self._api = _load(self.address)
            return self._api


def fault(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> PermanentError | TemporaryError:
    """What an answer of the API means, with the server's own sentence."""
    message = str(body.get("message") or f"status {status}").strip()[:1000]
    no_right = _NO_RIGHT.search(message) if status == 403 else None
    if no_right is not None:
        return NotAllowedError(_missing_right(no_right))
    if status == 410:
        return TooOldError(f"the cluster has forgotten this version: {message}", delay_s=0.0)
    if status == 429 or status >= 500:
        told = str(headers.get("Retry-After") or "")
        delay_s = float(told) if told.isdigit() else 2.0
        return TemporaryError(f"the cluster is busy or not well (status {status}): {message}", delay_s=delay_s)
    if status == 409:
        return TemporaryError(f"somebody else has just changed this: {message}", delay_s=0.2)
    return PermanentError(f"the cluster refuses: {message}")


def _missing_right(found: re.Match[str]) -> str:
    group = f" (API group {found['group']})" if found["group"] else ""
    where = f"in the namespace {found['namespace']}" if found["namespace"] else "in the whole cluster"
    advice = "ask the cluster's administrator for that right"
    return f"{found['user']} may not {found['verb']} {found['resource']}{group} {where}: {advice}"


def _load(address: Address) -> Any:
    import yaml  # type: ignore[import-untyped]
    from kubernetes import client, config

    settings = client.Configuration()
    place = str(address.kubeconfig.expanduser()) if address.kubeconfig is not None else None
    try:
        return config.new_client_from_config(
            config_file=place, context=address.context, persist_config=False, client_configuration=settings
        )
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError, KeyError) as e:
        which = place or "the usual place"
        advice = "name an existing kubeconfig and context in the sites file"
        first = (str(e).splitlines() or [type(e).__name__])[0][:200]
        raise PermanentError(f"no login for {address} in the kubeconfig of {which} ({first}): {advice}") from e


def _read(response: Any, what: str) -> bytes:
    with _translated(what):
        content: bytes = response.read()
        response.release_conn()
    return content


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Faults of the connection become ours."""
    import urllib3

    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError) as e:
        raise TemporaryError(f"no answer from {what}: {str(e)[:300]}", delay_s=2.0) from e
