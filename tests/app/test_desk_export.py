"""What comes out of the desk: the items of audits, pictures, and the table in which aliases are models again."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from typer.testing import CliRunner

import modalens as ml
from at_desk import MODELS, audited_folder, item, items, records
from audited import mirrored, obedient
from modalens.alignment import HeatMap, read_annotations
from modalens.alignment.annotators import COLUMNS, QUESTIONS
from modalens.alignment.regions import Flip
from modalens.app.desk.answers import Answers
from modalens.app.desk.export import as_csv, exported, scores_of, steadiness
from modalens.app.desk.items import Shown, shared_items
from modalens.app.desk.pictures import png
from modalens.cli import app
from modalens.errors import InputError
from modalens.plots.audit import TRUTH

RECALL, PRECISION, INTUITIVE = QUESTIONS


def audit(model: object = obedient, count: int = 3) -> ml.Audit:
    return ml.audit(model, records(count), perturbations=(), progress=False)


def test_items_are_the_sentences_with_a_finding_that_all_audits_share() -> None:
    some = records(4)
    denied = replace(some[0], phrase="No effusion.", boxes=[], abnormal=False)
    unlocated = replace(some[1], phrase="Effusion.", boxes=[], abnormal=True)
    one = ml.audit(obedient, [*some, denied, unlocated], perturbations=(), progress=False)
    other = ml.audit(mirrored, [unlocated, denied, *some[:3]], perturbations=(), progress=False)
    found = shared_items({"a": one, "b": other})
    assert [(i.picture, i.phrase, i.located) for i in found] == [
        *((record.image_id, record.phrase, True) for record in some[:3]),
        ("picture-1", "Effusion.", False),
    ]
    assert found[0].maps["a"].map.values.tolist() == one.maps["as it is"][0].values.tolist()
    assert found[0].maps["b"].map.values.tolist() == other.maps["as it is"][2].values.tolist()


def test_an_audit_without_pictures_is_named_with_the_remedy(tmp_path: Path) -> None:
    audit().save(tmp_path / "a.nc")
    bare = ml.Audit.load(tmp_path / "a.nc")
    with pytest.raises(InputError, match=r"'bare' holds no pictures: .*audit\.save\(path, pictures=True\)"):
        shared_items({"full": audit(), "bare": bare})
    with pytest.raises(InputError, match=r"share no sentence"):
        shared_items({"a": audit(count=1), "b": ml.audit(obedient, records(2)[1:], perturbations=(), progress=False)})
    with pytest.raises(InputError, match=r"there is no audit"):
        shared_items({})


def test_an_item_is_another_where_a_map_or_a_model_is() -> None:
    same = item(1)
    changed = item(1)
    changed.maps[MODELS[0]] = replace(changed.maps[MODELS[0]], map=HeatMap(values=np.eye(2) * 2.5))  # type: ignore[index]
    keys = {same.key, changed.key, item(1, models=MODELS[:1]).key, item(2).key, item(1, author="Anna").key}
    assert len(keys) == 5
    assert item(1).key == same.key


def test_saved_audits_give_the_same_items(tmp_path: Path) -> None:
    folder = audited_folder(tmp_path / "folder")
    live = shared_items({MODELS[0]: audit(obedient), MODELS[1]: audit(mirrored)})
    read = shared_items({name: ml.Audit.load(folder / f"{name}.nc") for name in MODELS})
    assert [one.key for one in read] == [one.key for one in live]


def pixels(shown: Shown, **how: object) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png(shown, **how))), dtype=int)  # type: ignore[arg-type]


def shown(values: np.ndarray) -> Shown:
    record = replace(records(1)[0], image=np.linspace(0, 1, 256).reshape(16, 16), frontal=False)
    return Shown(map=HeatMap(values=values), record=record, smooth=False)


def test_a_map_covers_as_much_as_it_says_and_nothing_where_it_says_nothing() -> None:
    half = np.zeros((16, 16))
    half[:, :8] = 1
    bare = pixels(shown(half), strength=0.0, side=64)
    assert bare.shape == (64, 64, 3)
    assert (bare == bare[..., :1]).all()
    assert (pixels(shown(np.ones((16, 16))), side=64) == bare).all()  # even: nothing to say
    weak, strong = (pixels(shown(half), strength=strength, side=64) for strength in (0.3, 1.0))
    assert (strong[:, 32:] == bare[:, 32:]).all()
    assert (strong[:, :32] != bare[:, :32]).any(axis=-1).all()
    assert (abs(weak - bare)[:, :32].sum(axis=-1) <= abs(strong - bare)[:, :32].sum(axis=-1)).all()
    signed = np.where(half > 0, 1.0, -1.0)
    red, _, blue = np.moveaxis(pixels(shown(signed), side=64), -1, 0)
    assert (red[8:, :32] > blue[8:, :32]).all()
    assert (red[8:, 32:] < blue[8:, 32:]).all()


def test_the_patients_sides_are_marked_where_a_map_is_judged() -> None:
    plain = replace(shown(np.ones((16, 16))).record, image=np.zeros((16, 16)), frontal=True)
    as_it_is, flipped = (
        pixels(Shown(map=HeatMap(values=np.ones((16, 16))), record=replace(plain, steps=steps)), side=200).sum(axis=2)
        > 300
        for steps in ((), (Flip(),))
    )
    assert as_it_is[:50, :100].sum() > as_it_is[:50, 100:].sum() > 20  # R on the left has more ink than L
    assert flipped[:50, :100].sum() == as_it_is[:50, 100:].sum()  # in a mirrored picture they change places
    assert flipped[:50, 100:].sum() == as_it_is[:50, :100].sum()


def test_regions_are_outlined_on_demand_and_nothing_else_changes() -> None:
    one = shown(np.ones((16, 16)))
    bare, outlined = pixels(one, side=64), pixels(one, side=64, boxes=True)
    inside = np.zeros((64, 64), dtype=bool)
    inside[16:36, 8:24] = True  # the box (2, 4, 6, 9), four times as large
    edge = inside.copy()
    edge[18:34, 10:22] = False
    assert ((outlined != bare).any(axis=-1) == edge).all()
    assert (outlined[edge] == np.round(np.array(to_rgb(TRUTH)) * 255)).all()


def test_a_map_over_a_part_of_the_picture_leaves_the_rest() -> None:
    half = replace(shown(np.eye(2)), map=HeatMap(values=np.eye(2), extent=(0, 0, 8, 16)))
    bare, drawn = pixels(half, strength=0.0, side=32), pixels(half, side=32)
    assert (drawn[:, 16:] == bare[:, 16:]).all()
    assert (drawn[:16, :8] != bare[:16, :8]).any()


def annotated(answers: Answers) -> None:
    """Anna says 5 to the first model and 2 to the second on every item twice over, Ben 4 and 2; a question is left open."""
    phrase = "=HYPERLINK(1)"
    every = [*items(9), item(9, phrase=phrase)]
    for name, best in (("Anna", 5), ("Ben", 4)):
        who = answers.annotator(name)
        answers.take(who, every)
        for place in answers.places(who):
            for map in answers.maps(who, place.id):
                value = best if map.model == MODELS[0] else 2
                for question, said in ((RECALL, value), (PRECISION, None)):
                    answers.answer(who, map.id, question, said, turn=0, draw=f"{map.id}{question}", strength=100)


def test_the_export_is_the_papers_table_and_reads_back(tmp_path: Path) -> None:
    answers = Answers("sqlite://", random=random.Random(1))
    with pytest.raises(InputError, match=r"nobody has answered yet"):
        exported(answers)
    annotated(answers)
    who = answers.annotator("Anna")
    own = answers.write(who, item(2, phrase="A nodule?", author="Anna"))
    first = next(map for map in answers.maps(who, own) if map.model == MODELS[0])
    answers.reveal(who, own)
    answers.comment(who, own, "hardly seen")
    answers.answer(who, first.id, INTUITIVE, 3, turn=0, draw="x", strength=50)
    answers.answer(who, first.id, INTUITIVE, 1, turn=1, draw="y", strength=50)
    answers.answer(who, first.id, PRECISION, 5, turn=0, draw="z", strength=50)
    answers.undo(who)
    found = exported(answers)
    (tmp_path / "answers.csv").write_bytes(as_csv(found))
    read = read_annotations(tmp_path / "answers.csv")
    assert read.table.astype(str).equals(found.table.astype(str))
    assert set(COLUMNS) | {"rater", "patient", "boxes_shown", "answered", "cant_judge", "comment"} == set(
        read.table.columns
    )
    assert b"\n\"'=HYPERLINK" not in as_csv(found)
    assert b'"\'=HYPERLINK(1)"' in as_csv(found)
    table = read.table
    assert len(table) == 2 * 10 * 2 + 1
    assert table["no_attn_score"].where(table["checkpoint_name"] == MODELS[1]).dropna().unique().tolist() == [0.25]
    assert table[table["checkpoint_name"] == MODELS[0]]["no_attn_score"].isna().all()
    row = table[table["is_custom_prompt"]].iloc[0]
    assert (row["prompt"], row["rater"], row["is_intuitive"], row["boxes_shown"], row["comment"]) == (
        "A nodule?",
        "Anna",
        1,
        "True",
        "hardly seen",
    )
    assert np.isnan(row["has_good_precision"])  # it was undone
    assert row["cant_judge"] == ""
    assert set(table[~table["is_custom_prompt"]]["cant_judge"]) == {PRECISION}
    assert table.set_index("dicom_id").loc["d3", "patient"].unique().tolist() == ["p3"]
    difference = read.difference(*MODELS).set_index("question")
    assert difference.loc[RECALL, "difference"] == pytest.approx(2.5)
    assert set(steadiness(answers)) == {"Anna", "Ben"}
    assert float(steadiness(answers)["Anna"][RECALL]) == pytest.approx(1)


def test_an_answer_that_was_changed_from_cant_judge_is_a_number() -> None:
    answers = Answers("sqlite://")
    who = answers.annotator("Anna")
    answers.take(who, items(1), again=0)
    map = answers.maps(who, answers.places(who)[0].id)[0].id
    for turn, (question, value) in enumerate(((RECALL, None), (INTUITIVE, None), (RECALL, 4))):
        answers.answer(who, map, question, value, turn=turn, draw=str(turn), strength=100)
    row = exported(answers).table.iloc[0]
    assert (row[RECALL], row["cant_judge"]) == (4, INTUITIVE)


def test_an_own_sentence_that_says_what_an_audited_one_says_takes_nothing_from_it(
    recwarn: pytest.WarningsRecorder,
) -> None:
    answers = Answers("sqlite://")
    who = answers.annotator("Anna")
    audited = item(1)
    answers.take(who, [audited], again=0)
    answers.write(who, item(1, author="Anna"))
    for place, value in zip(answers.places(who), (5, 1), strict=True):
        for map in answers.maps(who, place.id):
            answers.answer(who, map.id, RECALL, value, turn=0, draw=str(map.id), strength=100)
    table = exported(answers).table
    assert sorted(zip(table["is_custom_prompt"], table[RECALL], strict=True)) == [(False, 5)] * 2 + [(True, 1)] * 2
    assert not recwarn.list


def test_scores_of_the_audits_meet_the_answers() -> None:
    audits = {MODELS[0]: audit(obedient), MODELS[1]: audit(mirrored)}
    answers = Answers("sqlite://")
    who = answers.annotator("Anna")
    answers.take(who, shared_items(audits), again=0)
    for place in answers.places(who):
        for map in answers.maps(who, place.id):
            value = 5 if map.model == MODELS[0] else 1
            answers.answer(who, map.id, RECALL, value, turn=0, draw=str(map.id), strength=100)
    found = exported(answers).correlation(scores_of(audits)).set_index(["score", "question", "model"])
    assert found.loc[("auroc", RECALL, "all"), "value"] == pytest.approx(1)  # the obedient maps lie in the region
    assert found.loc[("auroc", RECALL, "all"), "maps"] == 6


def test_the_shell_exports_what_was_answered(tmp_path: Path) -> None:
    answers = Answers(f"sqlite:///{tmp_path / 'answers.sqlite'}")
    annotated(answers)
    answers.close()
    done = CliRunner().invoke(app, ["answers", str(tmp_path), "--output", str(tmp_path / "out.csv")])
    assert done.exit_code == 0, done.output
    assert len(read_annotations(tmp_path / "out.csv").table) == 40
    with pytest.raises(InputError, match=r"has no answers\.sqlite"):
        CliRunner().invoke(app, ["answers", str(tmp_path / "other")], catch_exceptions=False)
