"""Long fits of libraries that use no joblib: rounds of loops inside of them are kept like `greenkernel.resumable`'s.

A function named below is given other code while a cell runs: it does what it did, with hooks in its loops. Where an
earlier epoch has kept one of its rounds, the same call begins there, with the local names that it had. What it was
called with stays what it is here; what the function changes of it is put in. A long call that has ended is kept as a
whole. Only calls in the cell's own thread are. Each of these functions is shown to give the same bits by
`tests/unit/test_fits.py`, on the versions of its library that have one of the texts in `proven`. With another text, as
in a version that is older or newer or was patched, it is left alone; so is a call that changes what it should not.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import os
import pickle
import sys
import threading
import time
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import CodeType, FrameType, FunctionType
from typing import Any, Protocol

import cloudpickle

from greenkernel.runner import record_dice
from greenkernel.runner.checkpoints import SHARE, Checkpoints
from greenkernel.runner.import_watch import when_imported
from greenkernel.runner.record_task import inside_task
from greenkernel.runner.snapshots.contexts import Contexts
from greenkernel.runner.snapshots.dangers import danger
from greenkernel.runner.snapshots.functions import Source, Values, arguments_of, in_place, library_source, twin
from greenkernel.runner.snapshots.hooks import Board, Entry, ForHook
from greenkernel.runner.snapshots.liveness import needed
from greenkernel.runner.snapshots.pace import BYTES_PER_S
from greenkernel.runner.snapshots.proven import PROVEN
from greenkernel.runner.snapshots.sizes import array_bytes
from greenkernel.runner.snapshots.weave import Loop
from greenkernel.store.snapshots import LoopPlace, Said
from greenkernel.store.updates import Update, apply, update_of

# Module -> functions, each with the arguments that it changes beside ``self`` and random generators.
FITS: dict[str, dict[str, tuple[str, ...]]] = {
    "sklearn.cluster._kmeans": {
        "KMeans.fit": (),
        "MiniBatchKMeans.fit": (),
        "_kmeans_single_elkan": ("centers_init",),
        "_kmeans_single_lloyd": ("centers_init",),
    },
    "sklearn.cross_decomposition._pls": {"_PLS.fit": ()},
    "sklearn.decomposition._dict_learning": {"_dict_learning": ("dict_init", "code_init")},
    "sklearn.decomposition._fastica": {"_ica_def": (), "_ica_par": ()},
    "sklearn.decomposition._nmf": {
        "_fit_coordinate_descent": ("W", "H"),
        "_fit_multiplicative_update": ("W", "H"),
    },
    "sklearn.ensemble._gb": {"BaseGradientBoosting._fit_stages": ("raw_predictions",)},
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": {"BaseHistGradientBoosting.fit": ()},
    "sklearn.ensemble._weight_boosting": {"BaseWeightBoosting.fit": ()},
    "sklearn.feature_selection._rfe": {"RFE._fit": ()},
    "sklearn.feature_selection._sequential": {"SequentialFeatureSelector.fit": ()},
    "sklearn.linear_model._bayes": {"ARDRegression.fit": (), "BayesianRidge.fit": ()},
    "sklearn.linear_model._ransac": {"RANSACRegressor.fit": ()},
    "sklearn.manifold._t_sne": {"_gradient_descent": ("p0", "kwargs")},
    "sklearn.mixture._base": {"BaseMixture.fit_predict": ()},
    "sklearn.neural_network._multilayer_perceptron": {
        "BaseMultilayerPerceptron._fit_stochastic": ("activations", "deltas", "coef_grads", "intercept_grads"),
    },
    "sklearn.neural_network._rbm": {"BernoulliRBM.fit": ()},
    "sklearn.semi_supervised._self_training": {"SelfTrainingClassifier.fit": ()},
}
_SAMPLE = 64
_NOTHING = types.SimpleNamespace()
# Where memory is short it is looked for again after this long.
_NO_ROOM_S = 60.0
_ATOMS = (int, float, complex, bool, str, bytes, type(None))


class Alarm(Protocol):
    """Rings when something is due, and when the process is to leave."""

    def watch(self, board: Board | None, due_at: float) -> None:
        """Arm this board then, on the monotonic clock, instead of the one before; None: no board any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A call between two of its rounds, or at its end.

    Attributes:
        known: Digest of the function and of what it was called with.
        result: What it has returned; empty in the middle.
        loops: Where its loops are.
        sources: What is left of what they go over.
        local: Its local names.
        contents: What has become of arguments.
        calls: Calls of joblib that the cell has made.
        begun: Calls of these functions, and of `checkpoints`.
        cpu_s: CPU seconds that the cell had used.
        dice: The global random generators.
        said: The cell's output.
    """

    known: str
    result: tuple[Any, ...] = ()
    loops: tuple[LoopPlace, ...] = ()
    sources: Mapping[int, Any] = field(default_factory=dict)
    local: Mapping[str, Any] = field(default_factory=dict)
    contents: Mapping[str, Any]
    calls: Mapping[str, int]
    begun: int
    cpu_s: float
    dice: record_dice.Dice
    said: Said


class Fits:
    """Gives the functions their other code, while it is entered.

    Args:
        checkpoints: Where rounds are kept.
        alarm: Says when.
        contexts: Makes what looks after ``with`` blocks.
        calls: Calls of joblib so far.
        go_on: Counts them on from there.
        cpu_s: CPU seconds of the cell so far, over all epochs.
        memory_left: Bytes that this process may still use.
        differs: Called where a call that was gone on with has failed, which may be why; does not return in a run.
        believes: False: what was kept is not believed.
        worth_s: A call that took so long is kept as a whole.
        proven: Function -> fingerprints of the texts that it may have; None: any, which is how one comes to be proven.

    Attributes:
        gained_s: CPU seconds that were not spent again.
        where: The function that was gone on with last; empty: none.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        alarm: Alarm,
        contexts: Callable[[], Contexts],
        calls: Callable[[], Mapping[str, int]],
        go_on: Callable[[Mapping[str, int]], None],
        cpu_s: Callable[[], float],
        memory_left: Callable[[], int],
        *,
        differs: Callable[[str], None],
        believes: bool = True,
        worth_s: float = 10.0,
        proven: Mapping[str, Collection[str]] | None = PROVEN,
    ) -> None:
        self._proven = proven
        self.worth_s = worth_s
        self.cpu_s = cpu_s
        self.memory_left = memory_left
        self.differs = differs
        self.believes = believes
        self.gained_s = 0.0
        self.where = ""
        self._under_way: list[_Call] = []
        self.checkpoints = checkpoints
        self._alarm = alarm
        self.contexts = contexts
        self.calls = calls
        self._go_on = go_on
        self._here = os.getpid(), threading.get_ident()
        self._changed: list[tuple[FunctionType, CodeType]] = []
        self._is_over = False

    def __enter__(self) -> Fits:
        for module in FITS:
            if module in sys.modules:
                self._change(module)
            else:
                when_imported(module, partial(self._change, module))
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for function, code in self._changed:
            function.__code__ = code

    def _change(self, module: str) -> None:
        if self._is_over:
            return
        for name, changes in FITS[module].items():
            function = _function(module, name)
            if function is None or function.__code__.co_freevars:
                continue
            self._changed.append((function, function.__code__))
            proven = None if self._proven is None else self._proven.get(name, ())
            function.__code__ = in_place(function, _Hook(twin(function), frozenset(changes), proven, self._called))

    def _called(self, hook: _Hook, values: dict[str, Any]) -> Any:
        # A process that the cell has forked is another one, with the same thread.
        if (os.getpid(), threading.get_ident()) != self._here or inside_task() or hook.woven is None:
            return hook.plainly(values)
        call = _Call(self, hook, hook.woven, values)
        self._under_way.append(call)
        try:
            return call.run()
        finally:
            self._under_way.pop()
            self.watch()

    def watch(self) -> None:
        """The innermost call that is under way is the one whose rounds come next."""
        if not self._under_way:
            self._alarm.watch(None, 0.0)
            return
        board = self._under_way[-1].board
        board.arm(on=False)
        self._alarm.watch(board, self.checkpoints.due_at)

    def go_on(self, found: Round, where: str) -> None:
        """What follows comes after that much output, and that many calls."""
        self.where = where
        self.gained_s += max(0.0, found.cpu_s - self.cpu_s())
        self._go_on(found.calls)
        self.checkpoints.go_on(found.begun)
        self.checkpoints.around.go_on(found.said)


