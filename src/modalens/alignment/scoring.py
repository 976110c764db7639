"""The scores of an audit by name, each map scored once for all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np

from modalens.alignment import scores
from modalens.alignment.attainable import attainable
from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.ranking import Ranking
from modalens.alignment.records import Record
from modalens.alignment.scores import OF_MASS, OF_RANKING, OF_TOP_SHARE, Score
from modalens.errors import InputError, choice

SHARES = (0.05, 0.1, 0.2, 0.3)
"""The shares of brightest pixels at which maps are cut (McInerney et al. 2022)."""

Own = Callable[[np.ndarray, np.ndarray], float]
"""A score of one's own: map (height, width) with NaN where the model did not look, mask (height, width) -> a number."""

OF_SIDES = ("side_mass", "wrong_lung")

NEEDED = ("auroc", "wrong_lung", "entropy")
"""What the verdict is made of."""

RANKED = {"auroc": "auroc", "average_precision": "average_precision", "pointing_game": "brightest"}
"""Scores of the ranking of pixels, and what they are called there."""

HIGHER, LOWER = 1, -1
DIRECTION = {"entropy": 0, "wrong_lung": LOWER}
"""Which way is better: higher, unless it says otherwise; 0 where neither is."""


@dataclass(frozen=True)
class Named:
    """One score of an audit: `kind` is a function of `scores`, `share` the share of brightest pixels where it takes one."""

    name: str
    kind: Score | None = None
    share: float | None = None
    own: Own | None = None

    @property
    def direction(self) -> int:
        return DIRECTION.get(self.kind or "", HIGHER)

    @property
    def of_region(self) -> bool:
        """Whether the score compares the map with a region."""
        return self.kind not in OF_MASS


def of_share(kind: str, share: float) -> Named:
    return Named(f"{kind}@{100 * share:g}%", kind, share)  # type: ignore[arg-type]


STANDARD: tuple[Named, ...] = (
    Named("auroc", "auroc"),
    Named("average_precision", "average_precision"),
    *(of_share(kind, share) for kind in OF_TOP_SHARE for share in SHARES),
    Named("pointing_game", "pointing_game"),
    Named("contrast_to_noise", "contrast_to_noise"),
    Named("side_mass", "side_mass"),
    Named("wrong_lung", "wrong_lung"),
    Named("entropy", "entropy"),
)
"""What an audit scores unless it is told otherwise; divergence, opt-out and flip rate come with the perturbations."""


def scores_of(given: Sequence[str | Named] | Mapping[str, Own] | None) -> tuple[Named, ...]:
    """Scores by name ("auroc", "iou@10%", "precision@5%"), or functions of one's own by name. AUROC, the wrong-lung rate and
    the entropy are always among them: the verdict is made of them.

    Raises InputError for names that are unknown or given twice, and for a function under the name of a score that is there.

    >>> [one.name for one in scores_of(["iou@10%"])]
    ['iou@10%', 'auroc', 'wrong_lung', 'entropy']
    """
    if given is None:
        return STANDARD
    if isinstance(given, str):
        raise InputError(f"scores={given!r}: give a list of names, such as [{given!r}].")
    found = [_own(*one) for one in given.items()] if isinstance(given, Mapping) else [_parsed(one) for one in given]
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"scores: {name!r} is asked for twice; give every score once.")
    return (*found, *(one for one in STANDARD if one.name in NEEDED and one.name not in names))


def _own(name: str, own: Own) -> Named:
    if not callable(own):
        raise InputError(
            f"scores: {name!r} must be a function of a map and a mask, (height, width) each; {own!r} came."
        )
    if name.partition("@")[0] in get_args(Score):
        raise InputError(f"scores: {name!r} is a score that is there already; give your own another name.")
    return Named(name, own=own)


