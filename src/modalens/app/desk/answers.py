"""What annotators answered, and what they were shown: kept in a data base, added to and never changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from modalens.alignment.annotators import ANSWERS, QUESTIONS, Question
from modalens.app.desk.database import Database
from modalens.app.desk.given import Aliased, Asked, Given, Placed, letter
from modalens.app.desk.items import Item
from modalens.app.desk.names import as_name, as_text
from modalens.app.desk.schema import Annotator, Answer, Comment, Map, Place, Revealed, Sentence, Showing, Undone
from modalens.app.desk.telling import ForAnnotator
from modalens.errors import InputError, choice

AGAIN = 0.1
"""The share of items that are shown a second time."""

TRIES = 20
"""How often a step is tried in which others may be quicker."""

LONGEST = 2000
"""Characters of the longest remark."""

Found = TypeVar("Found")


class Answers:
    """The answers of all annotators in one data base.

    url: as SQLAlchemy writes it. random: what draws orders and aliases; by default the system's own source, which nobody can
    foresee.

    Raises InputError as `Database` does, and where somebody asks for what is another annotator's.

    >>> answers = Answers("sqlite://")
    >>> anna = answers.annotator("  Anna ")
    >>> answers.places(anna)
    []
    """

    def __init__(self, url: str, *, random: random.Random | None = None) -> None:
        self.base = Database(url)
        self._random = random or _system()

    def close(self) -> None:
        """Let go of the data base."""
        self.base.close()

    def annotator(self, name: str) -> int:
        """Who answers, by name: the number is the same whenever he comes back. Raises InputError for a name that is none."""
        wanted = as_name(name)

        def found(session: Session) -> int:
            own = session.scalar(select(Annotator.id).where(Annotator.name == wanted))
            return own if own is not None else _added(session, Annotator(name=wanted)).id

        return self._settled(found)

    def take(self, annotator: int, items: Sequence[Item], *, again: float = AGAIN) -> None:
        """Give an annotator items to judge, in an order of his own; those that he has already stay where they are. A share `again`
        of them is shown a second time later. What was given is not taken away.
        """

        def placed(session: Session) -> None:
            known = _registered(session, items)
            own = set(session.scalars(select(Place.sentence_id).where(Place.annotator_id == annotator)))
            new = [known[item.key] for item in items if known[item.key] not in own]
            start = _next_position(session, annotator)
            session.add_all(
                Place(annotator_id=annotator, position=start + number, sentence_id=sentence, again=second)
                for number, (sentence, second) in enumerate(self._ordered(new, again))
            )

        if items:
            self._settled(placed)

    def places(self, annotator: int) -> list[Placed]:
        """What an annotator judges, in his order."""
        maps = select(Map.sentence_id, func.count().label("maps")).group_by(Map.sentence_id).subquery()
        known = (
            _current(annotator)
            .with_only_columns(Showing.place_id, Answer.showing_id, Answer.question)
            .distinct()
            .subquery()
        )
        answered = select(known.c.place_id, func.count().label("answers")).group_by(known.c.place_id).subquery()
        rows = (
            select(Place, Sentence, maps.c.maps, answered.c.answers)
            .join(Sentence, Place.sentence_id == Sentence.id)
            .join(maps, maps.c.sentence_id == Sentence.id)
            .outerjoin(answered, answered.c.place_id == Place.id)
            .where(Place.annotator_id == annotator)
            .order_by(Place.position)
        )
        with self.base.reading() as session:
            return [
                Placed(
                    id=place.id,
                    position=place.position,
                    key=sentence.key,
                    picture=sentence.picture,
                    phrase=sentence.phrase,
                    custom=sentence.custom,
                    again=bool(place.again),
                    judged=count == many * len(QUESTIONS),
                )
                for place, sentence, many, count in session.execute(rows)
            ]

    def write(self, annotator: int, item: Item) -> int:
        """Give an annotator a sentence of his own to judge, at the end of his order; the place's number."""

        def placed(session: Session) -> int:
            sentence = _registered(session, [item])[item.key]
            of = select(Place.id).where(Place.annotator_id == annotator, Place.sentence_id == sentence)
            there = session.scalar(of)
            if there is not None:
                return there
            position = _next_position(session, annotator)
            new = Place(annotator_id=annotator, position=position, sentence_id=sentence, again=0)
            return _added(session, new).id

        if item.author != self.name_of(annotator):
            raise InputError("an annotator's own sentence bears his name.")
        return self._settled(placed)

    def name_of(self, annotator: int) -> str:
        """The name of an annotator. Raises InputError where there is none of this number."""
        with self.base.reading() as session:
            name = session.scalar(select(Annotator.name).where(Annotator.id == annotator))
        if name is None:
            raise InputError(f"there is no annotator {annotator}.")
        return name

    def maps(self, annotator: int, place: int) -> list[Aliased]:
        """The maps of a place under their aliases, drawn when they are first asked for and the same ever after."""

        def drawn(session: Session) -> list[Aliased]:
            sentence = _own_place(session, annotator, place).sentence_id
            shown = _aliased(session, place)
            if shown:
                return shown
            maps = list(session.scalars(select(Map.id).where(Map.sentence_id == sentence).order_by(Map.id)))
            self._random.shuffle(maps)
            session.add_all(Showing(place_id=place, alias=alias, map_id=map) for alias, map in enumerate(maps))
            session.flush()
            return _aliased(session, place)

        with self.base.reading() as session:
            _own_place(session, annotator, place)
            there = _aliased(session, place)
        return there or self._settled(drawn)

    def given(self, annotator: int, place: int) -> dict[tuple[int, Question], Given]:
        """What an annotator has answered at a place, by the number of the map shown and the question."""
        rows = (
            select(Answer, Undone.answer_id)
            .join(Showing, Answer.showing_id == Showing.id)
            .outerjoin(Undone, Undone.answer_id == Answer.id)
            .where(Showing.place_id == place)
            .order_by(Answer.turn)
        )
        found = {(one.id, question): Given() for one in self.maps(annotator, place) for question in QUESTIONS}
        with self.base.reading() as session:
            for answer, undone in session.execute(rows):
                key = answer.showing_id, question_of(answer.question)
                before, turn = found[key], answer.turn + 1
                found[key] = (
                    Given(turn=turn, answered=before.answered, value=before.value)
                    if undone
                    else Given(turn=turn, answered=True, value=answer.value)
                )
        return found

    def answer(
        self,
        annotator: int,
        showing: int,
        question: Question,
        value: int | None,
        *,
        turn: int,
        draw: str,
        strength: int,
    ) -> None:
        """Keep an answer; when this returns it is on the disk.

        showing: of `maps`. value: 1 to 5; None: it can't be judged. turn: of `given`, as the annotator saw it. draw: names the
        click, so that the same one counts once. strength: of the overlay, 0 to 100.

        Raises InputError for other values and for the map of another annotator; ForAnnotator where another window has answered
        meanwhile.
        """
        choice("question", question, QUESTIONS)
        if value is not None and value not in ANSWERS:
            raise InputError(f"an answer is 1 to 5, or None; {value!r} came.")
        if not 0 <= strength <= 100:
            raise InputError(f"strength is 0 to 100; {strength} came.")
        try:
            with self.base.writing() as session:
                place = session.scalar(select(Showing.place_id).where(Showing.id == showing))
                _own_place(session, annotator, place)
                session.add(
                    Answer(
                        showing_id=showing,
                        question=question,
                        turn=turn,
                        value=value,
                        boxes_shown=session.get(Revealed, place) is not None,
                        strength=strength,
                        draw=draw,
                    )
                )
        except IntegrityError as error:
            of = (Answer.showing_id == showing, Answer.question == question, Answer.turn == turn)
            with self.base.reading() as session:
                same = session.scalar(select(Answer).where(Answer.draw == draw))
                quicker = session.scalar(select(Answer).where(*of))
            if same is None and quicker is None:
                raise self.base.failure(error) from error
            if same is None:
                raise ForAnnotator(
                    "This question was answered meanwhile, perhaps in another window: look at it again."
                ) from error
            if (same.showing_id, same.question, same.value) != (showing, question, value):
                raise ForAnnotator("Two answers came at once: the first was kept.") from error

    def undo(self, annotator: int) -> Asked | None:
        """Take back an annotator's last answer, and again the one before: what it was an answer to, None where nothing is left. The
        answer stays in the data base, with a row that says it was undone.
        """

        def undone(session: Session) -> Asked | None:
            found = session.execute(_last(annotator)).first()
            if found is not None:
                session.add(Undone(answer_id=found.id))
            return None if found is None else _asked(found)

        return self._settled(undone)

    def last(self, annotator: int) -> Asked | None:
        """What an annotator answered last."""
        with self.base.reading() as session:
            found = session.execute(_last(annotator)).first()
        return None if found is None else _asked(found)

    def reveal(self, annotator: int, place: int) -> None:
        """Keep that an annotator looked at the regions of a place."""

        def looked(session: Session) -> None:
            _own_place(session, annotator, place)
            if session.get(Revealed, place) is None:
                session.add(Revealed(place_id=place))

        self._settled(looked)

    def comment(self, annotator: int, place: int, text: str) -> None:
        """Keep a remark on a place; the latest counts."""

        def kept(session: Session) -> None:
            _own_place(session, annotator, place)
            session.add(Comment(place_id=place, text=as_text(text)[:LONGEST]))

        self._settled(kept)

    def comment_of(self, annotator: int, place: int) -> str:
        """The latest remark on a place; "" where there is none."""
        with self.base.reading() as session:
            _own_place(session, annotator, place)
            latest = select(Comment.text).where(Comment.place_id == place).order_by(Comment.id.desc()).limit(1)
            return session.scalar(latest) or ""

    def _ordered(self, sentences: Sequence[int], again: float) -> list[tuple[int, int]]:
        """Sentences in a random order, (sentence, 0); some of the first half come back among the second, (sentence, 1)."""
        order = [(one, 0) for one in sentences]
        self._random.shuffle(order)
        half = (len(order) + 1) // 2
        first, second = order[:half], order[half:]
        second += [(one, 1) for one, _ in self._random.sample(first, min(half, round(again * len(order))))]
        self._random.shuffle(second)
        return first + second

    def _settled(self, step: Callable[[Session], Found]) -> Found:
        """Do a step that reads and adds what is missing; where another was quicker, again from what is there now."""
        for last in range(TRIES):
            try:
                with self.base.writing() as session:
                    return step(session)
            except IntegrityError as error:
                if last + 1 == TRIES:
                    raise self.base.failure(error) from error
        raise AssertionError("a step either ends or raises")


