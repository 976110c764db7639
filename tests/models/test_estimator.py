"""scikit-learn estimators whose columns belong to several modalities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import modalens as ml

RANDOM = np.random.default_rng(0)
TABLE = pd.DataFrame({"age": RANDOM.normal(60, 9, 40), "crp": RANDOM.normal(size=40), "il6": RANDOM.normal(size=40)})
RISK = 0.1 * (TABLE["age"] - 60) + TABLE["crp"]
LABELS = np.where(RISK > 0.5, "high", np.where(RISK > -0.5, "mid", "low"))


def explained(estimator: Any, inputs: dict[str, Any], **settings: Any) -> ml.Explanation:
    return ml.explain(estimator, inputs, **{"measures": [ml.Shapley()], "baseline": "mean", **settings})


def test_a_linear_regression_by_hand() -> None:
    model = LinearRegression().fit(TABLE.to_numpy(), RISK + 0.3 * TABLE["il6"])
    found = explained(model, {"person": TABLE[["age"]].to_numpy(), "blood": TABLE[["crp", "il6"]].to_numpy()})
    assert found.provenance["task"] == "regression"
    centred = (TABLE - TABLE.mean()).to_numpy() * model.coef_
    np.testing.assert_allclose(
        found.shapley.values.sel(modality="person").values.ravel(), centred[:, 0], rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        found.shapley.values.sel(modality="blood").values.ravel(), centred[:, 1:].sum(axis=1), rtol=0, atol=1e-12
    )


def test_classes_are_the_estimators_own_names() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(TABLE, LABELS)
    found = explained(model, {"person": TABLE[["age"]], "blood": TABLE[["crp", "il6"]]})
    assert found.provenance["outputs"] == ["high", "low", "mid"]
    np.testing.assert_allclose(
        found.shapley.values.sum("modality"),
        model.predict_proba(TABLE) - model.predict_proba(pd.DataFrame([TABLE.mean()])),
        rtol=0,
        atol=1e-12,
    )


def test_columns_are_brought_into_the_fitted_order_by_name() -> None:
    model = LogisticRegression(max_iter=5000).fit(TABLE, LABELS)
    one = explained(model, {"person": TABLE[["age"]], "blood": TABLE[["crp", "il6"]]})
    other = explained(model, {"blood": TABLE[["il6", "crp"]], "person": TABLE[["age"]]})
    np.testing.assert_allclose(
        one.shapley.values.sel(modality="blood"), other.shapley.values.sel(modality="blood"), rtol=0, atol=1e-12
    )
    assert float(abs(one.shapley.values).max()) > 0.1


def test_arrays_are_joined_in_the_order_given() -> None:
    model = LogisticRegression(max_iter=5000).fit(TABLE.to_numpy(), LABELS)
    by_array = explained(model, {"person": TABLE["age"].to_numpy(), "blood": TABLE[["crp", "il6"]].to_numpy()})
    named = explained(
        LogisticRegression(max_iter=5000).fit(TABLE, LABELS), {"person": TABLE[["age"]], "blood": TABLE[["crp", "il6"]]}
    )
    np.testing.assert_allclose(by_array.shapley.values, named.shapley.values, rtol=0, atol=1e-12)


def test_a_pipeline_over_categories() -> None:
    frame = TABLE.assign(site=pd.Categorical(np.where(TABLE["il6"] > 0, "left", "right")))
    columns = make_column_transformer((OneHotEncoder(), ["site"]), (StandardScaler(), ["age", "crp"]))
    model = make_pipeline(columns, LogisticRegression(max_iter=5000)).fit(frame, LABELS == "high")
    found = explained(model, {"person": frame[["age", "site"]], "blood": frame[["crp"]], "unused": frame[["il6"]]})
    assert float(abs(found.shapley.values.sel(modality="unused")).max()) == 0
    assert float(found.shapley.contribution.sum()) == pytest.approx(1)


def test_a_decision_function_needs_its_link() -> None:
    model = RidgeClassifier().fit(TABLE.to_numpy(), RISK > 0)
    inputs = {"person": TABLE[["age"]].to_numpy(), "blood": TABLE[["crp", "il6"]].to_numpy()}
    with pytest.raises(ml.InputError, match="link='sigmoid'"):
        explained(model, inputs)
    found = explained(model, inputs, link="sigmoid")
    assert found.provenance["outputs"] == ["False", "True"]
    everything = 1 / (1 + np.exp(-model.decision_function(TABLE.to_numpy())))
    nothing = 1 / (1 + np.exp(-model.decision_function(TABLE.mean().to_numpy()[None])))
    np.testing.assert_allclose(
        found.shapley.values.sel(output="True").sum("modality"), everything - nothing, rtol=0, atol=1e-12
    )


def test_several_outputs_of_a_tree_need_a_selector() -> None:
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(
        TABLE.to_numpy(), np.stack([RISK > 0, TABLE["il6"] > 0], axis=1)
    )
    inputs = {"person": TABLE[["age"]].to_numpy(), "blood": TABLE[["crp", "il6"]].to_numpy()}
    with pytest.raises(ml.InputError, match="select="):
        explained(model, inputs)
    found = explained(
        model, inputs, select=lambda output: np.stack([one[:, 1] for one in output], axis=1), task="multilabel"
    )
    assert found.shapley.values.sizes["output"] == 2


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"person": TABLE[["age"]], "blood": TABLE[["crp"]]}, ["3 columns", "missing 'il6'"]),
        ({"person": TABLE[["age"]], "blood": TABLE.drop(columns="age").assign(ldh=1.0 * RISK)}, ["unknown 'ldh'"]),
        ({"person": TABLE[["age"]].to_numpy(), "blood": ["high crp", "low crp"] * 20}, ["'blood'", "numbers"]),
        (
            {
                "person": TABLE[["age"]].to_numpy(),
                "blood": np.zeros((40, 2, 2, 1)) + RISK.to_numpy()[:, None, None, None],
            },
            ["'blood'", "two axes"],
        ),
    ],
    ids=["column missing", "column unknown", "text beside numbers", "image"],
)
def test_columns_that_do_not_fit_are_refused(inputs: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(ml.InputError) as refused:
        explained(LogisticRegression(max_iter=5000).fit(TABLE, LABELS), inputs, baseline=None)
    assert [one for one in says if one not in str(refused.value)] == []