def _parsed(name: str | Named) -> Named:
    if isinstance(name, Named):
        return name
    if not isinstance(name, str):
        raise InputError(
            f"scores: a list holds names; {name!r} came. Give functions of your own by name, such as {{'mine': function}}."
        )
    kind, _, share = name.partition("@")
    if kind in OF_TOP_SHARE:
        number = re.fullmatch(r"(\d+(?:\.\d+)?)%", share)
        if number is None or not 0 < float(number[1]) <= 100:
            raise InputError(f'scores: {name!r} must say at which share of the brightest pixels, such as "{kind}@10%".')
        return of_share(kind, float(number[1]) / 100)
    choice("scores", name, [one for one in get_args(Score) if one not in ("divergence", *OF_TOP_SHARE)])
    return Named(kind, kind)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Scored:
    """One heat map beside one region, on the image's pixels."""

    map: HeatMap
    truth: np.ndarray
    side: str
    smooth: bool = True

    @cached_property
    def values(self) -> np.ndarray:
        return self.map.on(self.truth.shape, smooth=self.smooth)

    def score(self, named: Named) -> float:
        """The score; NaN where it is undefined (`why` says why)."""
        if named.own is not None:
            return self._own(named)
        if named.kind in RANKED or named.kind in OF_TOP_SHARE:
            return float("nan") if self._undefined(named.kind) else self._ranked(named)
        if named.kind == "entropy":
            return scores.entropy(self.map.values)
        if named.kind in OF_SIDES:
            return float(getattr(scores, named.kind)(self.values, self.side)) if self.side in ("left", "right") else float("nan")  # fmt: skip
        return float(getattr(scores, str(named.kind))(self.values, self.truth))

    def why(self, named: Named) -> str:
        """Why the score is NaN; empty where it is a number."""
        if named.kind is None:
            return "" if np.isfinite(self.score(named)) else "the score given is not a number here"
        if named.kind in OF_SIDES and self.side not in ("left", "right"):
            return "the region does not lie on one side of a frontal view"
        return scores.reason(named.kind, self.map.values if named.kind in OF_MASS else self.values, self.truth)

    def range(self, named: Named) -> tuple[float, float]:
        """The lowest and highest value that any map could have here."""
        if named.own is not None or (named.kind in OF_SIDES and self.side not in ("left", "right")):
            return float("nan"), float("nan")
        seen = ~np.isnan(self.values)
        mask = self.truth[seen][None] if seen.any() else self.truth
        return attainable(named.kind, mask, share=named.share, grid=self.map.values.shape)  # type: ignore[arg-type]

    def _own(self, named: Named) -> float:
        assert named.own is not None
        try:
            found = np.asarray(named.own(self.values, self.truth))
        except Exception as error:
            error.add_note(f"modalens.audit was asking for the score {named.name!r}, as score(map, mask).")
            raise
        if found.shape or found.dtype.kind not in "biuf":
            raise InputError(f"scores: {named.name!r} must give one number for a map and a mask; {found!r:.80} came.")
        return float(found)

    def _undefined(self, kind: Score) -> bool:
        """Whether a score of the ranking is NaN: the region holds none of the pixels that were seen, or all."""
        if not len(self._pixels[0]) or not self._ranking.region:
            return True
        return kind in OF_RANKING and self._ranking.region == self._ranking.pixels

    def _ranked(self, named: Named) -> float:
        if named.kind in RANKED:
            return float(getattr(self._ranking, RANKED[named.kind]))
        if named.share not in self._tops:
            self._tops[named.share] = scores.of_brightest(self._ranking, named.share or 1.0)
        return float(getattr(self._tops[named.share], str(named.kind)))

    @cached_property
    def _pixels(self) -> tuple[np.ndarray, np.ndarray]:
        return scores.scored(self.values, self.truth)

    @cached_property
    def _ranking(self) -> Ranking:
        """The pixels are sorted once for all scores of rankings."""
        return Ranking.of(*self._pixels)

    @cached_property
    def _tops(self) -> dict[float | None, scores.TopShare]:
        return {}


def brightness(values: np.ndarray, region: np.ndarray) -> float:
    """The mean of a map (height, width) within a region; NaN where the model saw none of it."""
    inside = values[region]
    inside = inside[~np.isnan(inside)]
    return float(inside.mean()) if len(inside) else float("nan")


def flipped(record: Record, other: Record, before: np.ndarray, after: np.ndarray) -> float:
    """Whether a map follows the text from one lung to the other: 1 where it is brighter in the record's own region than in its
    counterpart's before the swap, and in the counterpart's after it; 0 otherwise. A map that shows both alike has not moved.

    before, after: the maps (height, width) of the phrase, and of the phrase with left and right exchanged.
    """
    own, elsewhere = record.truth, other.truth
    numbers = [brightness(values, region) for values in (before, after) for region in (own, elsewhere)]
    if np.isnan(numbers).any():
        return float("nan")
    here_before, there_before, here_after, there_after = numbers
    return float(here_before > there_before and there_after > here_after)
