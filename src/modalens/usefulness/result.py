"""What was found: scores of models trained with and without each modality, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from modalens.explanation import Explanation
from modalens.folds import bootstrap_interval, corrected_interval
from modalens.plots.usefulness import usefulness_figure
from modalens.summary import as_rich
from modalens.summary.cells import Table
from modalens.summary.printed import as_text
from modalens.summary.wording import NOT_THERE, difference, metric_words, score, with_bounds

Subset = tuple[str, ...]
NUMBERS = ("everything", "alone", "without", "lost", "gained")


@dataclass(frozen=True, kw_only=True)
class Usefulness:
    """What models reach that are trained with all modalities, with each alone, and with all but one.

    scores (subset, seed, fold): of every trained model on the patients that it has not seen; subsets are named
        "image + labs". NaN where there is none, and `reasons` says why.
    everything: the mean score with all modalities. alone, without (modality): with this one only, with all others.
    lost (modality): everything - without, what nothing else makes up for. gained (modality): alone - chance.
    interval: the bounds of all these (bound: lower, upper). `chance` is the score of a model that knows nothing.
    verdict (modality): "useful", "useful alone, not beside the others", "harmful", "not shown to be useful", or
        "withheld: ...".
    """

    modalities: tuple[str, ...]
    metric: str
    chance: float
    scores: xr.DataArray
    settings: Mapping[str, Any]
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def everything(self) -> xr.DataArray:
        return _mean(self._cells("everything"))

    @property
    def alone(self) -> xr.DataArray:
        return _mean(self._cells("alone"))

    @property
    def without(self) -> xr.DataArray:
        return _mean(self._cells("without"))

    @property
    def lost(self) -> xr.DataArray:
        return _mean(self._cells("lost"))

    @property
    def gained(self) -> xr.DataArray:
        return _mean(self._cells("gained"))

    @property
    def interval(self) -> xr.Dataset:
        """The interval of every number, paired: both sides of a difference are of the same seed and fold."""
        bounds = {}
        for name in NUMBERS:
            cells = self._cells(name).transpose(..., "seed", "fold")
            if self.settings["intervals"] == "bootstrap":
                found = bootstrap_interval(cells.values, self.settings["confidence"], self.settings["seed"])
            else:
                flat = cells.values.reshape(*cells.shape[:-2], -1)
                found = corrected_interval(flat, self.settings["ratio"], self.settings["confidence"])
            means = _mean(cells)
            bounds[name] = xr.DataArray(found, dims=("bound", *means.dims), coords=means.coords)
        return xr.Dataset(bounds).assign_coords(bound=["lower", "upper"])

    @property
    def verdict(self) -> xr.DataArray:
        bounds = self.interval
        words = [self._verdict(bounds.sel(modality=name)) for name in self.modalities]
        return xr.DataArray(np.array(words, dtype=object), dims="modality", coords={"modality": list(self.modalities)})

    def table(self) -> Table:
        """All numbers with their intervals, as text."""
        bounds = self.interval

        def cell(name: str, words: Callable[[float], str], **at: str) -> str:
            return with_bounds(getattr(self, name).sel(at), bounds[name].sel(at), words)

        rows = [("all together", cell("everything", score), *[NOT_THERE] * 3, "")]
        for name in self.modalities:
            cells = (
                cell(number, words, modality=name)
                for number, words in (
                    ("alone", score),
                    ("without", score),
                    ("lost", difference),
                    ("gained", difference),
                )
            )
            rows.append((name, *cells, str(self.verdict.sel(modality=name).item())))
        return Table(
            title=f"What models reach that are trained with and without a modality ({metric_words(self.metric)}; chance {score(self.chance)})",
            columns=(
                "modality",
                "trained on it alone",
                "trained without it",
                "lost without it",
                "alone, above chance",
                "verdict",
            ),
            rows=tuple(rows),
            notes=(
                "Useful: models that are trained without it predict worse. What one trained model relies on is another question.",
                _interval_words(self.settings, self.scores),
                *(f"n/a: {name}: {why}." for name, why in self.reasons.items()),
                *self.notes,
            ),
        )

    def to_frame(self) -> pd.DataFrame:
        """Every number as a row: quantity, modality, value, lower, upper."""
        bounds = self.interval
        frames = []
        for name in NUMBERS:
            each = xr.Dataset(
                {"value": getattr(self, name)}
                | {one: bounds[name].sel(bound=one, drop=True) for one in ("lower", "upper")}
            )
            frame = (
                each.to_dataframe().reset_index()
                if each.sizes
                else pd.DataFrame([{k: float(v) for k, v in each.items()}])
            )
            frame.insert(0, "quantity", name)
            frames.append(frame)
        found = pd.concat(frames, ignore_index=True)
        return found[["quantity", "modality", "value", "lower", "upper"]]

    def plot(self, explanation: Explanation | None = None) -> Any:
        """A matplotlib Figure of what is lost without each modality and gained by it alone; with an Explanation, what
        its model relies on stands beside it.
        """
        return usefulness_figure(self, explanation)

    def __str__(self) -> str:
        return as_text(as_rich(self.table()), 150)

    def __rich_console__(self, console: Any, options: Any) -> Any:
        yield as_rich(self.table())

    def _cells(self, name: str) -> xr.DataArray:
        """A number of every seed and fold: (modality, seed, fold), or (seed, fold) of everything."""
        everything = self.scores.sel(subset=named(self.modalities), drop=True)
        match name:
            case "everything":
                return everything
            case "alone":
                return self._of_each(lambda one: (one,))
            case "without":
                return self._of_each(lambda one: tuple(other for other in self.modalities if other != one))
            case "gained":
                return self._cells("alone") - self.chance
            case _:
                return everything - self._cells("without")

    def _of_each(self, subset: Callable[[str], Subset]) -> xr.DataArray:
        names = [named(subset(name)) for name in self.modalities]
        return self.scores.sel(subset=names).rename(subset="modality").assign_coords(modality=list(self.modalities))

    def _verdict(self, bounds: xr.Dataset) -> str:
        lower, upper = bounds.sel(bound="lower"), bounds.sel(bound="upper")
        if np.isnan(float(lower["everything"])) or np.isnan(float(lower["lost"])):
            return "withheld: no interval"
        if float(lower["everything"]) <= self.chance:
            return "withheld: the models are no better than chance"
        if float(lower["lost"]) > 0:
            return "useful"
        if float(upper["lost"]) < 0:
            return "harmful"
        return "useful alone, not beside the others" if float(lower["gained"]) > 0 else "not shown to be useful"


def labelled(found: np.ndarray, subsets: Sequence[Subset]) -> xr.DataArray:
    """Scores (subset, seed, fold) with names on their axes."""
    return xr.DataArray(
        found, dims=("subset", "seed", "fold"), coords={"subset": [named(subset) for subset in subsets]}
    )


def named(subset: Sequence[str]) -> str:
    """A set of modalities in words: `image + labs`."""
    return " + ".join(subset)


def _mean(cells: xr.DataArray) -> xr.DataArray:
    return cells.mean(("seed", "fold"), skipna=True)


def _interval_words(settings: Mapping[str, Any], scores: xr.DataArray) -> str:
    cells = scores.sizes["seed"] * scores.sizes["fold"]
    way = (
        "corrected resampled t, Nadeau and Bengio 2003"
        if settings["intervals"] == "corrected"
        else "bootstrap over seeds and folds"
    )
    return (
        f"In brackets: the {100 * settings['confidence']:g} % interval over {cells} scores a row ({scores.sizes['seed']} x {scores.sizes['fold']} folds; {way}). "
        "Folds share training patients, so it is no confidence interval in the strict sense."
    )
