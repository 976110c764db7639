"""The demonstration: train small models on real patients, explain the held-out ones, and say what was learned."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from modalens import datasets
from modalens.datasets import Cohort, Study, training
from modalens.errors import ModalensWarning
from modalens.explanation import Explanation, compare
from modalens.folds import held_out
from modalens.measures.performance import METRICS
from modalens.modalities import Image
from modalens.pipeline import explain
from modalens.planting import Planting, plant
from modalens.report.folder import open_folder
from modalens.report.together import PAGE, write_folder
from modalens.spreadsheet import as_csv
from modalens.usefulness import Usefulness, needed, usefulness

PATIENTS = {"openi": 30}
"""Most held-out patients explained where 200 would take minutes, as a sentence encoder of 22 million parameters does."""

BACKGROUND = {"openi": 24}
"""Most training patients that stand in for what is absent, where all of them would take minutes."""


PARTS_OF_TEST = 5
"""Groups of held-out patients in which every model is scored, to see how much a score varies."""

PLANTED = (0.0, 0.25, 0.5, 1.0)
MARKED = 80
"""Held-out patients of whom half are marked, and as many training patients."""


def run_demo(problem: str, folder: Path, *, seed: int = 0, console: Console) -> dict[str, Explanation]:
    """Train a fused and a late-fusion model, and models with and without each modality, explain the first two, plant a
    shortcut into the fused one where it takes an image, print the tables and write the folder.

    Raises InputError for an unknown problem, and for a data package that is not installed.
    """
    started = time.perf_counter()
    torch.set_num_threads(
        1
    )  # small models: a second thread costs more than it gives, and the numbers stay the same on every machine
    study = datasets.load(problem)
    folder = open_folder(folder)
    console.print(f"[bold]{study.title}[/bold]\n{study.question}", highlight=False)
    for note in study.notes:
        console.print(f"  - {note}", style="dim", highlight=False)
    models = train_all(study, seed=seed)
    scores = score_table(study, models)
    console.print(_rich(scores, f"Test {study.metric}, {len(study.test)} held-out samples"))
    useful = useful_for(study, models, seed=seed)
    console.print(useful)
    explanations = {name: explain_study(study, models[name], seed=seed) for name in ("fused", "late")}
    console.print(explanations["fused"])
    planted = plant_in(study, models["fused"], seed=seed)
    if planted is not None:
        console.print(planted)
    console.print(_beside(explanations), highlight=False)
    preface = f"{study.question} A model that fuses {len(study.modalities)} modalities was trained on {len(study.train)} samples and is explained on {explained(study)} held-out ones."
    written = write_folder(
        explanations,
        folder,
        title=study.title,
        preface=preface,
        scores=scores.set_index("model"),
        notes=study.notes,
        planting={} if planted is None else {"fused": planted},
        usefulness=useful,
    )
    written += _write_beside(explanations, useful, planted, folder)
    console.print(
        f"\nDone in {time.perf_counter() - started:.0f} s. {len(written)} files are in {folder}. "
        f"Open {folder / PAGE}; to look at single patients: modalens app {folder}",
        highlight=False,
        soft_wrap=True,
    )
    return explanations


def train_all(study: Study, *, seed: int, progress: bool = True) -> dict[str, nn.Module]:
    """The fused model, the late-fusion one (additive on the log-odds), and one for each modality alone."""
    models = {
        fusion: training.train(study, fusion=fusion, seed=seed, progress=progress) for fusion in ("fused", "late")
    }
    return models | {
        f"{name} alone": training.train(study, modalities=[name], seed=seed, progress=progress)
        for name in study.modalities
    }


def useful_for(study: Study, models: dict[str, nn.Module], *, seed: int, progress: bool = True) -> Usefulness:
    """What each modality is useful for: models trained with all, with each alone, and without each, scored in several
    groups of the held-out patients. The study's own cohorts are kept: neighbours in number look alike, and shuffled
    folds would mix them.
    """
    subsets = needed(tuple(study.modalities))
    tests = held_out(len(study.test), folds=PARTS_OF_TEST, seed=seed, groups=study.test.groups)
    scores: dict[str | tuple[str, ...], list[float]] = {}
    for subset in subsets:
        known = "fused" if len(subset) == len(study.modalities) else f"{subset[0]} alone" if len(subset) == 1 else ""
        model = models[known] if known else training.train(study, modalities=subset, seed=seed, progress=progress)
        scores[subset] = [_score(model, study.test.take(rows), study.metric) for rows in tests]
    held = len(study.test) / PARTS_OF_TEST
    return usefulness(
        scores=scores,
        metric=study.metric,
        labels=study.test.labels,
        test_share=held / (held + len(study.train)),
        seed=seed,
    )


def _score(model: nn.Module, cohort: Cohort, metric: str) -> float:
    """A model's score on a cohort; NaN for an AUC of a single class."""
    if metric == "auc" and len(np.unique(cohort.labels)) < 2:
        return float("nan")
    probability = torch.from_numpy(training.predict(model, cohort)).double().softmax(1).numpy()
    return float(METRICS[metric](cohort.labels, probability, np.ones((1, len(cohort))))[0])


