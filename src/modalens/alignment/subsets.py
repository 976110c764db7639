"""Of which phrases a score is the mean: fixed on the records as they came, before any phrase is perturbed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from modalens.alignment.records import Record, Side
from modalens.alignment.regions import Resize, intersection_over_union

DIVERSE = 0.1
"""The share of reports that count as those with the most diverse boxes."""

COMMON = (256, 256)
"""The pixels on which the regions of a report are compared, whatever the model makes of the image."""

MIRRORED: dict[Side, Side] = {"left": "right", "right": "left"}


def subsets(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """Which records belong to which subset: a mask (record,) by name.

    - `all`: somebody has annotated where the phrase points; the others are subsets of these.
    - `abnormal`: the phrase speaks of a finding.
    - `one lung`: its region lies on one side of the patient, in a frontal view. Published with lung boxes, it is exactly one.
    - `most diverse boxes`: records of the tenth of reports whose phrases point to the most different places (`reports_alike`);
      reports that tie with the last of them belong to it.
    - `bilateral`: the image shows the same finding on the other side, as another record with the same labels says, so that only
      the text can choose.

    Source: all but the last, McInerney et al. 2022, arXiv:2210.06565.

    >>> image = np.zeros((8, 8))
    >>> right = Record(phrase="Opacity in the right lung.", image=image, boxes=[[1, 2, 3, 4]], labels=("opacity",))
    >>> left = Record(phrase="Opacity in the left lung.", image=image, boxes=[[5, 2, 7, 4]], labels=("opacity",))
    >>> {name: rows.tolist() for name, rows in subsets([right, left]).items() if name != "most diverse boxes"}
    {'all': [True, True], 'abnormal': [True, True], 'one lung': [True, True], 'bilateral': [True, True]}
    """
    sides = [_one_side(record) for record in records]
    found = {
        "all": [record.located for record in records],
        "abnormal": [record.located and record.of_finding for record in records],
        "one lung": [side != "" for side in sides],
        "most diverse boxes": _most_diverse(records),
        "bilateral": [other is not None for other in _counterparts(records, sides)],
    }
    return {name: np.asarray(rows, dtype=bool) for name, rows in found.items()}


def counterparts(records: Sequence[Record]) -> list[int | None]:
    """For each record, the index of the first that has the same image and the same labels on the patient's other side; None
    where there is none. Records without labels have none: nothing says that both speak of the same finding. Nor have those
    that deny a finding, and none is another's: the exchanged phrase would be false.

    >>> image = np.zeros((8, 8))
    >>> right = Record(phrase="Opacity in the right lung.", image=image, boxes=[[1, 2, 3, 4]], labels=("opacity",))
    >>> left = Record(phrase="Opacity in the left lung.", image=image, boxes=[[5, 2, 7, 4]], labels=("opacity",))
    >>> counterparts([right, replace(right, labels=("nodule",)), left])
    [2, None, 0]
    """
    return _counterparts(records, [_one_side(record) for record in records])


def _counterparts(records: Sequence[Record], sides: Sequence[Side]) -> list[int | None]:
    first: dict[tuple[Hashable, frozenset[str], Side], int] = {}
    for index, (record, side) in enumerate(zip(records, sides, strict=True)):
        if record.of_finding:
            first.setdefault((record.picture_seen, frozenset(record.labels), side), index)
    return [
        first.get((record.picture_seen, frozenset(record.labels), MIRRORED[side]))
        if side and record.labels and record.of_finding
        else None
        for record, side in zip(records, sides, strict=True)
    ]


def _one_side(record: Record) -> Side:
    """The patient's side, left or right, on which an annotated region lies; else empty. A lateral view has none."""
    if not (record.located and record.frontal):
        return ""
    side = record.side
    return side if side in MIRRORED else ""


def _most_diverse(records: Sequence[Record]) -> list[bool]:
    """Whether each record belongs to a located phrase of a report in the lowest tenth of `reports_alike`."""
    alike = reports_alike(records)
    lowest = np.quantile(list(alike.values()), DIVERSE, method="inverted_cdf") if alike else np.nan
    return [bool(record.located and alike.get(record.report, np.nan) <= lowest) for record in records]


def reports_alike(records: Iterable[Record]) -> dict[Hashable, float]:
    """How much the regions of each report overlap: the mean intersection over union of pairs of its located phrases, on the
    same image. By `Record.report`; reports without such a pair are left out.
    """
    reports = defaultdict(list)
    for record in records:
        if record.located:
            reports[record.report].append(record)
    found = {report: _mean_overlap(phrases) for report, phrases in reports.items()}
    return {report: overlap for report, overlap in found.items() if not np.isnan(overlap)}


def _mean_overlap(phrases: Sequence[Record]) -> float:
    regions = [(record.picture, replace(record, steps=(Resize(to=COMMON),)).truth) for record in phrases]
    overlaps = [
        intersection_over_union(one, other)
        for (picture, one), (same, other) in combinations(regions, 2)
        if picture == same
    ]
    return float(np.mean(overlaps)) if overlaps else float("nan")
