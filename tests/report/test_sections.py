"""What stands in the parts of a report: patients, cohort, choices, methods and limits, each with the explanation's own numbers."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reading_pages import Reader

import modalens as ml
from explained import fused, lesion, pair, report
from modalens import cohort
from modalens.report.cohort import Judged, about_cohort, judged
from modalens.report.layout import Section
from modalens.report.limits import about_limits
from modalens.report.methods import keys, methods
from modalens.report.patients import LEFT_OUT, about_patients
from modalens.report.sensitivity import about_choices


@cache
def clinic() -> ml.Explanation:
    """Two hospitals: in one the model reads one table, in the other the other one."""
    random = np.random.default_rng(7)
    site = np.arange(60) // 2 % 2
    inputs = {"labs": random.normal(size=(60, 2)), "ct": random.normal(size=(60, 2))}
    inputs["labs"][:, 1] = inputs["ct"][:, 1] = site

    def model(labs: np.ndarray, ct: np.ndarray) -> np.ndarray:
        which = np.maximum(labs[:, 1], ct[:, 1])
        return np.asarray(1 / (1 + np.exp(-4 * np.where(which > 0, labs[:, 0], ct[:, 0]))))

    labels = (model(**inputs) > 0.5).astype(int)
    labels[:12] = 1 - labels[:12]
    known = pd.DataFrame({"site": np.array(["north", "south"])[site]}, index=[f"P{place:03}" for place in range(60)])
    return ml.explain(
        model,
        inputs,
        background={"labs": np.zeros((8, 2)), "ct": np.zeros((8, 2))},
        labels=labels,
        groups=np.arange(60) // 2,
        classes=["well", "ill"],
        characteristics=known,
        measures=[ml.Occlusion(), ml.Shapley()],
        seed=3,
        progress=False,
    )


@cache
def known_of_clinic() -> Judged:
    return judged(clinic())


@cache
def clinic_sections() -> dict[str, Section]:
    return {one.title: one for one in about_cohort(clinic(), known_of_clinic())}


# Patients ---------------------------------------------------------------------------------------------------------------------------


def test_the_chosen_patients_are_those_of_the_cohort_with_their_sentences() -> None:
    section = about_patients(clinic())
    chosen = cohort.chosen(clinic())
    assert len(chosen) >= 2
    assert [one.words[0] for one in section.within] == [one.words for one in chosen]
    names = clinic().characteristics.index
    for one, shown in zip(chosen, section.within, strict=True):
        assert shown.title == f"{one.kind.capitalize()}: sample {one.sample}, patient {names[one.sample]}"
        (figure,) = shown.figures
        for modality in ("labs", "ct"):
            value = float(clinic().shapley.of_target.sel(modality=modality)[one.sample])
            assert f"{modality} {value:+.3f}".replace("-", "−") in figure.alt or abs(value) < 0.1


def test_samples_are_added_and_patients_can_be_left_out(tmp_path: Path) -> None:
    chosen = {one.sample for one in cohort.chosen(report())}
    own = next(sample for sample in range(20) if sample not in chosen)
    section = about_patients(report(), [own])
    assert section.within[-1].title == f"Asked for: sample {own}"
    largest = re.search(r"parts of report that change it most: (\w+)", section.within[-1].figures[0].alt)
    assert largest is not None
    assert largest[1] in report().inputs["report"][own].split()
    page = report().report(tmp_path / "none.html", patients=False).read_text(encoding="utf-8")
    assert LEFT_OUT in page
    assert "This page holds data of single patients" not in page
    assert not any(re.search(rf"\b{word}\b", page) for word in ("pneumonia", "effusion"))


@pytest.mark.parametrize("sample", [-1, 20, True, "a"])
def test_a_patient_who_is_not_there_is_refused(sample: Any, tmp_path: Path) -> None:
    with pytest.raises(ml.InputError, match=r"is not there: the explanation has 20"):
        report().report(tmp_path / "page.html", samples=[sample])


def test_samples_of_patients_who_are_left_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ml.InputError, match=r"give one of the two"):
        report().report(tmp_path / "page.html", samples=[0], patients=False)


def test_samples_that_were_not_saved_are_shown_without_pictures(tmp_path: Path) -> None:
    loaded = ml.load(lesion().save(tmp_path / "found.nc"))
    section = about_patients(loaded)
    assert any("explanation.save(path, inputs=True) keeps them" in words for words in section.words)
    assert len(section.within) == len(cohort.chosen(lesion()))
    assert all(one.figures for one in section.within)


# What a reviewer asks for -----------------------------------------------------------------------------------------------------------


def test_the_flow_counts_everyone() -> None:
    (table,) = clinic_sections()["Who was explained"].tables
    numbers = {row[0]: row[1] for row in table.rows}
    labels = clinic().cohort.label.values
    assert numbers["explained"] == "60"
    assert numbers["resampling units (patients)"] == "30"
    assert numbers["of “ill”"] == str(int(labels.sum()))
    assert numbers["stand in: other samples"] == "8"


def test_the_performance_is_that_of_the_predictions() -> None:
    """Accuracy and sensitivity by hand, with the bounds of the cohort's own numbers."""
    overall, each = clinic_sections()["How well it predicts"].tables
    named = clinic().cohort.prediction.sel(space="probability").values.argmax(1)
    labels = clinic().cohort.label.values
    found = cohort.performance(clinic())
    low, high = found.accuracy_interval.values
    values = {row[0]: row[1] for row in overall.rows}
    assert values["accuracy"] == f"{(named == labels).mean():.2f} ({low:.2f} to {high:.2f})"
    ill = next(row for row in each.rows if row[0] == "ill")
    place = each.columns.index("sensitivity")
    assert ill[place].startswith(f"{(named[labels == 1] == 1).mean():.2f} (")


