"""What stands in for what is absent, fitted on background patients.

Every baseline gives replacements of the same form as the samples; the modality then takes its absent parts from them.
A `Fill` gives each sample one replacement. A `Rows` baseline gives it rows of other patients, and the outputs over
the rows are averaged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from modalens.errors import InputError, choice, listed
from modalens.modalities import Modality


@dataclass(frozen=True, kw_only=True)
class Baseline(ABC):
    """What stands in for an absent modality or part."""

    name: ClassVar[str]
    words: ClassVar[str]
    """The replacement in words, for provenance: `is replaced by ...`."""

    from_background: ClassVar[bool] = False
    """Whether background patients decide the replacement."""

    @property
    def label(self) -> str:
        """The name, with the settings that are not the default: two of a kind are two baselines."""
        own = [
            f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if getattr(self, one.name) != one.default
        ]
        return f"{self.name} ({', '.join(own)})" if own else self.name


class Fill(Baseline):
    """One replacement for each sample."""

    own: ClassVar[bool] = False
    """Whether the replacement differs between samples."""

    @abstractmethod
    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        """The replacement of each sample, or one for all (leading axis 1). Raises InputError where the modality has
        none of this kind.
        """


@dataclass(frozen=True, kw_only=True)
class Mean(Fill):
    """The background's mean (rounded for whole numbers, the most frequent value for categories)."""

    name: ClassVar[str] = "mean"
    words: ClassVar[str] = "the background's mean"
    from_background: ClassVar[bool] = True

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return modality.mean(background)


@dataclass(frozen=True, kw_only=True)
class Mode(Fill):
    """The background's most frequent value of each feature."""

    name: ClassVar[str] = "mode"
    words: ClassVar[str] = "the background's most frequent value"
    from_background: ClassVar[bool] = True

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return modality.mode(background)


@dataclass(frozen=True, kw_only=True)
class Zeros(Fill):
    """Zero. On data that is not centred, this is a value like any other, and can lie outside what the model has seen."""

    name: ClassVar[str] = "zeros"
    words: ClassVar[str] = "zero"

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return modality.constant(samples, 0)


@dataclass(frozen=True, kw_only=True)
class Constant(Fill):
    """A value of your own: a number, an array of one sample's shape, or a word for texts."""

    value: Any
    name: ClassVar[str] = "constant"
    words: ClassVar[str] = "a constant"

    @property
    def label(self) -> str:
        return f"constant {self.value!r}" if np.ndim(self.value) == 0 else "constant array"

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        require_finite_value(self.value)
        return modality.constant(samples, self.value)


@dataclass(frozen=True, kw_only=True)
class SampleMean(Fill):
    """Each sample's own mean over space or time, by channel."""

    name: ClassVar[str] = "sample_mean"
    words: ClassVar[str] = "the sample's own mean"
    own: ClassVar[bool] = True

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return modality.sample_mean(samples)


@dataclass(frozen=True, kw_only=True)
class Blur(Fill):
    """Each sample blurred by a Gaussian; `sigma` in pixels, voxels or steps, an eighth of the side unless given."""

    sigma: float | None = None
    name: ClassVar[str] = "blur"
    words: ClassVar[str] = "a blurred copy"
    own: ClassVar[bool] = True

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return modality.blur(samples, self.sigma)


@dataclass(frozen=True, kw_only=True)
class MaskToken(Fill):
    """The tokenizer's mask token, or a token or word of your own (`""` removes words), for each masked word."""

    token: str | None = None
    name: ClassVar[str] = "mask_token"
    words: ClassVar[str] = "the mask token"
    own: ClassVar[bool] = True

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return modality.mask_token(samples, self.token)


@dataclass(frozen=True, kw_only=True)
class Removed(Fill):
    """Nothing: items of a bag, steps of a series of any length, and words of a string are left out; what has a mask
    (attention_mask) is masked. The model must be able to do without it.
    """

    name: ClassVar[str] = "removed"
    words: ClassVar[str] = "nothing (it is left out)"
    own: ClassVar[bool] = True

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return modality.removed(samples)


