"""Do measures say the same of one model? Rankings of modalities, over all samples and of each."""

from __future__ import annotations

from itertools import product

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.validation.rankings import rbo, tau, top_one


def agreement(explanation: Explanation, p: float = 0.9) -> xr.Dataset:
    """How far the measures of an explanation rank its modalities alike.

    Measures that disagree may both be right, of different things; those that agree may both be wrong.

    Returns
    -------
    Dataset (measure, measure_2), symmetric: `tau` (Kendall's tau-b) and `rbo` (rank-biased overlap; a random order of
    few modalities has a high one, see `rbo_chance`) of the contributions; `spearman` and `top_one`, the means over
    samples of the rank correlation and of whether the most important modality is the same, where both have shares of
    single samples. NaN where something ties everything, or is not there.

    Raises
    ------
    InputError : fewer than two measures with a contribution of modalities.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {name: np.random.default_rng(k).normal(size=(20, 2)) for k, name in enumerate("abc")}
    >>> model = lambda a, b, c: 4 * a[:, 0] + 2 * b[:, 0] + c[:, 0]
    >>> found = ml.explain(model, inputs, measures=[ml.Occlusion(), ml.Shapley()], baseline="zeros", output="raw")
    >>> ml.validation.agreement(found).tau.sel(measure="occlusion", measure_2="shapley").item()
    1.0
    """
    if not isinstance(explanation, Explanation):
        raise InputError(
            f"agreement: expected one explanation of several measures, as ml.explain returns it, came {type(explanation).__name__}."
        )
    results = {name: one for name, one in explanation.results.items() if _of_modalities(one, "contribution")}
    if len(results) < 2:
        raise InputError(
            f"agreement compares measures that give each modality a contribution, and of {listed(explanation.results)} {len(results)} do; "
            "explain with two or more, such as measures=[ml.Occlusion(), ml.Shapley()]."
        )
    names = list(results)
    found = np.full((4, len(names), len(names)), np.nan)
    for (i, one), (j, other) in product(enumerate(results.values()), repeat=2):
        if i <= j:
            found[:, i, j] = found[:, j, i] = _alike(one, other, list(explanation.modalities), p)
    dims, coords = ("measure", "measure_2"), {"measure": names, "measure_2": names}
    scores = ("tau", "rbo", "spearman", "top_one")
    return xr.Dataset({score: (dims, found[k]) for k, score in enumerate(scores)}, coords=coords, attrs={"p": p})


def _alike(one: Result, other: Result, modalities: list[str], p: float) -> tuple[float, float, float, float]:
    """Kendall's tau-b, RBO, and the means over samples of Spearman's correlation and of the same top modality."""
    first, second = (result.array("contribution").sel(modality=modalities).values for result in (one, other))
    known = not np.isnan([first, second]).any() and np.ptp(first) > 0 and np.ptp(second) > 0
    of_all = (tau(first.tolist(), second.tolist()), rbo(first, second, p)) if known else (np.nan, np.nan)
    if not (_of_modalities(one, "by_sample", "sample") and _of_modalities(other, "by_sample", "sample")):
        return (*of_all, np.nan, np.nan)
    rows = [
        result.array("by_sample").sel(modality=modalities).transpose("sample", "modality").values
        for result in (one, other)
    ]
    return (*of_all, mean_rank_correlation(*rows), _same_top(*rows))


def mean_rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """The mean over rows of Spearman's correlation between the same row of both, (row, unit), of what both have (not
    NaN). Rows that tie everything don't count; NaN where none does.
    """
    each = [rank_correlation(one, other) for one, other in zip(first, second, strict=True)]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of what both have; NaN where one ties everything."""
    both = ~(np.isnan(first) | np.isnan(second))
    one, other = first[both], second[both]
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def _same_top(first: np.ndarray, second: np.ndarray) -> float:
    """How often both have the same on top; where several are, they share. The mean of both directions."""
    each = [(top_one(one, other) + top_one(other, one)) / 2 for one, other in zip(first, second, strict=True)]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _of_modalities(result: Result, name: str, *more: str) -> bool:
    """Whether there is an array of this name with the axis `modality`, and these."""
    found = result.arrays.get(name)
    return isinstance(found, xr.DataArray) and set(found.dims) == {"modality", *more}
