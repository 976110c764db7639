"""The kind of a modality, guessed from its samples where the user names none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import InputError
from modalens.modalities.arrays import Image, Series, Volume
from modalens.modalities.base import Modality
from modalens.modalities.tabular import Tabular
from modalens.modalities.text import Text


def infer(name: str, samples: Any) -> Modality:
    """The modality that samples of this form most likely are: strings Text, tables Tabular, (n, h, w, c) Image, (n, d, h, w, c) Volume, (n, time, channels) Series.

    Raises InputError where no kind fits, and for arrays of three axes whose last two are both long (an image without channels, or a long series of many channels).
    """
    if isinstance(samples, pd.DataFrame):
        return Tabular()
    if isinstance(samples, list | tuple | pd.Series) and len(samples) and all(isinstance(text, str) for text in samples):
        return Text()
    if isinstance(samples, dict):
        raise InputError(f"modality {name!r}: expected one array, table or list of texts, came a dict; give its parts as modalities of their own.")
    shape, dtype = _shape(name, samples)
    if np.dtype(dtype).kind in "UT":
        return Text()
    match len(shape):
        case 1 | 2:
            return Tabular()
        case 3 if shape[1] == shape[2] and shape[1] >= 16:
            return Image()
        case 3:
            return Series()
        case 4:
            return Image()
        case 5:
            return Volume()
    raise InputError(f"modality {name!r}: no kind of modality has samples of shape {shape[1:]}; name one, modalities={{{name!r}: Image() | Volume() | Series() | Tabular() | Vector() | Text()}}.")


def _shape(name: str, samples: Any) -> tuple[tuple[int, ...], Any]:
    if type(samples).__module__.partition(".")[0] == "torch":
        return tuple(samples.shape), np.float32
    try:
        values = np.asarray(samples)
    except ValueError as error:
        raise InputError(f"modality {name!r}: its samples differ in shape and can't be stacked into one array ({error}); pad them to one length.") from error
    if values.ndim == 0 or (values.dtype == object and any(value is None for value in values.ravel())):
        raise InputError(f"modality {name!r}: expected samples along the first axis, came {samples!r:.60}; a modality that a patient lacks can't be given as None.")
    return values.shape, values.dtype
