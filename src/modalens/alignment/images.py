"""Reading pictures: PNG, JPEG, TIFF and the like, DICOM, NIfTI, and numpy's own files, as grey or colour arrays in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures
from PIL import ImageOps

from modalens.alignment.regions import Size
from modalens.errors import InputError

LARGEST = 150_000_000
"""Pixels of the largest picture that is read; a damaged or hostile file can claim to be of any size."""

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
"""The EXIF orientations that swap height and width."""


def read_image(path: str | Path) -> np.ndarray:
    """A picture as numbers in [0, 1].

    8 and 16 bits are divided by the largest number that they can hold. DICOM is rescaled and windowed as the file says,
    and inverted where 0 is white; where no window is given, and for NIfTI and numbers outside 0 to 1, the smallest value
    becomes 0 and the largest 1. EXIF orientation is applied. A NIfTI slice is turned the way radiologists look at it: the
    patient's right on the image's left, front or head up.

    Args:
        path: PNG, JPEG, TIFF, BMP, WebP; DICOM of one frame; NIfTI of one slice; .npy of shape (height, width) or
            (3, height, width), without pickled objects.

    Returns:
        float32, (height, width) of grey pictures and (3, height, width) of coloured ones.

    Raises:
        InputError: a file that is missing, empty, damaged, too large, of several frames or slices, or of a kind that isn't
            read; the message names it and says what to do.

    >>> read_image("chest.dcm").shape  # doctest: +SKIP
    (2544, 3056)
    """
    path = Path(path)
    size_of(path)  # before anything is decoded: refuses what is too large
    with _told(path):
        pixels = _format(path).pixels(path)
    if not np.isfinite(pixels).all():
        raise InputError(f"{path} holds NaN or infinity: replace them before it is used.")
    return np.ascontiguousarray(pixels, dtype=np.float32)


def size_of(path: str | Path) -> Size:
    """Height and width of a picture, as `read_image` gives it, from the file's header.

    Raises InputError as `read_image` does.

    >>> size_of("chest.png")  # doctest: +SKIP
    (1024, 1024)
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not there: give the path of a picture.")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty: copy or download it again.")
    with _told(path):
        height, width = _format(path).size(path)
    _check_size(path, height, width)
    return height, width