def test_calibration_lists_the_points_that_are_drawn() -> None:
    section = clinic_sections()["Whether its predictions can be taken at their word"]
    summary, points = section.tables
    found = cohort.calibration(clinic()).sel(output="ill")
    assert len(points.rows) == int((found["count"] > 0).sum())
    assert sum(int(row[1]) for row in points.rows) == 60
    assert summary.rows[0][1].startswith(f"{float(found.error):.3f} (")
    assert points.rows[0][3] in section.figures[0].alt


def test_subgroups_have_their_numbers_and_adjusted_p() -> None:
    section = clinic_sections()["Where it errs, and in whom"]
    frame = cohort.subgroups(clinic()).to_frame()
    table = next(one for one in section.tables if one.title == "By site")
    row = frame[(frame.subgroup == "south") & (frame.modality == "labs")].iloc[0]
    (shown,) = [one for one in table.rows if one[0] == "south" and "labs" in one[1]]
    assert shown[2] == "30"
    assert shown[3].startswith(f"{100 * row.value:.1f} % (")
    assert shown[4].startswith(f"{100 * row.difference:+.1f} (")
    assert shown[5] == f"{row.p_adjusted:.2g}"
    assert row.p_adjusted < 0.05
    assert any("Larger than chance would make them" in words for words in section.words)
    assert any("exploratory" in point for point in section.points)


# Choices ----------------------------------------------------------------------------------------------------------------------------


def test_choices_hold_every_baseline_way_and_scale() -> None:
    section = about_choices(lesion())
    shares, interaction = section.tables
    cells = {row[0]: row[1:] for row in shares.rows}
    assert len(cells) == 1 + 2 + 2
    for baseline, words in (("mean", "the mean"), ("background", "other patients' data")):
        value = 100 * float(lesion().occlusion.anchor_by_baseline.sel(baseline=baseline, modality="image"))
        assert cells[f"Hidden as a whole, {words} in its place"][0].startswith(f"{value:.1f} % (")
    numbers = {row[0]: row[1] for row in interaction.rows}
    log_odds = 100 * float(lesion().intershap.by_space.sel(space="logit"))
    assert numbers["on the log-odds"].startswith(f"{log_odds:.1f} % (")
    assert any("“blood” comes first under each of 5 choices" in words for words in section.words)


# Methods and limits -----------------------------------------------------------------------------------------------------------------


