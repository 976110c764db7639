"""The published file formats, from small files laid out as they are published: the records, and the lines that are refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from modalens import ModalensWarning
from modalens.alignment.readers import pictures as pictures_module
from modalens.alignment.readers import (
    read_chest_imagenome,
    read_chest_imagenome_silver,
    read_chexlocalize,
    read_coco,
    read_jsonl,
    read_ms_cxr,
    read_nih_boxes,
    read_padchest_gr,
    read_records,
    read_vindr_cxr,
    write_jsonl,
)
from modalens.alignment.readers import text as text_module
from modalens.alignment.readers.anything import format_of
from modalens.alignment.records import Record
from modalens.alignment.regions import Polygons, Resize, painted, run_lengths_of
from modalens.errors import InputError

HEIGHT, WIDTH = 60, 80
P, S = "10000032", "50414267"
"""A patient and a study, as MIMIC-CXR numbers them."""


def picture(path: Path, height: int = HEIGHT, width: int = WIDTH) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width), dtype=np.uint8)).save(path, format="PNG")
    return path


def mimic(folder: Path, dicom: str, patient: str = P, study: str = S) -> Path:
    return picture(folder / "files" / f"p{patient[:2]}" / f"p{patient}" / f"s{study}" / f"{dicom}.jpg")


def table(path: Path, rows: list[dict[str, Any]], separator: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return path


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def compressed(mask: np.ndarray) -> dict[str, Any]:
    runs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": runs["counts"].decode()}


def boxes_of(record: Record) -> list[list[float]]:
    return np.asarray(record.boxes).tolist()


# MS-CXR


def ms_cxr_row(dicom: str = "a1", **changed: Any) -> dict[str, Any]:
    return {
        "category_name": "Pneumonia", "label_text": "left basilar opacity", "path": f"files/p10/p{P}/s{S}/{dicom}.jpg",
        "x": 10, "y": 20, "w": 30, "h": 15, "image_width": WIDTH, "image_height": HEIGHT, "dicom_id": dicom, "split": "test",
    } | changed  # fmt: skip


def test_ms_cxr_joins_the_boxes_of_a_phrase(tmp_path: Path) -> None:
    mimic(tmp_path, "a1"), mimic(tmp_path, "b2", "19999999", "50000001")
    rows = [
        ms_cxr_row(),
        ms_cxr_row("b2", path="files/p19/p19999999/s50000001/b2.jpg", split="train", label_text="small, left effusion"),
        ms_cxr_row(x=50, y=0, w=30, h=60, category_name="Edema"),
        ms_cxr_row(label_text="another"),
    ]
    found = read_ms_cxr(table(tmp_path / "ms.csv", rows), tmp_path)
    assert [one.phrase for one in found] == ["left basilar opacity", "small, left effusion", "another"]
    first = found[0]
    assert boxes_of(first) == [[10, 20, 40, 35], [50, 0, 80, 60]]
    assert (first.patient, first.study, first.image_id, first.labels) == (P, S, "a1", ("Pneumonia", "Edema"))
    assert first.of_finding
    assert first.truth.sum() == 30 * 15 + 30 * 60
    assert found[1].patient == "19999999"
    assert [one.image_id for one in read_ms_cxr(tmp_path / "ms.csv", tmp_path, split="train")] == ["b2"]
    with pytest.raises(InputError, match=r"no split 'tets' \(did you mean 'test'\?\): it has 'test', 'train'"):
        read_ms_cxr(tmp_path / "ms.csv", tmp_path, split="tets")


def test_ms_cxr_as_json(tmp_path: Path) -> None:
    mimic(tmp_path, "a1")
    content = {
        "images": [{"id": 0, "file_name": "a1.jpg", "path": f"files/p10/p{P}/s{S}/a1.jpg", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 4, "name": "Pneumonia"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 4, "bbox": [10, 20, 30, 15], "label_text": "left basilar opacity"},
            {"id": 2, "image_id": 0, "category_id": 4, "bbox": [50, 0, 30, 60], "label_text": "left basilar opacity"},
        ],
    }  # fmt: skip
    (found,) = read_ms_cxr(written(tmp_path / "ms.json", content), tmp_path)
    assert boxes_of(found) == [[10, 20, 40, 35], [50, 0, 80, 60]]
    assert (found.phrase, found.patient, found.study, found.image_id) == ("left basilar opacity", P, S, "a1")
    assert found.labels == ("Pneumonia",)


def test_pictures_are_found_by_id_where_their_path_is_another(tmp_path: Path) -> None:
    there = picture(tmp_path / "png" / "deep" / "a1.png")
    (found,) = read_ms_cxr(table(tmp_path / "ms.csv", [ms_cxr_row()]), tmp_path / "png")
    assert found.image == there
    picture(tmp_path / "png" / "other" / "a1.tif")
    with pytest.raises(InputError, match=r"ms\.csv, line 2: 2 pictures .* are named 'a1'"):
        read_ms_cxr(tmp_path / "ms.csv", tmp_path / "png")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"w": -3}, r"ms\.csv, line 3: the box \[10\.0, 20\.0, -3\.0, 15\.0\] has no width or height"),
        ({"x": "nan"}, r"line 3, column 'x': a number was expected, 'nan' came"),
        ({"h": ""}, r"line 3, column 'h': a number was expected, '' came"),
        ({"w": 75, "x": 50}, r"line 3: the box \[50\.0, 20\.0, 125\.0, 35\.0\] lies outside the image of 80 x 60 .*\(x, y, width, height\)"),
        ({"label_text": " "}, r"line 3: .* the phrase is empty"),
        ({"image_width": 160, "dicom_id": "c"}, r"line 3: the picture .*a1\.jpg has 80 x 60 pixels .* but 160 x 60 were annotated"),
        ({"path": "../../etc/passwd", "dicom_id": "c"}, r"line 3: '\.\./\.\./etc/passwd' names no picture inside the folder"),
        ({"path": "/etc/passwd", "dicom_id": "c"}, r"line 3: '/etc/passwd' names no picture inside"),
        ({"path": "c:\\a.png", "dicom_id": "c"}, r"line 3: .* names no picture inside"),
    ],
)  # fmt: skip
def test_a_line_that_can_not_be_a_record_is_named(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    mimic(tmp_path, "a1")
    path = table(tmp_path / "ms.csv", [ms_cxr_row(), ms_cxr_row(**changed)])
    with pytest.raises(InputError, match=message):
        read_ms_cxr(path, tmp_path)


def test_absent_pictures_are_an_error_or_counted(tmp_path: Path) -> None:
    mimic(tmp_path, "a1")
    rows = [ms_cxr_row(f"x{i}", path=f"files/x{i}.jpg") for i in range(5)]
    path = table(
        tmp_path / "ms.csv", [*rows, ms_cxr_row(), ms_cxr_row("x0", path="files/x0.jpg", label_text="another")]
    )
    with pytest.raises(
        InputError, match=r"5 of its pictures are not in .* 'files/x0\.jpg', .*x1.*x2\.jpg'\. .*missing='skip'"
    ):
        read_ms_cxr(path, tmp_path)
    with pytest.warns(ModalensWarning, match=r"5 of its pictures .* is left out"):
        assert [one.image_id for one in read_ms_cxr(path, tmp_path, missing="skip")] == ["a1"]
    with pytest.raises(InputError, match=r"missing='ignore' is not known"):
        read_ms_cxr(path, tmp_path, missing="ignore")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"is no folder: give the folder that holds the pictures"):
        read_ms_cxr(path, tmp_path / "nowhere")


def test_tables_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(InputError, match=r"a\.csv is not there"):
        read_ms_cxr(path, tmp_path)
    path.write_text("")
    with pytest.raises(InputError, match=r"a\.csv is empty"):
        read_ms_cxr(path, tmp_path)
    path.write_text("dicom_id,label_txt\n")
    with pytest.raises(InputError, match=r"no rows under its header"):
        read_ms_cxr(path, tmp_path)
    path.write_text("dicom_id,label_txt\na,b\n")
    with pytest.raises(InputError, match=r"no column 'category_name'"):
        read_ms_cxr(path, tmp_path)
    path.write_bytes(b"\x1f\x8b\x08\x00\xff\xfe")
    with pytest.raises(InputError, match=r"can't be read as a table .* compressed"):
        read_ms_cxr(path, tmp_path)
    table(path, [ms_cxr_row()])
    path.write_text(path.read_text() + "Pneumonia,cut off\n")
    with pytest.raises(InputError, match=r"line 3: 2 cells under 11 columns: is the line cut off"):
        read_ms_cxr(path, tmp_path)


def test_files_above_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "ms.csv", [ms_cxr_row()])
    monkeypatch.setattr(text_module, "LARGEST", 20)
    for reader in (read_ms_cxr, read_jsonl, read_coco, read_chexlocalize, read_nih_boxes):
        with pytest.raises(InputError, match=r"bytes, more than the 20 that are read: cut it into several"):
            reader(path, tmp_path)


# Chest ImaGenome


def gold_row(sentence: str, box: str, label: str, context: str = "yes", category: str = "anatomicalfinding", **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "patient_id": P, "study_id": S, "image_id": "a1.dcm", "row_id": 1, "sentence": sentence, "bbox": "left lung",
        "label_name": label, "context": context, "relation": 1, "categoryID": category, "coord_original": box,
    } | more  # fmt: skip


def test_chest_imagenome_joins_the_regions_of_a_sentence(tmp_path: Path) -> None:
    mimic(tmp_path, "a1")
    rows = [
        gold_row("Left effusion.", "[10, 20, 40, 50]", "pleural effusion"),
        gold_row("Left effusion.", "[10, 20, 40, 50]", "abnormal", category="nlp"),
        gold_row("Left effusion.", "[50, 0, 96, 30]", "lung opacity"),  # over the right edge
        gold_row("Left effusion.", "[0, 0, 5, 5]", "lung opacity", relation=0),  # not of this region
        gold_row("No pneumothorax.", "[0, 0, 9, 9]", "pneumothorax", "no"),
        gold_row("No pneumothorax.", "[0, 0, 9, 9]", "normal", category="nlp"),
        gold_row("Tube in place.", "[0, 0, 9, 9]", "endotracheal tube", category="tubesandlines"),
        gold_row("Unchanged.", "[0, 0, 9, 9]", "abnormal", category="nlp"),
        gold_row("Outside.", "[90, 0, 99, 9]", "abnormal", category="nlp"),
    ]
    path = table(tmp_path / "gold.txt", rows, "\t")
    with pytest.warns(ModalensWarning, match=r"gold\.txt: 1 boxes have no area inside their picture"):
        effusion, nothing, tube, unchanged, outside = read_chest_imagenome(path, tmp_path)
    assert boxes_of(effusion) == [[10, 20, 40, 50], [50, 0, 80, 30]]
    assert (effusion.patient, effusion.study, effusion.image_id) == (P, S, "a1")
    assert (effusion.abnormal, effusion.labels) == (True, ("pleural effusion", "lung opacity"))
    assert (nothing.abnormal, nothing.labels) == (False, ("pneumothorax",))
    assert nothing.located
    assert (tube.abnormal, unchanged.abnormal) == (False, True)
    assert not outside.located


@pytest.mark.parametrize("cell", ["[1, 2, 3]", "", "open('ran', 'w')", "[1, 2, 'a', 4]", "[1, 2, None, 4]"])
def test_coordinates_that_are_none_are_refused_and_never_run(
    tmp_path: Path, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mimic(tmp_path, "a1")
    path = table(tmp_path / "gold.txt", [gold_row("A.", cell, "x")], "\t")
    with pytest.raises(InputError, match=r"gold\.txt, line 2, column 'coord_original': "):
        read_chest_imagenome(path, tmp_path)
    assert not (tmp_path / "ran").exists()


def scene_graph(**changed: Any) -> dict[str, Any]:
    def thing(name: str, *box: int) -> dict[str, Any]:
        sides = dict(zip(("original_x1", "original_y1", "original_x2", "original_y2"), box, strict=True))
        return {"object_id": f"a1_{name}", "bbox_name": name, **sides, "x1": 0, "y1": 0, "x2": 1, "y2": 1}

    def region(name: str, *said: tuple[str, str, list[str]]) -> dict[str, Any]:
        phrases, identifiers, attributes = zip(*said, strict=True)
        return {"bbox_name": name, "phrases": phrases, "phrase_IDs": identifiers, "attributes": attributes}

    effusion = ("Bilateral\n effusions.", "1|1", ["anatomicalfinding|yes|pleural effusion", "nlp|yes|abnormal"])
    none = ("No pneumothorax.", "1|2", ["anatomicalfinding|no|pneumothorax", "nlp|yes|normal"])
    return {
        "image_id": "a1", "patient_id": int(P), "study_id": int(S), "viewpoint": "AP",
        "objects": [thing("left lung", 45, 5, 75, 55), thing("right lung", 5, 5, 35, 55)],
        "attributes": [
            region("left lung", effusion, none), region("right lung", effusion),
            region("neck", ("Neck unremarkable.", "1|3", ["nlp|yes|normal"])),
        ],
    } | changed  # fmt: skip


def test_scene_graphs_join_the_regions_of_a_phrase(tmp_path: Path) -> None:
    mimic(tmp_path, "a1")
    graphs = tmp_path / "scene_graph"
    graphs.mkdir()
    written(graphs / "a1_SceneGraph.json", scene_graph())
    written(graphs / "b2_SceneGraph.json", {})
    both, none, neck = read_chest_imagenome_silver(graphs, tmp_path, image_ids=["a1"])
    assert both.phrase == "Bilateral effusions."
    assert boxes_of(both) == [[45, 5, 75, 55], [5, 5, 35, 55]]
    assert (both.side, none.side, neck.side) == ("both", "left", "")
    assert (both.abnormal, none.abnormal, neck.abnormal) == (True, False, False)
    assert (both.labels, none.labels, neck.labels) == (("pleural effusion",), ("pneumothorax",), ())
    assert (both.patient, both.study) == (P, S)
    assert not neck.located
    with pytest.raises(InputError, match=r"b2_SceneGraph\.json: 'objects' is missing"):
        read_chest_imagenome_silver(graphs, tmp_path)
    with pytest.raises(InputError, match=r"no scene graph of 1 of the image_ids, such as 'c3_SceneGraph\.json'"):
        read_chest_imagenome_silver(graphs, tmp_path, image_ids=["a1", "c3"])


def test_scene_graphs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no files named \*_SceneGraph\.json"):
        read_chest_imagenome_silver(tmp_path, tmp_path)
    graph = scene_graph()
    graph["attributes"][0]["phrase_IDs"] = ["1|1"]
    mimic(tmp_path, "a1")
    written(tmp_path / "a1_SceneGraph.json", graph)
    with pytest.raises(InputError, match=r"region 'left lung': 2, 1, 2 phrases, phrase_IDs and attributes"):
        read_chest_imagenome_silver(tmp_path, tmp_path)
    graph = scene_graph()
    graph["attributes"][2]["attributes"] = [["normal"]]
    written(tmp_path / "a1_SceneGraph.json", graph)
    with pytest.raises(InputError, match=r"attribute 'normal' is not category\|yes or no\|label"):
        read_chest_imagenome_silver(tmp_path, tmp_path)


# CheXlocalize

CXR = "patient64541_study1_view1_frontal"


def test_chexlocalize_run_lengths(tmp_path: Path) -> None:
    there = picture(tmp_path / "patient64541" / "study1" / "view1_frontal.jpg")
    picture(tmp_path / "patient64542" / "study2" / "view2_lateral.jpg")
    mask = painted(np.array([[10, 20, 30, 50]]), (HEIGHT, WIDTH))
    content = {
        CXR: {"Edema": compressed(mask), "Lung Lesion": compressed(mask & ~mask)},
        "patient64542_study2_view2_lateral": {"Edema": compressed(mask)},
    }
    edema, lesion, lateral = read_chexlocalize(written(tmp_path / "gt.json", content), tmp_path, prompts="There is {finding}.")  # fmt: skip
    assert edema.phrase == "There is Edema."
    assert (edema.truth == mask).all()
    assert edema.image == there
    assert (edema.patient, edema.study, edema.side) == ("patient64541", "patient64541_study1", "right")
    assert (lesion.located, lesion.abnormal, lesion.labels) == (False, False, ("Lung Lesion",))
    assert (lateral.frontal, lateral.side, lateral.study) == (False, "", "patient64542_study2")


def test_chexlocalize_polygons(tmp_path: Path) -> None:
    picture(tmp_path / f"{CXR}.png")  # named by its id
    outlines = [[[10, 20], [30, 20], [30, 50], [10, 50]], [[1, 1], [2, 2]]]
    content = {CXR: {"img_size": [HEIGHT, WIDTH], "Edema": outlines}}
    (edema,) = read_chexlocalize(written(tmp_path / "gt.json", content), tmp_path)
    assert (edema.truth == painted(np.array([[10, 20, 30, 50]]), (HEIGHT, WIDTH))).all()
    assert edema.phrase == "Edema"


@pytest.mark.parametrize(
    ("findings", "message"),
    [
        ({"Edema": {"size": [30, 40], "counts": "0"}}, r"'Edema': the picture .* has 80 x 60 pixels .* but 40 x 30 were annotated"),
        ({"Edema": {"size": [HEIGHT, WIDTH], "counts": "ifdl3"}}, r"'Edema': run lengths that add up to"),
        ({"Edema": {"size": [HEIGHT, WIDTH]}}, r"'Edema': 'counts' is missing"),
        ({"Edema": {"size": [HEIGHT], "counts": "0"}}, r"size: 2 numbers were expected, '\[60\]' came"),
        ({"Edema": 3}, r"an object with 'size' was expected, '3' came"),
        ({"img_size": [HEIGHT, WIDTH], "Edema": [[[1, 2], [3, 4]]]}, r"'Edema': none of its outlines has three points"),
        ({"img_size": [HEIGHT, WIDTH], "Edema": [[[1, 2], [3, 4], [5]]]}, r"'Edema': 2 numbers were expected, '\[5\]' came"),
        ([], r"image 'patient64541_study1_view1_frontal': an object of findings was expected"),
    ],
)  # fmt: skip
def test_masks_that_are_none(tmp_path: Path, findings: Any, message: str) -> None:
    picture(tmp_path / f"{CXR}.png")
    with pytest.raises(InputError, match=message):
        read_chexlocalize(written(tmp_path / "gt.json", {CXR: findings}), tmp_path)


# VinDr-CXR


def vindr_row(reader: str, finding: str, *box: float, image: str = "v1") -> dict[str, Any]:
    corners = dict(zip(("x_min", "y_min", "x_max", "y_max"), box or ("",) * 4, strict=True))
    return {"image_id": image, "rad_id": reader, "class_name": finding, **corners}


def test_vindr_cxr_joins_radiologists_or_takes_one(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "v1.dicom.png"), picture(tmp_path / "train" / "v2.png")
    rows = [
        vindr_row("R9", "Nodule/Mass", 10.5, 20.25, 30, 40), vindr_row("R8", "Nodule/Mass", 12, 20, 32, 40),
        vindr_row("R10", "No finding"), vindr_row("R8", "No finding", image="v2"), vindr_row("R9", "No finding", image="v2"),
    ]  # fmt: skip
    path = table(tmp_path / "annotations_train.csv", rows)
    (tmp_path / "train" / "v1.dicom.png").rename(tmp_path / "train" / "v1.png")
    nodule, nothing = read_vindr_cxr(
        path, tmp_path / "train", prompts={"Nodule/Mass": "A nodule.", "No finding": "Normal."}
    )
    assert boxes_of(nodule) == [[10.5, 20.25, 30, 40], [12, 20, 32, 40]]
    assert (nodule.phrase, nodule.labels, nodule.abnormal, nodule.image_id) == (
        "A nodule.",
        ("Nodule/Mass",),
        True,
        "v1",
    )
    assert (nothing.phrase, nothing.located, nothing.abnormal, nothing.image_id) == ("Normal.", False, False, "v2")
    assert [(one.phrase, len(one.boxes)) for one in read_vindr_cxr(path, tmp_path, readers="R8")] == [("Nodule/Mass", 1), ("No finding", 0)]  # fmt: skip
    assert [one.phrase for one in read_vindr_cxr(path, tmp_path, readers="R10")] == ["No finding"]
    with pytest.raises(InputError, match=r"readers='R7': .* no such radiologist"):
        read_vindr_cxr(path, tmp_path, readers="R7")
    with pytest.raises(InputError, match=r"line 2: prompts has no text for 'Nodule/Mass'"):
        read_vindr_cxr(path, tmp_path, prompts={"Nodule": "A nodule."})
    with pytest.raises(InputError, match=r"prompts='nodule' has no place for the finding"):
        read_vindr_cxr(path, tmp_path, prompts="nodule")


def test_vindr_cxr_test_set_has_no_radiologists(tmp_path: Path) -> None:
    picture(tmp_path / "v1.png")
    rows = [{k: v for k, v in vindr_row("", "Edema", 1, 2, 3, 4).items() if k != "rad_id"}]
    path = table(tmp_path / "annotations_test.csv", rows)
    assert boxes_of(read_vindr_cxr(path, tmp_path)[0]) == [[1, 2, 3, 4]]
    with pytest.raises(InputError, match=r"give 'union' or one of none"):
        read_vindr_cxr(path, tmp_path, readers="R1")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((), r"line 2, column 'x_min': a number was expected"),
        ((30, 20, 10, 40), r"line 2: the box \[30\.0, 20\.0, 10\.0, 40\.0\] has no area"),
        ((10, 20, 99, 40), r"line 2: .*outside the image of 80 x 60"),
    ],
)
def test_vindr_cxr_boxes_that_are_none(tmp_path: Path, box: tuple[float, ...], message: str) -> None:
    picture(tmp_path / "v1.png")
    with pytest.raises(InputError, match=message):
        read_vindr_cxr(table(tmp_path / "a.csv", [vindr_row("R1", "Edema", *box)]), tmp_path)


# PadChest-GR


def padchest(*findings: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"StudyID": "s1", "ImageID": "1_2-3.png", "findings": list(findings)}]


POSITIVE = {
    "sentence_en": "Right effusion.", "sentence_es": "Derrame derecho.", "abnormal": True, "labels": ["pleural effusion"],
    "boxes": [[0.125, 0.5, 0.5, 1.0]], "extra_boxes": [[0.25, 0.5, 0.75, 1.0]], "locations": ["right"], "progression": None,
}  # fmt: skip
NEGATIVE = {"sentence_en": "No pneumothorax.", "sentence_es": "Sin neumotórax.", "abnormal": False}


def test_padchest_gr_keeps_the_negative_sentences(tmp_path: Path) -> None:
    picture(tmp_path / "PadChest_GR" / "1_2-3.png")
    path = written(tmp_path / "grounded_reports_20240819.json", padchest(POSITIVE, NEGATIVE))
    effusion, none = read_padchest_gr(path, tmp_path)
    assert boxes_of(effusion) == [[10, 30, 40, 60]]
    assert (effusion.phrase, effusion.labels, effusion.study, effusion.image_id) == ("Right effusion.", ("pleural effusion",), "s1", "1_2-3")  # fmt: skip
    assert (none.located, none.abnormal, none.of_finding, none.truth.any()) == (False, False, False, False)
    both, spanish = read_padchest_gr(path, tmp_path, extra_boxes=True, language="es", patients={"s1": "p1"})
    assert boxes_of(both) == [[10, 30, 40, 60], [20, 30, 60, 60]]
    assert (spanish.phrase, spanish.patient) == ("Sin neumotórax.", "p1")
    with pytest.raises(InputError, match=r"patients has none for the study 's1'"):
        read_padchest_gr(path, tmp_path, patients={})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"boxes": [[10, 30, 40, 60]]}, r"finding 1: .*does not lie in 0 to 1"),
        ({"boxes": [[0.5, 0.5, 0.2, 0.3]]}, r"finding 1: .*has no area"),
        ({"boxes": [[0.5, 0.5, 0.2]]}, r"finding 1: .*4 numbers were expected"),
        ({"sentence_en": ""}, r"finding 1: .*phrase is empty"),
        ({"sentence_en": None}, r"finding 1: .*phrase is empty"),
    ],
)
def test_padchest_gr_findings_that_are_none(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    picture(tmp_path / "1_2-3.png")
    with pytest.raises(InputError, match=message):
        read_padchest_gr(written(tmp_path / "a.json", padchest(POSITIVE | changed)), tmp_path)


# NIH ChestX-ray14


def nih(path: Path, *lines: str) -> Path:
    path.write_text("Image Index,Finding Label,Bbox [x,y,w,h],,,\n" + "".join(f"{line},,,\n" for line in lines))
    return path


def test_nih_boxes_under_a_header_over_four_columns(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "00013118_008.png", 1024, 1024)
    line = "00013118_008.png,Atelectasis,225.084745762712,547.019216763771,86.7796610169491,79.1864406779661"
    path = nih(tmp_path / "BBox_List_2017.csv", line, "00013118_008.png,Atelectasis,1,2,3,4", "00013118_008.png,Mass,1,2,3,4")  # fmt: skip
    atelectasis, mass = read_nih_boxes(path, tmp_path / "images", prompts="There is {finding}.")
    assert boxes_of(atelectasis)[0] == pytest.approx([225.0847, 547.0192, 311.8644, 626.2057], abs=1e-3)
    assert boxes_of(atelectasis)[1] == boxes_of(mass)[0] == [1, 2, 4, 6]
    assert (mass.phrase, mass.patient, mass.study) == ("There is Mass.", "00013118", "00013118_008")


def test_nih_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "00000001_000.png", 224, 224)
    path = nih(tmp_path / "a.csv", "00000001_000.png,Mass,1,2,3,4")
    with pytest.raises(
        InputError, match=r"line 2: .* has 224 x 224 pixels .* but 1024 x 1024 were annotated.*record\.through"
    ):
        read_nih_boxes(path, tmp_path)
    with pytest.raises(InputError, match=r"line 2: .*\(x, y, width, height\)|line 2: .*outside"):
        read_nih_boxes(nih(path, "00000001_000.png,Mass,900,2,300,4"), tmp_path)
    with pytest.raises(InputError, match=r"line 2: a number was expected, '' came"):
        read_nih_boxes(nih(path, "00000001_000.png,Mass"), tmp_path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"has the header \['a', 'b'\]"):
        read_nih_boxes(path, tmp_path)


# COCO


def coco_file(path: Path, *annotations: dict[str, Any], **more: Any) -> Path:
    image = {"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT, "patient": "p1", "study": "s1"}
    numbered = [{"id": place, "image_id": 7, "category_id": 3} | one for place, one in enumerate(annotations)]
    content = {"images": [image], "categories": [{"id": 3, "name": "nodule"}], "annotations": numbered}
    return written(path, content | more)


def test_coco_boxes_run_lengths_and_polygons(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    mask = painted(np.array([[10, 20, 30, 50]]), (HEIGHT, WIDTH))
    path = coco_file(
        tmp_path / "a.json",
        {"bbox": [40, 0, 20, 10]},
        {"bbox": [9, 9, 9, 9], "segmentation": compressed(mask)},
        {"bbox": [9, 9, 9, 9], "segmentation": [[70, 50, 80, 50, 80, 60, 70, 60]], "caption": "low on the left"},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": list(run_lengths_of(mask).counts)}, "caption": "again"},
    )
    nodule, low, again = read_coco(path, tmp_path, prompts="A {finding}.")
    assert (nodule.truth == (mask | painted(np.array([[40, 0, 60, 10]]), mask.shape))).all()
    assert (nodule.phrase, nodule.labels, nodule.patient, nodule.study) == ("A nodule.", ("nodule",), "p1", "s1")
    assert (low.phrase, low.truth.sum(), low.truth[50:, 70:].all()) == ("low on the left", 100, True)
    assert (again.truth == mask).all()


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({}, r"annotation 0: 'bbox' is missing"),
        ({"bbox": [1, 2, 3]}, r"annotation 0: 4 numbers were expected"),
        ({"bbox": [70, 50, 80, 60]}, r"annotation 0: the box \[70\.0, 50\.0, 150\.0, 110\.0\] lies outside"),
        ({"bbox": [1, 2, 3, 0]}, r"annotation 0: .* has no width or height"),
        ({"image_id": 8}, r"annotation 0: there is no image 8"),
        ({"category_id": 9}, r"annotation 0 has neither a text nor a category"),
        ({"segmentation": [[1, 2, 3, 4]]}, r"annotation 0: a polygon has three points or more"),
        ({"segmentation": {"size": [6, 8], "counts": [48]}}, r"annotation 0: a mask of 6 x 8 on a picture of 60 x 80"),
    ],
)
def test_coco_annotations_that_are_none(tmp_path: Path, annotation: dict[str, Any], message: str) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(InputError, match=message):
        read_coco(coco_file(tmp_path / "a.json", annotation), tmp_path)


def test_coco_ids_that_stand_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.json, images: the id 1 stands twice"):
        read_coco(coco_file(tmp_path / "a.json", images=[{"id": 1}, {"id": 1}]), tmp_path)


# JSONL


def full_record(folder: Path) -> Record:
    mask = painted(np.array([[50, 5, 70, 20]]), (HEIGHT, WIDTH))
    return Record(
        phrase="Trübung links – „klein“", image=picture(folder / "sub" / "a.png"), boxes=[(1.5, 2, 30, 40)],
        masks=(mask, run_lengths_of(mask[:, ::-1]), Polygons(size=mask.shape, outlines=(((3, 50), (9, 50), (9, 59)),))),
        laterality="left", labels=("opacity", "edema"), abnormal=False, image_id="a", study="s", patient="p", frontal=False,
    )  # fmt: skip


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    one = full_record(tmp_path)
    other = Record(phrase="No pneumothorax.", image=one.image)
    write_jsonl([one, other], tmp_path / "a.jsonl")
    again, plain = read_jsonl(tmp_path / "a.jsonl")
    assert (again.truth == one.truth).all()
    assert boxes_of(again) == boxes_of(one)
    for name in ("phrase", "image", "laterality", "labels", "abnormal", "image_id", "study", "patient", "frontal"):
        assert getattr(again, name) == getattr(one, name)
    assert (plain.phrase, plain.located, plain.abnormal, plain.frontal, plain.side) == (other.phrase, False, None, True, "")  # fmt: skip


def test_the_keys_of_a_line(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    mask = painted(np.array([[50, 5, 70, 20]]), (HEIGHT, WIDTH))
    lines = [
        {"image": "a.png", "text": "One.", "boxes": [[1, 2, 3, 4]], "group": "p9", "width": WIDTH, "height": HEIGHT},
        {
            "image": "a",
            "text": "Two.",
            "rle": compressed(mask),
            "labels": ["x"],
            "laterality": "right",
            "comment": "free",
        },
    ]
    (tmp_path / "a.jsonl").write_text("\n\n".join(json.dumps(line) for line in lines))
    one, two = read_jsonl(tmp_path / "a.jsonl")
    assert (boxes_of(one), one.patient, one.image_id) == ([[1, 2, 3, 4]], "p9", "a.png")
    assert (two.truth == mask).all()
    assert (two.labels, two.side) == (("x",), "right")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"text": ""}, r"phrase is empty"),
        ({"text": None}, r"phrase is empty"),
        ({"boxes": [[1, 2, 3]]}, r"4 numbers were expected, '\[1, 2, 3\]' came"),
        ({"boxes": [[30, 20, 10, 10]]}, r"has no area .*is it \(x, y, width, height\)"),
        ({"boxes": [[1, 2, 300, 10]]}, r"outside the image of 80 x 60"),
        ({"boxes": [[1, 2, float("nan"), 10]]}, r"a number was expected, nan came"),
        ({"boxes": 3}, r"a list was expected"),
        ({"bbox": [[1, 2, 3, 4]]}, r"the key 'bbox' is not known \(did you mean 'boxes'\?\)"),
        ({"width": 160, "height": 120}, r"has 80 x 60 pixels .* but 160 x 120 were annotated"),
        ({"width": 80}, r"width and height are given together"),
        ({"rle": {"size": [6, 8], "counts": [48]}}, r"a mask of 6 x 8 on a picture of 60 x 80"),
        ({"laterality": "Right"}, r"laterality='Right' is not known"),
        ({"abnormal": "no"}, r"abnormal is true or false, 'no' came"),
        ({"image": "../a.png"}, r"names no picture inside"),
        ({"polygons": [[[1, 2], [3, 4]]]}, r"three points"),
        ({"polygons": [[1, 2]]}, r"2 numbers were expected"),
    ],
)
def test_a_line_of_json_that_can_not_be_a_record_is_named(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    picture(tmp_path / "a.png")
    good = {"image": "a.png", "text": "One."}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(good)}\n\n{json.dumps(good | changed)}\n")
    with pytest.raises(InputError, match=message) as caught:
        read_jsonl(tmp_path / "a.jsonl")
    assert "a.jsonl, line 3" in str(caught.value)


def test_lines_that_are_no_json(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for text in ("{'image': 1}\n", '{"image": "a.png", "text"\n', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(InputError, match=r"a\.jsonl, line 1: this is no JSON"):
            read_jsonl(path)
    path.write_text("7\n")
    with pytest.raises(InputError, match=r"line 1: an object with 'image' was expected"):
        read_jsonl(path)
    path.write_text("\n")
    with pytest.raises(InputError, match=r"no lines with a phrase"):
        read_jsonl(path)
    path.write_bytes(b'{"image": "\xff"}\n')
    with pytest.raises(InputError, match=r"no text in UTF-8"):
        read_jsonl(path)


def test_records_that_a_file_can_not_hold(tmp_path: Path) -> None:
    one = full_record(tmp_path)
    path = tmp_path / "a.jsonl"
    with pytest.raises(InputError, match=r"picture is an array"):
        write_jsonl([Record(phrase="A.", image=np.zeros((4, 4)))], path)
    with pytest.raises(InputError, match=r"steps can't be written"):
        write_jsonl([one.through(Resize(to=20))], path)
    with pytest.raises(InputError, match=r"the picture is not in .*elsewhere: give the folder"):
        write_jsonl([one], path, tmp_path / "elsewhere")
    assert not path.exists()


# Any of them


def test_the_format_is_told_by_what_the_file_holds(tmp_path: Path) -> None:
    mask = compressed(np.zeros((HEIGHT, WIDTH)))
    made: dict[Callable[..., Any], list[Path]] = {
        read_ms_cxr: [table(tmp_path / "1.csv", [ms_cxr_row()]), coco_file(tmp_path / "1.json", {"bbox": [1, 2, 3, 4], "label_text": "a"})],
        read_chest_imagenome: [table(tmp_path / "2.txt", [gold_row("A.", "[1, 2, 3, 4]", "x")], "\t")],
        read_chest_imagenome_silver: [tmp_path],
        read_chexlocalize: [written(tmp_path / "3.json", {CXR: {"Edema": mask}}), written(tmp_path / "4.json", {CXR: {"img_size": [1, 2]}})],
        read_vindr_cxr: [table(tmp_path / "5.csv", [vindr_row("R1", "Edema", 1, 2, 3, 4)])],
        read_padchest_gr: [written(tmp_path / "6.json", padchest(POSITIVE))],
        read_nih_boxes: [nih(tmp_path / "7.csv", "a.png,Mass,1,2,3,4")],
        read_coco: [coco_file(tmp_path / "8.json", {"bbox": [1, 2, 3, 4]})],
        read_jsonl: [written(tmp_path / "9.jsonl", {"image": "a.png", "text": "A."})],
    }  # fmt: skip
    for reader, paths in made.items():
        for path in paths:
            assert format_of(path) is reader


def test_read_records_passes_the_reader_s_options_on(tmp_path: Path) -> None:
    picture(tmp_path / "v1.png")
    path = table(tmp_path / "a.csv", [vindr_row("R1", "Edema", 1, 2, 3, 4), vindr_row("R2", "Edema", 5, 6, 7, 8)])
    assert boxes_of(read_records(path)[0]) == [[1, 2, 3, 4], [5, 6, 7, 8]]
    (one,) = read_records(path, tmp_path, readers="R2", prompts="{finding}!")
    assert (one.phrase, boxes_of(one)) == ("Edema!", [[5, 6, 7, 8]])
    with pytest.raises(TypeError, match=r"'reader' \(did you mean 'readers'\?\): it takes those of read_vindr_cxr"):
        read_records(path, reader="R2")


@pytest.mark.parametrize("content", [{"a": 1}, [], [1], 7, {}, {"a": {"b": 2}}, None])
def test_json_of_no_known_format(tmp_path: Path, content: Any) -> None:
    with pytest.raises(InputError, match=r"a\.json is of no known format: its JSON is .* Known are .*CheXlocalize"):
        read_records(written(tmp_path / "a.json", content))


def test_tables_of_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("patient,age\n1,2\n")
    with pytest.raises(InputError, match=r"a\.csv is of no known format: its first line is 'patient,age'"):
        read_records(tmp_path / "a.csv")


def test_a_picture_s_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mimic(tmp_path, "a1")
    looked: list[Path] = []
    true = pictures_module.size_of
    monkeypatch.setattr(pictures_module, "size_of", lambda path: looked.append(path) or true(path))
    read_ms_cxr(table(tmp_path / "a.csv", [ms_cxr_row(label_text=f"phrase {i}") for i in range(5)]), tmp_path)
    assert len(looked) == 1
