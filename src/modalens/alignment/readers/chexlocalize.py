"""CheXlocalize (Saporta et al., 2022): findings of CheXpert's X-rays, outlined by radiologists; no sentences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalens.alignment.readers.coco import run_lengths
from modalens.alignment.readers.pictures import Missing, Pictures
from modalens.alignment.readers.text import Prompts, asked, at, checked_numbers, items, json_of
from modalens.alignment.records import Record
from modalens.alignment.regions import Polygons, RunLengths, Size
from modalens.errors import InputError


def read_chexlocalize(
    path: str | Path, images: str | Path, *, prompts: Prompts = "{finding}", missing: Missing = "refuse"
) -> list[Record]:
    """One record a finding of an image, with its mask; findings that are not there (an empty mask) are kept without a region,
    as not abnormal.

    Args:
        path: gt_segmentations_{val,test}.json (run lengths) or gt_annotations_{val,test}.json (polygons).
        images: CheXpert's folder of patients (patient64541/study1/view1_frontal.jpg), or pictures named by the ids.
        prompts: a template, or the text of each finding.
        missing: "refuse" or "skip" findings whose picture isn't there.

    Raises:
        InputError: what can't be a mask, or a picture of another size, such as CheXpert-small's; the message names the image.

    Source: stanfordaimi.azurewebsites.net/datasets/23c56a0d-15de-405b-87c8-99c30138950c.

    >>> read_chexlocalize("gt_segmentations_val.json", "CheXpert/val", prompts="There is {finding}.")  # doctest: +SKIP
    """
    content = json_of(path)
    if not isinstance(content, Mapping):
        raise InputError(
            f"{path}: an object of images was expected, a {type(content).__name__} came: is it another file?"
        )
    pictures = Pictures(images, missing=missing)
    records = []
    for image, findings in content.items():
        where = f"{path}, image {image!r}"
        if not isinstance(findings, Mapping):
            raise InputError(f"{where}: an object of findings was expected, {str(findings)[:60]!r} came.")
        picture = pictures.find(image.replace("_", "/", 2), image, where=where)
        if picture is None:
            continue
        patient, _, rest = image.partition("_")
        for finding, mask in _masks(findings, where):
            pictures.check_size(picture, mask.size, f"{where}, {finding!r}")
            there = not isinstance(mask, RunLengths) or _filled(mask, f"{where}, {finding!r}")
            with at(where):
                records.append(
                    Record(
                        phrase=asked(prompts, finding),
                        image=picture,
                        masks=(mask,) if there else (),
                        labels=(finding,),
                        abnormal=there,
                        image_id=image,
                        study=f"{patient}_{rest.partition('_')[0]}",
                        patient=patient,
                        frontal="lateral" not in rest,
                    )
                )
    pictures.settle(path)
    return records


def _masks(findings: Mapping[str, Any], where: str) -> list[tuple[str, RunLengths | Polygons]]:
    if "img_size" not in findings:
        return [(finding, run_lengths(mask, f"{where}, {finding!r}")) for finding, mask in findings.items()]
    height, width = (int(value) for value in checked_numbers(findings["img_size"], 2, f"{where}, img_size"))
    return [
        (finding, _polygons(outlines, (height, width), f"{where}, {finding!r}"))
        for finding, outlines in findings.items()
        if finding != "img_size"
    ]


def _polygons(outlines: Any, size: Size, where: str) -> Polygons:
    """Outlines of one or two points, which a slip of the hand leaves behind, enclose nothing."""
    pieces = [
        tuple(_point(point, where) for point in items(outline, where))
        for outline in items(outlines, where)
        if len(items(outline, where)) > 2
    ]
    if not pieces:
        raise InputError(f"{where}: none of its outlines has three points.")
    return Polygons(size=size, outlines=tuple(pieces))


def _point(point: Any, where: str) -> tuple[float, float]:
    x, y = checked_numbers(point, 2, where)
    return x, y


def _filled(mask: RunLengths, where: str) -> bool:
    with at(where):
        return bool(mask.painted().any())
