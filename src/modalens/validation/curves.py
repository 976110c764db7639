"""Curves of an output as what matters most is taken away first, and as it is put in first: the arithmetic, without a
model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from modalens import statistics
from modalens.errors import InputError
from modalens.plots.faithfulness import curves_panel

ORDERS = BY, REVERSED, RANDOM = ("by the measure", "reversed", "random")
"""The orders in which modalities or parts go."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """An output as modalities or parts are taken away, or put in.

    curve (order, step): the mean over samples; `step` is the share of the sample's own modalities or parts that was
        taken away (of insertion: put in). area (order): below the curve.
    gain: how much smaller the area by the measure is than that of random orders (of insertion: larger); above 0 the
        measure finds what the output rests on.
    interval: the bounds of all three, by bootstrap of patients. by_sample (order, step, sample): every sample's own.
    """

    curve: xr.DataArray
    area: xr.DataArray
    gain: xr.DataArray
    interval: xr.Dataset
    by_sample: xr.DataArray
    insertion: bool
    measure: str
    output: str
    what: str
    notes: tuple[str, ...] = field(default=(), repr=False)

    def to_frame(self) -> pd.DataFrame:
        """The area of every order, with its bounds."""
        bounds = self.interval["area"].to_series().unstack("bound") if "area" in self.interval else pd.DataFrame()
        return (
            pd.concat([self.area.to_series().rename("area"), bounds], axis=1)
            .loc[list(ORDERS)]
            .reset_index(names="order")
        )

    def plot(self, ax: Any = None) -> Any:
        """The three curves with their intervals, on these axes or on a figure of their own; returns the axes."""
        return curves_panel(self, ax=ax)

    def __str__(self) -> str:
        way = "insertion" if self.insertion else "deletion"
        said = f"{way} of {self.what}, in the order of {self.measure}: {float(self.gain):+.3f} against random orders"
        if "gain" in self.interval:
            lower, upper = self.interval["gain"].values
            said += f" ({lower:+.3f} to {upper:+.3f})"
        return f"{said}\n{self.to_frame().to_string(index=False, float_format='{:.3f}'.format)}"


def summarised(
    by_sample: xr.DataArray, *, insertion: bool, groups: np.ndarray | None, seed: int, confidence: float | None
) -> dict[str, Any]:
    """Means over samples of curves (order, step, sample), their areas, the gain, and the bounds of all three."""
    samples = by_sample.sizes["sample"]
    found = _numbers(by_sample, statistics.uniform_weights(samples), insertion)
    if confidence is None:
        return {**found, "interval": xr.Dataset()}
    drawn = xr.Dataset(_numbers(by_sample, statistics.bootstrap_weights(groups, samples, seed), insertion))
    enough = statistics.cluster_count(groups, samples) >= statistics.MIN_CLUSTERS
    return {**found, "interval": statistics.interval(drawn if enough else drawn * np.nan, confidence)}


def _numbers(by_sample: xr.DataArray, weights: xr.DataArray, insertion: bool) -> dict[str, xr.DataArray]:
    curve = statistics.average(by_sample, weights)
    area = areas(curve)
    lower, higher = (RANDOM, BY) if insertion else (BY, RANDOM)
    gain = area.sel(order=higher, drop=True) - area.sel(order=lower, drop=True)
    return {"curve": curve, "area": area, "gain": gain}


def areas(curves: xr.DataArray) -> xr.DataArray:
    """The area below curves (..., step), by trapezoids."""
    return curves.integrate("step")


# Orders ----------------------------------------------------------------------------------------------------------------


def places(importance: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The place of everything in each sample's order, (sample, unit): 0 for the most important, equal ones in random
    order, -1 for what the sample has not (NaN).
    """
    there = ~np.isnan(importance)
    order = np.lexsort((generator.random(importance.shape), np.where(there, -importance, np.inf)), axis=-1)
    found = np.empty(importance.shape, dtype=int)
    np.put_along_axis(found, order, np.broadcast_to(np.arange(importance.shape[1]), importance.shape), axis=1)
    return np.where(there, found, -1)


def reversed_places(of: np.ndarray) -> np.ndarray:
    """The same orders, backwards."""
    return np.where(of < 0, -1, (of >= 0).sum(axis=1, keepdims=True) - 1 - of)


