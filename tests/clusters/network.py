"""One bridge on the host and one network namespace per site; a site is cut off by taking its link down."""

from __future__ import annotations

import json
from pathlib import Path

from tests.clusters.layout import BRIDGE, HOME_NETWORK, SITES, Site, site_named
from tests.clusters.shell import run, works


def inside(site: Site, *argv: str) -> tuple[str, ...]:
    """The command line that runs a command in the site's network, with everything else as on the host."""
    return ("nsenter", f"--net=/run/netns/{site.netns}", "--", *argv)


def exists(site: Site) -> bool:
    """Whether the site's network namespace is there."""
    return Path(f"/run/netns/{site.netns}").exists()


def create_network() -> None:
    """Make the bridge and connect every site to it. There is no way out to the world: no default route, no NAT."""
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", HOME_NETWORK, "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    for site in SITES:
        run("ip", "netns", "add", site.netns)
        run("ip", "link", "add", site.netns, "type", "veth", "peer", "name", "eth0", "netns", site.netns)
        run("ip", "link", "set", site.netns, "master", BRIDGE, "up")
        run(*inside(site, "ip", "link", "set", "lo", "up"))
        run(*inside(site, "ip", "address", "add", f"{site.address}/24", "dev", "eth0"))
        run(*inside(site, "ip", "link", "set", "eth0", "up"))
        # Home answers pods by their own address, so no packet has to be rewritten on the way.
        run("ip", "route", "add", site.pods, "via", site.address, "dev", BRIDGE)


def remove_network() -> None:
    """Remove the namespaces, the links and the bridge, as far as they are there."""
    for site in SITES:
        if works("ip", "link", "show", site.netns):
            run("ip", "link", "delete", site.netns)
        if exists(site):
            run("ip", "netns", "delete", site.netns)
    if works("ip", "link", "show", BRIDGE):
        run("ip", "link", "delete", BRIDGE)


def partition(site: str) -> None:
    """Cut the site of that name off from home, from the S3 server and from the other site; its inside goes on."""
    run("ip", "link", "set", site_named(site).netns, "down")


def heal(site: str) -> None:
    """Connect the site of that name again."""
    run("ip", "link", "set", site_named(site).netns, "up")


def connected(site: str) -> bool:
    """Whether the site's link is up."""
    (link,) = json.loads(run("ip", "-json", "link", "show", site_named(site).netns))
    return "UP" in link["flags"]
