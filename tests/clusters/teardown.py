"""Take everything down that a state folder's clusters made, in an order that leaves nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.clusters.layout import RUN, SITES, Site, State
from tests.clusters.network import remove_network
from tests.clusters.processes import Ledger, Started, children, marked, stop
from tests.clusters.shell import run

_SHIM = "containerd-shim-runc-v2"
_LOG_LINKS = Path("/var/log/containers")


def remove_everything(state: State) -> None:
    """Stop all recorded processes and the containers they started, unmount, remove the network and the files.

    The logs stay. Nothing but what these clusters started is touched.
    """
    recorded = Ledger(state.ledger).read() or _unrecorded(state)
    # Kubelets first, or they would start again what is stopped next.
    stop([row for row in recorded if row.name.endswith("kubelet")])
    for site in SITES:
        _stop_containers(site)
    stop([row for row in reversed(recorded) if not row.name.endswith("kubelet")])
    for site in SITES:
        # Some may have come between the first look and the end of containerd.
        _stop_containers(site)
    for folder in (state.folder, *(RUN / site.name for site in SITES)):
        _unmount_below(folder)
    remove_network()
    for site in SITES:
        _remove_groups(site)
        shutil.rmtree(RUN / site.name, ignore_errors=True)
    _remove_log_links(state)
    _remove_files(state)


def _unrecorded(state: State) -> tuple[Started, ...]:
    # A state folder that was deleted took its record along; its path stands in the command lines.
    return tuple(row for row in marked() if any(f"{state.folder}/" in word for word in row.argv))


def _stop_containers(site: Site) -> None:
    shims = [row for row in marked() if row.name == _SHIM and str(site.containerd_socket) in row.argv]
    contained: list[Started] = [child for shim in shims for child in children(shim)]
    stop(contained, grace_s=0.5)
    stop(shims, grace_s=0.5)


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """Mount points below a folder, the innermost first, out of the text of `/proc/self/mountinfo`."""
    prefix = f"{folder}/"
    points = [line.split()[4].encode().decode("unicode_escape") for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if point.startswith(prefix)]


def _unmount_below(folder: Path) -> None:
    for point in mounts_below(folder, Path("/proc/self/mountinfo").read_text()):
        run("umount", "--lazy", point)


def _remove_groups(site: Site) -> None:
    # Version 1 has one tree per controller, version 2 a single one; the kernel empties them, we remove the folders.
    roots = [*Path("/sys/fs/cgroup").glob(f"*/{site.netns}"), Path("/sys/fs/cgroup") / site.netns]
    for root in roots:
        for group in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
            group.rmdir()
        if root.is_dir():
            root.rmdir()


def _remove_log_links(state: State) -> None:
    # Kubelets keep these links in one folder of the machine, whatever their settings say.
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(state.folder):
            link.unlink()


def _remove_files(state: State) -> None:
    if not state.folder.exists():
        return
    for path in state.folder.iterdir():
        if path == state.logs:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
