"""Embedded sites: the contract of all sites, and what only processes of this machine can get wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenkernel.clock import RealClock
from greenkernel.sites.base import Site
from greenkernel.sites.jobfolder import MARK
from greenkernel.sites.local import EmbeddedSite
from greenkernel.store.objects import StoreAddress
from tests.sites.contract import Bench, SiteContract

pytestmark = pytest.mark.skipif(os.name != "posix", reason="embedded sites need Linux or macOS")


def marked(folder: Path) -> list[int]:
    """Living processes that were started for the job with this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            marks = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
            zombie = b") Z" in (entry / "stat").read_bytes() if marks else True
        except OSError:
            continue
        if f"{MARK}={folder}".encode() in marks and not zombie:
            found.append(int(entry.name))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the site's jobs live."""
    return tmp_path / "site"


@pytest.fixture
def bench(tmp_path: Path, folder: Path) -> Iterator[Bench]:
    """An embedded site with two cores and a store in a folder."""

    def controller(owner: str) -> Site:
        return EmbeddedSite("here", folder, cores=2, memory_bytes=1 << 32, speed=1.0, owner=owner, clock=RealClock())

    def left(run: str, epoch: int) -> list[str]:
        job = folder / f"gk-{run}-{epoch}"
        files = [str(path) for path in folder.iterdir()] if folder.exists() else []
        return [*files, *map(str, marked(job))]

    made = Bench(controller=controller, store=StoreAddress(url=(tmp_path / "store").as_uri()), left=left)
    yield made
    made.clean()
    assert [] == [path.name for path in folder.iterdir()] if folder.exists() else True


class TestContract(SiteContract):
    """The contract on processes."""
