"""The page of an audit in a browser: a record is chosen, its sentence is changed, and the words say whether the map follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

import modalens as ml
from browsing import Serving, kept
from modalens.alignment import Phantom, Record
from modalens.alignment.contrast.network import small_dual_encoder
from modalens.alignment.contrast.recipes import RECIPES, VOCABULARY
from modalens.demo_phantom import write_study
from modalens.studyfile.auditing import read_audit

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = pytest.mark.xdist_group("browser")

EVIL = "<script>window.evil=1</script><img src=x onerror='window.evil=1'> *left* $opacity$."

MODEL = '''
"""A dual encoder set by hand: the words for the sides look at the halves of the picture; with a STRENGTH of 0, nothing does."""

import torch
from torch import nn

from modalens.alignment.contrast.network import DualEncoder, Vocabulary


class Halves(nn.Module):
    grid = (4, 4)

    def forward(self, images):
        if images.shape[-1] != 64:
            raise ValueError("pictures of 64 pixels are read")
        cells = torch.zeros(len(images), 4, 4, 2)
        cells[:, :, :2, 0], cells[:, :, 2:, 1] = 1, 1  # the patient's right is the picture's left
        return cells.flatten(1, 2)


class Sides(nn.Module):
    def forward(self, words):
        if (words.ids == vocabulary.words.index("broken")).any():
            raise RuntimeError("this model <b>broke</b>")
        sides = [words.ids == vocabulary.words.index(side) for side in ("right", "left")]
        return STRENGTH * torch.stack(sides, -1).float()


vocabulary = Vocabulary.of(["left right broken"])


def model():
    return DualEncoder(Halves(), Sides(), vocabulary.encode, width=2).eval()
'''


def records() -> list[Record]:
    """Sentences of five patients, one of which holds a script."""
    found = Phantom(bilateral=1.0).records(5, seed=4)
    sided = [place for place, one in enumerate(found) if one.side == "left" and one.located]
    found[sided[-1]] = replace(found[sided[-1]], phrase=EVIL)
    return found


def chosen(side: str) -> int:
    """The record whose sentence names this side in the fewest words: every other word looks everywhere."""
    named = [(len(one.phrase), place) for place, one in enumerate(records()) if side in one.phrase.lower() and one.side == side]  # fmt: skip
    return min(named)[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with a model that follows left and right, one that does not, and an audit without pictures or model."""
    folder, test = tmp_path_factory.mktemp("audits"), records()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = small_dual_encoder(VOCABULARY, **RECIPES["single"].network)
    studies = []
    for name, strength in {"follows": 9, "ignores": 0}.items():
        study = write_study(folder / name, network, "single", test, test, seed=0)
        (folder / name / "model.py").write_text(MODEL.replace("STRENGTH", str(strength)))
        run = read_audit(study)
        audit = ml.audit(
            run.model, test, perturbations=("swap left/right", "random sentence"), network=torch.nn.Linear(1, 1)
        )
        audit.save(folder / name / "audit.nc", pictures=True)
        studies.append(study)
    (folder / "bare").mkdir()
    audit.save(folder / "bare" / "audit.nc")
    apps = Serving()
    yield apps.app(folder, *(option for study in studies for option in ("--study", str(study))))
    apps.end()


@pytest.fixture(scope="module")
def context(chromium: Any) -> Iterator[Any]:
    """A browser that keeps what it has loaded."""
    opened = chromium.new_context(viewport={"width": 1400, "height": 1000})
    yield opened
    opened.close()


@pytest.fixture
def visitor(context: Any) -> Iterator[Any]:
    """A page whose requests are watched: none may leave this machine, and no script of the data may run."""
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert page.evaluate("window.evil") is None
    assert asked
    assert [url for url in asked if not re.match(r"(https?|ws)://127\.0\.0\.1[:/]|data:|blob:", url)] == []
    page.close()


def visited(page: Any, address: str, **state: object) -> None:
    page.goto(f"{address}/audit?" + "&".join(f"{name}={value}" for name, value in state.items()))
    expect(page.get_by_text("Scores of this record beside the means")).to_be_visible(timeout=30_000)
    settled(page)


def settled(page: Any) -> None:
    page.wait_for_function("!document.querySelector('[data-testid=stApp][data-test-script-state=running]')")


def said(page: Any, text: str | re.Pattern[str]) -> Any:
    return page.get_by_role("paragraph").filter(has_text=text)


def picked(page: Any, label: str, option: str | re.Pattern[str], tells: str) -> None:
    """Choose in a box, and wait until the address says so and the page is drawn."""
    settled(page)
    wanted = page.get_by_role("option", name=option).first
    for _ in range(5):  # a box that is opened while the page is still being drawn closes again
        page.get_by_role("combobox", name=label).click()
        try:
            wanted.click(timeout=2_000)
            break
        except playwright.TimeoutError:
            page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(tells), timeout=15_000)
    settled(page)


