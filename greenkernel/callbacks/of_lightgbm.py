"""LightGBM: a booster begins with the trees that were saved, and the rounds that made them are passed over.

``lightgbm.train`` has no place for this, so the methods of `Booster` that it calls are others for a while.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from lightgbm import Booster
from lightgbm.basic import _InnerPredictor

from greenkernel.callbacks.rounds import Rounds, begin
from greenkernel.errors import UserError
from greenkernel.runner.checkpoints import present

if not hasattr(_InnerPredictor, "from_booster"):
    raise UserError("this version of LightGBM cannot go on with a fit", what_to_do="Install lightgbm>=4.1")

# Parameters by which it draws, or remembers more than its trees, where they are not what stands here.
_SAME_BITS = {
    "bagging_fraction": "1",
    "pos_bagging_fraction": "1",
    "neg_bagging_fraction": "1",
    "feature_fraction": "1",
    "feature_fraction_bynode": "1",
    "extra_trees": "0",
    "use_quantized_grad": "0",
    "linear_tree": "0",
    "data_sample_strategy": "bagging",
    "cegb_penalty_feature_lazy": "",
    "cegb_penalty_feature_coupled": "",
}
_BAGGING = ("bagging_fraction", "pos_bagging_fraction", "neg_bagging_fraction")
_NOT_CONTINUED = {"dart": "dart changes trees of earlier rounds", "rf": "a random forest is averaged over all rounds"}


@contextmanager
def kept() -> Iterator[None]:
    """Fits are kept while this is entered."""
    if present() is None:
        yield
        return
    fits: WeakKeyDictionary[Any, _Fit] = WeakKeyDictionary()
    methods = {"__init__": Booster.__init__, **{name: getattr(Booster, name) for name in _METHODS}}
    Booster.__init__ = _beginning(Booster.__init__, fits)
    for name in _METHODS:
        setattr(Booster, name, _asked(methods[name], getattr(_Fit, name), fits))
    try:
        yield
    finally:
        for name, method in methods.items():
            setattr(Booster, name, method)


def _beginning(init: Callable[..., None], fits: WeakKeyDictionary[Any, _Fit]) -> Callable[..., None]:
    @wraps(init)
    def made(self: Any, params: Any = None, train_set: Any = None, *more: Any, **named: Any) -> None:
        rounds = None if train_set is None else begin(("lightgbm", _shown(params)))
        if rounds is None:
            init(self, params, train_set, *more, **named)
            return
        fit = _Fit(rounds, params or {}, _trouble(train_set))
        with fit.predicted(train_set):
            init(self, params, train_set, *more, **named)
        fit.look(self)
        fits[self] = fit

    return made


def _asked(
    method: Callable[..., Any], answer: Callable[..., Any], fits: WeakKeyDictionary[Any, _Fit]
) -> Callable[..., Any]:
    @wraps(method)
    def asked(self: Any, *given: Any, **named: Any) -> Any:
        fit = fits.get(self)
        own = method.__get__(self)
        return own(*given, **named) if fit is None else answer(fit, self, own, *given, **named)

    return asked


class _Fit:
    """One booster that is trained."""

    def __init__(self, rounds: Rounds, params: dict[str, Any], trouble: str) -> None:
        self._rounds = rounds
        self._trouble = trouble
        self._round = 0
        self._past = 0
        self._scores: list[dict[str, list[Any]]] = []
        self._saved: Any = None
        self._predictor: Any = None
        if rounds.done:
            text, self._scores = rounds.state
            self._saved = Booster(model_str=text)
            parameters = {**self._saved.params, **params}
            self._predictor = _InnerPredictor.from_booster(booster=self._saved, pred_parameter=parameters)
            self._past = rounds.done

    @contextmanager
    def predicted(self, data: Any) -> Iterator[None]:
        """Data whose scores are those of the saved trees, until a booster has taken them."""
        before = data._predictor
        if self._predictor is not None:
            data._set_predictor(self._predictor)
        yield
        if self._predictor is not None:
            data._predictor = before
            if before is None:  # another fit with the same data begins without them
                data.set_field("init_score", None)
                data.init_score = None

    def look(self, booster: Any) -> None:
        """Say what cannot be kept, or not with the same bits."""
        parameters = _parameters(booster.model_to_string())
        self._trouble = self._trouble or _NOT_CONTINUED.get(parameters.get("boosting", ""), "")
        if self._trouble:
            _warn(f"the rounds of this fit are not kept: {self._trouble}")
        elif self._past and (differs := _differing(parameters)):
            _warn(f"LightGBM goes on after round {self._past}, but not to the same bits ({', '.join(differs)})")

    def add_valid(self, _: Any, own: Callable[..., Any], data: Any, name: str) -> Any:
        """Its scores are those of the saved trees, too."""
        if not self._trouble and (trouble := _trouble(data)):
            self._trouble = trouble
            _warn(f"the rounds of this fit are not kept: {trouble}")
        with self.predicted(data):
            return own(data, name)

    def update(self, booster: Any, own: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """A round; what comes before it in ``lightgbm.train`` belongs to the one that has ended."""
        at, self._round = self._round, self._round + 1
        if at < self._past:
            return False
        if at == self._past > 0:
            self._rounds.go_on()
        elif at > 0 and not self._trouble:
            self._rounds.save(at, lambda: (booster.model_to_string(num_iteration=-1), self._scores))
        self._scores.append({})
        return own(*given, **named)

    def eval_train(self, _: Any, own: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Scores of this round."""
        return self._scored("train", own, *given, **named)

    def eval_valid(self, _: Any, own: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """The same, of data that it has not seen."""
        return self._scored("valid", own, *given, **named)

    def _scored(self, what: str, own: Callable[..., Any], *given: Any, **named: Any) -> Any:
        if self._round == 0:
            return own(*given, **named)
        scores = self._scores[self._round - 1]
        if self._round > self._past:
            scores[what] = own(*given, **named)
        return list(scores[what])


_METHODS = ("add_valid", "update", "eval_train", "eval_valid")


def _shown(params: Any) -> tuple[tuple[str, str], ...]:
    plain = (int, float, str, bool, list, tuple, type(None))
    return tuple(sorted((name, repr(value)) for name, value in (params or {}).items() if isinstance(value, plain)))


def _trouble(data: Any) -> str:
    """Why scores of saved trees cannot be given to data; the same whenever the cell comes here."""
    if data.init_score is not None and data._predictor is None:
        return "its data have initial scores of their own"
    if getattr(data, "position", None) is not None:
        return "its data have positions, whose weight it learns by the way"
    if data.used_indices is not None:
        return "its data are a part of others"
    if data._handle is not None and data.data is None:
        return "its data have been used before, and their values are freed (free_raw_data=False keeps them)"
    return ""


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _parameters(text: str) -> dict[str, str]:
    """Those that a booster writes behind its trees."""
    return dict(re.findall(r"^\[(\w+): (.*)\]$", text, re.MULTILINE))


def _differing(parameters: dict[str, str]) -> list[str]:
    """Names of those by which it does not end as it would have."""
    names = {name for name, plain in _SAME_BITS.items() if parameters.get(name, plain) != plain}
    if parameters.get("bagging_freq") == "0":
        names.difference_update(_BAGGING)
    names.update({"boosting", "objective"} & {n for n, v in parameters.items() if v in ("goss", "rank_xendcg")})
    return sorted(names)
