"""People at the annotation desk, in a real browser: keys only, blinded, two at once, and a server that dies in the middle."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from at_desk import MODELS, SCRIPT, audited_folder
from browsing import Serving, kept
from modalens.alignment import read_annotations
from modalens.app.desk.answers import Answers
from modalens.app.desk.export import exported
from modalens.app.desk.keys import add_annotator

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.xdist_group("browser")

SIZE = {"width": 1400, "height": 900}
ASKED = re.compile(r"Map ([A-Z]), question (\d)")


def sign_in(page: Any, name: str, key: str = "") -> None:
    page.get_by_label("Your name").fill(name)
    if key:
        page.get_by_label("Your access key").fill(key)
    page.get_by_role("button", name="Start").click()


def asked(page: Any, map: str, question: int) -> None:
    """Wait until this is asked, and everything else of the page is of the same moment."""
    page.get_by_text(re.compile(f"Map {map}, question {question}:")).wait_for(timeout=60_000)
    settled(page)


def settled(page: Any) -> None:
    page.wait_for_function(
        "() => !document.querySelector('[data-test-script-state=running]') && !document.querySelector('[data-stale=true]')",
        timeout=60_000,
    )


def pressed(page: Any, keys: str) -> None:
    """Answer what is asked, one key after the other, each when the page has taken the one before."""
    for key in keys:
        before = page.get_by_text(ASKED).inner_text()
        page.keyboard.press(key)
        page.wait_for_function(
            "before => ![...document.querySelectorAll('strong')].some(e => e.innerText == before)",
            arg=before,
            timeout=60_000,
        )
        settled(page)


def slowed_down(page: Any, name: str, wrong: str) -> None:
    """Try a wrong key, and again at once, until the next is not looked at; wait as long as is said. On a fresh page it is the same."""
    sign_in(page, name, wrong)
    page.get_by_text("The name or the key is wrong").wait_for(timeout=60_000)
    told = page.get_by_text(re.compile(r"Too many tries: wait \d+ seconds"))
    for _ in range(7):  # on a slow machine the first waits are over before the next key is sent
        page.get_by_role("button", name="Start").click()
        with suppress(playwright.TimeoutError):
            told.wait_for(timeout=1_500)
            break
    seconds = re.search(r"wait (\d+) seconds", told.inner_text())
    assert seconds is not None
    page.wait_for_timeout(1000 * int(seconds[1]))
    page.reload()
    page.get_by_label("Your access key").wait_for(timeout=60_000)


def heard(page: Any) -> list[str]:
    """Everything that reaches the browser from now on: addresses, bodies, messages."""
    everything: list[str] = []

    def message(frame: Any) -> None:
        everything.append(frame.decode("utf-8", "replace") if isinstance(frame, bytes) else str(frame))

    def answered(response: Any) -> None:
        everything.append(response.url + str(response.headers))
        if response.url.endswith(".js") or response.status in (101, 204, 304):
            return  # Streamlit's own program
        try:
            everything.append(response.body().decode("utf-8", "replace"))
        except Exception as error:  # of a page that was left, there is no body any more
            everything.append(f"no body: {type(error).__name__}")

    page.on("websocket", lambda socket: socket.on("framereceived", message))
    page.on("response", answered)
    return everything


def test_keys_only_and_a_server_that_dies_loses_nothing(serving: Serving, chromium: Any, tmp_path: Path) -> None:
    folder = audited_folder(tmp_path / "folder", phrase=SCRIPT)
    page = chromium.new_page(viewport=SIZE)
    page.goto(f"{serving.app(folder)}/desk")
    page.get_by_label("Your name").wait_for(timeout=60_000)
    sign_in(page, "<b>Anna</b> *star*")
    asked(page, "A", 1)
    assert page.get_by_role("heading", name=SCRIPT).is_visible()  # as it is written
    assert page.get_by_text("Annotator: <b>Anna</b> *star*").is_visible()
    assert page.title() != "owned"
    lowest = page.get_by_role("button", name="Go to").bounding_box()
    assert lowest is not None
    assert lowest["y"] + lowest["height"] < SIZE["height"]  # picture and questions need no scrolling
    page.get_by_text("Show regions").wait_for()
    page.keyboard.press("b")
    page.get_by_text("Hide regions").wait_for()
    settled(page)
    kept(page, "desk-regions")
    pressed(page, "413")
    asked(page, "B", 1)
    pressed(page, "20")
    asked(page, "B", 3)
    page.keyboard.press("5")
    page.get_by_text("1 of 3 judged").wait_for()
    page.get_by_text("All maps of this sentence are judged.").wait_for()
    settled(page)
    page.keyboard.press("n")
    asked(page, "A", 1)
    pressed(page, "5")
    page.keyboard.press("u")
    asked(page, "A", 1)
    pressed(page, "45")
    asked(page, "A", 3)
    kept(page, "desk-in-the-middle")
    serving.kill()

    again = serving.app(folder)
    page.goto(f"{again}/desk")
    page.get_by_label("Your name").wait_for(timeout=60_000)
    sign_in(page, "<b>Anna</b> *star*")
    asked(page, "A", 3)
    page.get_by_text("Sentence 2 of 3 · 1 of 3 judged").wait_for()
    answers = Answers(f"sqlite:///{folder / 'answers.sqlite'}")
    table = exported(answers).table
    values = table[["has_good_recall", "has_good_precision", "is_intuitive"]].fillna(0).astype(int).to_numpy().tolist()
    assert sorted(values) == [[2, 0, 5], [4, 1, 3], [4, 5, 0]]
    assert set(table["rater"]) == {"<b>Anna</b> *star*"}
    assert sorted(table["boxes_shown"]) == ["False", "True", "True"]
    answers.close()

    page.get_by_text("Results").click()
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="Download answers").click(timeout=60_000)
    download.value.save_as(tmp_path / "answers.csv")
    assert read_annotations(tmp_path / "answers.csv").models == MODELS
    settled(page)
    kept(page, "desk-results", full_page=True)
    page.close()


def test_others_see_neither_models_nor_each_other_and_no_key_opens_slowly(
    serving: Serving, chromium: Any, tmp_path: Path
) -> None:
    folder = audited_folder(tmp_path / "folder-of-hidden-things", count=2)
    file = tmp_path / "annotators.yaml"
    keys = {name: add_annotator(file, name) for name in ("Anna", "Ben")}
    address = serving.app(folder, "--annotators", str(file))
    contexts = {name: chromium.new_context(viewport=SIZE) for name in keys}
    pages = {name: context.new_page() for name, context in contexts.items()}
    everything = {name: heard(page) for name, page in pages.items()}
    for name, page in pages.items():
        page.goto(f"{address}/audit")
        page.get_by_text("Page not found").wait_for(timeout=60_000)  # there is no page but the desk
        page.goto(address)
        page.get_by_label("Your access key").wait_for(timeout=60_000)
        if name == "Ben":
            slowed_down(page, "Ben", keys["Anna"])
        sign_in(page, name, keys[name])
        asked(page, "A", 1)
        page.get_by_text("Show regions").wait_for()
        page.keyboard.press("b")
        page.get_by_text("Hide regions").wait_for()
        settled(page)
    pressed(pages["Anna"], "1")
    pressed(pages["Ben"], "5")
    pressed(pages["Anna"], "11")
    pressed(pages["Ben"], "55")
    asked(pages["Anna"], "B", 1)
    kept(pages["Ben"], "desk-of-others")
    answers = Answers(f"sqlite:///{folder / 'answers.sqlite'}")
    table = exported(answers).table
    assert {(row.rater, row.has_good_recall, row.is_intuitive) for row in table.itertuples()} == {("Anna", 1, 1), ("Ben", 5, 5)}  # fmt: skip
    answers.close()
    for name, other in (("Anna", "Ben"), ("Ben", "Anna")):
        everything[name].append(pages[name].content())
        text = "\n".join(everything[name])
        assert "Opacity in the" in text  # it was listened to
        assert f"Annotator: {name}" in text
        for hidden in (*MODELS, folder.name, str(tmp_path), other, "answers.sqlite", keys[other]):
            assert hidden not in text, hidden
    file.write_text(file.read_text().replace("Anna:", "Gone:"))
    pages["Anna"].keyboard.press("n")
    pages["Anna"].get_by_label("Your access key").wait_for()  # out at the next step
    for context in contexts.values():
        context.close()
