"""Audits keep the pictures, regions and heat maps that they were made of, where that is asked for."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from matplotlib import pyplot as plt

import modalens as ml
from audited import bilateral, obedient, phantom
from modalens.alignment import Audit, HeatMap, Record
from modalens.alignment.kept import loaded_maps, loaded_records, stored_maps, stored_records
from modalens.alignment.ragged import as_dataset, from_dataset
from modalens.alignment.regions import Crop, Flip, Pad, Polygons, Resize, RunLengths
from modalens.errors import InputError

SAID = ("phrase", "labels", "study", "patient", "frontal", "side", "half", "located", "of_finding", "name", "size", "mirrored")  # fmt: skip

KINDS = (np.uint8, np.uint16, np.int16, np.int64, np.float16, np.float32, np.float64, np.bool_)

STEPS = st.sampled_from([
    (), (Flip(),), (Resize(to=11),), (Flip(), Crop(height=5, width=4)), (Crop(height=6, width=5, top=0, left=1), Flip()),
    (Pad(left=2, top=1), Flip(), Flip()), (Crop(height=2, width=2, top=0, left=0),),
])  # fmt: skip


@st.composite
def record(draw: Callable) -> Record:
    """A record of a picture of 8 x 8 to 12 x 12 with regions of all kinds, or none."""
    height, width = draw(st.integers(8, 12)), draw(st.integers(8, 12))
    shape = draw(st.sampled_from([(height, width), (1, height, width), (3, height, width)]))
    picture = np.random.default_rng(draw(st.integers(0, 99))).random(shape) * 300
    x, y = st.floats(0, 4).map(lambda x: round(x, 3)), st.floats(4.25, 8)
    boxes = draw(st.lists(st.tuples(x, x, y, y), max_size=3))
    drawn = draw(arrays.arrays(bool, (height, width)))
    runs = RunLengths(size=(height, width), counts=(3, height * width - 3))
    outline = Polygons(size=(height, width), outlines=(((1, 1), (6, 1), (3, 7)),))
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    return Record(
        phrase=draw(text.filter(str.strip)),
        image=picture.astype(draw(st.sampled_from(KINDS))),
        boxes=boxes,
        masks=tuple(draw(st.lists(st.sampled_from([drawn, runs, outline]), max_size=2))),
        laterality=draw(st.sampled_from(["left", "right", "both", ""])),
        labels=tuple(draw(st.lists(text, max_size=2))),
        abnormal=draw(st.sampled_from([True, False, None])),
        image_id=draw(text),
        study=draw(text),
        patient=draw(text),
        frontal=draw(st.booleans()),
        steps=draw(STEPS),
    )


def check_same(one: Record, other: Record) -> None:
    for name in SAID:
        assert getattr(one, name) == getattr(other, name), name
    assert other.pixels().dtype == one.pixels().dtype
    np.testing.assert_array_equal(other.pixels(), one.pixels())
    np.testing.assert_array_equal(other.truth, one.truth)
    np.testing.assert_allclose(other.seen_boxes, one.seen_boxes, rtol=0, atol=1e-13)
    assert isinstance(other.image, np.ndarray)


@given(st.lists(record(), min_size=1, max_size=6))
def test_records_come_back(records: list[Record]) -> None:
    named = [replace(one, image_id=f"{place} {one.image_id}") for place, one in enumerate(records)]
    for one, other in zip(named, loaded_records(stored_records(named)), strict=True):
        check_same(one, other)


def test_what_steps_took_away_is_known_still() -> None:
    image = np.zeros((8, 12))
    wide = Record(
        phrase="a", image=image, boxes=[(1, 1, 11, 4)], image_id="w", steps=(Crop(height=8, width=6, left=0),)
    )
    gone = Record(
        phrase="b", image=image, boxes=[(9, 1, 11, 4)], image_id="g", steps=(Crop(height=8, width=6, left=0),)
    )
    for one, other in zip((wide, gone), loaded_records(stored_records([wide, gone])), strict=True):
        check_same(one, other)
    assert (wide.side, gone.side, gone.located, gone.truth.any()) == ("both", "left", True, False)


@st.composite
def heat_map(draw: Callable) -> HeatMap:
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    values = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(rows, columns)).astype(kind)
    words = draw(st.integers(0, 2))
    return HeatMap(
        values=values,
        extent=draw(st.sampled_from([None, (0, 0, 4, 4), (-1.5, 0.1, 7.3, 9)])),
        opt_out=draw(st.sampled_from([float("nan"), 0.0, 0.1, 1.0])),
        words=np.stack([values] * words) if words else None,
    )


@given(st.lists(heat_map(), min_size=1, max_size=5), st.booleans())
def test_maps_come_back(distinct: list[HeatMap], words: bool) -> None:
    maps = {"as it is": [*distinct, None], "random boxes": [None, *distinct]}
    loaded = loaded_maps(stored_maps(maps, words=words))
    assert list(loaded) == list(maps)
    for name, of_condition in maps.items():
        for one, other in zip(of_condition, loaded[name], strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                np.testing.assert_array_equal(other.values, one.values)
                np.testing.assert_equal((other.extent, other.opt_out), (one.extent, one.opt_out))
                assert (other.words is None) == (one.words is None or not words)
                if other.words is not None and one.words is not None:
                    assert other.words.dtype == one.words.dtype
                    np.testing.assert_array_equal(other.words, one.words)
    assert loaded["as it is"][0] is loaded["random boxes"][1]  # each map once


@given(st.lists(st.sampled_from(KINDS).flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(max_dims=3, max_side=4))), min_size=1, max_size=5))  # fmt: skip
def test_arrays_come_back_to_the_bit(given_arrays: list[np.ndarray]) -> None:
    for one, other in zip(given_arrays, from_dataset(as_dataset(given_arrays)), strict=True):
        assert other.dtype == one.dtype
        np.testing.assert_array_equal(other, one)


def test_values_are_stored_in_the_smallest_type_that_holds_them() -> None:
    found = as_dataset([np.array([0.0, 255.0]), np.array([256]), np.array([0.5]), np.array([0.1]), np.array([-1.0])])
    assert found.stored.values.tolist() == ["uint8", "uint16", "float32", "float64", "float32"]


def test_an_audit_comes_back_with_its_pictures(tmp_path: Path) -> None:
    audit = ml.audit(obedient, phantom(12))
    assert list(audit.maps) == audit.conditions
    loaded = Audit.load(audit.save(tmp_path / "a.nc", pictures=True))
    for one, other in zip(audit.records, loaded.records, strict=True):
        check_same(one, other)
    assert len({id(one.image) for one in loaded.records}) == len({one.image_id for one in audit.records})
    assert loaded.data.identical(audit.data)
    assert loaded.plot(records=[0]) is not None
    again = Audit.load(loaded.save(tmp_path / "b.nc", pictures=True))
    assert (tmp_path / "b.nc").stat().st_size == (tmp_path / "a.nc").stat().st_size
    check_same(audit.records[3], again.records[3])


def test_an_audit_of_loaded_records_is_the_same(tmp_path: Path) -> None:
    mirrored = [one.through(Flip()) for one in phantom(12)]
    audit = ml.audit(obedient, mirrored)
    loaded = Audit.load(audit.save(tmp_path / "a.nc", pictures=True))
    assert str(ml.audit(obedient, loaded.records)) == str(audit)


@pytest.mark.parametrize(
    "model",
    [
        lambda images, phrases: [np.ones((len(phrase), 2)) for phrase in phrases],
        lambda images, phrases: [HeatMap(values=np.eye(2), extent=(0, 0, 4, 4), opt_out=0.25) for _ in phrases],
    ],
)
def test_maps_of_unequal_grids_or_extents_are_kept_without_pictures(model: object, tmp_path: Path) -> None:
    audit = ml.audit(model, bilateral(2))
    loaded = Audit.load(audit.save(tmp_path / "a.nc"))
    assert loaded.records == ()
    assert str(loaded) == str(audit)
    for one, other in zip(audit.maps["swap left/right"], loaded.maps["swap left/right"], strict=True):
        assert one is not None
        assert other is not None
        assert (other.values.shape, other.extent) == (one.values.shape, one.extent)
        np.testing.assert_equal(other.opt_out, one.opt_out)


def test_pictures_are_saved_only_where_that_is_asked_for(tmp_path: Path) -> None:
    audit = ml.audit(obedient, bilateral(3), perturbations=())
    assert audit.write(tmp_path / "without")[0] == tmp_path / "without" / "audit.nc"
    audit.write(tmp_path / "with", pictures=True)
    assert Audit.load(tmp_path / "without" / "audit.nc").records == ()
    assert len(Audit.load(tmp_path / "with" / "audit.nc").records) == 6
    with h5py.File(tmp_path / "without" / "audit.nc") as file:
        assert "records" not in file
    for name, expected in {"without": False, "with": True}.items():
        written = [(tmp_path / name / f"audit.{ending}").read_bytes() for ending in ("svg", "html")]
        vectors = [written[0], *map(base64.b64decode, re.findall(rb"data:image/svg\+xml;base64,([^\"]+)", written[1]))]
        assert len(vectors) == 2
        assert [b"<image" in one for one in vectors] == [expected, expected]
        assert (b"holds data of single patients" in written[1]) == expected
        assert (b"audit.write(folder, pictures=True)" in written[1]) != expected
    heights = [len(plt.imread(tmp_path / name / "audit.png")) for name in ("without", "with")]
    assert heights[0] < heights[1]
    with pytest.raises(InputError, match=r"holds no pictures to save"):
        Audit.load(tmp_path / "without" / "audit.nc").save(tmp_path / "b.nc", pictures=True)


@pytest.mark.parametrize("where", ["records/pictures/float64", "maps/values/float64", "maps/opt_out"])
def test_a_file_in_which_a_number_changed_is_refused(where: str, tmp_path: Path) -> None:
    def graded(images: Sequence[np.ndarray], phrases: Sequence[str]) -> list[HeatMap]:
        return [HeatMap(values=image, opt_out=0.5) for image in images]

    path = ml.audit(graded, bilateral(3), perturbations=()).save(tmp_path / "a.nc", pictures=True)
    Audit.load(path)
    with h5py.File(path, "r+") as file:
        file[where][0] = 0.75
    with pytest.raises(InputError, match=r"damaged audit: its contents differ from what was saved; save it again"):
        Audit.load(path)


def test_a_text_that_no_file_holds_is_told(tmp_path: Path) -> None:
    audit = ml.audit(obedient, [replace(one, phrase="left\0lung") for one in bilateral(2)], perturbations=())
    with pytest.raises(InputError, match=r"can't be written"):
        audit.save(tmp_path / "a.nc", pictures=True)
