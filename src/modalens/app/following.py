"""Whether one map follows its sentence, in words: in which half of the patient it lies, and where it goes when the sentence changes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.laterality import LANGUAGES, laterality_of, swap_laterality
from modalens.alignment.records import Record, Side
from modalens.alignment.result import AS_IT_IS, SWAP, Audit
from modalens.alignment.scores import side_mass
from modalens.alignment.sheet import divergences
from modalens.alignment.verdict import STILL
from modalens.summary.wording import rounded_percent

HARDLY = 0.1
"""The share of a map that must change sides to be called more than hardly: a convention."""

NO_SIDES = "In this view left and right can't be told apart."
NOTHING = "Nothing is highlighted."

Half = Literal["left", "right"]


def mass_on(record: Record, map: HeatMap, half: Half, *, smooth: bool = True) -> float:
    """The share of a map in a half of the patient, whether or not the model sees the image mirrored; NaN where nothing is
    highlighted.

    >>> record = Record(phrase="Opacity.", image=np.zeros((2, 4)))
    >>> round(mass_on(record, HeatMap(values=np.array([[3.0, 0.0, 0.0, 1.0]])), "right"), 6)  # the image's left
    0.75
    """
    other: dict[Half, Half] = {"left": "right", "right": "left"}
    return side_mass(map.on(record.size, smooth=smooth), other[half] if record.mirrored else half)


def lies(record: Record, map: HeatMap, *, smooth: bool = True) -> str:
    """In which half of the patient most of a map lies, in a sentence."""
    if not record.frontal:
        return NO_SIDES
    left = mass_on(record, map, "left", smooth=smooth)
    if np.isnan(left):
        return NOTHING
    half = "left" if left >= 0.5 else "right"
    return f"{rounded_percent(max(left, 1 - left))} of the map lies in the patient's {half} half."


def followed(
    record: Record,
    before: HeatMap,
    after: HeatMap,
    *,
    phrase: str,
    changed: str,
    how: str = "with the changed sentence",
    language: str = "en",
    smooth: bool = True,
) -> str:
    """What the map does when the sentence changes, in a sentence or two. before, after: the maps of `phrase` and of what it was
    `changed` to. how: the change in words. language: in which left and right are searched for.
    """
    if not record.frontal:
        return f"{NO_SIDES} {moved(before, after)}"
    was, now = (mass_on(record, map, "left", smooth=smooth) for map in (before, after))
    if np.isnan(was) or np.isnan(now):
        return f"{NOTHING if np.isnan(was) else lies(record, before, smooth=smooth)} {how[:1].upper()}{how[1:]}: {NOTHING if np.isnan(now) else lies(record, after, smooth=smooth)}"
    half: Half = "left" if was >= 0.5 else "right"
    if half == "right":
        was, now = 1 - was, 1 - now
    table = laterality_of(language)
    said = f"{rounded_percent(was)} of the map lies in the patient's {half} half; {how} {rounded_percent(now)}"
    sides = table.side(phrase), table.side(changed)
    if set(sides) != {"left", "right"}:
        return f"{said}. {moved(before, after)}"
    return f"{said}: {_judged(half, was, now, sides[1])} {moved(before, after)}"


def _judged(half: Half, was: float, now: float, named: Side) -> str:
    """The shares in the half in which most of the map was, and the side that the changed sentence names."""
    towards = now - was if named == half else was - now
    if abs(towards) < HARDLY:
        return "the map hardly follows the text."
    if towards < 0:
        return "the map moves away from the side that the text names."
    if named != half and now < 0.5:
        return "the map follows the text."
    return "the map moves towards the side that the text names, but does not change sides."


def moved(before: HeatMap, after: HeatMap) -> str:
    """How far the map moves, in a sentence."""
    nats = float(divergences([before], [after])[0])
    if np.isnan(nats):
        return "How far the map moves can't be said: the grids differ, or nothing is highlighted."
    return f"The map {'hardly moves' if nats < STILL else 'moves'} (J divergence {nats:.2g} nats)."


def language_of(audit: Audit) -> str:
    """The language in which the audit exchanged left and right; English where it was not asked to, or in words of the user's own."""
    if SWAP not in audit.conditions:
        return "en"
    phrases, swapped = (audit.data.phrase.sel(condition=name).values for name in (AS_IT_IS, SWAP))
    pairs = [(str(one), str(other)) for one, other in zip(phrases, swapped, strict=True) if other]
    fitting = [name for name in LANGUAGES if all(swap_laterality(one, name) == other for one, other in pairs)]
    return fitting[0] if fitting else "en"