@dataclass(frozen=True, eq=False)
class _Woven:
    """A function with places for hooks in its loops."""

    source: Source
    loops: list[Loop]
    code: CodeType


class _Hook:
    """Stands in the place of a function's code."""

    def __init__(
        self,
        function: FunctionType,
        changes: frozenset[str],
        proven: Collection[str] | None,
        call: Callable[[_Hook, dict[str, Any]], Any],
    ) -> None:
        self.function = function
        self.changes = changes
        self._proven = proven
        self._call = call

    @cached_property
    def woven(self) -> _Woven | None:
        """Made at the first call, for it takes a while; None where its text is not proven, or not what it runs."""
        source = library_source(self.function)
        if source is None or not source.loops:
            return None
        if self._proven is not None and source.fingerprint not in self._proven:
            return None
        code = source.woven_code()
        return None if code is None else _Woven(source, source.loops, code)

    def called(self, values: dict[str, Any]) -> Any:
        """The function was called with these values."""
        return self._call(self, values)

    def plainly(self, values: dict[str, Any]) -> Any:
        """What it would have done."""
        positional, named = arguments_of(self.function.__code__, values)
        return self.function(*positional, **named)


class _Call:
    """One call of one of the functions."""

    def __init__(self, fits: Fits, hook: _Hook, woven: _Woven, values: dict[str, Any]) -> None:
        self._fits = fits
        self._hook = hook
        self._woven = woven
        self._values = values
        self._number = fits.checkpoints.begin()
        self._began_at = time.monotonic()
        self._known = _digest(hook.function.__code__, values)
        self._given = self._untouched()
        self.board = self._board()

    def run(self) -> Any:
        """From the beginning, or from where it was."""
        found = self._fits.checkpoints.found(self._number, self._read) if self._fits.believes else None
        if found is not None and found.known != self._known:
            found = None
        if found is not None:
            for name, content in found.contents.items():
                _put(content, self._values[name])
            self._fits.go_on(found, self._hook.function.__qualname__)
            if found.result:
                record_dice.put(found.dice)
                return found.result[0]
        function, values = self._begun() if found is None else self._resumed(found)
        self._fits.watch()
        positional, named = arguments_of(self._hook.function.__code__, values)
        try:
            result = function(*positional, **named)
        except Exception as e:
            if found is not None:
                self._fits.differs(f"{self._hook.function.__qualname__} failed after it was gone on with ({e})")
            raise
        is_worth = time.monotonic() - self._began_at >= self._fits.worth_s
        if is_worth and self._untouched() == self._given and self._pays({"result": result}):
            self._keep(result=(result,))
        return result

    def _untouched(self) -> list[Any]:
        """What it was called with and is not to change: with ``copy=False`` some do, which would be lost."""
        changes = {"self", *self._hook.changes}
        values = self._values.items()
        return [(name, _shown(value)) for name, value in values if name not in changes and not _is_dice(value)]

    def _begun(self) -> tuple[FunctionType, Mapping[str, Any]]:
        return self._woven.source.with_hooks(self._woven.code, self.board), self._values

    def _board(self, **more: Any) -> Board:
        block = self._woven.source.definition.body
        return Board(block, self._woven.loops, self._due, contexts=self._fits.contexts(), **more)

    def _resumed(self, found: Round) -> tuple[FunctionType, Mapping[str, Any]]:
        chain = [one.number for one in found.loops]
        entries = {
            one.number: Entry(one, found.sources.get(one.number), one.number == chain[-1]) for one in found.loops
        }
        self.board = self._board(entries=entries, entered=partial(record_dice.put, found.dice))
        function = self._woven.source.entered(self.board, chain, [], Values(found.local))
        if function is None:
            raise AssertionError("it was compiled before")
        return function, {**self._values, **found.local}

    def _due(self, number: int, frame: FrameType) -> None:
        checkpoints = self._fits.checkpoints
        if not checkpoints.is_due:
            return
        chain = self.board.chain(number)
        hooks = [self.board.hooks[one] for one in chain]
        places = tuple(hook.place() for hook in hooks)
        if self.board.trouble(number) is not None or any(place.counted for place in places):
            return
        if (
            self.board.contexts.outside
            or self._untouched() != self._given
            or not all(hook.names_bound(frame) for hook in hooks[:-1])
        ):
            return
        live = needed(self.board.loops[number], self._woven.source.definition.body)
        bound = {name for hook in hooks[:-1] for name in _targets(hook)}
        local = {name: value for name, value in frame.f_locals.items() if live is None or name in live or name in bound}
        if danger(threading.get_ident()) is not None or not self._pays(local):
            self._fits.watch()
            return
        sources = {one: hook.source for one, hook in zip(chain, hooks, strict=True) if isinstance(hook, ForHook)}
        self._keep(loops=places, sources=sources, local=local)
        self._fits.watch()

    def _pays(self, values: Mapping[str, Any]) -> bool:
        """False where writing would take too much of the time that the call has taken, or too much memory."""
        given = set(map(id, self._values.values()))
        own = {name: one for name, one in values.items() if id(one) not in given}
        size = array_bytes({**own, **vars(self._values.get("self", _NOTHING))})
        if 2 * size > self._fits.memory_left():
            self._fits.checkpoints.rest(time.monotonic() + _NO_ROOM_S)
            return False
        pays_at = self._began_at + size / BYTES_PER_S / SHARE
        self._fits.checkpoints.rest(pays_at)
        return self._fits.checkpoints.is_leaving or time.monotonic() >= pays_at

    def _keep(self, **what: Any) -> None:
        """Write it; what cannot be pickled is not kept, and the fit goes on."""
        checkpoints = self._fits.checkpoints

        def written() -> memoryview:
            moment = Round(
                known=self._known,
                contents=dict(self._contents()),
                calls=self._fits.calls(),
                begun=checkpoints.calls,
                cpu_s=self._fits.cpu_s(),
                dice=record_dice.take(),
                said=checkpoints.around.said(),
                **what,
            )
            buffer = io.BytesIO()
            known = {id(one): name for name, one in self._values.items() if not isinstance(one, _ATOMS)}
            _Writer(buffer, known).dump(moment)
            return buffer.getbuffer()

        with contextlib.suppress(Exception):
            checkpoints.keep(self._number, written)

    def _contents(self) -> Iterator[tuple[str, Any]]:
        for name, value in self._values.items():
            if name == "self":
                yield name, dict(vars(value))
            elif name in self._hook.changes or _is_dice(value):
                if (update := update_of(value)) is not None:
                    yield name, update
                elif value is not None and not isinstance(value, _ATOMS):
                    raise TypeError(f"{name} cannot take in what becomes of it")

    def _read(self, data: memoryview) -> Round:
        found = _Reader(io.BytesIO(data), self._values).load()
        if not isinstance(found, Round):
            raise TypeError("something else was kept here")
        return found


