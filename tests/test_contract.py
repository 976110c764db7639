"""The public contract, to the letter: arguments and defaults, every named result with its axes, provenance, files, and what it costs."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import modalens as ml

SAMPLES, PARTS, COLUMNS = 8, 4, 3
REPORTS = [
    "no effusion",
    "clear",
    "large effusion left",
    "unchanged",
    "clear lungs",
    "normal heart size",
    "mass",
    "small nodule right",
]
OTHER_REPORTS = [
    "clear",
    "effusion",
    "normal",
    "small mass left",
    "no change",
    "lungs clear",
    "nodule",
    "no mass",
    "heart enlarged",
    "stable",
]
MEASURES = {"occlusion", "shapley", "intershap", "interactions", "reliance"}


def patients(samples: int, reports: list[str], seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    clinical = pd.DataFrame(generator.normal(size=(samples, COLUMNS)), columns=["age", "crp", "il6"])
    return {"ct": generator.normal(size=(samples, 8, 8)), "report": reports, "clinical": clinical}


INPUTS, BACKGROUND = patients(SAMPLES, REPORTS, 0), patients(10, OTHER_REPORTS, 1)
LABELS = ["benign", "malignant"] * 4


def model(ct: np.ndarray, report: list[str], clinical: pd.DataFrame) -> np.ndarray:
    """Two classes from an image, a report and a table, which it combines."""
    words = np.array([len(text) / 10 for text in report])
    score = ct.mean(axis=(1, 2)) * 4 + words * clinical["age"].to_numpy() + clinical["crp"].to_numpy()
    return np.stack([1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score))], axis=1)


def explained(**settings: Any) -> ml.Explanation:
    return ml.explain(
        model,
        INPUTS,
        **{
            "modalities": {"ct": ml.Image(patch=4)},
            "background": BACKGROUND,
            "labels": LABELS,
            "classes": ["benign", "malignant"],
            **settings,
        },
    )


@pytest.fixture(scope="module")
def explanation() -> ml.Explanation:
    return explained()


# arguments -------------------------------------------------------------------------------------------------------------------


def test_arguments_and_their_defaults() -> None:
    promised = {
        "measures": None, "modalities": None, "background": None, "baseline": None, "link": None, "output": "probability", "target": "predicted",
        "task": None, "labels": None, "batch_size": None, "groups": None, "seed": 0,
    }  # fmt: skip
    parameters = inspect.signature(ml.explain).parameters
    assert list(parameters)[:2] == ["model", "inputs"]
    assert {name: parameters[name].default for name in promised} == promised
    assert all(
        parameter.kind is parameter.KEYWORD_ONLY
        for name, parameter in parameters.items()
        if name not in ("model", "inputs")
    )


def test_background_takes_its_rows_for_modalities_and_for_parts() -> None:
    assert (ml.Background().rows, ml.Background().part_rows) == (100, 8)
    assert ml.Background(rows=50, part_rows=4).part_rows == 4


@pytest.mark.parametrize(
    "name",
    [
        "Image",
        "Text",
        "Tabular",
        "Volume",
        "Series",
        "Vector",
        "Occlusion",
        "Shapley",
        "InterSHAP",
        "Background",
        "explain",
        "load",
        "compare",
        "plan",
        "InputError",
        "ModalensWarning",
    ],
)
def test_public_names(name: str) -> None:
    assert name in ml.__all__
    assert getattr(ml, name).__doc__


def test_the_default_measures_are_those_that_fit(explanation: ml.Explanation) -> None:
    assert set(explanation.results) == MEASURES
    assert set(explained(labels=None).results) == MEASURES - {"reliance"}
    alone = ml.explain(lambda clinical: clinical["age"].to_numpy(), {"clinical": INPUTS["clinical"]}, output="raw")
    assert set(alone.results) == {"occlusion"}


def test_a_torch_module_is_a_model() -> None:
    class Sum(torch.nn.Module):
        def forward(self, ct: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
            return ct.sum(dim=(1, 2)) + lab.sum(dim=1)

    found = ml.explain(
        Sum(),
        {"ct": np.ones((3, 2, 2)), "lab": np.ones((3, 2))},
        measures=[ml.Occlusion()],
        baseline="zeros",
        task="regression",
    )
    np.testing.assert_allclose(found.occlusion.contribution, [4 / 6, 2 / 6])


def test_a_plain_array_is_a_table_and_a_column_a_part() -> None:
    found = ml.explain(
        lambda a, b: a @ [1.0, 2.0] + b,
        {"a": np.array([[1.0, 3.0]]), "b": np.array([2.0])},
        measures=[ml.Occlusion()],
        baseline="zeros",
        output="raw",
    ).occlusion
    np.testing.assert_array_equal(found.parts["a"].values.ravel(), [1, 6])
    np.testing.assert_array_equal(found.parts["b"].values.ravel(), [2])
    np.testing.assert_allclose(found.contribution, [7 / 9, 2 / 9])


# results: every array with its axes ----------------------------------------------------------------------------------------------


AXES = {
    "occlusion": {
        "contribution": ("modality",), "by_output": ("output", "modality"), "by_sample": ("sample", "modality"), "anchor": ("modality",),
        "anchor_by_baseline": ("baseline", "modality"), "part_count": ("sample", "modality"), "amount": ("modality",), "entropy": (), "standard_error": ("modality",),
    },
    "shapley": {
        "values": ("sample", "modality", "output"), "contribution": ("modality",), "by_output": ("output", "modality"), "by_sample": ("sample", "modality"),
        "by_baseline": ("baseline", "modality"), "mean": ("modality", "output"), "of_target": ("sample", "modality"),
    },
    "intershap": {
        "matrix": ("modality", "modality_2"), "score": (), "local": (), "contribution": ("modality",), "orders": ("order",), "signed": ("modality", "modality_2"),
        "by_space": ("space",), "by_baseline": ("baseline",), "null": ("space",), "excess": ("space",), "values": ("sample", "modality", "modality_2"), "by_sample": ("sample",),
    },
    "interactions": {"values": ("sample", "coalition", "output"), "mean": ("coalition", "output"), "orders": ("order",), "orders_by_space": ("space", "order")},
    "reliance": {"everything": (), "alone": ("modality",), "without": ("modality",), "lost": ("modality",), "verdict": ("modality",)},
}  # fmt: skip
SIZES = {
    "modality": 3,
    "modality_2": 3,
    "sample": SAMPLES,
    "output": 2,
    "baseline": 2,
    "space": 2,
    "order": 3,
    "coalition": 7,
}


@pytest.mark.parametrize(("measure", "name"), [(measure, name) for measure, arrays in AXES.items() for name in arrays])
def test_axes_and_sizes(explanation: ml.Explanation, measure: str, name: str) -> None:
    array = getattr(getattr(explanation, measure), name)
    assert isinstance(array, xr.DataArray)
    assert array.dims == AXES[measure][name]
    assert array.shape == tuple(SIZES[axis] for axis in array.dims)
    if "modality" in array.dims:
        assert array.modality.values.tolist() == ["ct", "report", "clinical"]
    if "output" in array.dims:
        assert array.output.values.tolist() == ["benign", "malignant"]
    if "space" in array.dims:
        assert array.space.values.tolist() == ["probability", "logit"]


def test_contributions_sum_to_1(explanation: ml.Explanation) -> None:
    for array in (
        explanation.occlusion.contribution,
        explanation.occlusion.anchor,
        explanation.shapley.contribution,
        explanation.occlusion.by_output.sel(output="benign"),
        explanation.shapley.by_sample.isel(sample=3),
    ):
        assert float(array.sum()) == pytest.approx(1, abs=1e-12)
    assert float(explanation.intershap.score + explanation.intershap.contribution.sum()) == pytest.approx(1, abs=1e-12)
    assert float(explanation.intershap.orders.sum()) == pytest.approx(1, abs=1e-12)


def test_parts_are_signed_changes_by_modality(explanation: ml.Explanation) -> None:
    parts = explanation.occlusion.parts
    assert {name: array.dims for name, array in parts.items()} == dict.fromkeys(
        ("ct", "report", "clinical"), ("sample", "part", "output")
    )
    assert {name: array.shape for name, array in parts.items()} == {
        "ct": (SAMPLES, PARTS, 2),
        "report": (SAMPLES, 3, 2),
        "clinical": (SAMPLES, COLUMNS, 2),
    }
    assert parts["ct"].part.values.tolist()[1] == "rows 0-3, columns 4-7"
    assert parts["clinical"].part.values.tolist() == ["age", "crp", "il6"]
    table = INPUTS["clinical"].assign(crp=BACKGROUND["clinical"]["crp"].mean())
    np.testing.assert_allclose(
        parts["clinical"].sel(part="crp"), model(**INPUTS) - model(**(INPUTS | {"clinical": table})), rtol=0, atol=1e-12
    )


def test_ragged_parts_are_padded_with_nan_and_counted(explanation: ml.Explanation) -> None:
    words = [len(text.split()) for text in REPORTS]
    assert explanation.occlusion.part_count.sel(modality="report").values.tolist() == words
    assert explanation.occlusion.part_count.sel(modality="ct").values.tolist() == [PARTS] * SAMPLES
    missing = explanation.occlusion.parts["report"].isnull()
    assert (missing.all("output") == missing.any("output")).all()
    assert (~missing.any("output")).sum("part").values.tolist() == words


def test_intervals_are_a_dataset_with_bounds_that_says_what_was_resampled(explanation: ml.Explanation) -> None:
    for name in MEASURES:
        result = explanation[name]
        assert isinstance(result.interval, xr.Dataset)
        assert result.interval.bound.values.tolist() == ["lower", "upper"]
        assert f"{SAMPLES} samples" in result.interval.attrs["resampled"]
        for number, bounds in result.interval.items():
            assert set(bounds.dims) == {"bound", *result.arrays[number].dims}
            assert bool((bounds.sel(bound="lower") <= bounds.sel(bound="upper")).all()), number
    assert {"contribution", "anchor", "by_output", "amount", "entropy"} <= set(explanation.occlusion.interval)
    assert {"score", "matrix", "local", "orders", "signed", "excess"} <= set(explanation.intershap.interval)


def test_groups_are_the_resampling_unit() -> None:
    grouped = explained(groups=list("aabbccde"), measures=[ml.Shapley()])
    assert "5 groups" in grouped.shapley.interval.attrs["resampled"]
    assert grouped.provenance["groups"]


def test_intervals_can_be_turned_off() -> None:
    found = explained(confidence=None, measures=[ml.Occlusion()])
    assert dict(found.occlusion.interval) == {}
    assert "turned off" in found.occlusion.interval.attrs["resampled"]


def test_two_of_a_measure_need_a_name() -> None:
    with pytest.raises(ml.InputError, match="name="):
        explained(measures=[ml.Occlusion(), ml.Occlusion(reading="mean_of_ratios")])
    found = explained(measures=[ml.Occlusion(), ml.Occlusion(reading="mean_of_ratios", name="occlusion_by_patient")])
    assert set(found.results) == {"occlusion", "occlusion_by_patient"}
    assert abs(found.occlusion.contribution - found.occlusion_by_patient.contribution).max() > 1e-6


# the value function --------------------------------------------------------------------------------------------------------------


TABLES = {"a": np.array([[2.0], [-1.0], [0.5]]), "b": np.array([[1.0], [1.5], [-2.0]])}


def one(**settings: Any) -> ml.Explanation:
    return ml.explain(
        lambda a, b: a[:, 0] + a[:, 0] * b[:, 0],
        TABLES,
        **{"measures": [ml.Occlusion(), ml.Shapley(), ml.InterSHAP()], "baseline": "zeros", **settings},
    )


def test_one_probability_counts_as_two_classes() -> None:
    found = one(link="sigmoid")
    assert found.provenance["outputs"] == ["0", "1"]
    np.testing.assert_allclose(
        found.shapley.values.sel(output="0"), -found.shapley.values.sel(output="1"), rtol=0, atol=1e-15
    )
    assert found.provenance["task"] == "classification"


def test_labels_of_a_multilabel_model_are_scored_apart() -> None:
    found = ml.explain(
        lambda a, b: np.concatenate([a + b, a * b], axis=1),
        TABLES,
        measures=[ml.InterSHAP()],
        baseline="zeros",
        link="sigmoid",
        output="logit",
        classes=["edema", "mass"],
    )
    assert found.provenance["task"] == "multilabel"
    assert found.intershap.score.dims == ("output",)
    np.testing.assert_allclose(found.intershap.score.sel(output="edema"), 0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.intershap.score.sel(output="mass"), 1, rtol=0, atol=1e-12)


def test_a_regression_uses_its_output() -> None:
    found = one(task="regression")
    np.testing.assert_allclose(
        found.shapley.values.sum("modality").values.ravel(), [4.0, -2.5, -0.5], rtol=0, atol=1e-12
    )
    assert found.provenance["value_function"].startswith(
        "v(S) = the model's own output, with what is outside S replaced"
    )
    assert found.intershap.settings["reading"] == "absolute"


def test_fixed_outputs_are_read_as_absolute_and_predicted_ones_as_the_paper_does() -> None:
    assert one(link="sigmoid").intershap.settings["reading"] == "paper"
    assert one(link="sigmoid", target="1").intershap.settings["reading"] == "absolute"


def test_d_is_the_absolute_difference_of_v(explanation: ml.Explanation) -> None:
    changes = sum(abs(array).sum(("part", "output")).mean("sample") for array in explanation.occlusion.parts.values())
    assert float(changes) == pytest.approx(float(explanation.occlusion.amount.sum()), abs=1e-12)


def test_two_baselines_are_run_by_default_and_said() -> None:
    found = explained(measures=[ml.Shapley()])
    assert found.shapley.by_baseline.sizes["baseline"] == 2
    assert set(found.provenance["baselines"]) == set(found.shapley.by_baseline.baseline.values.tolist())
    np.testing.assert_array_equal(found.shapley.contribution, found.shapley.by_baseline.isel(baseline=0))
    assert explained(measures=[ml.Shapley()], baseline="background").shapley.by_baseline.sizes["baseline"] == 1


@pytest.mark.parametrize(
    ("output", "space"),
    [("probability", "probability"), ("logit", "logit"), ("raw", "raw"), (lambda raw: raw**2, "lambda")],
    ids=["probability", "logit", "raw", "function"],
)
def test_the_space_asked_for_is_the_space_scored(output: Any, space: str) -> None:
    found = one(link="sigmoid", output=output) if isinstance(output, str) else one(output=output)
    assert found.provenance["space"] == space
    value = TABLES["a"][:, 0] * (1 + TABLES["b"][:, 0])
    of = {"probability": 1 / (1 + np.exp(-value)) - 0.5, "logit": value / 2, "raw": value, "lambda": value**2}[space]
    np.testing.assert_allclose(found.shapley.values.sum("modality").isel(output=-1), of, rtol=0, atol=1e-12)


# provenance ------------------------------------------------------------------------------------------------------------------------


def test_provenance_holds_what_was_promised(explanation: ml.Explanation) -> None:
    about = explanation.provenance
    assert set(about["measures"]) == MEASURES
    assert about["baselines"]["background"]["ct"] == "replaced by rows of background patients"
    assert "mask token" in about["baselines"]["background"]["report"]
    assert about["seed"] == 0
    assert {"numpy", "torch", "xarray", "python"} <= set(about["versions"])
    assert about["modalens"]
    assert set(about["encoder_rows"]) == {"ct", "report", "clinical"}
    assert min(about["head_rows"], about["check_rows"]) > 0
    assert all(re.search(r"[0-9a-f]{16}$", about[name]) for name in ("data", "model_fingerprint"))
    assert about["background"]["rows"] == 10
    assert isinstance(about["warnings"], list)
    assert about["value_function"].startswith("v(S) = probability of the class predicted on the whole input")
    assert about["modalities"] == {
        "ct": "Image 8x8, 4 patches",
        "report": "Text of strings, 1 to 3 words",
        "clinical": "Tabular 3, 3 columns",
    }
    assert any("'report' is taken as Text" in said for said in about["said"])
    assert any(said.startswith("task: classification") for said in about["said"])
    assert json.loads(json.dumps(about)) == about


def test_fingerprints_change_with_the_data_and_the_model(explanation: ml.Explanation) -> None:
    about = explanation.provenance
    again = explained(measures=[ml.Occlusion()]).provenance
    other = ml.explain(
        lambda ct, report, clinical: model(ct, report, clinical)[:, ::-1],
        INPUTS | {"ct": INPUTS["ct"] + 1e-9},
        background=BACKGROUND,
        measures=[ml.Occlusion()],
    ).provenance
    for name in ("data", "model_fingerprint"):
        assert about[name] == again[name] != other[name]


def test_warnings_are_raised_and_kept() -> None:
    with pytest.warns(ml.ModalensWarning, match="no background was given"):
        found = explained(background=None, measures=[ml.Occlusion()])
    assert any("no background was given" in warning for warning in found.provenance["warnings"])


def test_the_same_seed_gives_the_same_bits(explanation: ml.Explanation) -> None:
    again = explained()
    for name in MEASURES:
        xr.testing.assert_identical(again[name].draws, explanation[name].draws)
    np.testing.assert_array_equal(again.shapley.values, explanation.shapley.values)


def test_inputs_are_never_changed() -> None:
    before = {"ct": INPUTS["ct"].copy(), "report": list(INPUTS["report"]), "clinical": INPUTS["clinical"].copy()}

    def careless(ct: np.ndarray, report: list[str], clinical: pd.DataFrame) -> np.ndarray:
        found = model(ct, report, clinical)
        ct *= 0
        report[0] = ""
        clinical["age"] = 0.0
        return found

    careful = explained(measures=[ml.Shapley()])
    found = ml.explain(
        careless, INPUTS, background=BACKGROUND, modalities={"ct": ml.Image(patch=4)}, measures=[ml.Shapley()]
    )
    np.testing.assert_array_equal(INPUTS["ct"], before["ct"])
    assert INPUTS["report"] == before["report"]
    pd.testing.assert_frame_equal(INPUTS["clinical"], before["clinical"])
    np.testing.assert_array_equal(found.shapley.values, careful.shapley.values)


# what it costs --------------------------------------------------------------------------------------------------------------------------


def test_the_cost_of_exact_coalitions_and_of_occlusion() -> None:
    drawn, modalities = 5, 3
    coalitions = ml.plan(
        model,
        INPUTS,
        measures=[ml.Shapley(), ml.InterSHAP()],
        background=BACKGROUND,
        baseline=ml.Background(rows=drawn),
    )
    assert coalitions.rows == (2**modalities - 2) * SAMPLES * drawn + SAMPLES + drawn
    occlusion = ml.plan(
        model,
        INPUTS,
        measures=[ml.Occlusion()],
        modalities={"ct": ml.Image(patch=4)},
        baseline={"ct": "mean", "report": "mask_token", "clinical": "mean"},
        background=BACKGROUND,
    )
    words = sum(len(text.split()) for text in REPORTS)
    assert occlusion.rows == SAMPLES * (1 + PARTS + COLUMNS + 3) + words


# files, tables, citations, pictures -------------------------------------------------------------------------------------------------------


def test_a_table_with_a_row_a_global_number(explanation: ml.Explanation) -> None:
    frame = explanation.to_frame()
    assert {"measure", "quantity", "value", "lower", "upper", "modality", "output", "monte_carlo_error"} <= set(
        frame.columns
    )
    assert set(frame["measure"]) == MEASURES
    rows = frame[(frame["measure"] == "occlusion") & (frame["quantity"] == "contribution")].set_index("modality")
    np.testing.assert_array_equal(rows.loc[["ct", "report", "clinical"], "value"], explanation.occlusion.contribution)
    np.testing.assert_array_equal(
        rows.loc[["ct", "report", "clinical"], "upper"],
        explanation.occlusion.interval["contribution"].sel(bound="upper"),
    )


@pytest.mark.parametrize("inputs", [False, True])
def test_saved_and_loaded_as_it_was(explanation: ml.Explanation, tmp_path: Path, inputs: bool) -> None:
    path = explanation.save(tmp_path / "explanation.nc", inputs=inputs)
    assert path.is_file()
    back = ml.load(path)
    assert back.provenance == explanation.provenance
    for name in MEASURES:
        ours, theirs = explanation[name], back[name]
        assert set(ours.arrays) == set(theirs.arrays)
        for key, array in ours.arrays.items():
            for left, right in (
                [(array, theirs.arrays[key])]
                if isinstance(array, xr.DataArray)
                else [(array[one], theirs.arrays[key][one]) for one in array]
            ):
                xr.testing.assert_equal(left, right)
        xr.testing.assert_equal(ours.interval, theirs.interval)
        assert (ours.settings, ours.reasons, ours.resampled, ours.citation) == (
            theirs.settings,
            theirs.reasons,
            theirs.resampled,
            theirs.citation,
        )
    assert set(back.inputs) == (set(INPUTS) if inputs else set())
    if inputs:
        assert back.inputs["report"] == REPORTS
        np.testing.assert_array_equal(back.inputs["ct"], INPUTS["ct"])
    pd.testing.assert_frame_equal(back.to_frame(), explanation.to_frame())


def test_citations_of_exactly_the_measures_used(explanation: ml.Explanation) -> None:
    keys = {
        "occlusion": {"gapp2025modality"},
        "shapley": {"shapley1953value", "lundberg2017unified"},
        "intershap": {"wenderoth2025measuring", "hessel2020does"},
    }
    for measure, expected in (
        (ml.Occlusion(), keys["occlusion"]),
        (ml.Shapley(), keys["shapley"]),
        (ml.InterSHAP(), keys["intershap"]),
    ):
        assert set(re.findall(r"^@\w+\{([^,]+),", explained(measures=[measure]).citation(), re.MULTILINE)) == expected
    everything = re.findall(r"^@\w+\{([^,]+),", explanation.citation(), re.MULTILINE)
    assert len(everything) == len(set(everything))
    assert set().union(*keys.values()) < set(everything)
    assert explanation.citation().count("{") == explanation.citation().count("}")


def test_a_comparison_is_second_minus_first(explanation: ml.Explanation) -> None:
    other = ml.explain(
        lambda ct, report, clinical: model(ct * 3, report, clinical),
        INPUTS,
        modalities={"ct": ml.Image(patch=4)},
        background=BACKGROUND,
        labels=LABELS,
        classes=["benign", "malignant"],
    )
    found = ml.compare(explanation, other)
    np.testing.assert_allclose(
        found.differences["occlusion"]["contribution"],
        other.occlusion.contribution - explanation.occlusion.contribution,
    )
    assert float(found.differences["occlusion"]["contribution"].sel(modality="ct")) > 0


def test_printed_and_shown(explanation: ml.Explanation) -> None:
    printed = str(explanation)
    assert max(map(len, printed.splitlines())) <= 110
    html = explanation._repr_html_()
    for name in ("ct", "report", "clinical"):
        assert name in printed
        assert name in html
    largest = float(explanation.occlusion.contribution.max())
    assert f"{100 * largest:.0f}" in printed


def test_plotted(explanation: ml.Explanation) -> None:
    from matplotlib.figure import Figure

    assert isinstance(explanation.plot(), Figure)