def _check_size(path: Path, height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise InputError(f"{path} is a picture of {height} x {width} pixels: there is nothing in it.")
    if height * width > LARGEST:
        raise InputError(
            f"{path} is a picture of {height} x {width} pixels, more than the {LARGEST:,} that are read: make it smaller, or cut out the part of interest."
        )


@dataclass(frozen=True)
class _Format:
    size: Callable[[Path], Size]
    pixels: Callable[[Path], np.ndarray]


def _format(path: Path) -> _Format:
    """By name, and DICOM by its mark, since such files often have no ending."""
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return _Format(_nifti_size, _nifti_pixels)
    if path.suffix.lower() == ".npy":
        return _Format(_numpy_size, _numpy_pixels)
    with path.open("rb") as file:
        marked = file.read(132)[128:] == b"DICM"
    if marked or path.suffix.lower() in (".dcm", ".dicom"):
        return _Format(_dicom_size, _dicom_pixels)
    return _Format(_picture_size, _picture_pixels)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever the libraries raise for a damaged file, told with its name. They raise nearly everything."""
    try:
        yield
    except InputError:
        raise
    except Pictures.DecompressionBombError as error:
        raise InputError(
            f"{path} claims to be larger than the {LARGEST:,} pixels that are read ({error}): make it smaller, or cut out the part of interest."
        ) from error
    except PermissionError as error:
        raise InputError(f"{path} may not be read ({error.strerror}): change its permissions.") from error
    except Exception as error:
        raise InputError(
            f"{path} can't be read as a picture ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}): "
            "it is damaged, cut off, or of a kind that isn't read. PNG, JPEG, TIFF, DICOM, NIfTI and .npy are; copy or convert it again."
        ) from error


def _library(name: str, kind: str, path: Path) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{path} is {kind}, which {name.partition('.')[0]} reads: pip install 'modalens[audit]'."
        ) from error


def _in_own_range(values: np.ndarray) -> np.ndarray:
    """From the smallest value, 0, to the largest, 1; constant values become 0, and any NaN or infinity makes all NaN."""
    values = np.asarray(values, dtype=float)
    low, high = values.min(), values.max()
    with np.errstate(invalid="ignore"):
        return (values - low) / ((high - low) or 1.0)


def _in_unit_range(values: np.ndarray) -> np.ndarray:
    """Numbers as they are where all lie in [0, 1]; 8 and 16 bits by what they can hold; else by their own range."""
    if values.dtype in (np.uint8, np.uint16):
        return values / np.float32(np.iinfo(values.dtype).max)
    if values.dtype == bool or (values.min() >= 0 and values.max() <= 1):
        return values.astype(float)
    return _in_own_range(values)


# PNG, JPEG, TIFF and the like


@contextmanager
def _opened(path: Path) -> Iterator[Pictures.Image]:
    # Not by name: Pillow maps an uncompressed TIFF into memory by its size once it is turned, which scrambles the pixels.
    with path.open("rb") as file, Pictures.open(file) as image:
        _check_size(path, image.height, image.width)
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # a camera's JPEG with a preview behind it
            raise InputError(f"{path} holds {frames} frames or pages: save the one that is meant as a file of its own.")
        yield image


def _orientation(image: Pictures.Image) -> int:
    """As EXIF says; 1 is upright. Pillow turns TIFF by itself. Of a PNG only what stands before its pixels is asked, since for
    the rest they would be decoded.
    """
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    return int(image.getexif().get(_ORIENTATION, 1))


def _picture_size(path: Path) -> Size:
    with _opened(path) as image:
        return (image.width, image.height) if _orientation(image) in _TURNED else (image.height, image.width)


def _picture_pixels(path: Path) -> np.ndarray:
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
        if upright.mode in ("1", "L", "I", "F") or upright.mode.startswith("I;16"):
            return _of_grey(np.asarray(upright))
        if upright.mode == "LA":
            return _of_grey(np.asarray(upright.convert("L")))
        return np.moveaxis(np.asarray(upright.convert("RGB")), -1, 0) / np.float32(255)


def _of_grey(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.int32 and values.min() >= 0 and values.max() <= 65535:  # 16 bits, which Pillow widened
        values = values.astype(np.uint16)
    elif values.dtype.kind == "u":  # of either byte order
        values = values.astype(np.dtype(f"u{values.dtype.itemsize}"))
    return _in_unit_range(values)


# DICOM


def _dicom_header(path: Path, *, pixels: bool) -> Any:
    found = _library("pydicom", "a DICOM file", path).dcmread(path, stop_before_pixels=not pixels)
    if "Rows" not in found or "Columns" not in found:
        raise InputError(f"{path} is a DICOM file without a picture, such as a report or an index: leave it out.")
    frames = int(found.get("NumberOfFrames") or 1)
    if frames > 1:
        raise InputError(f"{path} is a DICOM file of {frames} frames: save the one that is meant as a file of its own.")
    return found


def _dicom_size(path: Path) -> Size:
    header = _dicom_header(path, pixels=False)
    return int(header.Rows), int(header.Columns)


def _dicom_pixels(path: Path) -> np.ndarray:
    pixels = _library("pydicom.pixels", "a DICOM file", path)
    header = _dicom_header(path, pixels=True)
    stored = pixels.pixel_array(header)  # YBR comes as RGB
    colours = str(header.PhotometricInterpretation)
    if colours == "PALETTE COLOR":
        painted = pixels.apply_color_lut(stored, header)
        return np.moveaxis(painted, -1, 0) / float(np.iinfo(painted.dtype).max)
    if stored.ndim == 3:
        return np.moveaxis(stored, -1, 0) / float(2 ** int(header.BitsStored) - 1)
    grey = _windowed(pixels, pixels.apply_modality_lut(stored, header), header)
    return 1 - grey if colours == "MONOCHROME1" else grey


def _windowed(pixels: Any, values: np.ndarray, header: Any) -> np.ndarray:
    """By the file's table or its first window, else by the values' own range."""
    if header.get("VOILUTSequence"):
        bits = int(header.VOILUTSequence[0].LUTDescriptor[2])
        return pixels.apply_voi(values, header) / float(2**bits - 1)
    if header.get("WindowCenter") is None or header.get("WindowWidth") is None:
        return _in_own_range(values)
    low, high = pixels.apply_windowing(np.array([-1e12, 1e12]), header)  # what black and white become
    return (pixels.apply_windowing(values.astype(float), header) - low) / (high - low)


# NIfTI


def _nifti_slice(path: Path) -> tuple[Any, np.ndarray, tuple[int, int, int], tuple[int, ...]]:
    """The file, where its axes point, its shape in three dimensions, and that along right, front and up."""
    nibabel = _library("nibabel", "a NIfTI file", path)
    file = nibabel.load(path)
    shape = tuple(int(length) for length in file.shape)
    if sum(length > 1 for length in shape) != 2:
        raise InputError(
            f"{path} is an array of shape {shape}, not one slice: save the slice that is meant, such as nibabel.load(path).slicer[:, :, 40:41].to_filename('slice.nii.gz')."
        )
    lengths = (*shape, 1)[:3]
    if any(length > 1 for length in shape[3:]):
        raise InputError(f"{path} is an array of shape {shape}: save it with the slice in the first three axes.")
    axes = nibabel.orientations.io_orientation(file.affine)
    along = [1, 1, 1]
    for length, axis in zip(lengths, axes[:, 0], strict=True):
        along[int(axis)] = length
    return file, axes, (lengths[0], lengths[1], lengths[2]), tuple(along)


def _nifti_size(path: Path) -> Size:
    across, down = (length for length in _nifti_slice(path)[3] if length > 1)
    return down, across


def _nifti_pixels(path: Path) -> np.ndarray:
    file, axes, shape, _ = _nifti_slice(path)
    orientations = _library("nibabel.orientations", "a NIfTI file", path)
    to_right_front_up = orientations.apply_orientation(np.asarray(file.dataobj).reshape(shape), axes)
    return _in_own_range(np.squeeze(to_right_front_up).T[::-1, ::-1])


# numpy's own files


def _numpy_array(path: Path) -> np.ndarray:
    array = np.load(path, allow_pickle=False, mmap_mode="r")
    if array.ndim == 2 or (array.ndim == 3 and array.shape[0] == 3):
        return array
    raise InputError(
        f"{path} is an array of shape {array.shape}; (height, width) or (3, height, width) is read. Where colours come last: numpy.moveaxis(array, -1, 0)."
    )


def _numpy_size(path: Path) -> Size:
    array = _numpy_array(path)
    return array.shape[-2], array.shape[-1]


def _numpy_pixels(path: Path) -> np.ndarray:
    return _in_unit_range(np.array(_numpy_array(path)))
