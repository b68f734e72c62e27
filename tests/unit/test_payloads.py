"""Objects in the blob store and back: aliases, memory, refusals, verification."""

from __future__ import annotations

import asyncio
import io
import socket
import sqlite3
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenkernel.cell.held import parts_held_elsewhere
from greenkernel.errors import GreenKernelError, IntegrityError, PermanentError, TemporaryError, UserError
from greenkernel.records import Payload
from greenkernel.store.blobs import Blobs
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.payloads import CannotTravelError, digest, dump, load
from greenkernel.store.returned import inner_name
from tests.graphs import Compared, Spec, build, specs


@pytest.fixture
def blobs() -> Blobs:
    """A store in memory."""
    return _blobs()


def _blobs() -> Blobs:
    return Blobs(ObjectStore(StoreAddress(url="memory:///")), b"k" * 32)


def _space(setup: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(setup, space)
    return space


def test_functions_live_in_the_namespace_they_are_read_into(blobs: Blobs) -> None:
    """Their globals are it; what they read travels by name and is added by itself."""
    here = _space("K = 2\ndef g(a): return a * K\ndef f(a): return g(a) + 1")
    dumped = dump({"f": here["f"]}, blobs, here, follow=True)
    assert {"g": "f", "K": "g"} == dumped.needed
    there: dict[str, Any] = {"__name__": "__main__"}
    there.update(load(dumped.payload, blobs, there))
    assert there["f"].__globals__ is there
    assert 7 == there["f"](3)
    there["K"] = 10
    assert 31 == there["f"](3)


@pytest.mark.parametrize("others", [{}, {"X": pd.DataFrame({"a": [1]})}, {"a": np.arange(9)}, {"n": [float("nan")]}])
def test_what_is_held_elsewhere(others: dict[str, Any], blobs: Blobs) -> None:
    """Parts that two containers hold; not an object's attributes, nor what another pass of writing has held."""

    def made() -> list[Any]:
        both = ["both"]
        return [types.SimpleNamespace(both=both, alone=["alone"]), both]

    space = {"p": made(), **others}
    inner = dump(space, blobs, {}, follow=True).inner
    parts = {inner_name(n): inner.objects[n] for n, owner in inner.owners.items() if owner == "p"}
    assert ["SimpleNamespace", "list", "list"] == sorted(type(part).__name__ for part in parts.values())
    parts.clear()
    held = parts_held_elsewhere(inner)
    mine = [number for number, owner in inner.owners.items() if owner == "p" and inner_name(number) in held]
    assert [["both"]] == [inner.objects[number] for number in mine]


def test_large_buffers_are_blobs_of_their_own_and_are_written_once(blobs: Blobs) -> None:
    """Unchanged data has the same address the second time."""
    big = np.arange(100_000.0)
    one = dump({"a": big, "b": big}, blobs).payload
    two = dump({"c": {"again": big.copy()}}, blobs).payload
    assert 1 == len(one.buffers)
    assert one.buffers == two.buffers


def test_sizes_are_told_by_name(blobs: Blobs) -> None:
    """A shared buffer counts at its first name."""
    big = np.zeros(50_000)
    sizes = dump({"a": big, "b": [big], "c": 1}, blobs).sizes
    assert 400_000 <= sizes["a"] < 401_000
    assert sizes["b"] < 200
    assert sizes["c"] < 50


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.arange(30_000.0),
        lambda: np.asfortranarray(np.arange(30_000.0).reshape(100, 300)),
        lambda: np.arange(30_000.0).reshape(100, 300)[::3, ::-2],
        lambda: np.arange(30_000.0)[::-1],
        lambda: np.broadcast_to(np.arange(300.0), (100, 300)),
        lambda: np.arange(20_000).astype("M8[s]"),
        lambda: np.array(["a", None, 3], dtype=object),
        lambda: np.zeros(0),
        lambda: np.array(5),
        lambda: np.zeros(10_000, dtype=[("a", "i4"), ("b", "U3")]),
        lambda: np.arange(20_000, dtype=">i4"),
        lambda: np.ma.array([1, 2], mask=[0, 1]),
        lambda: np.frombuffer(b"x" * 100_000, dtype="u1"),
        lambda: np.array(["x", "yy"], dtype=np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else None),
    ],
)
def test_arrays_come_back_equal_with_their_order_and_rights(make: Callable[[], Any], blobs: Blobs) -> None:
    """Content, dtype, memory order where it is dense, and writeability are kept."""
    sent = make()
    got = load(dump({"a": sent}, blobs).payload, blobs, {})["a"]
    assert sent.dtype == got.dtype
    assert sent.shape == got.shape
    assert np.array_equal(np.asarray(sent), np.asarray(got))
    if sent.flags.forc:
        assert sent.flags.f_contiguous == got.flags.f_contiguous
        assert sent.flags.writeable == got.flags.writeable


