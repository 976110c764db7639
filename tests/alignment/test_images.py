"""Pictures of every kind that is read: their values, which way up, their size, and what is refused."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from modalens.alignment.images import LARGEST, read_image, size_of
from modalens.errors import InputError

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
"""A picture of 3 rows and 4 columns, no two pixels alike."""


def saved(path: Path, values: np.ndarray, **options: Any) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def dicom(path: Path, stored: np.ndarray, colours: str = "MONOCHROME2", **elements: Any) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    file.Rows, file.Columns = stored.shape[:2]
    file.SamplesPerPixel = 3 if colours == "RGB" else 1
    if colours == "RGB":
        file.PlanarConfiguration = 0
    file.PhotometricInterpretation = colours
    file.BitsAllocated = file.BitsStored = stored.dtype.itemsize * 8
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(stored.dtype.kind == "i")
    file.PixelData = stored.tobytes()
    for name, value in elements.items():
        setattr(file, name, value)
    file.save_as(path, enforce_file_format=True)
    return path


# PNG, JPEG, TIFF


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_eight_bits_are_divided_by_255(tmp_path: Path, ending: str) -> None:
    path = saved(tmp_path / f"a.{ending}", RAMP)
    found = read_image(path)
    assert found.dtype == np.float32
    assert found == pytest.approx(RAMP / 255, abs=1e-7)
    assert size_of(path) == (3, 4)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_divided_by_65535(tmp_path: Path, ending: str) -> None:
    values = RAMP.astype(np.uint16) * 250
    assert read_image(saved(tmp_path / f"a.{ending}", values)) == pytest.approx(values / 65535, abs=1e-7)


def test_sixteen_bits_of_the_other_byte_order(tmp_path: Path) -> None:
    values = RAMP.astype(np.uint16) * 250
    image = Image.frombytes("I;16B", (4, 3), values.astype(">u2").tobytes())
    image.save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif") == pytest.approx(values / 65535, abs=1e-7)


def test_whole_numbers_of_32_bits_are_those_of_16_where_they_fit(tmp_path: Path) -> None:
    few = RAMP.astype(np.int32) * 250
    assert read_image(saved(tmp_path / "few.tif", few)) == pytest.approx(few / 65535, abs=1e-7)
    many = RAMP.astype(np.int32) * 100_000 - 5
    assert read_image(saved(tmp_path / "many.tif", many)) == pytest.approx(RAMP / RAMP.max(), abs=1e-6)


def test_colours_come_first(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    found = read_image(saved(tmp_path / "a.png", values))
    assert found.shape == (3, 5, 7)
    assert found == pytest.approx(np.moveaxis(values, -1, 0) / 255, abs=1e-7)


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], dtype=np.uint8), mode="P")
    image.putpalette([255, 0, 0, 0, 0, 51])
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[:, 0, :].tolist() == [[1, 0], [0, 0], [0, pytest.approx(0.2)]]


def test_black_and_white_and_transparency(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path / "a.png", RAMP > 100)).tolist() == (RAMP > 100).astype(float).tolist()
    grey = np.stack([RAMP, np.full_like(RAMP, 7)], axis=-1)
    Image.fromarray(grey).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png") == pytest.approx(RAMP / 255, abs=1e-7)
    assert read_image(saved(tmp_path / "c.png", np.stack([RAMP] * 4, axis=-1))).shape == (3, 3, 4)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_pixels_and_size_alike(tmp_path: Path, orientation: int, ending: str) -> None:
    upright = np.zeros((16, 32), dtype=np.uint8)
    upright[:8, :8] = 255  # the upper left corner is bright
    turned = {  # as a camera held that way stores it
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"a.{ending}", np.ascontiguousarray(turned), exif=exif, quality=95)
    assert size_of(path) == read_image(path).shape == (16, 32)
    assert read_image(path) == pytest.approx(upright / 255, abs=0.05)


# DICOM


def test_dicom_is_rescaled_and_brought_to_its_own_range(tmp_path: Path) -> None:
    stored = np.array([[0, 100], [300, 400]], dtype=np.int16)
    path = dicom(tmp_path / "a.dcm", stored, RescaleSlope=2, RescaleIntercept=-1024)
    assert read_image(path).tolist() == [[0, 0.25], [0.75, 1]]
    assert size_of(path) == (2, 2)


def test_dicom_window_after_rescaling(tmp_path: Path) -> None:
    stored = np.array([[0, 1000], [1040, 1080]], dtype=np.int16)
    window = {"WindowCenter": 40.5, "WindowWidth": 81}  # of rescaled values: black up to 0, white from 80
    path = dicom(tmp_path / "a.dcm", stored, RescaleSlope=1, RescaleIntercept=-1000, **window)
    assert read_image(path) == pytest.approx(np.array([[0, 0], [0.5, 1]]), abs=1e-6)


def test_the_first_of_several_windows(tmp_path: Path) -> None:
    stored = np.array([[0, 50, 100, 200]], dtype=np.uint16)
    path = dicom(tmp_path / "a.dcm", stored, WindowCenter=[50.5, 150], WindowWidth=[101, 10])
    assert read_image(path) == pytest.approx(np.array([[0, 0.5, 1, 1]]), abs=1e-6)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    stored = np.array([[0, 64], [128, 255]], dtype=np.uint8)
    found = read_image(dicom(tmp_path / "a.dcm", stored, "MONOCHROME1"))
    assert found == pytest.approx(1 - stored / 255, abs=1e-6)


def test_dicom_in_colour(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    assert read_image(dicom(tmp_path / "a.dcm", stored, "RGB")) == pytest.approx(
        np.moveaxis(stored, -1, 0) / 255, abs=1e-6
    )


def test_dicom_without_an_ending_is_known_by_its_mark(tmp_path: Path) -> None:
    assert size_of(dicom(tmp_path / "IM0001", np.zeros((5, 6), dtype=np.uint8))) == (5, 6)


@pytest.mark.parametrize(
    ("example", "shape"), [("ct", (128, 128)), ("mr", (64, 64)), ("rgb_color", (3, 240, 320)), ("palette_color", (3, 350, 800))]
)  # fmt: skip
def test_the_examples_of_pydicom(example: str, shape: tuple[int, ...]) -> None:
    from pydicom import examples

    path = examples.get_path(example)
    found = read_image(path)
    assert found.shape == shape
    assert size_of(path) == shape[-2:]
    assert 0 <= found.min() < found.mean() < found.max() <= 1


def test_a_lookup_table_of_the_dicom(tmp_path: Path) -> None:
    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "US", [4, 0, 8])
    table.add_new("LUTData", "US", [0, 10, 200, 255])
    stored = np.array([[0, 1], [2, 9]], dtype=np.uint8)
    path = dicom(tmp_path / "a.dcm", stored, VOILUTSequence=[table])
    assert read_image(path) == pytest.approx(np.array([[0, 10], [200, 255]]) / 255, abs=1e-6)


def test_dicom_of_several_frames_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.dcm is a DICOM file of 7 frames: save the one"):
        size_of(dicom(tmp_path / "a.dcm", np.zeros((4, 4), dtype=np.uint8), NumberOfFrames=7))
    from pydicom.data import get_testdata_file

    with pytest.raises(InputError, match=r"DICOM file without a picture, such as a report or an index"):
        read_image(Path(str(get_testdata_file("DICOMDIR"))))


# NIfTI


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 1, 1)])
def test_an_axial_slice_lies_as_radiologists_look_at_it(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Voxel (i, j) lies i to the patient's right and j to the front: on the image right is left and front is up."""
    values = np.zeros((4, 6), dtype=np.int16)
    values[3, 5] = 100  # the rightmost and foremost
    values[0, 5] = 40  # leftmost and foremost
    nibabel.save(nibabel.Nifti1Image(values.reshape(shape), np.eye(4)), tmp_path / "a.nii.gz")
    found = read_image(tmp_path / "a.nii.gz")
    assert found.shape == size_of(tmp_path / "a.nii.gz") == (6, 4)
    assert found[0].tolist() == [1, 0, 0, pytest.approx(0.4)]


