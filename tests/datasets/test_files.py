"""Readers of one's own files: what comes back, and what the errors say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

from modalens import InputError
from modalens.datasets import read_csv, read_images, read_npz


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    path = tmp_path / "scans.npz"
    np.savez(path, ct=np.arange(6).reshape(3, 2), pet=np.ones(3))
    return path


@pytest.fixture
def clinical(tmp_path: Path) -> Path:
    path = tmp_path / "clinical.csv"
    pd.DataFrame({"patient": ["p1", "p2"], "age": [61, 70], "creatinine": [0.9, 1.4]}).to_csv(path, index=False)
    return path


def save(folder: Path, name: str, pixels: np.ndarray) -> None:
    Picture.fromarray(pixels).save(folder / name)


def test_npz_reads_the_named_array(scans: Path) -> None:
    assert read_npz(scans, "ct").tolist() == [[0, 1], [2, 3], [4, 5]]
    assert read_npz(scans, "pet").tolist() == [1, 1, 1]


def test_npz_needs_no_key_for_one_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", only=np.ones(2))
    np.save(tmp_path / "plain.npy", np.zeros(2))
    assert read_npz(tmp_path / "one.npz").tolist() == [1, 1]
    assert read_npz(str(tmp_path / "plain.npy")).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("scan.npz", "ct", r"does not exist \(did you mean 'scans.npz'\?\)"),
        ("scans.npz", None, "holds 2 arrays: say which as key, one of 'ct', 'pet'"),
        ("scans.npz", "pett", r"no array 'pett' \(did you mean 'pet'\?\): it holds 'ct', 'pet'"),
    ],
)
def test_npz_says_what_there_is(scans: Path, name: str, key: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_npz(scans.parent / name, key)


def test_npz_says_that_the_folder_is_absent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither does its folder"):
        read_npz(tmp_path / "nowhere" / "scans.npz")


@pytest.mark.parametrize("name", ["objects.npz", "objects.npy"])
def test_pickled_objects_are_refused(tmp_path: Path, name: str) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    if name.endswith("npz"):
        np.savez(tmp_path / name, objects=objects)
    else:
        np.save(tmp_path / name, objects)
    with pytest.raises(InputError, match="holds objects, which are never read; save numbers or text"):
        read_npz(tmp_path / name)


def test_npz_refuses_a_key_for_an_npy_and_what_is_no_array(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.zeros(2))
    with pytest.raises(InputError, match="leave out the key 'ct'"):
        read_npz(tmp_path / "plain.npy", "ct")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(InputError, match="can't be read as arrays"):
        read_npz(tmp_path / "torn.npz")


def test_csv_selects_orders_and_indexes(clinical: Path) -> None:
    table = read_csv(clinical, columns=["creatinine", "age"], index="patient")
    assert list(table.columns) == ["creatinine", "age"]
    assert table.loc["p2", "age"] == 70
    assert list(read_csv(clinical).columns) == ["patient", "age", "creatinine"]
    assert list(read_csv(clinical, index="patient").columns) == ["age", "creatinine"]


def test_csv_names_near_columns(clinical: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'creatinin' \(did you mean 'creatinine'\?\)"):
        read_csv(clinical, columns=["creatinin"])
    with pytest.raises(InputError, match="no column 'id'"):
        read_csv(clinical, index="id")


def test_csv_refuses_patients_that_stand_twice(tmp_path: Path) -> None:
    (tmp_path / "twice.csv").write_text("patient,age\np1,3\np1,4\n,5\n")
    with pytest.raises(InputError, match="1 are empty, and standing twice: 'p1'"):
        read_csv(tmp_path / "twice.csv", index="patient")


def test_csv_refuses_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="can't be read as a comma-separated table"):
        read_csv(tmp_path / "empty.csv")


def test_images_come_sorted_scaled_and_channels_first(tmp_path: Path) -> None:
    pixels = np.zeros((4, 5, 3), dtype=np.uint8)
    pixels[0, 1] = (255, 51, 0)
    save(tmp_path, "b.png", pixels)
    save(tmp_path, "a.png", np.zeros_like(pixels))
    images = read_images(tmp_path)
    assert images.shape == (2, 3, 4, 5)
    assert images.dtype == np.float32
    assert images[0].max() == 0
    assert images[1, :, 0, 1] == pytest.approx([1, 0.2, 0])


def test_images_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for value in (10, 20, 30):
        save(tmp_path, f"p{value}.png", np.full((2, 2), value, dtype=np.uint8))
    images = read_images(tmp_path, names=["p30", "p10.png"])
    assert images.shape == (2, 1, 2, 2)
    assert (images[:, 0, 0, 0] * 255).tolist() == pytest.approx([30, 10])
    with pytest.raises(InputError, match=r"p31.png does not exist \(did you mean 'p3?[0-9]+.png'\?\)"):
        read_images(tmp_path, names=["p31"])


def test_deep_images_keep_their_depth(tmp_path: Path) -> None:
    save(tmp_path, "deep.png", np.full((2, 2), 13107, dtype=np.uint16))
    assert np.allclose(read_images(tmp_path), 0.2)
    assert np.allclose(read_images(tmp_path, size=4), 0.2)


def test_grey_becomes_three_channels_beside_colour_and_transparency_is_black(tmp_path: Path) -> None:
    save(tmp_path, "a.png", np.full((2, 2), 102, dtype=np.uint8))
    save(tmp_path, "b.png", np.full((2, 2, 4), (255, 255, 255, 0), dtype=np.uint8))
    images = read_images(tmp_path)
    assert images.shape == (2, 3, 2, 2)
    assert np.allclose(images[0], 0.4)
    assert np.allclose(images[1], 0)


def test_unequal_sizes_are_refused_with_the_remedy_which_works(tmp_path: Path) -> None:
    save(tmp_path, "a.png", np.zeros((4, 6), dtype=np.uint8))
    save(tmp_path, "b.png", np.zeros((8, 6), dtype=np.uint8))
    with pytest.raises(InputError, match=r"2 sizes \(a.png is 4 x 6, b.png is 8 x 6\): give size=, such as size=4"):
        read_images(tmp_path)
    assert read_images(tmp_path, size=4).shape == (2, 1, 4, 4)
    assert read_images(tmp_path, size=(4, 6)).shape == (2, 1, 4, 6)


def test_images_say_what_the_folder_holds(tmp_path: Path) -> None:
    save(tmp_path, "a.bmp", np.zeros((2, 2), dtype=np.uint8))
    with pytest.raises(InputError, match=r"matches '\*.png': it holds files that end in '.bmp'; give pattern="):
        read_images(tmp_path)
    with pytest.raises(InputError, match="is a file: give the folder"):
        read_images(tmp_path / "a.bmp")
    (tmp_path / "c.png").write_text("no image")
    with pytest.raises(InputError, match="no image that Pillow can read"):
        read_images(tmp_path)


def test_a_table_that_asks_for_more_than_a_table_is_refused_before_anything_runs(tmp_path, monkeypatch):
    import lzma
    import pickle

    from modalens.datasets import packages

    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    (tmp_path / "_data" / "group").mkdir(parents=True)
    with lzma.open(tmp_path / "_data" / "group" / "item.pkl.compress", "wb") as file:
        pickle.dump(Harmful(), file)
    monkeypatch.setattr(packages, "folder", lambda package: tmp_path)
    with pytest.raises(InputError, match=r"asks for \w+\.open"):
        packages.rdataset("group", "item")
    assert not (tmp_path / "written").exists()
