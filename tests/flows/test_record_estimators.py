"""Every public estimator and helper of scikit-learn that takes `n_jobs`: the same bits with and without records."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from packaging.version import Version
from sklearn import (
    calibration,
    cluster,
    compose,
    covariance,
    decomposition,
    ensemble,
    feature_selection,
    gaussian_process,
    inspection,
    kernel_approximation,
    linear_model,
    manifold,
    metrics,
    model_selection,
    multiclass,
    multioutput,
    neighbors,
    pipeline,
    semi_supervised,
)
from sklearn.datasets import make_blobs, make_classification
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import discovery
from threadpoolctl import threadpool_limits

from tests.flows.test_record_fits import stay
from tests.notebooks.probe import describe_all

X, Y = make_classification(90, 6, n_informative=4, n_classes=3, random_state=0)
BLOBS = make_blobs(90, 3, random_state=0)[0]
NUMBERS = X[:, 0] * 2 + X[:, 1]
BOTH = np.c_[NUMBERS, X[:, 2]]
TWO = Y % 2
SOME = np.where(np.arange(90) % 3 == 0, Y, -1)
COUNTS = np.floor(np.abs(X) * 4)
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
LINE = linear_model.LogisticRegression()
RIDGE = linear_model.Ridge()
TWICE: dict[str, Any] = {"n_jobs": 2}
SEEDED: dict[str, Any] = {**TWICE, "random_state": 0}
Row = tuple[str, Callable[[], Any]]


def near(model: Any) -> Any:
    """What neighbours say."""
    return model.fit(X).kneighbors(X[:5])


def scores(model: Any) -> Any:
    """A search without its times."""
    model.fit(X, Y)
    return {name: value for name, value in model.cv_results_.items() if "time" not in name}, model.best_estimator_


def untimed(found: dict[str, Any]) -> dict[str, Any]:
    """The same of a function."""
    return {name: value for name, value in found.items() if "time" not in name}


# Estimators and functions by their name, a word more where there are several of one.
ROWS: list[Row] = [
    # Trees, bags, votes, stacks.
    ("RandomForestClassifier", lambda: ensemble.RandomForestClassifier(6, oob_score=True, **SEEDED).fit(X, Y)),
    ("RandomForestRegressor", lambda: ensemble.RandomForestRegressor(6, **SEEDED).fit(X, NUMBERS)),
    ("ExtraTreesClassifier", lambda: ensemble.ExtraTreesClassifier(6, bootstrap=True, **SEEDED).fit(X, Y)),
    ("ExtraTreesRegressor", lambda: ensemble.ExtraTreesRegressor(6, **SEEDED).fit(X, BOTH)),
    ("RandomTreesEmbedding", lambda: ensemble.RandomTreesEmbedding(4, **SEEDED).fit(X)),
    ("IsolationForest", lambda: ensemble.IsolationForest(n_estimators=6, contamination=0.1, **SEEDED).fit(X)),
    ("BaggingClassifier", lambda: ensemble.BaggingClassifier(TREE, 6, max_features=0.5, **SEEDED).fit(X, Y)),
    ("BaggingRegressor", lambda: ensemble.BaggingRegressor(n_estimators=6, oob_score=True, **SEEDED).fit(X, NUMBERS)),
    ("VotingClassifier", lambda: ensemble.VotingClassifier([("t", TREE), ("l", LINE)], **TWICE).fit(X, Y)),
    ("VotingRegressor", lambda: ensemble.VotingRegressor([("r", RIDGE)], **TWICE).fit(X, NUMBERS)),
    ("StackingClassifier", lambda: ensemble.StackingClassifier([("t", TREE)], LINE, cv=2, **TWICE).fit(X, Y)),
    ("StackingRegressor", lambda: ensemble.StackingRegressor([("r", RIDGE)], cv=2, **TWICE).fit(X, NUMBERS)),
    # One model for each of several things.
    ("OneVsRestClassifier", lambda: multiclass.OneVsRestClassifier(LINE, **TWICE).fit(X, Y)),
    ("OneVsOneClassifier", lambda: multiclass.OneVsOneClassifier(LINE, **TWICE).fit(X, Y)),
    ("OutputCodeClassifier", lambda: multiclass.OutputCodeClassifier(LINE, **SEEDED).fit(X, Y)),
    ("MultiOutputClassifier", lambda: multioutput.MultiOutputClassifier(TREE, **TWICE).fit(X, np.c_[Y, TWO])),
    ("MultiOutputRegressor", lambda: multioutput.MultiOutputRegressor(RIDGE, **TWICE).fit(X, BOTH)),
    ("CalibratedClassifierCV", lambda: calibration.CalibratedClassifierCV(TREE, cv=3, **TWICE).fit(X, Y)),
    (
        "ColumnTransformer",
        lambda: compose.ColumnTransformer([("s", StandardScaler(), [0]), ("m", MinMaxScaler(), [1])], **TWICE).fit(X),
    ),
    ("FeatureUnion", lambda: pipeline.FeatureUnion([("s", StandardScaler()), ("m", MinMaxScaler())], **TWICE).fit(X)),
    (
        "make_column_transformer",
        lambda: compose.make_column_transformer((StandardScaler(), [0]), (MinMaxScaler(), [1]), **TWICE).fit(X),
    ),
    ("make_union", lambda: pipeline.make_union(StandardScaler(), MinMaxScaler(), **TWICE).fit(X)),
    # Folds and grids.
    ("GridSearchCV", lambda: scores(model_selection.GridSearchCV(TREE, {"max_depth": [1, 2]}, cv=3, **TWICE))),
    (
        "RandomizedSearchCV",
        lambda: scores(model_selection.RandomizedSearchCV(TREE, {"max_depth": range(1, 9)}, n_iter=3, cv=2, **SEEDED)),
    ),
    (
        "HalvingGridSearchCV",
        lambda: scores(model_selection.HalvingGridSearchCV(TREE, {"max_depth": [1, 2, 3]}, cv=2, **SEEDED)),
    ),
    (
        "HalvingRandomSearchCV",
        lambda: scores(model_selection.HalvingRandomSearchCV(TREE, {"max_depth": range(1, 9)}, cv=2, **SEEDED)),
    ),
    ("cross_validate", lambda: untimed(model_selection.cross_validate(TREE, X, Y, return_estimator=True, **TWICE))),
    ("cross_val_score", lambda: model_selection.cross_val_score(TREE, X, Y, **TWICE)),
    ("cross_val_predict", lambda: model_selection.cross_val_predict(TREE, X, Y, method="predict_proba", **TWICE)),
    ("learning_curve", lambda: model_selection.learning_curve(TREE, X, Y, cv=2, **TWICE)),
    (
        "learning_curve of one that goes on",
        lambda: model_selection.learning_curve(
            linear_model.SGDClassifier(random_state=0), X, Y, cv=2, exploit_incremental_learning=True, **TWICE
        ),
    ),
    (
        "validation_curve",
        lambda: model_selection.validation_curve(TREE, X, Y, param_name="max_depth", param_range=[1, 2], cv=2, **TWICE),
    ),
    (
        "permutation_test_score",
        lambda: model_selection.permutation_test_score(TREE, X, Y, cv=2, n_permutations=4, **SEEDED),
    ),
    (
        "permutation_importance",
        lambda: dict(inspection.permutation_importance(LINE.fit(X, Y), X, Y, n_repeats=3, **SEEDED)),
    ),
    ("RFECV", lambda: feature_selection.RFECV(LINE, cv=2, **TWICE).fit(X, Y)),
    (
        "SequentialFeatureSelector",
        lambda: feature_selection.SequentialFeatureSelector(RIDGE, n_features_to_select=2, cv=2, **TWICE).fit(X, Y),
    ),
    # Linear models.
    ("LinearRegression", lambda: linear_model.LinearRegression(**TWICE).fit(X, BOTH)),
    (
        "LinearRegression of what is positive",
        lambda: linear_model.LinearRegression(positive=True, **TWICE).fit(X, BOTH),
    ),
    ("LogisticRegression", lambda: linear_model.LogisticRegression(**TWICE).fit(X, Y)),
    ("LogisticRegressionCV", lambda: linear_model.LogisticRegressionCV(Cs=2, cv=2, **TWICE).fit(X, Y)),
    ("ElasticNetCV", lambda: linear_model.ElasticNetCV(l1_ratio=[0.3, 0.7], cv=2, **SEEDED).fit(X, NUMBERS)),
    ("LassoCV", lambda: linear_model.LassoCV(cv=3, **SEEDED).fit(X, NUMBERS)),
    ("MultiTaskElasticNetCV", lambda: linear_model.MultiTaskElasticNetCV(cv=2, **SEEDED).fit(X, BOTH)),
    ("MultiTaskLassoCV", lambda: linear_model.MultiTaskLassoCV(cv=2, **SEEDED).fit(X, BOTH)),
    ("LarsCV", lambda: linear_model.LarsCV(cv=3, **TWICE).fit(X, NUMBERS)),
    ("LassoLarsCV", lambda: linear_model.LassoLarsCV(cv=3, **TWICE).fit(X, NUMBERS)),
    ("OrthogonalMatchingPursuitCV", lambda: linear_model.OrthogonalMatchingPursuitCV(cv=3, **TWICE).fit(X, NUMBERS)),
    ("SGDClassifier", lambda: linear_model.SGDClassifier(**SEEDED).fit(X, Y)),
    ("Perceptron", lambda: linear_model.Perceptron(**SEEDED).fit(X, Y)),
    ("PassiveAggressiveClassifier", lambda: linear_model.PassiveAggressiveClassifier(**SEEDED).fit(X, Y)),
    ("TheilSenRegressor", lambda: linear_model.TheilSenRegressor(max_subpopulation=50, **SEEDED).fit(X, NUMBERS)),
    # Parts and factors.
    ("DictionaryLearning", lambda: decomposition.DictionaryLearning(3, max_iter=3, **SEEDED).fit(X)),
    ("MiniBatchDictionaryLearning", lambda: decomposition.MiniBatchDictionaryLearning(3, max_iter=3, **SEEDED).fit(X)),
    ("SparsePCA", lambda: decomposition.SparsePCA(2, max_iter=3, **SEEDED).fit(X)),
    ("MiniBatchSparsePCA", lambda: decomposition.MiniBatchSparsePCA(2, max_iter=3, **SEEDED).fit(X)),
    ("SparseCoder", lambda: decomposition.SparseCoder(X[:4], **TWICE).transform(X)),
    ("dict_learning", lambda: decomposition.dict_learning(X, 3, alpha=1, max_iter=3, **SEEDED)),
    ("dict_learning_online", lambda: decomposition.dict_learning_online(X, 3, max_iter=3, **SEEDED)),
    ("sparse_encode", lambda: decomposition.sparse_encode(X, X[:4], **TWICE)),
    ("LatentDirichletAllocation", lambda: decomposition.LatentDirichletAllocation(2, max_iter=2, **SEEDED).fit(COUNTS)),
    ("KernelPCA", lambda: decomposition.KernelPCA(2, kernel="rbf", **SEEDED).fit(X)),
    ("Nystroem", lambda: kernel_approximation.Nystroem(n_components=5, **SEEDED).fit(X)),
    ("GraphicalLassoCV", lambda: covariance.GraphicalLassoCV(alphas=2, n_refinements=2, cv=2, **TWICE).fit(X)),
    ("GaussianProcessClassifier", lambda: gaussian_process.GaussianProcessClassifier(**SEEDED).fit(X[:40], Y[:40])),
    # Groups, neighbours, maps.
    ("DBSCAN", lambda: cluster.DBSCAN(eps=2, **TWICE).fit(BLOBS)),
    ("dbscan", lambda: cluster.dbscan(BLOBS, eps=2, **TWICE)),
    ("HDBSCAN", lambda: cluster.HDBSCAN(**TWICE).fit(BLOBS)),
    ("OPTICS", lambda: cluster.OPTICS(**TWICE).fit(BLOBS)),
    (
        "compute_optics_graph",
        lambda: cluster.compute_optics_graph(
            BLOBS,
            min_samples=4,
            max_eps=np.inf,
            metric="minkowski",
            p=2,
            metric_params=None,
            algorithm="auto",
            leaf_size=9,
            **TWICE,
        ),
    ),
    ("MeanShift", lambda: cluster.MeanShift(bandwidth=2, **TWICE).fit(BLOBS)),
    ("mean_shift", lambda: cluster.mean_shift(BLOBS, bandwidth=2, **TWICE)),
    ("estimate_bandwidth", lambda: cluster.estimate_bandwidth(BLOBS, **SEEDED)),
    ("SpectralClustering", lambda: cluster.SpectralClustering(3, **SEEDED).fit(BLOBS)),
    ("KNeighborsClassifier", lambda: neighbors.KNeighborsClassifier(**TWICE).fit(X, Y).predict_proba(X)),
    ("KNeighborsRegressor", lambda: neighbors.KNeighborsRegressor(**TWICE).fit(X, BOTH).predict(X)),
    ("KNeighborsTransformer", lambda: neighbors.KNeighborsTransformer(**TWICE).fit_transform(X)),
    ("RadiusNeighborsClassifier", lambda: neighbors.RadiusNeighborsClassifier(3, **TWICE).fit(X, Y).predict(X)),
    ("RadiusNeighborsRegressor", lambda: neighbors.RadiusNeighborsRegressor(3, **TWICE).fit(X, BOTH).predict(X)),
    ("RadiusNeighborsTransformer", lambda: neighbors.RadiusNeighborsTransformer(**TWICE).fit_transform(X)),
    ("NearestNeighbors", lambda: near(neighbors.NearestNeighbors(**TWICE))),
    ("NearestNeighbors in a tree", lambda: near(neighbors.NearestNeighbors(algorithm="kd_tree", **TWICE))),
    ("LocalOutlierFactor", lambda: neighbors.LocalOutlierFactor(**TWICE).fit(X).negative_outlier_factor_),
    ("kneighbors_graph", lambda: neighbors.kneighbors_graph(X, 3, **TWICE)),
    ("radius_neighbors_graph", lambda: neighbors.radius_neighbors_graph(X, 2, **TWICE)),
    ("Isomap", lambda: manifold.Isomap(**TWICE).fit(X).embedding_),
    ("LocallyLinearEmbedding", lambda: manifold.LocallyLinearEmbedding(n_neighbors=9, **SEEDED).fit(X).embedding_),
    (
        "locally_linear_embedding",
        lambda: manifold.locally_linear_embedding(X, n_neighbors=9, n_components=2, **SEEDED),
    ),
    ("MDS", lambda: manifold.MDS(n_init=2, max_iter=9, **SEEDED).fit(X)),
    (
        "smacof",
        lambda: manifold.smacof(metrics.pairwise_distances(X), n_init=2, max_iter=9, **SEEDED),
    ),
    ("SpectralEmbedding", lambda: manifold.SpectralEmbedding(2, **SEEDED).fit(BLOBS)),
    ("TSNE", lambda: manifold.TSNE(perplexity=9, init="random", **SEEDED).fit(X[:40]).embedding_),
    ("LabelPropagation", lambda: semi_supervised.LabelPropagation(**TWICE).fit(X, SOME)),
    ("LabelSpreading", lambda: semi_supervised.LabelSpreading(kernel="knn", **TWICE).fit(X, SOME).label_distributions_),
    ("pairwise_distances", lambda: metrics.pairwise_distances(X, metric="euclidean", **TWICE)),
    ("pairwise_distances_chunked", lambda: list(metrics.pairwise_distances_chunked(X, **TWICE))),
    ("pairwise_kernels", lambda: metrics.pairwise_kernels(X, metric="rbf", **TWICE)),
]
# What is not in every version that may be installed.
LATER: list[Row] = [
    (
        "TunedThresholdClassifierCV",
        lambda: model_selection.TunedThresholdClassifierCV(LINE, cv=2, **SEEDED).fit(X, TWO),
    ),
    ("mutual_info_classif", lambda: feature_selection.mutual_info_classif(X, Y, **SEEDED)),
    ("mutual_info_regression", lambda: feature_selection.mutual_info_regression(X, NUMBERS, **SEEDED)),
]
# A tree of neighbours counts what it is asked, in threads that do not wait for one another: such tasks leave no record,
# or one that is not found again. Others write into shared memory, choose their threads themselves, or have no tasks.
MAY_LEAVE_NONE = {
    *("DBSCAN", "dbscan", "HDBSCAN", "estimate_bandwidth", "LocalOutlierFactor", "NearestNeighbors"),
    *("OPTICS", "compute_optics_graph"),
    *("KNeighborsClassifier", "KNeighborsRegressor", "KNeighborsTransformer", "kneighbors_graph"),
    *("RadiusNeighborsClassifier", "RadiusNeighborsRegressor", "RadiusNeighborsTransformer", "radius_neighbors_graph"),
    *("Isomap", "LocallyLinearEmbedding", "locally_linear_embedding", "SpectralEmbedding", "SpectralClustering"),
    *("LabelPropagation", "LabelSpreading", "TSNE"),
    *("SGDClassifier", "Perceptron", "PassiveAggressiveClassifier"),
    *("KernelPCA", "Nystroem", "pairwise_distances", "pairwise_distances_chunked", "pairwise_kernels"),
    *("LinearRegression", "LogisticRegression"),
}


def with_n_jobs() -> Iterator[str]:
    """Their names, in the version that is installed."""
    for found in (*discovery.all_estimators(), *discovery.all_functions()):
        name, kind = found
        if "n_jobs" in inspect.signature(kind).parameters:
            yield name


NAMES = set(with_n_jobs())
HERE = [*ROWS, *((name, make) for name, make in LATER if name in NAMES)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads of a linear algebra add up in any order, with and without records."""
    with threadpool_limits(1):
        yield


@pytest.mark.skipif(Version(sklearn.__version__) >= Version("1.10.dev0"), reason="it is newer than these rows")
def test_none_is_left_out() -> None:
    """Whatever takes ``n_jobs`` in the version that is installed has a row."""
    assert set() == NAMES - {name.partition(" ")[0] for name, _ in HERE}


@pytest.mark.parametrize(("name", "make"), [pytest.param(*row, id=row[0].replace(" ", "_")) for row in HERE])
def test_the_same_bits(name: str, make: Callable[[], Any], tmp_path: Path) -> None:
    """Plain, recorded, and with half of the records: each record that is left is used, and no bit differs."""

    def cell() -> Any:
        return describe_all({"made": make(), "drawn": np.random.rand()}, [])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(5)
        plain = cell()
        recorded, first = stay(tmp_path / "a", tmp_path / "none", cell)
        left = sorted((tmp_path / "a").glob("*.rec"))
        for path in left[::2]:
            path.unlink()
        again, second = stay(tmp_path / "b", tmp_path / "a", cell)
    assert plain == recorded
    assert plain == again
    assert first.done == second.done
    if name.partition(" ")[0] not in MAY_LEAVE_NONE:
        assert left
        assert len(left) // 2 == second.reused
