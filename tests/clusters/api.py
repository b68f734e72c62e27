"""What tests ask for: the clusters, or one line that says why there are none."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clusters import lifecycle
from tests.clusters.layout import ClustersError, State, default_state

FOREIGN = "GREENKERNEL_TEST_KUBECONFIG"


@dataclass(frozen=True)
class Clusters:
    """Clusters that are up.

    Attributes:
        kubeconfig: The one kubeconfig; a context per site has the site's name and the restricted user.
        contexts: Those contexts, in the order of the sites file.
        sites_toml: The sites file.
        s3_url: Address of the S3 server.
        s3_options: Options of the object store's client.
        state_dir: Folder of their state; of foreign ones the kubeconfig's.
        foreign: Whether they were there before and are not ours to stop.
    """

    kubeconfig: Path
    contexts: tuple[str, ...]
    sites_toml: Path
    s3_url: str
    s3_options: dict[str, str]
    state_dir: Path
    foreign: bool


@dataclass(frozen=True)
class Unavailable:
    """There are no clusters.

    Attributes:
        reason: Why, in one line.
    """

    reason: str


Provider = Callable[[State], Clusters]


def clusters(state_dir: Path | None = None) -> Clusters | Unavailable:
    """The clusters to test with, started where that is needed and possible.

    Args:
        state_dir: The state folder, `build/clusters` where None.
    """
    chosen = provider()
    if isinstance(chosen, Unavailable):
        return chosen
    state = state_of(state_dir)
    try:
        return chosen(state)
    except ClustersError as failed:
        return Unavailable(f"the clusters cannot be used: {failed} (logs, if any: {state.logs})")


def provider() -> Provider | Unavailable:
    """The way to get clusters here, the first that works: foreign ones, then our own control planes."""
    if os.environ.get(FOREIGN):
        return _foreign
    obstacles = {
        "they need Linux": sys.platform != "linux",
        "they need root (or name a kubeconfig in " + FOREIGN + ")": sys.platform == "linux" and os.geteuid() != 0,
        "they need Go 1.25 or later to build Kubernetes and the S3 server": shutil.which("go") is None,
    }
    for reason, holds in obstacles.items():
        if holds:
            return Unavailable(f"no Kubernetes clusters to test with: {reason}")
    return _built


def state_of(state_dir: Path | None) -> State:
    """The state folder as an absolute path."""
    return State((state_dir or default_state()).resolve())


def read_clusters(kubeconfig: Path, sites_toml: Path, *, state_dir: Path, foreign: bool) -> Clusters:
    """What the sites file says about clusters.

    Raises:
        ClustersError: The file is missing or lacks an entry.
    """
    try:
        content = tomllib.loads(sites_toml.read_text())
        options = {str(key): str(value) for key, value in content["store_options"].items()}
        contexts = tuple(site["context"] for site in content["sites"].values())
        url = options["endpoint"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as unreadable:
        raise ClustersError(f"the sites file {sites_toml} cannot be used: {unreadable}") from unreadable
    return Clusters(
        kubeconfig=kubeconfig,
        contexts=contexts,
        sites_toml=sites_toml,
        s3_url=url,
        s3_options=options,
        state_dir=state_dir,
        foreign=foreign,
    )


def _foreign(state: State) -> Clusters:
    # The sites file lies next to the kubeconfig, as ours does.
    kubeconfig = Path(os.environ[FOREIGN]).resolve()
    folder = kubeconfig.parent
    return read_clusters(kubeconfig, folder / "sites.toml", state_dir=folder, foreign=True)


def _built(state: State) -> Clusters:
    lifecycle.up(state)
    return read_clusters(state.kubeconfig, state.sites_toml, state_dir=state.folder, foreign=False)
