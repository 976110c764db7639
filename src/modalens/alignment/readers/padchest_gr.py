"""PadChest-GR (de Castro et al., 2024): every sentence of a report on a chest X-ray, with boxes for what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from modalens.alignment.readers.pictures import Missing, Pictures, without_ending
from modalens.alignment.readers.text import at, corners, field, items, json_of
from modalens.alignment.records import Record
from modalens.alignment.regions import Size
from modalens.errors import InputError, choice


def read_padchest_gr(
    path: str | Path,
    images: str | Path,
    *,
    language: Literal["en", "es"] = "en",
    extra_boxes: bool = False,
    patients: Mapping[str, str] | None = None,
    missing: Missing = "refuse",
) -> list[Record]:
    """One record a sentence: findings with their boxes, and sentences that nothing is wrong without a region, as not abnormal.

    Args:
        path: grounded_reports_20240819.json.
        images: the folder of PadChest_GR's pictures, named by ImageID.
        language: the sentences in English or, as they were written, in Spanish.
        extra_boxes: whether the second reader's boxes join the first one's.
        patients: the patient of each StudyID, which the reports don't say and master_table.csv does.
        missing: "refuse" or "skip" reports whose picture isn't there.

    Raises:
        InputError: a sentence without text, boxes that are not shares of the picture (0 to 1); the message names the report.

    Source: bimcv.cipf.es/bimcv-projects/padchest-gr.

    >>> read_padchest_gr("grounded_reports_20240819.json", "Padchest_GR_files/PadChest_GR")  # doctest: +SKIP
    """
    choice("language", language, ("en", "es"))
    pictures = Pictures(images, missing=missing)
    records = []
    for place, report in enumerate(items(json_of(path), str(path))):
        image = str(field(report, "ImageID", f"{path}, report at place {place}"))
        picture = pictures.find(image, where=f"{path}, report at place {place}")
        if picture is None:
            continue
        study = str(report.get("StudyID", ""))
        patient = str(report.get("PatientID", ""))
        if patients is not None:
            if study not in patients:
                raise InputError(
                    f"{path}, image {image!r}: patients has none for the study {study!r}: give that of each StudyID."
                )
            patient = str(patients[study])
        for number, finding in enumerate(
            items(field(report, "findings", f"{path}, image {image!r}"), str(path)), start=1
        ):
            where = f"{path}, image {image!r}, finding {number}"
            given = [*(finding.get("boxes") or []), *((finding.get("extra_boxes") or []) if extra_boxes else [])]
            with at(where):
                records.append(
                    Record(
                        phrase=str(field(finding, f"sentence_{language}", where) or ""),
                        image=picture,
                        boxes=[_box(box, pictures.size(picture), where) for box in given],
                        labels=tuple(map(str, finding.get("labels") or ())),
                        abnormal=bool(field(finding, "abnormal", where)),
                        image_id=without_ending(image),
                        study=study,
                        patient=patient,
                    )
                )
    pictures.settle(path)
    return records


def _box(shares: Any, size: Size, where: str) -> list[float]:
    box = np.array(corners(shares, where))
    if box.min() < -0.001 or box.max() > 1.001:
        raise InputError(
            f"{where}: the box {box.tolist()} does not lie in 0 to 1; boxes are shares of the picture here, (x1, y1, x2, y2)."
        )
    return [*(box.clip(0, 1) * [size[1], size[0], size[1], size[0]]).tolist()]
