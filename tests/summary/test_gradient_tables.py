"""What gradients at the fusion point say in tables and sentences: every number with its interval, and what to doubt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import modalens as ml
from explained import Branching, followed, fused, lesion
from modalens.summary import notes
from modalens.summary.headline import headline
from modalens.summary.running import how_it_ran, rows_a_call, where_modalities_meet
from modalens.summary.tables import Table, by_topic, content
from modalens.summary.wording import percent


def table(explanation: ml.Explanation, title: str) -> Table:
    (found,) = [one for one in content(explanation) if one.title.startswith(title)]
    return found


def said(shown: Table) -> str:
    return " ".join(shown.notes)


def in_brackets(share: xr.DataArray, bounds: xr.DataArray) -> str:
    lower, upper = (percent(float(one)).removesuffix(" %") for one in bounds)
    return f"{percent(float(share))} ({lower} to {upper})"


def before_it_was_looked_for(explanation: ml.Explanation) -> ml.Explanation:
    """As it was saved when nothing was known of fusion points."""
    about = {name: value for name, value in explanation.provenance.items() if name != "fusion_point"}
    return replace(explanation, provenance=about | {"batch_size": 64})


def test_gradients_are_one_more_way_to_ask_what_a_modality_carries() -> None:
    explanation = fused()
    shown = table(explanation, "How much each modality carries")
    assert shown.columns[-1] == "gradients at the fusion point"
    result = explanation.fusion_gradient
    for row in shown.rows:
        at = {"modality": row[0]}
        assert row[-1] == in_brackets(result.contribution.sel(at), result.interval["contribution"].sel(at))
    replaced, followed_words = shown.notes[:2]
    assert "gradients" not in replaced
    assert followed_words.startswith("For gradients nothing is hidden")
    assert "gradients" not in " ".join(table(explanation, "Whether it matters what stands in").columns)


def test_what_another_draw_would_change_is_said_once_for_all_columns() -> None:
    shown = table(fused(), "How much each modality carries")
    (drawn,) = [note for note in shown.notes if note.startswith("Not in the brackets")]
    largest = max(
        float(fused()[name].monte_carlo_error[array].max())
        for name, array in (("occlusion", "anchor"), ("shapley", "contribution"), ("fusion_gradient", "contribution"))
        if array in fused()[name].monte_carlo_error
    )
    assert f"about {100 * largest:.1f} points" in drawn


def test_every_estimator_stands_beside_the_contribution() -> None:
    result = fused().fusion_gradient
    shown = table(fused(), "Gradients at the fusion point (shares")
    assert shown.columns == ("modality", "contribution (expected)", "covariance", "grouped", "gradient")
    for row in shown.rows:
        for estimator, cell in zip(("expected", *shown.columns[2:]), row[1:], strict=True):
            at = {"modality": row[0], "estimator": estimator}
            assert cell == in_brackets(result.by_estimator.sel(at), result.interval["by_estimator"].sel(at))
    assert [row[4].split(" (")[0] for row in shown.rows] == ["33.3 %", "66.7 %", "0.0 %"]  # 5 x 0.4 against 4 x 1
    for estimator in ("Expected", "Covariance", "Grouped", "Gradient"):
        assert f"{estimator}: how " in said(shown)


def test_doubts_stand_below_with_their_numbers() -> None:
    result = fused().fusion_gradient
    words = said(table(fused(), "Gradients at the fusion point (shares"))
    assert f"Saturated samples: {100 * float(result.saturation):.0f} %" in words
    assert f"but for {100 * float(result.completeness_error):.1f} % of it" in words
    assert f"right on {100 * float(result.accuracy):.0f} % of the samples" in words
    assert f"would be right on {100 * float(result.chance):.0f} %" in words
    unlabelled = followed()
    assert "right on" not in said(table(unlabelled, "Gradients at the fusion point (shares"))


def test_features_are_counted_and_under_counting_is_predicted() -> None:
    shown = table(fused(), "The features that reach the fusion point")
    ct, labs, report = shown.rows
    assert ct[:2] == ("ct", "5")
    assert ct[3:] == ("1.0", "45 %")  # five copies of one number: 1 / sqrt(5)
    assert labs[:2] == ("labs", "4")
    assert float(labs[3]) > 3
    assert report == ("report", "0", "–", "–", "–")
    assert "the model ignores “report”" in said(shown)
    assert all(shown.is_numeric(column) for column in range(1, 5))


def test_it_is_told_whether_it_matters_where_lines_start() -> None:
    shown = table(fused(), "Gradients at the fusion point: whether it matters where they start")
    assert shown.columns == ("modality", "from other patients' data", "from the mean")
    found = fused().fusion_gradient.by_baseline.sel(modality="ct")
    assert [cell.split(" (")[0] for cell in shown.rows[0][1:]] == [percent(float(one)) for one in found]
    alone = [ml.FusionGradient(estimator="gradient")]  # which starts nowhere
    titles = [one.title for one in content(followed(measures=alone))]
    assert not any("where they start" in title for title in titles)


def test_the_estimator_asked_for_comes_first() -> None:
    both = followed(
        measures=[ml.FusionGradient(estimator="grouped"), ml.FusionGradient(name="lines", estimator="integrated")]
    )
    shown, other = (one for one in content(both) if "(shares;" in one.title)
    assert shown.columns[1:3] == ("contribution (grouped)", "expected")
    assert other.columns[1] == "contribution (integrated)"
    assert other.title.endswith("“lines”")
    assert "along one straight line from the mean of other patients' data" in said(other)
    assert "gradients at the fusion point (lines)" in table(both, "How much each modality carries").columns


def test_a_single_stand_in_is_no_mean_of_patients() -> None:
    shown = table(followed(baseline="zeros"), "Gradients at the fusion point (shares")
    assert "along straight lines from zero to the patient's" in said(shown)
    assert "features lie from zero" in said(shown)


def test_an_undefined_share_has_its_reason() -> None:
    explanation = followed(baseline="mean", measures=[ml.FusionGradient(estimator="covariance")])
    shown = table(explanation, "Gradients at the fusion point (shares")
    assert {row[1] for row in shown.rows} == {"n/a"}
    why = explanation.fusion_gradient.reasons["contribution"]
    assert f"n/a: {why}." in shown.notes
    assert (
        headline(explanation)[0] == f"By gradients at the fusion point, no modality has a share of the output: {why}."
    )
    beside = followed(measures=[ml.FusionGradient(estimator="covariance")])
    starts = table(beside, "Gradients at the fusion point: whether")
    assert {row[2] for row in starts.rows} == {"n/a"}
    assert f"n/a: {beside.fusion_gradient.reasons['by_baseline']}." in starts.notes


def test_without_intervals_nothing_stands_in_brackets() -> None:
    explanation = followed(confidence=None)
    assert not any("(" in cell for one in content(explanation) for row in one.rows for cell in row)


def test_gradients_alone_have_their_tables_and_sentences() -> None:
    explanation = followed(samples=30)
    topics = by_topic(explanation)
    assert [len(topics[topic]) for topic in ("contribution", "gradients", "other")] == [1, 3, 0]
    assert "by gradients at the fusion point" in headline(explanation)[0]
    assert "“report” is ignored: the model's output is not connected with it." in headline(explanation)
    assert "Shapley" not in str(explanation)


def test_outputs_have_rows_of_their_own_where_they_can_differ() -> None:
    explanation = followed(link=None, output="raw", task="regression")
    shown = table(explanation, "How much each modality carries for each output (gradients at the fusion point")
    found = explanation.fusion_gradient.by_output
    assert [row[1].split(" (")[0] for row in shown.rows] == [percent(float(one)) for one in found.sel(modality="ct")]


def test_a_disagreement_of_baselines_is_in_the_answer() -> None:
    explanation = followed(samples=3)
    shares = explanation.fusion_gradient.by_baseline
    assert float((shares.max("baseline") - shares.min("baseline")).max()) > 0.1
    assert any("the share by gradients of “" in sentence for sentence in headline(explanation))


def test_a_model_that_was_split_says_what_was_encoded() -> None:
    about = fused().provenance
    ran = how_it_ran(fused())
    assert "split at its fusion point, so that every row was encoded once" in ran
    for name, rows in about["encoder_rows"].items():
        assert f"{rows:,} of {name}" in ran
    assert f"{about['head_rows']:,} combinations" in ran
    assert any(ran in note for note in notes(fused()))
    met = where_modalities_meet(fused())
    assert met.startswith("Found in the model's exported graph")
    assert "ct 5 (85); labs 4 (0); report none (the model ignores it); head: 20 parameters" in met
    assert rows_a_call(about["batch_size"]).startswith(f"ct {about['batch_size']['ct']:,}, labs ")


def test_a_model_that_ran_whole_says_why() -> None:
    explanation = followed(Branching(), measures=[ml.Shapley(), ml.FusionGradient()])
    reason = explanation.provenance["fusion_point"]["reason"]
    assert "can't be exported" in reason
    assert f"ran whole ({reason.rstrip('.')}), on {explanation.provenance['head_rows']:,} rows" in how_it_ran(
        explanation
    )
    assert where_modalities_meet(explanation).startswith("Not known, or not used: it can't be exported")
    assert rows_a_call(explanation.provenance["batch_size"]) == f"{explanation.provenance['batch_size']:,}"
    assert table(explanation, "How much each modality carries").columns[-1] == "gradients at the inputs"
    assert table(explanation, "Gradients at the inputs (shares")
    assert table(explanation, "The features that enter the model").rows[0][:2] == ("ct", "16")
    assert "fusion point" not in " ".join(one.title for one in content(explanation))


def test_named_submodules_are_told() -> None:
    explanation = followed(Branching(), encoders={"ct": "backbone"})
    assert where_modalities_meet(explanation).startswith("Found at the submodules that were named")


def test_explanations_from_before_load_and_print(tmp_path: Path) -> None:
    path = before_it_was_looked_for(lesion()).save(tmp_path / "old.nc")
    loaded = ml.load(path)
    assert "fusion_point" not in loaded.provenance
    printed = " ".join(str(loaded).split())
    rows = loaded.provenance["encoder_rows"]["image"]
    assert f"The model saw {rows:,} of image" in printed
    assert where_modalities_meet(loaded) == ""
    assert "fusion point" not in printed
    loaded.plot()
    assert table(before_it_was_looked_for(fused()), "Gradients at the fusion point (shares")


@pytest.mark.parametrize("topic", ["contribution", "gradients"])
def test_a_saved_explanation_says_the_same(tmp_path: Path, topic: str) -> None:
    loaded = ml.load(fused().save(tmp_path / "saved.nc"))
    assert by_topic(loaded)[topic] == by_topic(fused())[topic]
    assert notes(loaded) == notes(fused())
    np.testing.assert_array_equal(loaded.fusion_gradient.predicted_bias, fused().fusion_gradient.predicted_bias)
