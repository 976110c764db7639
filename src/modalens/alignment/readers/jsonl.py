"""One's own annotations: a line of JSON for each phrase, read and written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modalens.alignment.readers.coco import run_lengths
from modalens.alignment.readers.pictures import Missing, Pictures
from modalens.alignment.readers.text import at, checked_numbers, corners, field, items, number, parsed, text_of
from modalens.alignment.records import Record
from modalens.alignment.regions import Mask, Polygons, RunLengths, Size, check_inside, run_lengths_of
from modalens.errors import InputError, listed, nearest

KEYS = ("image", "width", "height", "text", "boxes", "rle", "polygons", "labels", "laterality", "group", "patient", "abnormal", "frontal", "id", "study")  # fmt: skip


def read_jsonl(path: str | Path, images: str | Path | None = None, *, missing: Missing = "refuse") -> list[Record]:
    """One record a line.

    Each line is an object with `image` (a path in the folder of pictures) and `text`, and may have: `boxes`
    [[x1, y1, x2, y2], ...] in pixels; `rle` {"size": [height, width], "counts"} or a list of them; `polygons`
    [[[x, y], ...], ...]; `width` and `height` of the picture as it was annotated; `labels` [text, ...]; `laterality` "left",
    "right" or "both"; `group`, or `patient`, who it is; `abnormal` and `frontal`, true or false; `id`, which names the picture; `study`.
    Other keys are left alone, unless they look like a slip of these.

    Args:
        path: the file.
        images: the folder of pictures; by default, that of the file.
        missing: "refuse" or "skip" lines whose picture isn't there.

    Raises:
        InputError: a line that can't be a record; the message names it.

    >>> read_jsonl("phrases.jsonl")  # doctest: +SKIP
    """
    lines = text_of(path).split("\n")
    pictures = Pictures(Path(path).parent if images is None else images, missing=missing)
    records = []
    for line, text in enumerate(lines, start=1):
        if text.strip():
            where = f"{path}, line {line}"
            record = _record(parsed(text, where), pictures, where)
            records += [record] if record is not None else []
    if not records and not pictures.absent:
        raise InputError(f"{path} has no lines with a phrase.")
    pictures.settle(path)
    return records


def write_jsonl(records: Iterable[Record], path: str | Path, images: str | Path | None = None) -> None:
    """Records as `read_jsonl` reads them, with paths from `images`, by default the folder of `path`.

    Raises InputError for records that a file can't hold: a picture that is no file in that folder, or steps, which are taken
    after reading.

    >>> write_jsonl(records, "phrases.jsonl")  # doctest: +SKIP
    """
    folder = Path(path).parent if images is None else Path(images)
    lines = [json.dumps(_line(record, folder), ensure_ascii=False) for record in records]
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _record(line: Any, pictures: Pictures, where: str) -> Record | None:
    name = str(field(line, "image", where))
    if "phrase" in line and "text" not in line:
        raise InputError(
            f"{where}: 'text' is missing: the phrase stands under 'text' in these files, and came under 'phrase'."
        )
    for key in line:
        if key not in KEYS and nearest(key, KEYS):
            raise InputError(f"{where}: the key {key!r} is not known{nearest(key, KEYS)}; known are {listed(KEYS)}.")
    picture = pictures.find(name, where=where)
    if picture is None:
        return None
    with at(where):
        size = _size(line, picture, pictures, where)
        boxes = np.array([corners(box, where) for box in items(line.get("boxes") or [], where)]).reshape(-1, 4)
        check_inside(boxes, size, where)
        return Record(
            phrase=field(line, "text", where),
            image=picture,
            boxes=boxes,
            masks=(*_runs(line.get("rle"), size, where), *_outlines(line.get("polygons"), size, where)),
            laterality=line.get("laterality") or "",
            labels=tuple(map(str, items(line.get("labels") or [], f"{where}, labels"))),
            abnormal=_yes_or_no(line.get("abnormal"), "abnormal", where),
            image_id=str(line.get("id") or name),
            study=str(line.get("study") or ""),
            patient=str(line.get("group") or line.get("patient") or ""),
            frontal=_yes_or_no(line.get("frontal"), "frontal", where) is not False,
        )


def _size(line: Mapping[str, Any], picture: Path, pictures: Pictures, where: str) -> Size:
    if ("width" in line) != ("height" in line):
        raise InputError(f"{where}: width and height are given together, or neither.")
    if "width" in line:
        annotated = int(number(line["height"], f"{where}, height")), int(number(line["width"], f"{where}, width"))
        pictures.check_size(picture, annotated, where)
    return pictures.size(picture)


def _runs(given: Any, size: Size, where: str) -> list[RunLengths]:
    masks = [given] if isinstance(given, Mapping) else items(given or [], f"{where}, rle")
    return [run_lengths(one, f"{where}, rle", size) for one in masks]


def _outlines(given: Any, size: Size, where: str) -> list[Polygons]:
    outlines = tuple(
        tuple((x, y) for x, y in (checked_numbers(point, 2, where) for point in items(outline, f"{where}, polygon")))
        for outline in items(given or [], f"{where}, polygons")
    )
    return [Polygons(size=size, outlines=outlines)] if outlines else []


def _yes_or_no(given: Any, key: str, where: str) -> bool | None:
    if given is not None and not isinstance(given, bool):
        raise InputError(f"{where}: {key} is true or false, {given!r} came.")
    return given


def _line(record: Record, folder: Path) -> dict[str, Any]:
    if not isinstance(record.image, Path):
        raise InputError(
            f"{record.where}: its picture is an array, and a line holds a path: save the picture in {folder}."
        )
    if record.steps:
        raise InputError(
            f"{record.where}: steps can't be written: write the record as it was before them, and take them after reading."
        )
    try:
        name = record.image.absolute().relative_to(folder.absolute()).as_posix()
    except ValueError as error:
        raise InputError(
            f"{record.where}: the picture is not in {folder}: give the folder that holds it as images=."
        ) from error
    height, width = record.original_size
    line = {
        "image": name,
        "width": width,
        "height": height,
        "text": record.phrase,
        "boxes": np.asarray(record.boxes).tolist(),
        "rle": [_as_runs(mask) for mask in record.masks if not isinstance(mask, Polygons)],
        "polygons": [outline for mask in record.masks if isinstance(mask, Polygons) for outline in mask.outlines],
        "labels": list(record.labels),
        "laterality": record.laterality,
        "group": record.patient,
        "abnormal": record.abnormal,
        "frontal": record.frontal,
        "id": record.image_id,
        "study": record.study,
    }
    return {key: value for key, value in line.items() if value not in ("", [], None)}


def _as_runs(mask: Mask) -> dict[str, Any]:
    runs = mask if isinstance(mask, RunLengths) else run_lengths_of(np.asarray(mask))
    return {"size": list(runs.size), "counts": runs.counts if isinstance(runs.counts, str) else list(runs.counts)}
