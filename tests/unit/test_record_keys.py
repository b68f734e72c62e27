"""Digests of tasks: by value, and different where a result could be."""

from __future__ import annotations

import functools
import pickle
import re
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from greenkernel.runner.record_keys import CallHasher, UnhashableError

KEY = b"k" * 32


def add(a: Any, b: Any = 1) -> Any:
    """A task."""
    return a + b


def made(source: str, name: str = "f", **shared: Any) -> Callable[..., Any]:
    """A function as a notebook's cell defines it."""
    namespace: dict[str, Any] = {"__name__": "__main__", **shared}
    exec(source, namespace)
    function: Callable[..., Any] = namespace[name]
    return function


def task_digest(function: Any, *args: Any, **kwargs: Any) -> str:
    """Digest in a call of its own."""
    return CallHasher(KEY).task(function, args, kwargs).digest


@pytest.mark.parametrize(
    "value",
    [
        ("aa", "aa"),
        {"x": 1.5, "y": [None, True]},
        np.arange(100_000, dtype=float),
        np.asfortranarray(np.arange(20_000.0).reshape(100, 200)),
        np.arange(20.0)[::2],
        np.array(["a", None, 3], dtype=object),
        np.zeros((0, 3)),
        np.float64(2.5),
        np.dtype("f4"),
    ],
    ids=lambda pair: re.sub(r" at 0x\w+", "", str(pair)),
)
def test_a_copy_has_the_same_digest(value: Any) -> None:
    """What went through pickle is the same task."""
    assert task_digest(add, value) == task_digest(add, pickle.loads(pickle.dumps(value)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (np.zeros(9), np.zeros(9, dtype="f4")),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(0, dtype="f8"), np.zeros(0, dtype="i8")),
        (np.array([1, "a"], dtype=object), np.array([2, "a"], dtype=object)),
        ([1, 2], (1, 2)),
        ({1, 2}, frozenset({1, 2})),
        (lambda x: x + 1, lambda x: x + 2),
    ],
    ids=lambda pair: re.sub(r" at 0x\w+", "", str(pair)),
)
def test_other_arguments_have_other_digests(one: Any, other: Any) -> None:
    """Type, shape and content count."""
    assert task_digest(add, one) != task_digest(add, other)


def test_equal_strings_need_not_be_one_object() -> None:
    """Sharing inside the arguments, which differs from process to process, does not count."""
    once = "".join(["green", "kernel"])
    again = "".join(["green", "kernel"])
    assert once is not again
    assert task_digest(add, [once, once]) == task_digest(add, [once, again])


def test_sets_are_equal_in_any_process() -> None:
    """The order of a set of strings depends on the process's hash seed, its digest does not."""
    program = (
        "from greenkernel.runner.record_keys import CallHasher\n"
        f"print(CallHasher({KEY!r}).digest({{'a', 'b', 'c', 'd'}}, frozenset('efgh')))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert {CallHasher(KEY).digest({"a", "b", "c", "d"}, frozenset("efgh")) + "\n"} == printed


@pytest.mark.parametrize(
    "value", [threading.Lock(), (i for i in "ab"), [threading.RLock()]], ids=["lock", "generator", "in"]
)
def test_what_does_not_pickle_has_no_digest(value: Any) -> None:
    """The task is then run without a record."""
    with pytest.raises(UnhashableError):
        task_digest(add, value)


def test_a_cycle_has_no_digest() -> None:
    """By value a cycle never ends; it is refused instead."""
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(UnhashableError):
        task_digest(add, cycle)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def f(x):\n    return x + 1", "def f(x):\n    return x + 2"),
        ("def f(x):\n    return g(x)\ndef g(x):\n    return x", "def f(x):\n    return g(x)\ndef g(x):\n    return -x"),
        ("def f(x):\n    return C().m(x)\nclass C:\n    def m(self, x): return x",
         "def f(x):\n    return C().m(x)\nclass C:\n    def m(self, x): return -x"),
        ("def f(x, n=1):\n    return x", "def f(x, n=2):\n    return x"),
        ("n = 1\ndef f(x):\n    return x + n", "n = 2\ndef f(x):\n    return x + n"),
        ("def f(x):\n    return [n + x for _ in '1']\nn = 1", "def f(x):\n    return [n + x for _ in '1']\nn = 2"),
    ],
)  # fmt: skip
def test_a_change_anywhere_in_the_notebooks_code_counts(before: str, after: str) -> None:
    """The function itself, its helpers and classes, its defaults and the globals that it reads."""
    assert task_digest(made(before), 1) == task_digest(made(before), 1)
    assert task_digest(made(before), 1) != task_digest(made(after), 1)


