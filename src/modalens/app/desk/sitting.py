"""One annotator at one window: where he is, what he is asked, and what his keys do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import streamlit as st

from modalens.alignment.annotators import QUESTIONS, Question
from modalens.app.desk.answers import Answers
from modalens.app.desk.given import Aliased, Given, Placed
from modalens.app.desk.items import Item
from modalens.app.desk.names import as_text
from modalens.app.desk.opening import answered_live
from modalens.app.desk.signing import SignedIn
from modalens.app.desk.telling import ForAnnotator, told
from modalens.app.serving import Served

STRENGTH = "desk strength"
"""The key of the slider: how strongly the map covers the picture, in hundredths."""

LONGEST_SENTENCE = 500


@dataclass
class Window:
    """What a window shows; kept by the server. place: which one. map: the map chosen, question: the one to be answered again; None:
    what is open. boxes, hidden: whether regions are outlined, whether the map is hidden. said: what has to be told. taken: the items
    that the annotator was given last. own: items of own sentences.
    """

    place: int | None = None
    map: int | None = None
    question: Question | None = None
    boxes: bool = False
    hidden: bool = False
    said: str = ""
    taken: frozenset[str] = frozenset()
    own: dict[str, Item] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Now:
    """What is asked now. map: which is shown; question: None where all of this map are answered."""

    maps: Sequence[Aliased]
    given: Mapping[tuple[int, Question], Given]
    map: Aliased
    question: Question | None

    def done(self, map: Aliased) -> bool:
        """Whether all questions of a map are answered."""
        return all(self.given[map.id, question].answered for question in QUESTIONS)


def _told(step: Callable[..., None]) -> Callable[..., None]:
    """A step of an annotator; where it fails the window says so, and nothing that names a file or a model."""

    @wraps(step)
    def done(self: Sitting, *given: Any) -> None:
        try:
            step(self, *given)
        except Exception as error:
            self.window.said = told(error)

    return done


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """An annotator's window, and what can be done at it."""

    what: Served
    answers: Answers
    who: SignedIn
    items: Sequence[Item]

    @property
    def window(self) -> Window:
        """What the window shows."""
        return st.session_state.setdefault("desk window", Window())

    def begin(self) -> None:
        """Give the annotator what is new in the folder."""
        keys = frozenset(item.key for item in self.items)
        if self.window.taken != keys:
            located = [item for item in self.items if item.located]
            self.answers.take(self.who.id, located or self.items)
            self.window.taken = keys

    def places(self) -> list[Placed]:
        """What can be shown: sentences whose maps have changed since can't be, nor own ones without their models."""
        keys, pictures = {item.key for item in self.items}, {item.picture for item in self.items}
        return [
            place
            for place in self.answers.places(self.who.id)
            if place.key in keys or (place.custom and place.picture in pictures and self.live)
        ]

    @property
    def live(self) -> bool:
        """Whether there is a model that answers now."""
        return bool(set(self.what.models) & set(self.items[0].maps))

    def at(self, places: Sequence[Placed]) -> int:
        """Where the window is: as chosen, else where the annotator left off."""
        by_id = {place.id: number for number, place in enumerate(places)}
        if self.window.place not in by_id:
            self.window.place = places[self._left_off(places, by_id)].id
        return by_id[self.window.place]

    def _left_off(self, places: Sequence[Placed], by_id: Mapping[int, int]) -> int:
        """The place of the last answer, or the next that is not judged."""
        last = self.answers.last(self.who.id)
        start = 0 if last is None else by_id.get(last.place, 0)
        return self.next_open(places, start - 1) or 0

    def next_open(self, places: Sequence[Placed], after: int) -> int | None:
        """The next place that is not judged, from the first again after the last; None: all are judged."""
        order = [(after + step) % len(places) for step in range(1, len(places) + 1)]
        return next((number for number in order if not places[number].judged), None)

    def item(self, place: Placed) -> Item:
        """What lies at a place. Raises ForAnnotator for an own sentence whose models are others now."""
        if not place.custom:
            return next(item for item in self.items if item.key == place.key)
        if place.key not in self.window.own:
            found = self._live_item(place.picture, place.phrase)
            if found.key != place.key:
                raise ForAnnotator("The models that this sentence was written for are not here now.")
            self.window.own[place.key] = found
        return self.window.own[place.key]

    def now(self, place: Placed) -> Now:
        """What is asked at a place."""
        maps, given = self.answers.maps(self.who.id, place.id), self.answers.given(self.who.id, place.id)
        open_ones = [(map, question) for map in maps for question in QUESTIONS if not given[map.id, question].answered]
        chosen = next((map for map in maps if map.id == self.window.map), None)
        map = chosen or (open_ones[0][0] if open_ones else maps[0])
        question = self.window.question or next((question for one, question in open_ones if one == map), None)
        return Now(maps=maps, given=given, map=map, question=question)

    @_told
    def go(self, place: int) -> None:
        """To another place: its regions are hidden at first."""
        self.window.place, self.window.map, self.window.question = place, None, None
        self.window.boxes = self.window.hidden = False

    @_told
    def look_at(self, map: int, question: Question | None = None) -> None:
        """To another map of the place, or to a question of it."""
        self.window.map, self.window.question = map, question

    @_told
    def answer(
        self, place: Placed, map: int, question: Question, value: int | None, turn: int, draw: str, keys: Sequence[str]
    ) -> None:
        """Keep an answer to what was on the screen. keys: the widgets of all answers; where two were hit at once, neither counts."""
        if sum(bool(st.session_state.get(key)) for key in keys) > 1:
            self.window.said = "Two answers came at once, and neither was kept: answer again."
            return
        strength = 0 if self.window.hidden else int(st.session_state.get(STRENGTH, 100))
        try:
            self.answers.answer(self.who.id, map, question, value, turn=turn, draw=draw, strength=strength)
        except ForAnnotator as error:  # another window was quicker: on to what is open now
            self.window.said = str(error)
        self.window.question = None
        now = self.now(place)
        self.window.map = map if all(now.done(one) for one in now.maps) or not now.done(now.map) else None

    @_told
    def undo(self) -> None:
        """Take back the last answer, and show its question."""
        undone = self.answers.undo(self.who.id)
        if undone is None:
            self.window.said = "There is nothing to undo."
            return
        if undone.place != self.window.place:
            self.go(undone.place)
        self.look_at(undone.showing, undone.question)

    @_told
    def turn_boxes(self, place: Placed) -> None:
        """Show or hide the annotated regions; that they were shown is kept first."""
        if not self.window.boxes:
            self.answers.reveal(self.who.id, place.id)
        self.window.boxes = not self.window.boxes

    @_told
    def turn_map(self) -> None:
        """Show the picture alone, or with its map."""
        self.window.hidden = not self.window.hidden

    @_told
    def remark(self, place: Placed, key: str) -> None:
        """Keep what was written about a place."""
        self.answers.comment(self.who.id, place.id, str(st.session_state.get(key, "")))

    @_told
    def take_all(self) -> None:
        """Sentences without an annotated region too."""
        self.answers.take(self.who.id, self.items)

    @_told
    def write(self, picture: str, key: str) -> None:
        """An own sentence for a picture, and to its place."""
        phrase = " ".join(as_text(str(st.session_state.get(key, ""))).split())
        if not phrase or len(phrase) > LONGEST_SENTENCE:
            raise ForAnnotator(f"A sentence has 1 to {LONGEST_SENTENCE} characters.")
        item = self._live_item(picture, phrase)
        place = self.answers.write(self.who.id, item)
        self.window.own[item.key] = item
        self.go(place)

    def _live_item(self, picture: str, phrase: str) -> Item:
        about = next(item for item in self.items if item.picture == picture)
        return answered_live(self.what.models, about, phrase, self.who.name)
