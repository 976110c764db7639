"""The kind of a modality, guessed from its samples where the user names none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from modalens.errors import InputError
from modalens.modalities.arrays import MOST_CHANNELS, Image, Series, Volume
from modalens.modalities.base import Modality, is_tensor, open_container
from modalens.modalities.bundle import Bundle
from modalens.modalities.items import Bag, ItemModality, Ragged, is_ragged
from modalens.modalities.tabular import Tabular
from modalens.modalities.text import Text

MOST_SIGNALS = 64
"""Arrays of different length with more columns are taken for bags of items, with fewer for series."""


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
    if isinstance(samples, Mapping):
        return _infer_bundle(name, samples)
    if is_ragged(samples):
        first = next(sample for sample in samples if sample is not None)
        return (
            Series() if len(first.shape) == 1 or (len(first.shape) == 2 and first.shape[1] <= MOST_SIGNALS) else Bag()
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


def fitted(kind: Modality, samples: Any) -> Modality:
    """The kind as samples of this form need it: several members make a bundle, series of different length, or of which
    some are None, are held one by one.
    """
    if isinstance(kind, ItemModality):
        return kind
    members = list(samples.values()) if isinstance(samples, Mapping) else [samples]
    if isinstance(kind, Series) and any(is_ragged(member) or _has_none(member) for member in members):
        return Ragged(parts=kind.parts, by=kind.by, window=kind.window, names=kind.names)
    return Bundle(lead=kind) if isinstance(samples, Mapping) else kind


def require_members(name: str, samples: Any) -> None:
    """Refuse a bundle of nothing."""
    if isinstance(samples, Mapping) and not samples:
        raise InputError(
            f"modality {name!r}: expected its arrays by name, came an empty dict; give them, such as {{'values': array, 'mask': array}}."
        )


def _infer_bundle(name: str, samples: Mapping[str, Any]) -> Modality:
    require_members(name, samples)
    if "input_ids" in samples:
        raise InputError(
            f"modality {name!r}: token ids need their tokenizer, to know words from padding: modalities={{{name!r}: ml.Text(tokenizer)}}."
        )
    return infer(name, next(iter(samples.values())))


def _has_none(samples: Any) -> bool:
    return isinstance(samples, list | tuple) and any(sample is None for sample in samples)


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
