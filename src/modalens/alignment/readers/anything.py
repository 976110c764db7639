"""A file of annotations whose format is told by what it holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from modalens.alignment.readers.chest_imagenome import read_chest_imagenome, read_chest_imagenome_silver
from modalens.alignment.readers.chexlocalize import read_chexlocalize
from modalens.alignment.readers.coco import read_coco
from modalens.alignment.readers.jsonl import read_jsonl
from modalens.alignment.readers.ms_cxr import read_ms_cxr
from modalens.alignment.readers.nih import HEADER, read_nih_boxes
from modalens.alignment.readers.padchest_gr import read_padchest_gr
from modalens.alignment.readers.text import existing, json_of
from modalens.alignment.readers.vindr_cxr import read_vindr_cxr
from modalens.alignment.records import Record
from modalens.errors import InputError, listed, require_keywords_of

Reader = Callable[..., list[Record]]

_TABLES: Mapping[Reader, tuple[str, ...]] = {
    read_ms_cxr: ("dicom_id", "label_text", "x", "y", "w", "h"),
    read_chest_imagenome: ("image_id", "sentence", "coord_original"),
    read_vindr_cxr: ("image_id", "class_name", "x_min"),
    read_nih_boxes: HEADER,
}
"""The columns by which a table is known."""

_KNOWN = "a table of MS-CXR, Chest ImaGenome, VinDr-CXR or NIH ChestX-ray14; JSON of MS-CXR, CheXlocalize, PadChest-GR or COCO; .jsonl; a folder of Chest ImaGenome's scene graphs"


def read_records(path: str | Path, images: str | Path | None = None, **options: Any) -> list[Record]:
    """The records of a file in any of the published formats, or of one's own .jsonl.

    Args:
        path: the file, or the folder of Chest ImaGenome's scene graphs.
        images: the folder of pictures; by default, that of the file.
        **options: those of the format's own reader, such as missing="skip" or prompts="There is {finding}.".

    Raises:
        InputError: a format that isn't known, and whatever its reader refuses.
        TypeError: an option that the format's reader doesn't take.

    >>> read_records("annotations_test.csv", "test", readers="union")  # doctest: +SKIP
    """
    path = Path(path)
    reader = format_of(path)
    require_keywords_of(reader, "read_records", options)
    return reader(path, path.parent if images is None else images, **options)


def format_of(path: Path) -> Reader:
    """The reader of a file, told by its ending, its header, or how its JSON is laid out."""
    if path.is_dir():
        return read_chest_imagenome_silver
    existing(path)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return read_jsonl
    if path.suffix.lower() == ".json":
        return _of_json(json_of(path), path)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline(10_000).strip()
    names = header.replace("\t", ",").replace('"', "").split(",")
    for reader, columns in _TABLES.items():
        if set(columns) <= set(names):
            return reader
    raise InputError(f"{path} is of no known format: its first line is {header[:80]!r}. Known are {_KNOWN}.")


def _of_json(content: Any, path: Path) -> Reader:
    first = next(iter(content.values() if isinstance(content, Mapping) else content or ()), None) if isinstance(content, Collection) else None  # fmt: skip
    if isinstance(content, Mapping) and {"images", "annotations"} <= set(content):
        annotations = content["annotations"]
        of_phrases = bool(annotations) and isinstance(annotations, list) and "label_text" in annotations[0]
        return read_ms_cxr if of_phrases else read_coco
    if isinstance(content, list) and isinstance(first, Mapping) and {"ImageID", "findings"} <= set(first):
        return read_padchest_gr
    if isinstance(first, Mapping) and ("img_size" in first or any(isinstance(one, Mapping) and "counts" in one for one in first.values())):  # fmt: skip
        return read_chexlocalize
    found = (
        f"an object with {listed(list(content)[:3])}" if isinstance(content, Mapping) else f"a {type(content).__name__}"
    )
    raise InputError(f"{path} is of no known format: its JSON is {found}. Known are {_KNOWN}.")
