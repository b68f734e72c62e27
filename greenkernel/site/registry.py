"""Sites by the settings that describe them: the one place that knows every kind."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from greenkernel.clock import Clock
from greenkernel.errors import UserError
from greenkernel.osfacts import cpu_count
from greenkernel.site.base import Site
from greenkernel.units import parse_bytes

if TYPE_CHECKING:
    from greenkernel.settings import Settings, SiteConfig


def build_sites(settings: Settings, *, owner: str, clock: Clock) -> Mapping[str, Site]:
    """Every site of the settings, in their order. Nothing is started or connected.

    Args:
        settings: The home's.
        owner: Whose jobs they list.
        clock: Time.

    Raises:
        UserError: A site lacks a setting that its kind needs, or has one that is not valid.
    """
    where = str(settings.sites_path)
    folder = settings.home / "sites"
    return {
        name: _embedded(name, site, folder / name, where, owner=owner, clock=clock)
        if site.kind == "embedded"
        else _kubernetes(name, site, where, owner=owner, clock=clock)
        for name, site in settings.sites.sites.items()
    }


def _embedded(name: str, site: SiteConfig, folder: Path, where: str, *, owner: str, clock: Clock) -> Site:
    from greenkernel.site.local import EmbeddedSite

    return EmbeddedSite(
        name,
        folder,
        cores=site.max_cores if site.max_cores is not None else cpu_count(),
        memory_bytes=_memory(name, site, where),
        speed=site.speed,
        owner=owner,
        clock=clock,
    )


def _kubernetes(name: str, site: SiteConfig, where: str, *, owner: str, clock: Clock) -> Site:
    from greenkernel.site.kubernetes.client import Address, Cluster
    from greenkernel.site.kubernetes.site import KubernetesSite

    kubeconfig = None if site.kubeconfig is None else Path(where).parent / Path(site.kubeconfig).expanduser()
    address = Address(kubeconfig=kubeconfig, context=site.context, namespace=site.namespace)
    return KubernetesSite(
        name,
        cluster=Cluster(address),
        image=site.image or f"python:{sys.version_info.major}.{sys.version_info.minor}-slim",
        max_cores=site.max_cores,
        memory_bytes=_memory(name, site, where),
        owner=owner,
        clock=clock,
    )


def _memory(name: str, site: SiteConfig, where: str) -> int | None:
    if site.memory is None:
        return None
    try:
        return parse_bytes(site.memory)
    except UserError as e:
        raise UserError(f"memory of the site {name}: {e.what}", where=where, what_to_do=e.what_to_do) from e