def random_places(there: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """An order by chance for each sample, of what it has (sample, unit)."""
    return places(np.where(there, generator.random(there.shape), np.nan), generator)


def absent(of: np.ndarray, step: float, *, insertion: bool) -> np.ndarray:
    """What is absent after this share of each sample's own was taken away, or put in: (sample, unit)."""
    first = (of >= 0) & (of < moved(of >= 0, step)[:, None])
    return (of >= 0) & ~first if insertion else first


def moved(there: np.ndarray, step: float) -> np.ndarray:
    """How many of its own each sample has lost, or got, after this share of them: (sample,)."""
    return np.floor(step * there.sum(axis=1) + 0.5).astype(int)


def steps_of(there: np.ndarray, most: int) -> np.ndarray:
    """The shares at which curves are read: one a unit where there are few, at most so many steps."""
    levels = min(most, int(there.sum(axis=1).max()))
    return np.linspace(0, 1, levels + 1)


# Games -----------------------------------------------------------------------------------------------------------------


def modality_curves(
    game: xr.DataArray, importance: xr.DataArray, *, insertion: bool = False, seed: int = 0
) -> xr.DataArray:
    """The curves of every sample, from a game whose values are known for all coalitions.

    Parameters
    ----------
    game : (coalition, sample), all 2^M; bit i of a coalition's position says whether modality i is in it.
    importance : (sample, modality), NaN for modalities that a sample has not. Equal ones go in random order.
    insertion : put in, into nothing, instead of taken away.
    seed : of the order of what is equally important.

    Returns
    -------
    (order, step, sample): by the measure, reversed, and the mean over all orders there are.

    Raises
    ------
    InputError : importances of other samples or modalities than the game has.

    Example
    -------
    >>> game = xr.DataArray([[0.0], [3.0], [1.0], [4.0]], dims=("coalition", "sample"))
    >>> importance = xr.DataArray([[3.0, 1.0]], dims=("sample", "modality"))
    >>> modality_curves(game, importance).isel(sample=0).values
    array([[4., 1., 0.],
           [4., 3., 0.],
           [4., 2., 0.]])
    """
    values = game.transpose("coalition", "sample").values
    ranked = importance.transpose("sample", "modality").values
    players = len(values).bit_length() - 1
    if ranked.shape != (values.shape[1], players):
        raise InputError(
            f"importance: expected (sample, modality) of shape {(values.shape[1], players)}, as the game has samples and modalities, came {ranked.shape}; explain the same patients."
        )
    there = ~np.isnan(ranked)
    by = places(ranked, np.random.default_rng(np.random.SeedSequence((seed, 41))))
    steps = steps_of(there, most=players)
    curves = {
        BY: _along(values, by, steps, insertion),
        REVERSED: _along(values, reversed_places(by), steps, insertion),
        RANDOM: _over_all_orders(values, there, steps, insertion),
    }
    return named(curves, steps)


def named(curves: dict[str, np.ndarray], steps: np.ndarray) -> xr.DataArray:
    """Curves (step, sample) by order, as one array."""
    return xr.DataArray(
        np.stack(list(curves.values())), dims=("order", "step", "sample"), coords={"order": list(curves), "step": steps}
    )


def _along(values: np.ndarray, of: np.ndarray, steps: np.ndarray, insertion: bool) -> np.ndarray:
    """v of what is left at every step, (step, sample)."""
    bits, samples = 1 << np.arange(of.shape[1]), np.arange(len(of))
    left = (len(values) - 1 - absent(of, step, insertion=insertion) @ bits for step in steps)
    return np.stack([values[coalition, samples] for coalition in left])


def _over_all_orders(values: np.ndarray, there: np.ndarray, steps: np.ndarray, insertion: bool) -> np.ndarray:
    """The mean over all orders: that over all coalitions of as many of a sample's own modalities."""
    inside = (np.arange(len(values))[:, None] >> np.arange(there.shape[1])) & 1
    size = inside @ there.T
    found = []
    for step in steps:
        gone = moved(there, step)
        of_size = size == (gone if insertion else there.sum(axis=1) - gone)
        found.append((values * of_size).sum(axis=0) / of_size.sum(axis=0))
    return np.stack(found)


def oriented(game: xr.DataArray) -> xr.DataArray:
    """How far v(S) has come from v(nothing) towards v(everything), a game (coalition, sample) or (coalition, sample,
    output), of which outputs are added up: on the mean over samples 0 at nothing and 1 at everything. Samples weigh as
    much as their output changes; NaN where none does.
    """
    change = game - game.isel(coalition=0)
    towards = change * np.sign(change.isel(coalition=-1))
    towards = towards.sum("output") if "output" in towards.dims else towards
    whole = float(towards.isel(coalition=-1).mean("sample"))
    return towards / (whole if whole > 0 else np.nan)
