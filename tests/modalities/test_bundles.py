"""Several arrays that are one modality: masked in the same cells, present or absent together, given back as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vocabularies import bytepair, wordpiece

import modalens as ml
from modalens.baselines import Baseline, Fill, named
from modalens.modalities import Modality, Parts
from modalens.modalities.bundle import Bundle, following
from modalens.modalities.infer import fitted, infer
from modalens.modalities.patients import gather

RANDOM = np.random.default_rng(0)
PATIENTS, STEPS, CHANNELS = 5, 6, 3


def series(patients: int = PATIENTS, seed: int = 0) -> dict[str, np.ndarray]:
    """Values, which of them were measured, and the time since the last one."""
    random = np.random.default_rng(seed)
    return {
        "values": random.normal(size=(patients, STEPS, CHANNELS)).astype(np.float32),
        "mask": random.integers(0, 2, size=(patients, STEPS, CHANNELS)),
        "delta": random.uniform(size=(patients, STEPS)),
        "admitted": random.integers(0, 9, size=patients),
    }


def opened(samples: Any, kind: Modality | None = None, name: str = "vitals") -> tuple[Modality, np.ndarray, Parts]:
    resolved = fitted(kind or infer(name, samples), samples).resolve(name, samples)
    canonical = resolved.canonical(name, samples)
    return resolved, canonical, resolved.cut(canonical)


def without(
    samples: Any, absent: list[int], baseline: str | Baseline, kind: Modality | None = None, background: Any = None
) -> Any:
    """The samples with these parts replaced, as a model gets them."""
    resolved, canonical, parts = opened(samples, kind)
    fill = named(baseline)
    assert isinstance(fill, Fill)
    rows = canonical if background is None else resolved.canonical("vitals", background)
    made = fill.fill(resolved, canonical, rows)
    assert made.dtype == canonical.dtype
    return resolved.restore(resolved.replace(canonical, np.broadcast_to(made, canonical.shape), parts, absent))


# All members in the same cells -------------------------------------------------------------------------------------------------


def test_the_others_are_masked_where_the_first_is() -> None:
    """Windows of two steps: the mask has the same axes, the deltas all but the last, the admission none."""
    given_ = series()
    found = without(given_, [1], "zeros", ml.Series(window=2))
    for name in ("values", "mask", "delta"):
        expected = given_[name].copy()
        expected[:, 2:4] = 0
        np.testing.assert_array_equal(found[name], expected)
    np.testing.assert_array_equal(found["admitted"], given_["admitted"])
    assert list(found) == list(given_)


def test_by_channel_the_deltas_are_nobodys() -> None:
    given_ = series()
    found = without(given_, [0, 2], "zeros", ml.Series(by="channel"))
    for name in ("values", "mask"):
        expected = given_[name].copy()
        expected[:, :, [0, 2]] = 0
        np.testing.assert_array_equal(found[name], expected)
    np.testing.assert_array_equal(found["delta"], given_["delta"])


def test_means_of_real_numbers_and_modes_of_whole_ones() -> None:
    given_, background = series(), series(9, seed=1)
    found = without(given_, [0], "mean", ml.Series(window=2), background)
    np.testing.assert_array_equal(
        found["values"][:, :2],
        np.broadcast_to(background["values"].mean(0, dtype=np.float64).astype(np.float32)[:2], (5, 2, 3)),
    )
    np.testing.assert_allclose(
        found["delta"][:, :2], np.broadcast_to(background["delta"].mean(0)[:2], (5, 2)), rtol=1e-15
    )
    often = (background["mask"].sum(0) > 4.5).astype(int)[:2]
    np.testing.assert_array_equal(found["mask"][:, :2], np.broadcast_to(often, (5, 2, 3)))
    np.testing.assert_array_equal(found["values"][:, 2:], given_["values"][:, 2:])


def test_a_constant_for_each_member_or_one_for_all() -> None:
    given_ = series()
    own = ml.Constant(value={"admitted": 4, "delta": 0.5, "mask": 1, "values": -2.0})
    found = without(given_, [2], own, ml.Series(window=2))
    assert (found["values"][:, 4:] == -2).all()
    assert (found["mask"][:, 4:] == 1).all()
    assert (found["delta"][:, 4:] == 0.5).all()
    everywhere = without(given_, [0, 1, 2], ml.Constant(value=0.7), ml.Series(window=2))
    assert (everywhere["mask"] == 1).all(), "whole numbers are rounded, not cut off"
    assert everywhere["mask"].dtype == given_["mask"].dtype


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"values": 0.0}, "missing 'mask', 'delta', 'admitted'"),
        ({"values": 0, "mask": 0, "delta": 0, "admitted": 0, "other": 0}, "unknown 'other'"),
        ({"values": 0, "mask": 0, "delta": np.nan, "admitted": 0}, "NaN or infinite"),
        (
            {"values": 0, "mask": np.zeros(7), "delta": 0, "admitted": 0},
            "expected one number, or an array of that shape",
        ),
    ],
)
def test_constants_that_do_not_fit(value: Any, says: str) -> None:
    with pytest.raises(ml.InputError, match=says):
        without(series(), [0], ml.Constant(value=value))


def test_a_background_row_fills_all_members() -> None:
    """Every draw takes all of its members from one patient: values, mask and deltas never mix two."""
    given_, background = series(3), series(40, seed=2)
    tags = np.arange(40.0)[:, None, None]
    background = {
        "values": np.broadcast_to(tags, (40, STEPS, CHANNELS)).astype(np.float32),
        "mask": np.broadcast_to(tags, (40, STEPS, CHANNELS)).astype(np.int64),
        "delta": np.broadcast_to(tags[:, 0], (40, STEPS)).copy(),
        "admitted": np.arange(40),
    }
    own = {name: values * 0 - 1 for name, values in given_.items()}
    seen: list[dict[str, np.ndarray]] = []

    def spy(vitals: dict[str, np.ndarray], age: np.ndarray) -> np.ndarray:
        seen.append(vitals)
        return vitals["values"].sum((1, 2)) + age[:, 0]

    ml.explain(
        spy,
        {"vitals": own, "age": np.arange(3.0)[:, None]},
        modalities={"vitals": ml.Series(window=2)},
        background={"vitals": background, "age": np.arange(40.0)[:, None]},
        baseline=ml.Background(rows=6, part_rows=5),
        output="raw",
        progress=False,
    )
    rows = {name: np.concatenate([one[name] for one in seen]) for name in own}
    gone = (rows["values"] >= 0).all(axis=2)
    for row in range(len(gone)):
        tag = rows["values"][row].max()
        assert set(np.unique(rows["values"][row])) <= {-1.0, tag}
        np.testing.assert_array_equal(rows["mask"][row], np.where(gone[row], tag, -1)[:, None].repeat(CHANNELS, 1))
        np.testing.assert_array_equal(rows["delta"][row], np.where(gone[row], tag, -1))
        assert rows["admitted"][row] == (tag if gone[row].all() else -1)
    assert {1, 2}.issuperset(gone.reshape(len(gone), 3, 2).all(2).sum(1)[(gone.any(1)) & ~gone.all(1)])


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    rest=st.lists(st.integers(1, 4), max_size=2),
    seed=st.integers(0, 99),
)
def test_following_is_what_broadcasting_would_do(shape: list[int], rest: list[int], seed: int) -> None:
    """A slow re-implementation: a cell of the other is gone where the cell of the first with the same leading place is."""
    random = np.random.default_rng(seed)
    gone = random.random((2, *shape)) < 0.5
    other = (2, *shape, *rest)
    found = following(gone, other)
    assert found is not None
    for cell in np.ndindex(*other):
        assert np.broadcast_to(found, other)[cell] == gone[cell[: gone.ndim]]
    np.testing.assert_array_equal(
        np.broadcast_to(following(gone[..., None], other), other), np.broadcast_to(found, other)
    )


def test_other_axes_follow_nothing() -> None:
    gone = np.ones((1, 4, 3), dtype=bool)
    assert following(gone, (5, 3)) is None
    assert following(gone, (5,)) is None
    assert following(gone, (5, 4, 2)) is None


# Removed, by the mask ---------------------------------------------------------------------------------------------------------


def test_what_is_removed_is_masked_and_nothing_else_changes() -> None:
    given_ = series() | {"mask": np.ones((PATIENTS, STEPS, CHANNELS), dtype=bool)}
    found = without(given_, [1], "removed", ml.Series(window=2))
    assert not found["mask"][:, 2:4].any()
    assert found["mask"][:, [0, 1, 4, 5]].all()
    assert found["mask"].dtype == bool
    for name in ("values", "delta", "admitted"):
        np.testing.assert_array_equal(found[name], given_[name])


def test_removing_without_a_mask_is_refused() -> None:
    bundle = {"values": np.ones((2, 4)), "key_padding_mask": np.zeros((2, 4), bool)}
    with pytest.raises(
        ml.InputError, match=r"no member of 'values', 'key_padding_mask' is a mask by its name.*give one"
    ):
        without(bundle, [0], "removed")


# Token ids and their mask -----------------------------------------------------------------------------------------------------


def tokens(tokenizer: Any, *texts: list[str]) -> dict[str, np.ndarray]:
    longest = max(map(len, texts))
    ids = [tokenizer.convert_tokens_to_ids(text + [tokenizer.pad_token] * (longest - len(text))) for text in texts]
    return {
        "input_ids": np.array(ids),
        "attention_mask": np.array([[1] * len(text) + [0] * (longest - len(text)) for text in texts]),
    }


TEXTS = (["[CLS]", "a", "b", "##c", "[SEP]"], ["[CLS]", "d", "[SEP]"])


def test_padding_and_special_tokens_are_no_part() -> None:
    resolved, _, parts = opened(tokens(wordpiece(), *TEXTS), ml.Text(wordpiece()))
    assert isinstance(resolved, Bundle)
    assert parts.names == (("a", "bc"), ("d",))
    assert parts.where.tolist() == [[-1, 0, 1, 1, -1], [-1, 0, -1, -1, -1]]


@pytest.mark.parametrize("mask_first", [False, True])
def test_words_are_masked_or_removed(mask_first: bool) -> None:
    """The ids lead, also where a tokenizer names them last."""
    given_ = tokens(wordpiece(), *TEXTS)
    given_ = dict(reversed(given_.items())) if mask_first else given_
    kind = ml.Text(wordpiece())
    masked = without(given_, [0], "mask_token", kind)
    identity = wordpiece().mask_token_id
    expected = given_["input_ids"].copy()
    expected[0, 1] = expected[1, 1] = identity
    np.testing.assert_array_equal(masked["input_ids"], expected)
    np.testing.assert_array_equal(masked["attention_mask"], given_["attention_mask"])
    removed = without(given_, [0], "removed", kind)
    np.testing.assert_array_equal(removed["input_ids"], given_["input_ids"])
    np.testing.assert_array_equal(removed["attention_mask"], [[1, 0, 1, 1, 1], [1, 0, 1, 0, 0]])


def test_the_encoding_of_a_tokenizer_is_an_input() -> None:
    """As it comes: lists, arrays and tensors; the model gets the same kind back."""
    for form, kind in ((None, np.ndarray), ("np", np.ndarray), ("pt", torch.Tensor)):
        encoding = bytepair()(["ab ab", "a"], padding=True, return_tensors=form, return_token_type_ids=False)
        seen: list[Any] = []

        def spy(report: Any, age: np.ndarray, seen: list[Any] = seen) -> np.ndarray:
            seen.append(report)
            ids = np.asarray(report["input_ids"]) * np.asarray(report["attention_mask"])
            return ids.sum(axis=1) * age[:, 0]

        found = ml.explain(
            spy,
            {"report": encoding, "age": np.ones((2, 1))},
            modalities={"report": ml.Text(bytepair(), unit="token")},
            baseline={"report": "removed", "age": "zeros"},
            output="raw",
            measures=[ml.Occlusion()],
            progress=False,
        ).occlusion
        assert {type(values) for one in seen for values in one.values()} == {kind}
        ids, mask = (np.asarray(encoding[name]) for name in ("input_ids", "attention_mask"))
        assert found.part_count.sel(modality="report").values.tolist() == mask.sum(1).tolist() == [3, 1]
        np.testing.assert_array_equal(found.parts["report"].values[0, :, 0], ids[0])
        np.testing.assert_array_equal(found.parts["report"].values[1, :, 0], [ids[1, mask[1] == 1][0], np.nan, np.nan])


# Back as they came --------------------------------------------------------------------------------------------------------------


def test_a_bundle_of_one_is_described_as_what_it_holds() -> None:
    """What an image processor returns, pixel_values and nothing else."""
    pixels = np.random.default_rng(0).normal(size=(6, 3, 8, 8))
    patients = gather({"image": {"pixel_values": pixels}}, {"image": ml.Image(patch=4)}, None)
    kind = patients.modalities["image"]
    assert kind.describe(patients.samples["image"], patients.parts["image"]) == "Image 3x8x8, 4 patches"


def test_every_member_comes_back_in_its_own_container_and_type() -> None:
    given_ = {
        "values": pd.DataFrame({"age": [61, 47, 80], "sex": pd.Categorical([*"fmf"])}),
        "weights": torch.tensor([[0.5], [1.25], [3.0]], dtype=torch.bfloat16),
        "ids": torch.tensor([2**53 + 1, 5, 7]),
        "seen": np.array([True, False, True]),
        "scores": [1.5, 2.5, 3.5],
    }
    resolved, canonical, parts = opened(given_)
    found = resolved.restore(canonical)
    pd.testing.assert_frame_equal(found["values"], given_["values"])
    for name in ("weights", "ids"):
        assert found[name].dtype == given_[name].dtype
        assert torch.equal(found[name], given_[name])
    assert found["seen"].dtype == bool
    np.testing.assert_array_equal(found["seen"], given_["seen"])
    np.testing.assert_array_equal(found["scores"], given_["scores"])
    changed = resolved.restore(resolved.replace(canonical, resolved.mode(canonical).repeat(3), parts, [0]))
    assert changed["values"]["age"].tolist() == [47, 47, 47]
    assert changed["values"].dtypes.equals(given_["values"].dtypes)


def test_the_users_arrays_are_never_changed_nor_shared() -> None:
    given_ = {"values": np.ones((4, 3)), "mask": np.ones((4, 3), dtype=np.int64)}
    before = {name: values.copy() for name, values in given_.items()}

    def rude(vitals: dict[str, np.ndarray], age: np.ndarray) -> np.ndarray:
        found = vitals["values"].sum(1) * vitals["mask"].sum(1) + age[:, 0]
        vitals["values"][:] = 99
        vitals["mask"][:] = -1
        return np.asarray(found)

    inputs = {"vitals": given_, "age": np.arange(4.0)[:, None]}
    found = ml.explain(rude, inputs, output="raw", baseline="zeros", progress=False)
    for name, values in before.items():
        np.testing.assert_array_equal(given_[name], values)
    np.testing.assert_array_equal(found.occlusion.amount.values, [3 * (9 - 4), 1.5])


@given(st.permutations(range(PATIENTS)))
def test_rows_digests_and_equality(order: list[int]) -> None:
    resolved, canonical, _ = opened(series())
    rows = np.array(order)
    moved = resolved.restore(resolved.take(canonical, rows))
    for name, values in series().items():
        np.testing.assert_array_equal(moved[name], values[rows])
    stacked = resolved.stack([canonical[:2], canonical[2:]])
    assert resolved.digest(stacked) == resolved.digest(canonical)
    assert resolved.same(stacked, canonical).all()
    assert resolved.row_bytes(canonical) == 4 * STEPS * CHANNELS + 8 * STEPS * CHANNELS + 8 * STEPS + 8
    for name in series():
        other = canonical.copy()
        other[name][1] = other[name][1] + 1
        assert resolved.digest(other) != resolved.digest(canonical), name
        assert resolved.same(other, canonical).tolist() == [True, False, True, True, True]


# Refusals ------------------------------------------------------------------------------------------------------------------------


def bad(**changed: Any) -> dict[str, Any]:
    return {name: values for name, values in (series() | changed).items() if values is not None}


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        ({}, "modality 'vitals': expected its arrays by name, came an empty dict; give them"),
        (bad(mask=series(4)["mask"]), "modality 'vitals': its members .* hold 5, 4, 5, 5 samples"),
        (bad(delta=np.full((PATIENTS, STEPS), np.nan)), r"modality 'vitals\[delta\]': 30 of 30 values are NaN"),
        (
            bad(values=np.full((PATIENTS, STEPS, CHANNELS), np.inf)),
            r"modality 'vitals\[values\]': 90 of 90 values are NaN or infinite",
        ),
        (
            bad(delta=[[1.0], [1.0, 2.0], [0.0], [0.0], [0.0]]),
            "modality 'vitals': of its member 'delta', its samples differ in shape",
        ),
        (bad(delta=np.array([*"abcde"], dtype=object)), "modality 'vitals': expected its member 'delta' as an array"),
        (bad(delta=3.0), "modality 'vitals': expected its member 'delta' as an array"),
        (
            bad(values=[np.ones((2, 3)), None, *np.ones((3, 2, 3))]),
            "modality 'vitals': a sample is None in some of its members",
        ),
    ],
)
def test_refused_with_modality_and_member(samples: Any, says: str) -> None:
    for kind in (None, {"vitals": ml.Series(window=2)}):
        with pytest.raises(ml.InputError, match=says):
            ml.explain(
                lambda vitals, age: age[:, 0], {"vitals": samples, "age": np.ones((PATIENTS, 1))}, modalities=kind
            )


def test_a_background_without_a_member_is_refused() -> None:
    short = {name: values for name, values in series().items() if name != "delta"}
    with pytest.raises(ml.InputError, match=r"modality 'vitals'.*'delta'"):
        ml.explain(
            lambda vitals, age: age[:, 0],
            {"vitals": series(), "age": np.ones((PATIENTS, 1))},
            background={"vitals": short, "age": np.ones((PATIENTS, 1))},
        )


# At the fusion point -------------------------------------------------------------------------------------------------------------


class Vitals(torch.nn.Module):
    """One encoder of all members, and another modality."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.steps, self.age = torch.nn.Linear(2 * CHANNELS + 1, 4).double(), torch.nn.Linear(1, 4).double()
        self.head = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2)).double()

    def forward(self, vitals: dict[str, torch.Tensor], age: torch.Tensor) -> torch.Tensor:
        steps = torch.cat(
            [vitals["values"] * vitals["mask"], vitals["mask"].double(), vitals["delta"][:, :, None]], dim=2
        )
        return self.head(torch.cat([self.steps(steps).tanh().mean(1), self.age(age)], dim=1))


