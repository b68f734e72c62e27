"""List, watch, list again: over cuts, forgotten versions, servers that are away, and nonsense."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenkernel.errors import PermanentError, TemporaryError
from greenkernel.site.kubernetes.cache import JobCache
from greenkernel.site.kubernetes.client import Listing, TooOldError
from greenkernel.site.kubernetes.watch import (
    Away,
    Backoff,
    Changed,
    Connected,
    Event,
    Listed,
    events,
    follow,
    lines,
)


def item(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


def line(kind: str, name: str, version: int) -> bytes:
    return json.dumps({"type": kind, "object": item(name, version)}).encode() + b"\n"


GONE = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}).encode() + b"\n"
Answer = Listing | Exception | list[bytes | Exception]


class Script:
    """A `Source` whose answers are given beforehand: a listing or an error, or the chunks of one connection."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.pauses: list[float] = []

    def list(self) -> Listing:
        self.asked.append("list")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Listing)
        return answer

    def open(self, version: str) -> Iterable[bytes]:
        self.asked.append(f"watch {version}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert not isinstance(answer, Listing)
        return self._told(answer)

    def _told(self, chunks: list[bytes | Exception]) -> Iterator[bytes]:
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def pause(self, delay_s: float) -> bool:
        """Ends the following when there are no answers left."""
        self.pauses.append(delay_s)
        return not self.answers

    def run(self) -> list[Event]:
        return list(follow(self, self.pause, lambda: 0.0))


def listing(version: int, *names: str) -> Listing:
    return Listing(items=tuple(item(name, version) for name in names), version=str(version))


def test_lists_and_then_tells_changes() -> None:
    """First all there is, then each change; bookmarks move the version only."""
    script = Script(
        listing(5, "a"),
        [line("ADDED", "b", 6), line("BOOKMARK", "", 9), line("DELETED", "a", 11)],
        [],
    )
    assert [
        Listed(items=(item("a", 5),)),
        Connected(),
        Changed(item=item("b", 6)),
        Changed(item=item("a", 11), gone=True),
        Connected(),
    ] == script.run()
    assert ["list", "watch 5", "watch 11"] == script.asked


def test_a_connection_that_ends_is_resumed_at_once() -> None:
    """The API ends a watch every few minutes: the next one goes on from the last version, without a pause."""
    script = Script(listing(1), [line("BOOKMARK", "", 4)], [line("ADDED", "a", 5)])
    script.run()
    assert ["list", "watch 1", "watch 4"] == script.asked
    assert [0.0, 0.0] == script.pauses


def test_a_connection_that_ends_without_a_word_is_not_resumed_at_once() -> None:
    """A server that closes each watch immediately is asked less and less often."""
    script = Script(listing(1), [], [], [], [])
    script.run()
    assert all(earlier < later for earlier, later in pairwise(script.pauses))
    assert script.pauses[0] > 0


@pytest.mark.parametrize("gone", [TooOldError("too old", delay_s=0), [GONE]], ids=["as a status", "as an event"])
def test_a_forgotten_version_is_listed_again(gone: Answer) -> None:
    """410 as an HTTP status or inside the stream: a new list, and the watch goes on from it."""
    script = Script(listing(1, "a"), gone, listing(70, "b"), [])
    told = script.run()
    assert ["list", "watch 1", "list", "watch 70"] == script.asked
    assert Listed(items=(item("b", 70),)) in told
    assert not any(isinstance(event, Away) for event in told)


def test_an_api_that_is_away_is_told_and_asked_ever_less_often() -> None:
    """Each failed try tells `Away`; pauses grow up to their limit; the version is kept over the outage."""
    away: list[Answer] = [TemporaryError("connection refused", delay_s=0.0) for _ in range(12)]
    script = Script(listing(3), [line("ADDED", "a", 4)], *away, [line("ADDED", "b", 5)])
    told = script.run()
    failed = [event.delay_s for event in told if isinstance(event, Away)]
    assert 12 == len(failed)
    assert all(earlier <= later for earlier, later in pairwise(failed))
    assert 15 == failed[-1]
    assert "watch 4" == script.asked[-1]
    assert Changed(item=item("b", 5)) == told[-1]


def test_success_makes_pauses_short_again() -> None:
    """After one event the next outage begins with the shortest pause."""
    away = TemporaryError("away", delay_s=0.0)
    script = Script(listing(1), away, away, away, [line("ADDED", "a", 2)], away)
    failed = [event.delay_s for event in script.run() if isinstance(event, Away)]
    assert failed[0] == failed[-1] < failed[2]


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    """Retry-After is the least that is waited."""
    script = Script(TemporaryError("busy", delay_s=40.0), listing(1), [])
    assert script.run()[0] == Away(reason="busy", delay_s=script.pauses[0])
    assert script.pauses[0] > 40


def test_a_right_that_is_missing_is_asked_for_again() -> None:
    """Rights come back: a refusal is told and does not end the following."""
    script = Script(PermanentError("may not list jobs"), listing(1, "a"), [])
    told = script.run()
    assert Away(reason="may not list jobs", delay_s=script.pauses[0]) == told[0]
    assert script.pauses[0] > 10
    assert Listed(items=(item("a", 1),)) == told[1]


def test_a_cut_in_the_middle_of_an_event_loses_nothing() -> None:
    """Half a line is dropped, and the event comes again from the version before it."""
    whole = line("ADDED", "b", 6)
    cut = TemporaryError("connection reset", delay_s=0)
    script = Script(listing(5), [line("ADDED", "a", 5), whole[:20], cut], [whole])
    told = [event.item["metadata"]["name"] for event in script.run() if isinstance(event, Changed)]
    assert ["a", "b"] == told
    assert ["list", "watch 5", "watch 5"] == script.asked


@pytest.mark.parametrize("nonsense", [b"<html>\n", b"[]\n", b'{"type": "ADDED", "object": {}}\n', b"\xff\n"])
def test_nonsense_is_a_fault_that_passes(nonsense: bytes) -> None:
    """What is no event ends the connection as a temporary fault."""
    with pytest.raises(TemporaryError, match="no event"):
        list(events([nonsense]))


def test_other_errors_in_the_stream_are_faults() -> None:
    """An error object is told by its own code; one without a code is temporary."""
    internal = json.dumps({"type": "ERROR", "object": {"code": 500, "message": "etcd is away"}}).encode() + b"\n"
    nameless = json.dumps({"type": "ERROR", "object": {"message": "?"}}).encode() + b"\n"
    with pytest.raises(TemporaryError, match="etcd is away"):
        list(events([internal]))
    with pytest.raises(TemporaryError, match="500"):
        list(events([nameless]))


@given(
    texts=st.lists(st.binary(max_size=8).map(lambda data: data.replace(b"\n", b".")), max_size=6),
    seed=st.integers(0, 2**16),
)
def test_lines_do_not_depend_on_chunks(texts: list[bytes], seed: int) -> None:
    """However the bytes are cut, the whole lines are the same, and an unfinished one is dropped."""
    data = b"".join(text + b"\n" for text in texts) + b"unfinished"
    random, chunks, rest = Random(seed), [], data
    while rest:
        size = random.randint(1, 5)
        chunks.append(rest[:size])
        rest = rest[size:]
    assert texts == list(lines(chunks))


def test_pauses_are_spread() -> None:
    """Two clients with other numbers wait for different times, never less than half of the longest."""
    early, late = Backoff(lambda: 0.0), Backoff(lambda: 0.99)
    for _ in range(12):
        assert early.fail() < late.fail() <= 2 * 15


def test_cache_is_known_only_while_connected() -> None:
    """Before the watch and after a fault nothing is known; after it is connected again, what it has learnt is."""
    cache = JobCache()
    assert cache.jobs() is None
    cache.take(Listed(items=(item("a", 1),)))
    assert cache.jobs() is None
    cache.take(Connected())
    assert [item("a", 1)] == cache.jobs()
    assert cache.take(Away(reason="away", delay_s=1))
    assert cache.jobs() is None
    cache.take(Connected())
    cache.take(Changed(item=item("a", 2), gone=True))
    assert [] == cache.jobs()


def test_cache_is_not_set_back_by_what_comes_late() -> None:
    """What the watch tells of the moment before an own request changes nothing; a new object of a name is new."""
    cache = JobCache()
    cache.take(Connected())
    cache.learn(item("a", 7))
    cache.take(Changed(item=item("a", 6)))
    assert [item("a", 7)] == cache.jobs()
    again = {"metadata": {"name": "a", "uid": "another", "resourceVersion": "3"}}
    cache.take(Changed(item=again))
    assert [again] == cache.jobs()
    cache.take(Changed(item=item("a", 8), gone=True))
    assert [again] == cache.jobs()


def test_cache_forgets_what_a_new_list_lacks() -> None:
    """What was deleted while nobody listened is gone after the list."""
    cache = JobCache()
    cache.take(Listed(items=(item("a", 1), item("b", 1))))
    cache.take(Listed(items=(item("b", 9),)))
    cache.take(Connected())
    assert [item("b", 9)] == cache.jobs()
