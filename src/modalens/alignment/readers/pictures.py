"""The pictures that annotations speak of: found in a folder, by their published path or by what names them."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from modalens.alignment.images import size_of
from modalens.alignment.regions import Size, within
from modalens.errors import InputError, ModalensWarning, choice, listed

ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".nii.gz", ".nii", ".npy", ".bmp", ".webp")
"""The endings that pictures are looked for with, whatever ending is published."""

Missing = Literal["refuse", "skip"]
"""What becomes of annotations whose picture isn't there."""


class Pictures:
    """A folder of pictures. folder: where they lie, in subfolders or not. missing: whether absent ones are an error, or are
    skipped with a warning that counts them.
    """

    def __init__(self, folder: str | Path, *, missing: Missing = "refuse") -> None:
        choice("missing", missing, ("refuse", "skip"))
        self.folder = Path(folder)
        self.missing = missing
        self.absent: dict[str, None] = {}  # in order, each once
        self._sizes: dict[Path, Size] = {}
        if not self.folder.is_dir():
            raise InputError(f"images={str(folder)!r} is no folder: give the folder that holds the pictures.")

    def find(self, *names: str, where: str) -> Path | None:
        """The picture with one of these names: a path inside the folder, or what names the file anywhere in it, both with
        or without an ending. None, and kept for `settle`, where there is none.
        """
        for name in names:
            relative = _inside(name, where)
            stem = without_ending(relative.name)
            candidates = (relative, *(relative.with_name(stem + ending) for ending in ENDINGS))
            for candidate in candidates:
                if (self.folder / candidate).is_file():
                    return self.folder / candidate
            if len(relative.parts) == 1 and (found := self._named.get(stem, [])):
                if len(found) > 1:
                    raise InputError(
                        f"{where}: {len(found)} pictures in {self.folder} are named {stem!r}, such as {listed(map(str, found[:2]))}: give the folder that holds one of them."
                    )
                return found[0]
        self.absent[names[0]] = None
        return None

    def size(self, picture: Path) -> Size:
        """Height and width of a picture; its header is read once."""
        if picture not in self._sizes:
            self._sizes[picture] = size_of(picture)
        return self._sizes[picture]

    def check_size(self, picture: Path, annotated: Size, where: str) -> None:
        """Refuse a picture of another size than that which was annotated: boxes would lie elsewhere in it."""
        if self.size(picture) != annotated:
            (height, width), (true_height, true_width) = self.size(picture), annotated
            raise InputError(
                f"{where}: the picture {picture} has {width} x {height} pixels (width x height), but {true_width} x {true_height} were annotated, so boxes would lie elsewhere. "
                "Give the original pictures, and the resizing as steps: record.through(Resize(to=...))."
            )

    def settle(self, path: str | Path) -> None:
        """Say which pictures were not there: an error, or a warning where they may be skipped. `path`: the annotations."""
        if not self.absent:
            return
        first = listed(list(self.absent)[:3])
        text = f"{path}: {len(self.absent)} of its pictures are not in {self.folder}, such as {first}"
        if self.missing == "refuse":
            raise InputError(
                f"{text}. Give the folder that holds them as images=, or leave out what speaks of them with missing='skip'."
            )
        warnings.warn(f"{text}; what speaks of them is left out.", ModalensWarning, stacklevel=3)

    @cached_property
    def _named(self) -> dict[str, list[Path]]:
        """The files of the folder and its subfolders by name without ending."""
        named = defaultdict(list)
        for file in sorted(self.folder.rglob("*")):
            if file.name.lower().endswith(ENDINGS) and file.is_file():
                named[without_ending(file.name)].append(file)
        return named


def without_ending(name: str) -> str:
    """A file's name without the ending of a picture.

    >>> without_ending("1.2.840.dcm"), without_ending("1.2.840")
    ('1.2.840', '1.2.840')
    """
    for ending in ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def fitted(boxes: Sequence[Sequence[float]], size: Size) -> tuple[np.ndarray, int]:
    """Boxes that a program drew, cut off at the picture's edges, and how many of them have no area left and are gone."""
    cut = within(np.asarray(boxes, dtype=float).reshape(-1, 4), size)
    kept = (cut[:, 2] > cut[:, 0]) & (cut[:, 3] > cut[:, 1])
    return cut[kept], int((~kept).sum())


def _inside(name: str, where: str) -> PurePosixPath:
    """A path that a file gives, which may not lead out of the folder of pictures."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.name or "\0" in name or ":" in path.parts[0] or path.is_absolute() or ".." in path.parts:
        raise InputError(
            f"{where}: {name!r} names no picture inside the folder of pictures; a path there may not lead out of it."
        )
    return path
