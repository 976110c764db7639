"""What a real problem is: three disjoint cohorts of patients, the modalities they have, and what to know before
believing a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from modalens.errors import InputError, listed

if TYPE_CHECKING:
    from modalens.modalities import Modality

Metric = Literal["accuracy", "auc"]


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Some patients: what was measured, and what is to be told from it.

    Attributes:
        inputs: the samples of each modality: an array (n, ...), a DataFrame with n rows, a list of n texts, or (n, L)
            integer token ids.
        labels: integer class of each patient, shape (n,).
        groups: resampling unit of each row, shape (n,): rows of one patient or lesion share it; `np.arange(n)` where
            each row is a patient.
        characteristics: what else is known of the patients, such as age and sex, in a table with n rows; None where
            nothing is.

    Raises:
        InputError: a modality, the labels, the groups or the characteristics have another number of rows than the rest.
    """

    inputs: dict[str, Any]
    labels: np.ndarray
    groups: np.ndarray
    characteristics: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        known = {} if self.characteristics is None else {"characteristics": len(self.characteristics)}
        rows = {
            **{name: len(samples) for name, samples in self.inputs.items()},
            "labels": len(self.labels),
            "groups": len(self.groups),
            **known,
        }
        if len(set(rows.values())) != 1:
            raise InputError(
                "All of a cohort must have as many rows: "
                + ", ".join(f"{name} has {count}" for name, count in rows.items())
                + "."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Any) -> Cohort:
        """The patients at these positions (integers, or one boolean a patient), in that order.

        >>> study.test.take(range(50))  # doctest: +SKIP
        """
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(int)
        return Cohort(
            inputs={name: _rows(samples, index) for name, samples in self.inputs.items()},
            labels=self.labels[index],
            groups=self.groups[index],
            characteristics=None if self.characteristics is None else self.characteristics.iloc[index],
        )


@dataclass(frozen=True, kw_only=True)
class Study:
    """A real problem, ready to train on and to explain.

    Attributes:
        name: the name under which `load` knows it.
        title: one line for a heading.
        question: what the model is asked, in plain words.
        classes: the names of the classes, by integer label.
        metric: what its test score is: "accuracy", or "auc" (one class against the rest, averaged, where there are
            more than two).
        train: patients to fit on; also the background rows of an explanation.
        validation: patients to stop the training on.
        test: patients to score and to explain. The three share no group.
        modalities: how each modality is cut into parts.
        notes: what to print beside every result: source, licence, what the label means, what was dropped or imputed.
    """

    name: str
    title: str
    question: str
    classes: tuple[str, ...]
    metric: Metric
    train: Cohort
    validation: Cohort
    test: Cohort
    modalities: dict[str, Modality]
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            held = list(getattr(self, name).inputs)
            if held != list(self.modalities):
                raise InputError(
                    f"The {name} cohort holds {listed(held)}, but the study's modalities are {listed(self.modalities)}."
                )

    def __str__(self) -> str:
        sizes = f"{len(self.train)} to train, {len(self.validation)} to validate, {len(self.test)} to test"
        return (
            f"{self.title}\n{self.question}\n{', '.join(self.modalities)}; {sizes}; classes {', '.join(self.classes)}"
        )


def standardise(train: pd.DataFrame, *others: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    """Each column minus its training mean, over its training standard deviation: float32 frames, `train` first.

    Only `train` is looked at, so that the other cohorts stay unseen. A column that never varies in `train` becomes 0
    there.
    """
    mean, spread = train.mean(), train.std(ddof=0)
    spread = spread.where(spread > 0, 1.0)
    return tuple(((frame - mean) / spread).astype(np.float32) for frame in (train, *others))


def stratified(
    labels: np.ndarray, *, seed: int = 0, validation: float = 0.15, test: float = 0.25
) -> tuple[np.ndarray, ...]:
    """Sorted rows to train, validate and test on, each with the classes in the same shares.

    Args:
        labels: integer class of each row, shape (n,); every row is a patient of their own.
        seed: which of the many such splits.
        validation: share of all rows to validate on.
        test: share of all rows to test on.
    """
    rest, tested = train_test_split(np.arange(len(labels)), test_size=test, stratify=labels, random_state=seed)
    fitted, validated = train_test_split(
        rest, test_size=validation / (1 - test), stratify=labels[rest], random_state=seed
    )
    return np.sort(fitted), np.sort(validated), np.sort(tested)


def tables(
    frames: Mapping[str, pd.DataFrame],
    labels: np.ndarray,
    rows: tuple[np.ndarray, ...],
    characteristics: pd.DataFrame | None = None,
) -> tuple[Cohort, ...]:
    """Cohorts (train, validation, test) of patients of whom every modality is a table; standardised by the training
    rows.

    Args:
        frames: one frame a modality, the same patients in the same order in each.
        labels: integer class of each patient, shape (n,).
        rows: positions of each cohort's patients, the training ones first.
        characteristics: what else is known of the patients, kept as it is.
    """
    scaled = {name: standardise(*(frame.iloc[chosen] for chosen in rows)) for name, frame in frames.items()}
    return tuple(
        Cohort(
            inputs={name: parts[position] for name, parts in scaled.items()},
            labels=labels[chosen],
            groups=chosen,
            characteristics=None if characteristics is None else characteristics.iloc[chosen],
        )
        for position, chosen in enumerate(rows)
    )


def sexes(male: pd.Series) -> pd.Series:
    """Words for a column that is 1 for men and 0 for women.

    >>> sexes(pd.Series([1.0, 0.0])).tolist()
    ['male', 'female']
    """
    return male.map({1: "male", 0: "female"})


def _rows(samples: Any, index: np.ndarray) -> Any:
    if isinstance(samples, pd.DataFrame):
        return samples.iloc[index]
    return [samples[row] for row in index] if isinstance(samples, list) else samples[index]
