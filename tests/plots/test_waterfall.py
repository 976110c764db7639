"""The bars of a waterfall lead from the mean output to the prediction, and leave nothing out."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import modalens as ml
from explained import lesion, multilabel, omics, pair, regression, sigmoid
from modalens import plots

WIDE = ("a", "b", "c", "d")


def bars(ax: Axes) -> dict[str, tuple[float, float]]:
    """Where each bar begins and ends, by its name."""
    names = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()][1:-1]
    return {name: (bar.get_x(), bar.get_x() + bar.get_width()) for name, bar in zip(names, ax.patches, strict=True)}


def changes(ax: Axes) -> dict[str, float]:
    """How long each bar is, to the right or to the left."""
    return {name: end - start for name, (start, end) in bars(ax).items()}


def rendered(ax: Axes) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(io.BytesIO(), format="pdf")


def product(a: Any, b: Any, c: Any, d: Any) -> np.ndarray:
    return 2 * a[:, 0] + a[:, 0] * b[:, 0] - 3 * a[:, 0] * b[:, 0] * c[:, 0] * d[:, 0] + c[:, 0] * d[:, 0]


@cache
def four(*measures: ml.Measure) -> ml.Explanation:
    """Four numbers, of which pairs and all four are multiplied, held against zeros."""
    inputs = {name: np.array([[place + 2.0], [1.0]]) for place, name in enumerate(WIDE)}
    return ml.explain(product, inputs, measures=list(measures), baseline="zeros", output="raw", progress=False)


def test_terms_by_hand() -> None:
    found = bars(plots.waterfall(four(ml.Interactions(order=4)), 0))
    widths = {name: end - start for name, (start, end) in found.items() if start != end}
    assert widths == {"a": 4.0, "c × d": 20.0, "a × b": 6.0, "a × b × c × d": -360.0}
    assert next(iter(found.values()))[0] == 0.0
    assert list(found.values())[-1][1] == -330.0


def test_every_bar_begins_where_the_one_above_ends_to_the_bit() -> None:
    for explanation, top in ((omics(), 4), (omics(), 50), (lesion(), 12)):
        for sample in range(5):
            ends = list(bars(plots.waterfall(explanation, sample, top=top)).values())
            assert all(before[1] == after[0] for before, after in pairwise(ends))


def test_the_last_bar_ends_at_the_prediction_and_the_first_begins_at_the_mean() -> None:
    random = np.random.default_rng(5)
    rows = {name: random.normal(size=(size, 2)) for name, size in (("a", 12), ("b", 12), ("a ", 20), ("b ", 20))}
    prediction = sigmoid(2 * rows["a"][:, 0] * rows["b"][:, 0])
    mean = sigmoid(2 * rows["a "][:, 0] * rows["b "][:, 0]).mean()
    for measure in (ml.Interactions(), ml.InterSHAP(), ml.Shapley()):
        explanation = pair(measures=[measure])
        for sample in range(12):
            own, predicted = float(prediction[sample]), int(prediction[sample] > 0.5)
            ax = plots.waterfall(explanation, sample)
            ends = list(bars(ax).values())
            assert ends[0][0] == pytest.approx(mean if predicted else 1 - mean, abs=1e-12)
            assert ends[-1][1] == pytest.approx(own if predicted else 1 - own, abs=1e-12)
            assert ax.get_xlabel().startswith(f"probability of {predicted}\n")
    other = list(bars(plots.waterfall(pair(measures=[ml.Shapley()]), 3, output="0")).values())
    assert (other[0][0], other[-1][1]) == (
        pytest.approx(1 - mean, abs=1e-12),
        pytest.approx(1 - prediction[3], abs=1e-12),
    )


def test_the_mean_is_that_of_the_space_that_is_scored() -> None:
    inputs = {name: np.array([[2.0], [-1.0]]) for name in "ab"}
    background = {name: np.array([[1.0], [3.0], [-2.0]]) for name in "ab"}

    def model(a: Any, b: Any) -> np.ndarray:
        return sigmoid(a[:, 0] + 2 * b[:, 0])

    explanation = ml.explain(
        model,
        inputs,
        background=background,
        measures=[ml.Interactions()],
        output="logit",
        target="1",
        progress=False,
    )
    ax = plots.waterfall(explanation, 0)
    start, end = (text.get_text() for text in (ax.texts[0], ax.texts[-1]))
    ends = list(bars(ax).values())
    # Of two classes the centred log-probability of one is half the log-odds: (a + 2 b) / 2, and rows are averaged on this scale.
    assert ends[0][0] == pytest.approx(np.mean([3.0, 9.0, -6.0]) / 2, abs=1e-12)
    assert ends[-1][1] == pytest.approx(3.0, abs=1e-12)
    assert (start, end) == ("1.00", "3.00")


def test_what_interactions_leave_out_has_a_bar() -> None:
    ax = plots.waterfall(four(ml.Interactions(), ml.Shapley()))
    start, end = bars(ax)["all 4 together"]
    assert end - start == pytest.approx(-360.0)
    pairs_only = plots.waterfall(four(ml.Interactions(order=2), ml.Shapley()))
    start, end = bars(pairs_only)["sets larger than 2"]
    assert end - start == pytest.approx(-360.0)


@pytest.mark.parametrize("index", ["moebius", "k-sii", "stii", "fsii"])
@pytest.mark.parametrize("order", [2, 4])
def test_all_indices_whose_terms_add_up_end_at_the_same_place(index: Any, order: int) -> None:
    explanation = four(ml.Interactions(index=index, order=order), ml.Shapley())
    ends = list(bars(plots.waterfall(explanation, 0)).values())
    assert ends[-1][1] == pytest.approx(-330.0)


@pytest.mark.parametrize("index", ["sii", "banzhaf"])
def test_terms_that_do_not_add_up_are_not_drawn(index: Any) -> None:
    with pytest.raises(ml.InputError, match=r"needs terms that add up"):
        plots.waterfall(four(ml.Interactions(index=index, order=2)))
    ax = plots.waterfall(four(ml.Interactions(index=index, order=2), ml.Shapley()))
    assert set(bars(ax)) == set(WIDE)
    assert list(bars(ax).values())[-1][1] == pytest.approx(-330.0)


def test_without_interactions_pairs_share_what_larger_sets_do() -> None:
    explanation = four(ml.InterSHAP())
    found = bars(plots.waterfall(explanation))
    phi = explanation.intershap.values.isel(sample=0)
    assert len(found) == 10
    for name, (start, end) in found.items():
        one, *other = name.split(" × ")
        value = phi.sel(modality=one, modality_2=(other or [one])[0]).item() * (2 if other else 1)
        assert end - start == pytest.approx(value)
    assert list(found.values())[-1][1] == pytest.approx(-330.0)


def test_of_two_modalities_intershap_says_the_same_as_moebius() -> None:
    one, other = (changes(plots.waterfall(pair(measures=[measure]))) for measure in (ml.Interactions(), ml.InterSHAP()))
    assert set(one) == set(other)
    for name, change in one.items():
        assert change == pytest.approx(other[name], abs=1e-12)


def test_the_target_is_named_and_another_output_can_be() -> None:
    explanation = lesion()
    target = explanation.interactions.of_target
    for sample in range(6):
        ax = plots.waterfall(explanation, sample)
        predicted = "malignant" if np.array_equal(target[sample], explanation.interactions.values.sel(output="malignant")[sample]) else "benign"  # fmt: skip
        assert f"probability of {predicted}\n" in ax.get_xlabel()
        assert bars(ax) == bars(plots.waterfall(explanation, sample, output=predicted))
    found = bars(plots.waterfall(explanation, 2, output="benign"))
    values = explanation.interactions.values.isel(sample=2).sel(output="benign")
    for name, (start, end) in found.items():
        assert end - start == pytest.approx(values.sel(coalition=name.replace("×", "x")).item(), abs=1e-12)


def three_classes(*measures: ml.Measure) -> ml.Explanation:
    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        score = np.exp(np.stack([a[:, 0] * b[:, 0], 2 * a[:, 1], b[:, 1]], axis=1))
        return np.asarray(score / score.sum(axis=1, keepdims=True))

    return pair(model, measures=list(measures), classes=["x", "y", "z"])


def test_intershap_is_drawn_of_the_target_only() -> None:
    explanation = three_classes(ml.InterSHAP(), ml.Shapley())
    values, target = explanation.shapley.values, explanation.shapley.of_target
    for sample in range(6):
        for output in "xyz":
            found = changes(plots.waterfall(explanation, sample, output=output))
            own = values.isel(sample=sample).sel(output=output, drop=True)
            assert set(found) == ({"a", "b", "a × b"} if own.equals(target.isel(sample=sample)) else {"a", "b"})
            assert sum(found.values()) == pytest.approx(float(own.sum()))
    with pytest.raises(ml.InputError, match=r"InterSHAP keeps those of the target only"):
        plots.waterfall(three_classes(ml.InterSHAP()), output="x")


def test_of_labels_by_themselves_the_one_that_changes_most_is_drawn() -> None:
    explanation = multilabel()
    for sample in range(8):
        amounts = abs(explanation.interactions.of_target.isel(sample=sample)).sum("coalition")
        assert str(amounts.idxmax("output").item()) in plots.waterfall(explanation, sample).get_xlabel()


def test_terms_beyond_the_top_share_one_bar() -> None:
    whole, short = (bars(plots.waterfall(omics(), 4, top=top)) for top in (99, 3))
    assert len(short) == 4
    (others,) = [name for name in short if name.endswith("others")]
    assert others == f"{len(whole) - 3} others"
    kept = sum(end - start for name, (start, end) in short.items() if name != others)
    everything = sum(end - start for start, end in whole.values())
    assert short[others][1] - short[others][0] == pytest.approx(everything - kept)
    assert min(abs(end - start) for name, (start, end) in short.items() if name != others) >= max(
        abs(end - start) for name, (start, end) in whole.items() if name not in short
    )


def test_sets_are_hatched_and_directions_have_colours() -> None:
    ax = plots.waterfall(omics(), 4)
    for name, bar in zip(bars(ax), ax.patches, strict=True):
        assert bool(bar.get_hatch()) == ("×" in name or "together" in name or "others" in name)
        red, _, blue, _ = bar.get_facecolor()
        assert (red > blue) == (bar.get_width() > 0)


def test_the_numbers_are_those_of_the_bars() -> None:
    ax = plots.waterfall(four(ml.Interactions(order=4)), top=99)
    said = [text.get_text() for text in ax.texts]
    assert said[0] == "0"  # the model's output where all are zeros
    assert said[1] == "+4"
    assert said[-2:] == ["−360", "−330"]


def test_what_a_sample_lacks_is_said_and_the_rest_adds_up() -> None:
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=(9, 1)) for name in "abc"}
    present = {"c": np.arange(9) % 3 > 0}
    explanation = ml.explain(
        lambda a, b, c: a[:, 0] * b[:, 0] + np.nan_to_num(c[:, 0]),
        inputs,
        present=present,
        baseline="zeros",
        output="raw",
        measures=[ml.Interactions(), ml.Shapley()],
        progress=False,
    )
    ax = plots.waterfall(explanation, 0)
    found = changes(ax)
    assert set(found) == {"a", "b", "a × b"}
    assert "not there: c" in ax.get_xlabel()
    assert sum(found.values()) == pytest.approx(float(inputs["a"][0, 0] * inputs["b"][0, 0]))
    assert "c" in bars(plots.waterfall(explanation, 1))


def test_an_unused_modality_has_an_empty_bar() -> None:
    ax = plots.waterfall(regression(), 1)
    assert bars(ax)["ecg"][0] == bars(ax)["ecg"][1]
    assert "output of" not in ax.get_xlabel()


def test_an_explanation_made_by_hand_shows_changes() -> None:
    whole = pair(measures=[ml.InterSHAP()])
    bare = ml.Explanation(results=whole.results, provenance=whole.provenance)
    ax = plots.waterfall(bare, 2)
    assert ax.get_xlabel().startswith("change of the probability of the predicted class\n")
    assert next(iter(bars(ax).values()))[0] == 0.0
    assert ax.texts[-1].get_text()[0] in "+−"
    assert list(changes(ax).values()) == pytest.approx(list(changes(plots.waterfall(whole, 2)).values()), abs=1e-12)


def test_a_prediction_that_is_no_number_is_not_drawn() -> None:
    whole = pair(measures=[ml.Shapley()])
    unknown = replace(whole, cohort=whole.cohort.assign(prediction=whole.cohort.prediction * np.nan))
    assert plots.waterfall(unknown, 1).get_xlabel().startswith("change of the probability")
    assert plots.waterfall(whole, 1).get_xlabel().startswith("probability")


def test_a_saved_explanation_shows_the_same_outputs(tmp_path: Path) -> None:
    explanation = lesion()
    loaded = ml.load(explanation.save(tmp_path / "saved.nc"))
    assert bars(plots.waterfall(loaded, 3)) == bars(plots.waterfall(explanation, 3))


def test_a_model_that_says_the_same_of_everybody_is_drawn() -> None:
    ax = plots.waterfall(pair(lambda a, b: np.full(len(a), 0.5)))
    assert set(changes(ax).values()) == {0.0}
    rendered(ax)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ml.InputError, match=r"sample=30 is not there: the explanation has 30"):
        plots.waterfall(lesion(), 30)
    with pytest.raises(ml.InputError, match=r"sample=-1 is not there"):
        plots.waterfall(lesion(), -1)
    with pytest.raises(ml.InputError, match=r"did you mean 'benign'"):
        plots.waterfall(lesion(), output="bening")
    with pytest.raises(ml.InputError, match=r"needs terms that add up, and the explanation holds 'occlusion'"):
        plots.waterfall(pair(measures=[ml.Occlusion()]))
    with pytest.raises(ml.InputError, match=r"top=0: expected a number of bars"):
        plots.waterfall(lesion(), top=0)


def test_the_figure_leaves_nothing_behind_and_takes_names_as_they_are() -> None:
    long = "a_very_long_name_of_a_modality_that_nobody_would_ever_print_in_full"
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=(3, 1)) for name in ("ct", long)}
    explanation = ml.explain(
        lambda **given: np.stack([given["ct"][:, 0] * given[long][:, 0], given["ct"][:, 0]], axis=1),
        inputs,
        measures=[ml.Interactions()],
        baseline="zeros",
        output="raw",
        task="regression",
        classes=["$\\frac$", "no$_x$"],
        progress=False,
    )
    with mpl.rc_context({"font.size": 33.0}):
        before = {**mpl.rcParams}
        given = Figure().subplots()
        assert plots.waterfall(explanation, ax=given) is given
        assert {**mpl.rcParams} == before
    for output in (None, "$\\frac$", "no$_x$"):
        rendered(plots.waterfall(explanation, output=output))
    assert plt.get_fignums() == []
