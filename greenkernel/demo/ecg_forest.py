"""The demo's training cell, from the mark on: a random forest that tells heart rhythms apart."""
# ruff: noqa: F821  (the names come from the notebook)
# mypy: disable-error-code="name-defined"

# %%
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

tables, numbers = [], []
for number, signal in enumerate(signals):
    table = window_rows(signal, sampling_hz)
    tables.append(table)
    numbers.append(np.full(len(table), number))
features, groups = np.concatenate(tables), np.concatenate(numbers)
targets = np.asarray(labels)[groups]

# Windows of one record never stand on both sides of a split.
folds = StratifiedGroupKFold(n_splits=5, shuffle=True, random_state=0)
train, test = next(folds.split(features, targets, groups))
recipe = {"max_features": None, "min_samples_leaf": 3, "class_weight": "balanced_subsample", "random_state": 0}

small = RandomForestClassifier(n_estimators=fold_trees, **recipe)
scores = cross_val_score(small, features[train], targets[train], groups=groups[train], cv=folds, scoring="f1_macro")

clf = RandomForestClassifier(n_estimators=trees, n_jobs=-1, **recipe).fit(features[train], targets[train])

predictions = vote(clf, features[test], groups[test])
truth = np.asarray(labels)[np.unique(groups[test])]
accuracy = float((predictions == truth).mean())
macro_f1 = float(f1_score(truth, predictions, average="macro"))
print(f"windows, cross-validated: macro F1 {scores.mean():.3f} over {len(scores)} folds")
print(f"{len(test)} windows of {len(truth)} held-out records: accuracy {accuracy:.3f}, macro F1 {macro_f1:.3f}")
