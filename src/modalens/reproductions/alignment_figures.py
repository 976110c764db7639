"""Figures of the alignment experiments: the end-point by recipe and seed, and maps before and after the swap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from modalens.alignment.contrast.recipes import RECIPES, trained
from modalens.alignment.laterality import swap_laterality
from modalens.alignment.phantom import Phantom
from modalens.alignment.subsets import counterparts
from modalens.plots.audit import map_over_image, over_even, strongest
from modalens.plots.style import BLUE, LOOK, VERMILION, light_grid, name_rows, titled


def end_point(rates: Mapping[str, tuple[Sequence[float], bool]]) -> Figure:
    """A dot a seed: the flip rate of each recipe, failures in red."""
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(7.4, 1.0 + 0.34 * len(rates)), layout="constrained")
        ax = figure.subplots()
        for row, (found, failure) in enumerate(rates.values()):
            ax.plot(
                found, np.full(len(found), row), "o", color=VERMILION if failure else BLUE, alpha=0.75, markersize=5
            )
        for colour, words in ((VERMILION, "expected to fail"), (BLUE, "expected to follow, at least in part")):
            ax.plot([], [], "o", color=colour, label=words)
        ax.axvline(0.25, color="#999999", linewidth=0.8, linestyle=":")
        name_rows(ax, list(rates), width=58)
        ax.set_xlim(-0.03, 1.03)
        ax.set_xlabel("flip rate on bilateral studies (dotted: a map drawn at random)")
        light_grid(ax)
        titled(ax, "Does the map change lungs when the text does?", columns=2)
        return figure


def maps_before_and_after(names: Sequence[str], studies: int, steps: int) -> Figure:
    """A row a recipe: a bilateral study with its region, the map of the sentence, the map of the swapped one."""
    test = Phantom().records(60, seed=9000)
    place = next(place for place, other in enumerate(counterparts(test)) if other is not None)
    record = test[place]
    swapped = swap_laterality(record.phrase)
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(7.2, 2.5 * len(names)), layout="constrained")
        axes = figure.subplots(len(names), 3, squeeze=False)
        for row, name in zip(axes, names, strict=True):
            model, _ = trained(name, 0, studies=studies, steps=steps, progress=False)
            found = model.heat_maps([record.pixels()] * 2, [record.phrase, swapped])
            before, after = (over_even(map.on(record.size)) for map in found)
            largest = strongest((before, after))
            map_over_image(
                record.pixels(), np.zeros(record.size), truth=record.truth, title=RECIPES[name].words, ax=row[0]
            )
            map_over_image(
                record.pixels(), before, truth=record.truth, title=f"“{record.phrase}”", largest=largest, ax=row[1]
            )
            map_over_image(record.pixels(), after, truth=record.truth, title=f"“{swapped}”", largest=largest, ax=row[2])
        return figure
