"""What the reproduction of Gapp et al. (2025) measures: small models of real patients, and their contribution by
occlusion under other numbers of parts, other replacements and other readings.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from torch import nn

from modalens.baselines import Background, Baseline, Constant, Fill, MaskToken, Mean, SampleMean, Zeros, typical
from modalens.datasets import Cohort, Study, training
from modalens.errors import ModalensWarning
from modalens.explanation import Explanation
from modalens.measures import Measure, Occlusion, Result
from modalens.modalities import Tabular, Text, Vector, Volume
from modalens.pipeline import explain
from modalens.sensitivity import sweep

FEATURES = 64
LAW_PARTS = (1, 4, 16, 64)
"""Two modalities of 64 standard normal features each, and the numbers of parts that each is cut into."""

TITLES = {"dermoscopy": "Dermoscopy", "openi": "Open-I"}

SWEPT: Mapping[str, Mapping[str, Sequence[int]]] = {
    "dermoscopy": {"patch_a": (1, 4, 16, 64, 256), "features_b": (1, 2, 4, 8, 17)},
    "openi": {"indication": (1, 2, 4, 8, 16, 32), "study": (1, 2, 3)},
}
"""Problem -> modality -> numbers of parts, as in the journal version: images up to 256, texts up to 32."""

OUT_OF_RANGE = 1e3
"""What the paper puts in place of z-scored attributes."""

SENTENCE = 8
"""Parts that a patient has at least whose maps are drawn."""

READINGS = ("ratio of sums (Algorithm 1)", "mean of ratios", "signed sum before the absolute value")

BOTH_READINGS = (Occlusion(), Occlusion(reading="mean_of_ratios", name="mean_of_ratios"))


# Models of real patients ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A model of a study, its test score, and the held-out patients that it is explained on: the same for all seeds."""

    study: Study
    model: nn.Module
    cohort: Cohort
    score: float
    seed: int

    @property
    def first(self) -> str:
        """The modality whose share is told; the other one has the rest."""
        return next(iter(self.study.modalities))

    @property
    def asked(self) -> dict[str, Any]:
        """The settings of `explain`: replacements fitted on all training patients."""
        return {
            "modalities": self.study.modalities,
            "background": self.study.train.inputs,
            "baseline": typical(self.study.modalities),
            "link": "softmax",
            "classes": self.study.classes,
            "labels": self.cohort.labels,
            "groups": self.cohort.groups,
            "seed": self.seed,
            "progress": False,
        }

    def explain(self, *measures: Measure, confidence: float | None = None, **settings: Any) -> Explanation:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModalensWarning)  # they stand in the provenance
            return explain(
                self.model,
                self.cohort.inputs,
                measures=measures or (Occlusion(),),
                confidence=confidence,
                **(self.asked | settings),
            )


def train(study: Study, *, patients: int, seed: int) -> Trained:
    """A fused model of the study, to be explained on so many held-out patients."""
    model = training.train(study, seed=seed, progress=False)
    return Trained(
        study=study, model=model, cohort=some(study.test, patients), score=training.score(model, study), seed=seed
    )


def some(cohort: Cohort, most: int) -> Cohort:
    """At most so many of the patients, drawn by chance and always the same."""
    return cohort.take(np.sort(np.random.default_rng(0).permutation(len(cohort))[:most]))


# The number of parts --------------------------------------------------------------------------------------------------


def law(rows: int, seed: int) -> xr.DataArray:
    """The contribution of the first of two modalities that differ in nothing but the number of parts, (a_parts, b_parts):
    unit weights, N(0, 1) features.
    """
    random = np.random.default_rng(seed)
    inputs = {name: random.normal(size=(rows, FEATURES)) for name in ("a", "b")}
    return sweep(
        lambda a, b: a.sum(axis=1) + b.sum(axis=1),
        inputs,
        parts=dict.fromkeys(inputs, LAW_PARTS),
        modalities=dict.fromkeys(inputs, Vector()),
        baseline="zeros",
        output="raw",
        progress=False,
    ).sel(modality="a", drop=True)


