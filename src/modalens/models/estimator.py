"""A scikit-learn estimator whose columns belong to several modalities."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier, is_regressor

from modalens.errors import InputError, listed
from modalens.models.base import Model


@dataclass(frozen=True)
class EstimatorModel(Model):
    """A fitted estimator; the modalities are its column groups, joined side by side: by name where they are DataFrames, else in the order given."""

    estimator: Any

    @property
    def name(self) -> str:
        return type(self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator).__name__

    @property
    def task(self) -> str | None:  # type: ignore[override]
        return "regression" if is_regressor(self.estimator) else None

    @property
    def classes(self) -> tuple[str, ...] | None:  # type: ignore[override]
        return tuple(map(str, self.estimator.classes_)) if is_classifier(self.estimator) and np.ndim(self.estimator.classes_) == 1 else None

    def require(self, names: tuple[str, ...]) -> None:
        """Nothing to check before the columns are there."""

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        table = self._table(inputs)
        for method in ("predict_proba", "decision_function", "predict"):
            if hasattr(self.estimator, method) and not (method != "predict" and is_regressor(self.estimator)):
                return getattr(self.estimator, method)(table)
        raise InputError(f"the estimator {self.name} can't predict: expected predict_proba, decision_function or predict.")

    def _table(self, inputs: Mapping[str, Any]) -> Any:
        if not all(isinstance(values, pd.DataFrame) for values in inputs.values()):
            columns = [np.asarray(values) for values in inputs.values()]
            if any(values.ndim > 2 for values in columns):
                raise InputError(f"the estimator {self.name} takes a table, and one of the modalities {listed(inputs)} has more than two axes; wrap the model in a function that prepares it.")
            return np.concatenate([values.reshape(len(values), -1) for values in columns], axis=1)
        table = pd.concat([values.reset_index(drop=True) for values in inputs.values()], axis=1)
        wanted = getattr(self.estimator, "feature_names_in_", None)
        if wanted is None:
            return table.to_numpy()
        if set(wanted) != set(table.columns) or len(table.columns) != len(wanted):
            raise InputError(
                f"the estimator {self.name} was fitted on {len(wanted)} columns and the modalities hold {len(table.columns)}: "
                f"missing {listed(sorted(set(wanted) - set(table.columns))[:6])}, unknown {listed(sorted(set(table.columns) - set(wanted))[:6])}."
            )
        return table[list(wanted)]


def is_estimator(model: object) -> bool:
    """Whether this is a fitted scikit-learn estimator (and not its class)."""
    return isinstance(model, BaseEstimator) and not inspect.isclass(model) and hasattr(model, "predict")
