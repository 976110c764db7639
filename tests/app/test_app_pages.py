"""The app's pages, used as a person would: names and texts of the data are shown as they are, the address holds the state."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modalens as ml
from browsing import Serving, kept
from modalens.validation.leaderboard import Leaderboard, Run

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=20_000)

pytestmark = pytest.mark.xdist_group("browser")

EVIL = "<img src=x onerror=window.evil=1>"
LATE = f"late *x* {EVIL}"
ILL = f"ill {EVIL}"
WORDS = ("no", "effusion", "left", "<script>window.evil=1</script>", "**bold**", "[link](http://example.org)", "clear")
SAMPLES = 40


def inputs(seed: int, rows: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "xray": random.uniform(size=(rows, 16, 16)).astype(np.float32),
        "__report__": [" ".join(WORDS[which] for which in random.integers(0, len(WORDS), 8)) for _ in range(rows)],
        "blood": pd.DataFrame(random.normal(size=(rows, 3)), columns=["age", EVIL, "=1+1"]),
    }


def model(weight: float) -> Any:
    """A classifier that reads the middle of the image with this weight, and a word in the light of a number."""

    def classify(xray: np.ndarray, __report__: list[str], blood: pd.DataFrame) -> np.ndarray:
        effusion = np.array([2.0 * ("effusion" in text.split()) - 1 for text in __report__])
        score = weight * 20 * (xray[:, 4:12, 4:12].mean((1, 2)) - 0.5) + effusion * blood["age"].to_numpy()
        ill = 1 / (1 + np.exp(-score))
        return np.stack([1 - ill, ill], 1)

    return classify


def explained(weight: float, seed: int = 0) -> ml.Explanation:
    random = np.random.default_rng(seed)
    age = random.integers(20, 90, SAMPLES).astype(float)
    age[:3] = np.nan
    names = [f"P{place:03d}" for place in range(SAMPLES)]
    names[2] = f"=cmd {EVIL}"
    given = inputs(seed, SAMPLES)
    return ml.explain(
        model(weight),
        given,
        labels=(model(1.0)(**given)[:, 1] > random.uniform(size=SAMPLES)).astype(int),
        classes=["healthy", ILL],
        modalities={"xray": ml.Image(patch=8), "__report__": ml.Text(), "blood": ml.Tabular()},
        baseline={"xray": "zeros", "__report__": "mask_token", "blood": "zeros"},
        measures=[ml.Occlusion(), ml.Shapley(), ml.InterSHAP()],
        characteristics=pd.DataFrame({"age": age, "site": random.choice(["A", EVIL], SAMPLES)}, index=names),
        progress=False,
    )


def leaderboard() -> Leaderboard:
    """Two measures on two problems, of which the first is right."""
    truth = {"a": 0.75, "b": 0.25}
    known = {"model": "network", "estimand": "", "accuracy": 1.0, "ceiling": 1.0, "chance": 0.5, "learned": True}
    runs = [
        Run(problem=problem, seed=seed, entry=entry, shares=found, truth=truth, scores={"rmse": error}, **known)
        for problem in ("F1", "F4")
        for seed in (0, 1)
        for entry, found, error in (("exact", truth, 0.001), (f"off {EVIL}", {"a": 0.5, "b": 0.5}, 0.25))
    ]
    return Leaderboard(runs=tuple(runs), settings={"seeds": 2})


@pytest.fixture(scope="module")
def explanation() -> ml.Explanation:
    return explained(1.0)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, explanation: ml.Explanation) -> Iterator[str]:
    """The app, on a folder with two models of the same patients, one of others, and a leaderboard."""
    folder = tmp_path_factory.mktemp("results")
    explanation.save(folder / "fused.nc", inputs=True)
    explained(0.3).save(folder / f"{LATE}.nc", inputs=True)
    explained(1.0, seed=1).save(folder / "others.nc", inputs=True)
    leaderboard().save(folder / "board.json")
    apps = Serving()
    yield apps.app(folder)
    apps.end()


@pytest.fixture(scope="module")
def visitor(chromium: Any) -> Iterator[Any]:
    """A browser that keeps what it has loaded, as a person's does."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def page(visitor: Any) -> Iterator[Any]:
    """A page of the visitor. It reaches nothing but this machine, meets no error, and nothing in the data has run in it."""
    tab = visitor.new_page()
    reached, errors = [], []
    tab.on("request", lambda request: reached.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield tab
    assert tab.evaluate("window.evil") is None
    away = [url for url in reached if not url.startswith(("http://127.0.0.1:", "data:", "blob:http://127.0.0.1:"))]
    assert away == []
    assert reached
    # Streamlit looks for its server beneath a page's own path first, and is told that it is not there.
    assert [error for error in errors if "404 (Not Found)" not in error] == []
    tab.close()


def at(page: Any, address: str, where: str = "") -> Any:
    """The page, opened and done."""
    page.goto(f"{address}/{where}")
    return done(page)


def done(page: Any) -> Any:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    expect(page.get_by_test_id("stSpinner")).to_have_count(0)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    return page


def choose(page: Any, box: str, option: str) -> None:
    """Open a box and choose, as with a mouse."""
    page.get_by_role("combobox", name=box, exact=True).click()
    page.keyboard.type(option)
    page.get_by_role("option", name=option, exact=True).click()
    page.keyboard.press("Escape")


def cells(page: Any, column: int) -> list[str]:
    """What a column of the table says in the rows on screen."""
    table = page.get_by_test_id("stDataFrame").first
    table.get_by_test_id("glide-cell-1-0").wait_for(state="attached")
    return table.locator(f"td[aria-colindex='{column}']").all_inner_texts()


def tick(page: Any, row: int) -> None:
    """Tick a row of the table."""
    page.get_by_test_id("stDataFrame").first.click(position={"x": 16, "y": 35 + 35 * row + 17})


def downloaded(page: Any, button: str) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return Path(waiting.value.path()).read_text(encoding="utf-8")


def text(page: Any) -> str:
    return str(page.get_by_test_id("stMain").inner_text())


# Overview -------------------------------------------------------------------------------------------------------------------


def test_the_overview_says_what_there_is_and_what_it_says(page: Any, address: str, explanation: ml.Explanation) -> None:
    at(page, address)
    page.get_by_text("What lies in this folder: 3 explanations, 1 leaderboard").click()
    for name in ("fused", LATE, "others", "board"):
        expect(page.get_by_role("cell", name=name, exact=True)).to_be_visible()
    for label in ("Carries most", "Ignored", "Combines", "How sure", "Careful"):
        expect(page.get_by_text(f"{label}:", exact=True)).to_be_visible()
    share = float(explanation.occlusion.contribution.max())
    assert f"{100 * share:.0f} %" in text(page)
    for warning in explanation.provenance["warnings"]:
        expect(page.get_by_role("alert").get_by_text(warning)).to_be_visible()
    assert page.get_by_role("img", name=re.compile("Bars of the share of each modality")).count() == 1
    page.get_by_role("tab", name="Whether modalities are combined").click()
    expect(page.get_by_role("img", name=re.compile("Heat map of what each modality does"))).to_be_visible()
    kept(page, "overview")


def test_the_overview_gives_the_report_the_numbers_and_the_citation(
    page: Any, address: str, explanation: ml.Explanation
) -> None:
    at(page, address)
    report = downloaded(page, "Report (HTML)")
    assert report.lstrip().lower().startswith("<!doctype html>")
    assert EVIL not in report
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "Numbers (CSV)"))))
    assert len(rows) == len(explanation.to_frame())
    assert float(rows[0]["value"]) == explanation.to_frame()["value"][0]
    assert downloaded(page, "Citation (BibTeX)") == explanation.citation()


