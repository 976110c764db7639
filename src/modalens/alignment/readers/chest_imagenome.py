"""Chest ImaGenome 1.0.0 (Wu et al., 2021): sentences of MIMIC-CXR reports, with the anatomical regions that they speak of."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modalens.alignment.readers.mimic import path_of
from modalens.alignment.readers.pictures import Missing, Pictures, fitted, without_ending
from modalens.alignment.readers.text import Row, at, checked_numbers, existing, items, json_of, literal, rows_of
from modalens.alignment.readers.text import field as held
from modalens.alignment.records import Record
from modalens.errors import InputError, ModalensWarning, listed

_COLUMNS = ("patient_id", "study_id", "image_id", "sentence", "label_name", "context", "categoryID", "coord_original")
_FINDINGS = ("anatomicalfinding", "disease")
_ENDING = "_SceneGraph.json"


def read_chest_imagenome(path: str | Path, images: str | Path, *, missing: Missing = "refuse") -> list[Record]:
    """One record a sentence of an image, with the boxes of all regions that annotators found it to speak of.

    A sentence is abnormal where it affirms a finding or a disease, or is labelled "abnormal"; its labels are the findings that
    it affirms, or where it affirms none those that it denies. Boxes reach over a picture's edge here and there; they are cut
    off, and those with nothing left are left out, with a warning that counts them.

    Args:
        path: gold_dataset/gold_object_attribute_with_coordinates.txt.
        images: the folder of MIMIC-CXR-JPG that holds "files", or any that holds pictures named by their dicom id, in the
            original size.
        missing: "refuse" or "skip" sentences whose picture isn't there.

    Raises:
        InputError: a missing column, a line that can't be a record. The message names file and line.

    Source: physionet.org/content/chest-imagenome/1.0.0.

    >>> read_chest_imagenome("gold_object_attribute_with_coordinates.txt", "mimic-cxr-jpg/2.1.0")  # doctest: +SKIP
    """
    sentences: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows_of(path, _COLUMNS, separator="\t"):
        sentences[row["image_id"], row["sentence"]].append(row)
    graphs = _Sentences(path, Pictures(images, missing=missing))
    for (image, sentence), rows in sentences.items():
        first = rows[0]
        graphs.add(
            sentence,
            dicom=without_ending(image),
            patient=_whole(first["patient_id"]),
            study=_whole(first["study_id"]),
            boxes=dict.fromkeys(tuple(_coordinates(row)) for row in rows if row.get("relation") not in ("0", "0.0")),
            attributes=[(row["categoryID"], row["context"], row["label_name"]) for row in rows],
            where=first.where,
        )
    return graphs.settled()


def read_chest_imagenome_silver(
    folder: str | Path,
    images: str | Path,
    *,
    image_ids: Collection[str] | None = None,
    missing: Missing = "refuse",
) -> list[Record]:
    """One record a sentence of an image, from the scene graphs that a program made of 243,000 images and reports.

    Regions without a box, such as "unknown", give none; a sentence that speaks of no others is a record without a region.
    Otherwise as `read_chest_imagenome`.

    Args:
        folder: silver_dataset/scene_graph, unpacked.
        images: as for `read_chest_imagenome`.
        image_ids: only these dicom ids; all, if not given.
        missing: "refuse" or "skip" sentences whose picture isn't there.

    Raises:
        InputError: no scene graphs, no such image_ids, or a graph that can't be read; the message names the file.

    Source: physionet.org/content/chest-imagenome/1.0.0.

    >>> read_chest_imagenome_silver("silver_dataset/scene_graph", "mimic-cxr-jpg/2.1.0", image_ids=test)  # doctest: +SKIP
    """
    graphs = _Sentences(folder, Pictures(images, missing=missing))
    for path in _scene_graphs(Path(folder), image_ids):
        _add_graph(graphs, path)
    return graphs.settled()


@dataclass
class _Sentences:
    """The records so far, and how many boxes had no area in their picture. path: what they are read from."""

    path: str | Path
    pictures: Pictures
    records: list[Record] = field(default_factory=list)
    without_area: int = 0

    def add(
        self,
        sentence: str,
        *,
        dicom: str,
        patient: str,
        study: str,
        boxes: Iterable[Sequence[float]],
        attributes: Sequence[tuple[str, str, str]],
        where: str,
    ) -> None:
        """A sentence with its attributes (category, yes or no, label)."""
        picture = self.pictures.find(path_of(patient, study, dicom), dicom, where=where)
        if picture is None:
            return
        kept, gone = fitted(list(boxes), self.pictures.size(picture))
        self.without_area += gone
        affirmed, denied = (
            tuple(
                dict.fromkeys(label for category, said, label in attributes if category in _FINDINGS and said == answer)
            )
            for answer in ("yes", "no")
        )
        with at(where):
            self.records.append(
                Record(
                    phrase=sentence,
                    image=picture,
                    boxes=kept,
                    labels=affirmed or denied,
                    abnormal=bool(affirmed) or ("nlp", "yes", "abnormal") in attributes,
                    image_id=dicom,
                    study=study,
                    patient=patient,
                )
            )

    def settled(self) -> list[Record]:
        self.pictures.settle(self.path)
        if self.without_area:
            warnings.warn(
                f"{self.path}: {self.without_area} boxes have no area inside their picture and are left out.",
                ModalensWarning,
                stacklevel=3,
            )
        return self.records


def _whole(text: str) -> str:
    """Numbers that pandas wrote as 10000032.0."""
    return text.removesuffix(".0")


def _coordinates(row: Row) -> list[float]:
    where = f"{row.where}, column 'coord_original'"
    return checked_numbers(literal(row["coord_original"], where), 4, where)


def _scene_graphs(folder: Path, image_ids: Collection[str] | None) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give silver_dataset/scene_graph, unpacked.")
    if image_ids is None:
        found = sorted(folder.glob(f"*{_ENDING}"))
        if not found:
            raise InputError(f"{folder} holds no files named *{_ENDING}: give silver_dataset/scene_graph, unpacked.")
        return found
    found = [folder / f"{without_ending(image)}{_ENDING}" for image in image_ids]
    absent = [path.name for path in found if not path.is_file()]
    if absent:
        raise InputError(
            f"{folder} has no scene graph of {len(absent)} of the image_ids, such as {listed(absent[:3])}."
        )
    return found


def _add_graph(graphs: _Sentences, path: Path) -> None:
    graph = json_of(existing(path))
    boxes = {}
    for one in items(held(graph, "objects", str(path)), str(path)):
        name = held(one, "bbox_name", f"{path}, object")
        given = [held(one, f"original_{side}", f"{path}, object {name!r}") for side in ("x1", "y1", "x2", "y2")]
        boxes[name] = checked_numbers(given, 4, f"{path}, object {name!r}")
    phrases: dict[str, str] = {}
    regions: dict[str, dict[str, None]] = defaultdict(dict)
    attributes: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for region in items(held(graph, "attributes", str(path)), str(path)):
        for phrase, identifier, said in _said(region, path):
            phrases[identifier] = " ".join(str(phrase).split())
            regions[identifier][region["bbox_name"]] = None
            attributes[identifier] += [_attribute(one, path) for one in said]
    for identifier, phrase in phrases.items():
        graphs.add(
            phrase,
            dicom=str(held(graph, "image_id", str(path))),
            patient=str(held(graph, "patient_id", str(path))),
            study=str(held(graph, "study_id", str(path))),
            boxes=[boxes[name] for name in regions[identifier] if name in boxes],
            attributes=attributes[identifier],
            where=f"{path}, phrase {identifier!r}",
        )


def _said(region: Mapping[str, Any], path: Path) -> Iterable[tuple[str, str, list[str]]]:
    """The phrases that speak of a region, with their ids and attributes."""
    where = f"{path}, region {held(region, 'bbox_name', f'{path}, attributes')!r}"
    lists = [items(held(region, name, where), where) for name in ("phrases", "phrase_IDs", "attributes")]
    if len({len(one) for one in lists}) > 1:
        raise InputError(f"{where}: {', '.join(str(len(one)) for one in lists)} phrases, phrase_IDs and attributes; as many of each were expected.")  # fmt: skip
    return zip(*lists, strict=True)


def _attribute(text: str, path: Path) -> tuple[str, str, str]:
    parts = tuple(str(text).split("|"))
    if len(parts) != 3:
        raise InputError(f"{path}: the attribute {text!r} is not category|yes or no|label.")
    return parts[0], parts[1], parts[2]
