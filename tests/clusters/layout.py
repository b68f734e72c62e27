"""Names, addresses and folders of the test clusters: the one place where they are chosen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NAMESPACE = "greenkernel"
BUCKET = "greenkernel"
REGION = "us-east-1"
BRIDGE = "gk-bridge"
HOME_ADDRESS = "10.200.0.1"
HOME_NETWORK = f"{HOME_ADDRESS}/24"
S3_PORT = 7070
S3_URL = f"http://{HOME_ADDRESS}:{S3_PORT}"
SERVICES = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
API_PORT = 6443

PAUSE_IMAGE = "localhost/pause:1"
PYTHON_IMAGE = "localhost/greenkernel-python:3.11"
SCIENCE_IMAGE = "localhost/greenkernel-sklearn:3.11"

REPOSITORY = Path(__file__).resolve().parents[2]
# Sockets and the owner's mark: short paths (a socket's is limited to 107 bytes) that a reboot clears.
RUN = Path("/run/greenkernel-clusters")


class ClustersError(RuntimeError):
    """The clusters cannot be started, changed or stopped; the message says why in plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One Kubernetes site.

    Attributes:
        name: Its name, also that of its node and of its restricted context.
        address: The node's IPv4 address on the bridge.
        pods: The pods' network in CIDR form.
        zone: The electricity zone that it pretends to be in.
        pue: Its power usage effectiveness, at least 1.
    """

    name: str
    address: str
    pods: str
    zone: str
    pue: float

    @property
    def netns(self) -> str:
        """Name of the site's network namespace and of its link on the bridge (at most 15 bytes)."""
        return f"gk-{self.name}"

    @property
    def api_url(self) -> str:
        """Address of its Kubernetes API."""
        return f"https://{self.address}:{API_PORT}"

    @property
    def admin_context(self) -> str:
        """Name of its context with the administrator's rights."""
        return f"{self.name}-admin"

    @property
    def containerd_socket(self) -> Path:
        """Socket of the site's own containerd."""
        return RUN / self.name / "containerd.sock"


SITES = (
    Site(name="site-one", address="10.200.0.11", pods="10.201.1.0/24", zone="DE", pue=1.2),
    Site(name="site-two", address="10.200.0.12", pods="10.201.2.0/24", zone="FR", pue=1.1),
)


def site_named(name: str) -> Site:
    """The site of that name.

    Raises:
        ClustersError: There is none.
    """
    for site in SITES:
        if site.name == name:
            return site
    raise ClustersError(f"there is no site {name!r}; there are {', '.join(site.name for site in SITES)}")


def default_state() -> Path:
    """The state folder where none is named: `build/clusters` in the checkout."""
    return REPOSITORY / "build" / "clusters"


def cache_folder() -> Path:
    """The folder for what takes minutes to build and never changes; it outlives checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "greenkernel-clusters"


@dataclass(frozen=True, slots=True)
class State:
    """The state folder of one set of clusters.

    Attributes:
        folder: Its absolute path.
    """

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The one kubeconfig with all contexts."""
        return self.folder / "kubeconfig"

    @property
    def sites_toml(self) -> Path:
        """The sites file."""
        return self.folder / "sites.toml"

    @property
    def ledger(self) -> Path:
        """The record of every process that was started."""
        return self.folder / "processes.json"

    @property
    def ready(self) -> Path:
        """The mark that a start came to its end."""
        return self.folder / "ready"

    @property
    def logs(self) -> Path:
        """Folder with one log per component."""
        return self.folder / "logs"

    def site(self, site: Site) -> Path:
        """Folder of one site."""
        return self.folder / site.name