def expected_by_law(first: int, second: int) -> float:
    """sqrt(h1) / (sqrt(h1) + sqrt(h2)): a part of 64 / h features changes the sum by sqrt(64 / h) on average, and there
    are h of them.

    >>> round(expected_by_law(64, 1), 4)
    0.8889
    """
    return float(np.sqrt(first) / (np.sqrt(first) + np.sqrt(second)))


def swept(trained: Trained, parts: Mapping[str, Sequence[int]]) -> xr.DataArray:
    """The contribution of the first modality over all numbers of parts, (<first>_parts, <second>_parts); columns of a
    table by themselves, without their groups.
    """
    apart = {
        name: replace(kind, groups=None) if isinstance(kind, Tabular) else kind
        for name, kind in trained.study.modalities.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)
        found = sweep(trained.model, trained.cohort.inputs, parts=parts, **(trained.asked | {"modalities": apart}))
    return found.sel(modality=trained.first, drop=True).transpose(*(f"{name}_parts" for name in parts))


# What is put in the place of a part -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What stands in for a part, by modality; `fitted` where it is a value that the model has seen."""

    words: str
    baseline: Mapping[str, Baseline]
    fitted: bool


def replacements(study: Study) -> list[Replacement]:
    """Replacements that are fitted on training patients, and those of the paper."""
    kinds, fitted = study.modalities, typical(study.modalities)
    first, second = kinds
    match kinds[first]:
        case Text(tokenizer=tokenizer):
            token = mean_token(tokenizer, study.train.inputs[first])
            return [
                Replacement(words="mask token", baseline=fitted, fitted=True),
                Replacement(
                    words="unknown token",
                    baseline=fitted | {first: MaskToken(token=tokenizer.unk_token)},
                    fitted=True,
                ),
                Replacement(
                    words=f"rounded mean token id: “{token}”",
                    baseline=fitted | {first: MaskToken(token=token)},
                    fitted=False,
                ),
            ]
        case _:
            own: dict[str, Baseline] = {first: SampleMean(), second: Mean()}
            return [
                Replacement(words="training mean", baseline=fitted, fitted=True),
                Replacement(
                    words="rows of 16 training patients",
                    baseline=dict.fromkeys(kinds, Background(part_rows=16)),
                    fitted=True,
                ),
                Replacement(words="image: its own mean; table: training mean", baseline=own, fitted=False),
                Replacement(
                    words="zeros: black, and the table's mean", baseline=dict.fromkeys(kinds, Zeros()), fitted=False
                ),
                Replacement(
                    words="image: its own mean; table: 1000",
                    baseline=own | {second: Constant(value=OUT_OF_RANGE)},
                    fitted=False,
                ),
            ]


def mean_token(tokenizer: Any, ids: np.ndarray) -> str:
    """The token whose id is nearest to the mean id of all words, padding and separators left out."""
    words = ids[~np.isin(ids, tokenizer.all_special_ids)]
    return str(tokenizer.convert_ids_to_tokens(int(np.rint(words.mean()))))


def outside(trained: Trained, name: str, baseline: Baseline) -> float:
    """The share of a modality's replacement that lies outside the range of the training patients."""
    if not isinstance(baseline, Fill):
        return 0.0
    kind = trained.study.modalities[name].resolve(name, trained.cohort.inputs[name])
    samples, background = (
        kind.canonical(name, cohort.inputs[name]) for cohort in (trained.cohort, trained.study.train)
    )
    return kind.outside(baseline.fill(kind, samples, background), background)


def warned_of_range(explanation: Explanation) -> bool:
    """Whether the package has said that a replacement lies where the model has never been."""
    return any("lie outside the range of the background" in said for said in explanation.provenance["warnings"])


# Algorithm 1, and what the scripts compute ----------------------------------------------------------------------------


def readings(explanation: Explanation) -> xr.DataArray:
    """The contribution as Algorithm 1 has it, and as the authors' scripts compute it: (reading, modality)."""
    algorithm = explanation["occlusion"]
    signed = signed_amount(algorithm)
    return xr.concat(
        [algorithm.contribution, explanation["mean_of_ratios"].contribution, signed / signed.sum()],
        dim=xr.Variable("reading", list(READINGS)),
        coords="minimal",
        compat="override",
    )


