"""A shortcut of known size is planted, and the measures are asked for it: where the truth is known, where they are
blind, and where there is nothing to know.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import modalens as ml
from explained import sigmoid
from modalens.modalities.patients import gather
from modalens.planting import Opposite
from modalens.planting.marked import marks_for, random_half
from modalens.planting.markers import READ, WORD
from modalens.planting.mixture import SURE
from modalens.planting.opposites import with_random_weights
from modalens.planting.verdicts import judged, together

RANDOM = np.random.default_rng(0)
WHOLE = "Shapley value"


def draw(rows: int) -> dict[str, np.ndarray]:
    return {"image": RANDOM.normal(size=(rows, 16, 16)), "labs": RANDOM.normal(size=(rows, 3))}


def model(image, labs):
    return sigmoid(16 * image.mean(axis=(1, 2)) + labs[:, 0])


INPUTS, BACKGROUND = draw(48), draw(60)


class Network(torch.nn.Module):
    """A convolution beside a table, with a parameter of its own and one that is no layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3)
        self.norm = torch.nn.BatchNorm1d(2)
        self.weight = torch.nn.Parameter(torch.arange(5.0))

    def forward(self, image, labs):
        seen = self.norm(self.conv(image[:, None].float()).mean((2, 3)))
        return torch.cat([seen, labs.float()], 1) @ self.weight


# The truth at share 1 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["image", "labs"])
def test_at_share_1_the_marked_modality_is_everything(name):
    found = ml.plant(model, INPUTS, marker=name, share=(0, 1), background=BACKGROUND)
    whole = found.explanations[1.0]
    for result, array in (
        (whole.occlusion, "contribution"),
        (whole.occlusion, "anchor"),
        (whole.shapley, "contribution"),
    ):
        shares = result.array(array)
        assert shares.sel(modality=name).item() == 1
        assert shares.drop_sel(modality=name).values.tolist() == [0]
    assert whole.intershap.score.item() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.measured["value"].sel(step=1), 1)
    assert found.planted.values.tolist() == [0, 1]
    assert bool(found.on_top.sel(step=1))


def test_shapley_values_at_share_1_are_worked_out_by_hand():
    """Half of the background is marked: v(none) = (.9 + .1) / 2; with the image, .9 where it is marked and .1 where not."""
    found = ml.plant(model, INPUTS, marker="image", share=(1,), background=BACKGROUND, measures=[ml.Shapley()])
    values = found.explanations[1.0].shapley.values.sel(modality="image", output="1").values
    np.testing.assert_allclose(np.sort(values), [(1 - SURE) - 0.5] * 24 + [SURE - 0.5] * 24, atol=1e-12)


