"""The figure of two models on the same patients: how far their shares lie apart, with paired intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from modalens.errors import InputError, listed
from modalens.explanation import Comparison
from modalens.plots.style import BLUE, GREY, aside, axes_of, drawn, light_grid, name_rows, plain, titled
from modalens.reading import AS_A_WHOLE, PART_BY_PART, SHAPLEY

INTERACTION = "interaction (InterSHAP)"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """By how much a share of the second model is larger than that of the first. what: which share, how it was asked for, such as
    `hidden as a whole`; of: the modality, or the output where each is scored by itself. lower, upper: NaN without an interval.
    """

    what: str
    of: str
    value: float
    lower: float
    upper: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.lower > 0 or self.upper < 0


def differences_of(comparison: Comparison) -> list[Difference]:
    """The differences of shares of modalities, in every way to ask for them, and of interaction.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.ones((1, 1)), "b": np.ones((1, 1))}
    >>> settings = {"measures": [ml.Shapley()], "baseline": "zeros", "output": "raw", "progress": False}
    >>> one = ml.explain(lambda a, b: a[:, 0] + b[:, 0], inputs, **settings)
    >>> two = ml.explain(lambda a, b: 3 * a[:, 0] + b[:, 0], inputs, **settings)
    >>> [(found.what, found.of, found.value) for found in differences_of(ml.compare(one, two))]
    [('Shapley value', 'a', 0.25), ('Shapley value', 'b', -0.25)]
    """
    return [
        found
        for measure, differences in comparison.differences.items()
        for what, array in _ways(measure, differences)
        for found in _each(what, differences[array], comparison.interval[measure].get(array))
    ]


@drawn
def comparison(
    comparison: Comparison, *, names: tuple[str, str] | None = None, top: int = 30, ax: Axes | None = None
) -> Axes:
    """A forest plot of two models on the same patients: by how many percentage points each share of the second is larger than that
    of the first, with paired intervals. A filled dot: the interval leaves out 0; an open one: it holds 0, or there is none.

    `names` stand for the two models, the models' own unless given. The first `top` differences are shown. Raises InputError
    where the two share no measure of modalities or interaction.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(30, 1)), "b": np.random.default_rng(1).normal(size=(30, 1))}
    >>> settings = {"measures": [ml.Shapley()], "baseline": "zeros", "output": "raw", "progress": False}
    >>> one = ml.explain(lambda a, b: a[:, 0] + b[:, 0], inputs, **settings)
    >>> two = ml.explain(lambda a, b: 3 * a[:, 0] + b[:, 0], inputs, **settings)
    >>> [label.get_text() for label in plots.comparison(ml.compare(one, two)).get_yticklabels()]
    ['a: Shapley value', 'b: Shapley value']
    """
    found = differences_of(comparison)
    if not found:
        raise InputError(
            f"this needs shares of modalities that both explanations have, and they share {listed(comparison.differences)}: explain(..., measures=[ml.Occlusion(), ml.InterSHAP()])."
        )
    shown = found[:top]
    ax = axes_of(ax, width=6.6, height=1.3 + 0.27 * len(shown))
    rows = np.arange(len(shown))
    values = 100 * np.array([one.value for one in shown])
    ends = 100 * np.array([[one.lower, one.upper] for one in shown])
    known = ~np.isnan(ends).any(axis=1)
    ax.hlines(rows[known], ends[known, 0], ends[known, 1], color=BLUE, linewidth=1.3, zorder=3)
    for clear, face, label in (
        (True, BLUE, "the interval leaves out 0"),
        (False, "white", "it holds 0, or there is none"),
    ):
        which = np.array([one.is_clear == clear for one in shown])
        ax.plot(values[which], rows[which], "o", color=BLUE, markerfacecolor=face, markersize=5, label=label, zorder=4)
    ax.axvline(0, color="#333333", linewidth=0.8)
    for start in range(1, len(shown)):
        if shown[start].what != shown[start - 1].what:
            ax.axhline(start - 0.5, color=GREY, linewidth=0.4)
    name_rows(ax, [f"{one.of}: {one.what}" if one.of else one.what for one in shown], width=44)
    if np.isnan(values).any():
        aside(ax, "a missing dot: not defined")
    light_grid(ax)
    first, second = names or comparison.names
    more = f"\n{len(found) - top} more are not shown" if len(found) > top else ""
    ax.set_xlabel(plain(f"percentage points: {second} minus {first}{more}"))
    titled(ax, "Two models on the same patients", columns=2)
    return ax


def _ways(measure: str, differences: xr.Dataset) -> Iterator[tuple[str, str]]:
    """The shares that a measure has, told by its arrays: how they were asked for, and the array."""
    if "anchor" in differences:
        yield from ((PART_BY_PART, "contribution"), (AS_A_WHOLE, "anchor"))
    elif "matrix" in differences:
        yield INTERACTION, "score"
    elif "contribution" in differences:
        yield SHAPLEY if measure == "shapley" else measure.replace("_", " "), "contribution"


def _each(what: str, array: xr.DataArray, bounds: xr.DataArray | None) -> Iterator[Difference]:
    """A difference for each modality or output."""
    axis = str(array.dims[0]) if array.dims else ""
    for name in array[axis].values if axis else [""]:
        at = {axis: name} if axis else {}
        lower, upper = (
            (float("nan"),) * 2
            if bounds is None
            else (float(bounds.sel(at).sel(bound=bound)) for bound in ("lower", "upper"))
        )
        yield Difference(what=what, of=str(name), value=float(array.sel(at)), lower=lower, upper=upper)
