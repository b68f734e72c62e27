"""Bring the clusters up and take them down: both may be called again at any time, also after a crash."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.clusters import build, images, network, s3, settings
from tests.clusters.faults import revive
from tests.clusters.kubeapi import KubeApi
from tests.clusters.layout import BUCKET, RUN, SITES, ClustersError, State
from tests.clusters.packages import install_packages
from tests.clusters.processes import Ledger, alive
from tests.clusters.site import SiteStart, login_of
from tests.clusters.teardown import remove_everything

_OWNER = RUN / "owner"
# Lies there while the clusters are up for nothing but running tests.
BORROWED = RUN / "borrowed"


def up(state: State) -> None:
    """Bring the clusters up; healthy ones are left alone, single components that died are started again.

    Raises:
        ClustersError: A part does not come up, or another state folder's clusters run; the message says which.
    """
    with _locked():
        _refuse_foreign(state)
        if state.ready.exists() and all(network.exists(site) for site in SITES):
            _mend(state)
        else:
            remove_everything(state)
            _OWNER.write_text(str(state.folder))
            _start(state)
            state.ready.touch()


def down(state: State) -> None:
    """Stop and remove everything that `up` with this state folder made; the logs stay.

    Raises:
        ClustersError: Another state folder's clusters run.
    """
    with _locked():
        _refuse_foreign(state)
        remove_everything(state)
        _OWNER.unlink(missing_ok=True)
        BORROWED.unlink(missing_ok=True)


def reclaim(state: State) -> None:
    """Remove what test sessions of another state folder left behind; clusters that somebody brought up stay.

    To be called while no test session holds the clusters: a session that was killed cannot take its own down.
    """
    with _locked():
        owner = _owner(state)
        if owner != state and BORROWED.exists():
            remove_everything(owner)
            _OWNER.unlink()
            BORROWED.unlink()


def running(state: State) -> bool:
    """Whether clusters of this state folder are up as far as its records say."""
    return state.ready.exists() and all(network.exists(site) for site in SITES)


def status(state: State) -> dict[str, str]:
    """One word or more per component, node and link."""
    rows = {row.name: f"running, pid {row.pid}" if alive(row) else "dead" for row in Ledger(state.ledger).read()}
    for site in SITES:
        if network.exists(site):
            rows[f"{site.name}/link"] = "up" if network.connected(site.name) else "down"
    return rows


def _start(state: State) -> None:
    state.folder.mkdir(parents=True, exist_ok=True)
    install_packages()
    with ThreadPoolExecutor(max_workers=1) as pool:
        archive = pool.submit(images.archive)
        program, server = build.kubernetes(), build.s3_server()
        tar = archive.result()
    ledger = Ledger(state.ledger)
    network.create_network()
    s3.start_s3(state, ledger, server)
    starts = [SiteStart(site, state=state, ledger=ledger, program=program, images=tar) for site in SITES]
    with ThreadPoolExecutor(max_workers=len(starts)) as pool:
        for done in [pool.submit(start.run) for start in starts]:
            done.result()
    _write_access(state)


def _mend(state: State) -> None:
    for site in SITES:
        network.heal(site.name)
    revive(state)
    for site in SITES:
        KubeApi(site, state.site(site) / "pki").wait_usable()


def _write_access(state: State) -> None:
    logins = [login_of(site, state.site(site), "restricted", context=site.name) for site in SITES]
    logins += [login_of(site, state.site(site), "admin", context=site.admin_context) for site in SITES]
    state.kubeconfig.write_text(settings.kubeconfig(logins))
    options = s3.store_options(state)
    text = settings.sites_toml(SITES, state.kubeconfig, store=f"s3://{BUCKET}", store_options=options)
    state.sites_toml.write_text(text)
    for path in (state.kubeconfig, state.sites_toml):
        path.chmod(0o600)


def _refuse_foreign(state: State) -> None:
    owner = _owner(state)
    if owner != state:
        folder = owner.folder
        raise ClustersError(f"clusters with the state folder {folder} exist on this machine: take those down first")


def _owner(state: State) -> State:
    return State(Path(_OWNER.read_text())) if _OWNER.exists() else state


@contextmanager
def _locked() -> Iterator[None]:
    if os.geteuid() != 0:
        raise ClustersError("only root can start and stop clusters here")
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
