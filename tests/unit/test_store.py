"""The store: put-if-absent, keyed blobs, sealed objects, and the order of logs."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenkernel.errors import IntegrityError, PermanentError
from greenkernel.records import Capture, EpochOpen, Payload, Request, RunState
from greenkernel.store.blobs import Blobs, name_of
from greenkernel.store.hashing import keyed_hash, seal, unseal
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.runs import End, LogEvent, RunStore, Submission, run_ids

KEY = b"k" * 32
NOW = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(StoreAddress(url=(tmp_path / "a store").as_uri()))


def opened(number: int, site: str) -> EpochOpen:
    return EpochOpen(
        run="r", epoch=number, site=site, cores=1, memory_bytes=1, opened_at=NOW, trigger="start", reason=""
    )


def test_put_new_has_one_winner(objects: ObjectStore) -> None:
    """Of eight writers of one object exactly one wins, and its bytes are there."""
    wins: list[int] = []

    def write(number: int) -> None:
        if objects.put_new("x/y", b"%d" % number):
            wins.append(number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(wins)
    found = objects.get("x/y")
    assert found is not None
    assert b"%d" % wins[0] == bytes(found)


def test_listing_is_ordered_and_can_go_on(objects: ObjectStore) -> None:
    """Names come in order, and ``after`` leaves out what is known."""
    for name in ("p/2", "p/1", "p/3", "q/1"):
        objects.put(name, b"")
    assert ["p/1", "p/2", "p/3"] == [info.name for info in objects.listing("p")]
    assert ["p/3"] == [info.name for info in objects.listing("p", after="p/2")]
    assert [] == objects.listing("nothing")


def test_missing_objects(objects: ObjectStore) -> None:
    """What is not there is None, and deleting it is harmless."""
    assert objects.get("no") is None
    assert objects.size("no") is None
    objects.delete("no")


def test_blobs_are_written_once_and_verified(objects: ObjectStore) -> None:
    """Equal bytes have one address; changed bytes are not believed."""
    blobs = Blobs(objects, KEY)
    address = blobs.put(b"data")
    assert address == blobs.put(memoryview(b"data"))
    assert b"data" == bytes(Blobs(objects, KEY).get(address))
    objects.put(name_of(address), b"dat4")
    with pytest.raises(IntegrityError):
        Blobs(objects, KEY).get(address)
    objects.delete(name_of(address))
    with pytest.raises(PermanentError, match="lost"):
        Blobs(objects, KEY).get(address)


def test_a_damaged_blob_is_written_again(objects: ObjectStore) -> None:
    """A half-written blob of another length does not stop a later put."""
    blobs = Blobs(objects, KEY)
    objects.put(name_of(blobs.address(b"data")), b"da")
    assert b"data" == bytes(blobs.get(blobs.put(b"data")))


@pytest.mark.parametrize("address", ["../../etc/passwd", "", "g" * 64, "a" * 63])
def test_addresses_cannot_be_paths(address: str) -> None:
    """Only an address names a blob."""
    with pytest.raises(IntegrityError):
        name_of(address)


def test_another_key_has_other_addresses() -> None:
    """Who does not have the key can neither guess nor forge an address."""
    assert keyed_hash(KEY, b"data") != keyed_hash(b"K" * 32, b"data")
    assert keyed_hash(KEY, b"da", b"ta") == keyed_hash(KEY, b"data")


def test_seals() -> None:
    """A sealed object opens under its own name and key only, and only whole."""
    sealed = seal(KEY, "runs/a", b"body")
    assert b"body" == bytes(unseal(KEY, "runs/a", sealed))
    for key, name, data in (
        (KEY, "runs/b", sealed),
        (b"K" * 32, "runs/a", sealed),
        (KEY, "runs/a", sealed[:-1]),
        (KEY, "runs/a", sealed.replace(b"body", b"bodY")),
        (KEY, "runs/a", b""),
    ):
        with pytest.raises(IntegrityError):
            unseal(key, name, data)


def test_run_round_trip(objects: ObjectStore) -> None:
    """A submission comes back equal, and only the first one counts."""
    store = RunStore(objects, KEY, "r1")
    capture = Capture(transformed="x", reads=("a",), binds=("x",), items=(), payload=Payload(head="0" * 64))
    submission = Submission(request=Request(source="x = a", name="n", created_at=NOW), capture=capture)
    assert store.submit(submission)
    assert not store.submit(submission)
    assert submission == store.submission()
    assert ["r1"] == run_ids(objects)
    store.delete()
    assert [] == objects.listing("runs/r1")


def test_epochs_fence(objects: ObjectStore) -> None:
    """The first one to open an epoch has it; the last epoch is the believed one."""
    store = RunStore(objects, KEY, "r")
    assert store.last_epoch() is None
    assert store.open_epoch(opened(1, "a"))
    assert not store.open_epoch(opened(1, "b"))
    assert store.open_epoch(opened(2, "b"))
    last = store.last_epoch()
    assert last is not None
    assert (2, "b") == (last.epoch, last.site)


def test_a_resumed_run_is_open_until_its_next_end(objects: ObjectStore) -> None:
    """Its cancel is void, what was decided before closes nothing, and only the first to resume it counts."""
    store = RunStore(objects, KEY, "r")
    cancelled = End(state=RunState.CANCELLED, at=NOW)
    assert store.cancel(NOW)
    assert {"cancel"} == set(store.wishes())
    assert store.end(cancelled)
    assert store.resume(cancelled, NOW)
    assert not store.resume(cancelled, NOW)
    assert (None, 1, {"resume-0001"}) == (store.ended(), store.resumes(), set(store.wishes()))
    assert not store.end(End(state=RunState.FAILED, at=NOW))
    assert store.ended() is None
    assert store.cancel(NOW)
    assert "cancel-0001" in store.wishes()
    done = End(state=RunState.DONE, at=NOW, resumes=1)
    assert store.end(done)
    assert (done, cancelled) == (store.ended(), store.end_after(0))


def test_swapped_objects_are_not_believed(objects: ObjectStore) -> None:
    """An epoch that was copied over another one breaks its seal."""
    store = RunStore(objects, KEY, "r")
    store.open_epoch(opened(1, "a"))
    data = objects.get("runs/r/epochs/0001/open")
    assert data is not None
    objects.put("runs/r/epochs/0002/open", data)
    with pytest.raises(IntegrityError):
        store.epoch(2)


def test_logs_go_on_where_they_were(objects: ObjectStore) -> None:
    """Chunks are read in order, and only the new ones."""
    store = RunStore(objects, KEY, "r")
    for number in (1, 2, 11):
        store.put_log(1, number, [LogEvent(at=NOW, kind="stdout", text=str(number))])
    assert [1, 2, 11] == [sequence for sequence, _ in store.logs(1)]
    assert ["11"] == [events[0].text for _, events in store.logs(1, after=2)]


def test_an_unreachable_store_is_temporary() -> None:
    """A server that does not answer is worth another try, and says which object it was about."""
    from greenkernel.errors import TemporaryError

    options = {"endpoint": "http://127.0.0.1:9", "access_key_id": "a", "secret_access_key": "b", "allow_http": "true"}
    store = ObjectStore(StoreAddress(url="s3://bucket", options={**options, "region": "us-east-1"}))
    with pytest.raises(TemporaryError, match="some/name"):
        store.get("some/name")


def test_credentials_stay_out_of_texts() -> None:
    """The address of a store can be shown: its options are not in it."""
    assert "hush" not in repr(StoreAddress(url="s3://b", options={"secret_access_key": "hush"}))
