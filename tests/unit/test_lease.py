"""The lease in the store: who has it, when it ends, and whose runs it is about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from greenkernel.run.lease import RENEW_S, VALID_S, Lease, Leases, Standing
from greenkernel.store.objects import ObjectStore, StoreAddress

KEY = b"k" * 32
SITES = ("a", "b")


class Machines:
    """Two machines on one store, with a time that is told."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 1000.0
        self.objects = ObjectStore(StoreAddress(url=folder.as_uri()))
        self.one, self.other = self.new(), self.new()

    def new(self, key: bytes = KEY) -> Leases:
        return Leases(self.objects, key, lambda: self.now_s)


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


def taken(leases: Leases) -> Lease:
    lease = leases.take("me-1", SITES)
    assert lease is not None
    return lease


def test_one_holder_at_a_time(machines: Machines) -> None:
    """While it is renewed nobody else gets it, and others see whose it is."""
    lease = taken(machines.one)
    for _ in range(10):
        assert machines.other.take("me-1", SITES) is None
        machines.now_s += VALID_S - 1
        renewed = machines.one.renew(lease)
        assert renewed is not None
        lease = renewed
        assert lease == machines.other.alive()
    assert 10 == lease.count


def test_a_lease_that_is_not_renewed_is_anybodys(machines: Machines) -> None:
    """After its time by the looker's own clock; whoever held it learns that when it comes back."""
    lease = taken(machines.one)
    assert lease == machines.other.alive()
    machines.now_s += VALID_S + 1
    assert machines.other.alive() is None
    second = taken(machines.other)
    assert machines.one.renew(lease) is None
    machines.one.give_back(lease)
    assert second == machines.one.alive()


def test_who_has_just_come_waits(machines: Machines) -> None:
    """It cannot know how old a lease is, so it holds until it could have been renewed."""
    taken(machines.one)
    machines.now_s += 10 * VALID_S
    late = machines.new()
    assert late.take("me-1", SITES) is None
    machines.now_s += VALID_S + 1
    assert late.take("me-1", SITES) is not None


def test_given_back_it_is_free_at_once(machines: Machines) -> None:
    """Nobody waits for the end of its time."""
    machines.one.give_back(taken(machines.one))
    assert machines.other.alive() is None
    taken(machines.other)


def test_another_key_is_another_matter(machines: Machines) -> None:
    """Two people may share a store."""
    taken(machines.one)
    taken(machines.new(b"K" * 32))


def test_a_strange_object_is_nobodys_lease(machines: Machines) -> None:
    """What cannot be read, or was written by somebody without the key, holds nobody up."""
    taken(machines.one)
    (info,) = machines.objects.listing("leases")
    machines.objects.put(info.name, b"strange")
    assert machines.other.alive() is None
    taken(machines.other)


def test_standing_renews_when_it_is_time(machines: Machines) -> None:
    """Not at each look; and it ends where somebody else has taken over."""
    standing = Standing(machines.one, taken(machines.one))
    assert standing.holds()
    assert 0 == standing.lease.count
    machines.now_s += RENEW_S
    assert standing.holds()
    assert 1 == standing.lease.count
    machines.other.alive()
    machines.now_s += VALID_S + 1
    taken(machines.other)
    assert not standing.holds()
    assert 1 == standing.lease.count


def test_a_lease_says_what_it_is_about(machines: Machines) -> None:
    """Its process, the sites, and for which Python it collects packages."""
    lease = taken(machines.one)
    assert replace(lease, sites=SITES, owner="me-1") == lease
    assert lease.python.startswith("3.")
    assert lease.pid > 0