@st.composite
def _views(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    cut = st.tuples(st.integers(0, 9_000), st.integers(1, 12_000), st.sampled_from([1, 2, -1, -3]))
    return draw(st.lists(cut, min_size=1, max_size=5))


@settings(max_examples=40, deadline=None)
@given(_views(), st.booleans())
def test_arrays_share_memory_afterwards_where_they_did_before(cuts: list[tuple[int, int, int]], whole: bool) -> None:
    """Writing through any of them shows in exactly those that overlap it."""
    base = np.arange(12_000.0)
    sent = {f"v{n}": base[low : low + length][::step] for n, (low, length, step) in enumerate(cuts)}
    if whole:
        sent["base"] = base
    blobs = _blobs()
    got = load(dump(sent, blobs).payload, blobs, {})
    for a in sent:
        assert np.array_equal(sent[a], got[a])
        for b in sent:
            assert np.shares_memory(sent[a], sent[b]) == np.shares_memory(got[a], got[b])
    first = next(iter(sent))
    sent[first][:] = -1
    got[first][:] = -1
    assert all(np.array_equal(sent[name], got[name]) for name in sent)


_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
_trees = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_trees, min_size=1, max_size=4), st.data())
def test_aliases_between_names_survive(values: list[Any], data: st.DataObject) -> None:
    """Two names of one object are two names of one object there."""
    picks = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=6))
    sent = {f"n{n}": values[pick] for n, pick in enumerate(picks)} | {"all": values}
    blobs = _blobs()
    got = load(dump(sent, blobs).payload, blobs, {})
    assert sent == got
    for n, pick in enumerate(picks):
        if isinstance(values[pick], list | dict):
            assert got[f"n{n}"] is got["all"][pick]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(specs(), st.data())
def test_graphs_of_objects_come_back_as_they_were(spec: Spec, data: st.DataObject) -> None:
    """Parts that are shared, also in circles and among names, are shared there; all of them are equal."""
    made = build(spec)
    picks = data.draw(st.lists(st.integers(0, len(made) - 1), min_size=1, max_size=4))
    sent = {f"n{n}": made[pick] for n, pick in enumerate(picks)}
    blobs = _blobs()
    assert "" == Compared().difference(sent, load(dump(sent, blobs).payload, blobs, {}))


def _generator() -> Any:
    yield 1


def _in_a_closure() -> Any:
    lock = threading.Lock()
    return lambda: lock


def _opened(mode: str) -> Any:
    return Path(__file__).open(mode)  # an open file is what is tested


class _Holder:
    def __init__(self, part: object) -> None:
        self.part = part


def _stand_in(module: str, name: str, **flags: bool) -> Any:
    """An object whose class has the name of a library's that is not installed here."""
    return type(name, (), {"__module__": module, **flags})()


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: _opened("r"), "x cannot travel, it is an open file. Open the file inside the cell."),
    (lambda: _opened("rb"), "x cannot travel, it is an open file. Open the file inside the cell."),
    (lambda: threading.Lock(), "x cannot travel, it is of type _thread.lock. Make the lock inside the cell."),
    (lambda: _generator(), "x cannot travel, it is of type generator. Make it inside the cell, or turn it into a list"),
    (lambda: sqlite3.connect(":memory:"), "it is of type sqlite3.Connection. Open the connection inside the cell."),
    (lambda: socket.socket(), "x cannot travel, it is of type socket.socket. Open the connection inside the cell."),
    (lambda: threading.Thread(), "x"),
    (lambda: {"a": [1, (threading.Lock(),)]}, "x['a'][1][0] cannot travel, it is of type _thread.lock."),
    (lambda: _Holder(_Holder(_generator())), "x.part.part cannot travel, it is of type generator."),
    (lambda: _in_a_closure(), "x's variable lock cannot travel, it is of type _thread.lock."),
    (lambda: _Holder(_generator()).__init__, "x.__self__.part cannot travel, it is of type generator."),
    (lambda: asyncio.new_event_loop(), "x"),
    (
        lambda: _stand_in("torch", "Tensor", is_cuda=True),
        "x cannot travel, it is of type torch.Tensor in the memory of a GPU, and no site has one. "
        "Bring it back with .cpu() first.",
    ),
    (lambda: {"w": [_stand_in("torch.nn.parameter", "Parameter", is_cuda=True)]}, "x['w'][0] cannot travel"),
    (lambda: _Holder(_stand_in("torch", "Tensor", is_cuda=False, is_mps=True)), "x.part cannot travel"),
    (lambda: _stand_in("cupy", "ndarray"), "and no site has one. Bring it back with .get() first."),
]


