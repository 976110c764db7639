"""How sure a global number is: bootstrap by patient, delta method, Monte-Carlo error of the background.

A global number is a function of sample averages. So a bootstrap draw is nothing but another set of weights for those
averages.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import xarray as xr

MIN_CLUSTERS = 5
"""Fewest resampling units for which a bootstrap interval is given; below, it is NaN with a reason."""

DRAWS = 1000


def cluster_of(groups: np.ndarray | None, samples: int) -> np.ndarray:
    """The resampling unit of each sample, numbered from 0; each sample by itself where no groups are given."""
    if groups is None:
        return np.arange(samples)
    return np.asarray(np.unique(groups, return_inverse=True)[1]).reshape(-1)


def cluster_count(groups: np.ndarray | None, samples: int) -> int:
    """The number of resampling units."""
    return int(cluster_of(groups, samples).max()) + 1


def uniform_weights(samples: int) -> xr.DataArray:
    """The weights of the point estimate: every sample counts the same."""
    return xr.DataArray(np.full(samples, 1 / samples), dims="sample")


def bootstrap_weights(groups: np.ndarray | None, samples: int, seed: int, draws: int = DRAWS) -> xr.DataArray:
    """Weights (draw, sample) of a bootstrap that draws whole clusters with replacement; each row sums to 1.

    The same groups and seed give the same draws, so that two models on the same patients are compared in pairs.
    """
    cluster = cluster_of(groups, samples)
    count = cluster_count(groups, samples)
    generator = np.random.default_rng(np.random.SeedSequence((seed, 2)))
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=draws)[:, cluster]
    return xr.DataArray(drawn / drawn.sum(axis=1, keepdims=True), dims=("draw", "sample"))


def average(values: xr.DataArray, weights: xr.DataArray) -> xr.DataArray:
    """The weighted mean over samples; a sample whose value is NaN does not count, and where none counts the mean is
    NaN.
    """
    rest = [dim for dim in values.dims if dim != "sample"]
    found = values.transpose("sample", *rest).values
    rows = np.atleast_2d(weights.transpose(..., "sample").values)
    known = ~np.isnan(found)
    means = np.tensordot(rows, np.where(known, found, 0.0), axes=1)
    if not known.all():
        counted = np.tensordot(rows, known.astype(float), axes=1)
        means = means / np.where(counted > 0, counted, np.nan)
    # The names are those of a single sample: these arrays are small and many, and making names costs more than averages.
    named = values.isel(sample=0, drop=True)
    if weights.ndim == 1:
        return named.copy(deep=False, data=means[0])
    return named.expand_dims(draw=len(means)).copy(deep=False, data=means)


def share(amounts: xr.DataArray, dim: str = "modality", floor: float = 0.0) -> xr.DataArray:
    """Amounts as shares of their sum; NaN where the sum is not above the floor."""
    total = np.nansum(amounts.values, axis=amounts.get_axis_num(dim), keepdims=True)
    return amounts.copy(deep=False, data=amounts.values / np.where(total > floor, total, np.nan))


def side_by_side(arrays: Mapping[str, xr.DataArray], dim: str) -> xr.DataArray:
    """Arrays of the same axes as one, along a new first axis that bears their names."""
    first = next(iter(arrays.values()))
    together = np.stack(
        [(one if one.dims == first.dims else one.transpose(*first.dims)).values for one in arrays.values()]
    )
    return first.expand_dims({dim: list(arrays)}).copy(deep=False, data=together)


def interval(draws: xr.Dataset, confidence: float) -> xr.Dataset:
    """The percentile interval of every variable, on a new axis `bound` (lower, upper). NaN where a number is undefined in
    more of the draws than a tail holds: what the others say is no interval of all.
    """
    tail = (1 - confidence) / 2
    if not draws:
        return xr.Dataset()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "All-NaN slice", RuntimeWarning
        )  # a number that is undefined in every draw has an undefined interval
        bounds = draws.quantile([tail, 1 - tail], dim="draw", skipna=True).rename(quantile="bound")
    bounds = bounds.where(draws.isnull().mean("draw") <= tail + 1e-12)
    return bounds.assign_coords(bound=["lower", "upper"])


def ratio_standard_error(amounts: xr.DataArray, groups: np.ndarray | None = None) -> xr.DataArray:
    """Standard error of m_i = mean D_i / mean T, T = sum_i D_i, by the delta method, clustered: sd_k(D_i - m_i T) /
    (sqrt(N) mean T).

    `amounts` is D, (sample, modality). NaN for fewer than two clusters.
    """
    each = amounts.transpose("sample", "modality").values
    count = cluster_count(groups, len(each))
    found = np.full(each.shape[1], np.nan)
    total = each.sum(axis=1)
    if count > 1:
        mean = each.mean(axis=0) / (total.mean() if total.mean() > 0 else np.nan)
        summed = np.zeros((count, each.shape[1]))
        np.add.at(summed, cluster_of(groups, len(each)), each - mean * total[:, None])
        found = np.sqrt(count) * summed.std(axis=0, ddof=1) / (total.sum() if total.sum() > 0 else np.nan)
    return xr.DataArray(found, dims="modality", coords={"modality": amounts.coords["modality"]})


def jackknife_error(left_out: list[dict[str, xr.DataArray]]) -> xr.Dataset:
    """The Monte-Carlo standard error of every number, from its values with one background block left out in turn:
    sqrt((B-1)/B sum (x_b - mean x)^2).
    """
    if len(left_out) < 2:
        return xr.Dataset()
    stacked = xr.Dataset(
        {
            name: side_by_side({str(block): one[name] for block, one in enumerate(left_out)}, "block")
            for name in left_out[0]
        }
    )
    blocks = len(left_out)
    return ((blocks - 1) * stacked.var("block")) ** 0.5
