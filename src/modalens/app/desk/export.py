"""The answers of all annotators as the paper's table: here, and nowhere else, aliases become models again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from sqlalchemy import func, select

from modalens.alignment import Audit
from modalens.alignment.annotators import QUESTIONS, Annotations, Estimate, Question
from modalens.alignment.result import AS_IT_IS
from modalens.app.desk.answers import Answers
from modalens.app.desk.items import Item, picture_of
from modalens.app.desk.schema import Annotator, Answer, Comment, Map, Place, Sentence, Showing, Undone
from modalens.errors import InputError


def exported(answers: Answers, *, again: bool = False) -> Annotations:
    """What all annotators answered, a row for each annotator, sentence and model; questions without an answer are blank.

    again: the sentences that were shown a second time, instead of those shown first. Beside the paper's columns there are rater,
    patient, boxes_shown (whether the regions had been looked at before an answer), answered (the time of the last answer, UTC),
    cant_judge (the questions, with blanks between them, to which the answer was that it can't be judged; a question that is
    blank and not named here was not answered) and comment. An annotator's own sentence has a dicom_sent_id of its own, also
    where it says what a sentence of the audits says.

    Raises InputError where nobody has answered yet.
    """
    rows = _rows(answers, again)
    if not rows:
        raise InputError("nobody has answered yet: there is nothing to export.")
    return Annotations(table=pd.DataFrame(rows))


def as_csv(found: Annotations) -> bytes:
    """The table as the bytes of a CSV file, as `Annotations.write` writes it."""
    with TemporaryDirectory() as folder:
        found.write(Path(folder) / "answers.csv")
        return (Path(folder) / "answers.csv").read_bytes()


def steadiness(answers: Answers) -> dict[str, dict[Question, Estimate]]:
    """How far each annotator agrees with what he answered the first time, by name and question, where sentences were shown twice:
    Krippendorff's alpha.
    """
    once, twice = (pd.DataFrame(_rows(answers, again)) for again in (False, True))
    if twice.empty:
        return {}
    found: dict[str, dict[Question, Estimate]] = {}
    for name in sorted(twice["rater"].unique()):
        own = [rows[rows["rater"] == name].assign(rater=time) for rows, time in ((once, "first"), (twice, "again"))]
        both = Annotations(table=pd.concat(own, ignore_index=True))
        found[name] = {question: both.agreement(question) for question in QUESTIONS}
    return found


def scores_of(audits: Mapping[str, Audit]) -> pd.DataFrame:
    """The scores of the audits against the regions, a row a map, named as in the table of answers."""
    frames = []
    for name, audit in audits.items():
        values = audit.data.value.sel(condition=AS_IT_IS).transpose("record", "score")
        frame = pd.DataFrame(values.values, columns=[str(score) for score in values.score.values])
        names = [named(Item(picture=picture_of(one), phrase=one.phrase, maps={})) for one in audit.records]
        frames.append(frame.assign(dicom_sent_id=names, checkpoint_name=name))
    return pd.concat(frames, ignore_index=True).drop_duplicates(["dicom_sent_id", "checkpoint_name"])


def named(item: Item | Sentence) -> str:
    """What names a sentence in the table: its picture and what follows from its words."""
    return f"{item.picture}_{_sentence(item)}"


def _sentence(item: Item | Sentence) -> str:
    """What names a sentence within its picture."""
    return f"own-{item.sentence}" if item.custom else item.sentence


def _rows(answers: Answers, again: bool) -> list[dict[str, Any]]:
    """The rows of the table, in the order in which places were given."""
    comments = select(func.max(Comment.id)).group_by(Comment.place_id)
    query = (
        select(Answer, Showing.id, Annotator.name, Sentence, Map, Comment.text)
        .join(Showing, Answer.showing_id == Showing.id)
        .join(Map, Showing.map_id == Map.id)
        .join(Place, Showing.place_id == Place.id)
        .join(Sentence, Place.sentence_id == Sentence.id)
        .join(Annotator, Place.annotator_id == Annotator.id)
        .outerjoin(Undone, Undone.answer_id == Answer.id)
        .outerjoin(Comment, (Comment.place_id == Place.id) & Comment.id.in_(comments))
        .where(Undone.answer_id.is_(None), Place.again == int(again))
        .order_by(Annotator.name, Place.id, Map.model, Answer.turn)
    )
    rows: dict[int, dict[str, Any]] = {}
    declined: dict[tuple[int, str], bool] = {}
    with answers.base.reading() as session:
        for answer, showing, rater, sentence, map, comment in session.execute(query):
            row = rows.setdefault(showing, _row(rater, sentence, map, comment or ""))
            row[answer.question] = answer.value  # the latest turn comes last
            declined[showing, answer.question] = answer.value is None
            row["boxes_shown"] |= answer.boxes_shown
            row["answered"] = max(row["answered"], answer.time)
    for showing, row in rows.items():
        row["cant_judge"] = " ".join(question for question in QUESTIONS if declined.get((showing, question)))
    return list(rows.values())


def _row(rater: str, sentence: Sentence, map: Map, comment: str) -> dict[str, Any]:
    return {
        "dicom_sent_id": named(sentence),
        "dicom_id": sentence.picture,
        "sent_id": _sentence(sentence),
        "checkpoint_name": map.model,
        "prompt": sentence.phrase,
        **dict.fromkeys(QUESTIONS),
        "is_custom_prompt": sentence.custom,
        "no_attn_score": map.opt_out,
        "rater": rater,
        "patient": sentence.patient,
        "boxes_shown": False,
        "answered": "",
        "cant_judge": "",
        "comment": comment,
    }
