"""Changes of the text or of the region after which a model that reads must answer otherwise, all from one seed.

If the heat map follows the text, it moves when the text does. Beside each change stands where a map that follows the text
perfectly would go (`Changed.targets`), so that what a model loses can be held against what it could lose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from modalens.alignment.heatmaps import resampled
from modalens.alignment.laterality import Laterality, laterality_of
from modalens.alignment.records import Record, Side
from modalens.alignment.regions import Flip
from modalens.errors import InputError, choice, listed


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One record changed: phrase, truth and target as in `Changed`, or why it is left out."""

    phrase: str | None = None
    truth: np.ndarray | None = None
    target: np.ndarray | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Changed:
    """Records after a change, in their order.

    phrases: the changed phrase; None where the record is left out. truths: the region (height, width) that the map is scored
    against, where that is changed; None is the record's own. targets: the region that a map which follows the text perfectly
    would show for the changed phrase, on this image as the model sees it; None where nobody knows, and then the most that can
    be asked of a model is a map that says nothing. reasons: why a record is left out; empty where it is kept.
    """

    phrases: tuple[str | None, ...]
    truths: tuple[np.ndarray | None, ...]
    targets: tuple[np.ndarray | None, ...]
    reasons: tuple[str, ...]

    def __post_init__(self) -> None:
        lengths = [len(column) for column in (self.phrases, self.truths, self.targets, self.reasons)]
        if len(set(lengths)) > 1:
            raise InputError(f"Changed: phrases, truths, targets and reasons have {lengths} rows: give one a record.")
        for place, (phrase, reason) in enumerate(zip(self.phrases, self.reasons, strict=True)):
            if (phrase is None) != bool(reason):
                raise InputError(
                    f"Changed: record {place} has the phrase {phrase!r} and the reason {reason!r}: give a reason where the phrase is None, and only there."
                )

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Changed:
        """From rows, one a record."""
        rows = tuple(rows)
        return cls(
            phrases=tuple(row.phrase for row in rows),
            truths=tuple(row.truth for row in rows),
            targets=tuple(row.target for row in rows),
            reasons=tuple(row.reason for row in rows),
        )

    @property
    def kept(self) -> np.ndarray:
        """Which records were changed, (record) bool."""
        return np.array([phrase is not None for phrase in self.phrases], dtype=bool)


@runtime_checkable
class Perturbation(Protocol):
    """A change of records. name: short, for tables. words: what is done, in a sentence."""

    @property
    def name(self) -> str: ...

    @property
    def words(self) -> str: ...

    def changed(self, records: Sequence[Record], rng: np.random.Generator) -> Changed:
        """The records changed; all that is random comes from `rng`."""


@dataclass(frozen=True, kw_only=True)
class SwapLaterality:
    """Left for right. Phrases without a mirror stay out (see `laterality.mirror`), and so do views that are not frontal.

    The target is the region of what is true of the other side: of the records of the same image that have the swapped words,
    else of those with the same labels on the other side. Where there is none, the sentence is false, and the target is the record's own region
    flipped about the middle of the image as it was annotated; looking nowhere would be as right there, so that the flip rate
    on bilateral studies is the number to go by.
    """

    language: str | Laterality = "en"
    name: ClassVar[str] = "swap left/right"
    words: ClassVar[str] = "Left and right are exchanged in the phrase."

    def changed(self, records: Sequence[Record], rng: np.random.Generator) -> Changed:
        """Nothing is drawn: the same phrases give the same swaps."""
        table = laterality_of(self.language)
        beside = _grouped(records, lambda record: record.picture_seen)
        return Changed.of(self._row(record, beside[record.picture_seen], table) for record in records)

    def _row(self, record: Record, beside: Sequence[Record], table: Laterality) -> Row:
        if not record.frontal:
            return Row(reason="the view is not frontal: left and right can't be told apart in it")
        reason = table.reason(record.phrase)
        if reason:
            return Row(reason=f"the phrase {reason}")
        swapped = table.swapped(record.phrase)
        return Row(phrase=swapped, target=_region(_on_the_other_side(record, swapped, beside)))


@dataclass(frozen=True, kw_only=True)
class Shuffle:
    """Every phrase of a report goes to another one's place: no phrase keeps its own, and none gets one of the same words.

    A report is what has the same `study` of the same `patient`. Reports of one sentence stay out, and so do as few phrases as
    possible that could only get one of the same words. The target is the region of the phrase that a record got, where both
    are of the same image.
    """

    name: ClassVar[str] = "shuffle"
    words: ClassVar[str] = "The phrases of a report change places."

    def changed(self, records: Sequence[Record], rng: np.random.Generator) -> Changed:
        """Each report is drawn by itself."""
        reports = defaultdict(list)
        for place, record in enumerate(records):
            reports[record.report].append(place)
        giver: dict[int, int] = {}
        for places in reports.values():
            giver |= _turned(places, [_said(records[place].phrase) for place in places], rng)
        alone = {places[0] for places in reports.values() if len(places) == 1}
        return Changed.of(
            self._row(record, records[giver[place]], place in alone) for place, record in enumerate(records)
        )

    def _row(self, record: Record, other: Record, alone: bool) -> Row:
        if not record.study:
            return Row(reason="its report is not known: give the record's study")
        if alone:
            return Row(reason="its report has no other phrase")
        if _said(other.phrase) == _said(record.phrase):
            return Row(reason="too few phrases of its report have other words")
        return Row(
            phrase=other.phrase, target=_region(other.truth) if record.picture_seen == other.picture_seen else None
        )


