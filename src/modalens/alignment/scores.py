"""How well a heat map shows a region, how concentrated it is, how far two differ, and on which side of the patient they lie.

A map is (height, width), the more the brighter; a region is a mask (height, width). Pixels where the map is NaN lie outside
of what the model saw: map and mask are cut to the rest. A score that is undefined is NaN, and `reason` says why.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from modalens.alignment.ranking import Ranking
from modalens.errors import InputError, choice

Score = Literal[
    "auroc", "average_precision", "precision", "recall", "f1", "iou", "pointing_game", "contrast_to_noise",
    "entropy", "divergence", "side_mass", "wrong_lung",
]  # fmt: skip
"""The scores by name; precision, recall, f1 and iou are those of `top_share`."""

OF_TOP_SHARE = ("precision", "recall", "f1", "iou")
OF_RANKING = ("auroc", "average_precision")
OF_MASS = ("entropy", "divergence", "side_mass", "wrong_lung")
"""Scores of the map alone: what is highlighted counts as a mass, and values below 0 count as 0."""

UNSEEN = "the model saw none of the image"
EMPTY = "the region is empty"
OUTSIDE = "the region lies outside of what the model saw"
WHOLE = "the region covers the whole image"
CONSTANT = "the map is constant"
FLAT = "the map is flat inside the region and outside"
NOTHING = "nothing is highlighted"

TIE = 1e-9
"""Shares of mass that differ by less are the same: no more than the rounding of sums and of interpolation."""

NAN = float("nan")


class TopShare(NamedTuple):
    """How well the brightest pixels match a region: four scores of the same set of pixels."""

    precision: float
    recall: float
    f1: float
    iou: float

    @classmethod
    def undefined(cls) -> TopShare:
        """Where there is no region."""
        return cls(NAN, NAN, NAN, NAN)


def auroc(map: ArrayLike, mask: ArrayLike) -> float:
    """How likely a pixel of the region is brighter than one outside it, ties counted half: 1 for a perfect map, .5 for one
    that knows nothing. It hardly sees a wrong lung: a map on both of two small boxes has nearly 1.

    map: (height, width), NaN where the model did not look. mask: (height, width), the region. Returns NaN for a region that
    is empty or covers the whole image. Raises InputError for other shapes, for infinities, and for a mask that is none.

    >>> auroc([[0.1, 0.9], [0.2, 0.3]], [[0, 1], [0, 1]])
    1.0
    """
    values, inside = scored(map, mask)
    return NAN if _undefined("auroc", values, inside) else Ranking.of(values, inside).auroc


def average_precision(map: ArrayLike, mask: ArrayLike) -> float:
    """The precision of the pixels above a threshold, averaged over the recalls that thresholds reach: 1 for a perfect map, the
    region's share of the image for a constant one. Arguments, NaN and errors as in `auroc`.

    >>> average_precision([[1, 1], [1, 1]], [[0, 1], [0, 0]])
    0.25
    """
    values, inside = scored(map, mask)
    return NAN if _undefined("average_precision", values, inside) else Ranking.of(values, inside).average_precision


def top_share(map: ArrayLike, mask: ArrayLike, share: float) -> TopShare:
    """Precision, recall, F1 and intersection over union of the brightest share of pixels: exactly round(share * pixels), at
    least one. Where pixels tie at the edge, any of them may be taken, and the scores are the exact expectation.

    share: above 0, at most 1. The other arguments and errors as in `auroc`. Returns NaN for an empty region.

    >>> top_share([[4, 3], [2, 1]], [[1, 0], [1, 0]], 0.5)
    TopShare(precision=0.5, recall=0.5, f1=0.5, iou=0.3333333333333333)
    """
    values, inside = scored(map, mask)
    return (
        TopShare.undefined()
        if _undefined("precision", values, inside)
        else of_brightest(Ranking.of(values, inside), share)
    )


def of_brightest(ranking: Ranking, share: float) -> TopShare:
    """The same, of pixels that are ranked already."""
    taken = taken_of(share, ranking.pixels)
    hits, chance = ranking.among(taken)
    expected = float(hits @ chance)
    return TopShare(
        precision=expected / taken,
        recall=expected / ranking.region,
        f1=2 * expected / (taken + ranking.region),
        iou=float(hits / (taken + ranking.region - hits) @ chance),
    )


def taken_of(share: float, pixels: int) -> int:
    """How many pixels a share of them is: rounded, at least one."""
    if not 0 < share <= 1:
        raise InputError(f"share={share!r}: the brightest share of the pixels is above 0 and at most 1, such as 0.1.")
    return max(1, round(share * pixels))


def pointing_game(map: ArrayLike, mask: ArrayLike) -> float:
    """Whether the brightest pixel lies in the region; the share of them that does, where several are. Arguments and errors as
    in `auroc`. Returns NaN for an empty region.

    >>> pointing_game([[9, 9], [2, 1]], [[1, 0], [0, 0]])
    0.5
    """
    values, inside = scored(map, mask)
    return NAN if _undefined("pointing_game", values, inside) else float(inside[values == values.max()].mean())


def contrast_to_noise(map: ArrayLike, mask: ArrayLike) -> float:
    """How much brighter the region is than the rest, in units of the noise: (mean in - mean out) / sqrt(variance in + variance
    out). Below 0 where the rest is brighter. Arguments and errors as in `auroc`. Returns NaN for a region that is empty or
    covers the whole image, and for a map that is flat in both, which has no noise.

    Source: signed, after Boecking et al. 2022, arXiv:2204.09817.

    >>> contrast_to_noise([[3, 1], [0, 0]], [[1, 1], [0, 0]])
    2.0
    """
    values, inside = scored(map, mask)
    if _undefined("contrast_to_noise", values, inside):
        return NAN
    region, rest = values[inside], values[~inside]
    return float((region.mean() - rest.mean()) / np.sqrt(region.var() + rest.var()))


def entropy(map: ArrayLike) -> float:
    """How spread a map is on its own grid, in nats: 0 for one cell, ln n for all of n cells alike. Values below 0 count as 0.
    Returns NaN where nothing is above 0. Raises InputError for infinities and for what has no rows and columns.

    >>> round(entropy([[0.5, 0.5], [0, 0]]), 4)
    0.6931
    """
    shares = _shares(_map(map))
    return NAN if shares is None else float(special.entr(shares).sum())


def divergence(p: ArrayLike, q: ArrayLike) -> float:
    """How far two maps of one image differ, in nats: J = 1/2 sum (p - q) ln(p / q), both normalised to sum 1. 0 only for equal
    maps, the same both ways, infinite where only one is 0. Values below 0 count as 0; pixels that only one of them saw do not
    count. Returns NaN where nothing is above 0 in one of them. Raises InputError for maps of unequal shapes and for infinities.

    >>> round(divergence([[0.9, 0.1]], [[0.1, 0.9]]), 4)
    1.7578
    """
    one, other = _map(p), _map(q)
    if one.shape != other.shape:
        raise InputError(
            f"divergence compares two maps of one image on one grid; their shapes are {one.shape} and {other.shape}."
        )
    both = ~(np.isnan(one) | np.isnan(other))
    first, second = _shares(one[both]), _shares(other[both])
    if first is None or second is None:
        return NAN
    either = (first > 0) | (second > 0)
    with np.errstate(divide="ignore"):
        terms = (first[either] - second[either]) * (np.log(first[either]) - np.log(second[either]))
    return float(terms.sum() / 2)


def side_mass(map: ArrayLike, side: Literal["left", "right"]) -> float:
    """The share of a map that lies on this side of the patient: the patient's right is the left half of the image; a middle
    column counts half to each. Values below 0 count as 0.

    map: (height, width), NaN where the model did not look. Returns NaN where nothing is above 0. Raises InputError for
    another side, for infinities, and for what has no rows and columns.

    >>> side_mass([[3, 0, 1]], "right")
    0.75
    """
    choice("side", side, ("left", "right"))
    values = _map(map)
    shares = _shares(values)
    if shares is None:
        return NAN
    width = values.shape[1]
    on_image_left = np.clip(width / 2 - np.arange(width), 0, 1)
    return float(np.nansum(shares @ (on_image_left if side == "right" else on_image_left[::-1])))


def wrong_lung(map: ArrayLike, side: Literal["left", "right"]) -> float:
    """Whether more of the map lies on the patient's other side: 1 where it does, 0 where not, .5 for a tie. Arguments, NaN and
    errors as in `side_mass`.

    >>> wrong_lung([[3, 0, 1]], "left")
    1.0
    """
    on_side = side_mass(map, side)
    if np.isnan(on_side):
        return NAN
    return 0.5 if abs(on_side - 0.5) < TIE else float(on_side < 0.5)


def reason(name: Score, map: ArrayLike, mask: ArrayLike | None = None) -> str:
    """Why this score of this map is NaN; empty where it is a number. Scores of a map alone need no mask.

    >>> reason("auroc", [[1, 2]], [[0, 0]])
    'the region is empty'
    """
    choice("score", name, get_args(Score))
    if name in OF_MASS:
        return "" if _shares(_map(map)) is not None else NOTHING
    if mask is None:
        raise InputError(f"{name} compares a map with a region: give mask=, (height, width).")
    values, inside = scored(map, mask)
    why = _undefined(name, values, inside)
    return OUTSIDE if why == EMPTY and np.any(np.asarray(mask)) else why


def _undefined(name: Score, values: np.ndarray, inside: np.ndarray) -> str:
    """Why a score of pixels (n,) and whether they lie in the region (n,) is undefined; empty where it is a number."""
    if not len(values):
        return UNSEEN
    if not inside.any():
        return EMPTY
    if inside.all() and name in (*OF_RANKING, "contrast_to_noise"):
        return WHOLE
    if name == "contrast_to_noise" and np.ptp(values[inside]) == np.ptp(values[~inside]) == 0:
        return FLAT if np.ptp(values) else CONSTANT
    return ""


def scored(map: ArrayLike, mask: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The values (n,) of the pixels that the model saw, and whether each lies in the region (n,)."""
    values, inside = _map(map), np.asarray(mask)
    if values.shape != inside.shape:
        raise InputError(
            f"a map of {values.shape} and a mask of {inside.shape} (height, width) are not of one image: bring the map to the image's pixels first, with HeatMap.on(size)."
        )
    if inside.dtype != bool and not np.isin(inside, (0, 1)).all():
        raise InputError(
            f"a mask says of each pixel whether it lies in the region, True or False; {inside.dtype} came."
        )
    seen = ~np.isnan(values)
    return values[seen], inside[seen].astype(bool)


def _map(map: ArrayLike) -> np.ndarray:
    """A map (height, width) of numbers, NaN where the model did not look."""
    try:
        values = np.asarray(map, dtype=float)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"a map is an array of numbers, (height, width): {error}") from error
    if values.ndim != 2 or not values.size:
        raise InputError(f"a map has rows and columns, (height, width); an array of shape {values.shape} came.")
    if np.isinf(values).any():
        raise InputError("a map holds infinity: give finite numbers, and NaN for pixels that the model did not see.")
    return values


def _shares(values: np.ndarray) -> np.ndarray | None:
    """The values as shares of their sum, in the same shape: 0 for those below 0 and outside of what the model saw; None where
    nothing is above 0.
    """
    positive = np.clip(np.nan_to_num(values), 0, None)
    if not positive.any():
        return None
    relative = positive / positive.max()  # a sum of huge numbers would overflow
    return np.asarray(relative / relative.sum())
