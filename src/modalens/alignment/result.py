"""What an audit found: scores beside baselines and what they can reach, what changes with the text, and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from rich.console import Group
from rich.text import Text
from sklearn.metrics import roc_auc_score

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.perturbations import RandomSentence, SwapLaterality, Template, TemplateOtherFinding
from modalens.alignment.records import Record
from modalens.alignment.scoring import STANDARD
from modalens.statistics import (
    DRAWS,
    MIN_CLUSTERS,
    average,
    bootstrap_weights,
    cluster_of,
    interval,
    uniform_weights,
)
from modalens.summary import as_rich
from modalens.summary.cells import Table
from modalens.summary.printed import as_text

AS_IT_IS = "as it is"
"""The condition in which nothing is changed."""

SWAP, RANDOM = SwapLaterality.name, RandomSentence.name
TEMPLATE, OTHER_FINDING = Template.name, TemplateOtherFinding.name

FORMAT = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Audit:
    """Whether a model's heat maps show what the phrases say, and whether the text matters.

    data: a Dataset with `value` (condition, score, record), `followed` (the same of a map that follows the text perfectly),
        `baseline_value` (baseline, score, record), `randomised_value` (level, score, record) where weights were drawn anew, `lowest` and
        `highest` (score, record), `divergence` and `opt_out` (condition, record), `flipped` (record), `evenness` (record: the entropy of
        each map as a share of the highest), `constant` (record: whether the map is the same everywhere), `member` (subset, record), and
        phrase, patient, image, side.
    `scores` (score, subset), `deltas` (condition, score, subset), `flip_rate`, `wrong_lung`, each with its interval in `interval`.
    `verdict` says in words whether the highlights follow left and right, and what helps; `words` are all findings.
    maps: by condition, the heat map of each record. records: what was audited, empty for an audit from a file without pictures.
    reasons: how often a score is NaN, and why.
    """

    data: xr.Dataset
    settings: Mapping[str, Any]
    reasons: Mapping[tuple[str, str], int] = field(default_factory=dict)
    maps: Mapping[str, Sequence[HeatMap | None]] = field(default_factory=dict, repr=False)
    records: Sequence[Record] = field(default_factory=tuple, repr=False)

    @property
    def verdict(self) -> str:
        """The first line: do the highlights follow "left" and "right", and which remedy helps."""
        return self.words[0]

    @cached_property
    def words(self) -> list[str]:
        """What was found, in sentences, the most important first."""
        from modalens.alignment.verdict import findings

        return findings(self)

    @cached_property
    def scores(self) -> xr.DataArray:
        """Mean scores (score, subset) of the phrases as they are; a NaN does not count (`reasons` says how many, and why)."""
        return self._means.scores

    @cached_property
    def baselines(self) -> xr.DataArray:
        """Mean scores (baseline, score, subset) of maps that know nothing of the text."""
        return self._means.baselines

    @cached_property
    def gains(self) -> xr.DataArray:
        """By how much scores exceed those of the baselines (baseline, score, subset), on the phrases where both are numbers."""
        return self._means.gains

    @cached_property
    def deltas(self) -> xr.DataArray:
        """By how much each score changes with the perturbation (condition, score, subset), on the records that it changes."""
        return self._means.deltas

    @cached_property
    def attainable_deltas(self) -> xr.DataArray:
        """The same of a map that follows the text perfectly."""
        return self._means.attainable

    @cached_property
    def flip_rate(self) -> xr.DataArray:
        """Of the records whose image shows the same finding in both lungs, the share whose map lies in the lung that the text
        names, and goes to the other one when the text does. The primary end-point: there, only the text can choose.
        """
        return self._means.flip_rate

    @cached_property
    def wrong_lung(self) -> xr.DataArray:
        """The share (condition) of the records of one lung with more of the map in the wrong half."""
        return self._means.wrong

    @cached_property
    def moved(self) -> xr.DataArray:
        """How far maps move (condition), in nats: the mean divergence from the map of the phrase as it is, on the records of
        `subset_of`.
        """
        return self._means.moved

    @cached_property
    def evenness(self) -> xr.DataArray:
        """The mean entropy of the maps, as a share of the highest that their grids allow: 1 for maps that say nothing."""
        return self._means.evenness

    @cached_property
    def randomised(self) -> xr.DataArray | None:
        """Mean scores (level, score) with the weights from each level to the output drawn anew, and first as they are, on the same
        records; None where no network was seen.
        """
        return self._means.randomised

    @cached_property
    def interval(self) -> xr.Dataset:
        """The interval (bound) of every mean, by drawing patients anew; NaN where fewer than five patients have the number."""
        weights = bootstrap_weights(self._patients, self.data.sizes["record"], int(self.settings["seed"]))
        found = interval(_Means(self.data, weights).dataset, float(self.settings["confidence"]))
        return found.where(self._patients_counted >= MIN_CLUSTERS)

    @cached_property
    def _patients_counted(self) -> xr.Dataset:
        """How many patients have a number, for every mean."""
        cluster = cluster_of(self._patients, self.data.sizes["record"])
        counted = []
        for start in range(0, cluster.max() + 1, DRAWS):
            own = np.arange(start, min(start + DRAWS, cluster.max() + 1))[:, None] == cluster
            alone = xr.DataArray(own / own.sum(axis=1, keepdims=True), dims=("draw", "sample"))
            counted.append(_Means(self.data, alone).dataset.notnull().sum("draw"))
        return reduce(add, counted)

    @property
    def opt_out_auroc(self) -> float:
        """How well the mass that attends to nothing tells a finding that is not there from one that is: AUROC over the plain
        sentence of each finding and the same of one that the study does not have. In the same words, since a model may know
        a template from a sentence of a report. NaN for a model without an opt-out, and where the two perturbations were not asked.
        """
        if not {TEMPLATE, OTHER_FINDING} <= set(self.conditions):
            return float("nan")
        there, absent = (self.data.opt_out.sel(condition=name).values for name in (TEMPLATE, OTHER_FINDING))
        both = ~(np.isnan(there) | np.isnan(absent))
        if not both.any():
            return float("nan")
        mass = np.concatenate([there[both], absent[both]])
        return float(roc_auc_score(np.repeat([0, 1], both.sum()), mass))

    @property
    def conditions(self) -> list[str]:
        """The phrases as they are, and every perturbation."""
        return [str(one) for one in self.data.condition.values]

    @property
    def standard(self) -> frozenset[str]:
        """The scores that every audit knows, by name."""
        return frozenset(one.name for one in STANDARD)

    @staticmethod
    def subset_of(condition: str) -> str:
        """On which records a perturbation is shown: the swap on those of one lung, where it says something."""
        return "one lung" if condition == SWAP else "all"

    def counted(self, subset: str = "all", condition: str = AS_IT_IS) -> int:
        """How many records of a subset a condition holds."""
        return int((self.data.member.sel(subset=subset) & (self.data.left_out.sel(condition=condition) == "")).sum())

    def left_out(self, condition: str) -> dict[str, int]:
        """Why located records were left out of a perturbation, and how many."""
        why = self.data.left_out.sel(condition=condition).values[self.data.member.sel(subset="all").values]
        names, counts = np.unique(why[why != ""].astype(str), return_counts=True)
        return dict(sorted(zip(map(str, names), map(int, counts), strict=True), key=lambda one: -one[1]))

    def to_frame(self) -> pd.DataFrame:
        """One row a record and condition: phrase, patient, image, and all scores."""
        frame = self.data.value.to_series().unstack("score")
        beside = self.data[["divergence", "opt_out", "phrase", "left_out"]].to_dataframe()
        about = self.data[["flipped", "patient", "image", "side"]].to_dataframe()
        return frame.join(beside, on=["condition", "record"]).join(about, on="record").reset_index()

    def tables(self) -> list[Table]:
        """Scores, perturbations, random weights, and what is NaN or left out, as text."""
        from modalens.alignment.tables import tables

        return tables(self)

    def plot(self, **kwargs: Any) -> Any:
        """A matplotlib Figure: scores beside baselines, changes beside attainable ones, and maps of some records."""
        from modalens.plots.audit import audit_figure

        return audit_figure(self, **kwargs)

    def save(self, path: str | Path, pictures: bool = False) -> Path:
        """Write one NetCDF file, with the heat maps; `Audit.load` reads it. pictures: write the records too, each picture once, as
        the model sees it, and the heat maps of single words; without them, nothing but numbers, names and phrases leaves the machine.
        Raises InputError where it can't be written, and where pictures are asked for and the audit has none.
        """
        from modalens.alignment.saving import saved

        return saved(self, path, pictures=pictures)

    @classmethod
    def load(cls, path: str | Path) -> Audit:
        """Read what `save` wrote; nothing in it is executed. Raises InputError for any other file."""
        from modalens.alignment.saving import loaded

        return loaded(path)

    def write(self, folder: str | Path, pictures: bool = False) -> list[Path]:
        """Write `audit.nc`, `.csv`, `.svg`, `.png` and a page, `.html`, and say which files there are. pictures: keep all of
        them in `audit.nc`, as `save` does, and show some in the figure and the page; without it no file holds a picture of a patient.
        """
        from modalens.report.audit import write_audit

        return write_audit(self, folder, pictures=pictures)

    def __str__(self) -> str:
        return as_text(self._shown(), 180)

    def __rich_console__(self, console: Any, options: Any) -> Any:
        yield self._shown()

    def _shown(self) -> Group:
        first, *others = self.words
        return Group(Text(first, style="bold"), *(Text(f"• {one}") for one in others), *map(as_rich, self.tables()))

    @cached_property
    def _means(self) -> _Means:
        return _Means(self.data, uniform_weights(self.data.sizes["record"]))

    @cached_property
    def _patients(self) -> np.ndarray:
        return np.asarray(self.data.patient.values, dtype=str)


@dataclass(frozen=True, eq=False)
class _Means:
    """All means under one set of weights over records: the estimates, or those of every bootstrap draw."""

    data: xr.Dataset
    weights: xr.DataArray

    def mean(self, values: xr.DataArray) -> xr.DataArray:
        """Over the records where the value is a number."""
        return average(values.rename(record="sample"), self.weights)

    @property
    def scores(self) -> xr.DataArray:
        return self.mean(self._as_it_is.where(self.data.member))

    @property
    def baselines(self) -> xr.DataArray:
        return self.mean(self.data.baseline_value.where(self.data.member))

    @property
    def gains(self) -> xr.DataArray:
        """By how much the model's scores exceed those of the baselines (baseline, score, subset), in pairs."""
        return self.mean((self._as_it_is - self.data.baseline_value).where(self.data.member))

    @property
    def deltas(self) -> xr.DataArray:
        return self.mean((self._changed - self._as_it_is).where(self.data.member))

    @property
    def attainable(self) -> xr.DataArray:
        followed = self.data.followed
        return self.mean(
            (followed.isel(condition=slice(1, None)) - followed.isel(condition=0, drop=True)).where(self.data.member)
        )

    @property
    def flip_rate(self) -> xr.DataArray:
        return self.mean(self.data.flipped)

    @property
    def wrong(self) -> xr.DataArray:
        return self.mean(
            self.data.value.sel(score="wrong_lung", drop=True).where(self.data.member.sel(subset="one lung", drop=True))
        )

    @property
    def moved(self) -> xr.DataArray:
        moved, member = self.data.divergence.isel(condition=slice(1, None)), self.data.member
        every, one_lung = (member.sel(subset=subset, drop=True) for subset in ("all", Audit.subset_of(SWAP)))
        return self.mean(moved.where(one_lung.where(moved.condition == SWAP, every)))

    @property
    def evenness(self) -> xr.DataArray:
        return self.mean(self.data.evenness)

    @property
    def randomised(self) -> xr.DataArray | None:
        return None if self._randomised is None else self.mean(self._randomised)

    @property
    def lost(self) -> xr.DataArray | None:
        """By how much the scores as trained exceed those of weights drawn anew (level, score), in pairs."""
        found = self._randomised
        return None if found is None else self.mean(found.isel(level=0, drop=True) - found)

    @property
    def _randomised(self) -> xr.DataArray | None:
        """Scores (level, score, record) as trained and of weights drawn anew, of the records of which both were asked."""
        if "randomised_value" not in self.data:
            return None
        drawn = self.data.randomised_value
        there = drawn.sel(score="auroc", drop=True).isel(level=0, drop=True).notnull()
        trained = self._as_it_is.expand_dims(level=["as trained"])
        return xr.concat([trained, drawn], "level").where(there)

    @property
    def _as_it_is(self) -> xr.DataArray:
        return self.data.value.sel(condition=AS_IT_IS, drop=True)

    @property
    def _changed(self) -> xr.DataArray:
        return self.data.value.isel(condition=slice(1, None))

    @property
    def dataset(self) -> xr.Dataset:
        """Every mean by name; without perturbations there are no changes."""
        found = {
            name: getattr(self, name)
            for name in (
                "scores",
                "baselines",
                "gains",
                "deltas",
                "flip_rate",
                "wrong",
                "moved",
                "evenness",
                "randomised",
                "lost",
            )
        }
        # The changes start where the phrases as they are end: axes of one name must hold the same.
        found["wrong"] = found["wrong"].rename(condition="every_condition")
        return xr.Dataset({name: one for name, one in found.items() if one is not None and one.size})
