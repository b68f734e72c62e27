"""Whether what travels fits into a job's memory and into the store: known before anything has run.

Imports little, the notebook asks.
"""

from __future__ import annotations

from collections.abc import Sequence

from greenkernel.records import Capture, Offer, Request
from greenkernel.units import format_bytes


def no_room(capture: Capture, most_bytes: int | None) -> str | None:
    """Why so much memory cannot even hold the values that travel, None where it can or nobody knows.

    An object is at least as large as its pickle, or nearly so: whatever the cell does, it needs more than that.
    """
    held = capture.payload.bytes
    if most_bytes is None or held <= most_bytes:
        return None
    largest = max((item for item in capture.items if item.kind != "file"), key=lambda item: item.bytes)
    return (
        f"{format_bytes(most_bytes)} of memory cannot hold the {format_bytes(held)} of values that the cell reads; "
        f"the largest is {largest.name} ({largest.kind}, {format_bytes(largest.bytes)})"
    )


def no_site(request: Request, capture: Capture, offers: Sequence[Offer]) -> str | None:
    """Why none of these sites can have the cell, whatever it does; None where one may."""
    room, cores = request.memory_bytes or 0, request.cores_min or 1
    most = [offer.memory_free_bytes for offer in offers]
    if not any(no_room(capture, one) is None for one in most):
        return "no site has the memory for the values"
    if not any(one is None or one >= room for one in most):
        return f"no site has {format_bytes(room)} of memory"
    return None if any(offer.cores_max >= cores for offer in offers) else f"no site has {cores} cores"


def too_much(capture: Capture, most_bytes: int | None) -> str | None:
    """Why more travels than a run may take in the store, None where it does not."""
    if most_bytes is None or capture.bytes <= most_bytes:
        return None
    largest = max(capture.items, key=lambda item: item.bytes)
    return (
        f"{format_bytes(capture.bytes)} would travel, and a run may take {format_bytes(most_bytes)} (run_size); "
        f"the largest is {largest.name} ({largest.kind}, {format_bytes(largest.bytes)})"
    )
