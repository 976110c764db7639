"""An audit in one NetCDF file: its numbers, and its heat maps where all have one grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.result import FORMAT, Audit
from modalens.errors import InputError

BOOLEAN = ("member", "constant")

NEEDED = (
    "value", "followed", "baseline_value", "lowest", "highest", "divergence", "opt_out", "evenness", "flipped", "phrase", "left_out",
    "patient", "image", "labels", "side",
)  # fmt: skip
"""What every audit holds, beside the boolean ones."""


def saved(audit: Audit, path: str | Path) -> Path:
    """Write an audit. Raises InputError where it can't be written."""
    target = Path(path)
    whole = audit.data.assign(_mapped(audit)).assign_attrs(
        modalens_audit=FORMAT,
        settings=json.dumps(audit.settings),
        reasons=json.dumps([[*key, count] for key, count in audit.reasons.items()]),
    )
    for name in (
        "score",
        "condition",
        "baseline",
        "level",
        "subset",
        *(n for n, v in whole.data_vars.items() if v.dtype.kind in "UO"),
    ):
        if name in whole.variables:
            whole[name] = whole[name].astype(object)
    try:
        whole.to_netcdf(target, engine="h5netcdf")
    except OSError as error:
        raise InputError(f"the audit can't be written to {target}: {error}.") from error
    return target


def loaded(path: str | Path) -> Audit:
    """Read an audit. Raises InputError for a file that is none."""
    source = Path(path)
    if not source.is_file():
        raise InputError(f"there is no file {source}; expected one written by Audit.save.")
    try:
        with xr.open_dataset(source, engine="h5netcdf") as opened:
            whole = opened.load()
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, TypeError) as error:
        raise InputError(f"{source} is no saved audit, or it is damaged: {error}.") from error
    if whole.attrs.get("modalens_audit") != FORMAT:
        raise InputError(f"{source} is no saved audit of format {FORMAT}; expected a file written by Audit.save.")
    try:
        settings, reasons = json.loads(whole.attrs["settings"]), json.loads(whole.attrs["reasons"])
        data = whole.drop_vars([name for name in ("map", "mapped") if name in whole.variables]).drop_attrs()
        for name in BOOLEAN:
            data[name] = data[name].astype(bool)
        data[list(NEEDED)]
        return Audit(
            data=data,
            settings=settings,
            reasons={(score, why): count for score, why, count in reasons},
            maps=_maps(whole),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{source} is a damaged audit: {error}.") from error


def _mapped(audit: Audit) -> dict[str, xr.DataArray]:
    """The maps (condition, record, row, column), NaN where there is none; nothing where grids or extents differ."""
    every = [map for maps in audit.maps.values() for map in maps if map is not None]
    if not every or len({map.values.shape for map in every}) > 1 or any(map.extent for map in every):
        return {}
    nothing = np.full(every[0].values.shape, np.nan, dtype=np.float32)
    values = [
        [nothing if map is None else map.values.astype(np.float32) for map in maps] for maps in audit.maps.values()
    ]
    return {
        "map": xr.DataArray(
            np.array(values),
            dims=("mapped", "record", "row", "column"),
            coords={"mapped": np.array(list(audit.maps), dtype=object)},
        )
    }


def _maps(whole: xr.Dataset) -> dict[str, Sequence[HeatMap | None]]:
    if "map" not in whole:
        return {}
    return {
        str(condition): [
            None if np.isnan(one).any() else HeatMap(values=one) for one in whole["map"].sel(mapped=condition).values
        ]
        for condition in whole.mapped.values
    }
