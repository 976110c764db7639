"""The figure of two models on the same patients: how far their shares lie apart, with paired intervals."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from modalens.errors import InputError, listed
from modalens.explanation import Comparison
from modalens.paired import differences_of
from modalens.plots.style import BLUE, GREY, aside, axes_of, drawn, light_grid, name_rows, plain, titled


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
    found = [one for one in differences_of(comparison) if one.is_share]
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
