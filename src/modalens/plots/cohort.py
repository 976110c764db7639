"""Figures of the explained patients: who they are, whether predictions are what is observed, and how subgroups differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from modalens import cohort
from modalens.cohort import Flow, Subgroups
from modalens.cohort.calibration import questions
from modalens.cohort.predictions import predictions_of
from modalens.errors import InputError, listed, nearest
from modalens.explanation import Explanation
from modalens.plots.style import BLUE, ERROR_BAR, GREY, SKY, VERMILION, axes_of, drawn, light_grid, plain, wrapped
from modalens.reading import space_words

FAINT = "#DDDDDD"

STRIP = 0.22
"""The height of the histogram beneath a calibration curve, as a share of the curve's."""

MOST_COMBINATIONS = 12
"""Sets of modalities that have a row of their own, the most frequent."""


@drawn
def cohort_flow(explanation: Explanation | Flow, *, ax: Axes | None = None) -> Axes:
    """Who is in the data: a bar for each set of modalities that samples have, with dots for the modalities that are in
    it; above it how many samples there are, of how many patients, with which labels, beside which background.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> inputs = {"ct": np.ones((4, 2)), "labs": np.ones((4, 1))}
    >>> explanation = ml.explain(lambda ct, labs: ct.mean(1) / 2, inputs, present={"labs": [True, True, True, False]}, measures=[ml.Occlusion()], baseline="zeros", progress=False)
    >>> [int(bar.get_width()) for bar in plots.cohort_flow(explanation).patches]
    [3, 1]
    """
    found = explanation if isinstance(explanation, Flow) else cohort.flow(explanation)
    names = list(found.by_modality)
    combinations = sorted(found.by_combination.items(), key=lambda pair: -pair[1])
    rows, rest = combinations[:MOST_COMBINATIONS], combinations[MOST_COMBINATIONS:]
    ax = axes_of(ax, width=6.2, height=2.1 + 0.3 * len(rows))
    most = max(count for _, count in rows)
    step = 0.075 * most
    places = [-step * (len(names) - place) for place in range(len(names))]
    ax.barh(range(len(rows)), [count for _, count in rows], height=0.62, color=BLUE, zorder=3)
    for row, (name, count) in enumerate(rows):
        own = set(name.split(" + "))
        inside = [place for place, modality in zip(places, names, strict=True) if modality in own]
        ax.scatter(places, [row] * len(places), s=34, color=FAINT, zorder=2)
        ax.plot(inside, [row] * len(inside), marker="o", markersize=5.8, color="#222222", linewidth=1.6, zorder=3)
        ax.annotate(f"{count:,}  ({_percent(count / found.samples)})", (count, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    for place, name in zip(places, names, strict=True):
        said = f"{wrapped(name, 26)} ({found.by_modality[name]:,})"
        ax.annotate(said, (place, len(rows) - 0.5), xytext=(3, -1), textcoords="offset points", ha="right", va="top", rotation=40, rotation_mode="anchor", fontsize=8)  # fmt: skip
    ax.set_yticks([])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(places[0] - 0.7 * step, 1.22 * most)
    ax.set_xticks([])
    ax.spines[["left", "right", "top", "bottom"]].set_visible(False)
    ax.vlines(0, -0.5, len(rows) - 0.5, color="#333333", linewidth=0.7)
    more = f"; {len(rest)} rarer sets: {sum(count for _, count in rest):,} samples" if rest else ""
    about = f"{_who(found)}\nBars: samples by the modalities that they have{more}."
    ax.set_title("Who was explained", pad=6 + 11.5 * (1 + about.count("\n")))
    ax.text(0, 1.0, plain(about), transform=ax.transAxes, fontsize=8, va="bottom", linespacing=1.25)
    return ax


def _who(found: Flow) -> str:
    """The samples, their patients, labels and background in a few lines."""
    of = "" if found.groups is None else f" of {found.groups:,} patients"
    lines = [f"{found.samples:,} samples{of} were explained."]
    if found.by_class:
        lines.append("Labels: " + ", ".join(f"{name} {count:,}" for name, count in found.by_class.items()) + ".")
    else:
        lines.append("All have labels." if found.labelled else "No labels were given.")
    own = "the same samples" if found.background_is_explained else "other samples"
    if found.background:
        lines.append(f"Background that stands in for what is hidden: {found.background:,} rows ({own}).")
    return "\n".join(lines)


@drawn
def calibration(explanation: Explanation, output: str | None = None, *, bins: int = 10, ax: Axes | None = None) -> Axes:
    """Whether predicted probabilities are observed shares: a dot a bin with its interval, beside the diagonal of a perfect
    model, and beneath it how many patients are given which probability. Of a regression, observed beside predicted values.

    output: the curve to draw; the first unless given (of more than two classes "the predicted class").

    Raises InputError where there is no calibration (no labels, no probabilities, survival), or no such output.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> inputs = {"a": np.repeat([[-2.0], [2.0]], 10, axis=0), "b": np.ones((20, 1))}
    >>> explanation = ml.explain(lambda a, b: 0.5 + 0.2 * a[:, 0], inputs, labels=[0] * 9 + [1] * 11, measures=[ml.Occlusion()], baseline="zeros", progress=False)
    >>> plots.calibration(explanation).get_xlabel()
    'predicted probability of 1'
    """
    found = cohort.calibration(explanation, bins)
    if "reason" in found.attrs:
        raise InputError(f"there is no calibration to draw: {found.attrs['reason']}.")
    names = [str(name) for name in found.output.values]
    output = names[0] if output is None else output
    if output not in names:
        raise InputError(f"output={output!r} has no curve{nearest(output, names)}: there are {listed(names[:12])}.")
    curve = found.sel(output=output)
    ax = axes_of(ax, width=4.6, height=4.9)
    probability = found.attrs["kind"] == "probability"
    predicted = questions(predictions_of(explanation))[output][0]
    low, high = (0.0, 1.0) if probability else _reach(curve, predicted)
    ax.plot([low, high], [low, high], color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    _curve(ax, curve)
    _histogram(ax, predicted, low, high)
    room = 0.02 * (high - low)
    ax.set_xlim(low - room, high + room)
    ax.set_ylim(low - STRIP * (high - low), high + room)
    ax.set_yticks(np.linspace(0, 1, 6) if probability else [tick for tick in ax.get_yticks() if low <= tick <= high])
    light_grid(ax)
    what = _what(explanation, output, probability)
    ax.set_xlabel(plain(f"predicted {what}"))
    ax.set_ylabel(plain(_observed(explanation, output, probability)))
    ax.set_title("Predicted and observed", pad=24)
    ax.text(
        0,
        1.012,
        plain(_sum_up(curve, probability)),
        transform=ax.transAxes,
        fontsize=7.5,
        va="bottom",
        linespacing=1.25,
    )
    return ax


def _curve(ax: Axes, curve: xr.Dataset) -> None:
    known = curve["count"].values > 0
    predicted, observed = curve.predicted.values[known], curve.observed.values[known]
    lower, upper = curve.observed_interval.transpose("bound", "bin").values[:, known]
    lengths = np.nan_to_num(np.clip([observed - lower, upper - observed], 0, None))
    ax.errorbar(predicted, observed, yerr=lengths, **(ERROR_BAR | {"zorder": 3}))
    ax.plot(predicted, observed, marker="o", markersize=5, color=BLUE, linewidth=1.3, zorder=4)


def _histogram(ax: Axes, values: np.ndarray, low: float, high: float) -> None:
    """How many are given which prediction: bars in a strip beneath the curve."""
    counts, edges = np.histogram(values, bins=25, range=(low, high))
    strip = STRIP * (high - low)
    floor = low - strip
    ax.bar(
        edges[:-1], 0.7 * strip * counts / max(1, counts.max()), width=np.diff(edges), align="edge", bottom=floor,
        color=SKY, edgecolor="white", linewidth=0.4, zorder=2,
    )  # fmt: skip
    ax.axhline(low, color="#333333", linewidth=0.6)
    ax.text(low + 0.01 * (high - low), low - 0.02 * (high - low), f"number of samples (tallest bar: {counts.max():,})", fontsize=7, va="top", color="#333333")  # fmt: skip


def _reach(curve: xr.Dataset, predicted: np.ndarray) -> tuple[float, float]:
    """The range of all that is predicted or drawn."""
    known = np.concatenate([predicted, curve.observed.values, np.ravel(curve.observed_interval.values)])
    known = known[~np.isnan(known)]
    room = 0.06 * (known.max() - known.min() or 1.0)
    return float(known.min() - room), float(known.max() + room)


def _what(explanation: Explanation, output: str, probability: bool) -> str:
    if probability:
        return f"probability of {output}"
    several = len(explanation.provenance["outputs"]) > 1
    return space_words(explanation) + (f" of {output}" if several else "")


def _observed(explanation: Explanation, output: str, probability: bool) -> str:
    if probability:
        return "share for whom it is true" if output == cohort.TOP else "observed share"
    units = explanation.provenance.get("units")
    return f"observed value in {units}" if units else "observed value"


def _sum_up(curve: xr.Dataset, probability: bool) -> str:
    slope, intercept = (_number(float(curve[name])) for name in ("slope", "intercept"))
    if not probability:
        return f"line through all samples: slope {slope} (perfect: 1), intercept {intercept} (perfect: 0)"
    error, chance = float(curve.error), float(curve.error_if_calibrated_interval.sel(bound="upper"))
    alone = "" if "together" in curve.attrs else " alone"
    by_patient = ", by patient" if "together" in curve.attrs else ""
    by_chance = "" if np.isnan(chance) else f"; by chance{alone} up to {100 * chance:.1f}{by_patient}"
    return (
        f"calibration error {100 * error:.1f} points{by_chance}\n"
        f"calibration slope {slope} (perfect: 1), intercept {intercept} (perfect: 0)"
    )


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.2f}".replace("-", "−")


@drawn
def subgroups(
    explanation: Explanation | Subgroups,
    *,
    quantity: str = "contribution",
    modality: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A forest of dots: a number within each subgroup with its interval, beside that of all patients. Filled dots differ
    from the rest of the patients by more than chance, after adjustment for all comparisons.

    quantity: "contribution", "interaction", or the name of the score ("auc", "mean_error", "concordance"). modality: of a
    contribution, the one that is drawn; that which contributes most unless given.

    Raises InputError where there are no subgroups, and for a quantity or modality that is not compared.

    Example
    -------
    >>> import numpy as np, pandas as pd, modalens as ml
    >>> from modalens import plots
    >>> sign = np.repeat([[-1.0], [1.0]], 20, axis=0); size = np.tile([[1.0], [3.0]], (20, 1))
    >>> patients = pd.DataFrame({"sex": ["f", "m"] * 20})
    >>> inputs, settings = {"a": sign, "b": size}, {"baseline": "zeros", "output": "raw", "task": "regression", "progress": False}
    >>> explanation = ml.explain(lambda a, b: (a + 2 * b)[:, 0], inputs, measures=[ml.Occlusion()], characteristics=patients, **settings)
    >>> plots.subgroups(explanation, modality="b").get_title(loc="left")
    'Contribution of b, by subgroup'
    """
    found = explanation if isinstance(explanation, Subgroups) else cohort.subgroups(explanation)
    frame = _drawn_rows(found, quantity, modality)
    everybody, rows = frame.iloc[0], frame.iloc[1:]
    percent = quantity in ("contribution", "interaction")
    scale = 100.0 if percent else 1.0
    heads = rows["characteristic"].ne(rows["characteristic"].shift()).cumsum().to_numpy() - 1
    at = 1 + np.arange(len(rows)) + 0.75 * (heads + 1)
    ax = axes_of(ax, width=6.2, height=1.5 + 0.21 * (at[-1] + 1))
    value = scale * everybody["value"]
    ax.axvline(value, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    if not np.isnan(everybody["lower"]):
        ax.add_patch(Rectangle((scale * everybody["lower"], -1), scale * (everybody["upper"] - everybody["lower"]), at[-1] + 3, color="#EEEEEE", zorder=0, linewidth=0))  # fmt: skip
    for place, row in zip([0.0, *at], [everybody, *(row for _, row in rows.iterrows())], strict=True):
        _dot(ax, place, row, scale)
    names = [(0.0, f"all patients ({everybody['samples']:,})")]
    names += [
        (place, f"{row['subgroup']} ({row['samples']:,})") for place, (_, row) in zip(at, rows.iterrows(), strict=True)
    ]
    ax.set_yticks([place for place, _ in names], [wrapped(name, 34) for _, name in names])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(at[-1] + 0.7, -0.7)
    starts = [np.flatnonzero(heads == head)[0] for head in range(heads[-1] + 1)]
    for start in starts:
        head = plain(rows["characteristic"].iloc[start])
        ax.text(
            0.0, at[start] - 0.72, head, transform=ax.get_yaxis_transform(), fontsize=8, fontweight="bold", va="center"
        )
    ax.set_xlabel(plain(everybody["what"] + (" (%)" if percent else "")))
    light_grid(ax)
    _legend(ax, found)
    title = f"Contribution of {everybody['modality']}, by subgroup" if quantity == "contribution" else f"{_capital(quantity)} by subgroup"  # fmt: skip
    ax.set_title(plain(title), pad=22)
    return ax


def _drawn_rows(found: Subgroups, quantity: str, modality: str | None) -> pd.DataFrame:
    """The rows of one number: those of all patients first."""
    frame = found.to_frame()
    if not (frame["characteristic"] != "").any():
        raise InputError(
            "there are no subgroups to draw: give explain(..., characteristics=frame) a table of age, sex, site, or labels. "
            + " ".join(f"{sentence}." for sentence in found.said)
        )
    known = [str(name) for name in dict.fromkeys(frame["quantity"])]
    if quantity not in known:
        raise InputError(f"quantity={quantity!r} is not compared{nearest(quantity, known)}: there are {listed(known)}.")
    frame = frame[frame["quantity"] == quantity]
    names = [str(name) for name in dict.fromkeys(frame["modality"])]
    if modality is None:
        everybody = frame[frame["characteristic"] == ""]
        modality = names[int(np.argmax(everybody["value"].fillna(-np.inf)))]
    if modality not in names:
        raise InputError(f"modality={modality!r} is not compared{nearest(modality, names)}: there are {listed(names)}.")
    rows = frame[frame["modality"] == modality]
    if len(rows) == 1:
        raise InputError(f"quantity={quantity!r} is not compared between these subgroups; others are {listed(known)}.")
    return rows


def _dot(ax: Axes, place: float, row: pd.Series, scale: float) -> None:
    """A number with its interval; filled where it differs from the rest by more than chance."""
    if np.isnan(row["value"]):
        ax.annotate("n/a", (0.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7.5, color=GREY)
        return
    shown = bool(row["p_adjusted"] <= cohort.ALPHA)
    everybody = row["characteristic"] == ""
    colour = "#222222" if everybody else VERMILION if shown else BLUE
    if not np.isnan(row["lower"]):
        ax.plot([scale * row["lower"], scale * row["upper"]], [place, place], color=colour, linewidth=1.4, zorder=3)
    face = colour if shown or everybody else "white"
    marker = "D" if everybody else "o"
    ax.plot(
        [scale * row["value"]], [place], marker=marker, markersize=5.5, color=colour, markerfacecolor=face, zorder=4
    )


def _legend(ax: Axes, found: Subgroups) -> None:
    several = f"{found.tests} comparisons"
    marks = [
        Line2D([], [], marker="o", color=BLUE, markerfacecolor="white", linewidth=1.4, label="difference not shown"),
        Line2D(
            [], [], marker="o", color=VERMILION, linewidth=1.4, label=f"differs from the rest (adjusted for {several})"
        ),
    ]
    ax.legend(handles=marks, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.1, handlelength=1.6, columnspacing=1.4)  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _capital(word: str) -> str:
    return {"auc": "AUC", "mean_error": "Mean error", "concordance": "Concordance"}.get(word, word.capitalize())
