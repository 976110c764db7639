"""What a score can reach: the lowest and highest value that any map could get for a region, and what two known maps get.

A region of a tenth of the image can't have a precision above .5 at the brightest fifth of pixels, whatever the model; a score
is read beside its range.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from modalens.alignment.regions import Size
from modalens.alignment.scores import NAN, OF_MASS, OF_TOP_SHARE, Score, TopShare, taken_of
from modalens.errors import InputError, choice


class Range(NamedTuple):
    """The lowest and the highest value of a score."""

    lowest: float
    highest: float


UNDEFINED = Range(NAN, NAN)


def attainable(
    name: Score, mask: ArrayLike | None = None, *, share: float | None = None, grid: Size | None = None
) -> Range:
    """The lowest and highest value that any map could get, in closed form.

    name: a score. mask: the region, (height, width), or only those of its pixels that the model saw; entropy, divergence
    and the scores of sides need none. share: the share of brightest pixels, for precision, recall, f1 and iou. grid: the
    rows and columns of the map, for entropy. The ends of contrast-to-noise and the upper one of the divergence are infinite.

    Returns NaN for both where every map's score is NaN. Raises InputError for a missing mask, share or grid.

    >>> attainable("precision", [[1, 0, 0, 0, 0]], share=0.4)
    Range(lowest=0.0, highest=0.5)
    """
    choice("score", name, get_args(Score))
    if name in OF_MASS:
        return _of_mass(name, grid)
    if mask is None:
        raise InputError(f"what {name} can reach depends on the region: give mask=, (height, width).")
    inside = np.asarray(mask).astype(bool)
    pixels, region = inside.size, int(inside.sum())
    if not region:
        return UNDEFINED
    if name in OF_TOP_SHARE:
        if share is None:
            raise InputError(f"what {name} can reach depends on how many pixels are taken: give share=, such as 0.1.")
        return _of_top_share(name, pixels, region, taken_of(share, pixels))
    if name == "pointing_game":
        return Range(float(region == pixels), 1.0)
    if region == pixels:
        return UNDEFINED
    if name == "contrast_to_noise":
        return Range(-np.inf, np.inf)
    return Range(0.0 if name == "auroc" else _last(pixels, region), 1.0)


def _of_mass(name: Score, grid: Size | None) -> Range:
    if name == "divergence":
        return Range(0.0, np.inf)
    if name in ("side_mass", "wrong_lung"):
        return Range(0.0, 1.0)
    if grid is None:
        raise InputError("what the entropy can reach depends on the map's own cells: give grid=(rows, columns).")
    return Range(0.0, float(np.log(grid[0] * grid[1])))


def _of_top_share(name: str, pixels: int, region: int, taken: int) -> Range:
    """As few of the pixels that are taken lie in the region as there is room beside it, or as many as it holds."""
    fewest, most = max(0, taken + region - pixels), min(taken, region)
    return Range(*(getattr(_with_hits(hits, region, taken), name) for hits in (fewest, most)))


def _with_hits(hits: int, region: int, taken: int) -> TopShare:
    """The scores of `taken` pixels of which `hits` lie in the region."""
    return TopShare(hits / taken, hits / region, 2 * hits / (taken + region), hits / (taken + region - hits))


def _last(pixels: int, region: int) -> float:
    """The average precision of a map that ranks the region's pixels last: the i-th of them comes after all others."""
    i = np.arange(1, region + 1)
    return float((i / (pixels - region + i)).mean())


class OnBoth(NamedTuple):
    """The two scores of a map that highlights two equal boxes, of which one is the region."""

    auroc: float
    average_precision: float


def on_both_boxes(area: float) -> OnBoth:
    """What a map gets that highlights both of two equal boxes, each this share of the image, where one is meant: AUROC hardly
    sees that half of it is in the wrong lung.

    >>> on_both_boxes(0.2)
    OnBoth(auroc=0.875, average_precision=0.5)
    """
    return OnBoth(1 - _checked(area) / (2 * (1 - area)), 0.5)


def auroc_after_swap(area: float) -> float:
    """What a perfect map has after the swap, when it highlights only the other of two equal boxes, each this share of the
    image: the AUROC that a model falls to which follows the text.

    >>> round(auroc_after_swap(0.05), 4)
    0.4737
    """
    return 0.5 - _checked(area) / (2 * (1 - area))


def _checked(area: float) -> float:
    if not 0 < area <= 0.5:
        raise InputError(f"area={area!r}: each of two boxes covers a share of the image, above 0 and at most one half.")
    return area
