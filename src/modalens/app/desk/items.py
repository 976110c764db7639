"""What is judged at the desk: the sentences that all audits share, each with the heat map of every model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from modalens.alignment import Audit, HeatMap, Record
from modalens.alignment.result import AS_IT_IS
from modalens.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """The map of one model, and the record as this model saw it. smooth: whether maps are drawn bilinear, not cell by cell."""

    map: HeatMap
    record: Record
    smooth: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """A sentence of a picture with a map of each model.

    picture: what names the picture. phrase: the sentence. patient: whose it is, "" where nobody is named. maps: by the name of the
    model (of its audit). author: the annotator who wrote the sentence, "" where it is of the audits.

    >>> shown = Shown(map=HeatMap(values=np.eye(2)), record=Record(phrase="Opacity.", image=np.zeros((4, 4))))
    >>> one = Item(picture="p1", phrase="Opacity.", maps={"gloria": shown})
    >>> one.located, len(one.key)
    (False, 64)
    """

    picture: str
    phrase: str
    maps: Mapping[str, Shown]
    patient: str = ""
    author: str = ""

    @cached_property
    def key(self) -> str:
        """What tells it from other items: the picture, the sentence, and the maps to the bit. Where a model is added or makes
        another map it is another item, so that nobody can tell the new map by its place behind the old ones. An annotator's
        own sentence is the same whatever the models answer today.
        """
        digests = sorted((model, "" if self.author else _digest(shown.map)) for model, shown in self.maps.items())
        return _hash(json.dumps([self.picture, self.phrase, self.author, digests]).encode())

    @property
    def custom(self) -> bool:
        """Whether an annotator wrote the sentence."""
        return bool(self.author)

    @property
    def record(self) -> Record:
        """Picture and region; those of the first model."""
        return next(iter(self.maps.values())).record

    @property
    def located(self) -> bool:
        """Whether a region was annotated."""
        return self.record.located

    @property
    def sentence(self) -> str:
        """What names the sentence within its picture: it follows from the words, so it is the same in every export."""
        return _hash(self.phrase.encode())[:8]


def shared_items(audits: Mapping[str, Audit]) -> list[Item]:
    """The sentences with a finding of which every audit has a map, in the order of the first audit. Where an audit says a sentence
    of a picture twice, the first counts.

    Raises InputError for an audit without pictures or maps, and where the audits share no sentence; it says what to do.
    """
    if not audits:
        raise InputError("there is no audit to annotate: run modalens audit, or audit.save(path, pictures=True).")
    by_model = {name: _shown(name, audit) for name, audit in audits.items()}
    first, *others = by_model.values()
    both = [key for key in first if all(key in other for other in others)]
    if not both:
        raise InputError(
            f"the audits {', '.join(by_model)} share no sentence with a finding: serve a folder whose audits were made on the same records, or one of them alone."
        )
    smooth = all(audit.settings.get("interpolation", "bilinear") == "bilinear" for audit in audits.values())
    return [
        Item(
            picture=key[0],
            phrase=key[1],
            patient=first[key][0].patient,
            maps={
                name: Shown(record=shown[key][0], map=shown[key][1], smooth=smooth) for name, shown in by_model.items()
            },
        )
        for key in both
    ]


def picture_of(record: Record) -> str:
    """What names a record's picture: its name, or what follows from its pixels where it has none."""
    return record.name or f"picture-{_hash(np.ascontiguousarray(record.pixels()).tobytes())[:12]}"


def _shown(name: str, audit: Audit) -> dict[tuple[str, str], tuple[Record, HeatMap]]:
    """Record and map of each sentence with a finding, by picture and phrase."""
    maps = audit.maps.get(AS_IT_IS)
    if not len(audit.records) or not maps:
        raise InputError(
            f"the audit {name!r} holds no {'maps' if len(audit.records) else 'pictures'}: make it again and save it with audit.save(path, pictures=True)."
        )
    found: dict[tuple[str, str], tuple[Record, HeatMap]] = {}
    for record, map in zip(audit.records, maps, strict=True):
        if map is not None and record.of_finding:
            found.setdefault((picture_of(record), record.phrase), (record, map))
    return found


def _digest(map: HeatMap) -> str:
    values = np.ascontiguousarray(map.values, dtype=np.float32)  # as a saved audit keeps them
    return _hash(json.dumps([values.shape, map.extent]).encode() + values.tobytes())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
