"""The tables: every number that the explanation has, the verdicts, and the reasons where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

import modalens as ml
from explained import EVERY, lesion, multilabel, omics, pair, regression, report
from modalens.evaluation import plan
from modalens.summary import renderables
from modalens.summary.tables import Table, content
from modalens.summary.wording import percent, rounded_percent


def table(explanation: ml.Explanation, title: str) -> Table:
    """The one table whose title begins so."""
    (found,) = [one for one in content(explanation) if one.title.startswith(title)]
    return found


@pytest.mark.parametrize("name", EVERY)
def test_printing_shows_sentences_tables_and_notes_within_110_columns(name: str) -> None:
    printed = str(EVERY[name]())
    assert max(map(len, printed.splitlines())) <= 110
    assert "\x1b" not in printed
    assert (
        printed.index("•")
        < printed.index("How much each modality carries")
        < printed.index("What to know about these numbers")
    )


def test_every_contribution_stands_with_its_interval() -> None:
    explanation = lesion()
    shown = table(explanation, "How much each modality carries")
    assert shown.columns == ("modality", "hidden part by part", "hidden as a whole", "Shapley value")
    views = (
        (explanation.occlusion, "contribution"),
        (explanation.occlusion, "anchor"),
        (explanation.shapley, "contribution"),
    )
    for row in shown.rows:
        for cell, (result, array) in zip(row[1:], views, strict=True):
            bounds = result.interval[array].sel(modality=row[0]).values
            assert (
                cell
                == f"{100 * result.arrays[array].sel(modality=row[0]).item():.1f} % ({100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})"
            )


def test_both_baselines_stand_side_by_side() -> None:
    shown = table(lesion(), "Whether it matters what stands in")
    anchors = lesion().occlusion.anchor_by_baseline.sel(modality="image")
    assert shown.rows[0][0] == "image"
    assert [cell.split(" (")[0] for cell in shown.rows[0][1:3]] == [percent(float(value)) for value in anchors.values]


def test_interaction_stands_beside_the_additive_model_in_every_space() -> None:
    explanation = omics()
    shown = table(explanation, "Whether modalities are combined")
    assert [row[0] for row in shown.rows] == ["probability", "log-odds", "probability, by sample"]
    for row, space in zip(shown.rows, ("probability", "logit"), strict=False):
        numbers = [
            float(explanation.intershap.arrays[name].sel(space=space)) for name in ("by_space", "null", "excess")
        ]
        assert [cell.split(" ")[0] for cell in row[1:]] == [
            f"{100 * numbers[0]:.1f}",
            f"{100 * numbers[1]:.1f}",
            f"{100 * numbers[2]:+.1f}",
        ]
    assert shown.rows[2][1].startswith(percent(float(explanation.intershap.local)))


def test_orders_split_in_every_space() -> None:
    shown = table(omics(), "What single modalities, pairs and larger sets do")
    found = omics().interactions.orders_by_space
    for row, space in zip(shown.rows, ("probability", "logit"), strict=True):
        assert [cell.split(" (")[0] for cell in row[1:]] == [
            percent(float(found.sel(space=space, order=order))) for order in ("1", "2", "3+")
        ]
    assert table(lesion(), "What single modalities").columns[-1] == "two together"


def test_pairs_are_signed_and_complete() -> None:
    shown = table(omics(), "Which pairs interact")
    assert len(shown.rows) == 6
    first = shown.rows[0]
    assert first[0] == "rna x mirna"
    assert first[1].startswith(
        f"{float(omics().intershap.signed.sel(modality='rna', modality_2='mirna')):+.3f}".replace("-", "−")
    )
    assert shown.is_numeric(1)
    assert not shown.is_numeric(0)


def test_reliance_shows_scores_and_verdicts() -> None:
    explanation = omics()
    shown = table(explanation, "How well this model predicts (AUC)")
    assert shown.rows[0][:2] == ("all together", shown.rows[0][1])
    assert shown.rows[0][1].startswith(f"{float(explanation.reliance.everything):.2f} (")
    assert [row[4] for row in shown.rows[1:]] == explanation.reliance.verdict.values.tolist()
    assert shown.rows[-1][0] == "clinical"
    assert shown.rows[-1][4] == "ignored"
    assert table(regression(), "How well this model predicts").title.endswith("(R²)")


def test_outputs_scored_apart_have_rows_of_their_own() -> None:
    explanation = multilabel()
    interaction = table(explanation, "Whether modalities are combined")
    assert [row[0] for row in interaction.rows] == ["effusion"] * 3 + ["nodule"] * 3
    by_output = table(explanation, "How much each modality carries for each output")
    effusion = dict(zip(by_output.columns, by_output.rows[0], strict=True))
    assert effusion["xray"].startswith("100.0 %")
    assert effusion["history"].startswith("0.0 %")


def test_the_parts_that_count_most_are_named() -> None:
    shown = table(lesion(), "The parts that count most")
    largest = lesion().occlusion.part_contribution["blood"]
    assert ("blood", "age", percent(float(largest.sel(part="age")))) in shown.rows
    assert [row[1] for row in table(report(), "The parts").rows] == [
        "temperature"
    ]  # words are not the same part in every text


def test_an_undefined_number_is_n_a_with_its_reason() -> None:
    explanation = pair(lambda a, b: np.full(len(a), 0.5))
    shown = table(explanation, "How much each modality carries")
    assert {cell for row in shown.rows for cell in row[1:]} == {"n/a"}
    assert any(
        note.startswith("n/a: the output does not change whatever part is replaced: 0 / 0") for note in shown.notes
    )
    assert "the output is the same in all coalitions: 0 / 0" in " ".join(
        table(explanation, "Whether modalities are combined").notes
    )
    assert "nan" not in str(explanation).lower().replace("dominan", "")


def test_a_missing_additive_null_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        plan, "VALUES_BUDGET", 0
    )  # so that background rows are pooled, and an additive model can't be fitted to single ones
    explanation = pair()
    shown = table(explanation, "Whether modalities are combined")
    assert shown.rows[0][2:] == ("n/a", "n/a")
    assert any(note == f"n/a: {explanation.intershap.reasons['null']}." for note in shown.notes)


def test_an_additive_regression_would_show_nothing() -> None:
    assert table(regression(), "Whether modalities are combined").rows[0][2].startswith("0.0 %")


def test_without_intervals_nothing_stands_in_brackets() -> None:
    explanation = pair(confidence=None)
    assert not any("(" in cell for one in content(explanation) for row in one.rows for cell in row)
    assert "There are no intervals: they were turned off." in str(explanation)


def test_too_few_samples_say_so() -> None:
    assert "There are no intervals: 3 resampling units are too few" in " ".join(str(pair(samples=3)).split())


@pytest.mark.parametrize(
    ("measure", "titles"),
    [
        (ml.Occlusion(), ("How much", "Whether it matters", "The parts")),
        (ml.Shapley(), ("How much", "Whether it matters")),
        (ml.InterSHAP(), ("Whether modalities are combined", "What single", "Which pairs")),
        (ml.Interactions(), ("What single", "What sets")),
        (ml.Reliance(), ("How well",)),
        (ml.Occlusion(name="mine"), ("How much", "Whether it matters", "The parts")),
    ],
    ids=["occlusion", "shapley", "intershap", "interactions", "reliance", "named"],
)
def test_any_measure_by_itself_has_its_tables(measure: ml.Measure, titles: tuple[str, ...]) -> None:
    explanation = pair(measures=[measure], labels=np.arange(12) % 2)
    found = [one.title for one in content(explanation)]
    assert len(found) == len(titles)
    assert all(title.startswith(start) for title, start in zip(found, titles, strict=True))


def test_two_of_a_kind_are_told_apart() -> None:
    explanation = pair(
        measures=[
            ml.Occlusion(),
            ml.Occlusion(name="ratios", reading="mean_of_ratios"),
            ml.InterSHAP(),
            ml.InterSHAP(name="package", reading="package"),
        ]
    )
    assert "hidden part by part (ratios)" in table(explanation, "How much each modality carries").columns
    titles = [one.title for one in content(explanation)]
    assert any(title.endswith("“package”") for title in titles)
    assert any(title.endswith("“intershap”") for title in titles)


def test_an_own_measure_gets_a_table_of_its_numbers() -> None:
    class Largest(ml.Occlusion):
        default_name = "largest"
        title = "The largest share"

        def summarise(self, problem, samples, weights):  # type: ignore[no-untyped-def]
            return {"largest": super().summarise(problem, samples, weights)["contribution"].max("modality")}

        def details(self, problem, values, samples):  # type: ignore[no-untyped-def]
            return {}

    explanation = pair(measures=[Largest()])
    (row,) = table(explanation, "The largest share").rows
    assert row[0] == "largest"
    assert row[2].startswith(f"{float(explanation.largest.largest):+.3f} (")


def test_names_are_no_markup() -> None:
    classes = ["[bold]b[/bold]", "[/red]"]
    explanation = pair(classes=classes, target="[/red]")
    assert "[/red]" in str(explanation)
    console = Console(width=110)
    with console.capture() as captured:
        console.print(*renderables(explanation))
    assert "[/red]" in captured.get()


def test_numbers_round_without_a_false_zero() -> None:
    assert rounded_percent(0.0) == "0 %"
    assert rounded_percent(0.0002) == "less than 0.1 %"
    assert rounded_percent(0.0996) == "10 %"
    assert percent(-0.00001) == "0.0 %"
    assert percent(float("nan")) == "n/a"
