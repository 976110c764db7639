"""How sure the numbers are: coverage of intervals, clusters, too few samples, the error of the background, paired comparison, and verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from games import explain_game
from scipy.special import expit, softmax
from sklearn.metrics import roc_auc_score

import modalens as ml

Inputs = dict[str, np.ndarray]


def draw(rows: int, seed: int) -> Inputs:
    random = np.random.default_rng(seed)
    return {"a": random.normal(size=(rows, 1)), "b": random.normal(size=(rows, 1))}


def weighted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 3 * a[:, 0] + b[:, 0]


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return expit(a[:, 0] + 2 * a[:, 0] * b[:, 0])


def explain(model: Callable[..., Any], inputs: Inputs, *measures: ml.Measure, **settings: Any) -> ml.Explanation:
    return ml.explain(model, inputs, measures=measures, **{"baseline": "zeros", "output": "raw"} | settings)


def width(result: Any, name: str = "contribution") -> xr.DataArray:
    bounds = result.interval[name]
    return bounds.sel(bound="upper", drop=True) - bounds.sel(bound="lower", drop=True)


# Intervals -----------------------------------------------------------------------------------------------------------------------


def test_intervals_hold_their_values() -> None:
    found = explain(
        product,
        draw(80, 0),
        ml.Occlusion(),
        ml.Shapley(),
        ml.InterSHAP(),
        ml.Interactions(),
        background=draw(20, 1),
        baseline="background",
        output="probability",
    )
    for result in found.results.values():
        assert result.interval.attrs["confidence"] == 0.95
        assert result.interval.attrs["resampled"] == "80 samples, 1000 times with replacement"
        for name in result.global_numbers:
            value, bounds = result.arrays[name], result.interval[name]
            lower, upper = bounds.sel(bound="lower"), bounds.sel(bound="upper")
            assert (lower <= upper).all(), name
            inside = (lower <= value + 1e-12) & (value - 1e-12 <= upper)
            # A percentile interval of an absolute value near 0 can lie above it; of everything else it holds the estimate.
            assert inside.all(), f"{result.measure} {name}"


def test_a_wider_confidence_gives_wider_intervals_from_the_same_draws() -> None:
    narrow, wide = (
        explain(weighted, draw(40, 0), ml.Occlusion(), confidence=confidence).occlusion for confidence in (0.5, 0.99)
    )
    assert narrow.draws.equals(wide.draws)
    assert (width(narrow) < width(wide)).all()


def test_coverage_of_a_known_contribution() -> None:
    # The true contribution of a is 3/4. Of 40 intervals of 80 % about 32 hold it; fewer than 26 or more than 38 would be a wrong width.
    found = [
        explain(weighted, draw(50, seed), ml.Occlusion(), confidence=0.8).occlusion.interval.contribution.sel(
            modality="a"
        )
        for seed in range(40)
    ]
    held = sum(float(bounds.sel(bound="lower")) <= 0.75 <= float(bounds.sel(bound="upper")) for bounds in found)
    assert 26 <= held <= 38


def test_the_interval_shrinks_with_the_root_of_the_samples() -> None:
    small, large = (
        float(width(explain(weighted, draw(rows, 3), ml.Occlusion()).occlusion).sel(modality="a"))
        for rows in (100, 1600)
    )
    assert small / large == pytest.approx(4, rel=0.25)


def test_the_signed_interval_excludes_0_for_a_real_interaction_only() -> None:
    none, opposite, same = (
        explain(model, draw(60, 0), ml.InterSHAP())
        .intershap.interval.signed.sel(modality="a", modality_2="b")
        .squeeze()
        for model in (weighted, lambda a, b: (a * b)[:, 0], lambda a, b: (a * b)[:, 0] ** 2)
    )
    np.testing.assert_allclose(none, 0, atol=1e-12)
    assert opposite.sel(bound="lower") < 0 < opposite.sel(bound="upper")
    assert same.sel(bound="lower") > 0


# Clusters ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [ml.Occlusion(), ml.Shapley(), ml.InterSHAP(reading="absolute")])
def test_more_rows_of_the_same_patients_do_not_narrow_the_interval(measure: ml.Measure) -> None:
    inputs = draw(30, 0)
    model = lambda a, b: 3 * a[:, 0] + b[:, 0] + (a * b)[:, 0]  # noqa: E731
    thrice = {name: np.repeat(values, 3, axis=0) for name, values in inputs.items()}
    once, same, blind = (
        explain(model, inputs, measure),
        explain(model, thrice, measure, groups=np.repeat(np.arange(30), 3)),
        explain(model, thrice, measure),
    )
    np.testing.assert_allclose(
        same[measure.key].interval.contribution, once[measure.key].interval.contribution, atol=1e-12
    )
    assert (width(blind[measure.key]) < 0.8 * width(once[measure.key])).all()
    assert same[measure.key].interval.attrs["resampled"].startswith("30 groups")
    if "standard_error" in once[measure.key].arrays:
        np.testing.assert_allclose(same[measure.key].standard_error, once[measure.key].standard_error, rtol=1e-9)


def test_groups_may_be_names_in_any_order() -> None:
    inputs = draw(24, 0)
    numbers = np.arange(24) % 8
    by_number = explain(weighted, inputs, ml.Occlusion(), groups=numbers).occlusion
    by_name = explain(weighted, inputs, ml.Occlusion(), groups=[f"patient {number}" for number in numbers]).occlusion
    assert by_number.draws.equals(by_name.draws)


# Too few samples -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "groups", "few"),
    [
        (4, None, True),
        (5, None, False),
        (12, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3], True),
        (12, [0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4], False),
    ],
)
def test_too_few_resampling_units_give_nan_with_a_reason(rows: int, groups: list[int] | None, few: bool) -> None:
    found = explain(weighted, draw(rows, 0), ml.Occlusion(), ml.Shapley(), ml.InterSHAP(), groups=groups)
    for result in found.results.values():
        assert bool(result.interval.contribution.isnull().all()) == few
        assert ("too few for an interval" in result.reasons.get("interval", "")) == few
        assert result.contribution.notnull().all()


def test_a_single_sample_has_no_standard_error_and_says_why() -> None:
    found = explain(weighted, draw(1, 0), ml.Occlusion(), ml.Shapley())
    for result in found.results.values():
        assert result.standard_error.isnull().all()
        assert "a single resampling unit" in result.reasons["standard_error"]


def test_intervals_that_are_turned_off_are_empty() -> None:
    result = explain(weighted, draw(20, 0), ml.Occlusion(), confidence=None).occlusion
    assert not result.interval.data_vars
    assert result.interval.attrs["resampled"] == "nothing: intervals were turned off"
    assert "contribution" in result.global_numbers
    assert result.standard_error.notnull().all()


# The error of drawing finitely many background rows ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "number"), [(ml.Shapley(), "contribution"), (ml.InterSHAP(), "score"), (ml.Occlusion(), "anchor")]
)
def test_monte_carlo_error_matches_the_spread_over_independent_backgrounds(measure: ml.Measure, number: str) -> None:
    inputs = draw(10, 0)
    model = lambda a, b: np.exp(0.5 * a[:, 0] + b[:, 0]) + 2 * a[:, 0]  # noqa: E731
    runs = [
        explain(
            model, inputs, measure, background=draw(30, seed), baseline=ml.Background(rows=30, part_rows=30)
        ).results[measure.key]
        for seed in range(100, 108)
    ]
    spread = xr.concat([run.arrays[number] for run in runs], dim="run").std("run", ddof=1)
    claimed = sum(run.monte_carlo_error[number] for run in runs) / len(runs)
    ratio = (claimed / spread).values
    assert (ratio > 0.5).all(), ratio
    assert (ratio < 2).all(), ratio


def test_monte_carlo_error_falls_with_the_rows() -> None:
    def error(rows: int, seed: int) -> float:
        found = explain(
            product, draw(10, 0), ml.Shapley(), background=draw(rows, seed), baseline=ml.Background(rows=rows)
        ).shapley
        return found.monte_carlo_error.contribution.sel(modality="a").item()

    few, many = (np.mean([error(rows, seed) for seed in range(5)]) for rows in (40, 640))
    assert few / many == pytest.approx(4, rel=0.4)


def test_monte_carlo_error_is_absent_where_no_rows_are_drawn() -> None:
    assert not explain(
        product, draw(15, 0), ml.Shapley(), ml.Occlusion(), ml.InterSHAP(), baseline="zeros"
    ).shapley.monte_carlo_error


def test_the_jackknife_by_hand() -> None:
    # Five rows, one a block: the additive part of b has the mean of the rows, and each block is left out in turn.
    inputs, rows = (
        {"a": np.array([[1.0], [2.0]]), "b": np.array([[0.5], [4.0]])},
        {"a": np.arange(5.0)[:, None], "b": np.array([[0.0], [1.0], [3.0], [4.0], [7.0]])},
    )
    found = explain(weighted, inputs, ml.Shapley(), background=rows, baseline="background").shapley
    means = [np.delete(rows["b"], left_out).mean() for left_out in range(5)]
    expected = np.sqrt(4 / 5 * sum((mean - np.mean(means)) ** 2 for mean in means))
    assert found.monte_carlo_error["mean"].sel(modality="b").item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rows", [10, 30])
def test_local_corrected_takes_bias_from_nearly_pure_synergy(rows: int) -> None:
    # sign(a) sign(b) is all synergy, but a few background rows leave a mean of their own: the local score is too low.
    model = lambda a, b: np.sign(a * b)[:, 0]  # noqa: E731
    found = [
        explain(
            model,
            draw(40, seed),
            ml.InterSHAP(),
            background=draw(rows, 50 + seed),
            baseline=ml.Background(rows=rows),
            confidence=None,
        ).intershap
        for seed in range(10)
    ]
    local, corrected = (
        np.mean([float(one.arrays[name].squeeze()) for one in found]) for name in ("local", "local_corrected")
    )
    assert corrected <= 1
    assert 1 - corrected < 0.8 * (1 - local)


def test_local_corrected_leaves_an_exact_score_alone() -> None:
    found = explain_game([[0.5, 0.5], [0.6, 0.5], [0.7, 0.4], [1.0, 0.2]], ml.InterSHAP()).intershap
    np.testing.assert_allclose(found.local_corrected, found.local, atol=1e-12)


# Two models on the same patients -------------------------------------------------------------------------------------------------


def similar(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 3 * a[:, 0] + 1.3 * b[:, 0]


def test_a_model_does_not_differ_from_itself() -> None:
    settings: dict[str, Any] = {"background": draw(8, 1), "baseline": "background"}
    measures = (ml.Occlusion(), ml.Shapley(), ml.InterSHAP())
    compared = ml.compare(
        explain(weighted, draw(30, 0), *measures, **settings), explain(weighted, draw(30, 0), *measures, **settings)
    )
    for measure in ("occlusion", "shapley", "intershap"):
        assert "contribution" in compared.differences[measure]
        for name, difference in compared.differences[measure].items():
            known = difference.notnull()
            assert not difference.where(known, 0).values.any(), name
            assert not compared.interval[measure][name].where(known, 0).values.any(), name


def test_the_paired_interval_is_narrower_than_the_unpaired_one() -> None:
    first, second = (explain(model, draw(60, 0), ml.Occlusion()) for model in (weighted, similar))
    compared = ml.compare(first, second)
    difference = compared.differences["occlusion"]["contribution"].sel(modality="b").item()
    assert difference == pytest.approx(
        (second.occlusion.contribution - first.occlusion.contribution).sel(modality="b").item(), abs=1e-15
    )
    bounds = compared.interval["occlusion"]["contribution"].sel(modality="b")
    assert bounds.sel(bound="lower").item() < difference < bounds.sel(bound="upper").item()
    paired = (bounds.sel(bound="upper") - bounds.sel(bound="lower")).item()
    unpaired = np.hypot(*(width(one.occlusion).sel(modality="b").item() for one in (first, second)))
    assert paired < 0.5 * unpaired
    assert (
        bounds.sel(bound="lower").item() > 0
    )  # b counts for more in the second, which the two intervals by themselves don't show
    overlap = first.occlusion.interval.contribution.sel(
        modality="b", bound="upper"
    ) > second.occlusion.interval.contribution.sel(modality="b", bound="lower")
    assert bool(overlap)


def test_the_paired_interval_is_that_of_the_difference_in_each_draw() -> None:
    first, second = (explain(model, draw(30, 0), ml.Occlusion()) for model in (weighted, similar))
    drawn = second.occlusion.draws.contribution - first.occlusion.draws.contribution
    expected = np.quantile(drawn.transpose("draw", "modality"), [0.025, 0.975], axis=0)
    np.testing.assert_allclose(
        ml.compare(first, second).interval["occlusion"]["contribution"].transpose("bound", "modality"),
        expected,
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"inputs": draw(30, 5)}, "data"), ({"seed": 1}, "seed"), ({"groups": np.arange(30) % 10}, "groups")],
)
def test_comparing_other_patients_seeds_or_groups_is_refused(changed: dict[str, Any], word: str) -> None:
    changed = dict(changed)
    first = explain(weighted, draw(30, 0), ml.Occlusion())
    second = explain(similar, changed.pop("inputs", draw(30, 0)), ml.Occlusion(), **changed)
    with pytest.raises(ml.InputError, match=rf"differ in their {word}.*same patients"):
        ml.compare(first, second)


def test_comparing_without_a_measure_in_common_is_refused() -> None:
    with pytest.raises(ml.InputError, match=r"share no measure: 'occlusion' and 'shapley'"):
        ml.compare(explain(weighted, draw(9, 0), ml.Occlusion()), explain(weighted, draw(9, 0), ml.Shapley()))


# Verdicts ------------------------------------------------------------------------------------------------------------------------


def reliance(
    model: Callable[..., Any], inputs: Inputs, labels: Any, measure: ml.Reliance | None = None, **settings: Any
) -> Any:
    return ml.explain(model, inputs, measures=[measure or ml.Reliance()], labels=labels, **settings).reliance


def verdicts(found: Any) -> dict[str, str]:
    return dict(zip(found.verdict.modality.values.tolist(), found.verdict.values.tolist(), strict=True))


def positive(inputs: Inputs) -> np.ndarray:
    return (inputs["a"][:, 0] > 0).astype(int)


def test_used_and_ignored() -> None:
    inputs = draw(60, 0)
    found = reliance(lambda a, b: expit(2 * a[:, 0] + 0.01 * b[:, 0]), inputs, positive(inputs), background=draw(40, 1))
    assert verdicts(found) == {"a": "used", "b": "ignored"}
    assert found.everything.item() > 0.99
    assert found.without.sel(modality="a").item() < 0.7
    assert found.alone.sel(modality="b").item() < 0.7
    assert found.lost.sel(modality="a").item() > 0.3


def test_the_verdict_is_withheld_where_baselines_disagree() -> None:
    # b is -1 or 1 and counts by its square: rows of other patients change nothing, the mean 0 does.
    inputs, others = draw(60, 0), draw(40, 1)
    for patients in (inputs, others):
        patients["b"] = np.where(np.arange(len(patients["b"])) % 2, 1.0, -1.0)[:, None]
    found = reliance(lambda a, b: expit(a[:, 0] + 2 * b[:, 0] ** 2 - 1), inputs, positive(inputs), background=others)
    assert verdicts(found) == {"a": "used", "b": "withheld: baselines disagree (ignored under background only)"}


def test_the_verdict_is_withheld_where_the_cut_decides() -> None:
    # 64 columns whose changes cancel as a whole, but not one by one.
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(60, 1)), "b": np.repeat(random.normal(size=(60, 1)), 64, axis=1)}
    signs = np.where(np.arange(64) % 2, 1.0, -1.0)
    found = reliance(lambda a, b: expit(a[:, 0] + b @ signs), inputs, positive(inputs), baseline="zeros")
    assert verdicts(found) == {
        "a": "withheld: ignored as it is cut, but not as one part",
        "b": "withheld: ignored as one part, but not as it is cut",
    }


def test_the_verdict_is_withheld_without_an_interval() -> None:
    inputs = draw(4, 0)
    labels = np.array([0, 1, 0, 1])
    for found in (
        reliance(product, inputs, labels, baseline="zeros"),
        reliance(product, draw(9, 0), np.arange(9) % 2, baseline="zeros", confidence=None),
    ):
        assert set(verdicts(found).values()) == {"withheld: no interval"}


@pytest.mark.parametrize(("collapse", "verdict"), [(0.05, "used"), (0.4, "ignored")])
def test_the_share_that_counts_as_ignored_is_a_setting(collapse: float, verdict: str) -> None:
    inputs = draw(80, 0)
    found = reliance(
        lambda a, b: expit(3 * a[:, 0] + b[:, 0]),
        inputs,
        positive(inputs),
        ml.Reliance(collapse=collapse),
        baseline="zeros",
        output="logit",
    )
    assert verdicts(found) == {"a": "used", "b": verdict}


def test_the_score_does_not_depend_on_the_output_space() -> None:
    inputs = draw(40, 0)
    labels = (inputs["a"][:, 0] + np.random.default_rng(3).normal(size=40) > 0).astype(int)
    logit = lambda a, b: 2 * a[:, 0] + b[:, 0]  # noqa: E731
    probability, raw = (
        reliance(logit, inputs, labels, link="sigmoid", output=output, baseline="zeros")
        for output in ("probability", "raw")
    )
    assert probability.everything.item() > 0.6
    for name in ("everything", "alone", "without"):
        np.testing.assert_allclose(raw.arrays[name], probability.arrays[name], atol=1e-12)


def three_classes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.concatenate([a, b, a * b], axis=1)


def test_an_output_that_all_patients_or_none_have_is_left_out_of_the_auc_and_named() -> None:
    inputs = draw(30, 0)
    labels = np.arange(30) % 2
    settings = {"link": "softmax", "classes": ["well", "ill", "rare"], "baseline": "zeros"}
    with pytest.warns(
        ml.ModalensWarning, match="the AUC is the mean over the other outputs, since all patients or none have 'rare'"
    ):
        found = reliance(three_classes, inputs, labels, **settings)
    assert found.settings["not_scored"] == ["rare"]
    probability = softmax(three_classes(**inputs), axis=1)
    assert found.everything.item() == pytest.approx(
        np.mean([roc_auc_score(labels == one, probability[:, one]) for one in (0, 1)]), abs=1e-12
    )
    assert not found.interval["everything"].isnull().any()


def test_regression_is_scored_by_r_squared() -> None:
    inputs = draw(50, 0)
    found = reliance(weighted, inputs, weighted(**inputs), output="raw", baseline="zeros")
    assert found.settings["metric"] == "r2"
    assert found.everything.item() == pytest.approx(1, abs=1e-12)
    assert found.without.sel(modality="b").item() == pytest.approx(
        1 - (inputs["b"] ** 2).mean() / weighted(**inputs).var(), abs=1e-12
    )
    assert (
        "all the same" in reliance(weighted, inputs, np.ones(50), output="raw", baseline="zeros").reasons["everything"]
    )


@pytest.mark.parametrize(
    ("measure", "labels", "settings", "message"),
    [
        (ml.Reliance(), np.ones(20, int), {}, r"labels: an AUC needs at least two classes.*metric='accuracy'"),
        (
            ml.Reliance(),
            np.stack([np.ones(20, int), np.zeros(20, int)], axis=1),
            {"task": "multilabel", "link": "sigmoid"},
            r"labels: an AUC needs at least two classes",
        ),
        (ml.Reliance(), None, {}, r"Reliance scores the model against labels, and none were given: labels="),
        (
            ml.Reliance(metric="auc"),
            np.arange(20.0),
            {"output": "raw"},
            r"metric='auc'\) needs classes, and the task is regression: use metric='r2'",
        ),
        (
            ml.Reliance(metric="r2"),
            np.arange(20) % 2,
            {},
            r"metric='r2'\) needs values, and the task is classification: use metric='auc'",
        ),
        (
            ml.Reliance(metric="accuracy"),
            np.arange(20) % 2,
            {"link": "sigmoid", "output": "raw"},
            r"metric='accuracy'\) needs probabilities.*output='probability'",
        ),
        (
            ml.Reliance(),
            np.ones((20, 2)),
            {"output": "raw"},
            r"labels: expected a value for each of the outputs 'output', came 2 a patient",
        ),
    ],
)
def test_scores_that_make_no_sense_are_refused(
    measure: ml.Reliance, labels: Any, settings: dict[str, Any], message: str
) -> None:
    def model(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (
            np.concatenate([expit(a), expit(b)], axis=1)
            if settings.get("task") == "multilabel"
            else expit(a[:, 0] + b[:, 0])
        )

    with pytest.raises(ml.InputError, match=message):
        reliance(model, draw(20, 0), labels, measure, baseline="zeros", **settings)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"metric": "aucc"}, "metric='aucc' is not known.*did you mean 'auc'"),
        ({"collapse": 0.0}, "collapse=0.0"),
        ({"collapse": 1.5}, "share between 0 and 1"),
    ],
)
def test_settings_of_reliance_that_make_no_sense_are_refused(argument: dict[str, Any], message: str) -> None:
    with pytest.raises(ml.InputError, match=message):
        ml.Reliance(**argument)


def test_an_interval_is_withheld_where_too_many_draws_are_undefined() -> None:
    # A saturated model: in some draws nobody is left whose output changes by more than float32 can hold.
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=(40, 1)).astype(np.float32) for name in "ab"}

    def sure(by: float) -> ml.Result:
        def logits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.concatenate([by + 3 * a + b, 0 * a], axis=1)

        found: ml.Result = ml.explain(
            logits, inputs, background=inputs, link="softmax", measures=[ml.Occlusion()], baseline="mean"
        ).occlusion
        return found

    undefined = {by: float(sure(by).draws["contribution"].isnull().mean("draw").max()) for by in (2.0, 17.0)}
    assert undefined[2.0] == 0
    assert 0.025 < undefined[17.0] < 1
    assert sure(2.0).interval["contribution"].notnull().all()
    assert sure(17.0).array("contribution").notnull().all()
    assert sure(17.0).interval["contribution"].isnull().all()
    assert "output='logit'" in sure(17.0).reasons["interval"]
    nothing = sure(40.0)
    assert nothing.array("contribution").isnull().all()
    assert nothing.interval["contribution"].isnull().all()
    assert "0 / 0" in nothing.reasons["contribution"]
    assert "output='logit'" in nothing.reasons["contribution"]