class _Writer(cloudpickle.Pickler):  # type: ignore[misc]  # has no types
    """What a function was called with is there when it is called again."""

    def __init__(self, file: io.BytesIO, arguments: Mapping[int, str]) -> None:
        super().__init__(file, protocol=5)
        self._arguments = arguments

    def persistent_id(self, obj: Any) -> str | None:
        return self._arguments.get(id(obj))


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, arguments: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._arguments = arguments

    def persistent_load(self, pid: Any) -> Any:
        return self._arguments[pid]


def _function(module: str, name: str) -> FunctionType | None:
    """A function below its decorators; None where this version of the library has none of that name."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    return found if isinstance(found, FunctionType) else None


def _targets(hook: Any) -> list[str]:
    return hook.targets if isinstance(hook, ForHook) else []


def _is_dice(value: Any) -> bool:
    random: Any = sys.modules.get("numpy.random")
    return random is not None and isinstance(value, random.RandomState | random.Generator)


def _put(content: Any, value: Any) -> None:
    if isinstance(content, Update):
        apply(content, value)
        return
    vars(value).clear()
    vars(value).update(content)


def _digest(code: CodeType, values: Mapping[str, Any]) -> str:
    """The same for the same call of the same function: by plain values, and by a part of the numbers in arrays."""
    parts: list[Any] = [code.co_code, code.co_names, code.co_varnames]
    for name, value in sorted(values.items()):
        parts += [name, type(value).__qualname__, _shown(value)]
        if name == "self":
            parts += [(key, _shown(one)) for key, one in sorted(vars(value).items())]
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _shown(value: Any) -> Any:
    if isinstance(value, _ATOMS):
        return value
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray) and not value.dtype.hasobject:
        some = value.flat[:: max(1, value.size // _SAMPLE)]
        return value.shape, str(value.dtype), some.tobytes()
    with contextlib.suppress(Exception):  # models that are not fitted have no length
        return type(value).__qualname__, len(value)
    return type(value).__qualname__
