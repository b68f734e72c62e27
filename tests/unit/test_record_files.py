"""Records as files: whole or not there, sealed, listed without being loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from greenkernel.errors import IntegrityError
from greenkernel.runner import record_files
from greenkernel.runner.record_files import ASIDE, Record, RecordInfo, decode, encode, read_body, records, write_record

KEY = b"k" * 32


class Model:
    """Something that a task fits."""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A folder that takes records."""
    (tmp_path / ASIDE).mkdir()
    return tmp_path


def put(spool: Path, name: str, result: Any, held: tuple[Any, ...] = (), cpu_s: float = 1.25) -> None:
    """Write one record."""
    record = Record(result=result, changed={}, dice=None, dice_before=None, cpu_s=cpu_s)
    write_record(str(spool), name, KEY, *encode(record, held, "f"))


def test_a_record_comes_back(spool: Path) -> None:
    """Result and cost survive the file."""
    put(spool, "a.rec", {"x": [1, 2]})
    body = read_body(str(spool), "a.rec", KEY)
    assert body is not None
    record = decode(body, ())
    assert ({"x": [1, 2]}, 1.25) == (record.result, record.cpu_s)
    assert [] == list((spool / ASIDE).iterdir())


def test_no_record_is_no_error(spool: Path) -> None:
    """A name without a file is simply not there."""
    assert read_body(str(spool), "a.rec", KEY) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:40],
        lambda data: b"",
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: b"0" + data[1:],
    ],
    ids=["cut by one", "cut in the seal", "empty", "a bit in the body", "a digit of the seal"],
)
def test_a_cut_or_changed_record_is_refused(spool: Path, spoil: Any) -> None:
    """No byte is unpickled before the seal holds."""
    put(spool, "a.rec", list(range(100)))
    (spool / "a.rec").write_bytes(spoil((spool / "a.rec").read_bytes()))
    with pytest.raises(IntegrityError):
        read_body(str(spool), "a.rec", KEY)


def test_another_key_or_name_is_refused(spool: Path) -> None:
    """Records cannot be swapped, and another tenant's are not believed."""
    put(spool, "a.rec", 1)
    (spool / "b.rec").write_bytes((spool / "a.rec").read_bytes())
    with pytest.raises(IntegrityError):
        read_body(str(spool), "b.rec", KEY)
    with pytest.raises(IntegrityError):
        read_body(str(spool), "a.rec", b"o" * 32)


def test_arguments_stay_references(spool: Path) -> None:
    """A result that holds its task's argument holds the replay's own argument, and the record stays small."""
    data = list(range(10_000))
    put(spool, "a.rec", {"kept": data}, held=(3, data))
    other = list(range(10_000))
    body = read_body(str(spool), "a.rec", KEY)
    assert body is not None
    assert decode(body, (3, other)).result["kept"] is other
    assert (spool / "a.rec").stat().st_size < 500


def test_a_class_that_cannot_be_found_by_name_is_no_result() -> None:
    """By value it would come back as another class."""
    local = type("Local", (), {})
    record = Record(result=local(), changed={}, dice=None, dice_before=None, cpu_s=0.0)
    with pytest.raises(Exception, match="Local"):
        encode(record, (), "f")


def test_functions_made_on_the_fly_are_results(spool: Path) -> None:
    """They travel by value."""
    put(spool, "a.rec", lambda x: x + 1)
    body = read_body(str(spool), "a.rec", KEY)
    assert body is not None
    assert 3 == decode(body, ()).result(2)


def test_listing_reads_headers_only(spool: Path) -> None:
    """Name, size and CPU seconds of each record, whatever else lies there."""
    put(spool, "b.rec", 1, cpu_s=0.5)
    put(spool, "a.rec", Model(), cpu_s=2.0)
    (spool / "notes.txt").write_text("no record")
    sizes = {name: (spool / name).stat().st_size for name in ("a.rec", "b.rec")}
    expected = [
        RecordInfo(name="a.rec", bytes=sizes["a.rec"], cpu_s=2.0),
        RecordInfo(name="b.rec", bytes=sizes["b.rec"], cpu_s=0.5),
    ]
    assert expected == records(spool)


def test_listing_names_what_is_no_record(spool: Path) -> None:
    """A file of that suffix without a header is an error, not a guess."""
    (spool / "x.rec").write_bytes(b"nothing")
    with pytest.raises(IntegrityError, match=r"x\.rec"):
        records(spool)


def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    """Without its side folder a spool is closed: nothing half-written can appear."""
    with pytest.raises(OSError, match=ASIDE):
        put(tmp_path, "a.rec", 1)
    assert [] == list(tmp_path.iterdir())
    assert record_files.SUFFIX == ".rec"