def question_of(name: str) -> Question:
    """A question by its name in the data base."""
    return next(question for question in QUESTIONS if question == name)


def _system() -> random.Random:
    return random.SystemRandom()


def _added(session: Session, row: Found) -> Found:
    session.add(row)
    session.flush()
    return row


def _registered(session: Session, items: Sequence[Item]) -> dict[str, int]:
    """The numbers of items by their keys; those that are new are added with their maps."""
    known = {key: number for number, key in session.execute(select(Sentence.id, Sentence.key))}
    new = {item.key: item for item in items if item.key not in known}
    rows = {
        key: Sentence(
            key=key,
            picture=item.picture,
            sentence=item.sentence,
            phrase=item.phrase,
            patient=item.patient,
            custom=item.custom,
        )
        for key, item in new.items()
    }
    session.add_all(rows.values())
    session.flush()
    for key, item in new.items():
        for model, shown in item.maps.items():
            looked_nowhere = shown.map.opt_out
            opt_out = None if looked_nowhere != looked_nowhere else float(looked_nowhere)
            session.add(Map(sentence_id=rows[key].id, model=model, opt_out=opt_out))
    return known | {key: row.id for key, row in rows.items()}


def _next_position(session: Session, annotator: int) -> int:
    last = session.scalar(select(func.max(Place.position)).where(Place.annotator_id == annotator))
    return 0 if last is None else last + 1


