"""COCO's JSON: images, categories, and annotations with boxes (x, y, width, height), run lengths or polygons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modalens.alignment.readers.pictures import Missing, Pictures
from modalens.alignment.readers.text import (
    Prompts,
    asked,
    at,
    checked_numbers,
    corners_of_xywh,
    field,
    items,
    json_of,
    number,
)
from modalens.alignment.records import Record
from modalens.alignment.regions import Mask, Polygons, RunLengths, Size, check_inside
from modalens.errors import InputError

_TEXTS = ("label_text", "caption", "phrase", "sentence", "text")


def read_coco(
    path: str | Path, images: str | Path, *, prompts: Prompts = "{finding}", missing: Missing = "refuse"
) -> list[Record]:
    """One record a phrase of an image, with all annotations that have it.

    The phrase is an annotation's `label_text`, `caption`, `phrase`, `sentence` or `text`; where it has none, the prompt for
    its category. An annotation's segmentation is used where it has one, else its box. An image's `patient` and `study` are
    kept where they are given; images without annotations become no records, as nothing is said of them.

    Args:
        path: the JSON.
        images: the folder that an image's `path` or `file_name` starts from.
        prompts: a template, or the text of each category; for annotations without a text.
        missing: "refuse" or "skip" images that aren't there.

    Raises:
        InputError: what is missing in the file, or can't be a record; the message names the annotation.

    Source: cocodataset.org/#format-data.

    >>> read_coco("annotations.json", "images", prompts="There is {finding}.")  # doctest: +SKIP
    """
    content = json_of(path)
    described = _by_id(content, "images", path)
    names = {
        one: str(field(category, "name", f"{path}, category {one}"))
        for one, category in _by_id(content, "categories", path).items()
    }
    phrases: dict[tuple[Any, str], list[_Annotation]] = defaultdict(list)
    for identifier, one in _by_id(content, "annotations", path).items():
        where = f"{path}, annotation {identifier}"
        if field(one, "image_id", where) not in described:
            raise InputError(f"{where}: there is no image {one['image_id']!r}.")
        finding = names.get(one.get("category_id"), "")
        phrases[one["image_id"], _phrase(one, finding, prompts, where)].append(_Annotation(where, finding, one))
    pictures = Pictures(images, missing=missing)
    records = []
    for (image, phrase), group in phrases.items():
        record = _record(phrase, described[image], group, pictures)
        records += [record] if record is not None else []
    pictures.settle(path)
    return records


@dataclass(frozen=True)
class _Annotation:
    where: str
    finding: str
    held: Mapping[str, Any]


def _by_id(content: Any, kind: str, path: str | Path) -> dict[Any, Mapping[str, Any]]:
    found: dict[Any, Mapping[str, Any]] = {}
    if kind == "categories" and kind not in content:  # files of captions have none
        return found
    for place, one in enumerate(items(field(content, kind, str(path)), f"{path}, {kind}")):
        identifier = field(one, "id", f"{path}, {kind}, at place {place}")
        if identifier in found:
            raise InputError(f"{path}, {kind}: the id {identifier!r} stands twice.")
        found[identifier] = one
    return found


def _record(phrase: str, image: Mapping[str, Any], group: Sequence[_Annotation], pictures: Pictures) -> Record | None:
    where = group[0].where
    names = [str(image[key]) for key in ("path", "file_name") if image.get(key)]
    if not names:
        raise InputError(f"{where}: its image {image['id']!r} has no file_name.")
    picture = pictures.find(*names, where=where)
    if picture is None:
        return None
    if "height" in image and "width" in image:
        pictures.check_size(picture, (int(number(image["height"], where)), int(number(image["width"], where))), where)
    size = pictures.size(picture)
    drawn = [one for one in group if one.held.get("segmentation")]
    boxed = [one for one in group if not one.held.get("segmentation")]
    with at(where):
        return Record(
            phrase=phrase,
            image=picture,
            boxes=[_box(one, size) for one in boxed],
            masks=tuple(mask_of(one.held["segmentation"], size, one.where) for one in drawn),
            labels=tuple(dict.fromkeys(one.finding for one in group if one.finding)),
            image_id=names[-1],
            study=str(image.get("study", "")),
            patient=str(image.get("patient", "")),
        )


def _box(annotation: _Annotation, size: Size) -> tuple[float, float, float, float]:
    box = corners_of_xywh(field(annotation.held, "bbox", annotation.where), annotation.where)
    check_inside(np.array([box]), size, annotation.where)
    return box


def mask_of(segmentation: Any, size: Size, where: str) -> Mask:
    """A segmentation as COCO writes it: run lengths {"size", "counts"}, or polygons [[x1, y1, x2, y2, ...], ...]."""
    if isinstance(segmentation, Mapping):
        return run_lengths(segmentation, where, size)
    outlines = []
    for flat in items(segmentation, f"{where}, segmentation"):
        numbers = [number(value, f"{where}, polygon") for value in items(flat, f"{where}, polygon")]
        if len(numbers) < 6 or len(numbers) % 2:
            raise InputError(
                f"{where}: a polygon has three points or more, as [x1, y1, x2, y2, x3, y3]; {numbers} came."
            )
        outlines.append(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    return Polygons(size=size, outlines=tuple(outlines))


def run_lengths(given: Any, where: str, size: Size | None = None) -> RunLengths:
    """Run lengths {"size": [height, width], "counts": text or numbers}. size: that of the picture, which they must have."""
    height, width = (int(value) for value in checked_numbers(field(given, "size", where), 2, f"{where}, size"))
    if size is not None and (height, width) != size:
        raise InputError(
            f"{where}: a mask of {height} x {width} on a picture of {size[0]} x {size[1]} (height x width): give the picture that was annotated."
        )
    counts = field(given, "counts", where)
    if not isinstance(counts, str):
        counts = tuple(int(number(one, where)) for one in items(counts, f"{where}, counts"))
    return RunLengths(size=(height, width), counts=counts)


def _phrase(annotation: Mapping[str, Any], finding: str, prompts: Prompts, where: str) -> str:
    for name in _TEXTS:
        if annotation.get(name):
            return str(annotation[name]).strip()
    if not finding:
        raise InputError(
            f"{where} has neither a text nor a category: give it a {_TEXTS[1]!r}, or a category with a name."
        )
    with at(where):
        return asked(prompts, finding)
