"""A few calls to a site's Kubernetes API with the standard library, enough to furnish it and to see it ready."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.clusters.layout import API_PORT, FIRST_SERVICE, NAMESPACE, ClustersError, Site
from tests.clusters.manifests import furniture
from tests.clusters.network import inside
from tests.clusters.shell import run, wait_until

_CONFLICT, _NOT_FOUND = 409, 404


class KubeApi:
    """The API of one site, as its administrator.

    Args:
        site: The site.
        pki: Folder with `ca.crt`, `admin.crt` and `admin.key`.
    """

    def __init__(self, site: Site, pki: Path) -> None:
        self._site = site
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, str]:
        """Status and text of the answer to one request.

        Raises:
            OSError: The API cannot be reached.
        """
        connection = http.client.HTTPSConnection(self._site.address, API_PORT, timeout=10, context=self._tls)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as broken:
            raise ConnectionError(f"the answer of {self._site.name} was cut off") from broken
        finally:
            connection.close()

    def read(self, path: str) -> dict[str, Any] | None:
        """An object or list; None where there is none.

        Raises:
            ClustersError: The API refuses.
        """
        status, text = self.call("GET", path)
        if status == _NOT_FOUND:
            return None
        if status != http.client.OK:
            raise ClustersError(f"{self._site.name} answered {status} to GET {path}: {text[:300]}")
        return dict(json.loads(text))

    def create(self, path: str, body: Mapping[str, object]) -> None:
        """Create an object; one that is there already is left as it is.

        Raises:
            ClustersError: The API refuses.
        """
        status, text = self.call("POST", path, body)
        if status not in (http.client.CREATED, _CONFLICT):
            raise ClustersError(f"{self._site.name} answered {status} to POST {path}: {text[:300]}")

    def wait_answers(self, timeout_s: float = 90) -> None:
        """Wait until the API says that it is ready."""
        ok = http.client.OK
        wait_until(f"the API of {self._site.name}", lambda: self.call("GET", "/readyz")[0] == ok, timeout_s=timeout_s)

    def furnish(self) -> None:
        """Create the namespace and what the restricted user may do in it."""
        for path, body in furniture():
            self.create(path, body)

    def wait_usable(self, timeout_s: float = 90) -> None:
        """Wait until a pod can be created, placed and reach the API from inside."""
        wait_until(f"the node of {self._site.name}", self.node_ready, timeout_s=timeout_s)
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        wait_until(
            f"the service account of {self._site.name}", lambda: self.read(account) is not None, timeout_s=timeout_s
        )
        wait_until(f"the service addresses of {self._site.name}", self._services_routed, timeout_s=timeout_s)

    def node_ready(self) -> bool:
        """Whether the node says Ready and nothing keeps pods off it."""
        node = self.read(f"/api/v1/nodes/{self._site.name}")
        if node is None or node["spec"].get("taints"):
            return False
        return {"Ready": "True"}.items() <= {row["type"]: row["status"] for row in node["status"]["conditions"]}.items()

    def _services_routed(self) -> bool:
        rules = run(*inside(self._site, "iptables-save", "-t", "nat"))
        return f"{FIRST_SERVICE}/32" in rules
