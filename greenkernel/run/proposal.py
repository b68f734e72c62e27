"""Whether a move that was proposed under ``--move ask`` still waits for an answer, and when the next may be. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from greenkernel.records import Proposal
from greenkernel.store.runs import Wish

# A person has so long to answer; then the run stays, and is not asked about for a while.
ASK_S = 600.0
ASK_AGAIN_S = 1800.0


def is_open(proposal: Proposal | None, wishes: Collection[Wish], epoch: int, now: datetime) -> bool:
    """True while an answer still counts: the run is where it was, nobody has answered, and there is time."""
    if proposal is None or proposal.settled or proposal.epoch != epoch or now >= proposal.until:
        return False
    return not any(wish.kind == "relocate" or wish.proposal == proposal.number for wish in wishes)


def again_at(proposal: Proposal) -> datetime:
    """When a move may be proposed again after this one."""
    return proposal.until + timedelta(seconds=ASK_AGAIN_S)