def whole(page: Any, name: str) -> None:
    """A picture of the whole page, which scrolls within itself."""
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": 1400, "height": height + 40})
    page.wait_for_timeout(500)
    kept(page, name)


def test_the_map_goes_where_the_typed_words_say(visitor: Any, address: str) -> None:
    visited(visitor, address, audit="follows/audit", record=chosen("right"))
    expect(said(visitor, "with left and right exchanged")).to_have_count(1)
    expect(said(visitor, "the map follows the text")).to_have_count(1)
    visitor.get_by_role("button", name="Swap left and right").click()
    expect(said(visitor, "the map follows the text")).to_have_count(2)
    box = visitor.get_by_label("Sentence", exact=True)
    expect(box).to_have_value(re.compile("[Ll]eft"))
    box.fill("Left, left, left.")
    box.press("Control+Enter")
    expect(said(visitor, re.compile(r"with your sentence 1?\d(\.\d)? %: the map follows the text"))).to_have_count(1)
    box.fill("No word of a side.")
    visitor.get_by_role("button", name="Show the map").click()
    expect(said(visitor, re.compile(r"with your sentence 50 %\. The map moves"))).to_have_count(1)
    visitor.get_by_text("Word by word").click()
    expect(visitor.get_by_alt_text("Map of the word side")).to_be_visible()
    whole(visitor, "audit-live")
    visitor.get_by_role("button", name="Reset").click()
    expect(visitor.get_by_text("The sentence is not changed yet")).to_be_visible()


def test_two_audits_stand_side_by_side(visitor: Any, address: str) -> None:
    visited(visitor, address, audit="ignores/audit", record=chosen("left"))
    expect(said(visitor, "50 %: the map hardly follows the text")).to_have_count(1)
    picked(visitor, "Beside it", "follows/audit", "beside=follows")
    expect(said(visitor, "the map hardly follows the text")).to_have_count(1)
    expect(said(visitor, "the map follows the text")).to_have_count(1)
    visitor.get_by_role("button", name="Swap left and right").click()
    expect(said(visitor, "the map hardly follows the text")).to_have_count(2)
    expect(said(visitor, "the map follows the text")).to_have_count(2)
    whole(visitor, "audit-beside")


def test_a_record_is_chosen_and_a_reload_comes_back(visitor: Any, address: str) -> None:
    place = chosen("left")
    visited(visitor, address, audit="follows/audit")
    picked(visitor, "Record", re.compile(rf"^{place} · "), f"record={place}")
    expect(visitor.get_by_role("heading", name=f"Record {place}", exact=True)).to_be_visible()
    picked(visitor, "Changed sentence", "random sentence", "condition=random")
    expect(said(visitor, "with “random sentence”")).to_have_count(1)
    picture = visitor.get_by_alt_text("The picture without a map")
    before = picture.get_attribute("src")
    visitor.get_by_text("Annotated regions").click()
    expect(picture).not_to_have_attribute("src", before)
    visitor.reload()
    expect(visitor.get_by_role("heading", name=f"Record {place}", exact=True)).to_be_visible(timeout=20_000)
    expect(said(visitor, "with “random sentence”")).to_have_count(1)
    picked(visitor, "The map", "in the wrong lung", "map=wrong")
    expect(visitor.get_by_text(re.compile(r"^0 of \d+ records"))).to_be_visible()
    picked(visitor, "The map", "in the lung of the finding", "map=named")
    expect(visitor.get_by_text(re.compile(r"^[1-9]\d* of \d+ records"))).to_be_visible()


def test_texts_are_shown_as_they_are_and_failures_in_words(visitor: Any, address: str) -> None:
    visited(visitor, address, audit="follows/audit", record=[one.phrase for one in records()].index(EVIL))
    expect(visitor.get_by_role("heading", name=EVIL)).to_be_visible()
    box = visitor.get_by_label("Sentence", exact=True)
    box.fill(f"{EVIL} right")
    box.press("Control+Enter")
    expect(visitor.get_by_text(f"“{EVIL} right”").first).to_be_visible()
    box.fill("This is broken.")
    box.press("Control+Enter")
    expect(visitor.get_by_text("the model failed: RuntimeError: this model <b>broke</b>")).to_be_visible()
    box.fill("   ")
    box.press("Control+Enter")
    expect(visitor.get_by_text("the sentence is empty: type one.")).to_be_visible()


def test_what_is_missing_is_said(visitor: Any, address: str) -> None:
    visited(visitor, address, audit="bare/audit")
    expect(visitor.get_by_text("modalens audit study.yaml --pictures")).to_be_visible()
    expect(visitor.get_by_alt_text("The picture without a map")).to_have_count(0)
    visited(visitor, address, audit="bare/audit", record="99999")
    expect(visitor.get_by_text("There is no record '99999' here.")).to_be_visible()
