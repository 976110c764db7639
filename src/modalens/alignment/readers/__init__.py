"""The published file formats of phrases and their regions, each read into records."""

from __future__ import annotations

from modalens.alignment.readers.anything import read_records
from modalens.alignment.readers.chest_imagenome import read_chest_imagenome, read_chest_imagenome_silver
from modalens.alignment.readers.chexlocalize import read_chexlocalize
from modalens.alignment.readers.coco import read_coco
from modalens.alignment.readers.jsonl import read_jsonl, write_jsonl
from modalens.alignment.readers.ms_cxr import read_ms_cxr
from modalens.alignment.readers.nih import read_nih_boxes
from modalens.alignment.readers.padchest_gr import read_padchest_gr
from modalens.alignment.readers.vindr_cxr import read_vindr_cxr

__all__ = [
    "read_chest_imagenome",
    "read_chest_imagenome_silver",
    "read_chexlocalize",
    "read_coco",
    "read_jsonl",
    "read_ms_cxr",
    "read_nih_boxes",
    "read_padchest_gr",
    "read_records",
    "read_vindr_cxr",
    "write_jsonl",
]
