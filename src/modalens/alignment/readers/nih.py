"""NIH ChestX-ray14's boxes (Wang et al., 2017): 984 findings, each in a box drawn by a radiologist; no sentences."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from modalens.alignment.readers.pictures import Missing, Pictures, without_ending
from modalens.alignment.readers.text import Prompts, asked, at, cells_of, corners_of_xywh, existing
from modalens.alignment.records import Record
from modalens.alignment.regions import check_inside
from modalens.errors import InputError

SIZE = (1024, 1024)
HEADER = ("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]")


def read_nih_boxes(
    path: str | Path, images: str | Path, *, prompts: Prompts = "{finding}", missing: Missing = "refuse"
) -> list[Record]:
    """One record a finding of an image, with its boxes.

    Args:
        path: BBox_List_2017.csv, as it is published: the header "Bbox [x,y,w,h]" stands over four columns.
        images: the folder of the 1024 x 1024 pictures.
        prompts: a template, or the text of each finding.
        missing: "refuse" or "skip" findings whose picture isn't there.

    Raises:
        InputError: another header, a line that can't be a record, a picture of another size. The message names file and line.

    Source: nihcc.app.box.com/v/ChestXray-NIHCC.

    >>> read_nih_boxes("BBox_List_2017.csv", "images", prompts="There is {finding}.")  # doctest: +SKIP
    """
    header, *lines = cells_of(existing(path))
    if tuple(header[1][:6]) != HEADER:
        raise InputError(
            f"{path} has the header {header[1]}, that of BBox_List_2017.csv is {','.join(HEADER)!r}: is it another file?"
        )
    findings: dict[tuple[str, str], list[tuple[str, list[float]]]] = defaultdict(list)
    for line, (image, finding, *box) in ((line, [*cells, "", ""]) for line, cells in lines):
        where = f"{path}, line {line}"
        corners = corners_of_xywh(box[:4], where)
        check_inside(np.array([corners]), SIZE, where)
        findings[image, finding].append((where, list(corners)))
    pictures = Pictures(images, missing=missing)
    records = []
    for (image, finding), boxes in findings.items():
        where = boxes[0][0]
        picture = pictures.find(image, where=where)
        if picture is None:
            continue
        pictures.check_size(picture, SIZE, where)
        with at(where):
            records.append(
                Record(
                    phrase=asked(prompts, finding),
                    image=picture,
                    boxes=[box for _, box in boxes],
                    labels=(finding,),
                    image_id=image,
                    study=without_ending(image),
                    patient=image.partition("_")[0],
                )
            )
    pictures.settle(path)
    return records
