"""The site that tests and simulations use in place of real ones keeps the contract of real ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenkernel.clock import RealClock
from greenkernel.records import JobSpec
from greenkernel.site.base import Site
from greenkernel.site.fake import FakeSite, Ground, Script
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.runs import RunStore
from tests.sites.contract import BEGUN, MIB, SLEEP, Bench, SiteContract

_STEP_S = 0.1


def does(source: str) -> Script:
    """What the cells of the contract do, told by what stands in them."""
    if "held.append" in source:
        return Script(work=None, wants_bytes=1 << 40)
    if source.endswith(SLEEP):
        return Script(work=None, says=BEGUN, heeds="SIG_IGN" not in source)
    if "os._exit(7)" in source or "os.kill" in source:
        return Script(exits=7 if "os._exit(7)" in source else 137)
    return Script()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A fake site on which time goes on by itself."""
    address = StoreAddress(url=(tmp_path / "store").as_uri())
    objects, ground, over = ObjectStore(address), Ground(), threading.Event()

    def store_of(run: str) -> RunStore:
        return RunStore(objects, Bench.key, run)

    def script_of(job: JobSpec) -> Script:
        if job.secrets["GREENKERNEL_KEY"] == "no key":
            return Script(complains="GREENKERNEL_KEY is no key")
        return does(store_of(job.run).submission().request.source)

    def controller(owner: str) -> Site:
        return FakeSite("fake", store_of, RealClock(), script_of, owner=owner, ground=ground)

    def left(run: str, epoch: int) -> list[str]:
        return ["a job"] if (run, epoch) in ground.jobs else []

    def time_goes_on() -> None:
        site = FakeSite("fake", store_of, RealClock(), ground=ground)
        while not over.wait(_STEP_S):
            site.advance()

    thread = threading.Thread(target=time_goes_on)
    thread.start()
    made = Bench(controller=controller, store=address, left=left)
    yield made
    made.clean()
    over.set()
    thread.join()
    assert {} == ground.jobs


class TestContract(SiteContract):
    """The contract on scripts."""


def test_a_script_for_each_cell_of_the_contract() -> None:
    """Cells that end differently are told apart."""
    assert does(SLEEP).work is None
    assert not does(f"signal.SIG_IGN\n{SLEEP}").heeds
    assert does("held.append(1)").wants_bytes > MIB
    assert Script() == does("x = 1\n")
