"""What a planting found: the planted share beside the measured one, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from rich.console import Group
from rich.text import Text

from modalens.explanation import Explanation
from modalens.planting.measured import OWN_PART
from modalens.planting.verdicts import judged, together
from modalens.plots.planting import planting_figure
from modalens.reading import bounds_of, result_of
from modalens.summary import as_rich
from modalens.summary.cells import Table
from modalens.summary.printed import as_text
from modalens.summary.wording import NOT_THERE, rounded_percent, score, with_bounds

Way = Literal["mixed", "trained"]
"""Whether the contribution was mixed into a trained model, or models were trained on marked patients."""


@dataclass(frozen=True, kw_only=True)
class Opposite:
    """A model that can know nothing, explained: its shares for the planted modalities, (view), and the verdicts on use
    that it was given on shuffled labels, by modality; none where there are no labels.
    """

    name: str
    explanation: Explanation
    shares: xr.Dataset

    @property
    def verdicts(self) -> dict[str, str]:
        reliance = result_of(self.explanation, "reliance")
        if reliance is None:
            return {}
        return {str(name): str(reliance.verdict.sel(modality=name).item()) for name in reliance.verdict.modality.values}

    @property
    def confident(self) -> tuple[str, ...]:
        """The modalities of which a verdict says that they are used or ignored."""
        return tuple(name for name, verdict in self.verdicts.items() if not verdict.startswith("withheld"))

    @property
    def words(self) -> str:
        """Whether a verdict was given, and how well this model predicts."""
        reliance = result_of(self.explanation, "reliance")
        if reliance is None:
            return f"A model with {self.name}: without labels=, nothing tells how well it predicts."
        reached = with_bounds(reliance.everything, bounds_of(reliance, "everything"), score)
        said = "; ".join(f"{name}: {verdict}" for name, verdict in self.verdicts.items())
        return f"A model with {self.name} reaches {reached} on shuffled labels. Verdicts: {said}."


@dataclass(frozen=True, kw_only=True)
class Planting:
    """A shortcut of known size, and what the measures say of it.

    planted (step): the share that was planted. Of a trained model the share that was mixed in; of retrained ones what
        their own behaviour says: the share of patients whose predicted class changes with the mark alone (of values: of
        the outputs' variance).
    measured (step, view): value, lower, upper; the share that each view gives to the planted modality, or to the
        interaction, and that of the part in which the mark lies.
    on_top (step): whether the part in which the mark lies is the top part of its modality.
    opposites: models with randomised weights or labels. verdicts (view), and `verdict` over all of them.
    explanations: by step.
    """

    way: Way
    markers: tuple[str, ...]
    words: str
    planted: xr.DataArray
    measured: xr.Dataset
    on_top: xr.DataArray
    opposites: tuple[Opposite, ...] = ()
    explanations: Mapping[float, Explanation] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def verdicts(self) -> xr.DataArray:
        found = self._by_view()
        return xr.DataArray(np.array(list(found.values()), dtype=object), dims="view", coords={"view": list(found)})

    @property
    def verdict(self) -> str:
        """In words: "found: ...", "not found: ..." or "withheld: ..."."""
        used = float(self.planted.max())
        unused = (
            f"the retrained models hardly use the mark (it changes {rounded_percent(used)} at most)"
            if self.way == "trained" and used < 0.05
            else ""
        )
        confident = [f"{one.name}, {name}" for one in self.opposites for name in one.confident]
        return together(self._by_view(), confident=confident, unused=unused)

    def _by_view(self) -> dict[str, str]:
        top = bool(self.on_top.isel(step=int(self.planted.values.argmax())))
        found = {}
        for view in map(str, self.measured.view.values):
            one = self.measured.sel(view=view)
            numbers = (one[name].values for name in ("value", "lower", "upper"))
            found[view] = judged(self.planted.values, *numbers, on_top=top or view != OWN_PART)
        return found

    def tables(self) -> list[Table]:
        """The shares with their intervals, as text, and what models say that can know nothing."""
        views = list(map(str, self.measured.view.values))
        rows = []
        for place, step in enumerate(self.planted.step.values):
            cells = [self._cell(self.measured.sel(view=view).isel(step=place)) for view in views]
            agreeing = [f"{step:g}"] if self.way == "trained" else []
            rows.append((rounded_percent(float(self.planted[place])), *agreeing, *cells))
        first = ("planted",) if self.way == "mixed" else ("changed by the mark alone", "agrees with the label")
        tables = [
            Table(
                title=f"What was planted in {' and '.join(self.markers)}, and what is measured",
                columns=(*first, *views),
                rows=tuple(rows),
                notes=(
                    f"Planted: {self.words}.",
                    *(f"{view}: {verdict}." for view, verdict in self._by_view().items()),
                ),
            )
        ]
        if self.opposites:
            rows = [
                (
                    one.name,
                    *(
                        self._cell(one.shares.sel(view=view)) if view in one.shares.view.values else NOT_THERE
                        for view in views
                    ),
                )
                for one in self.opposites
            ]
            tables.append(
                Table(
                    title=f"Models that can know nothing: the share of {' and '.join(self.markers)}",
                    columns=("model", *views),
                    rows=tuple(rows),
                    notes=(*(one.words for one in self.opposites), *self.notes),
                )
            )
        return tables

    def to_frame(self) -> pd.DataFrame:
        """Every measured share as a row: step, planted, view, value, lower, upper; those of randomised models with
        their name as step.
        """
        frame = self.measured.to_dataframe().reset_index()
        frame["planted"] = frame["step"].map(dict(zip(self.planted.step.values, self.planted.values, strict=True)))
        rows = [one.shares.to_dataframe().reset_index().assign(step=one.name, planted=np.nan) for one in self.opposites]
        found = pd.concat([frame.astype({"step": object}), *rows], ignore_index=True)
        return found[["step", "planted", "view", "value", "lower", "upper"]]

    def plot(self) -> Any:
        """A matplotlib Figure: planted share against measured share, with intervals and the diagonal; models that can
        know nothing stand apart.
        """
        return planting_figure(self)

    def __str__(self) -> str:
        return as_text(self._shown(), 150)

    def __rich_console__(self, console: Any, options: Any) -> Any:
        yield self._shown()

    def _shown(self) -> Group:
        return Group(Text(f"Would a shortcut be seen? {self.verdict}", style="bold"), *map(as_rich, self.tables()))

    def _cell(self, one: xr.Dataset) -> str:
        bounds = xr.concat([one["lower"], one["upper"]], dim="bound").assign_coords(bound=["lower", "upper"])
        return with_bounds(one["value"], bounds, rounded_percent)
