"""The Debian packages that the clusters need; missing ones are installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.clusters.layout import ClustersError
from tests.clusters.shell import run

# Program and the package that it comes in.
PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "findmnt": "util-linux",
}
PLUGIN_PACKAGE = "containernetworking-plugins"
_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def plugin_folder() -> Path | None:
    """The folder with the CNI plugins, None where they are not installed."""
    return next((folder for folder in _PLUGIN_FOLDERS if (folder / "bridge").exists()), None)


def missing_packages() -> tuple[str, ...]:
    """Names of the packages that have to be installed first."""
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if plugin_folder() is None:
        missing.add(PLUGIN_PACKAGE)
    if not _KEYRING.exists():
        missing.add("debian-archive-keyring")
    return tuple(sorted(missing))


def install_packages() -> None:
    """Install what is missing.

    Raises:
        ClustersError: There is no apt-get, or it fails.
    """
    missing = missing_packages()
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ClustersError(f"install {', '.join(missing)}: there is no apt-get here to do it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", env=environment)
    run("apt-get", "install", "-y", "--no-install-recommends", *missing, env=environment)
