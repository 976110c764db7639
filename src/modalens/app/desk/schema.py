"""The tables in which annotators' answers are kept. Rows are added and never changed or deleted: what was undone is said by a row
of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = 1
"""The version of these tables."""

NAME = 100
"""Characters of the longest name of an annotator."""


def now() -> str:
    """The time as it is kept: UTC, ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Table(DeclarativeBase):
    """All tables of the desk."""


class Version(Table):
    """One row: which tables these are."""

    __tablename__ = "desk_version"
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Annotator(Table):
    """Who answers."""

    __tablename__ = "desk_annotators"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME), unique=True)
    arrived: Mapped[str] = mapped_column(String(40), default=now)


class Sentence(Table):
    """An item: a sentence of a picture with certain maps. key: `Item.key`. custom: whether an annotator wrote it."""

    __tablename__ = "desk_sentences"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    picture: Mapped[str] = mapped_column(Text)
    sentence: Mapped[str] = mapped_column(String(40))
    phrase: Mapped[str] = mapped_column(Text)
    patient: Mapped[str] = mapped_column(Text)
    custom: Mapped[bool]
    added: Mapped[str] = mapped_column(String(40), default=now)


class Map(Table):
    """The map of one model for an item. model: the audit's name, as long as an index bears in every data base. opt_out: how far the
    model looked nowhere.
    """

    __tablename__ = "desk_maps"
    __table_args__ = (UniqueConstraint("sentence_id", "model"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    sentence_id: Mapped[int] = mapped_column(ForeignKey("desk_sentences.id"), index=True)
    model: Mapped[str] = mapped_column(String(500))
    opt_out: Mapped[float | None]


class Place(Table):
    """An item in an annotator's own order. again: 1 where it is shown a second time, to see how steady the annotator is."""

    __tablename__ = "desk_places"
    __table_args__ = (
        UniqueConstraint("annotator_id", "position"),
        UniqueConstraint("annotator_id", "sentence_id", "again"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("desk_annotators.id"))
    position: Mapped[int]
    sentence_id: Mapped[int] = mapped_column(ForeignKey("desk_sentences.id"))
    again: Mapped[int]


class Showing(Table):
    """Under which alias a map is shown at a place; drawn when it is first shown. alias: 0 is "Map A"."""

    __tablename__ = "desk_showings"
    __table_args__ = (UniqueConstraint("place_id", "alias"), UniqueConstraint("place_id", "map_id"))
    id: Mapped[int] = mapped_column(primary_key=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("desk_places.id"))
    alias: Mapped[int]
    map_id: Mapped[int] = mapped_column(ForeignKey("desk_maps.id"))
    shown: Mapped[str] = mapped_column(String(40), default=now)


class Revealed(Table):
    """That an annotator looked at the regions of a place."""

    __tablename__ = "desk_revealed"
    place_id: Mapped[int] = mapped_column(ForeignKey("desk_places.id"), primary_key=True)
    time: Mapped[str] = mapped_column(String(40), default=now)


class Answer(Table):
    """An answer to a question of a map.

    turn: how many answers this question had before, so that of two windows that answer the same turn one is told. value: 1 to 5;
    None: it can't be judged. boxes_shown: whether regions had been shown before. strength: of the overlay, 0 to 100. draw: names
    the click, so that one that arrives twice counts once.
    """

    __tablename__ = "desk_answers"
    __table_args__ = (UniqueConstraint("showing_id", "question", "turn"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    showing_id: Mapped[int] = mapped_column(ForeignKey("desk_showings.id"))
    question: Mapped[str] = mapped_column(String(40))
    turn: Mapped[int]
    value: Mapped[int | None]
    boxes_shown: Mapped[bool]
    strength: Mapped[int]
    draw: Mapped[str] = mapped_column(String(40), unique=True)
    time: Mapped[str] = mapped_column(String(40), default=now)


class Undone(Table):
    """That an answer was taken back."""

    __tablename__ = "desk_undone"
    answer_id: Mapped[int] = mapped_column(ForeignKey("desk_answers.id"), primary_key=True)
    time: Mapped[str] = mapped_column(String(40), default=now)


class Comment(Table):
    """What an annotator remarked at a place; the latest counts."""

    __tablename__ = "desk_comments"
    id: Mapped[int] = mapped_column(primary_key=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("desk_places.id"), index=True)
    text: Mapped[str] = mapped_column(Text)
    time: Mapped[str] = mapped_column(String(40), default=now)
