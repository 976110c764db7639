"""The figure of a leaderboard: error by measure, and every share against its truth."""

from __future__ import annotations

from math import ceil
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.plots.style import BLUE, GREY, LOOK, ORANGE, light_grid, name_rows, titled

ACROSS = 4
"""Small panels side by side."""


def leaderboard_figure(table: pd.DataFrame, runs: pd.DataFrame, shares: pd.DataFrame) -> Figure:
    """`table`: a row a measure, the best first, with rmse and its spread; `runs`: a row a run; `shares`: a row a run and
    modality.
    """
    ranked = table[table["rmse"].notna()]
    names = [str(name) for name in ranked.index]
    panels = ceil(len(names) / ACROSS)
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(8.2, 1.1 + 0.26 * len(names) + 2.15 * panels), layout="constrained")
        if not names:
            figure.text(0.5, 0.5, "No shares can be held to a truth.", ha="center")
            return figure
        parts: Any = figure.subfigures(2, 1, height_ratios=[0.9 + 0.26 * len(names), 2.15 * panels], squeeze=False)
        _errors(parts[0, 0].subplots(), names, ranked, runs)
        axes = parts[1, 0].subplots(panels, ACROSS, squeeze=False, sharex=True, sharey=True)
        learned = shares[shares["learned"]]
        for place, ax in enumerate(axes.flat):
            if place < len(names):
                _against_truth(ax, names[place], learned[learned["measure"] == names[place]], bottom=place + ACROSS >= len(names), left=place % ACROSS == 0)  # fmt: skip
            else:
                ax.set_visible(False)
        return figure


def _errors(ax: Axes, names: list[str], table: pd.DataFrame, runs: pd.DataFrame) -> None:
    """A dot for the pooled error with its spread over seeds, and a faint one for every single run; the error against the
    paper's truth as a ring.
    """
    for row, name in enumerate(names):
        own = runs.loc[runs["measure"] == name, "rmse"].dropna()
        ax.plot(
            own,
            np.full(len(own), row),
            "|",
            color=GREY,
            alpha=0.35,
            markersize=7,
            label="one model" if row == 0 else "",
        )
    places = np.arange(len(names))
    spread = table["rmse_sd"].fillna(0) if "rmse_sd" in table else None
    ax.errorbar(table["rmse"], places, xerr=spread, fmt="o", color=BLUE, markersize=5.5, capsize=2, elinewidth=1.2, label="against what it estimates, ± sd over seeds")  # fmt: skip
    if "paper_rmse" in table:
        ax.plot(table["paper_rmse"], places, "o", markerfacecolor="none", color=ORANGE, markersize=6, label="against mean |gradient|, the paper's truth")  # fmt: skip
    name_rows(ax, names, width=30)
    light_grid(ax)
    ax.set_xlim(left=0)
    ax.set_xlabel("error of the shares (RMSE)")
    titled(ax, "How far are the shares from the truth?", columns=3)


def _against_truth(ax: Axes, name: str, shares: pd.DataFrame, *, bottom: bool, left: bool) -> None:
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.plot(
        100 * shares["truth"], 100 * shares["share"], "o", color=BLUE, markersize=2.8, alpha=0.45, markeredgewidth=0
    )
    ax.set_xlim(-4, 104)
    ax.set_ylim(-4, 104)
    ax.set_xticks([0, 50, 100])
    ax.set_yticks([0, 50, 100])
    ax.set_title(name, fontsize=8.5)
    if bottom:
        ax.set_xlabel("true share (%)")
        ax.tick_params(labelbottom=True)
    if left:
        ax.set_ylabel("measured (%)")