def test_the_affine_says_which_way_a_slice_points(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 6))
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "right.nii")
    nibabel.save(nibabel.Nifti1Image(values[::-1], np.diag([-1.0, 1, 1, 1])), tmp_path / "left.nii")
    turned = np.eye(4)[[1, 0, 2, 3]]  # the first axis points to the front
    nibabel.save(nibabel.Nifti1Image(values.T, turned), tmp_path / "turned.nii")
    for name in ("left.nii", "turned.nii"):
        assert read_image(tmp_path / name) == pytest.approx(read_image(tmp_path / "right.nii"))
        assert size_of(tmp_path / name) == (6, 4)


def test_a_coronal_slice_has_the_head_up(tmp_path: Path) -> None:
    values = np.zeros((4, 1, 5))
    values[3, 0, 4] = 1  # right, head
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    assert np.argwhere(read_image(tmp_path / "a.nii")).tolist() == [[0, 0]]


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 1, 3), (4, 1, 1), (1, 1, 4, 5)])
def test_more_or_less_than_a_slice_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, dtype=np.int16), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"a\.nii is an array of shape .* save .*the slice"):
        size_of(tmp_path / "a.nii")


# numpy


def test_arrays_in_the_unit_range_stay_as_they_are(tmp_path: Path) -> None:
    values = np.array([[0.25, 0.5]])
    np.save(tmp_path / "a.npy", values)
    assert read_image(tmp_path / "a.npy").tolist() == values.tolist()
    np.save(tmp_path / "b.npy", np.array([[-100.0, 0, 300]]))
    assert read_image(tmp_path / "b.npy").tolist() == [[0, 0.25, 1]]
    np.save(tmp_path / "c.npy", np.full((3, 5, 5), 7.0))
    assert not read_image(tmp_path / "c.npy").any()
    assert size_of(tmp_path / "c.npy") == (5, 5)
    np.save(tmp_path / "d.npy", RAMP)
    assert read_image(tmp_path / "d.npy") == pytest.approx(RAMP / 255, abs=1e-7)


