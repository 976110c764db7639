"""The figures beside the page, readable in grey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .compare import Comparison, Measured
from .page import MIB, Results, along, keys
from .targets import largest, number

LOOKS: dict[str, dict[str, Any]] = {
    "modalens": {"color": "black", "marker": "o", "linestyle": "-", "linewidth": 2.2},
    "captum": {"color": "0.55", "marker": "s", "linestyle": "-"},
    "shap_exact": {"color": "0.35", "marker": "^", "linestyle": "--"},
    "shap_kernel": {"color": "0.55", "marker": "v", "linestyle": "-."},
    "shapiq": {"color": "0.35", "marker": "D", "linestyle": ":"},
    "plain_loop": {"color": "0.7", "marker": "P", "linestyle": "--"},
    "cached_loop": {"color": "0.2", "marker": "x", "linestyle": ":"},
    "split_loop": {"color": "0.2", "marker": "+", "linestyle": "-."},
}
"""Told apart by marker and line, so that no colour is needed."""


def draw(results: Results, folder: Path) -> None:
    """All figures into the folder; the same numbers give the same files."""
    with matplotlib.rc_context({"svg.hashsalt": "modalens", "font.size": 9, "svg.fonttype": "none"}):
        standings(largest(results.comparisons, lambda one: one.case.background > 0), folder / "speed.svg")
        modalities(results, folder / "speed-modalities.svg")
        samples(results, folder / "speed-samples.svg")


def standings(comparison: Comparison, path: Path) -> None:
    """Every rival's seconds on one case, the fastest on top."""
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(comparison.measured, key=lambda one: -one.median)
    for place, one in enumerate(ordered):
        shade = "black" if "modalens" in one.rival.libraries else "0.55"
        axes.plot([min(one.seconds), max(one.seconds)], [place, place], color=shade, linewidth=2)
        axes.plot(one.median, place, color=shade, marker="o" if shade == "black" else "s", markersize=6)
        axes.annotate(
            f"{number(one.median)} s",
            (max(one.seconds), place),
            va="center",
            xytext=(8, 0),
            textcoords="offset points",
        )
    axes.set_yticks(range(len(ordered)), [one.rival.words for one in ordered])
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("seconds (median, and range of all runs)")
    axes.set_title(comparison.case.words, fontsize=9, loc="left")
    finish(axes)
    save(figure, path)


def modalities(results: Results, path: Path) -> None:
    """Seconds along the number of modalities; where a rival was stopped, its line ends at the limit."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for key in keys(results.by_modalities):
        found = along(results.by_modalities, key)
        line(axes, key, found, [one.case.modalities for one in found], [one.median for one in found])
        for one in (one for comparison in results.by_modalities for one in comparison.measured):
            if one.rival.key == key and one.stopped:
                ends = ([found[-1].case.modalities] if found else []) + [one.case.modalities]
                heights = ([found[-1].median] if found else []) + [results.suite.limit]
                axes.plot(ends, heights, color=LOOKS[key]["color"], linestyle=LOOKS[key]["linestyle"], linewidth=1)
                axes.plot(ends[-1], heights[-1], color=LOOKS[key]["color"], marker="$>$", markersize=9)
    axes.axhline(results.suite.limit, color="0.8", linewidth=0.8)
    axes.annotate(
        f"stopped after {results.suite.limit:g} s",
        (0.01, results.suite.limit),
        xycoords=("axes fraction", "data"),
        va="bottom",
        fontsize=8,
    )
    axes.set_yscale("log")
    axes.set_xlabel("modalities")
    axes.set_ylabel("seconds (median)")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    finish(axes)
    save(figure, path)


def samples(results: Results, path: Path) -> None:
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for key in keys(results.by_samples):
        found = along(results.by_samples, key)
        counts = [one.case.samples for one in found]
        line(left, key, found, counts, [one.median for one in found])
        line(right, key, found, counts, [one.run_bytes / MIB for one in found])
    inputs = along(results.by_samples, "modalens")
    right.plot(
        [one.case.samples for one in inputs],
        [one.input_bytes / MIB for one in inputs],
        color="0.6",
        linestyle=(0, (1, 3)),
        label="inputs",
    )
    left.set_ylabel("seconds (median)")
    right.set_ylabel("peak MiB")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("samples")
        axes.set_xticks([one.case.samples for one in inputs], [f"{one.case.samples:,}" for one in inputs])
        finish(axes)
    left.set_yscale("log")
    right.set_ylim(bottom=0)
    right.legend(frameon=False, fontsize=8)
    save(figure, path)


def line(axes: Axes, key: str, found: list[Measured], across: list[int], up: list[float]) -> None:
    if found:
        axes.plot(across, up, label=found[0].rival.words, markersize=5, **LOOKS[key])


def finish(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None})