@pytest.mark.parametrize("module", ["torch", "torch.nn.parameter", "torchvision", "cupyx"])
def test_what_is_in_plain_memory_travels(module: str) -> None:
    """A tensor of the CPU is no reason to refuse, and neither is a library with a similar name."""
    blobs = _blobs()
    got = load(dump({"x": _stand_in(module, "Tensor", is_cuda=module == "torchvision")}, blobs).payload, blobs, {})["x"]
    assert (module, "Tensor") == (type(got).__module__, type(got).__name__)


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_what_cannot_travel_is_refused_by_name_with_what_to_do(
    make: Callable[[], Any], said: str, blobs: Blobs
) -> None:
    """The message has the way to the part that is to blame."""
    value = make()
    with pytest.raises(UserError) as caught:
        dump({"ok": 1, "x": value}, blobs, {})
    assert said in str(caught.value)
    if hasattr(value, "close"):
        value.close()


@pytest.mark.parametrize("fault", [TemporaryError("the disk is full"), PermanentError("the store refuses access")])
def test_a_fault_of_the_store_is_not_blamed_on_a_value(fault: GreenKernelError) -> None:
    """It stays what it is, so that a result is written again instead of being left out."""

    class Full(Blobs):
        def put(self, data: bytes | memoryview) -> str:
            raise fault

    full = Full(ObjectStore(StoreAddress(url="memory:///")), b"k" * 32)
    with pytest.raises(type(fault)) as caught:
        dump({"x": np.zeros(100_000)}, full)
    assert fault is caught.value


def test_memory_that_runs_out_is_said_of_the_name(blobs: Blobs) -> None:
    """The value is not to blame, and what would help is said."""

    class Large:
        def __reduce__(self) -> Any:
            raise MemoryError

    with pytest.raises(CannotTravelError, match=r"^x cannot travel, for this process ran out of memory .*\. Delete"):
        dump({"x": [Large()]}, blobs)


def test_the_function_that_needs_a_refused_name_is_named(blobs: Blobs) -> None:
    """A lock that only a helper reads: both are in the message."""
    here = _space("import threading\nlock = threading.Lock()\ndef f():\n    with lock: pass")
    with pytest.raises(UserError, match=r"^lock \(read by f\) cannot travel, it is of type _thread.lock"):
        dump({"f": here["f"]}, blobs, here, follow=True)


def test_files_in_memory_travel(blobs: Blobs) -> None:
    """A BytesIO is no open file."""
    assert b"abc" == load(dump({"b": io.BytesIO(b"abc")}, blobs).payload, blobs, {})["b"].getvalue()


def test_changed_bytes_are_refused_before_they_are_unpickled(tmp_path: Path) -> None:
    """A payload whose head or buffer was changed, lost or mixed up raises; nothing in it runs."""
    blobs = Blobs(ObjectStore(StoreAddress(url=f"file://{tmp_path}")), b"k" * 32)
    payload = dump({"a": np.zeros(50_000)}, blobs).payload
    for address in (payload.head, *payload.buffers):
        file = tmp_path / "blobs" / address
        good = file.read_bytes()
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(IntegrityError):
            load(payload, blobs, {})
        file.write_bytes(good)
    with pytest.raises(IntegrityError):
        load(Payload(head=payload.head, buffers=(), bytes=0), blobs, {})
    with pytest.raises(PermanentError):
        load(Payload(head="0" * 64, buffers=payload.buffers, bytes=0), blobs, {})


def test_an_object_that_cannot_be_rebuilt_is_named(blobs: Blobs) -> None:
    """The message says after which name it was, and why."""
    dumped = dump({"fine": 1, "odd": _Odd()}, blobs)
    with pytest.raises(UserError, match=r"^what follows fine cannot be rebuilt here: ZeroDivisionError"):
        load(dumped.payload, blobs, {})


class _Odd:
    def __reduce__(self) -> Any:
        return divmod, (1, 0)


