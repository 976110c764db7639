"""The desk's page without a browser: own sentences with live models, and what is told where something fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from at_desk import MODELS, audited_folder
from audited import mirrored, obedient
from modalens.app import serving
from modalens.app.desk.answers import Answers
from modalens.app.desk.export import exported
from modalens.app.desk.keys import add_annotator
from modalens.findings import findings_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited_folder(tmp_path_factory.mktemp("desk") / "folder")


@pytest.fixture
def desk(folder: Path, tmp_path: Path) -> Iterator[Callable[..., AppTest]]:
    """The page as it is served."""

    def opened(**given: Any) -> AppTest:
        what = {"answers": f"sqlite:///{tmp_path / 'answers.sqlite'}"} | given
        serving._served.append(serving.Served(findings=findings_in(folder), **what))
        return AppTest.from_string("from modalens.app.desk import page\npage()", default_timeout=60).run()

    yield opened
    serving._served.clear()


def signed_in(page: AppTest, name: str = "Anna") -> AppTest:
    page.text_input[0].set_value(name)
    return page.button[0].click().run()


def test_an_own_sentence_is_shown_to_the_models_and_kept_as_one(desk: Callable[..., AppTest], tmp_path: Path) -> None:
    page = signed_in(desk(models={MODELS[0]: obedient, MODELS[1]: mirrored}))
    assert not page.exception
    page.text_input(key="desk own").set_value("  Opacity in the  left lung? <script> ")
    next(button for button in page.button if button.label == "Show maps").click().run()
    assert not page.exception
    assert any("Your own sentence" in caption.value for caption in page.caption)
    next(button for button in page.button if str(button.key).endswith("has_good_recall 0 3")).click().run()
    assert not page.exception
    row = exported(Answers(f"sqlite:///{tmp_path / 'answers.sqlite'}")).table.iloc[0]
    assert (row["prompt"], row["is_custom_prompt"], row["has_good_recall"]) == ("Opacity in the left lung? <script>", True, 3)  # fmt: skip
    assert row["checkpoint_name"] in MODELS


def test_a_model_that_fails_is_not_named_to_the_annotator(
    desk: Callable[..., AppTest], capfd: pytest.CaptureFixture[str]
) -> None:
    def failing(images: list[np.ndarray], phrases: list[str]) -> list[np.ndarray]:
        raise RuntimeError("glorious-42 is out of memory")

    page = signed_in(desk(models={MODELS[0]: failing}))
    page.text_input(key="desk own").set_value("Opacity?")
    next(button for button in page.button if button.label == "Show maps").click().run()
    assert [toast.value for toast in page.toast] == ["No map could be made of this sentence; the terminal of the app says why\\."]  # fmt: skip
    assert "RuntimeError: glorious-42 is out of memory" in capfd.readouterr().err


def test_a_name_that_is_none_is_told(desk: Callable[..., AppTest]) -> None:
    page = signed_in(desk(), "   ")
    assert "a name has 1 to 100 characters" in page.error[0].value
    assert not page.exception


def test_others_are_not_told_what_is_wrong_with_the_files(
    desk: Callable[..., AppTest], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    add_annotator(tmp_path / "annotators.yaml", "Anna")
    (tmp_path / "answers.sqlite").write_text("damaged " * 500)
    page = desk(annotators=tmp_path / "annotators.yaml")
    assert [error.value for error in page.error] == [
        "The desk can't be used now. Please tell the person who runs it: the terminal says why."
    ]
    assert "file is not a database" in capfd.readouterr().err
    assert not page.sidebar.radio  # no results


def test_a_key_is_asked_for_at_every_step(desk: Callable[..., AppTest], tmp_path: Path) -> None:
    file = tmp_path / "annotators.yaml"
    key = add_annotator(file, "Anna")
    page = desk(annotators=file)
    page.text_input[0].set_value("Anna")
    page.text_input[1].set_value(key)
    page.button[0].click().run()
    assert any(text.value == "Annotator: Anna" for text in page.text)
    add_annotator(file, "Anna")  # a new key: the old one is worth nothing
    page.run()
    assert not any(text.value == "Annotator: Anna" for text in page.text)
    assert len(page.text_input) == 2


def test_all_sentences_can_be_reached_answered_and_finished(desk: Callable[..., AppTest]) -> None:
    page = signed_in(desk())
    for _ in range(3):
        for _ in range(6):
            next(button for button in page.button if str(button.key).startswith("desk answer")).click().run()
            assert not page.exception
        if not page.button(key="desk move n").disabled:
            page.button(key="desk move n").click().run()
    assert [one.value for one in page.success] == ["All sentences are judged. Thank you."]
    page.button(key="desk undo").click().run()
    assert any("question 3" in one.value for one in page.markdown)
    page.sidebar.radio[0].set_value("Results").run()
    assert not page.exception
    assert page.title[0].value == "What annotators answered"
    assert len(page.dataframe) == 4