def test_arrays_of_other_shapes_objects_and_nan_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "last.npy", np.zeros((5, 6, 3)))
    with pytest.raises(InputError, match=r"\(5, 6, 3\).*numpy\.moveaxis\(array, -1, 0\)"):
        read_image(tmp_path / "last.npy")
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(InputError, match=r"objects\.npy can't be read"):
        read_image(tmp_path / "objects.npy")
    np.save(tmp_path / "nan.npy", np.array([[0.1, np.nan]]))
    with pytest.raises(InputError, match=r"nan\.npy holds NaN"):
        read_image(tmp_path / "nan.npy")


# What can't be read


def files(folder: Path) -> list[Path]:
    nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).normal(size=(40, 60)), np.eye(4)), folder / "e.nii.gz")
    noise = np.random.default_rng(0).integers(0, 256, (60, 80)).astype(np.uint8)
    np.save(folder / "f.npy", noise)
    return [
        saved(folder / "a.png", noise),
        saved(folder / "b.jpg", noise),
        saved(folder / "c.tif", noise),
        dicom(folder / "d.dcm", noise),
        folder / "e.nii.gz",
        folder / "f.npy",
    ]


def test_files_that_are_cut_off_are_told_by_name(tmp_path: Path) -> None:
    for path in files(tmp_path):
        assert read_image(path).ndim == 2  # whole, it is read
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        with pytest.raises(InputError, match=rf"{path.name} can't be read as a picture"):
            read_image(path)


def test_missing_empty_and_foreign_files_are_told_by_name(tmp_path: Path) -> None:
    for path in files(tmp_path):
        path.write_bytes(b"")
        with pytest.raises(InputError, match=rf"{path.name} is empty"):
            read_image(path)
        path.write_bytes(b"no picture at all, but some text that goes on for a while" * 9)
        with pytest.raises(InputError, match=rf"{path.name} can't be read as a picture"):
            size_of(path)
        path.unlink()
        with pytest.raises(InputError, match=rf"{path.name} is not there"):
            read_image(path)
    with pytest.raises(InputError, match=r"is not there"):
        read_image(tmp_path)


def test_a_picture_that_claims_to_be_huge_is_refused_from_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (13_000, 60_000):  # above this limit, and above Pillow's own
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        path = tmp_path / f"{side}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""))  # fmt: skip
        for look in (size_of, read_image):
            with pytest.raises(InputError, match=rf"{path.name} .*{LARGEST:,}.*make it smaller"):
                look(path)
    np.lib.format.open_memmap(tmp_path / "huge.npy", mode="w+", dtype=bool, shape=(13_000, 13_000))
    with pytest.raises(InputError, match=r"huge\.npy is a picture of 13000 x 13000"):
        read_image(tmp_path / "huge.npy")


def test_several_pages_are_refused(tmp_path: Path) -> None:
    page = Image.fromarray(RAMP)
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page, page])
    with pytest.raises(InputError, match=r"a\.tif holds 3 frames or pages: save the one"):
        size_of(tmp_path / "a.tif")


@pytest.mark.parametrize("library", ["pydicom", "nibabel"])
def test_an_absent_library_is_told_with_what_to_install(
    tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dicom(tmp_path / "a.dcm", RAMP) if library == "pydicom" else tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5)), np.eye(4)), tmp_path / "a.nii")

    def absent(name: str, package: str | None = None) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("modalens.alignment.images.import_module", absent)
    with pytest.raises(InputError, match=rf"{library} reads: pip install 'modalens\[audit\]'"):
        read_image(path)


def test_neither_library_is_imported_before_it_is_needed() -> None:
    code = "import sys, modalens.alignment.readers; print(sorted({'pydicom', 'nibabel', 'pycocotools'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
