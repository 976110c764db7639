"""What the data base of answers tells of: places, maps under their aliases, questions and what was answered."""

from __future__ import annotations

from dataclasses import dataclass

from modalens.alignment.annotators import Question


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An item in an annotator's order. position: from 0. judged: whether all questions of all maps have an answer."""

    id: int
    position: int
    key: str
    picture: str
    phrase: str
    custom: bool
    again: bool
    judged: bool


@dataclass(frozen=True, kw_only=True)
class Aliased:
    """A map under its alias, "A", "B", ... Only the server may know the model."""

    id: int
    alias: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Given:
    """What was answered to a question of a map. turn: how often it was answered, with what was undone; value: 1 to 5, None where
    it can't be judged.
    """

    turn: int = 0
    answered: bool = False
    value: int | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question of a map at a place."""

    place: int
    showing: int
    question: Question


def letter(alias: int) -> str:
    """A, B, ..., Z, AA, AB, ...

    >>> letter(0), letter(26)
    ('A', 'AA')
    """
    return (letter(alias // 26 - 1) if alias >= 26 else "") + chr(ord("A") + alias % 26)