def test_lines_and_file_names_do_not_count() -> None:
    """The same function further down in the cell is the same."""
    assert task_digest(made("def f(x):\n    return x"), 1) == task_digest(made("\n\n\ndef f(x):\n    return x"), 1)


def test_functions_that_call_each_other_have_digests() -> None:
    """Recursion ends."""
    source = "def f(x):\n    return g(x) if x else f(x - 1)\ndef g(x):\n    return f(x - 1)"
    assert task_digest(made(source), 3) == task_digest(made(source), 3)


def test_a_closure_counts() -> None:
    """What a function made on the fly remembers is part of it."""
    source = "def outer(n):\n    def f(x):\n        return x + n\n    return f"
    outer = made(source, "outer")
    assert task_digest(outer(1), 5) == task_digest(outer(1), 5)
    assert task_digest(outer(1), 5) != task_digest(outer(2), 5)


def test_what_a_method_or_partial_is_bound_to_counts() -> None:
    """The object behind a bound method is an argument like any other."""
    assert task_digest([1].count, 1) != task_digest([2].count, 1)
    assert task_digest(functools.partial(add, 1), 2) != task_digest(functools.partial(add, 2), 2)


def test_names_of_keywords_count() -> None:
    """``f(a=1, b=2)`` is not ``f(b=1, a=2)``, in whichever order they are given."""
    assert task_digest(add, a=1, b=2) == task_digest(add, b=2, a=1)
    assert task_digest(add, a=1, b=2) != task_digest(add, a=2, b=1)


def test_an_array_that_is_filled_anew_is_hashed_anew() -> None:
    """Hashing big arrays once per call must not take a reused buffer for its former content."""
    hasher, buffer = CallHasher(KEY), np.zeros(100_000)
    before = hasher.digest(buffer)
    buffer[:] = 1.0
    assert hasher.digest(np.ones(100_000)) == hasher.digest(buffer) != before


class Counting(CallHasher):
    """Counts how often the content of an array is read."""

    read = 0

    def _array_content(self, numpy: Any, array: Any) -> str:
        self.read += 1
        return super()._array_content(numpy, array)


def test_a_big_array_is_hashed_once() -> None:
    """A hundred trees are given the same data: its bytes are read for the first of them."""
    hasher, data = Counting(KEY), np.arange(100_000.0)
    assert 100 == len({hasher.task(add, (data, number), {}).digest for number in range(100)})
    assert 1 == hasher.read


def test_big_arrays_are_let_go() -> None:
    """A generator of big arrays does not pile them up in the hasher."""
    hasher = CallHasher(KEY)
    for number in range(5):
        hasher.digest(np.full(100_000, number))
    assert not hasher._arrays


def test_a_key_of_ones_own() -> None:
    """Names of records tell nothing without the key."""
    assert CallHasher(KEY).digest(1) != CallHasher(b"o" * 32).digest(1)


def test_scikit_learns_identities_and_times_are_left_out() -> None:
    """``callback_ctx`` and ``caller`` of its cross-validation hold uuid4 and the time of day."""
    validation = pytest.importorskip("sklearn.model_selection._validation")
    one = task_digest(validation._fit_and_score, 1, caller=object(), callback_ctx=threading.Lock())
    assert one == task_digest(validation._fit_and_score, 1)


def test_other_functions_keep_arguments_of_that_name() -> None:
    """Leaving out is per function."""

    def mine(x: int, caller: int) -> int:
        return x + caller

    assert task_digest(mine, 1, caller=1) != task_digest(mine, 1, caller=2)


def test_modules_count_by_name() -> None:
    """A module that a notebook's function uses needs no digest of its content."""
    source = "def f(x):\n    return tools.go(x)"
    assert task_digest(made(source, tools=types.ModuleType("a")), 1) != task_digest(
        made(source, tools=types.ModuleType("b")), 1
    )
