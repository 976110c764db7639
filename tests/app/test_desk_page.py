"""The desk's page without a browser: own sentences with live models, and what is told where something fails."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from at_desk import MODELS, audited_folder, item, records
from audited import mirrored, obedient
from modalens.app import desk as desk_pages
from modalens.app import live, serving
from modalens.app.desk import database
from modalens.app.desk.answers import Answers
from modalens.app.desk.export import exported
from modalens.app.desk.keys import add_annotator
from modalens.app.desk.opening import answered_live
from modalens.app.desk.telling import UNUSABLE
from modalens.cli import app
from modalens.errors import InputError
from modalens.findings import findings_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited_folder(tmp_path_factory.mktemp("desk") / "folder")


@pytest.fixture
def desk(folder: Path, tmp_path: Path) -> Iterator[Callable[..., AppTest]]:
    """The page as it is served."""

    def opened(**given: Any) -> AppTest:
        what: dict[str, Any] = {
            "findings": findings_in(folder),
            "answers": f"sqlite:///{tmp_path / 'answers.sqlite'}",
        } | given
        serving._served.append(serving.Served(**what))
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


def read_by_the_annotator(page: AppTest) -> str:
    """Everything that failed, as it stands on the page."""
    assert not page.exception
    return " ".join(str(one.value) for one in (*page.toast, *page.error, *page.warning)).replace("\\", "")


def test_whoever_is_not_signed_in_learns_nothing_of_the_file_of_annotators(
    desk: Callable[..., AppTest], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "annotators.yaml"
    key = add_annotator(file, "Anna")
    page = desk(annotators=file)
    file.chmod(0o622)
    file.write_text(file.read_text() + "\n")
    page.text_input[0].set_value("Anna")
    page.text_input[1].set_value(key)
    page.button[0].click().run()
    assert read_by_the_annotator(page) == UNUSABLE
    assert f"others may write {file}" in capfd.readouterr().err


def test_what_can_not_be_kept_is_told_without_names_and_regions_stay_hidden(
    desk: Callable[..., AppTest], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT", 0.1)
    file = tmp_path / "annotators.yaml"
    key = add_annotator(file, "Anna")
    page = desk(annotators=file)
    page.text_input[0].set_value("Anna")
    page.text_input[1].set_value(key)
    page.button[0].click().run()
    locked = sqlite3.connect(tmp_path / "answers.sqlite", isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    steps: tuple[Callable[[], Any], ...] = (
        lambda: next(button for button in page.button if str(button.key).startswith("desk answer")).click(),
        lambda: page.button(key="desk boxes").click(),
        lambda: page.text_area[0].set_value("dim"),
    )
    for step in steps:
        step().run()
        assert read_by_the_annotator(page) == UNUSABLE
        assert "database is locked" in capfd.readouterr().err
    assert page.button(key="desk boxes").label == "Show regions"
    locked.execute("ROLLBACK")
    page.button(key="desk boxes").click().run()
    assert page.button(key="desk boxes").label == "Hide regions"
    assert locked.execute("SELECT count(*) FROM desk_revealed").fetchone() == (1,)
    locked.close()


def test_an_audit_that_is_gone_is_told_in_words(
    desk: Callable[..., AppTest], folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    file = tmp_path / "annotators.yaml"
    key = add_annotator(file, "Anna")
    page = desk(findings=findings_in(copy), annotators=file)
    page.text_input[0].set_value("Anna")
    page.text_input[1].set_value(key)
    page.button[0].click().run()
    gone = copy / f"{MODELS[0]}.nc"
    gone.unlink()
    page.run()
    assert read_by_the_annotator(page) == UNUSABLE
    assert f"InputError: {gone} can't be read any more: No such file" in capfd.readouterr().err


def test_what_is_new_in_the_folder_is_given_out(desk: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [item(1)]
    monkeypatch.setattr(desk_pages, "items_of", lambda what: found)
    page = signed_in(desk())
    assert "1 of 1" in str(page.get("progress")[0].proto)
    found.append(item(2))  # the same list
    page.run()
    assert "1 of 2" in str(page.get("progress")[0].proto)


def test_a_model_is_asked_by_one_at_a_time_whichever_page_asks() -> None:
    at_once: list[int] = []
    asking: list[None] = []

    def slow(images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[np.ndarray]:
        asking.append(None)
        time.sleep(0.1)
        at_once.append(len(asking))
        asking.pop()
        return [np.ones((2, 2))] * len(images)

    record = records(1)[0]
    threads = [
        threading.Thread(target=lambda: live.answer("one", 1, slow, 0, record, "Nodule?")),
        threading.Thread(target=lambda: answered_live({MODELS[0]: slow}, item(1), "Mass?", "Anna")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert at_once == [1, 1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--answers", "postgresql+psycopg://me:secret@host:54x2/desk"), r"answers is the URL of a data base"),
        (("--answers", "sqlite:////nowhere/answers.sqlite"), r"can't be used"),
        (("--annotators", "/nowhere/annotators.yaml"), r"the annotators' file .* can't be read"),
    ],
)
def test_what_the_desk_needs_is_tried_before_anybody_comes(
    folder: Path, options: tuple[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "serve", lambda *what, **how: pytest.fail("it listens already"))
    with pytest.raises(InputError, match=words):
        CliRunner().invoke(app, ["app", str(folder), *options], catch_exceptions=False)


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
    assert any("“can't judge”: 0; not answered yet: 1." in one.value for one in page.text)  # the one that was undone