def signed_amount(result: Result) -> xr.DataArray:
    """mean_k sum_c | sum_l (p_0 - p_l) |, by modality: changes of different sign cancel before the absolute value."""
    amounts = {
        name: float(abs(changes.sum("part")).sum("output").mean("sample"))
        for name, changes in result.by_modality("parts").items()
    }
    return xr.DataArray(list(amounts.values()), dims="modality", coords={"modality": list(amounts)})


def exactly(share: float) -> tuple[float, float]:
    """The band of a share that is known by hand."""
    return max(share - 1e-6, 0.0), share + 1e-6


def by_hand() -> dict[str, Explanation]:
    """Two problems whose readings anyone can check: two patients of different size, and changes that cancel."""
    two_patients = {"a": np.array([[9.0], [0.1]]), "b": np.array([[1.0], [0.9]])}
    ones = {"volume": np.ones((1, 2, 1, 1)), "table": np.ones((1, 1))}
    return {
        "f = a + b, patients (9, 1) and (0.1, 0.9)": _at_zero(lambda a, b: a[:, 0] + b[:, 0], two_patients),
        "two voxels of weights +1 and -1, a table of weight 3, all ones": _at_zero(
            lambda volume, table: volume[:, 0, 0, 0] - volume[:, 1, 0, 0] + 3 * table[:, 0],
            ones,
            modalities={"volume": Volume(block=1), "table": Tabular()},
        ),
    }


def _at_zero(model: Any, inputs: Mapping[str, np.ndarray], **settings: Any) -> Explanation:
    """Both readings of a model in its own units, with 0 for what is absent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)  # 0 is none of so few values
        return explain(
            model,
            inputs,
            measures=BOTH_READINGS,
            baseline="zeros",
            output="raw",
            confidence=None,
            progress=False,
            **settings,
        )


# Colour maps ----------------------------------------------------------------------------------------------------------


def turned(explanation: Explanation) -> Explanation:
    """The same explanation with p_l - p_0 in the place of p_0 - p_l, which makes the decisive part the lowest."""
    found = explanation["occlusion"]
    parts = {name: -changes for name, changes in found.by_modality("parts").items()}
    return replace(explanation, results={"occlusion": replace(found, arrays={**found.arrays, "parts": parts})})


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How p_l - p_0 of the predicted class goes with the amounts that the measure counts: the mean correlation over the
    parts of a patient, and the share of patients whose decisive part has the lowest value of all.
    """

    correlation: float
    bluest: float


def agreement(explanation: Explanation, modality: str, predicted: np.ndarray) -> Agreement:
    """Over all patients with more than two parts that differ in what they change; `predicted` (n,) is the class of each."""
    correlations, lowest = [], []
    for sample, output in enumerate(predicted):
        own = changes_of(explanation, modality, sample)
        amounts, theirs = abs(own).sum(axis=1), -own[:, int(output)]
        if len(own) < 3 or not np.ptp(amounts) or not np.ptp(theirs):
            continue
        correlations.append(float(np.corrcoef(theirs, amounts)[0, 1]))
        lowest.append(bool(theirs[amounts.argmax()] == theirs.min()))
    return Agreement(correlation=float(np.mean(correlations)), bluest=float(np.mean(lowest)))


def changes_of(explanation: Explanation, modality: str, sample: int) -> np.ndarray:
    """p_0 - p_l of the parts that a patient has, (part, output)."""
    changes = explanation["occlusion"].by_modality("parts")[modality].isel(sample=sample)
    found: np.ndarray = changes.dropna("part").transpose("part", "output").values
    return found


def most_telling(explanation: Explanation, modality: str, predicted: np.ndarray, fewest: int = 1) -> int:
    """The patient whose predicted class loses most by one part of the modality, among those who have so many parts."""
    changes = explanation["occlusion"].by_modality("parts")[modality]
    own = changes.isel(output=xr.DataArray(predicted, dims="sample"))
    return int(own.max("part").where(own.notnull().sum("part") >= fewest).argmax("sample"))
