"""Three orthogonal slices of a volume, coloured by how much its blocks change the output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.plots.parts import add_colour_bar, change_words, changes_of, grey, scale, see_through
from modalens.plots.style import GREY, axes_of, drawn, titled

GAP = 0.12
"""Between two slices, as a share of the longest side of the volume."""

CROSS = "#00B7FF"
"""Where the other slices are: a blue that neither grey volumes nor the colours of amounts have."""

SHOWN = ((1, 2), (0, 2), (1, 0))
"""The axes down and across of each picture: one slice, below it one row, beside it one column. Pictures that share an
axis lie along it.
"""

Block = tuple[slice, slice, slice]
Extent = tuple[float, float, float, float]


@drawn
def volume(
    explanation: Explanation,
    modality: str,
    sample: int = 0,
    *,
    output: str | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    largest: float | None = None,
    colour_bar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Three orthogonal slices through the middle of the block that changes the output most, each coloured by its blocks:
    without `output` amounts, summed over all outputs; with it, signed. The volume lies beneath where the explanation
    still has its inputs.

    Nothing is turned or mirrored: index 0 is on top and on the left, and the axes bear the names of the array's axes, since
    the explanation does not know which of them runs from head to foot.

    Parameters
    ----------
    spacing : the size of a voxel along slices, rows and columns, such as (5.0, 0.7, 0.7) millimetres; cubes unless given.
    largest : the change of the strongest colour; this volume's own unless given. colour_bar : whether the scale is drawn.

    Raises InputError where Occlusion, the modality, the sample or the output is missing, where the parts are no blocks of a
    volume, and for a spacing that is not three lengths above 0.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> random = np.random.default_rng(0)
    >>> inputs = {"ct": random.normal(size=(12, 4, 6, 6)), "age": random.normal(size=(12, 1))}
    >>> kinds = {"ct": ml.Volume(), "age": ml.Tabular()}
    >>> found = ml.explain(lambda ct, age: ct[:, 2:, :3, :3].mean((1, 2, 3)) + age[:, 0], inputs, modalities=kinds, baseline="zeros", output="raw", measures=[ml.Occlusion()])
    >>> [layer.get_array().shape for layer in plots.volume(found, "ct").images[1::2]]
    [(6, 6), (4, 6), (6, 4)]
    """
    changes = changes_of(explanation, modality, sample, output)
    values = np.asarray(changes.values, dtype=float)
    blocks = blocks_of([str(name) for name in changes.part.values]) if "part" in changes.coords else None
    if blocks is None:
        raise InputError(
            f"the parts of {modality!r} are no blocks of a volume (it is {explanation.provenance['modalities'][modality]}): parts(explanation, {modality!r}) shows them."
        )
    if len(spacing) != 3 or not all(np.isfinite(length) and length > 0 for length in spacing):
        raise InputError(f"spacing={tuple(spacing)}: expected the size of a voxel along slices, rows and columns.")
    whole = np.full([max(block[axis].stop for block in blocks) for axis in range(3)], np.nan)
    for value, block in zip(values, blocks, strict=True):
        whole[block] = value
    strongest = blocks[int(np.nanargmax(abs(values)))] if not np.isnan(values).all() else blocks[0]
    through = [(side.start + side.stop - 1) // 2 for side in strongest]
    beneath = grey(explanation.inputs.get(modality), sample, whole.shape)
    norm, colours = scale(values if largest is None else np.array([largest]), signed=output is not None)
    colours = colours if beneath is None else see_through(colours, signed=output is not None)
    ax = axes_of(ax, width=6.0, height=4.6)
    for plane, (extent, names) in enumerate(_places(whole.shape, spacing)):
        if beneath is not None:
            ax.imshow(_cut(beneath, plane, through), cmap="gray", vmin=0, vmax=1, extent=extent)
        ax.imshow(_cut(whole, plane, through), cmap=colours, norm=norm, extent=extent)
        _lines(ax, plane, through, whole.shape, extent)
        _names(ax, extent, names)
    _tidy(ax, whole.shape, spacing)
    if colour_bar:
        add_colour_bar(ax, norm, colours, change_words(explanation, output))
    _say(ax, through, whole.shape, spacing)
    titled(ax, f"{modality}, sample {sample}")
    return ax


def blocks_of(names: Sequence[str]) -> list[Block] | None:
    """Where blocks lie, along slices, rows and columns, read from their names; None where the parts are no blocks."""
    found = [re.fullmatch(r"slices (\d+)-(\d+), rows (\d+)-(\d+), columns (\d+)-(\d+)", name) for name in names]
    if not found or not all(found):
        return None
    edges = [tuple(map(int, one.groups())) for one in found if one]
    return [(slice(a, b + 1), slice(c, d + 1), slice(e, f + 1)) for a, b, c, d, e, f in edges]


def _cut(volume: np.ndarray, plane: int, through: Sequence[int]) -> np.ndarray:
    """The plane that stands on an axis, with the axes down and across as they are shown."""
    cut = np.take(volume, through[plane], axis=plane)
    return cut.T if SHOWN[plane][0] > SHOWN[plane][1] else cut


def _places(shape: Sequence[int], spacing: Sequence[float]) -> list[tuple[Extent, tuple[str, str]]]:
    """Where each picture lies, (left, right, bottom, top), and the names of its axes across and down."""
    depth, height, width = (count * length for count, length in zip(shape, spacing, strict=True))
    gap = GAP * max(depth, height, width)
    return [
        ((0.0, width, height, 0.0), ("columns", "rows")),
        ((0.0, width, height + gap + depth, height + gap), ("columns", "slices")),
        ((width + gap, width + gap + depth, height, 0.0), ("slices", "rows")),
    ]


def _lines(ax: Axes, plane: int, through: Sequence[int], shape: Sequence[int], extent: Extent) -> None:
    """Where the two other pictures are taken."""
    left, right, bottom, top = extent
    down, across = SHOWN[plane]
    y = top + (through[down] + 0.5) / shape[down] * (bottom - top)
    x = left + (through[across] + 0.5) / shape[across] * (right - left)
    look: dict[str, Any] = {"color": CROSS, "linewidth": 0.7, "linestyle": (0, (4, 3))}
    ax.plot([left, right], [y, y], **look)
    ax.plot([x, x], [top, bottom], **look)


def _names(ax: Axes, extent: Extent, names: tuple[str, str]) -> None:
    """What runs across and down, from index 0."""
    left, right, bottom, top = extent
    across, down = names
    small: dict[str, Any] = {"fontsize": 7, "color": GREY, "textcoords": "offset points"}
    ax.annotate(f"{across} →", (right, bottom), xytext=(0, -3), ha="right", va="top", **small)
    ax.annotate(f"← {down}", (left, top), xytext=(-3, 0), ha="right", va="top", rotation=90, **small)


def _say(ax: Axes, through: Sequence[int], shape: Sequence[int], spacing: Sequence[float]) -> None:
    """Which slices these are, in the corner that they leave free."""
    _, (below, _), (beside, _) = _places(shape, spacing)
    said = "\n".join(f"{name} {place}" for name, place in zip(("slice", "row", "column"), through, strict=True))
    ax.text(beside[0], below[3], f"{said}\nas stored", va="top", fontsize=7.5, color=GREY)


def _tidy(ax: Axes, shape: Sequence[int], spacing: Sequence[float]) -> None:
    """Room for all three, drawn in proportion."""
    extents = [extent for extent, _ in _places(shape, spacing)]
    ax.set_xlim(0, max(right for _, right, _, _ in extents))
    ax.set_ylim(max(bottom for _, _, bottom, _ in extents), 0)
    ax.set_aspect("equal")
    ax.set_axis_off()
