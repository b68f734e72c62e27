"""Capture, a cell that changes what it was given, and back: everything is the object it was, with its changes."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenkernel.cell.bind import bind, load_result
from greenkernel.cell.capture import capture
from greenkernel.records import Request
from greenkernel.runner.collect import Before, collect
from greenkernel.runner.execute import Outcome
from greenkernel.store.blobs import Blobs
from greenkernel.store.inner import Inner
from greenkernel.store.objects import ObjectStore, StoreAddress
from greenkernel.store.payloads import load
from tests.graphs import Compared, Spec, build, specs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("a", "b", "c", "d")


def there_and_back(cell: str, namespace: dict[str, Any], folder: Path) -> None:
    """The cell runs on what was restored from the store, and what it leaves is bound here: all in this process."""
    blobs = Blobs(ObjectStore(StoreAddress(url="memory:///")), b"k" * 32)
    captured = capture(Request(source=cell, name="test", created_at=NOW), namespace, blobs, folder)
    there: dict[str, Any] = {"__name__": "__main__"}
    inner = Inner()
    there.update(load(captured.payload, blobs, there, inner=inner))
    before = Before.of(there, captured, inner)
    with contextlib.suppress(Exception):
        exec(captured.transformed, there)
    result = collect(there, before, Outcome(), blobs, run="test", epoch=1, finished_at=NOW)
    assert {} == result.not_returned
    assert [] == bind(load_result(result, blobs, namespace), result, namespace)


STEPS = (
    "{a}.append({b})", "{a}.extend([{b}, 7])", "{a}[0] = {b}", "{a}['new'] = {b}", "{a}.part = {b}", "{a} = {b}",
    "{a} = [{b}, {b}]", "{a} += [{b}]", "{a}.reverse()", "{a}.add(9)", "{a}.update(k0={b})", "del {a}['k0']",
    "{a}[0].append({b})", "{a}['k0'].append(5)", "{a}.a0.append(5)", "{a}[0]['k1'] = {b}", "{a}[0], {a}[1] = {a}[1], 3",
    "{a}[:] += 1", "{a}[0][1] = 5", "new = {a}[0]", "del {a}", "{a} = {{'x': {b}}}", "vars({a}).clear()", "{a} *= 2",
)  # fmt: skip


@st.composite
def _cells(draw: st.DrawFn) -> str:
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        a, b = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
        step = draw(st.sampled_from(STEPS)).format(a=a, b=b)
        lines.append(f"try: {step}\nexcept Exception: pass" if "del" not in step else step)
    return "\n".join(lines)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(spec=specs(), picks=st.lists(st.integers(0, 5), min_size=4, max_size=4), cell=_cells())
def test_every_holder_sees_what_became_of_its_object(
    spec: Spec, picks: list[int], cell: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As after a plain run: names of the cell, a name that it does not read, and all that is shared among them."""
    spaces = []
    for _ in range(2):
        made = build(spec)
        names = {name: made[pick % len(made)] for name, pick in zip(NAMES, picks, strict=True)}
        spaces.append({**names, "keep": made})
    ours, plain = spaces
    with contextlib.suppress(Exception):
        exec(cell, plain)
    there_and_back(cell, ours, tmp_path_factory.getbasetemp())
    plain.pop("__builtins__")
    assert "" == Compared().difference(dict(sorted(ours.items())), dict(sorted(plain.items())))


def test_random_generators_inside_of_other_objects(tmp_path: Path) -> None:
    """One that a dict holds goes on where the cell has left it, under every other name that it has here."""
    new, old = np.random.default_rng(3), np.random.RandomState(3)
    space: dict[str, Any] = {"conf": {"new": new, "old": old}, "kept": [new, old]}
    there_and_back("drawn = conf['new'].random(), conf['old'].rand()", space, tmp_path)
    assert space["conf"]["new"] is new
    assert space["conf"]["old"] is old
    other, another = np.random.default_rng(3), np.random.RandomState(3)
    assert (other.random(), another.rand()) == space["drawn"]
    assert (other.random(), another.rand()) == (new.random(), old.rand())
