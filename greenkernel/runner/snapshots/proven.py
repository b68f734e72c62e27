"""Texts of functions of scikit-learn whose rounds are shown to be kept rightly, and the versions that have them.

They were shown to by `tests/unit/test_fits.py` on each of these versions. Where a function has another text it is left
alone, for what it keeps in its rounds may be another thing, too.
"""

from __future__ import annotations

from collections.abc import Mapping

# Function -> fingerprints of its text, each with its versions.
PROVEN: Mapping[str, Mapping[str, str]] = {
    "KMeans.fit": {"b1ffd662": "1.4.0 to 1.5.2", "d2d4bd81": "1.6.0 to 1.9.1"},
    "MiniBatchKMeans.fit": {
        "d7e23ebe": "1.4.0 to 1.4.2",
        "b91f689f": "1.5.0",
        "2cda4980": "1.5.1 to 1.5.2",
        "23bbb98f": "1.6.0 to 1.8.0",
        "882810f1": "1.9.0 to 1.9.1",
    },
    "_kmeans_single_elkan": {"2630b48a": "1.4.0 to 1.9.1"},
    "_kmeans_single_lloyd": {
        "6537b702": "1.4.0 to 1.4.2",
        "fcef2809": "1.5.0",
        "f0505452": "1.5.1 to 1.9.1",
    },
    "_PLS.fit": {
        "36acc950": "1.4.0 to 1.4.2",
        "c3265a8c": "1.5.0",
        "c0a8f36d": "1.5.1 to 1.5.2",
        "f53fdecd": "1.6.0 to 1.6.1",
        "1b3eaec5": "1.7.0 to 1.9.1",
    },
    "_dict_learning": {"691c43be": "1.4.0 to 1.9.1"},
    "_ica_def": {"5502a90c": "1.4.0 to 1.9.1"},
    "_ica_par": {"2da62fab": "1.4.0 to 1.9.1"},
    "_fit_coordinate_descent": {"473f47ac": "1.4.0 to 1.8.0", "8daaf4f0": "1.9.0 to 1.9.1"},
    "_fit_multiplicative_update": {"1462a9d4": "1.4.0 to 1.9.1"},
    "BaseGradientBoosting._fit_stages": {"db1ccdb8": "1.4.0 to 1.8.0", "17d85267": "1.9.0 to 1.9.1"},
    "BaseHistGradientBoosting.fit": {
        "ea0a755f": "1.4.0 to 1.4.2",
        "38efb1c1": "1.5.0 to 1.5.2",
        "a9bc50c3": "1.6.0 to 1.6.1",
        "52dba465": "1.7.0 to 1.8.0",
        "d2a91c4b": "1.9.0 to 1.9.1",
    },
    "BaseWeightBoosting.fit": {
        "d9d4b021": "1.4.0 to 1.5.2",
        "9dae76e2": "1.6.0 to 1.6.1",
        "e8c4e567": "1.7.0 to 1.9.1",
    },
    "RFE._fit": {
        "fce31ea3": "1.4.0 to 1.4.2",
        "58a8a1be": "1.5.0 to 1.5.2",
        "5c8ccc0c": "1.6.0 to 1.6.1",
        "d08e03e4": "1.7.0 to 1.8.0",
        "1ba8a3e7": "1.9.0 to 1.9.1",
    },
    "SequentialFeatureSelector.fit": {
        "ac2acc24": "1.4.0 to 1.5.1",
        "1b9ab250": "1.5.2",
        "14483756": "1.6.0 to 1.9.1",
    },
    "ARDRegression.fit": {
        "af39f9cb": "1.4.0 to 1.4.2",
        "ff1fb99e": "1.5.0",
        "620bb19f": "1.5.1 to 1.5.2",
        "c6065ae3": "1.6.0 to 1.6.1",
        "db7f5bfa": "1.7.0 to 1.7.2",
        "a627b84a": "1.8.0 to 1.9.1",
    },
    "BayesianRidge.fit": {
        "fe3640d2": "1.4.0 to 1.4.2",
        "94bed3ad": "1.5.0",
        "65fc2b7d": "1.5.1 to 1.5.2",
        "b5911598": "1.6.0 to 1.6.1",
        "1803cb56": "1.7.0 to 1.7.2",
        "1d204d41": "1.8.0 to 1.9.1",
    },
    "RANSACRegressor.fit": {
        "7cabb393": "1.4.0 to 1.4.2",
        "c8d1a872": "1.5.0 to 1.5.2",
        "40dfdbd8": "1.6.0 to 1.6.1",
        "dcc7a619": "1.7.0 to 1.9.0",
        "db9c7912": "1.9.1",
    },
    "_gradient_descent": {"b3a3a548": "1.4.0 to 1.4.2", "2d241b3a": "1.5.0 to 1.9.1"},
    "BaseMixture.fit_predict": {
        "d918be1a": "1.4.0 to 1.4.2",
        "2ad2e4b7": "1.5.0 to 1.5.2",
        "8c86e12b": "1.6.0 to 1.6.1",
        "bf8cec07": "1.7.0 to 1.7.2",
        "d303a9d4": "1.8.0 to 1.9.1",
    },
    "BaseMultilayerPerceptron._fit_stochastic": {"e9a04167": "1.4.0 to 1.6.1", "e7130afd": "1.7.0 to 1.9.1"},
    "BernoulliRBM.fit": {"a93077c0": "1.4.0 to 1.5.2", "5a25313c": "1.6.0 to 1.9.1"},
    "SelfTrainingClassifier.fit": {
        "719a2d13": "1.4.0 to 1.5.2",
        "4c667d29": "1.6.0 to 1.9.0",
        "c1a9cc23": "1.9.1",
    },
}
