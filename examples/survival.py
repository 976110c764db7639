"""Time to metastasis from genes and clinical data: a Cox model of scikit-survival, scored by concordance.

Real patients (Desmedt and others, 2007), of whom some were followed for a while only.
Needs: pip install scikit-survival
"""

from __future__ import annotations

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sksurv.datasets import load_breast_cancer
from sksurv.linear_model import CoxPHSurvivalAnalysis

import modalens as ml

CLINICAL = ["age", "er", "grade", "size"]


def main() -> ml.Explanation:
    patients, times = load_breast_cancer()
    genes = [column for column in patients if column not in CLINICAL]
    train, test = np.split(np.random.default_rng(0).permutation(len(patients)), [130])
    encode = make_column_transformer((OneHotEncoder(drop="first"), ["er", "grade"]), remainder=StandardScaler())
    cox = make_pipeline(encode, CoxPHSurvivalAnalysis(alpha=100)).fit(patients.iloc[train], times[train])

    explanation = ml.explain(
        cox,
        {"genes": patients[genes].iloc[test], "clinical": patients[CLINICAL].iloc[test]},
        background={"genes": patients[genes].iloc[train], "clinical": patients[CLINICAL].iloc[train]},
        task="survival",
        labels=times[test],
    )
    print(explanation)
    return explanation


if __name__ == "__main__":
    main()
