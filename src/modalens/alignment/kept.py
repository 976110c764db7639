"""What an audit looked at, in its file: records with their pictures as the model sees them, and heat maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.ragged import as_dataset, from_dataset
from modalens.alignment.records import Record
from modalens.alignment.regions import Flip
from modalens.errors import InputError

Maps = Mapping[str, Sequence[HeatMap | None]]
"""By condition, the heat map of each record."""


def stored_records(records: Sequence[Record]) -> dict[str, xr.Dataset]:
    """Records as groups of a file: what is said of each, the regions, and every picture once. Regions and pictures are those
    after the steps; of these only that left and right were exchanged is kept, since it tells where the patient's left is.

    Raises InputError for a picture that can't be read.
    """
    first: dict[Any, int] = {}
    pictures: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    about = []
    for record in records:
        if record.picture_seen not in first:
            first[record.picture_seen] = len(pictures)
            pictures.append(_unflipped(record.pixels(), record))
        regions = _masks(record)
        said = {
            "phrase": record.phrase,
            "picture": first[record.picture_seen],
            "boxes": _boxes(record).tolist(),
            "masks": list(range(len(masks), len(masks) + len(regions))),
            "laterality": record.side,
            "labels": list(record.labels),
            "abnormal": record.abnormal,
            "image_id": record.name,
            "study": record.study,
            "patient": record.patient,
            "frontal": record.frontal,
            "mirrored": record.mirrored,
        }
        about.append(json.dumps(said))
        masks += regions
    return {"/records": xr.Dataset({"about": ("record", np.array(about, dtype=object))})} | _groups(
        {"/records/masks": masks, "/records/pictures": pictures}
    )


def loaded_records(tree: Mapping[str, xr.Dataset]) -> tuple[Record, ...]:
    """The records that were stored; those of one picture share its array. None where there are none in the file."""
    if "/records" not in tree:
        return ()
    masks, pictures = _arrays(tree, "/records/masks"), _arrays(tree, "/records/pictures")
    return tuple(_record(json.loads(str(about)), pictures, masks) for about in tree["/records"]["about"].values)


def stored_maps(maps: Maps, *, words: bool) -> dict[str, xr.Dataset]:
    """Heat maps as groups of a file, each map once. words: whether the maps of the words are among them."""
    every = [map for of_condition in maps.values() for map in of_condition if map is not None]
    distinct = list({id(map): map for map in every}.values())
    place = {id(map): number for number, map in enumerate(distinct)}
    which = [[-1 if map is None else place[id(map)] for map in of_condition] for of_condition in maps.values()]
    if not distinct:
        return {}
    nowhere = (np.nan,) * 4
    return {
        "/maps": xr.Dataset(
            {
                "shown": ("shown_as", np.array(list(maps), dtype=object)),
                "which": (("shown_as", "record"), np.array(which, dtype=np.int64)),
                "extent": (("map", "edge"), np.array([map.extent or nowhere for map in distinct], dtype=float)),
                "opt_out": ("map", np.array([map.opt_out for map in distinct], dtype=float)),
                "has_words": ("map", np.array([words and map.words is not None for map in distinct])),
            }
        )
    } | _groups(
        {
            "/maps/values": [map.values for map in distinct],
            "/maps/words": [np.asarray(map.words) for map in distinct if words and map.words is not None],
        }
    )


def loaded_maps(tree: Mapping[str, xr.Dataset]) -> dict[str, Sequence[HeatMap | None]]:
    """The heat maps that were stored, by condition."""
    if "/maps" not in tree:
        return {}
    about = tree["/maps"]
    words = dict(zip(np.flatnonzero(about.has_words.values).tolist(), _arrays(tree, "/maps/words"), strict=True))
    maps = [
        HeatMap(
            values=values,
            extent=None if np.isnan(extent).any() else (extent[0], extent[1], extent[2], extent[3]),
            opt_out=opt_out,
            words=words.get(place),
        )
        for place, (values, extent, opt_out) in enumerate(
            zip(_arrays(tree, "/maps/values"), about.extent.values.tolist(), about.opt_out.values.tolist(), strict=True)
        )
    ]  # fmt: skip
    return {
        str(condition): [None if place < 0 else maps[place] for place in of_condition]
        for condition, of_condition in zip(about.shown.values, about.which.values.tolist(), strict=True)
    }


def _groups(arrays: Mapping[str, Sequence[np.ndarray]]) -> dict[str, xr.Dataset]:
    """A group for each list of arrays that is not empty."""
    return {path: as_dataset(these) for path, these in arrays.items() if these}


def _arrays(tree: Mapping[str, xr.Dataset], path: str) -> list[np.ndarray]:
    return from_dataset(tree[path]) if path in tree else []


def _record(said: Mapping[str, Any], pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> Record:
    own = {name: said[name] for name in ("phrase", "laterality", "abnormal", "image_id", "study", "patient", "frontal")}
    try:
        return Record(
            image=pictures[said["picture"]],
            boxes=said["boxes"],
            masks=tuple(masks[place] for place in said["masks"]),
            labels=tuple(said["labels"]),
            steps=(Flip(),) if said["mirrored"] else (),
            **own,
        )
    except InputError as error:
        raise ValueError(str(error)) from error


def _boxes(record: Record) -> np.ndarray:
    """The boxes as the model sees them, before left and right are exchanged."""
    return Flip().boxes(record.seen_boxes, record.size) if record.mirrored else record.seen_boxes


def _masks(record: Record) -> list[np.ndarray]:
    """The drawn regions in the same way. A region that was cropped away leaves an empty one: the record was annotated."""
    seen = [_unflipped(mask, record) for mask in record.seen_masks]
    gone = record.located and not seen and not len(record.seen_boxes)
    return [np.zeros(record.size, dtype=bool)] if gone else seen


def _unflipped(array: np.ndarray, record: Record) -> np.ndarray:
    return Flip().image(array) if record.mirrored else array
