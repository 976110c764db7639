"""How much the answer depends on choices: each row of the table is what explain gives with that choice."""

from __future__ import annotations

import numpy as np
import pytest

import modalens as ml

RANDOM = np.random.default_rng(0)
INPUTS = {"image": RANDOM.normal(size=(12, 8, 8)), "table": RANDOM.normal(size=(12, 3))}
BACKGROUND = {"image": RANDOM.normal(size=(30, 8, 8)), "table": RANDOM.normal(size=(30, 3))}
KINDS = {"image": ml.Image(patch=4), "table": ml.Tabular()}


def model(image, table):
    return 1 / (1 + np.exp(-4 * image.mean(axis=(1, 2)) * table[:, 0] - table[:, 1]))


def test_every_row_is_what_explain_gives_with_that_choice():
    table = ml.sensitivity(
        model, INPUTS, over=["background", "zeros"], modalities=KINDS, background=BACKGROUND, parts=[None, 1]
    )
    assert len(table) == 2 * 2 * 2 * (
        2 + 2 + 2 + 3
    )  # baselines x spaces x partitions x (occlusion, its anchor, shapley, intershap's contributions and score)
    for baseline in ("background", "zeros"):
        for output in ("probability", "logit"):
            explanation = ml.explain(
                model,
                INPUTS,
                measures=[ml.Occlusion(), ml.InterSHAP()],
                modalities=KINDS,
                background=BACKGROUND,
                baseline=baseline,
                output=output,
            )
            rows = table[(table["baseline"] == baseline) & (table["output"] == output) & (table["parts"] == "as cut")]
            occlusion = rows[(rows["measure"] == "occlusion") & (rows["quantity"] == "contribution")].set_index(
                "modality"
            )["value"]
            np.testing.assert_allclose(occlusion[["image", "table"]], explanation.occlusion.contribution, rtol=1e-12)
            score = rows[(rows["measure"] == "intershap") & (rows["quantity"] == "score")]
            np.testing.assert_allclose(
                score[["value", "lower", "upper"]].to_numpy()[0],
                [explanation.intershap.score, *explanation.intershap.interval["score"]],
                rtol=1e-12,
            )


def test_one_part_a_modality_is_the_anchor():
    table = ml.sensitivity(
        model, INPUTS, over=["zeros"], modalities=KINDS, background=BACKGROUND, parts=[None, 1]
    ).query("measure == 'occlusion' and output == 'probability'")
    whole = table.query("parts == '1' and quantity == 'contribution'").set_index("modality")["value"]
    anchor = table.query("parts == 'as cut' and quantity == 'anchor'").set_index("modality")["value"]
    np.testing.assert_allclose(whole, anchor[whole.index], rtol=1e-12)


def test_spaces_share_their_evaluations():
    rows = 0

    def counted(image, table):
        nonlocal rows
        rows += len(image)
        return model(image, table)

    def cost(**settings):
        nonlocal rows
        rows = 0
        ml.sensitivity(counted, INPUTS, over=["zeros"], background=BACKGROUND, **settings)
        return rows

    assert cost(outputs=["probability", "logit"]) == cost(outputs=["probability"])


def test_sweep_equals_explain_at_each_number_of_parts():
    found = ml.sweep(model, INPUTS, parts={"image": (1, 4), "table": (1, 3)}, modalities=KINDS, baseline="zeros")
    assert found.dims == ("image_parts", "table_parts", "modality")
    np.testing.assert_allclose(found.sum("modality"), 1)
    for image_parts in (1, 4):
        for table_parts in (1, 3):
            cut = {"image": ml.Image(parts=image_parts), "table": ml.Tabular(parts=table_parts)}
            explanation = ml.explain(model, INPUTS, measures=[ml.Occlusion()], modalities=cut, baseline="zeros")
            np.testing.assert_allclose(
                found.sel(image_parts=image_parts, table_parts=table_parts),
                explanation.occlusion.contribution,
                rtol=1e-12,
            )


def test_sweep_leaves_the_other_modalities_as_they_are_cut():
    found = ml.sweep(model, INPUTS, parts={"image": (1,)}, modalities=KINDS, baseline="zeros")
    explanation = ml.explain(
        model,
        INPUTS,
        measures=[ml.Occlusion()],
        modalities={"image": ml.Image(parts=1), "table": ml.Tabular()},
        baseline="zeros",
    )
    np.testing.assert_allclose(found.sel(image_parts=1), explanation.occlusion.contribution, rtol=1e-12)


def test_two_like_modalities_cut_64_and_1_get_8_to_1():
    """The first known weakness of the measure: m grows with the square root of the number of parts."""
    draws = np.random.default_rng(0)
    inputs = {"a": draws.normal(size=(2000, 64)), "b": draws.normal(size=(2000, 64))}
    found = ml.sweep(
        lambda a, b: a.sum(1) + b.sum(1), inputs, parts={"a": (1, 64), "b": (1,)}, baseline="zeros", output="raw"
    )
    assert found.sel(a_parts=64, b_parts=1, modality="a").item() == pytest.approx(8 / 9, abs=0.01)
    assert found.sel(a_parts=1, b_parts=1, modality="a").item() == pytest.approx(0.5, abs=0.02)


def test_wrong_names_are_refused():
    with pytest.raises(ml.InputError, match="imagee"):
        ml.sweep(model, INPUTS, parts={"imagee": (1, 4)})
    with pytest.raises(ml.InputError, match="outputs='odds'"):
        ml.sensitivity(model, INPUTS, over=["zeros"], outputs=["odds"])


def test_unknown_keywords_are_told_with_the_nearest():
    with pytest.raises(
        TypeError,
        match=r"sensitivity\(\) got an unexpected keyword argument 'backgroud' \(did you mean 'background'\?\)",
    ):
        ml.sensitivity(model, INPUTS, backgroud=BACKGROUND)
    with pytest.raises(TypeError, match=r"sweep\(\) got an unexpected keyword argument 'lnk'"):
        ml.sweep(model, INPUTS, parts={"image": (1,)}, lnk="softmax")


def test_settings_that_it_decides_itself_are_refused_and_single_choices_taken():
    for setting in ({"baseline": "mean"}, {"output": "logit"}, {"measures": [ml.Shapley()]}):
        with pytest.raises(ml.InputError, match="does not take"):
            ml.sensitivity(model, INPUTS, **setting)
    table = ml.sensitivity(model, INPUTS, over="zeros", outputs="logit", parts=1, background=BACKGROUND)
    assert set(table["baseline"]) == {"zeros"}
    assert set(table["output"]) == {"logit"}
    with pytest.raises(ml.InputError, match="at least one baseline"):
        ml.sensitivity(model, INPUTS, over=[])


def test_sweep_names_the_parts_that_there_really_are():
    found = ml.sweep(model, INPUTS, parts={"image": (1, 5, 7, 10**4)}, modalities=KINDS, baseline="zeros")
    assert found.image_parts.values.tolist() == [1, 4, 64]
    for wrong in (0, (0, 4), (2.5,), ()):
        with pytest.raises(ml.InputError, match="whole numbers of parts, at least 1"):
            ml.sweep(model, INPUTS, parts={"image": wrong}, baseline="zeros")
