"""The figures of a leaderboard: error by measure, and the shares of a measure against their truth."""

from __future__ import annotations

from math import ceil
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.errors import InputError, listed, nearest
from modalens.plots.style import BLUE, GREY, LOOK, ORANGE, aside, axes_of, drawn, light_grid, name_rows, plain, titled

ACROSS = 4
"""Small panels side by side."""

NOTHING = "no shares can be held to a truth"


class Board(Protocol):
    """What `ml.validate` returns."""

    @property
    def table(self) -> pd.DataFrame: ...
    @property
    def scored(self) -> pd.DataFrame: ...
    def shares(self) -> pd.DataFrame: ...


def leaderboard_figure(board: Board) -> Figure:
    """Both on one page: the errors of all measures, and below, a small panel a measure, the best first."""
    names = _ranked(board)
    panels = ceil(len(names) / ACROSS)
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(8.2, 1.5 + 0.26 * len(names) + 2.15 * panels), layout="constrained")
        if not names:
            error_panel(board, ax=figure.subplots())
            return figure
        parts: Any = figure.subfigures(2, 1, height_ratios=[1.3 + 0.26 * len(names), 2.15 * panels], squeeze=False)
        error_panel(board, ax=parts[0, 0].subplots())
        axes = parts[1, 0].subplots(panels, ACROSS, squeeze=False, sharex=True, sharey=True)
        for place, ax in enumerate(axes.flat):
            if place >= len(names):
                ax.set_visible(False)
                continue
            truth_panel(board, names[place], ax=ax)
            if place + ACROSS < len(names):
                ax.set_xlabel("")
            else:
                ax.tick_params(labelbottom=True)
            if place % ACROSS:
                ax.set_ylabel("")
        return figure


@drawn
def error_panel(board: Board, *, ax: Axes | None = None) -> Axes:
    """How far the shares of each measure are from the truth, the best measure on top: a dot for the error pooled over problems,
    with its spread over seeds, a faint line for every single model, and a ring for the error against the paper's truth.
    """
    names = _ranked(board)
    ax = axes_of(ax, width=6.4, height=1.6 + 0.26 * max(len(names), 2))
    if not names:
        ax.set_axis_off()
        aside(ax, NOTHING)
        return ax
    table, runs = board.table.loc[names], board.scored
    for row, name in enumerate(names):
        own = runs.loc[runs["measure"] == name, "rmse"].dropna()
        label = "one model" if row == 0 else ""
        ax.plot(own, np.full(len(own), row), "|", color=GREY, alpha=0.35, markersize=7, label=label)
    places = np.arange(len(names))
    spread = table["rmse_sd"].fillna(0) if "rmse_sd" in table else None
    ax.errorbar(table["rmse"], places, xerr=spread, fmt="o", color=BLUE, markersize=5.5, capsize=2, elinewidth=1.2, label="against what it estimates, ± sd over seeds")  # fmt: skip
    if "paper_rmse" in table and table["paper_rmse"].notna().any():
        ax.plot(table["paper_rmse"], places, "o", markerfacecolor="none", color=ORANGE, markersize=6, label="against mean |gradient|, the paper's truth")  # fmt: skip
    name_rows(ax, names, width=30)
    light_grid(ax)
    ax.set_xlim(left=0)
    ax.set_xlabel("error of the shares (root of the mean square; 0.1 is ten points of a share)")
    titled(ax, "How far are the shares from the truth?", columns=1)
    return ax


@drawn
def truth_panel(board: Board, measure: str, *, ax: Axes | None = None) -> Axes:
    """The shares that one measure found against the true ones, in per cent: a dot a modality of a model that learned its
    problem; on the dashed line they agree. Raises InputError for a measure that the leaderboard does not hold.
    """
    names = _ranked(board)
    if measure not in names:
        raise InputError(
            f"measure={measure!r} has no shares on this leaderboard{nearest(measure, names)}: give one of {listed(names)}."
        )
    found = board.shares()
    found = found[found["learned"] & (found["measure"] == measure)]
    ax = axes_of(ax, width=2.9, height=2.9)
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.plot(100 * found["truth"], 100 * found["share"], "o", color=BLUE, markersize=3.5, alpha=0.5, markeredgewidth=0)
    ax.set_xlim(-4, 104)
    ax.set_ylim(-4, 104)
    ax.set_xticks([0, 50, 100])
    ax.set_yticks([0, 50, 100])
    ax.set_title(plain(measure), fontsize=8.5)
    ax.set_xlabel("true share (%)")
    ax.set_ylabel("measured (%)")
    return ax


def _ranked(board: Board) -> list[str]:
    """The measures whose shares can be held to a truth, the best first."""
    table = board.table
    return [str(name) for name in table.index[table["rmse"].notna()]] if "rmse" in table else []
