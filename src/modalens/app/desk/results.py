"""What the annotators found, for the owner of the folder: answers as a file, agreement, means, differences between models."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from itertools import combinations

import pandas as pd
import streamlit as st

from modalens.alignment.annotators import QUESTIONS, Annotations, Estimate, Statistic
from modalens.app import opened
from modalens.app.desk.answers import Answers
from modalens.app.desk.export import as_csv, exported, scores_of, steadiness
from modalens.app.serving import Served
from modalens.errors import InputError, ModalensWarning

STATISTICS: dict[Statistic, str] = {"alpha": "Krippendorff's alpha", "kappa": "weighted kappa"}

HIDDEN = "Whoever still annotates should not look at this: it names the models."


def show(what: Served, answers: Answers) -> None:
    """Draw the results."""
    st.title("What annotators answered")
    st.caption(HIDDEN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModalensWarning)  # said below
            found = exported(answers)
    except InputError:
        st.info("Nobody has answered yet.")
        return
    table = found.table
    declined = sum(len(str(names).split()) for names in table["cant_judge"])
    unanswered = int(table[list(QUESTIONS)].isna().to_numpy().sum()) - declined
    st.text(
        f"Maps judged: {len(table)}. Annotators: {len(found.raters)}. "
        f"Questions answered with “can't judge”: {declined}; not answered yet: {unanswered}. "
        "Where a sentence was judged again after its maps had changed, the last answers count."
    )
    st.download_button("Download answers (CSV)", as_csv(found), "answers.csv", "text/csv", key="download answers")
    st.subheader("Mean answers")
    st.dataframe(_readable(found.means()), hide_index=True)
    _differences(found)
    _agreement(found, answers)
    _correlation(what, found)


def _differences(found: Annotations) -> None:
    if len(found.models) < 2:
        return
    st.subheader("Differences between models")
    frames = [
        found.difference(one, other).assign(models=f"{one} minus {other}")
        for one, other in combinations(found.models, 2)
    ]
    st.caption("Of each pair, what the same annotator answered for both models.")
    st.dataframe(_readable(pd.concat(frames)), hide_index=True, column_order=["models", *frames[0].columns[:-1]])


def _agreement(found: Annotations, answers: Answers) -> None:
    st.subheader("Agreement")
    rows = [
        _row(f"annotators: {name}", question, found.agreement(question, statistic))
        for question in QUESTIONS
        for statistic, name in STATISTICS.items()
        if statistic == "alpha" or len(found.raters) == 2
    ]
    rows += [
        _row(f"{name}, first and second time: alpha", question, estimate)
        for name, by_question in steadiness(answers).items()
        for question, estimate in by_question.items()
    ]
    st.dataframe(_readable(pd.DataFrame(rows).rename(columns={"count": "maps"})), hide_index=True)


def _row(who: str, question: str, estimate: Estimate) -> dict[str, object]:
    return {"agreement": who, "question": question} | asdict(estimate)


def _correlation(what: Served, found: Annotations) -> None:
    st.subheader("Do the scores rank maps as annotators do?")
    audits = {name: opened.audit(path) for name, path in what.findings.audits.items() if name in found.models}
    try:
        st.dataframe(_readable(found.correlation(scores_of(audits))), hide_index=True)
    except (InputError, ValueError):
        st.info("There is no audit in the folder with the scores of a map that was judged.")


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table with questions in words and numbers of two decimals."""
    words = table.assign(question=table["question"].map({str(name): text for name, text in QUESTIONS.items()}))
    numbers = words.select_dtypes("float").columns
    return words.assign(**{column: words[column].round(2) for column in numbers})
