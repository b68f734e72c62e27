"""Fits that libraries go on with themselves: stopped at any round, they end as undisturbed ones."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

import greenkernel
from greenkernel.errors import UserError
from tests.unit.keptfits import Stopped, run

# Keras takes TensorFlow where nothing is said.
os.environ.setdefault("KERAS_BACKEND", "jax")

X = np.random.default_rng(0).normal(size=(300, 6))
Y = X[:, 0] * 2 + np.sin(X[:, 1]) + np.random.default_rng(1).normal(size=300)
YES = (Y > 0).astype(int)
THREE = np.digitize(Y, [-1, 1])
NEW = np.random.default_rng(2).normal(size=(100, 6))
WORDS = pd.DataFrame(X, columns=[*"abcdef"]).assign(w=pd.Categorical(["uvw"[n % 3] for n in range(300)]))
Fit = Callable[[], Any]


def boosted(params: dict[str, Any], label: Any = Y, data: Any = X, **more: Any) -> Any:
    """By ``xgboost.train``, with the scores of each round."""
    import xgboost

    categories = {"enable_categorical": True} if data is WORDS else {}
    train = xgboost.DMatrix(data[:200], label[:200], **categories)
    test = xgboost.DMatrix(data[200:], label[200:], **categories)
    scores: dict[str, Any] = {}
    callbacks = [greenkernel.callbacks.xgboost(), *more.pop("callbacks", ())]
    model = xgboost.train(
        {"nthread": 1, "eta": 0.17, **params},
        train,
        more.pop("num_boost_round", 12),
        evals=[(train, "train"), (test, "test")],
        evals_result=scores,
        verbose_eval=False,
        callbacks=callbacks,
        **more,
    )
    return bytes(model.save_raw("ubj")), scores, model.predict(test).tobytes(), sorted(model.attributes().items())


def boosted_estimator() -> Any:
    import xgboost

    model = xgboost.XGBClassifier(
        n_estimators=40, n_jobs=1, early_stopping_rounds=2, callbacks=[greenkernel.callbacks.xgboost()]
    )
    model.fit(X[:200], YES[:200], eval_set=[(X[200:], YES[200:])], verbose=False)
    return model.best_iteration, model.evals_result(), bytes(model.get_booster().save_raw("ubj"))


def boosted_further() -> Any:
    import xgboost

    first = xgboost.train({"nthread": 1}, xgboost.DMatrix(X[:200], Y[:200]), 4)
    return boosted({}, xgb_model=first, early_stopping_rounds=3, num_boost_round=30)


def boosted_by_ones_own() -> Any:
    """An objective that draws from numpy's generator."""

    def objective(guess: Any, data: Any) -> Any:
        return guess - data.get_label() + np.random.normal(size=guess.shape), np.ones_like(guess)

    return boosted({"base_score": 0.5}, obj=objective)


def learning_rates() -> Any:
    from xgboost.callback import LearningRateScheduler

    return boosted({}, callbacks=[LearningRateScheduler(lambda n: 0.3 * 0.9**n)])


def saving_the_best() -> Any:
    from xgboost.callback import EarlyStopping

    return boosted({"eta": 0.6}, num_boost_round=40, callbacks=[EarlyStopping(rounds=3, save_best=True)])


XGBOOST: list[tuple[str, Fit]] = [
    ("numbers", lambda: boosted({})),
    ("classes", lambda: boosted({"objective": "multi:softprob", "num_class": 3}, THREE)),
    ("yes or no by another sketch", lambda: boosted({"objective": "binary:logistic", "tree_method": "approx"}, YES)),
    ("exact splits", lambda: boosted({"tree_method": "exact", "max_depth": 3})),
    ("leaves that are set afterwards", lambda: boosted({"objective": "reg:absoluteerror"})),
    ("constraints", lambda: boosted({"monotone_constraints": "(1,0,0,0,0,0)", "num_parallel_tree": 2})),
    ("categories", lambda: boosted({}, data=WORDS)),
    ("dropped trees", lambda: boosted({"booster": "dart", "rate_drop": 0.5, "seed_per_iteration": True})),
    ("early stop", lambda: boosted({"eta": 0.6}, num_boost_round=40, early_stopping_rounds=3)),
    ("early stop that keeps the best", saving_the_best),
    ("learning rates", learning_rates),
    ("estimator that stops early", boosted_estimator),
    ("a model that is continued", boosted_further),
    ("an objective that draws", boosted_by_ones_own),
]


