"""Callbacks for libraries that can go on with a fit themselves: given to a fit, they keep its rounds in a run.

A fit that a move or a fault has interrupted is met once more when the cell begins again, and goes on after the last
round that was kept. Outside of a run nothing is kept. Each library is imported when its function is first called.

    booster = xgboost.train(params, data, 500, callbacks=[greenkernel.callbacks.xgboost()])

    with greenkernel.callbacks.lightgbm():
        model = LGBMClassifier(n_estimators=500).fit(X, y)

    model.fit(x, y, epochs=50, callbacks=greenkernel.callbacks.keras(EarlyStopping()))

    for epoch in greenkernel.callbacks.torch(range(50), model, optimizer, scheduler):
        ...

Which fits end with the same bits as undisturbed ones is told in docs/moving.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, TypeVar

from greenkernel.errors import UserError

__all__ = ["keras", "lightgbm", "torch", "xgboost"]

T = TypeVar("T")


def xgboost() -> Any:
    """A callback for ``xgboost.train`` and for the estimators of XGBoost.

    When the fit is met again the rounds that are kept are not boosted again; other callbacks (early stopping, learning
    rates, the log of metrics) are shown them with their scores, and are where they were. A warning says where the fit
    does not end with the same bits, since it draws rows or columns: XGBoost cannot put its generator back.

    Raises:
        UserError: XGBoost is not installed; or, when it is called, it was given to ``xgboost.cv``.
    """
    return _module("xgboost", "XGBoost").Kept()


def lightgbm() -> AbstractContextManager[None]:
    """A ``with`` block in which fits of LightGBM are kept: ``lightgbm.train``, its estimators, a ``Booster`` of yours.

    LightGBM asks its callbacks when it has begun, so that none of them could have it begin elsewhere. Those of the fit
    are shown the rounds that are kept with their scores, as with `xgboost`, and a warning says where the fit does not
    end with the same bits. What LightGBM cannot go on with is not kept, and a warning says why: dart, random forests,
    folds of ``lightgbm.cv``, initial scores of your own, and data that another fit has used, unless ``free_raw_data``
    is False.

    Raises:
        UserError: LightGBM is not installed.
    """
    kept: AbstractContextManager[None] = _module("lightgbm", "LightGBM").kept()
    return kept


def keras(*callbacks: Any) -> list[Any]:
    """Callbacks for ``Model.fit``, one fit each: your own, and what keeps its epochs.

    Weights, optimizer, metrics, seeds and what the callbacks remember are kept.

    Args:
        callbacks: Your own, which remember something: they stand in the list that is returned, in this order.

    Raises:
        UserError: Keras is not installed; or, in the fit, a callback remembers what cannot be saved, such as a file.
    """
    listed: list[Any] = _module("keras", "Keras").kept(callbacks)
    return listed


def torch(data: Iterable[T], *objects: Any) -> Iterator[T]:
    """`greenkernel.resumable` for PyTorch: go over epochs, and on another site on from the one that comes next.

    The objects are saved in the memory of the CPU, so that a site without a GPU can go on with them, and with them the
    generators of the CPU and of all GPUs.

    Args:
        data: Epochs, usually a range.
        objects: Models, optimizers, schedulers, scalers, generators, and what `greenkernel.checkpoint` takes.

    Raises:
        UserError: PyTorch is not installed; or as `greenkernel.checkpoint`.
    """
    rounds: Iterator[T] = _module("torch", "PyTorch").rounds(data, objects)
    return rounds


def _module(library: str, called: str) -> ModuleType:
    try:
        importlib.import_module(library)
    except ModuleNotFoundError as e:
        if e.name != library:
            raise
        raise UserError(
            f"{called} is not installed here",
            where=f"greenkernel.callbacks.{library}",
            what_to_do=f"Install it ({library}) where the notebook runs, so that it travels",
        ) from e
    return importlib.import_module(f"greenkernel.callbacks.of_{library}")
