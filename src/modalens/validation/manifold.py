"""Are the patients real that a measure shows to a model? What stands in for absent modalities makes patients of two, and
where modalities depend on each other nobody is like that.

H. Chen, J. D. Janizek, S. Lundberg, S.-I. Lee, "True to the Model or True to the Data?", arXiv:2006.16234, 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import norm, rankdata

from modalens.baselines import Conditional
from modalens.errors import InputError, choice, listed
from modalens.folds import corrected_interval, held_out
from modalens.modalities import Modality, Text
from modalens.modalities.bundle import Bundle
from modalens.modalities.items import ItemModality
from modalens.modalities.patients import Patients, gather, gather_background
from modalens.problem import EXACT_LIMIT

COMPONENTS = 10
"""Principal components of each modality that are looked at."""

BENT = 3
"""The first of them, whose squares are multiplied too."""

WORDS = 1000
"""Most words of a text modality that are counted."""

PATIENTS = 1000
"""Most patients that are looked at; more are drawn from."""

PENALTY = 0.1
"""Inverse strength of the ridge penalty of the logistic regression."""

Standing = Literal["background", "conditional"]


def off_manifold(
    inputs: Mapping[str, Any],
    background: Mapping[str, Any] | None = None,
    *,
    modalities: Mapping[str, Modality] | None = None,
    baseline: Standing = "background",
    components: int = COMPONENTS,
    folds: int = 5,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.DataArray:
    """How easily mixed patients, modalities inside S from one and the others from another, are told from real ones.

    Each patient is once in the data as he is, and once with the modalities outside S of somebody else from the same
    fold, so that real and mixed rows have the same patients in them, and only how modalities go together tells. A logistic
    regression with ridge penalty is tried on patients held out. It sees the squares of each modality's first principal
    components (by their ranks as if normal; words are counted, series and bags are their mean and length), and the
    products of each inside S with each outside it, of the first three with their squares too.

    What modalities say of each other in a more intricate way looks like .5, and so does what few patients can't show:
    near .5 is no proof.

    Parameters
    ----------
    inputs, background, modalities : as `explain` takes them; all patients with every modality are used, at most 1,000.
    baseline : "background", another patient by chance; "conditional", one of the 20 most like this one in what is present.
    components : principal components of each modality. folds : of the cross-validation.
    confidence : of the interval of the mean over folds (Nadeau and Bengio). seed : of folds, mixtures, components.

    Returns
    -------
    DataArray (coalition) : area under the ROC curve; .5 on the manifold, 1 off it. Coordinates `lower` and `upper`; all
    and none of the modalities make real patients, .5.

    Raises
    ------
    InputError : fewer than two modalities, too many, too few patients, and as `explain` does of inputs.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> draw = np.random.default_rng(0)
    >>> image = draw.normal(size=(300, 2))
    >>> found = ml.validation.off_manifold({"image": image, "copy": image + 0.1 * draw.normal(size=(300, 2)), "age": draw.normal(size=(300, 1))})
    >>> bool(found.sel(coalition="image") > 0.9), bool(abs(found.sel(coalition="age") - 0.5) < 0.1)
    (True, True)
    """
    choice("baseline", baseline, ("background", "conditional"))
    pool = _pool(inputs, background, modalities, folds, seed)
    names = list(pool.modalities)
    scores = {name: normal_scores(pool.modalities[name], pool.samples[name], components, seed) for name in names}
    unlike = {
        name: kind.distances(pool.samples[name], pool.samples[name])
        for name, kind in (pool.modalities.items() if baseline == "conditional" else ())
    }
    tests = held_out(len(pool), folds=folds, seed=seed)
    coalitions = [inside for size in range(len(names) + 1) for inside in combinations(names, size)]
    known: dict[frozenset[str], np.ndarray] = {}
    for inside in coalitions:
        rest = frozenset(names) - set(inside)
        if not inside or not rest:
            known[frozenset(inside)] = np.full(folds, 0.5)
        elif baseline == "background" and rest in known:  # whose modalities are whose makes no difference
            known[frozenset(inside)] = known[rest]
        else:
            known[frozenset(inside)] = np.array([_told_apart(scores, unlike, inside, test, seed) for test in tests])
    cells = np.stack([known[frozenset(inside)] for inside in coalitions])
    lower, upper = np.clip(corrected_interval(cells, 1 / (folds - 1), confidence), 0, 1)
    labels = [" x ".join(inside) or "none" for inside in coalitions]
    return xr.DataArray(
        cells.mean(axis=1),
        dims="coalition",
        coords={"coalition": labels, "lower": ("coalition", lower), "upper": ("coalition", upper)},
        name="off_manifold",
        attrs={"baseline": baseline, "patients": len(pool), "folds": folds},
    )


def normal_scores(kind: Modality, samples: np.ndarray, components: int, seed: int = 0) -> np.ndarray:
    """The first principal components of a modality's features, each by its ranks as if normal: (sample, component), of
    mean 0 and variance 1; nothing of features that don't vary.
    """
    from sklearn.decomposition import PCA

    found = features(kind, samples)
    spread = found.std(axis=0)
    found = (found[:, spread > 0] - found[:, spread > 0].mean(axis=0)) / spread[spread > 0]
    count = min(components, found.shape[1], len(found) - 1)
    if count < 1:
        return np.zeros((len(found), 0))
    scores = PCA(count, random_state=seed).fit_transform(found)
    ranked = norm.ppf((rankdata(scores, axis=0) - 0.5) / len(scores))
    return np.asarray((ranked - ranked.mean(axis=0)) / ranked.std(axis=0))


def features(kind: Modality, samples: np.ndarray) -> np.ndarray:
    """Samples of any kind as numbers, (sample, feature): counts of words, the mean item and the number of items, the
    leading one of several arrays, a column for each category.
    """
    if isinstance(kind, Bundle):
        return features(kind.lead, samples[kind.name])
    if isinstance(kind, ItemModality):
        return np.stack([np.append(_mean_item(items.arrays[0]), len(items)) for items in samples])
    if isinstance(kind, Text):
        return _word_counts(samples)
    if samples.dtype == object:
        return pd.get_dummies(pd.DataFrame(samples).infer_objects()).to_numpy(dtype=float)
    return samples.reshape(len(samples), -1).astype(float)


def _mean_item(array: np.ndarray) -> np.ndarray:
    return array.mean(axis=0, dtype=float).ravel()


def _word_counts(samples: np.ndarray) -> np.ndarray:
    """How often each sample has each of the most frequent words, or tokens."""
    from sklearn.feature_extraction.text import CountVectorizer

    strings = samples.dtype == object
    texts = ["".join(pieces) if strings else " ".join(map(str, pieces)) for pieces in samples]
    counts = CountVectorizer(token_pattern=r"\S+", max_features=WORDS).fit_transform(texts)
    return np.asarray(counts.toarray(), dtype=float)


def _told_apart(
    scores: Mapping[str, np.ndarray],
    unlike: Mapping[str, np.ndarray],
    inside: Sequence[str],
    test: np.ndarray,
    seed: int,
) -> float:
    """The area under the ROC curve on the patients held out."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    train = np.setdiff1d(np.arange(len(scores[inside[0]])), test)
    generator = np.random.default_rng(np.random.SeedSequence((seed, 43)))
    (seen, known), (asked, truth) = (_real_and_mixed(scores, unlike, inside, rows, generator) for rows in (train, test))
    if not seen.shape[1]:  # a modality that does not vary is the same in everybody
        return 0.5
    scale = seen.std(axis=0)
    scale[scale == 0] = 1
    fitted = LogisticRegression(C=PENALTY, max_iter=1000).fit(seen / scale, known)
    return float(roc_auc_score(truth, fitted.decision_function(asked / scale)))


