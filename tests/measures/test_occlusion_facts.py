"""The facts known of modality contribution by occlusion (Gapp et al. 2025), each through `explain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation
from scipy.special import expit
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

import modalens as ml

IMAGE = np.array([[[1.0, 2.0], [3.0, 4.0]]])
TABLE = np.array([[1.0, 1.0]])


def occlude(
    model: Callable[..., Any], inputs: dict[str, Any], *, reading: str = "ratio_of_sums", **settings: Any
) -> Any:
    """The occlusion result of a model in its own units; absence is zero unless the settings say otherwise."""
    measure = ml.Occlusion(reading=reading)  # type: ignore[arg-type]
    return ml.explain(
        model, inputs, measures=[measure], **{"baseline": "zeros", "output": "raw", "confidence": None} | settings
    ).occlusion


def linear(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    return image.sum(axis=(1, 2)) + table @ [2.0, -3.0]


def network(rows: int, seed: int = 0) -> tuple[Callable[..., np.ndarray], dict[str, np.ndarray]]:
    """A small network with three outputs, and inputs for it."""
    random = np.random.default_rng(seed)
    first, second, last = random.normal(size=(16, 8)), random.normal(size=(3, 8)), random.normal(size=(8, 3))

    def model(image: np.ndarray, table: np.ndarray) -> np.ndarray:
        return np.tanh(image.reshape(len(image), -1) @ first + table @ second) @ last

    return model, {"image": random.normal(size=(rows, 4, 4)), "table": random.normal(size=(rows, 3))}


PATCHES = {"image": ml.Image(patch=2), "table": ml.Tabular()}


def test_fact_01_shares_lie_in_0_to_1_and_sum_to_1() -> None:
    model, inputs = network(7)
    found = occlude(model, inputs, modalities=PATCHES)
    contribution, parts = found.contribution, found.part_contribution
    assert contribution.min() >= 0
    assert contribution.max() <= 1
    assert contribution.sum().item() == pytest.approx(1, abs=1e-12)
    for name in inputs:
        assert parts[name].min() >= 0
        assert parts[name].sum().item() == pytest.approx(contribution.sel(modality=name).item(), abs=1e-12)
    for shares in (found.anchor, found.by_output, found.by_sample):
        np.testing.assert_allclose(shares.sum("modality"), 1, atol=1e-12)


def test_fact_02_an_ignored_modality_gets_exactly_0() -> None:
    _, inputs = network(7)
    found = occlude(lambda image, table: np.tanh(table.sum(axis=1)), inputs, modalities=PATCHES)
    assert found.contribution.values.tolist() == [0.0, 1.0]
    assert found.anchor.values.tolist() == [0.0, 1.0]
    assert not found.parts["image"].values.any()


@pytest.mark.parametrize("reading", ["ratio_of_sums", "mean_of_ratios"])
def test_fact_02_no_change_at_all_is_nan_with_a_reason(reading: str) -> None:
    _, inputs = network(7)
    found = occlude(lambda image, table: np.full(len(image), 0.1), inputs, reading=reading)
    for name in ("contribution", "anchor", "by_output"):
        assert found.arrays[name].isnull().all()
        assert "0 / 0" in found.reasons[name]
    assert found.amount.values.tolist() == [0.0, 0.0]


def test_fact_03_invariant_to_the_order_of_samples_outputs_and_parts() -> None:
    model, inputs = network(6)
    found = occlude(model, inputs)
    shuffled = np.random.default_rng(1).permutation(6)
    columns = [2, 0, 1]
    other_samples = occlude(model, {name: values[shuffled] for name, values in inputs.items()})
    other_outputs = occlude(lambda image, table: model(image, table)[:, columns], inputs)
    other_parts = occlude(
        lambda image, table: model(image, table[:, np.argsort(columns)]),
        inputs | {"table": inputs["table"][:, columns]},
    )
    for other in (other_samples, other_outputs, other_parts):
        np.testing.assert_allclose(other.contribution, found.contribution, rtol=0, atol=1e-12)
    np.testing.assert_allclose(other_samples.by_sample, found.by_sample[shuffled], rtol=0, atol=1e-12)
    np.testing.assert_allclose(other_outputs.by_output, found.by_output[columns], rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        other_parts.part_contribution["table"], found.part_contribution["table"][columns], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("factor", "offset"), [(2.5, 0.0), (-0.3, 7.0)])
def test_fact_03_invariant_to_duplicated_data_and_to_scale_and_offset(factor: float, offset: float) -> None:
    model, inputs = network(6)
    found = occlude(model, inputs)
    doubled = occlude(model, {name: np.concatenate([values, values]) for name, values in inputs.items()})
    moved = occlude(lambda image, table: factor * model(image, table) + offset, inputs)
    for other in (doubled, moved):
        np.testing.assert_allclose(other.contribution, found.contribution, rtol=0, atol=1e-12)


def test_fact_03_equivariant_to_the_order_of_modalities() -> None:
    model, inputs = network(6)
    forwards, backwards = occlude(model, inputs), occlude(model, dict(reversed(inputs.items())))
    assert backwards.contribution.modality.values.tolist() == ["table", "image"]
    np.testing.assert_allclose(
        backwards.contribution.sel(modality=["image", "table"]), forwards.contribution, rtol=0, atol=1e-12
    )


def test_fact_03_not_invariant_to_the_scale_of_one_output() -> None:
    def model(a: np.ndarray, b: np.ndarray, first: float = 1.0) -> np.ndarray:
        return np.concatenate([first * (3 * a + b), a + 3 * b], axis=1)

    ones = {"a": np.ones((1, 1)), "b": np.ones((1, 1))}
    np.testing.assert_allclose(occlude(model, ones).contribution, [1 / 2, 1 / 2])
    np.testing.assert_allclose(occlude(lambda a, b: model(a, b, 10.0), ones).contribution, [31 / 44, 13 / 44])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_fact_04_batch_size_changes_nothing(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(19, 64), torch.nn.Tanh(), torch.nn.Linear(64, 3)).to(dtype)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = layers

        def forward(self, image: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
            return self.layers(torch.cat([image.flatten(1), table], dim=1))

    _, inputs = network(9)
    several = [occlude(Net(), inputs, modalities=PATCHES, batch_size=size) for size in (1, 7, 256)]
    scale = np.abs(
        layers(torch.as_tensor(np.concatenate([inputs["image"].reshape(9, -1), inputs["table"]], axis=1), dtype=dtype))
        .detach()
        .numpy()
    ).max()
    for other in several[1:]:
        for name in inputs:
            np.testing.assert_allclose(other.parts[name], several[0].parts[name], rtol=0, atol=tolerance * scale)


def test_fact_04_inputs_stay_bit_identical() -> None:
    _, inputs = network(5)
    before = {name: values.copy() for name, values in inputs.items()}
    model = lambda image, table: image.sum(axis=(1, 2)) + table.sum(axis=1)  # noqa: E731
    for baseline in ("zeros", "mean", "background"):
        occlude(model, inputs, modalities=PATCHES, baseline=baseline)
    for name, values in inputs.items():
        assert values.tobytes() == before[name].tobytes()


def counted(inputs: dict[str, np.ndarray], **settings: Any) -> tuple[int, dict[str, Any]]:
    """The rows that a model really sees in a run, and the provenance of the run."""
    seen: list[int] = []

    def model(image: np.ndarray, table: np.ndarray) -> np.ndarray:
        seen.append(len(image))
        return image.sum(axis=(1, 2)) + table.sum(axis=1)

    explanation = ml.explain(model, inputs, measures=[ml.Occlusion()], modalities=PATCHES, output="raw", **settings)
    return sum(seen), dict(explanation.provenance)


def test_fact_04_rows_are_those_of_every_part_once_and_of_the_anchors() -> None:
    _, inputs = network(6)
    seen, provenance = counted(inputs, baseline="zeros")
    assert provenance["head_rows"] == 6 * (1 + 4 + 3) + 6 * 2
    assert provenance["encoder_rows"] == {"image": 60, "table": 60}
    assert seen == provenance["head_rows"] + provenance["check_rows"]


def test_fact_04_rows_with_background_rows_for_parts() -> None:
    _, inputs = network(6)
    _, others = network(20, seed=1)
    seen, provenance = counted(inputs, background=others, baseline=ml.Background(rows=10, part_rows=3))
    assert provenance["head_rows"] == 6 * (1 + 3 * (4 + 1) + 3 * (3 + 1))
    assert seen == provenance["head_rows"] + provenance["check_rows"]


def test_fact_04_a_modality_of_one_part_needs_no_anchor_of_its_own() -> None:
    inputs = {"a": np.ones((4, 1)), "b": np.ones((4, 2))}
    explanation = ml.explain(
        lambda a, b: a[:, 0] + b.sum(axis=1), inputs, measures=[ml.Occlusion()], baseline="zeros", output="raw"
    )
    assert explanation.provenance["head_rows"] == 4 * (1 + 1 + 2) + 4


def test_fact_05_sum_of_image_and_table() -> None:
    found = occlude(linear, {"image": IMAGE, "table": TABLE}, modalities={"image": ml.Image(patch=1)})
    np.testing.assert_allclose(found.contribution, [2 / 3, 1 / 3], atol=1e-12)
    np.testing.assert_allclose(
        found.part_contribution["table"] / found.contribution.sel(modality="table"), [0.4, 0.6], atol=1e-12
    )
    np.testing.assert_allclose(found.parts["image"].squeeze(), [1, 2, 3, 4])
    np.testing.assert_allclose(found.parts["table"].squeeze(), [2, -3])


def test_fact_05_the_table_as_one_part() -> None:
    found = occlude(
        linear, {"image": IMAGE, "table": TABLE}, modalities={"image": ml.Image(patch=1), "table": ml.Tabular(parts=1)}
    )
    np.testing.assert_allclose(found.contribution, [10 / 11, 1 / 11], atol=1e-12)
    np.testing.assert_allclose(found.anchor, [10 / 11, 1 / 11], atol=1e-12)


def test_fact_06_sigmoid_of_a_sum_in_probability_and_in_log_odds() -> None:
    inputs = {"a": np.array([[2.0]]), "b": np.array([[1.0]])}
    logit = lambda a, b: (a + b)[:, 0]  # noqa: E731
    raw = occlude(lambda a, b: expit(logit(a, b)), inputs)
    probability = occlude(logit, inputs, link="sigmoid", output="probability")
    np.testing.assert_allclose(raw.contribution, [0.755272, 0.244728], atol=5e-7)
    np.testing.assert_allclose(probability.contribution, raw.contribution, atol=1e-12)
    np.testing.assert_allclose(
        occlude(logit, inputs, link="sigmoid", output="logit").contribution, [2 / 3, 1 / 3], atol=1e-12
    )


def test_fact_07_ratio_of_sums_its_error_and_mean_of_ratios() -> None:
    inputs = {"a": np.array([[9.0], [0.1]]), "b": np.array([[1.0], [0.9]])}
    model = lambda a, b: (a + b)[:, 0]  # noqa: E731
    sums = occlude(model, inputs)
    np.testing.assert_allclose(sums.contribution, [0.827273, 0.172727], atol=5e-7)
    np.testing.assert_allclose(sums.standard_error, [0.132231, 0.132231], atol=5e-7)
    np.testing.assert_allclose(occlude(model, inputs, reading="mean_of_ratios").contribution, [0.5, 0.5], atol=1e-12)


def test_fact_08_the_absolute_value_comes_before_the_sum() -> None:
    inputs = {"volume": np.ones((1, 2, 1, 1)), "table": np.ones((1, 1))}
    model = lambda volume, table: volume[:, 0, 0, 0] - volume[:, 1, 0, 0] + 3 * table[:, 0]  # noqa: E731
    found = occlude(model, inputs, modalities={"volume": ml.Volume(block=1)})
    np.testing.assert_allclose(found.contribution, [0.4, 0.6], atol=1e-12)
    np.testing.assert_allclose(found.anchor, [0, 1], atol=1e-12)


def gaussians(rows: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"a": random.normal(size=(rows, 1)), "b": random.normal(size=(rows, 1))}


def weighted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 3 * a[:, 0] + b[:, 0]


@pytest.mark.parametrize("baseline", ["zeros", ml.Background(rows=500, part_rows=500)])
def test_fact_09_gaussian_scalars_under_zero_and_under_many_other_patients(baseline: Any) -> None:
    found = occlude(weighted, gaussians(4000, 0), baseline=baseline, background=gaussians(500, 1))
    np.testing.assert_allclose(found.contribution, [0.75, 0.25], atol=0.01)


def test_fact_09_gaussian_scalars_under_permuted_patients() -> None:
    # Each patient with one other patient's values: what a permutation gives. |a - a'| has the standard deviation sqrt(2), so its mean is 2 / sqrt(pi).
    inputs, others = gaussians(200, 0), gaussians(30, 1)
    single = [
        occlude(
            weighted,
            inputs,
            baseline="background",
            background={name: values[[row]] for name, values in others.items()},
            modalities={"a": ml.Vector(), "b": ml.Vector()},
        ).amount
        for row in range(30)
    ]
    amounts = sum(single) / len(single)
    np.testing.assert_allclose(amounts / amounts.sum(), [0.75, 0.25], atol=0.03)
    assert amounts[0].item() == pytest.approx(6 / np.sqrt(np.pi), rel=0.15)


@pytest.mark.parametrize(("first", "second"), [(64, 1), (16, 4), (8, 8), (1, 32)])
def test_fact_10_the_contribution_grows_with_the_root_of_the_number_of_parts(first: int, second: int) -> None:
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(3000, 64)), "b": random.normal(size=(3000, 64))}
    found = occlude(
        lambda a, b: a.sum(axis=1) + b.sum(axis=1),
        inputs,
        modalities={"a": ml.Vector(parts=first), "b": ml.Vector(parts=second)},
    )
    expected = np.sqrt(first) / (np.sqrt(first) + np.sqrt(second))
    np.testing.assert_allclose(found.contribution, [expected, 1 - expected], atol=0.012)
    np.testing.assert_allclose(found.anchor, [0.5, 0.5], atol=0.02)


def test_fact_11_patches_are_disjoint_and_covering_where_edges_do_not_divide() -> None:
    weights = np.random.default_rng(0).normal(size=(5, 7))
    model = lambda image, table: np.tensordot(image, weights, axes=2) + table[:, 0]  # noqa: E731
    found = occlude(
        model, {"image": np.ones((1, 5, 7)), "table": np.ones((1, 1))}, modalities={"image": ml.Image(patch=3)}
    )
    changes = found.parts["image"].values.reshape(2, 3)
    expected = [
        [weights[rows, columns].sum() for columns in (slice(0, 3), slice(3, 6), slice(6, 7))]
        for rows in (slice(0, 3), slice(3, 5))
    ]
    np.testing.assert_allclose(changes, expected, atol=1e-12)


def test_fact_11_a_block_of_columns_is_one_part() -> None:
    model = lambda image, table: image[:, 0] + table.sum(axis=1)  # noqa: E731
    inputs = {"image": np.ones((1, 1)), "table": np.ones((1, 36))}
    found = occlude(model, inputs, modalities={"table": ml.Tabular(groups={"site": range(1, 31)})})
    assert found.part_count.sel(modality="table").item() == 7
    np.testing.assert_allclose(found.parts["table"].squeeze(), [1, 30, 1, 1, 1, 1, 1])


@pytest.mark.parametrize("padding", [0, 3])
def test_fact_11_sub_tokens_make_one_word_and_padding_is_never_occluded(padding: int) -> None:
    words = ["[PAD]", "[UNK]", "[MASK]", "a", "b", "##c", "d"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]")),
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    )
    seen: list[np.ndarray] = []

    def model(text: np.ndarray, table: np.ndarray) -> np.ndarray:
        seen.append(text.copy())
        return (text == words.index("[MASK]")).sum(axis=1) + table[:, 0]

    ids = np.array([[3, 4, 5, 6] + [0] * padding])
    found = occlude(
        model,
        {"text": ids, "table": np.ones((1, 1))},
        modalities={"text": ml.Text(tokenizer)},
        baseline={"text": "mask_token", "table": "zeros"},
    )
    assert found.part_count.sel(modality="text").item() == 3
    np.testing.assert_allclose(found.parts["text"].squeeze(), [-1, -2, -1])
    assert not np.concatenate(seen)[:, 4:].any()


def test_fact_12_captum_with_the_same_masks_agrees() -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, dtype=torch.float64), torch.randn(2, dtype=torch.float64)

    def model(image: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return torch.tanh(image.flatten(1) @ weight[0] + table @ weight[1])

    inputs = {"image": torch.randn(5, 2, 2, dtype=torch.float64), "table": torch.randn(5, 2, dtype=torch.float64)}
    found = occlude(model, inputs, modalities={"image": ml.Image(patch=(1, 2))})
    masks = torch.tensor([[[0, 0], [1, 1]]]), torch.tensor([[2, 3]])
    image, table = FeatureAblation(model).attribute(tuple(inputs.values()), feature_mask=masks)
    np.testing.assert_allclose(found.parts["image"].squeeze("output"), image[:, :, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.parts["table"].squeeze("output"), table, rtol=0, atol=1e-12)