# Cohort ---------------------------------------------------------------------------------------------------------------------


def test_patients_are_narrowed_and_nobody_is_dropped_in_silence(
    page: Any, address: str, explanation: ml.Explanation
) -> None:
    at(page, address, "cohort")
    expect(page.get_by_text(f"{SAMPLES} patients", exact=True)).to_be_visible()
    table = _patients(explanation)
    choose(page, "Outcome", "wrong")
    wrong = table[~table["correct"]]
    expect(page.get_by_text(f"{len(wrong)} of {SAMPLES} patients")).to_be_visible()
    done(page)
    expect(page.get_by_test_id("glide-cell-1-0")).to_have_text(wrong["patient"].iloc[0])
    assert cells(page, 1)[:3] == wrong["patient"].to_list()[:3]
    slider = page.get_by_role("slider", name="age — start")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("3 patients have no “age”")).to_be_visible()
    least = table["age"].min() + 1
    left = wrong[wrong["age"] >= least]
    expect(page.get_by_text(f"{len(left)} of {SAMPLES} patients")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"only\.correct=wrong&from\.age={least:g}"))
    kept(page, "cohort-narrowed")
    page.reload()
    done(page)
    expect(page.get_by_text(f"{len(left)} of {SAMPLES} patients")).to_be_visible()
    page.get_by_role("button", name="Show all patients").click()
    expect(page.get_by_text(f"{SAMPLES} patients", exact=True)).to_be_visible()