def grown(params: dict[str, Any], label: Any = Y, data: Any = X, callbacks: Any = (), **more: Any) -> Any:
    """By ``lightgbm.train``, with the scores of each round."""
    import lightgbm

    train = lightgbm.Dataset(data[:200], label[:200])
    test = train.create_valid(data[200:], label[200:])
    scores: dict[str, Any] = {}
    with greenkernel.callbacks.lightgbm():
        model = lightgbm.train(
            {"num_threads": 1, "verbosity": -1, "min_data_in_leaf": 5, "deterministic": True, **params},
            train,
            more.pop("num_boost_round", 12),
            valid_sets=[train, test],
            callbacks=[lightgbm.record_evaluation(scores), *callbacks],
            **more,
        )
    return model.model_to_string(), scores, model.best_iteration, dict(model.best_score), model.predict(data).tobytes()


def grown_estimator() -> Any:
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=40, n_jobs=1, verbosity=-1, early_stopping_rounds=3)
    with greenkernel.callbacks.lightgbm():
        model.fit(X[:200], THREE[:200], eval_set=[(X[200:], THREE[200:])])
    return model.booster_.model_to_string(), model.evals_result_, model.best_iteration_


def grown_rates() -> Any:
    import lightgbm

    return grown({}, callbacks=[lightgbm.reset_parameter(learning_rate=[0.3 * 0.9**n for n in range(12)])])


def grown_further() -> Any:
    import lightgbm

    first = lightgbm.train({"num_threads": 1, "verbosity": -1}, lightgbm.Dataset(X[:200], Y[:200]), 4)
    return grown({}, init_model=first)


def grown_by_hand() -> Any:
    import lightgbm

    data = lightgbm.Dataset(X, Y)
    with greenkernel.callbacks.lightgbm():
        model = lightgbm.Booster({"num_threads": 1, "verbosity": -1}, data)
        for _ in range(8):
            model.update()
        # The same data once more: nothing of the first fit is in them.
        other = lightgbm.train({"num_threads": 1, "verbosity": -1, "max_depth": 2}, data, 3)
    return model.model_to_string(), other.model_to_string()


LIGHTGBM: list[tuple[str, Fit]] = [
    ("numbers", lambda: grown({})),
    ("classes", lambda: grown({"objective": "multiclass", "num_class": 3}, THREE)),
    ("yes or no", lambda: grown({"objective": "binary", "metric": ["auc", "binary_logloss"]}, YES)),
    ("leaves that are set afterwards", lambda: grown({"objective": "l1"})),
    ("categories", lambda: grown({}, data=WORDS)),
    ("nothing left to split", lambda: grown({"min_gain_to_split": 20.0})),
    ("early stop", lambda: grown({"learning_rate": 0.6, "early_stopping_round": 3}, num_boost_round=40)),
    ("a booster that goes on training", lambda: grown({}, keep_training_booster=True)),
    ("learning rates", grown_rates),
    ("estimator that stops early", grown_estimator),
    ("a model that is continued", grown_further),
    ("rounds by hand", grown_by_hand),
]


