"""MS-CXR 1.1.0 (Boecking et al., 2022): phrases of MIMIC-CXR reports, with the boxes that radiologists drew for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from modalens.alignment.readers.coco import read_coco
from modalens.alignment.readers.mimic import patient_and_study
from modalens.alignment.readers.pictures import Missing, Pictures, without_ending
from modalens.alignment.readers.text import Row, at, corners_of_xywh, rows_of
from modalens.alignment.records import Record
from modalens.alignment.regions import Size, check_inside
from modalens.errors import InputError, listed, nearest

_COLUMNS = ("dicom_id", "category_name", "label_text", "path", "x", "y", "w", "h", "image_width", "image_height")


def read_ms_cxr(
    path: str | Path, images: str | Path, *, split: str | None = None, missing: Missing = "refuse"
) -> list[Record]:
    """One record a phrase of an image, with all of its boxes; the finding's name is its label.

    Args:
        path: MS_CXR_Local_Alignment_v1.1.0.csv, or its JSON.
        images: the folder of MIMIC-CXR-JPG that holds "files", or any that holds pictures named by their dicom_id.
        split: only these rows of the CSV: "train", "val" or "test".
        missing: "refuse" or "skip" phrases whose picture isn't there.

    Raises:
        InputError: a missing column, a line that can't be a record, a picture that isn't there or has another size than
            the annotated one. The message names file and line.

    Source: physionet.org/content/ms-cxr/1.1.0.

    >>> read_ms_cxr("MS_CXR_Local_Alignment_v1.1.0.csv", "mimic-cxr-jpg/2.1.0", split="test")  # doctest: +SKIP
    """
    if Path(path).suffix.lower() == ".json":
        if split is not None:
            raise InputError(f"split={split!r}: the JSON of MS-CXR has no splits; read its CSV.")
        return [_of_mimic(record) for record in read_coco(path, images, missing=missing)]
    rows = _of_split(path, rows_of(path, _COLUMNS), split)
    phrases: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        phrases[row["dicom_id"], row["label_text"]].append(row)
    pictures = Pictures(images, missing=missing)
    records = []
    for (dicom, phrase), of_phrase in phrases.items():
        first = of_phrase[0]
        picture = pictures.find(first["path"], dicom, where=first.where)
        if picture is None:
            continue
        pictures.check_size(picture, _size(first), first.where)
        patient, study = patient_and_study(first["path"])
        with at(first.where):
            records.append(
                Record(
                    phrase=phrase,
                    image=picture,
                    boxes=[_box(row) for row in of_phrase],
                    labels=tuple(dict.fromkeys(row["category_name"] for row in of_phrase)),
                    image_id=dicom,
                    study=study,
                    patient=patient,
                )
            )
    pictures.settle(path)
    return records


def _of_split(path: str | Path, rows: list[Row], split: str | None) -> list[Row]:
    if split is None:
        return rows
    splits = sorted({row.get("split") for row in rows} - {""})
    if split not in splits:
        raise InputError(f"{path} has no split {split!r}{nearest(split, splits)}: it has {listed(splits)}.")
    return [row for row in rows if row["split"] == split]


def _size(row: Row) -> Size:
    return int(row.number("image_height")), int(row.number("image_width"))


def _box(row: Row) -> tuple[float, float, float, float]:
    box = corners_of_xywh([row.number(name) for name in "xywh"], row.where)
    check_inside(np.array([box]), _size(row), row.where)
    return box


def _of_mimic(record: Record) -> Record:
    patient, study = patient_and_study(str(record.image))
    return replace(record, image_id=without_ending(record.image_id), patient=patient, study=study)