@dataclass(frozen=True, kw_only=True)
class RandomSentence:
    """A phrase of another patient, of other words. The target is not known: what it speaks of may be anywhere on this image,
    or nowhere, so that the most that can be asked is a map that says nothing.
    """

    name: ClassVar[str] = "random sentence"
    words: ClassVar[str] = "The phrase is replaced by one of another patient."

    def changed(self, records: Sequence[Record], rng: np.random.Generator) -> Changed:
        """Each phrase is drawn by itself, among all that are of another patient and of other words."""
        patients = _numbered(record.subject for record in records)
        said = _numbered(_said(record.phrase) for record in records)
        rows = []
        for place in range(len(records)):
            others = np.flatnonzero((patients != patients[place]) & (said != said[place]))
            rows.append(
                Row(phrase=records[rng.choice(others)].phrase)
                if len(others)
                else Row(reason="no other patient has a phrase of other words")
            )
        return Changed.of(rows)


@dataclass(frozen=True, kw_only=True)
class RandomBoxes:
    """The region of another patient instead of the record's own; the phrase stays, so that a map that follows the text still
    shows its own. What a model scores here comes from where regions usually lie, not from this phrase.
    """

    name: ClassVar[str] = "random boxes"
    words: ClassVar[str] = "The region is replaced by that of another patient, brought to the size of this image."

    def changed(self, records: Sequence[Record], rng: np.random.Generator) -> Changed:
        """Each region is drawn by itself, among those of other patients that are not empty."""
        patients = _numbered(record.subject for record in records)
        located = np.array([record.truth.any() for record in records], dtype=bool)
        rows = []
        for place, record in enumerate(records):
            others = np.flatnonzero((patients != patients[place]) & located)
            if not located[place]:
                rows.append(Row(reason="it has no region that another could replace"))
            elif not len(others):
                rows.append(Row(reason="no other patient has a region"))
            else:
                other = records[rng.choice(others)].truth
                drawn = resampled(other.astype(float), record.size, smooth=False) >= 0.5
                rows.append(Row(phrase=record.phrase, truth=drawn, target=record.truth))
        return Changed.of(rows)


@dataclass(frozen=True, kw_only=True)
class Template:
    """The same said plainly: "There is pleural effusion in the right lung.", from the record's labels and side.

    text: what is said, with {finding}, and with or without {place}. left, right, both: the words for the place. language: in
    which a phrase is searched for its side where the record has none. The region stays what it is.

    Raises InputError for a text with other fields, or without {finding}.
    """

    text: str = "There is {finding} in the {place}."
    left: str = "left lung"
    right: str = "right lung"
    both: str = "left and right lung"
    language: str | Laterality = "en"
    name: ClassVar[str] = "template"
    words: ClassVar[str] = "The phrase is replaced by a plain sentence of the same finding and place."

    def __post_init__(self) -> None:
        fields = {name for _, name, _, _ in Formatter().parse(self.text) if name is not None}
        if not {"finding"} <= fields <= {"finding", "place"}:
            raise InputError(
                f"Template: the text {self.text!r} must have {{finding}}, may have {{place}}, and no other field; write {{{{ for a brace."
            )

    def changed(self, records: Sequence[Record], rng: np.random.Generator) -> Changed:
        """Nothing is drawn: the same labels and sides give the same sentences."""
        return Changed.of(self._row(record) for record in records)

    def of(self, finding: str, side: Side) -> str:
        """The sentence. `side` may be empty where the text names no place."""
        places = {"left": self.left, "right": self.right, "both": self.both, "": ""}
        return self.text.format(finding=finding, place=places[side])

    def side(self, record: Record) -> Side:
        """The side of a record, else that which its phrase names."""
        return record.side or laterality_of(self.language).side(record.phrase)

    def missing(self, record: Record) -> str:
        """What a record lacks for a sentence to be made of it; empty where it lacks nothing."""
        if record.abnormal is False:
            return "it speaks of no finding, or denies one"
        if not _findings(record):
            return "it has no label of a finding"
        if "{place}" in self.text and not self.side(record):
            return "its side is not known, and the template names a place"
        return ""

    def _row(self, record: Record) -> Row:
        missing = self.missing(record)
        if missing:
            return Row(reason=missing)
        finding = " and ".join(_findings(record))
        return Row(phrase=self.of(finding, self.side(record)), target=_region(record.truth))


