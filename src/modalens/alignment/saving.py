"""An audit in one NetCDF file: its numbers, its heat maps, and, where it is asked for, its records with their pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from modalens.alignment.kept import loaded_maps, loaded_records, stored_maps, stored_records
from modalens.alignment.result import FORMAT, Audit
from modalens.errors import InputError
from modalens.stored import digest_of

BOOLEAN = ("member", "constant")

NEEDED = (
    "value", "followed", "baseline_value", "lowest", "highest", "divergence", "opt_out", "evenness", "flipped", "phrase", "left_out",
    "patient", "image", "labels", "side",
)  # fmt: skip
"""What every audit holds, beside the boolean ones."""


def saved(audit: Audit, path: str | Path, *, pictures: bool = False) -> Path:
    """Write an audit. Raises InputError where it can't be written, and for pictures that it doesn't hold."""
    if pictures and not len(audit.records):
        raise InputError(
            "this audit holds no pictures to save: it was read from a file without them. Audit again, or save it with pictures=False."
        )
    target = Path(path)
    tree = {"/": _numbers(audit)} | stored_maps(audit.maps, words=pictures)
    tree |= stored_records(audit.records) if pictures else {}
    tree["/"].attrs["digest"] = digest_of(tree)
    try:
        xr.DataTree.from_dict(tree).to_netcdf(
            target, engine="h5netcdf", encoding={group: _compressed(dataset) for group, dataset in tree.items()}
        )
    except (OSError, ValueError) as error:  # a text that HDF5 can't hold is a ValueError
        raise InputError(f"the audit can't be written to {target}: {error}.") from error
    return target


def loaded(path: str | Path) -> Audit:
    """Read an audit. Raises InputError for a file that is none."""
    source = Path(path)
    if not source.is_file():
        raise InputError(f"there is no file {source}; expected one written by Audit.save.")
    try:
        with xr.open_datatree(source, engine="h5netcdf") as opened:
            tree = {node.path: node.to_dataset(inherit=False) for node in opened.load().subtree}
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, TypeError) as error:
        raise InputError(f"{source} is no saved audit, or it is damaged: {error}.") from error
    about = tree["/"].attrs
    if about.get("modalens_audit") != FORMAT:
        raise InputError(f"{source} is no saved audit of format {FORMAT}; expected a file written by Audit.save.")
    if about.get("digest") != digest_of(tree):
        raise InputError(f"{source} is a damaged audit: its contents differ from what was saved; save it again.")
    try:
        data = tree["/"].drop_attrs()
        for name in BOOLEAN:
            data[name] = data[name].astype(bool)
        data[list(NEEDED)]
        return Audit(
            data=data,
            settings=json.loads(about["settings"]),
            reasons={(score, why): count for score, why, count in json.loads(about["reasons"])},
            maps=loaded_maps(tree),
            records=loaded_records(tree),
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(f"{source} is a damaged audit: {error}.") from error


def _numbers(audit: Audit) -> xr.Dataset:
    """What stands at the top of the file; texts of any length."""
    whole = audit.data.drop_encoding().assign_attrs(
        modalens_audit=FORMAT,
        settings=json.dumps(audit.settings),
        reasons=json.dumps([[*key, count] for key, count in audit.reasons.items()]),
    )
    texts = [name for name, variable in whole.variables.items() if variable.dtype.kind in "UO"]
    return whole.assign({name: whole[name].astype(object) for name in texts})


def _compressed(dataset: xr.Dataset) -> Mapping[Any, dict[str, Any]]:
    """How the numbers of a group are packed; nothing is lost."""
    return {
        name: {"zlib": True, "complevel": 4}
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "fiu" and variable.size
    }