def _own_place(session: Session, annotator: int, place: int | None) -> Place:
    """A place of this annotator. Raises InputError where it is another's."""
    found = None if place is None else session.get(Place, place)
    if found is None or found.annotator_id != annotator:
        raise InputError("this is not among what the annotator judges.")
    return found


def _aliased(session: Session, place: int) -> list[Aliased]:
    rows = (
        select(Showing.id, Showing.alias, Map.model)
        .join(Map, Showing.map_id == Map.id)
        .where(Showing.place_id == place)
        .order_by(Showing.alias)
    )
    return [Aliased(id=number, alias=letter(alias), model=model) for number, alias, model in session.execute(rows)]


def _current(annotator: int) -> Select:
    """An annotator's answers that were not undone."""
    return (
        select(Answer.id, Showing.place_id, Answer.showing_id, Answer.question)
        .join(Showing, Answer.showing_id == Showing.id)
        .join(Place, Showing.place_id == Place.id)
        .outerjoin(Undone, Undone.answer_id == Answer.id)
        .where(Place.annotator_id == annotator, Undone.answer_id.is_(None))
    )


def _last(annotator: int) -> Select:
    return _current(annotator).order_by(Answer.id.desc()).limit(1)


def _asked(row: Any) -> Asked:
    return Asked(place=row.place_id, showing=row.showing_id, question=question_of(row.question))