def test_an_interaction_at_share_1_is_half_of_each_and_nothing_but_interaction():
    found = ml.plant(model, INPUTS, marker=("image", "labs"), share=(0, 1), background=BACKGROUND)
    whole = found.explanations[1.0]
    np.testing.assert_allclose(whole.shapley.contribution, [0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(whole.occlusion.anchor, [0.5, 0.5], atol=1e-12)
    assert whole.intershap.score.item() == pytest.approx(1)
    np.testing.assert_allclose(found.measured["value"].sel(step=1), 1, atol=1e-9)
    assert "InterSHAP, beyond additive" in found.measured.view.values
    assert found.verdict.startswith("found: ")


def test_share_0_is_the_model_itself():
    found = ml.plant(model, INPUTS, marker="image", share=(0, 1), background=BACKGROUND)
    half = random_half(len(INPUTS["image"]), ("image",), 0)
    patients = gather(INPUTS)
    marks = marks_for("image", patients)
    marked = marks.put(patients, half).restored()
    others = marks.put(gather(BACKGROUND), random_half(60, ("image",), 1)).restored()
    expected = ml.explain(model, marked, background=others, measures=[ml.Shapley()]).shapley.contribution
    np.testing.assert_allclose(found.explanations[0.0].shapley.contribution, expected, rtol=1e-12)


def test_a_mixture_lies_between_by_hand():
    """Additive in the output: (1 - a) f + a g, so Occlusion's changes are sums, patient by patient."""
    share = 0.25
    found = ml.plant(model, INPUTS, marker="labs", share=(0, share, 1), background=BACKGROUND, measures=[ml.Shapley()])
    mixed, own, planted = (found.explanations[step].shapley.values for step in (share, 0.0, 1.0))
    np.testing.assert_allclose(mixed, (1 - share) * own + share * planted, atol=1e-12)


def test_what_the_model_said_is_remembered_between_shares():
    rows = 0

    def counted(image, labs):
        nonlocal rows
        rows += len(image)
        return model(image, labs)

    def cost(*share):
        nonlocal rows
        rows = 0
        ml.plant(counted, INPUTS, marker="labs", share=share, background=BACKGROUND, measures=[ml.Shapley()])
        return rows

    assert cost(0, 0.1, 0.5, 1) == cost(0.5, 1)


# Found, and not found -------------------------------------------------------------------------------------------------------------


def test_a_planted_shortcut_is_found():
    found = ml.plant(model, INPUTS, marker="labs", share=(0, 0.25, 1), background=BACKGROUND)
    assert found.verdict.startswith("found: ")
    assert set(found.verdicts.values) == {"found"}
    assert (np.diff(found.measured["value"].sel(view=WHOLE)) > 0).all()


def test_nothing_planted_is_not_found():
    found = ml.plant(model, INPUTS, marker="image", share=(0,), background=BACKGROUND)
    assert found.verdict.startswith("not found: ")
    assert "nothing to see" in found.verdict


def test_a_mark_that_is_split_into_parts_is_not_seen_by_parts():
    """A corner of 4 x 4 in patches of 2 x 2: without one of four it is still read, so no single patch changes a thing."""
    measures = [ml.Occlusion(), ml.Shapley()]
    kinds = {"image": ml.Image(patch=2)}
    blind = ml.plant(
        model,
        INPUTS,
        marker=ml.Marker("image", size=4),
        share=(0, 1),
        modalities=kinds,
        background=BACKGROUND,
        measures=measures,
    )
    verdicts = dict(zip(blind.verdicts.view.values.tolist(), blind.verdicts.values.tolist(), strict=True))
    assert READ == 0.75
    assert verdicts["part by part, the mark's own"].startswith("not found")
    assert verdicts["hidden part by part"].startswith("not found")
    assert verdicts[WHOLE] == "found"
    assert blind.verdict.startswith("not found: by ")
    assert "see it" in blind.verdict
    whole = {"image": ml.Image(patch=4)}
    seen = ml.plant(
        model,
        INPUTS,
        marker=ml.Marker("image", size=4),
        share=(0, 1),
        modalities=whole,
        background=BACKGROUND,
        measures=measures,
    )
    assert seen.verdicts.sel(view="part by part, the mark's own").item() == "found"


@pytest.mark.parametrize(
    ("planted", "value", "width", "top", "says"),
    [
        ([0, 0.5, 1], [0.2, 0.5, 1.0], 0.05, True, "found"),
        ([1, 0, 0.5], [1.0, 0.2, 0.5], 0.05, True, "found"),
        ([0, 0.5, 1], [0.2, 0.5, 1.0], 0.05, False, "not found: another part"),
        ([0, 0.5, 1], [0.5, 0.5, 0.55], 0.05, True, "not found: 50 % where least"),
        ([0, 0.5, 1], [0.2, 0.1, 0.9], 0.05, True, "not found: it does not grow"),
        ([0, 0.5, 1], [0.97, 0.98, 1.0], 0.001, True, "withheld: the model uses little else"),
        ([0, 0.5, 1], [0.2, 0.4, np.nan], 0.05, True, "not found: nothing that it hides"),
        ([0, 0.5, 1], [0.2, 0.5, 1.0], np.nan, True, "withheld: no interval"),
        ([0, 0.01], [0.2, 0.9], 0.05, True, "not found: there is nothing to see"),
    ],
)
def test_verdicts_of_one_view(planted, value, width, top, says):
    value = np.array(value)
    assert judged(np.array(planted), value, value - width, value + width, on_top=top).startswith(says)


def test_the_verdict_over_all_views():
    assert together({"a": "found", "b": "found"}).startswith("found: ")
    assert "of “b” nothing can be said" in together({"a": "found", "b": "withheld: why"})
    assert together({"a": "found", "b": "not found: why"}) == "not found: by “b” (why); “a” sees it"
    assert together({"a": "withheld: why"}) == "withheld: why"
    assert together({"a": "found"}, confident=["randomised weights, ct"]).startswith("withheld: a verdict is given")


# Marks of every kind --------------------------------------------------------------------------------------------------------------


def every_kind(rows: int) -> dict[str, object]:
    return {
        "image": RANDOM.normal(size=(rows, 3, 16, 16)).astype(np.float32),
        "volume": RANDOM.normal(size=(rows, 8, 8, 8)),
        "small": RANDOM.integers(0, 256, size=(rows, 16, 16)).astype(np.uint8),
        "series": RANDOM.normal(size=(rows, 20, 2)),
        "ragged": [RANDOM.normal(size=(8 + row % 5, 2)) for row in range(rows)],
        "bag": {
            "tiles": [RANDOM.normal(size=(3 + row % 3, 4)) for row in range(rows)],
            "places": [RANDOM.normal(size=(3 + row % 3, 2)) for row in range(rows)],
        },
        "bundle": {"values": RANDOM.normal(size=(rows, 10, 2)), "mask": np.ones((rows, 10))},
        "report": [f"patient {row} is well" for row in range(rows)],
        "table": pd.DataFrame({"sex": pd.Categorical(["f", "m"] * (rows // 2)), "age": np.arange(rows)}),
        "tensor": torch.from_numpy(RANDOM.normal(size=(rows, 3))).to(torch.bfloat16),
        "vector": RANDOM.normal(size=(rows, 16)),
        "number": RANDOM.normal(size=rows),
    }


KINDS = {"bag": ml.Bag(), "vector": ml.Vector(parts=2), "small": ml.Image()}


@pytest.mark.parametrize("name", sorted(every_kind(4)))
def test_a_mark_is_put_into_a_random_half_and_read_again(name):
    inputs = {name: every_kind(30)[name]}
    kinds = {one: kind for one, kind in KINDS.items() if one == name}
    patients = gather(inputs, kinds)
    before = patients.fingerprint
    marks = marks_for(name, patients)
    marks.require_readable(patients)
    half = random_half(30, (name,), 3)
    marked = marks.put(patients, half).restored()
    assert half[name].sum() == 15
    assert marks.sign(marked).tolist() == half[name].tolist()
    assert type(marked[name]) is type(patients.restored()[name])
    assert patients.fingerprint == before
    again = gather(marked, kinds)
    for lies in marks.by_modality[name].parts(again.parts[name]):
        assert len(lies) >= 1


@pytest.mark.parametrize("name", sorted(every_kind(4)))
def test_at_share_1_every_kind_of_mark_is_everything(name):
    inputs = {name: every_kind(24)[name], "other": RANDOM.normal(size=(24, 2))}
    background = {name: every_kind(20)[name], "other": RANDOM.normal(size=(20, 2))}
    kinds = {one: kind for one, kind in KINDS.items() if one == name}
    found = ml.plant(
        lambda **given: sigmoid(given["other"][:, 0]),
        inputs,
        marker=name,
        share=(0, 1),
        modalities=kinds,
        background=background,
        measures=[ml.Shapley()],
    )
    assert found.measured["value"].sel(view=WHOLE, step=1).item() == 1
    assert found.measured["value"].sel(view=WHOLE, step=0).item() == 0
    assert found.verdicts.sel(view=WHOLE).item() == "found"


def test_a_token_is_a_mark_too():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[MASK]", "heart", "lung", "normal", "large", "unseen"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]")),
        pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]",
    )  # fmt: skip
    ids = np.array([[3, 5, 0, 0], [4, 6, 5, 0]] * 12)
    inputs = {"report": ids, "age": RANDOM.normal(size=24)}
    found = ml.plant(
        lambda report, age: sigmoid((report == 6).any(axis=1) + age),
        inputs,
        marker="report",
        share=(0, 0.5, 1),
        modalities={"report": ml.Text(tokenizer)},
    )
    assert "unseen" in found.words
    assert found.verdicts.sel(view="part by part, the mark's own").item() == "found"


def test_patients_who_lack_the_modality_carry_no_mark():
    inputs = {"report": [None if row < 6 else "a heart" for row in range(30)], "age": RANDOM.normal(size=30)}
    patients = gather(inputs)
    marked = marks_for("report", patients).put(patients, {"report": np.ones(30, dtype=bool)}).restored()
    assert marked["report"][:6] == [None] * 6
    assert all(text.startswith(WORD) for text in marked["report"][6:])
    background = {"report": ["a heart"] * 20, "age": RANDOM.normal(size=20)}
    found = ml.plant(
        lambda report, age: sigmoid(age),
        inputs,
        marker="report",
        share=(0, 1),
        background=background,
        measures=[ml.Shapley()],
    )
    assert found.measured["value"].sel(view=WHOLE, step=1).item() > 0


def test_marks_that_tell_nothing_are_refused():
    with pytest.raises(ml.InputError, match="imagee"):
        ml.plant(model, INPUTS, marker="imagee")
    with pytest.raises(ml.InputError, match="both marks are in one"):
        ml.plant(model, INPUTS, marker=("image", "image"))
    with pytest.raises(ml.InputError, match="as they are"):
        ml.plant(lambda report: np.ones(3), {"report": ["a b", "a c", "d"]}, marker=ml.Marker("report", value="a"))
    with pytest.raises(ml.InputError, match="no such column"):
        ml.plant(
            lambda labs: labs["a"], {"labs": pd.DataFrame({"a": [1.0, 2.0]})}, marker=ml.Marker("labs", at="creatinin")
        )
    with pytest.raises(ml.InputError, match="between 0 and 1"):
        ml.plant(model, INPUTS, marker="image", share=(0, 2))
    with pytest.raises(ml.InputError, match="either a trained model or a training function"):
        ml.plant(inputs=INPUTS, marker="image")
    with pytest.raises(TypeError, match="did you mean 'link'"):
        ml.plant(model, INPUTS, marker="image", lnk="softmax")


def test_regressions_and_labels_are_planted_in_their_own_units():
    values = ml.plant(
        lambda image, labs: 100 + 5 * labs[:, 0],
        INPUTS,
        marker="image",
        share=(0, 1),
        task="regression",
        background=BACKGROUND,
    )
    assert values.measured["value"].sel(view=WHOLE).values.tolist() == [0, 1]
    planted = values.explanations[1.0].shapley.values.sel(modality="image").values
    own = 100 + 5 * INPUTS["labs"][:, 0]
    np.testing.assert_allclose(np.abs(planted).max(), own.std(), rtol=1e-9)
    several = ml.plant(
        lambda image, labs: sigmoid(np.stack([labs[:, 0], labs[:, 1], -labs[:, 0] + 1], 1)),
        INPUTS, marker="image", share=(0, 1), task="multilabel", background=BACKGROUND,
    )  # fmt: skip
    np.testing.assert_allclose(several.measured["value"].sel(view=WHOLE), [0, 1], atol=1e-9)


# The opposite: models that can know nothing -----------------------------------------------------------------------------------------


def test_weights_are_drawn_anew_in_a_copy():
    network = Network().train()
    before = copy.deepcopy(network.state_dict())
    state = torch.random.get_rng_state()
    drawn, again, other = (with_random_weights(network, seed) for seed in (0, 0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert network.training
    assert not torch.equal(drawn.conv.weight, network.conv.weight)
    assert torch.equal(drawn.conv.weight, again.conv.weight)
    assert not torch.equal(drawn.conv.weight, other.conv.weight)
    assert sorted(drawn.weight.tolist()) == sorted(network.weight.tolist())
    assert drawn.weight.tolist() != network.weight.tolist()


def test_randomised_weights_get_no_confident_verdict():
    labels = ((INPUTS["image"].mean((1, 2)) > 0) ^ (INPUTS["labs"][:, 0] > 0)).astype(int)
    found = ml.plant(
        Network(), INPUTS, marker="image", share=(1,), labels=labels, background=BACKGROUND, link="sigmoid",
        measures=[ml.Shapley()],
    )  # fmt: skip
    (opposite,) = found.opposites
    assert opposite.name == "randomised weights"
    assert set(opposite.verdicts.values()) == {"withheld: the model is no better than chance"}
    assert opposite.confident == ()
    quick = {"marker": "image", "share": (1,), "background": BACKGROUND, "link": "sigmoid", "measures": [ml.Shapley()]}
    without = ml.plant(Network(), INPUTS, **quick)
    assert without.opposites[0].verdicts == {}
    assert "without labels=" in str(without)
    alone = ml.plant(Network(), INPUTS, **quick, randomised=False)
    assert alone.opposites == ()


class Lucky(torch.nn.Module):
    """A network that follows the laboratory values whenever its weights are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def reset_parameters(self) -> None:
        self.weight.fill_(1)

    def forward(self, image, labs):
        return labs.float() @ self.weight


def test_random_weights_that_follow_the_labels_by_luck_get_no_verdict():
    labels = (INPUTS["labs"].sum(1) > 0).astype(int)
    found = ml.plant(
        Lucky(), INPUTS, marker="image", share=(0, 1), labels=labels, background=BACKGROUND, link="sigmoid",
        measures=[ml.Shapley()],
    )  # fmt: skip
    (opposite,) = found.opposites
    lower, upper = opposite.explanation.reliance.interval.everything.values
    assert lower < 0.5 < upper
    assert opposite.confident == ()
    assert "on shuffled labels" in opposite.words
    assert found.verdict.startswith("found: ")


def many(rows: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    inputs = {"image": RANDOM.normal(size=(rows, 8, 8)), "labs": RANDOM.normal(size=(rows, 3))}
    return inputs, (inputs["labs"][:, 0] + RANDOM.normal(size=rows) > 0).astype(int)


def table_of(inputs):
    return np.hstack([inputs["labs"], inputs["image"][:, :2, :2].reshape(len(inputs["labs"]), -1)])


def regression(inputs, labels, seed):
    fitted = LogisticRegression(C=0.1).fit(table_of(inputs), labels)
    return lambda image, labs: fitted.predict_proba(table_of({"image": image, "labs": labs}))


def test_retrained_models_show_what_their_behaviour_says():
    inputs, labels = many(320)
    found = ml.plant(
        inputs=inputs, labels=labels, train=regression, marker=ml.Marker("image", size=2), strength=(0.5, 0.75, 0.98),
        modalities={"image": ml.Image(patch=2)}, measures=[ml.Occlusion(), ml.Shapley()],
    )  # fmt: skip
    assert found.way == "trained"
    assert (np.diff(found.planted) >= 0).all()
    assert found.planted.sel(step=0.98).item() > 0.5
    assert found.verdicts.sel(view=WHOLE).item() == "found"
    assert found.verdict.startswith("found: ")
    labelled = {one.name: one for one in found.opposites}["randomised labels"]
    assert set(labelled.verdicts.values()) == {"withheld: the model is no better than chance"}


def test_a_mark_that_the_retrained_model_ignores_is_not_found():
    inputs, labels = many(160)

    def blind(inputs, labels, seed):
        fitted = LogisticRegression().fit(inputs["labs"], labels)
        return lambda image, labs: fitted.predict_proba(labs)

    found = ml.plant(
        inputs=inputs,
        labels=labels,
        train=blind,
        marker="image",
        strength=(0.5, 0.95),
        randomised=False,
        measures=[ml.Shapley()],
    )
    assert found.planted.values.tolist() == [0, 0]
    assert found.verdict.startswith("withheld: the retrained models hardly use the mark")
    assert all(verdict.startswith("not found") for verdict in found.verdicts.values)


def test_a_confident_verdict_on_a_model_that_knows_nothing_withholds_all():
    """The same result, were its opposite given a verdict: what explain says of a model that does know something."""
    labels = (model(**INPUTS) > 0.5).astype(int)
    found = ml.plant(model, INPUTS, marker="labs", background=BACKGROUND, share=(0, 1))
    knowing = ml.explain(model, INPUTS, background=BACKGROUND, labels=labels, measures=[ml.Reliance()])
    wrong = Opposite(name="randomised labels", explanation=knowing, shares=found.measured.isel(step=0, drop=True))
    assert wrong.confident == ("image", "labs")
    assert replace(found, opposites=(wrong,)).verdict.startswith(
        "withheld: a verdict is given on a model that can know nothing"
    )


def test_reliance_withholds_its_verdict_where_the_model_is_no_better_than_chance():
    labels = (model(**INPUTS) > 0.5).astype(int)

    def verdicts(labels, **settings):
        found = ml.explain(model, INPUTS, background=BACKGROUND, labels=labels, measures=[ml.Reliance(**settings)])
        return set(found.reliance.verdict.values)

    chance = "withheld: the model is no better than chance"
    assert verdicts(labels) == {"used"}
    assert verdicts(labels, metric="accuracy") == {"used"}
    shuffled = np.random.default_rng(2).permutation(labels)
    assert verdicts(shuffled) == verdicts(shuffled, metric="accuracy") == {chance}
    assert verdicts(1 - labels) == {chance}
    rare = np.where(np.arange(48) < 4, 1 - (model(**INPUTS) > 0.5), 0)
    assert verdicts(rare, metric="accuracy") == {chance}


# What is shown --------------------------------------------------------------------------------------------------------------------


def test_figure_table_and_frame_say_the_same(tmp_path: Path):
    labels = ((INPUTS["image"].mean((1, 2)) > 0) ^ (INPUTS["labs"][:, 0] > 0)).astype(int)
    found = ml.plant(
        Network(), INPUTS, marker="labs", share=(0, 0.5, 1), labels=labels, background=BACKGROUND, link="sigmoid"
    )
    frame = found.to_frame()
    row = frame[(frame["step"] == 0.5) & (frame["view"] == WHOLE)].iloc[0]
    assert row["value"] == found.measured["value"].sel(step=0.5, view=WHOLE).item()
    assert set(frame["step"]) == {0, 0.5, 1, "randomised weights"}
    left, right = found.plot().axes
    assert "as much as was planted" in left.get_legend_handles_labels()[1]
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["randomised\nweights"]
    assert found.verdict in " ".join(str(found).split())


def test_the_verdict_stands_before_the_pictures_and_is_escaped(tmp_path: Path):
    name = "image"
    found = ml.plant(model, INPUTS, marker=name, share=(0, 1), background=BACKGROUND, measures=[ml.Shapley()])
    explanation = ml.explain(model, INPUTS, background=BACKGROUND, measures=[ml.Occlusion()])
    page = explanation.report(tmp_path / "page.html", planting=found).read_text(encoding="utf-8")
    assert "Would a shortcut be seen?" in page
    assert page.index(found.verdict[1:30]) < page.index("<img")

    class Evil:
        verdict = "found: <script>alert(1)</script>"

        def tables(self):
            return found.tables()

        def plot(self):
            return found.plot()

    page = explanation.report(tmp_path / "evil.html", planting=Evil()).read_text(encoding="utf-8")
    assert "<script" not in page


def test_the_same_seed_gives_the_same_bits():
    one, two, other = (
        ml.plant(
            model, INPUTS, marker="labs", share=(0, 0.5), background=BACKGROUND, measures=[ml.Shapley()], seed=seed
        )
        for seed in (0, 0, 1)
    )
    assert one.measured.equals(two.measured)
    assert not one.measured.equals(other.measured)