def test_a_digest_changes_with_the_content_alone() -> None:
    """In place changes show, looking and pickling do not."""
    here = _space("import numpy as np\nclass M: pass\nm = M()\na = np.zeros(20_000)\nm.a = a\ndef f(): return np.fft")
    before = {name: digest(here[name], here) for name in ("m", "a", "M", "f")}
    import numpy.fft

    repr(here["m"]), here["M"].__name__, numpy.fft.fft([1])
    assert before == {name: digest(here[name], here) for name in before}
    here["a"][7] = 1
    after = {name: digest(here[name], here) for name in before}
    assert (after["m"], after["a"]) != (before["m"], before["a"])
    assert (after["M"], after["f"]) == (before["M"], before["f"])
    assert digest(_generator(), here) is None


def test_what_a_library_keeps_under_another_name_is_the_same_there(
    blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper and a made-up class are found where the library has them; only what it has nowhere is a copy."""
    library, inner = types.ModuleType("kept_under_another"), types.ModuleType("kept_under_another.inner")
    for module in (library, inner):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    source = (
        "def plain():\n    return 1\n"
        "def wrapped(function):\n"
        "    def plain():\n        return function()\n"
        "    return plain\n"
        "old_name = wrapped(plain)\n"
        "Made = type('Hidden', (), {'__qualname__': 'make.<locals>.Hidden'})\n"
        "nowhere = [wrapped(plain)]\n"
    )
    exec(source, vars(inner))
    vars(library)["again"] = vars(inner)["old_name"]
    objects = {"old": vars(inner)["old_name"], "made": vars(inner)["Made"], "nowhere": vars(inner)["nowhere"][0]}
    read = load(dump(objects, blobs).payload, blobs, {})
    assert read["old"] is objects["old"]
    assert read["made"] is objects["made"]
    assert read["nowhere"] is not objects["nowhere"]
    assert 1 == read["nowhere"]()


def test_a_container_that_cannot_be_read_is_refused_like_any_other(blobs: Blobs) -> None:
    """A mapping that raises when somebody looks into it, as closed files do, costs no more than its name."""

    class Closed(dict[str, int]):
        def __reduce_ex__(self, protocol: object) -> Any:
            raise TypeError("not this one")

        def __len__(self) -> int:
            raise ValueError("it is closed")

        def items(self) -> Any:
            raise ValueError("it is closed")

    with pytest.raises(CannotTravelError, match=r"shut cannot travel.*not this one"):
        dump({"shut": Closed()}, blobs)


class Part:
    """Knows the whole that it is a part of, as figures and their axes do."""

    def __init__(self, whole: Any) -> None:
        self.whole = whole


@pytest.mark.parametrize("ahead", [0, 9], ids=["near", "far"])
def test_the_part_that_cannot_travel_is_named_though_all_know_each_other(ahead: int, blobs: Blobs) -> None:
    """The way to it does not lead in circles, and what can travel with its own lock is not blamed."""
    import logging

    whole = Part(None)
    whole.log = logging.getLogger("whole")  # type: ignore[attr-defined]  # it has locks, and is known by its name
    last = whole
    for _ in range(ahead):
        last.next = Part(whole)  # type: ignore[attr-defined]
        last = last.next  # type: ignore[attr-defined]
    last.kept = threading.Lock()  # type: ignore[attr-defined]
    with pytest.raises(CannotTravelError) as caught:
        dump({"whole": whole}, blobs, {})
    assert str(caught.value).startswith(f"whole{'.next' * ahead}.kept cannot travel, it is of type _thread.lock")


def test_many_exceptions_keep_what_they_hang_on(blobs: Blobs) -> None:
    """Each of many its own; of a chain that is too long to be written the rest is left out, and not all of it."""

    def caused(cause: BaseException | None, number: int) -> BaseException:
        made = ValueError(number)
        made.__cause__ = cause
        return made

    many = [caused(KeyError(n), n) for n in range(200)]
    chain: BaseException | None = None
    for n in range(2000):
        chain = caused(chain, n)
    back = load(dump({"many": many, "chain": chain}, blobs).payload, blobs, {})
    assert [(n, n) for n in range(200)] == [(one.args[0], one.__cause__.args[0]) for one in back["many"]]
    assert all(one.__suppress_context__ for one in back["many"])
    found, length = back["chain"], 0
    while found is not None:
        found, length = found.__cause__, length + 1
    assert 10 <= length < 2000