def learned(*callbacks: Any, dropout: float = 0.0, optimizer: str = "adam", epochs: int = 5) -> Any:
    """By ``Model.fit``, shuffled, with the history."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dropout(dropout), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"], run_eagerly=True)
    ours = greenkernel.callbacks.keras(*callbacks)
    history = model.fit(X, Y, 70, epochs, verbose=0, validation_split=0.3, callbacks=ours)
    again = model.fit(X, Y, 300, 2, verbose=0).history  # from the first epoch, as ever
    return history.history, history.epoch, again, [one.tobytes() for one in model.get_weights()]


def stopping_early() -> Any:
    import keras

    early = keras.callbacks.EarlyStopping(patience=2, min_delta=0.05, restore_best_weights=True)
    slower = keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.1)
    return learned(early, slower, optimizer="sgd", epochs=30), early.stopped_epoch, early.best


KERAS: list[tuple[str, Fit]] = [
    ("epochs", learned),
    ("dropout", lambda: learned(dropout=0.5, optimizer="rmsprop")),
    ("early stop that restores the best", stopping_early),
]


def looped(*, batches: bool = False) -> Any:
    """A loop over epochs."""
    import torch

    torch.manual_seed(3)
    own = torch.Generator().manual_seed(5)
    nn = torch.nn
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    x, y = torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)[:, None]
    losses: list[float] = []
    for _ in greenkernel.callbacks.torch(range(6), model, optimizer, schedule, own, losses):
        if batches:
            loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 50, shuffle=True)
            parts = list(loader)
        else:
            order = torch.randperm(len(x), generator=own)
            parts = [(x[order], y[order])]
        for some, goal in parts:
            optimizer.zero_grad()
            loss = ((model(some) - goal) ** 2).mean()
            loss.backward()
            optimizer.step()
        schedule.step()
        losses.append(float(loss))
    return losses, [one.numpy().tobytes() for one in model.state_dict().values()], schedule.get_last_lr()


TORCH: list[tuple[str, Fit]] = [("epochs", looped), ("shuffled batches", lambda: looped(batches=True))]

CASES = {"xgboost": XGBOOST, "lightgbm": LIGHTGBM, "keras": KERAS, "torch": TORCH}


def quietly(fit: Fit) -> Any:
    """With the draws that each process begins with."""
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        np.random.seed(3)
        return fit()


@pytest.mark.parametrize(
    ("library", "fit"),
    [
        pytest.param(library, fit, id=f"{library}-{name.replace(' ', '_')}")
        for library, cases in CASES.items()
        for name, fit in cases
    ],
)
def test_the_same_bits_from_every_third_of_a_fit(library: str, fit: Fit, tmp_path: Path) -> None:
    """Stopped at its first, a middle and its last round, and gone on with; outside of a run it is as it always was."""
    pytest.importorskip(library)
    nothing, aside = tmp_path / "nothing", tmp_path / "aside"
    plain = quietly(fit)
    with run(aside, nothing) as whole:
        assert plain == quietly(fit)
    assert whole.rounds > 2
    for stop_at in sorted({1, whole.rounds // 2, whole.rounds}):
        spool = tmp_path / str(stop_at)
        with run(spool, nothing, stop_at), pytest.raises(Stopped):
            quietly(fit)
        with run(aside, spool) as second:
            assert plain == quietly(fit), stop_at
        assert (whole.rounds - stop_at, 1) == (second.rounds, second.here.went_on)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_outside_of_a_run_nothing_happens(library: str) -> None:
    """A fit has what it has without us, and the library stays as it is."""
    module = pytest.importorskip(library)
    begins = module.Booster.__init__
    if library == "xgboost":
        params, data = {"nthread": 1, "subsample": 0.5}, module.DMatrix(X, Y)
        plain = module.train(params, data, 3).save_raw("ubj")
        assert plain == module.train(params, data, 3, callbacks=[greenkernel.callbacks.xgboost()]).save_raw("ubj")
    with greenkernel.callbacks.lightgbm() if library == "lightgbm" else warnings.catch_warnings():
        assert begins is module.Booster.__init__


def test_another_fit_is_not_gone_on_with(tmp_path: Path) -> None:
    """Other parameters in its place: it begins anew."""
    pytest.importorskip("xgboost")
    with run(tmp_path / "spool", tmp_path / "nothing", 5), pytest.raises(Stopped):
        boosted({})
    with run(tmp_path / "aside", tmp_path / "spool") as second:
        boosted({"eta": 0.3})
    assert (12, 0) == (second.rounds, second.here.went_on)


def test_nothing_is_kept_in_a_thread_of_the_cell(tmp_path: Path) -> None:
    """There is no order in which fits of several threads would be met again."""
    pytest.importorskip("lightgbm")
    with run(tmp_path / "spool", tmp_path / "nothing", 1) as first:
        thread = threading.Thread(target=lambda: (boosted({}), grown({})))
        thread.start()
        thread.join()
    assert 0 == first.rounds


def used_before() -> Any:
    import lightgbm

    data = lightgbm.Dataset(X, Y)
    lightgbm.train({"verbosity": -1}, data, 1)
    with greenkernel.callbacks.lightgbm():
        return lightgbm.train({"verbosity": -1}, data, 5)


def with_scores() -> Any:
    import lightgbm

    with greenkernel.callbacks.lightgbm():
        return lightgbm.train({"verbosity": -1}, lightgbm.Dataset(X, Y, init_score=Y / 2), 5)


def folds() -> Any:
    import lightgbm

    with greenkernel.callbacks.lightgbm():
        return lightgbm.cv({"verbosity": -1}, lightgbm.Dataset(X, Y), 5, stratified=False)


@pytest.mark.parametrize(
    ("fit", "why"),
    [
        pytest.param(lambda: grown({"boosting": "dart"}), "dart changes trees", id="dart"),
        pytest.param(used_before, "used before", id="data_that_are_freed"),
        pytest.param(with_scores, "scores of their own", id="initial_scores"),
        pytest.param(folds, "a part of others", id="folds"),
    ],
)
def test_what_cannot_be_gone_on_with_is_not_kept(fit: Fit, why: str, tmp_path: Path) -> None:
    """The warning comes at the beginning, and the fit is what it is."""
    pytest.importorskip("lightgbm")
    with run(tmp_path / "spool", tmp_path / "nothing", 1) as first, pytest.warns(UserWarning, match=why):
        fit()
    assert 0 == first.rounds


@pytest.mark.parametrize(
    ("library", "fit", "why", "rounds"),
    [
        pytest.param("xgboost", lambda: boosted({"subsample": 0.5}), r"round 6, .* \(subsample\)", 6, id="rows"),
        pytest.param("xgboost", lambda: boosted({"booster": "gblinear"}), "begins once more", 12, id="linear"),
        pytest.param("lightgbm", lambda: grown({"feature_fraction": 0.5}), r"\(feature_fraction\)", 5, id="columns"),
        pytest.param("lightgbm", lambda: grown({"linear_tree": True}), r"\(linear_tree\)", 5, id="linear_leaves"),
        pytest.param("lightgbm", lambda: grown({"boosting": "goss"}), r"\(data_sample_strategy\)", 5, id="goss"),
    ],
)
def test_other_bits_are_said(library: str, fit: Fit, why: str, rounds: int, tmp_path: Path) -> None:
    """Where a library cannot go on exactly, a warning says so when it does; what would be wrong begins once more."""
    pytest.importorskip(library)
    with run(tmp_path / "spool", tmp_path / "nothing", 6), pytest.raises(Stopped):
        fit()
    with run(tmp_path / "aside", tmp_path / "spool") as second, pytest.warns(UserWarning, match=why):
        fit()
    assert (rounds, 12 - rounds > 0) == (second.rounds, second.here.went_on > 0)


def test_cross_validation_of_xgboost_is_refused() -> None:
    """It boosts several models at once."""
    xgboost = pytest.importorskip("xgboost")
    with pytest.raises(UserError, match=r"xgboost.cv .* Give the callback to xgboost.train only"):
        xgboost.cv({}, xgboost.DMatrix(X, Y), 2, callbacks=[greenkernel.callbacks.xgboost()])


def test_a_callback_that_holds_a_file_is_refused(tmp_path: Path) -> None:
    """The sentence says where else it can stand."""
    keras = pytest.importorskip("keras")
    log = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    with run(tmp_path / "spool", tmp_path / "nothing", 1), pytest.raises(UserError, match="CSVLogger remembers"):
        learned(log, epochs=2)


@pytest.mark.parametrize(("library", "called"), [(name, getattr(greenkernel.callbacks, name)) for name in CASES])
def test_a_library_that_is_missing_is_said(
    library: str, called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence, with what to do."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=f"callbacks.{library}: .* is not installed here. Install it"):
        called() if library != "torch" else called(range(3))
