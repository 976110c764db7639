"""What every modality can do: check its samples, take rows of them, cut them into parts, and replace parts.

Everything outside this room asks the modality, and never assumes that a modality is one array. Inside, samples are
held in a canonical form (a NumPy array whose first axis is the sample) and given back to the model as they came.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from modalens.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that the samples of one modality are cut into: disjoint, and covering all that may be replaced.

    `names` holds the parts' names of each sample, or of all samples at once where they share them. `where` says which
    part each feature belongs to (-1: none, it is never replaced), with the same leading axis.
    """

    names: tuple[tuple[str, ...], ...]
    where: np.ndarray

    def count(self, samples: int) -> np.ndarray:
        """The number of parts of each sample, shape (samples,)."""
        return np.broadcast_to(np.array([len(names) for names in self.names], dtype=np.int64), samples).copy()

    def take(self, rows: np.ndarray) -> Parts:
        """The parts of these samples, in this order."""
        return Parts(
            names=self.names if len(self.names) == 1 else tuple(self.names[row] for row in rows),
            where=self.where if len(self.where) == 1 else self.where[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Container:
    """How samples came, so that the model gets them back in the same form."""

    kind: str = "array"
    dtype: Any = None
    columns: Any = None
    flat: bool = False


@dataclass(frozen=True, kw_only=True)
class Modality(ABC):
    """One kind of input: how it is cut into parts, what can stand in for it, how it is shown.

    `parts` cuts a sample into at most that many parts of nearly equal size, whatever the kind (1: the modality as a
    whole).
    """

    parts: int | None = None
    container: Container = field(default_factory=Container, repr=False, compare=False)

    typical: ClassVar[str] = "mean"
    """Name of the fill that stands in for a part unless another is asked for."""

    def __post_init__(self) -> None:
        if self.parts is not None and (not isinstance(self.parts, int) or self.parts < 1):
            raise InputError(f"{type(self).__name__}(parts={self.parts!r}): give a whole number of parts, at least 1.")

    @property
    def members(self) -> tuple[str, ...]:
        """The names of its arrays, where it has several."""
        return ()

    # samples -----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def resolve(self, name: str, samples: Any) -> Self:
        """This modality with all that the samples decide (columns, channels, container) filled in; raises InputError
        where they don't fit.
        """

    @abstractmethod
    def canonical(self, name: str, samples: Any) -> np.ndarray:
        """The samples in canonical form, checked: finite, of the expected shape."""

    def unchecked(self, samples: Any) -> np.ndarray:
        """The samples in canonical form, whatever they are: what a model is given of patients who lack the modality."""
        return open_container(samples)[1]

    @abstractmethod
    def restore(self, samples: np.ndarray) -> Any:
        """Canonical samples in the form in which they came, as the model expects them."""

    def take(self, samples: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return samples[rows]

    def stack(self, pieces: Sequence[np.ndarray]) -> np.ndarray:
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def same(self, samples: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Which samples equal their counterpart in every feature, shape (samples,)."""
        return np.asarray((samples == others).reshape(len(samples), -1).all(axis=1))

    def row_bytes(self, samples: np.ndarray) -> int:
        """Memory of one sample, in bytes."""
        return int(samples[:1].nbytes) if samples.dtype != object else 64 * int(np.prod(samples.shape[1:], initial=1))

    def digest(self, samples: np.ndarray) -> str:
        """A fingerprint of the samples: equal for equal data."""
        content: Any = (
            np.ascontiguousarray(samples).reshape(-1).view(np.uint8)
            if samples.dtype.kind in "fiub"
            else "\x1f".join(map(repr, samples.ravel().tolist())).encode()
        )
        digest = hashlib.sha256(f"{samples.shape}{samples.dtype}".encode())
        digest.update(content)
        return digest.hexdigest()[:16]

    @abstractmethod
    def distances(self, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        """How unlike each sample is to each background row, shape (samples, rows), comparable between modalities (1:
        as unlike as two random rows).
        """

    # parts -------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def cut(self, samples: np.ndarray) -> Parts:
        """The parts of each sample."""

    def replace(self, samples: np.ndarray, replacements: np.ndarray, parts: Parts, absent: Sequence[int]) -> np.ndarray:
        """The samples with the absent parts taken from their replacements; new memory, the samples stay as they are."""
        mask = parts.where == absent[0] if len(absent) == 1 else np.isin(parts.where, absent)
        return np.where(mask, replacements, samples)

    @property
    def aligned(self) -> bool:
        """Whether part l of one sample can be filled with part l of another (columns and patches: yes; words: no)."""
        return True

    def cut_into(self, parts: int) -> Self:
        """The same modality cut into about this many parts."""
        return replace(self, parts=parts)

    # fills: replacements of the same form as samples ----------------------------------------------------------------------

    def mean(self, background: np.ndarray) -> np.ndarray:
        """The background's mean, one sample with a leading axis of 1."""
        raise self._no_fill("mean")

    def mode(self, background: np.ndarray) -> np.ndarray:
        """The background's most frequent value of each feature, one sample."""
        raise self._no_fill("mode")

    def constant(self, samples: np.ndarray, value: Any) -> np.ndarray:
        """The samples with every feature that belongs to a part set to this value."""
        raise self._no_fill(f"constant {value!r}")

    def sample_mean(self, samples: np.ndarray) -> np.ndarray:
        """Each sample's own mean."""
        raise self._no_fill("sample_mean")

    def blur(self, samples: np.ndarray, sigma: float | None) -> np.ndarray:
        """Each sample blurred by a Gaussian."""
        raise self._no_fill("blur")

    def mask_token(self, samples: np.ndarray, token: str | None) -> np.ndarray:
        """Each sample with every word or token masked."""
        raise self._no_fill("mask_token")

    def removed(self, samples: np.ndarray) -> np.ndarray:
        """The samples with everything that belongs to a part marked as not there, where the model need not see it."""
        raise self._no_fill("removed")

    def missing(self) -> np.ndarray:
        """What the model is given of a patient who lacks this modality, one sample: None, where samples are a list."""
        raise InputError(
            f"a {self.title} modality is given as one array, which can't hold None: its missing-modality token is a value, baseline=Constant(value=...)."
        )

    def outside(self, fill: np.ndarray, background: np.ndarray) -> float:
        """The share of a fill's values that lie outside the background's range."""
        return 0.0

    def _no_fill(self, fill: str) -> InputError:
        return InputError(
            f"a {type(self).__name__} modality has no {fill} baseline: its own default is {self.typical!r}. "
            f"Give each modality its baseline, baseline={{'name': {self.typical!r}, ...}}, or use 'background'."
        )

    # words -------------------------------------------------------------------------------------------------------------

    @property
    def noun(self) -> str:
        """What one part is called."""
        return "part"

    def describe(self, samples: np.ndarray, parts: Parts) -> str:
        """One line for a table: `Image 3x32x32, 64 patches`."""
        counts = parts.count(len(samples))
        count = f"{counts[0]}" if (counts == counts[0]).all() else f"{counts.min()} to {counts.max()}"
        plural = "" if count == "1" else "es" if self.noun.endswith("ch") else "s"
        return f"{self.title} {self.shape_text(samples)}, {count} {self.noun}{plural}"

    @property
    def title(self) -> str:
        """What the kind is called."""
        return type(self).__name__

    def shape_text(self, samples: np.ndarray) -> str:
        return "x".join(map(str, samples.shape[1:])) or "1"


# Arrays, shared by the kinds that are held as numbers ---------------------------------------------------------------------


def is_tensor(samples: Any) -> bool:
    """Whether this is a torch tensor, or of a kind made from one, such as MONAI's; torch is not imported for those who
    have none.
    """
    return any((kind.__module__, kind.__name__) == ("torch", "Tensor") for kind in type(samples).__mro__)


def open_container(samples: Any) -> tuple[Container, np.ndarray]:
    """An array-like as a NumPy array, and what it was; bfloat16 is held as float32, which loses nothing."""
    if isinstance(samples, pd.DataFrame | pd.Series):
        values = samples.to_numpy()
        columns = samples.columns if isinstance(samples, pd.DataFrame) else samples.name
        return Container(kind=type(samples).__name__, dtype=samples.dtypes, columns=columns), values
    if is_tensor(samples):
        tensor = samples.detach().cpu()
        values = tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy()
        return Container(kind="tensor", dtype=(samples.dtype, samples.device)), values
    if isinstance(samples, list | tuple) and all(map(is_tensor, samples)):
        samples = [open_container(sample)[1] for sample in samples]
    try:
        values = np.asarray(samples)
    except ValueError as error:
        raise InputError(
            "its samples differ in shape, expected all of one shape, to be stacked into one array; pad or crop them."
        ) from error
    return Container(kind="list" if isinstance(samples, list | tuple) else "array", dtype=values.dtype), values


def close_container(container: Container, samples: np.ndarray) -> Any:
    """Canonical numbers as the container they came in."""
    match container.kind:
        case "tensor":
            import torch

            dtype, device = container.dtype
            return torch.from_numpy(np.ascontiguousarray(samples)).to(device=device, dtype=dtype)
        case "DataFrame":
            kinds = set(container.dtype)
            # One type of NumPy's for all columns is a single conversion, and most tables are such.
            if len(kinds) == 1 and isinstance(kind := kinds.pop(), np.dtype):
                return pd.DataFrame(samples.astype(kind, copy=False), columns=container.columns)
            return pd.DataFrame(samples, columns=container.columns).astype(
                dict(zip(container.columns, container.dtype, strict=True))
            )
        case "Series":
            return pd.Series(samples, name=container.columns).astype(container.dtype)
        case _:
            return samples.astype(container.dtype, copy=False)


def require_finite(name: str, samples: np.ndarray) -> None:
    """Refuse NaN and infinity, and say where the first is: a mask can't tell a missing value from an absent part."""
    if samples.dtype.kind == "f":
        bad = ~np.isfinite(samples)
    elif samples.dtype == object:
        bad = np.asarray(
            pd.isna(samples) | pd.Series(samples.ravel()).isin([np.inf, -np.inf]).to_numpy().reshape(samples.shape)
        )
    elif samples.dtype.kind in "iub":
        return
    else:
        raise InputError(
            f"modality {name!r}: expected numbers, came values of type {samples.dtype}; encode them as numbers, or give a DataFrame with categorical columns."
        )
    if bad.any():
        first = np.argwhere(bad)[0]
        raise InputError(
            f"modality {name!r}: {int(bad.sum()):,} of {bad.size:,} values are NaN or infinite (first: sample {first[0]}, position {tuple(map(int, first[1:]))}); "
            "expected finite numbers. Impute them as in training, or leave these samples out."
        )


def require_dimensions(name: str, kind: str, samples: np.ndarray, allowed: Sequence[int], shape: str) -> None:
    """Refuse an array with another number of axes than the kind of modality has."""
    if samples.ndim not in allowed:
        raise InputError(
            f"modality {name!r}: {kind} expects {shape}, came an array of shape {samples.shape}; reshape it, or name another kind in modalities={{{name!r}: ...}}."
        )


def scaled_distances(samples: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Mean squared difference of the features in units of the background's variance, halved: 1 on average for two
    random rows.
    """
    flat, rows = (array.reshape(len(array), -1).astype(np.float64) for array in (samples, background))
    spread = rows.std(axis=0)
    varying = spread > 0
    if not varying.any():
        return np.zeros((len(flat), len(rows)))
    flat, rows = ((array[:, varying] - rows[:, varying].mean(axis=0)) / spread[varying] for array in (flat, rows))
    squared = (flat**2).sum(1)[:, None] + (rows**2).sum(1)[None, :] - 2 * flat @ rows.T
    return np.asarray(np.maximum(squared, 0) / (2 * varying.sum()))


def most_frequent(values: np.ndarray) -> np.ndarray:
    """The most frequent value of each column, shape (1, columns); the smallest of equally frequent ones."""
    flat = values.reshape(len(values), -1)
    modes = [pd.Series(column).mode().iloc[0] for column in flat.T]
    return np.array(modes, dtype=values.dtype).reshape(1, *values.shape[1:])