def _real_and_mixed(
    scores: Mapping[str, np.ndarray],
    unlike: Mapping[str, np.ndarray],
    inside: Sequence[str],
    rows: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Features of these patients as they are, and of the same with the modalities outside from each other, and which is
    which (1: mixed).
    """
    outside = [name for name in scores if name not in inside]
    own, other = (np.concatenate([terms(scores[name]) for name in names], axis=1) for names in (inside, outside))
    squares, others = (np.concatenate([scores[name] ** 2 for name in names], axis=1) for names in (inside, outside))
    chosen = _somebody_like(unlike, inside, rows, generator) if unlike else _somebody_else(len(rows), generator)
    donors = rows[chosen]
    both = []
    for of in (rows, donors):
        products = (own[rows][:, :, None] * other[of][:, None, :]).reshape(len(rows), -1)
        both.append(np.concatenate([products, squares[rows], others[of]], axis=1))
    return np.concatenate(both), np.repeat([0, 1], len(rows))


def terms(scores: np.ndarray) -> np.ndarray:
    """Normal scores, and the squares of the first, standardised: products of these see what goes with what."""
    return np.concatenate([scores, (scores[:, :BENT] ** 2 - 1) / np.sqrt(2)], axis=1)


def _somebody_else(count: int, generator: np.random.Generator) -> np.ndarray:
    """For everyone another one, and everyone for one: the next in a random circle."""
    circle = generator.permutation(count)
    found = np.empty(count, dtype=int)
    found[circle] = np.roll(circle, 1)
    return found


def _somebody_like(
    unlike: Mapping[str, np.ndarray], inside: Sequence[str], rows: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """For everyone one of those nearest in what is present, as the conditional baseline draws them."""
    apart = np.sum([unlike[name][np.ix_(rows, rows)] for name in inside], axis=0)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, : min(Conditional().rows, len(rows) - 1)]
    return nearest[np.arange(len(rows)), generator.integers(nearest.shape[1], size=len(rows))]


def _pool(
    inputs: Mapping[str, Any],
    background: Mapping[str, Any] | None,
    modalities: Mapping[str, Modality] | None,
    folds: int,
    seed: int,
) -> Patients:
    """All patients who have every modality, those explained and those of the background, at most so many."""
    patients = gather(inputs, modalities)
    count = len(patients.modalities)
    if not 2 <= count <= EXACT_LIMIT:
        raise InputError(
            f"off_manifold mixes modalities in all 2^M coalitions, of 2 to {EXACT_LIMIT}; came {count}: {listed(patients.modalities)}. Leave some out, or join those that belong together."
        )
    everyone = patients.take(patients.complete)
    if background is not None and background is not inputs:
        everyone = everyone.joined(gather_background(background, patients))
    rows = np.random.default_rng(np.random.SeedSequence((seed, 44))).permutation(len(everyone))[:PATIENTS]
    if not isinstance(folds, int) or folds < 2 or len(rows) < 4 * folds:
        raise InputError(
            f"off_manifold with folds={folds!r} and {len(rows)} patients with every modality: expected at least 2 folds, and 4 patients in each; "
            "give more patients, background= too, or fewer folds."
        )
    samples = {name: kind.take(everyone.samples[name], np.sort(rows)) for name, kind in everyone.modalities.items()}
    return Patients(modalities=everyone.modalities, samples=samples, parts={})