def plant_in(study: Study, model: nn.Module, *, seed: int) -> Planting | None:
    """A shortcut in the corner of the study's first image, mixed into the model; None where there is no image."""
    images = [name for name, kind in study.modalities.items() if isinstance(kind, Image)]
    if not images:
        return None
    cohort, background = _some(study.test, MARKED, seed), _some(study.train, MARKED, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)
        return plant(
            model,
            cohort.inputs,
            marker=images[0],
            share=PLANTED,
            labels=cohort.labels,
            groups=cohort.groups,
            background=background.inputs,
            modalities=study.modalities,
            link="softmax",
            classes=study.classes,
            seed=seed,
        )


def _write_beside(
    explanations: dict[str, Explanation], useful: Usefulness, planted: Planting | None, folder: Path
) -> list[Path]:
    """The tables of what was trained and planted, and of the two explanations compared."""
    compared = compare(explanations["late"], explanations["fused"]).to_frame()
    tables = {"fused-minus-late": compared, "usefulness": useful.to_frame()}
    tables |= {} if planted is None else {"fused-planting": planted.to_frame()}
    for name, table in tables.items():
        (folder / f"{name}.csv").write_text(as_csv(table), encoding="utf-8")
    return [folder / f"{name}.csv" for name in tables]


def score_table(study: Study, models: dict[str, nn.Module]) -> pd.DataFrame:
    """The test score of each model, and of always naming the commonest class."""
    chance = float(np.bincount(study.test.labels).max() / len(study.test)) if study.metric == "accuracy" else 0.5
    rows = {"fused": "all modalities, fused", "late": "all modalities, late fusion (additive)"}
    table = [(rows.get(name, name), training.score(model, study)) for name, model in models.items()]
    return pd.DataFrame([*table, ("chance", chance)], columns=["model", study.metric])


def explain_study(study: Study, model: nn.Module, *, seed: int = 0, **settings: Any) -> Explanation:
    """Explain held-out patients of a study, training patients standing in for what is absent."""
    cohort = _some(study.test, explained(study), seed)
    background = _some(study.train, BACKGROUND.get(study.name, len(study.train)), seed)
    arguments: dict[str, Any] = {
        "modalities": study.modalities,
        "background": background.inputs,
        "link": "softmax",
        "classes": study.classes,
        "labels": cohort.labels,
        "groups": cohort.groups,
        "characteristics": cohort.characteristics,
        "seed": seed,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)  # they stand in the summary
        return explain(model, cohort.inputs, **(arguments | settings))


def explained(study: Study) -> int:
    """How many held-out patients are explained."""
    return min(len(study.test), PATIENTS.get(study.name, 200))


def _some(cohort: Cohort, most: int, seed: int) -> Cohort:
    return cohort.take(np.sort(np.random.default_rng(seed).permutation(len(cohort))[:most]))


def _rich(table: pd.DataFrame, title: str) -> Table:
    shown = Table(title=title, title_justify="left")
    for column in table.columns:
        shown.add_column(str(column), justify="left" if table[column].dtype.kind not in "fi" else "right")
    for row in table.itertuples(index=False):
        shown.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    return shown


def _beside(explanations: dict[str, Explanation]) -> Table:
    """InterSHAP of the fused and the late model, in each space, beside what an additive model would show."""
    shown = Table(title="Interaction: fused beside late fusion", title_justify="left")
    for column in ("model", "space", "InterSHAP", "interval", "additive null", "excess", "interval"):
        shown.add_column(column)
    for name, explanation in explanations.items():
        found, bounds = explanation.intershap, explanation.intershap.interval
        for space in found.by_space.space.values:
            score, null, excess = (
                float(found.global_numbers[one].sel(space=space)) for one in ("by_space", "null", "excess")
            )
            between = [
                "{:.3f} to {:.3f}".format(*bounds[one].sel(space=space).transpose("bound", ...).values)
                for one in ("by_space", "excess")
            ]
            shown.add_row(
                name,
                str(space),
                f"{score:.3f}" if score > 5e-4 or score == 0 else f"{score:.1e}",
                between[0],
                f"{null:.3f}",
                f"{excess:.3f}",
                between[1],
            )
    return shown