@dataclass(frozen=True, kw_only=True)
class Missing(Fill):
    """What the model is given of a patient who lacks the modality: None in a list of samples, so that the model's own
    way with missing modalities stands in. Single parts are replaced as they usually are.
    """

    name: ClassVar[str] = "missing"
    words: ClassVar[str] = "None, as of patients who lack it"

    def fill(self, modality: Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return modality.missing()


@dataclass(frozen=True, kw_only=True)
class Background(Baseline):
    """Rows of background patients: all absent modalities of a draw come from the same row, and all coalitions share
    one set of rows.

    `rows` stand in for absent modalities, the first `part_rows` of them for parts. Rows are drawn without
    replacement, all where there are fewer.
    """

    rows: int = 100
    part_rows: int = 8
    name: ClassVar[str] = "background"
    words: ClassVar[str] = "rows of background patients"
    from_background: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for argument in ("rows", "part_rows"):
            given = getattr(self, argument)
            if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < 1:
                raise InputError(f"{type(self).__name__}({argument}={given!r}): give a whole number, at least 1 row.")

    def draws(self, available: int, kind: str) -> int:
        """How many rows stand in, of those that there are."""
        return min(self.rows if kind == "coalition" else min(self.rows, self.part_rows), available)


@dataclass(frozen=True, kw_only=True)
class Conditional(Background):
    """Rows of the background patients most like this one in the modalities that are present, so that no impossible
    patient is made.

    Nearest neighbours in standardised features, each modality weighing the same. Where nothing is present, the rows
    of `Background`. An estimate of the conditional expectation; it credits a modality for what it reveals of the
    absent ones.
    """

    rows: int = 20
    name: ClassVar[str] = "conditional"
    words: ClassVar[str] = "rows of the background patients nearest in what is present"


def require_finite_value(value: Any) -> None:
    """Refuse a constant that is no value, before it is rounded to a type that can't hold NaN."""
    values = np.asarray(value, dtype=object)
    if np.any(pd.isna(values)) or any(isinstance(one, float) and np.isinf(one) for one in values.ravel()):
        raise InputError(
            f"its baseline holds NaN or infinite values ({value!r:.60}); expected finite numbers. Give what a patient could have, or use 'mean' or 'background'."
        )


NAMED: dict[str, type[Baseline]] = {
    kind.name: kind
    for kind in (Background, Conditional, Mean, Mode, Zeros, SampleMean, Blur, MaskToken, Removed, Missing)
}

Choice = str | Baseline | Mapping[str, str | Baseline]


def named(baseline: str | Baseline) -> Baseline:
    """A baseline by its name, or as it is."""
    if isinstance(baseline, Baseline):
        return baseline
    if baseline == "constant":
        raise InputError("baseline='constant' needs its value: baseline=Constant(value=...).")
    choice("baseline", baseline, NAMED)
    return NAMED[baseline]()


def assign(chosen: Choice, modalities: Mapping[str, Modality]) -> dict[str, Baseline]:
    """The baseline of each modality, one for all or one a modality."""
    if not isinstance(chosen, Mapping):
        return dict.fromkeys(modalities, named(chosen))
    if set(chosen) != set(modalities):
        raise InputError(
            f"baseline names {listed(chosen)}, and the modalities are {listed(modalities)}: give each modality its baseline, or one baseline for all. "
            f"Missing: {listed(set(modalities) - set(chosen))}; unknown: {listed(set(chosen) - set(modalities))}."
        )
    return {name: named(chosen[name]) for name in modalities}


def typical(modalities: Mapping[str, Modality]) -> dict[str, Baseline]:
    """Each modality's own default for parts: a fitted mean, or the mask token of a text."""
    return {name: NAMED[modality.typical]() for name, modality in modalities.items()}


def label(assigned: Mapping[str, Baseline]) -> str:
    """One name for an assignment: `mean`, or `ct: mean, report: mask_token`."""
    labels = [baseline.label for baseline in assigned.values()]
    return (
        labels[0]
        if len(set(labels)) == 1
        else ", ".join(f"{name}: {text}" for name, text in zip(assigned, labels, strict=True))
    )
