"""The kind of a modality, guessed from its samples where the user names none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import InputError
from modalens.modalities.arrays import MOST_CHANNELS, Image, Series, Volume
from modalens.modalities.base import Modality, is_tensor, open_container
from modalens.modalities.tabular import Tabular
from modalens.modalities.text import Text


def infer(name: str, samples: Any) -> Modality:
    """The modality that samples of this form most likely are: strings Text, tables Tabular, (n, h, w, c) Image, (n,
    d, h, w, c) Volume, (n, time, channels) Series.

    Raises InputError where no kind fits, and for arrays of three axes whose last two are both long (an image without
    channels, or a long series of many channels).
    """
    if isinstance(samples, pd.DataFrame):
        return Tabular()
    if _has_text(samples):
        return Text()
    if isinstance(samples, dict):
        raise InputError(
            f"modality {name!r}: expected one array, table or list of texts, came a dict; give its parts as modalities of their own."
        )
    shape = _shape(name, samples)
    match len(shape):
        case 1 | 2:
            return Tabular()
        case 3 if shape[1] == shape[2] and shape[1] >= 16:
            return Image()
        case 3:
            return Series()
        case 4 if shape[1] > MOST_CHANNELS and shape[3] > MOST_CHANNELS:
            return Volume()
        case 4:
            return Image()
        case 5:
            return Volume()
    raise InputError(
        f"modality {name!r}: no kind of modality has samples of shape {shape[1:]}; name one, modalities={{{name!r}: Image() | Volume() | Series() | Tabular() | Vector() | Text()}}."
    )


def _has_text(samples: Any) -> bool:
    """Whether some of the samples are strings; a category is one too, and is no text."""
    one_axis = isinstance(samples, list | tuple | pd.Series) or (isinstance(samples, np.ndarray) and samples.ndim == 1)
    return (
        one_axis
        and not isinstance(getattr(samples, "dtype", None), pd.CategoricalDtype)
        and any(isinstance(text, str) for text in samples)
    )


def _shape(name: str, samples: Any) -> tuple[int, ...]:
    if is_tensor(samples):
        return tuple(samples.shape)
    _, values = open_container(samples)
    if values.ndim == 0:
        raise InputError(
            f"modality {name!r}: expected samples along the first axis, came {samples!r:.60}; give an array, a table or a list of texts."
        )
    return values.shape