@dataclass(frozen=True, kw_only=True)
class TemplateOtherFinding:
    """The plain sentence of a finding that the study does not have, at the same place. The target is not known: the sentence is
    false, and nothing on the image is what it speaks of.
    """

    template: Template = field(default_factory=Template)
    name: ClassVar[str] = "template, other finding"
    words: ClassVar[str] = "The plain sentence names a finding that the study does not have."

    def changed(self, records: Sequence[Record], rng: np.random.Generator) -> Changed:
        """Each finding is drawn by itself, among all labels of all records that are not in the study."""
        every = {finding for record in records for finding in _findings(record)}
        of_study = {
            study: {finding for record in members for finding in _findings(record)}
            for study, members in _grouped(records, lambda record: record.report).items()
        }
        return Changed.of(self._row(record, sorted(every - of_study[record.report]), rng) for record in records)

    def _row(self, record: Record, others: Sequence[str], rng: np.random.Generator) -> Row:
        missing = self.template.missing(record)
        if missing or not others:
            return Row(reason=missing or "no record has a finding that its study does not have")
        return Row(phrase=self.template.of(str(rng.choice(others)), self.template.side(record)))


def standard(language: str | Laterality = "en") -> tuple[Perturbation, ...]:
    """What an audit does unless it is told otherwise, on phrases of this language."""
    template = Template(language=language)
    said = (RandomSentence(), RandomBoxes(), template, TemplateOtherFinding(template=template))
    return (SwapLaterality(language=language), Shuffle(), *said)


STANDARD = standard()
"""The same in English."""


def perturbation_of(given: str | Perturbation, language: str | Laterality = "en") -> Perturbation:
    """A perturbation by its name, for phrases of this language, or as it is given. Raises InputError for what is none.

    >>> perturbation_of("shuffle")
    Shuffle()
    """
    if isinstance(given, str):
        named = {one.name: one for one in standard(language)}
        choice("perturbations", given, named)
        return named[given]
    if isinstance(given, type) or not isinstance(given, Perturbation):
        shown = f"the class {given.__name__}; write {given.__name__}()" if isinstance(given, type) else repr(given)
        raise InputError(
            f"perturbations: expected one of {listed(one.name for one in STANDARD)}, or an object with name, words and changed(records, rng); came {shown}."
        )
    return given


def _turned(places: Sequence[int], said: Sequence[str], rng: np.random.Generator) -> dict[int, int]:
    """Whose phrase each place gets. The places are laid out in random order, equal phrases side by side, and turned by the
    number of the most frequent one: that moves every phrase past its equals wherever there is room.
    """
    equal = defaultdict(list)
    for k in rng.permutation(len(places)):
        equal[said[k]].append(places[k])
    order = [place for group in equal.values() for place in group]
    most = max(map(len, equal.values()))
    return dict(zip(order, order[most:] + order[:most], strict=True))


def _on_the_other_side(record: Record, swapped: str, beside: Sequence[Record]) -> np.ndarray:
    """The region of which the swapped phrase is true; where there is none, the record's own, flipped."""
    if not record.truth.any():
        return record.truth
    others = [other for other in beside if other is not record and other.truth.any()]
    same_words = [other.truth for other in others if _said(other.phrase) == _said(swapped)]
    same_labels = [other.truth for other in others if _opposite(record, other)]
    return np.logical_or.reduce(same_words or same_labels or [_flipped(record)])


def _opposite(record: Record, other: Record) -> bool:
    """Whether two records speak of the same finding, one on the left and one on the right."""
    same = bool(record.labels) and set(record.labels) == set(other.labels)
    return same and record.of_finding and other.of_finding and {record.side, other.side} == {"left", "right"}


def _flipped(record: Record) -> np.ndarray:
    """The record's region, flipped about the middle of the image as it was annotated and then taken through its steps."""
    masks = tuple((mask if isinstance(mask, np.ndarray) else mask.painted())[:, ::-1] for mask in record.masks)
    boxes = Flip().boxes(np.asarray(record.boxes), record.original_size)
    return replace(record, boxes=boxes, masks=masks).truth


def _region(truth: np.ndarray) -> np.ndarray | None:
    """A region, None where it is empty."""
    return truth if truth.any() else None


def _findings(record: Record) -> list[str]:
    """The labels of a record as words of a sentence, without those that say that there is nothing."""
    words = [" ".join(label.replace("_", " ").lower().split()) for label in record.labels]
    return [word for word in dict.fromkeys(words) if word not in ("", "no finding", "no findings", "normal")]


def _said(phrase: str) -> str:
    """The words of a phrase, whatever the case, the spaces and the stop."""
    return " ".join(phrase.casefold().split()).rstrip(" .")


def _numbered(keys: Iterable[Hashable]) -> np.ndarray:
    """Each key as a number; equal keys have equal ones."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=int)


def _grouped(records: Sequence[Record], key: Callable[[Record], Hashable]) -> dict[Hashable, list[Record]]:
    groups: dict[Hashable, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return groups