class Spread(torch.nn.Module):
    """The same network, whose members are arguments of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Vitals()

    def forward(self, values: torch.Tensor, mask: torch.Tensor, delta: torch.Tensor, age: torch.Tensor) -> torch.Tensor:
        return self.inner({"values": values, "mask": mask, "delta": delta}, age)


@pytest.mark.parametrize("net", [Vitals(), Spread()], ids=["a dict", "spread"])
@pytest.mark.parametrize("baseline", ["background", "removed"])
def test_a_bundle_is_encoded_as_one_and_gives_what_the_whole_model_gives(net: torch.nn.Module, baseline: str) -> None:
    def draw(patients: int, seed: int) -> dict[str, Any]:
        own = {name: values for name, values in series(patients, seed).items() if name != "admitted"}
        own["values"] = own["values"].astype(np.float64)
        return {"vitals": own, "age": np.random.default_rng(seed).normal(size=(patients, 1))}

    chosen = {"vitals": baseline, "age": "background"}
    split, whole = (
        ml.explain(
            net,
            draw(6, 3),
            modalities={"vitals": ml.Series(window=2)},
            background=draw(9, 4),
            baseline=chosen,
            link="softmax",
            encoders=encoders,
            confidence=None,
            measures=[ml.Occlusion(), ml.Shapley()],
            progress=False,
        )
        for encoders in ("graph", "whole")
    )
    assert split.provenance["fusion_point"]["widths"] == {"vitals": [[4]], "age": [[4]]}
    assert split.provenance["encoder_rows"]["vitals"] < whole.provenance["encoder_rows"]["vitals"]
    np.testing.assert_allclose(split.shapley.values.values, whole.shapley.values.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        split.occlusion.parts["vitals"].values, whole.occlusion.parts["vitals"].values, rtol=0, atol=1e-12
    )
    assert abs(split.occlusion.parts["vitals"].values).max() > 1e-4


def test_what_is_explained_is_kept_in_a_file_and_drawn(tmp_path: Any) -> None:
    images = {"pixels": RANDOM.normal(size=(6, 4, 4)), "valid": np.ones((6, 4, 4), dtype=np.int64)}
    found = ml.explain(
        lambda ct, age: (ct["pixels"] * ct["valid"]).sum((1, 2)) + age[:, 0],
        {"ct": images, "age": RANDOM.normal(size=(6, 1))},
        modalities={"ct": ml.Image(patch=2)},
        baseline="zeros",
        output="raw",
        progress=False,
    )
    from modalens.plots import parts as draw_parts

    loaded = ml.load(found.save(tmp_path / "found.nc", inputs=True))
    for name, values in images.items():
        np.testing.assert_array_equal(np.asarray(loaded.inputs["ct"][name]), values)
    for explanation in (found, loaded):
        assert len(draw_parts(explanation, "ct", 1).images) == 2, "the patches lie over the image"
        explanation.report(tmp_path / "page.html", samples=[0])
    assert "Image 4x4, 4 patches, with valid" in str(found)