def test_the_methods_say_all_settings_and_cite_what_is_in_the_bibliography() -> None:
    words, about = methods(clinic(), known_of_clinic()), clinic().provenance
    compared = known_of_clinic().subgroups
    assert compared is not None
    for expected in (
        "60 samples of 30 independent groups (patients)",
        "8 background samples",
        "seed 3",
        about["value_function"],
        about["modalens"],
        f"{about['head_rows']:,} rows",
        "95 % percentile bootstrap intervals",
        "Performance was measured on the same samples, with 95 % bootstrap intervals, from drawing 30 groups",
        "Calibration was measured in up to 10 bins",
        "The 95 % intervals of observed shares are Wilson's",
        f"Differences between subgroups ({compared.tests} in all) were tested by 2,000 permutations",
    ):
        assert expected in words
    cited = {key for group in re.findall(r"\[([\w, ]+)\]", words) for key in group.split(", ")}
    assert cited == set(keys(clinic().citation()))


def test_the_methods_say_nothing_of_what_was_not_done() -> None:
    """Intervals that were turned off, scores that are no probabilities, and no labels."""
    labels = np.arange(12) % 2
    off = pair(measures=[ml.Occlusion()], labels=labels, confidence=None)
    words = methods(off, judged(off))
    assert "Performance was measured on the same samples, without intervals (intervals were turned off)." in words
    assert "Calibration has no intervals (intervals were turned off)" in words
    assert not re.search(r"95 %|Wilson|bootstrap", words)
    for section in about_cohort(off, judged(off)):
        for table in section.tables:
            assert not any("In brackets" in note for note in table.notes)
            if section.title != "Who was explained":
                assert not any(" to " in one for row in table.rows for one in row[1:])
    values = pair(measures=[ml.Occlusion()], labels=labels * 1.5, task="regression", output="raw")
    assert "Observed values were held against predicted ones in up to 10 bins" in methods(values, judged(values))
    times = np.stack([np.arange(12) + 1.0, labels], axis=1)
    survival = pair(lambda a, b: a[:, 0], measures=[ml.Occlusion()], labels=times, task="survival")
    assert "Performance was measured" in methods(survival, judged(survival))
    assert "alibration" not in methods(survival, judged(survival))
    unlabelled = pair(measures=[ml.Occlusion()])
    for words in (methods(unlabelled, judged(unlabelled)), methods(off)):
        assert not re.search(r"Performance|alibration|labels", words)


def test_limits_are_of_what_is_there() -> None:
    def said(explanation: ml.Explanation, **settings: bool) -> str:
        return " ".join(
            about_limits(explanation, **({"planted": False, "useful": False, "patients": False} | settings)).points
        )

    with_labels, without = said(lesion()), said(report())
    assert "Without labels nothing here says" in without
    assert "Without labels" not in with_labels
    assert "If the model was trained on them" in with_labels
    assert "makes patients that do not exist" in with_labels
    assert "Shares by gradients" in said(fused())
    assert "Shares by gradients" not in with_labels
    assert "ml.plant(...)" in with_labels
    assert "ml.plant(...)" not in said(lesion(), planted=True)
    assert "ml.usefulness" not in said(lesion(), useful=True)
    assert "are examples" in said(lesion(), patients=True)
    random = np.random.default_rng(0)
    own = {"a": random.normal(size=(12, 2)), "b": random.normal(size=(12, 2))}
    alone = ml.explain(lambda a, b: a[:, 0] + b[:, 0], own, output="raw", measures=[ml.Occlusion()], progress=False)
    assert "stood in for one another" in said(alone)
    assert "stood in for one another" not in said(pair(measures=[ml.Occlusion()]))
    assert "12 samples are few" in said(alone)


def test_contents_lead_to_every_section(tmp_path: Path) -> None:
    page = Reader(
        pair(measures=[ml.Occlusion()]).report(tmp_path / "page.html", patients=False).read_text(encoding="utf-8")
    )
    sections = [one["id"] for tag, one in page.elements if tag == "section"]
    links = [(link["href"] or "").removeprefix("#") for link in page.all("a") if link.get("class") != "skip"]
    assert links == sections
