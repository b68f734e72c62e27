"""XGBoost: the booster that was saved takes the place of the new one, and the rounds that it has are passed over."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

from xgboost import Booster
from xgboost.callback import TrainingCallback

from greenkernel.callbacks.rounds import Rounds, begin
from greenkernel.errors import UserError

# Settings by which it draws, or remembers more than its model, where they are not what stands here.
_SAME_BITS = {
    "subsample": "1",
    "colsample_bytree": "1",
    "colsample_bylevel": "1",
    "colsample_bynode": "1",
    "rate_drop": "0",
    "skip_drop": "0",
    "lambdarank_pair_method": "topk",
    "lambdarank_unbiased": "0",
}
# What is drawn anew from the seed in each round, where `seed_per_iteration` is set.
_BY_ROUND = ("rate_drop", "skip_drop")


class Kept(TrainingCallback):  # type: ignore[misc]  # has no types
    """One fit after another."""

    def __init__(self) -> None:
        super().__init__()
        self._rounds: Rounds | None = None
        self._began = 0

    def before_training(self, model: Any) -> Any:
        """A booster is all that can be kept."""
        if not isinstance(model, Booster):
            raise UserError(
                "xgboost.cv boosts several models at once, which are not kept",
                where="greenkernel.callbacks.xgboost",
                what_to_do="Give the callback to xgboost.train only",
            )
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """The first time other callbacks have seen the model as it was given to them."""
        if epoch > 0:
            return False
        self._began = model.num_boosted_rounds()
        self._rounds = begin(("xgboost", self._began, model.save_config()))
        if self._rounds is not None and self._rounds.done:
            self._rounds = _gone_on(model, self._rounds)
        return False

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """A round has ended, or one that had ended has been passed over."""
        rounds, done = self._rounds, epoch + 1
        if rounds is None or done < rounds.done:
            return False
        if done == rounds.done:
            _set_free(model)
            rounds.go_on()
        elif model.num_boosted_rounds() == self._began + done:  # not so where old trees are updated
            rounds.save(done, lambda: (model, model.save_config(), _plain(evals_log)))
        return False

    def after_training(self, model: Any) -> Any:
        """The model is the user's, without anything of ours."""
        self._rounds = None
        _set_free(model)
        return model


def _gone_on(model: Any, rounds: Rounds) -> Rounds:
    """The model is what was saved, and its rounds have nothing to do; or it begins anew."""
    saved, config, log = rounds.state
    if saved.save_config() != config:  # linear boosters lose settings when they are saved
        warnings.warn("the fit begins once more: XGBoost has not saved all settings of this booster", stacklevel=2)
        return rounds.anew()
    if differs := _differing(json.loads(config)):
        text = f"XGBoost goes on after round {rounds.done}, but not to the same bits ({', '.join(differs)})"
        warnings.warn(text, stacklevel=2)
    # Loaded into a booster that has been asked for anything before, a model would end with other bits.
    model.handle, saved.handle = saved.handle, model.handle
    # `xgboost.train` counts its rounds from 0: those that are done do nothing, and their scores are known.
    model.update = lambda *_, **__: None
    model.eval_set = lambda _, iteration=0, *__, **___: _scores(log, iteration)
    return rounds


def _set_free(model: Any) -> None:
    for name in ("update", "eval_set"):
        vars(model).pop(name, None)


def _plain(log: Any) -> dict[str, dict[str, list[float]]]:
    return {data: {metric: list(scores) for metric, scores in metrics.items()} for data, metrics in log.items()}


def _scores(log: dict[str, dict[str, list[float]]], iteration: int) -> str:
    """As a booster writes them, but with all digits."""
    parts = [f"\t{data}-{metric}:{scores[iteration]!r}" for data, of in log.items() for metric, scores in of.items()]
    return f"[{iteration}]" + "".join(parts)


def _differing(config: Any) -> list[str]:
    """Names of settings by which it does not end as it would have."""
    by_round = config["learner"]["generic_param"].get("seed_per_iteration") in ("1", "true")
    return sorted(
        name
        for name, value in set(_settings(config))
        if value != _SAME_BITS.get(name, value) and not (by_round and name in _BY_ROUND)
    )


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Names and values at all levels."""
    for name, value in config.items() if isinstance(config, dict) else ((str(n), one) for n, one in enumerate(config)):
        if isinstance(value, dict | list):
            yield from _settings(value)
        else:
            yield name, value
