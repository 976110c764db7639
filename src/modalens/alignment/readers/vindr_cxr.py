"""VinDr-CXR (Nguyen et al., 2022): findings of chest X-rays, boxed by several radiologists; no sentences."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from modalens.alignment.readers.pictures import Missing, Pictures
from modalens.alignment.readers.text import Prompts, Row, asked, at, corners, rows_of
from modalens.alignment.records import Record
from modalens.alignment.regions import check_inside
from modalens.errors import InputError, listed, nearest

NOTHING = "No finding"
_CORNERS = ("x_min", "y_min", "x_max", "y_max")


def read_vindr_cxr(
    path: str | Path,
    images: str | Path,
    *,
    prompts: Prompts = "{finding}",
    readers: str = "union",
    missing: Missing = "refuse",
) -> list[Record]:
    """One record a finding of an image, with all boxes that were drawn for it; "No finding" without any, as not abnormal.

    Args:
        path: annotations_train.csv or annotations_test.csv.
        images: the folder of pictures, named by image_id.
        prompts: a template, or the text of each finding.
        readers: "union", the boxes of all radiologists, and "No finding" where none of them found any; or one of them, such
            as "R9", as the column rad_id names them.
        missing: "refuse" or "skip" findings whose picture isn't there.

    Raises:
        InputError: a missing column, an unknown radiologist, a line that can't be a record. The message names file and line.

    Source: physionet.org/content/vindr-cxr/1.0.0.

    >>> read_vindr_cxr("annotations_test.csv", "test", prompts="There is {finding}.")  # doctest: +SKIP
    """
    findings: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in _read_by(path, rows_of(path, ("image_id", "class_name", *_CORNERS)), readers):
        findings[row["image_id"], row["class_name"]].append(row)
    abnormal = {image for image, finding in findings if finding != NOTHING}
    pictures = Pictures(images, missing=missing)
    records = []
    for (image, finding), rows in findings.items():
        if finding == NOTHING and image in abnormal:  # one radiologist found nothing, another something
            continue
        picture = pictures.find(image, where=rows[0].where)
        if picture is None:
            continue
        with at(rows[0].where):
            records.append(
                Record(
                    phrase=asked(prompts, finding),
                    image=picture,
                    boxes=[] if finding == NOTHING else [_box(row, picture, pictures) for row in rows],
                    labels=() if finding == NOTHING else (finding,),
                    abnormal=finding != NOTHING,
                    image_id=image,
                )
            )
    pictures.settle(path)
    return records


def _read_by(path: str | Path, rows: list[Row], readers: str) -> list[Row]:
    if readers == "union":
        return rows
    known = sorted({row.get("rad_id") for row in rows} - {""})
    if readers not in known:
        raise InputError(
            f"readers={readers!r}: {path} has no such radiologist{nearest(readers, known)}; give 'union' or one of {listed(known)}."
        )
    return [row for row in rows if row["rad_id"] == readers]


def _box(row: Row, picture: Path, pictures: Pictures) -> tuple[float, float, float, float]:
    box = corners([row.number(name) for name in _CORNERS], row.where)
    check_inside(np.array([box]), pictures.size(picture), row.where)
    return box
