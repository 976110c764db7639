"""One's own files as the samples of a modality: arrays, tables and folders of images, with errors that say what was
found instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from PIL import Image as Picture
from PIL import ImageMode, UnidentifiedImageError

from modalens.errors import InputError, listed, nearest


def read_npz(path: str | Path, key: str | None = None) -> np.ndarray:
    """One array of an .npz file, or that of an .npy file. Pickled objects are refused, as reading them could run code.

    Args:
        path: the file.
        key: which array of an .npz file; not needed where it holds one.

    Raises:
        InputError: no such file, no such array (the message names those that exist), several and none was named, or
            pickled objects.

    >>> read_npz("scans.npz", "ct").shape  # doctest: +SKIP
    (120, 64, 64)
    """
    path = _existing(path)
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            if key is not None:
                raise InputError(f"{path} is an .npy file with one unnamed array: leave out the key {key!r}.")
            return content
        with content as arrays:
            if key is None and len(arrays.files) != 1:
                raise InputError(
                    f"{path} holds {len(arrays.files)} arrays: say which as key, one of {listed(arrays.files)}."
                )
            chosen = arrays.files[0] if key is None else key
            if chosen not in arrays.files:
                raise InputError(
                    f"{path} has no array {chosen!r}{nearest(chosen, arrays.files)}: it holds {listed(arrays.files)}."
                )
            return np.asarray(arrays[chosen])
    except InputError:
        raise
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise InputError(
            f"{path} can't be read as arrays: it is something else, damaged, or holds objects, which are never read; save numbers or text with numpy.savez or numpy.save."
        ) from error


def read_csv(path: str | Path, columns: Sequence[str] | None = None, index: str | None = None) -> pd.DataFrame:
    """A table with one row a patient.

    Args:
        path: a comma-separated file with a header.
        columns: which columns to keep, in this order; all if not given.
        index: the column that identifies a patient, which becomes the index.

    Raises:
        InputError: no such file, no such column (the message names near ones), or an identifier that stands twice or
            is missing.

    >>> read_csv("clinical.csv", columns=["age", "creatinine"], index="patient")  # doctest: +SKIP
    """
    path = _existing(path)
    try:
        table = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read as a comma-separated table ({error}).") from error
    wanted = list(table.columns) if columns is None else list(columns)
    for name in [*wanted, *([index] if index is not None else [])]:
        if name not in table.columns:
            raise InputError(
                f"{path} has no column {name!r}{nearest(name, table.columns)}: it has {listed(table.columns)}."
            )
    if index is None:
        return table[wanted]
    identity = table[index]
    if identity.isna().any() or identity.duplicated().any():
        twice = list(identity[identity.duplicated()].dropna().unique()[:3])
        raise InputError(
            f"{path}: column {index!r} does not tell patients apart: {int(identity.isna().sum())} are empty, and standing twice: {listed(twice)}."
        )
    return table.set_index(index)[[name for name in wanted if name != index]]


def read_images(
    folder: str | Path,
    pattern: str = "*.png",
    size: int | tuple[int, int] | None = None,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """The images of a folder: float32 (n, channels, height, width), in [0, 1].

    Grey images have one channel, all others three; where both occur, all get three. A 16-bit image is divided by
    65,535, others by 255. Transparency is laid over black.

    Args:
        folder: where the images are.
        pattern: which files are read, sorted by name.
        size: resize to (height, width), or to a square; without it all must be of one size.
        names: file names in the order wanted (with or without the ending that the pattern gives), instead of all that
            match.

    Raises:
        InputError: no such folder or file, nothing that matches, a file that is no image, or images of several sizes.

    >>> read_images("patches", "*.bmp").shape  # doctest: +SKIP
    (1985, 3, 32, 32)
    """
    folder = _existing(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is a file: give the folder that the images are in.")
    paths = sorted(folder.glob(pattern)) if names is None else [_named(folder, name, pattern) for name in names]
    if not paths:
        endings = sorted({path.suffix for path in folder.iterdir() if path.suffix})
        raise InputError(
            f"No file in {folder} matches {pattern!r}: it holds files that end in {listed(endings)}; give pattern=."
        )
    images = [_read_image(path, size) for path in paths]
    shapes: dict[tuple[int, ...], Path] = {}
    for path, image in zip(paths, images, strict=True):
        shapes.setdefault(image.shape[1:], path)
    if len(shapes) > 1:
        examples = ", ".join(f"{path.name} is {height} x {width}" for (height, width), path in list(shapes.items())[:3])
        raise InputError(
            f"The images in {folder} are of {len(shapes)} sizes ({examples}): give size=, such as size={min(min(shapes))}, to resize them to one."
        )
    channels = max(len(image) for image in images)
    return np.stack([np.broadcast_to(image, (channels, *image.shape[1:])) for image in images])


def _existing(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if path.exists():
        return path
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else None
    if beside is None:
        raise InputError(f"{path} does not exist, and neither does its folder {path.parent}.")
    raise InputError(f"{path} does not exist{nearest(path.name, beside)}.")


def _named(folder: Path, name: str, pattern: str) -> Path:
    ending = Path(pattern).suffix
    return (
        _existing(folder / name)
        if (folder / name).exists() or Path(name).suffix == ending
        else _existing(folder / f"{name}{ending}")
    )


def _read_image(path: Path, size: int | tuple[int, int] | None) -> np.ndarray:
    try:
        with Picture.open(path) as opened:
            picture: Picture.Image = opened
            deep = np.dtype(ImageMode.getmode(picture.mode).typestr).itemsize > 1
            if not deep:
                picture = _laid_on_black(picture) if picture.has_transparency_data else picture
                picture = picture if picture.mode == "L" else picture.convert("L" if picture.mode == "1" else "RGB")
            if size is not None:
                height, width = (size, size) if isinstance(size, int) else size
                picture = picture.convert("F") if deep else picture
                picture = picture.resize((width, height), Picture.Resampling.BILINEAR)
            values = np.asarray(picture, dtype=np.float32)
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path} is no image that Pillow can read ({error}).") from error
    values = np.clip(values / (65535 if deep else 255), 0, 1).astype(np.float32)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def _laid_on_black(picture: Picture.Image) -> Picture.Image:
    layers = picture.convert("RGBA")
    return Picture.alpha_composite(Picture.new("RGBA", layers.size, (0, 0, 0, 255)), layers).convert("RGB")