def test_the_table_is_ordered_sorted_and_taken_home(page: Any, address: str, explanation: ml.Explanation) -> None:
    table = _patients(explanation)
    at(page, address, "cohort")
    choose(page, "Order, largest first", "error")
    by_error = table.sort_values("error", ascending=False, kind="stable")["patient"].to_list()
    expect(page.get_by_test_id("glide-cell-1-0")).to_have_text(by_error[0])
    assert cells(page, 1)[:5] == by_error[:5]
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "Table (CSV)"))))
    assert [row["patient"].removeprefix("'") for row in rows] == by_error
    assert {row["patient"] for row in rows if "cmd" in row["patient"]} == {f"'=cmd {EVIL}"}
    page.get_by_test_id("stDataFrame").click(position={"x": 60, "y": 17})
    expect(page.get_by_test_id("glide-cell-1-0")).to_have_text(min(table["patient"]))


def test_a_row_opens_the_patient_and_the_filters_are_there_on_the_way_back(
    page: Any, address: str, explanation: ml.Explanation
) -> None:
    table = _patients(explanation)
    wrong = table.index[~table["correct"]].to_list()
    at(page, address, "cohort?only.correct=wrong")
    cells(page, 1)
    tick(page, 1)
    expect(page.get_by_role("heading", name=f"{table['patient'][wrong[1]]} (sample {wrong[1]})")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"[?&]patient={wrong[1]}(&|$)"))
    done(page)
    expect(page.get_by_text(f"2 of {len(wrong)} patients (correct: wrong)")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name=f"(sample {wrong[2]})")).to_be_visible()
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_role("heading", name=f"(sample {wrong[1]})")).to_be_visible()
    page.get_by_role("link", name="Cohort").click()
    expect(page.get_by_text(f"{len(wrong)} of {SAMPLES} patients")).to_be_visible()
    done(page)


def test_a_point_opens_the_patient(page: Any, address: str) -> None:
    at(page, address, "cohort")
    point = page.get_by_test_id("stVegaLiteChart").locator("[aria-roledescription='point']").first
    said = point.get_attribute("aria-label")
    point.click()
    heading = page.get_by_role("heading", level=3).filter(has_text="(sample ")
    expect(heading).to_contain_text("(sample ")
    name = heading.inner_text().partition(" (sample ")[0]
    assert name in said


# Patient --------------------------------------------------------------------------------------------------------------------


def test_a_patient_is_shown_in_full_as_text(page: Any, address: str, explanation: ml.Explanation) -> None:
    at(page, address, "patient?explanation=fused&patient=2")
    expect(page.get_by_role("heading", name=f"=cmd {EVIL} (sample 2)")).to_be_visible()
    row = _patients(explanation).iloc[2]
    right = "right" if row["correct"] else "wrong"
    said = f"The model says “{row['predicted']}” with a probability of {100 * row['probability']:.1f} %; the label is “{row['label']}”: the model is {right}."
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Sample 2: how its output comes about"))).to_be_visible()
    expect(page.get_by_role("heading", name="__report__")).to_be_visible()
    for word in inputs(0, SAMPLES)["__report__"][2].split():
        assert word in text(page)
    page.get_by_text("The text as it was given").click()
    expect(page.get_by_test_id("stText")).to_have_text(inputs(0, SAMPLES)["__report__"][2])
    changes = abs(explanation.occlusion.parts["blood"].isel(sample=2)).sum("output")
    largest = page.get_by_role("row", name=re.compile(r"^blood age "))
    expect(largest).to_contain_text(f"{float(changes.sel(part='age')):.3f}")
    share = explanation.occlusion.by_sample.isel(sample=2).sel(modality="xray").item()
    expect(page.get_by_role("row", name=re.compile(r"^xray .* %"))).to_contain_text(f"{100 * share:.1f} %")
    kept(page, "patient")


def test_the_class_changes_what_is_looked_at_and_the_address_brings_it_back(page: Any, address: str) -> None:
    at(page, address, "patient?patient=5")
    before = page.get_by_role("img", name=re.compile("Sample 5")).get_attribute("src")
    choose(page, "Output", "healthy: which parts raise or lower it")
    expect(page.get_by_role("columnheader", name="change of the probability of healthy")).to_be_visible()
    done(page)
    shown = page.get_by_role("img", name=re.compile("Sample 5")).get_attribute("src")
    assert shown != before
    expect(page).to_have_url(re.compile("[?&]output=healthy"))
    page.reload()
    done(page)
    assert page.get_by_role("img", name=re.compile("Sample 5")).get_attribute("src") == shown
    expect(page.get_by_role("columnheader", name="change of the probability of healthy")).to_be_visible()


