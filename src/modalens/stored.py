"""The explained samples in an explanation's file: arrays, tables, texts, bundles of arrays, lists of arrays of any
length, and gaps in all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    found: dict[str, Any] = {}
    for name, array in dataset.data_vars.items():
        about = {key: json.loads(value) for key, value in array.attrs.items()}
        samples = _samples(array, about)
        if "member" in about:
            found.setdefault(about["modality"], {})[about["member"]] = samples
        else:
            found[str(name)] = samples
    return found


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
