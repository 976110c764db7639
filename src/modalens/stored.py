"""The explained samples in an explanation's file: arrays, tables, texts, bundles of arrays, lists of arrays of any
length, and gaps in all of them. They are read all at once, or one when it is looked at. And by what a damaged file is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr


def stored_inputs(inputs: Mapping[str, Any]) -> xr.Dataset:
    """The samples as variables: one a modality, or one for each of its members."""
    found = {}
    for name, samples in inputs.items():
        if isinstance(samples, Mapping):
            for place, (member, values) in enumerate(samples.items()):
                about = {"modality": name, "member": str(member)}
                found[f"{name}_member_{place}"] = _variable(f"{name}_{place}", values).assign_attrs(about)
        else:
            found[name] = _variable(name, samples)
    # What attributes hold is part of what is stored: JSON, so that a file gives back what was put into it.
    return xr.Dataset(
        {
            name: array.assign_attrs({key: json.dumps(value) for key, value in array.attrs.items()})
            for name, array in found.items()
        }
    )


def loaded_inputs(dataset: xr.Dataset) -> dict[str, Any]:
    """The samples by modality, as they were stored."""
    return _by_modality(
        dataset, {str(name): _samples(array, _about(array)) for name, array in dataset.data_vars.items()}
    )


def samples_in(path: Path, dataset: xr.Dataset) -> dict[str, Any]:
    """The samples by modality, left in their file until one is asked for. dataset: the same, opened and not loaded."""
    return _by_modality(
        dataset, {str(name): SamplesInFile(path=path, variable=str(name)) for name in dataset.data_vars}
    )


@dataclass(frozen=True, kw_only=True)
class SamplesInFile(Sequence):
    """The samples of a modality in an explanation's file, which is opened for each one that is asked for, and closed again."""

    path: Path
    variable: str

    def __len__(self) -> int:
        with self._opened() as array:
            about = _about(array)
            return len(about["lengths"]) if "lengths" in about else int(array.shape[0])

    def __getitem__(self, sample: Any) -> Any:
        if not isinstance(sample, int | np.integer):
            return self.all()[sample]
        with self._opened() as array:
            about = _about(array)
            if "lengths" not in about:
                return None if sample in about.get("missing", ()) else _one(array[int(sample)].values)
            lengths = about["lengths"]
            if lengths[sample] is None:
                return None
            start = sum(length for length in lengths[:sample] if length is not None)
            return array[start : start + lengths[sample]].values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.all(), dtype=dtype)

    def all(self) -> Any:
        """All samples, read at once."""
        with self._opened() as array:
            return _samples(array.load(), _about(array))

    @contextmanager
    def _opened(self) -> Iterator[xr.DataArray]:
        with xr.open_dataset(self.path, group="inputs", engine="h5netcdf") as dataset:
            yield dataset[self.variable]


def _by_modality(dataset: xr.Dataset, samples: Mapping[str, Any]) -> dict[str, Any]:
    """Samples by variable as samples by modality, in which some have several members."""
    found: dict[str, Any] = {}
    for name, own in samples.items():
        about = _about(dataset[name])
        if "member" in about:
            found.setdefault(about["modality"], {})[about["member"]] = own
        else:
            found[name] = own
    return found


def _about(array: xr.DataArray) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in array.attrs.items()}


def _one(value: np.ndarray) -> Any:
    """A sample as it was given: a text, a number or an array."""
    return str(value) if value.dtype.kind in "OUT" and value.ndim == 0 else value


def _variable(name: str, samples: Any) -> xr.DataArray:
    """The samples as one array; `lengths` of the items of each patient, None of those who have none, and `missing`
    texts, as attributes.
    """
    if isinstance(samples, pd.DataFrame):
        frame = samples if all(kind.kind in "fiub" for kind in samples.dtypes) else samples.astype(str)
        columns = {f"{name}_column": list(map(str, samples.columns))}
        return xr.DataArray(frame.to_numpy(), dims=("sample", f"{name}_column"), coords=columns)
    if _has_items(samples):
        each = [None if one is None else _numbers(one) for one in samples]
        known = [one for one in each if one is not None]
        lengths = [None if one is None else len(one) for one in each]
        return _named(name, np.concatenate(known), f"{name}_item").assign_attrs(lengths=lengths)
    if isinstance(samples, list | tuple) and any(one is None for one in samples):
        missing = [row for row, one in enumerate(samples) if one is None]
        return _variable(name, ["" if one is None else one for one in samples]).assign_attrs(missing=missing)
    values = _numbers(samples)
    return _named(name, values.astype(object) if values.dtype.kind in "OUT" else values, "sample")


def _samples(array: xr.DataArray, about: Mapping[str, Any]) -> Any:
    if "lengths" in about:
        parts = iter(np.split(array.values, np.cumsum([length for length in about["lengths"] if length is not None])))
        return [None if length is None else next(parts) for length in about["lengths"]]
    if array.dtype.kind in "OUT" and array.ndim == 1:
        missing = set(about.get("missing", ()))
        return [None if row in missing else str(text) for row, text in enumerate(array.values)]
    return array


def _has_items(samples: Any) -> bool:
    """Whether these are arrays, one a patient, which may differ in length."""
    known = [one for one in samples if one is not None] if isinstance(samples, list | tuple) else []
    return bool(known) and all(np.ndim(one) > 0 and hasattr(one, "shape") for one in known)


def _numbers(samples: Any) -> np.ndarray:
    if hasattr(samples, "detach"):
        samples = samples.detach().cpu()
        samples = samples.float() if samples.is_floating_point() else samples
    return np.asarray(samples)


def _named(name: str, values: np.ndarray, first: str) -> xr.DataArray:
    return xr.DataArray(values, dims=(first, *(f"{name}_{axis}" for axis in range(1, values.ndim))))


def digest_of(tree: Mapping[str, xr.Dataset]) -> str:
    """A fingerprint of all that is stored, by which a damaged file is known."""
    digest = hashlib.sha256()
    for path, dataset in sorted(tree.items()):
        for name, value in sorted(dataset.attrs.items()):
            digest.update(f"{path} {name} {value}".encode() if (path, name) != ("/", "digest") else b"")
        for name, variable in sorted(dataset.variables.items(), key=lambda pair: str(pair[0])):
            values = variable.values
            number = values.dtype.kind in "fiub"
            digest.update(f"{path} {name} {variable.dims} {variable.shape}".encode())
            digest.update(
                np.ascontiguousarray(values).tobytes() if number else repr(values.astype(str).tolist()).encode()
            )
    return digest.hexdigest()