def test_a_patient_is_chosen_by_name_and_those_to_look_at_first_by_a_button(page: Any, address: str) -> None:
    at(page, address, "patient")
    page.get_by_role("combobox", name="Patient", exact=True).click()
    page.keyboard.type("P017")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="P017 (sample 17)")).to_be_visible()
    expect(page).to_have_url(re.compile("[?&]patient=17"))
    link = page.get_by_role("button", name=re.compile("Most typical"))
    sample = link.inner_text().rpartition(" ")[2]
    link.click()
    expect(page.get_by_role("heading", name=f"(sample {sample})")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"[?&]patient={sample}(&|$)"))


def test_a_patient_who_is_not_there_is_said(page: Any, address: str) -> None:
    at(page, address, "patient?explanation=fusd&patient=4000&output=ill")
    expect(page.get_by_text("Explanation: there is no 'fusd' here; shown is fused.")).to_be_visible()
    expect(page.get_by_text("There is no patient '4000': they are numbered from 0 to 39.")).to_be_visible()
    expect(page.get_by_text("Output: there is no 'ill' here")).to_be_visible()


# Two models -----------------------------------------------------------------------------------------------------------------


def test_two_models_of_the_same_patients_are_compared_in_pairs(
    page: Any, address: str, explanation: ml.Explanation
) -> None:
    at(page, address, "comparison")
    compared = ml.compare(explanation, explained(0.3))
    lost = 100 * compared.differences["occlusion"]["contribution"].sel(modality="xray").item()
    low, high = (100 * compared.interval["occlusion"]["contribution"].sel(modality="xray", bound=bound).item() for bound in ("lower", "upper"))  # fmt: skip
    said = f"{lost:+.1f} ({low:+.1f} to {high:+.1f})".replace("-", "−")
    expect(page.get_by_role("row", name=f"xray hidden part by part {said}")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Differences of shares"))).to_be_visible()
    one, other = (_patients(found) for found in (explanation, explained(0.3)))
    shares = [f"{name} share" for name in explanation.modalities]
    moved = (one[shares] - other[shares]).abs().sum(axis=1) / 2
    worst = int(moved.to_numpy().argmax())
    assert cells(page, 1)[0] == one["patient"][worst]
    tick(page, 0)
    for name in ("fused", LATE):
        expect(page.get_by_role("heading", name=f"(sample {worst}) by {name}")).to_be_visible()
        expect(page.get_by_role("img", name=re.compile(rf"Sample {worst} by {re.escape(name)}"))).to_be_visible()
    expect(page).to_have_url(re.compile(rf"[?&]patient={worst}(&|$)"))
    kept(page, "two-models")


def test_models_of_other_patients_are_refused_in_words(page: Any, address: str) -> None:
    at(page, address, "comparison?first=fused&second=others")
    expect(page.get_by_role("alert")).to_contain_text("the explanations differ in their data")
    expect(page.get_by_role("alert")).to_contain_text("explain both models on the same patients")


# Leaderboard, and all of them -----------------------------------------------------------------------------------------------


def test_the_leaderboard_names_the_best_and_shows_the_rest(page: Any, address: str) -> None:
    at(page, address, "leaderboard")
    expect(page.get_by_text("Smallest error: exact on F1, F4.")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Errors by measure"))).to_be_visible()
    expect(page.get_by_text("Error (RMSE) by problem")).to_be_visible()
    assert page.get_by_role("cell", name=f"off {EVIL}").count() >= 2
    assert len(downloaded(page, "All runs (CSV)").splitlines()) == 9
    kept(page, "leaderboard")


def test_the_keyboard_reaches_what_the_mouse_does(page: Any, address: str) -> None:
    at(page, address, "patient?patient=5")
    page.get_by_role("button", name="Previous").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Patient"
    page.keyboard.press("Tab")
    following = page.get_by_role("button", name="Next")
    expect(following).to_be_focused()
    look = "e => { const s = getComputedStyle(e); return s.outlineStyle + s.boxShadow + s.borderColor + s.backgroundColor }"
    focused = following.evaluate(look)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="(sample 6)")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    assert following.evaluate(look) != focused


@pytest.mark.parametrize("where", ["", "cohort", "patient?patient=2", "comparison?patient=2", "leaderboard"])
def test_pages_fit_a_narrow_window(page: Any, address: str, where: str) -> None:
    page.set_viewport_size({"width": 900, "height": 1000})
    at(page, address, where)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    kept(page, f"narrow-{where.partition('?')[0] or 'overview'}")


def _patients(explanation: ml.Explanation) -> pd.DataFrame:
    from modalens.cohort import patients

    return patients(explanation)
