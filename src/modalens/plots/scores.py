"""The figure of what the model's score rests on: each modality, and combining them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.plots.style import ERROR_BAR, SERIES, axes_of, drawn, light_grid, name_rows, titled, whiskers
from modalens.reading import Kind, bounds_of, results_of

TOGETHER = "all of them together"

BARS: dict[Kind, tuple[tuple[str, str], ...]] = {
    "shape": (("Shapley value (SHAPE)", "values"), ("cooperation (SHAPE)", "cooperation")),
    "perceptual_score": (("another patient's (perceptual score)", "values"),),
    "emap": (("combining (EMAP)", "gap"),),
}
"""What is drawn of each measure, and its array: of single modalities, or of all of them together."""


def score_parts(explanation: Explanation) -> list[tuple[str, Result, str]]:
    """What there is to draw: in words, the result, and its array."""
    return list(_parts(explanation))


def _parts(explanation: Explanation) -> Iterator[tuple[str, Result, str]]:
    for kind, bars in BARS.items():
        found = results_of(explanation, kind)
        for name, result in found.items():
            for words, array in bars:
                yield f"{words}{'' if len(found) == 1 else f' {name}'}", result, array


@drawn
def scores(explanation: Explanation, *, ax: Axes | None = None) -> Axes:
    """What the model's score rests on, in units of the score: bars by modality (SHAPE, perceptual score), and of combining
    them (SHAPE's cooperation, EMAP's gap), with intervals.

    Raises InputError where the explanation has none of these.
    """
    parts = score_parts(explanation)
    if not parts:
        raise InputError(
            f"this needs the measure SHAPE, PerceptualScore or EMAP, and the explanation holds {listed(explanation.results)}: explain(..., measures=[ml.SHAPE(), ml.EMAP()], labels=...)."
        )
    single = [part for part in parts if "modality" in part[1].array(part[2]).dims]
    joint = [part for part in parts if part not in single]
    names = [*(explanation.modalities if single else ()), *((TOGETHER,) if joint else ())]
    ax = axes_of(ax, height=1.3 + 0.24 * len(names) * (max(len(single), len(joint)) + 1))
    for group, first in ((single, 0), (joint, len(names) - 1)):
        thickness = 0.8 / max(len(group), 1)
        for place, (words, result, array) in enumerate(group):
            values = np.atleast_1d(np.asarray(result.array(array).values, dtype=float))
            at = first + np.arange(len(values)) + (place - (len(group) - 1) / 2) * thickness
            colour = SERIES[(place if group is single else len(single) + place) % len(SERIES)]
            ax.barh(at, np.nan_to_num(values), height=0.92 * thickness, color=colour, label=words)
            bounds = bounds_of(result, array)
            lengths = whiskers(values, bounds)
            if lengths is not None:
                ax.errorbar(values, at, xerr=np.reshape(lengths, (2, -1)), **ERROR_BAR)
    ax.axvline(0, color="black", linewidth=0.8)
    name_rows(ax, names)
    metrics = dict.fromkeys(str(result.settings["metric"]) for _, result, _ in parts)
    ax.set_xlabel(f"part of the score ({', '.join(metrics)})")
    light_grid(ax)
    titled(ax, "What the score rests on", columns=2)
    return ax
