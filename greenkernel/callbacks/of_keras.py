"""Keras: variables of model and optimizer, and what other callbacks remember, between two epochs."""

from __future__ import annotations

import pickle
import sys
import warnings
from types import FunctionType, MethodType
from typing import Any

import cloudpickle
from keras import ops
from keras.callbacks import Callback, History

from greenkernel.callbacks.rounds import Rounds, begin
from greenkernel.errors import UserError
from greenkernel.store.updates import apply, update_of

# What Keras gives to a callback.
_GIVEN = ("_model", "params")


def kept(callbacks: tuple[Any, ...]) -> list[Any]:
    """The first of them keeps the others; the history is a callback, too."""
    others = [*callbacks]
    if not any(isinstance(one, History) for one in others):
        others.append(History())
    return [_Kept(others), *others]


class _Kept(Callback):  # type: ignore[misc]  # has no types
    """Stands before the others: when an epoch begins none of them has done anything for it."""

    def __init__(self, others: list[Any]) -> None:
        super().__init__()
        self._others = others
        self._rounds: Rounds | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """The fit begins, perhaps at a later epoch."""
        weights = [tuple(one.shape) for one in self.model.weights]
        self._rounds = begin(("keras", weights, type(self.model.optimizer).__name__, self.params.get("epochs")))
        if self._rounds is not None and not self.model.built:
            warnings.warn("the epochs of this fit are not kept: build the model before it", stacklevel=2)
            self._rounds = None
        if self._rounds is not None and self._rounds.done:
            self.model._initial_epoch = self._rounds.done

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Between two epochs."""
        rounds = self._rounds
        if rounds is None:
            return
        if epoch == rounds.done > 0:
            self.model._initial_epoch = None
            self._put(rounds.state)
            rounds.go_on()
        elif epoch > 0:
            rounds.save(epoch, self._state)

    def on_train_end(self, logs: Any = None) -> None:
        """It has ended."""
        self._rounds = None

    def _variables(self) -> list[Any]:
        """Weights and seeds of the model, and the optimizer's; metrics are reset when an epoch begins."""
        model, optimizer = self.model, self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(model.trainable_variables)
        metrics = {id(one) for one in model.metrics_variables}
        own = [one for one in model.variables if id(one) not in metrics]
        return [*own, *(optimizer.variables if optimizer is not None else ())]

    def _state(self) -> Any:
        values = [ops.convert_to_numpy(one) for one in self._variables()]
        return values, [_remembered(one) for one in self._others]

    def _put(self, state: Any) -> None:
        values, remembered = state
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)
        for one, attributes in zip(self._others, remembered, strict=True):
            for name, new in pickle.loads(attributes).items():
                old = vars(one).get(name)
                if type(old) is not type(new) or not isinstance(old, list | dict | set):
                    vars(one)[name] = new
                elif (update := update_of(new)) is not None:  # somebody else may hold it
                    apply(update, old)


def _remembered(one: Any) -> bytes:
    attributes = {name: value for name, value in vars(one).items() if name not in _GIVEN and not _is_own(value)}
    try:
        written: bytes = cloudpickle.dumps(attributes)
    # Pickling runs code of any kind.
    except Exception as e:
        name = type(one).__name__
        raise UserError(
            f"{name} remembers what cannot be saved ({e})",
            where="greenkernel.callbacks.keras",
            what_to_do=f"Give it beside the others: callbacks=[*greenkernel.callbacks.keras(...), {name}(...)]",
        ) from e
    return written


def _is_own(value: Any) -> bool:
    """A function that no module has: it was given to the callback here, too, with all that it shares."""
    if not isinstance(value, FunctionType | MethodType):
        return False
    return getattr(sys.modules.get(value.__module__), value.__qualname__, None) is not value
