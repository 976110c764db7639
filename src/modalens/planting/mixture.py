"""A trained model into which a known contribution is mixed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from modalens.modalities.base import open_container
from modalens.models import Model, Readout, output_of, read
from modalens.models.readout import Selector
from modalens.planting.marked import Marks

SURE = 0.9
"""The probability that the planted part gives to what a mark stands for."""


@dataclass(frozen=True, kw_only=True)
class Planted(Model):
    """planted(x) = (1 - share) f(x) + share g(marks of x), in probabilities, or in values where there are none.

    g gives probability 0.9 to the last class where the mark is there and to the first one where it is not (of labels
    and of survival, to each output 0.9 or 0.1); of values, their mean plus or minus one standard deviation. What f
    said is remembered between shares, since measures ask the same of each.
    """

    model: Model
    marks: Marks
    share: float
    readout: Readout
    select: Selector
    low: np.ndarray
    high: np.ndarray
    known: dict[bytes, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def precision(self) -> float:  # type: ignore[override]
        return self.model.precision if self.share < 1 else 0.0

    def require(self, bundles: Mapping[str, Sequence[str]]) -> None:
        self.model.require(bundles)

    @contextmanager
    def session(self) -> Iterator[None]:
        with self.model.session():
            yield

    def __call__(self, inputs: Mapping[str, Any]) -> np.ndarray:
        signs = self.marks.sign(inputs)
        planted = np.where(signs[:, None], self.high, self.low)
        if self.share == 1:
            return planted
        return np.asarray((1 - self.share) * self._own(inputs, len(signs)) + self.share * planted)

    def _own(self, inputs: Mapping[str, Any], rows: int) -> np.ndarray:
        digest = hashlib.blake2b()
        for name, samples in inputs.items():
            digest.update(name.encode())
            _add(digest, samples)
        key = digest.digest()
        if key not in self.known:
            self.known[key] = values_of(self.readout, read(output_of(self.model, inputs), rows, self.select))
        return self.known[key]


def values_of(readout: Readout, raw: np.ndarray) -> np.ndarray:
    """Probabilities, or values where there are none, (rows, outputs)."""
    spaces = readout(raw)
    return spaces.get("probability", spaces[readout.space])


def ends(readout: Readout, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What g says without the mark and with it, (outputs,) each, for a model that gave these values."""
    outputs = values.shape[1]
    if "probability" not in readout.spaces:
        spread = values.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        return values.mean(axis=0) - spread, values.mean(axis=0) + spread
    if readout.task != "classification":
        return np.full(outputs, 1 - SURE), np.full(outputs, SURE)
    low = np.full(outputs, (1 - SURE) / (outputs - 1))
    low[0] = SURE
    return low, low[::-1].copy()


def _add(digest: Any, samples: Any) -> None:
    """Take samples as a model is given them into a fingerprint."""
    if isinstance(samples, Mapping):
        for name, member in samples.items():
            digest.update(str(name).encode())
            _add(digest, member)
    elif isinstance(samples, pd.DataFrame | pd.Series):
        digest.update(pd.util.hash_pandas_object(samples, index=False).to_numpy().tobytes())
    elif isinstance(samples, list | tuple):
        for one in samples:
            digest.update(f"|{one}".encode()) if isinstance(one, str | None) else _add(digest, one)
    else:
        values = open_container(samples)[1]
        digest.update(f"{values.shape}{values.dtype}".encode())
        digest.update(
            repr(values.tolist()).encode() if values.dtype == object else np.ascontiguousarray(values).tobytes()
        )
