"""A patient's series with its windows, or its channels, shaded by how much they change the output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from modalens.errors import InputError, listed
from modalens.explanation import Explanation
from modalens.plots.parts import add_colour_bar, change_words, changes_of, scale
from modalens.plots.style import axes_of, drawn, plain, titled, wrapped

REACH = 0.4
"""Of a channel's lane, how far its line goes to both sides of the middle."""


@drawn
def series(
    explanation: Explanation,
    modality: str,
    sample: int = 0,
    *,
    output: str | None = None,
    channels: Sequence[str] | None = None,
    largest: float | None = None,
    colour_bar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """The series of one sample, a lane for each channel between its own smallest and largest value, and behind it the
    windows of time (or the channels, where these are the parts) shaded by how much they change the output: without
    `output` amounts, summed over all outputs; with it, signed. Where the explanation does not hold its inputs, the
    shades stand alone.

    Parameters
    ----------
    channels : their names, where the parts are windows. largest : the change of the strongest colour; this series' own
        unless given. colour_bar : whether the scale is drawn.

    Raises InputError where Occlusion, the modality, the sample or the output is missing, where the parts are neither
    windows nor channels, and for names that are not one a channel.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> random = np.random.default_rng(0)
    >>> inputs = {"ecg": [random.normal(size=(length, 2)) for length in (20, 32, 24)], "age": random.normal(size=(3, 1))}
    >>> kinds = {"ecg": ml.Series(window=8), "age": ml.Tabular()}
    >>> found = ml.explain(lambda ecg, age: np.array([one[:8].sum() for one in ecg]) + age[:, 0], inputs, modalities=kinds, baseline="zeros", output="raw", measures=[ml.Occlusion()])
    >>> [text.get_text() for text in plots.series(found, "ecg", 0, channels=["I", "II"]).texts]
    ['I', 'II']
    """
    changes = changes_of(explanation, modality, sample, output)
    values = np.asarray(changes.values, dtype=float)
    parts = [str(name) for name in changes.part.values] if "part" in changes.coords else []
    spans = windows_of(parts)
    if spans is None and not explanation.provenance["modalities"][modality].startswith("Series"):
        raise InputError(
            f"the parts of {modality!r} are neither windows of time nor channels (it is {explanation.provenance['modalities'][modality]}): parts(explanation, {modality!r}) shows them."
        )
    lines = _lines(explanation.inputs.get(modality), sample)
    if spans is not None:
        names = _channel_names(modality, channels, lines)
        steps = spans[-1][1] + 1 if lines is None else len(lines)
        regions = [(first - 0.5, last + 0.5, -0.5, len(names) - 0.5) for first, last in spans]
    else:
        names = [name for part in parts for name in part.split(", ")]
        steps = 1 if lines is None else len(lines)
        regions = [(-0.5, steps - 0.5, top, bottom) for top, bottom in _lanes(modality, parts, lines)]
    norm, colours = scale(values if largest is None else np.array([largest]), signed=output is not None)
    ax = axes_of(ax, width=7.2, height=1.35 + 0.75 * len(names))
    _shade(ax, values, regions, norm, colours)
    if lines is not None:
        _draw(ax, lines, names)
    else:
        ax.set_yticks(range(len(names)), [wrapped(name, 16) for name in names])
    ax.tick_params(axis="y", length=0, labelsize=7)
    ax.set_xlim(-0.5, steps - 0.5)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel("time step")
    ax.spines["left"].set_visible(False)
    if colour_bar:
        add_colour_bar(ax, norm, colours, change_words(explanation, output))
    titled(ax, f"{modality}, sample {sample}")
    return ax


def windows_of(names: Sequence[str]) -> list[tuple[int, int]] | None:
    """The first and last step of each window, read from their names; None where the parts are no windows."""
    found = [re.fullmatch(r"steps (\d+)-(\d+)", name) for name in names]
    if not found or not all(found):
        return None
    return [(int(one.group(1)), int(one.group(2))) for one in found if one]


def channel_count(explanation: Explanation, modality: str, sample: int) -> int:
    """The channels of a sample, 1 where the explanation does not hold them."""
    lines = _lines(explanation.inputs.get(modality), sample)
    return 1 if lines is None else lines.shape[1]


def _lines(samples: Any, sample: int) -> np.ndarray | None:
    """The values of one sample, (time, channels); None where they are not held."""
    samples = next(iter(samples.values())) if isinstance(samples, Mapping) else samples
    if samples is None or samples[sample] is None:
        return None
    own = samples[sample]
    values = np.asarray(own.detach().cpu().float() if hasattr(own, "detach") else own, dtype=float)
    return values.reshape(len(values), -1)


def _channel_names(modality: str, given: Sequence[str] | None, lines: np.ndarray | None) -> list[str]:
    """What the lanes are called where the parts are windows: the names given, or numbers."""
    count = 1 if lines is None else lines.shape[1]
    if given is None or lines is None:
        return [modality] if count == 1 else [f"channel {channel}" for channel in range(count)]
    if len(given) != count:
        raise InputError(f"channels: expected {count} names, one for each channel of {modality!r}, came {len(given)}.")
    return list(map(str, given))


def _lanes(modality: str, parts: Sequence[str], lines: np.ndarray | None) -> list[tuple[float, float]]:
    """Where the lanes of each part begin and end, a lane for each channel that its name names."""
    edges = np.cumsum([0, *(len(part.split(", ")) for part in parts)]) - 0.5
    if lines is not None and lines.shape[1] != edges[-1] + 0.5:
        raise InputError(
            f"{modality!r} has {lines.shape[1]} channels, and its parts name {edges[-1] + 0.5:.0f} ({listed(parts)}): parts(explanation, {modality!r}) shows them as bars."
        )
    return list(pairwise(map(float, edges)))


def _shade(
    ax: Axes,
    values: np.ndarray,
    regions: Sequence[tuple[float, float, float, float]],
    norm: Normalize,
    colours: Colormap,
) -> None:
    """A rectangle a part, (left, right, top, bottom): steps lie at whole numbers, so a window reaches half a step beyond
    its first and last.
    """
    for value, (left, right, top, bottom) in zip(values, regions, strict=True):
        shade = Rectangle(
            (left, top),
            right - left,
            bottom - top,
            facecolor=colours(norm(value)),
            edgecolor="#BBBBBB",
            linewidth=0.5,
            zorder=1,
        )
        ax.add_patch(shade)


def _draw(ax: Axes, lines: np.ndarray, names: Sequence[str]) -> None:
    """Each channel in its lane, larger values above; its smallest and largest value are written beside it."""
    ticks: list[tuple[float, str]] = []
    outlined = [withStroke(linewidth=2.6, foreground="white", alpha=0.85)]
    for lane, name in enumerate(names):
        own = lines[:, lane]
        known = own[np.isfinite(own)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        height = np.where(np.isfinite(own), (own - low) / (high - low) - 0.5 if high > low else 0.0, np.nan)
        marker = "o" if len(lines) <= 30 else None
        ax.plot(lane - 2 * REACH * height, color="black", linewidth=1.0, marker=marker, markersize=2.4, path_effects=outlined, label=name, zorder=3)  # fmt: skip
        ticks += [(lane - REACH, f"{high:.3g}"), (lane + REACH, f"{low:.3g}")] if high > low else [(lane, f"{low:.3g}")]
        if lane:
            ax.axhline(lane - 0.5, color="white", linewidth=2.0, zorder=2)
        if len(names) > 1:
            ax.annotate(
                plain(name),
                (0, lane - 0.5),
                xycoords=("axes fraction", "data"),
                xytext=(4, -3),
                textcoords="offset points",
                va="top",
                fontsize=7.5,
                fontweight="bold",
                path_effects=outlined,
                zorder=4,
            )
    ax.set_yticks([place for place, _ in ticks], [said.replace("-", "−") for _, said in ticks])
