"""A scikit-learn estimator whose columns belong to several modalities."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError

from modalens.errors import InputError, listed
from modalens.models.base import Model


@dataclass(frozen=True)
class EstimatorModel(Model):
    """A fitted estimator; the modalities are its column groups, joined side by side: by name where they are
    DataFrames, else in the order given.
    """

    estimator: Any

    @property
    def name(self) -> str:
        return type(self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator).__name__

    @property
    def task(self) -> str | None:  # type: ignore[override]
        return "regression" if is_regressor(self.estimator) else None

    @property
    def classes(self) -> tuple[str, ...] | None:  # type: ignore[override]
        known = getattr(self.estimator, "classes_", None) if is_classifier(self.estimator) else None
        return tuple(map(str, known)) if isinstance(known, np.ndarray) and known.ndim == 1 else None

    def require(self, bundles: Mapping[str, Sequence[str]]) -> None:
        """Nothing to check before the columns are there."""

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        methods = ("predict",) if is_regressor(self.estimator) else ("predict_proba", "decision_function", "predict")
        method = next(method for method in methods if hasattr(self.estimator, method))
        try:
            return getattr(self.estimator, method)(self._table(inputs))
        except NotFittedError as error:
            raise InputError(
                f"the estimator {self.name} is not fitted: expected a trained one; call its fit first."
            ) from error

    def _table(self, inputs: Mapping[str, Any]) -> Any:
        if not all(isinstance(values, pd.DataFrame) for values in inputs.values()):
            columns = {name: np.asarray(values) for name, values in inputs.items()}
            odd = [name for name, values in columns.items() if values.ndim > 2 or values.dtype.kind not in "fiub"]
            if odd:
                raise InputError(
                    f"the estimator {self.name} takes a table of numbers, and modality {listed(odd)} has text or more than two axes: give every modality as a DataFrame, "
                    "or wrap the model in a function that prepares its inputs."
                )
            return np.concatenate([values.reshape(len(values), -1) for values in columns.values()], axis=1)
        table = pd.concat([values.reset_index(drop=True) for values in inputs.values()], axis=1)
        wanted = getattr(self.estimator, "feature_names_in_", None)
        if wanted is None:
            return table.to_numpy()
        if set(wanted) != set(table.columns) or len(table.columns) != len(wanted):
            raise InputError(
                f"the estimator {self.name} was fitted on {len(wanted)} columns and the modalities hold {len(table.columns)}: "
                f"missing {listed(sorted(set(wanted) - set(table.columns))[:6])}, unknown {listed(sorted(set(table.columns) - set(wanted))[:6])}. "
                "Give the columns that it was fitted on, each in one modality."
            )
        return table[list(wanted)]


def is_estimator(model: object) -> bool:
    """Whether this is a fitted scikit-learn estimator (and not its class)."""
    return isinstance(model, BaseEstimator) and not inspect.isclass(model) and hasattr(model, "predict")
