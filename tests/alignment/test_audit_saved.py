"""Audits written and read again, and the folder of results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import modalens as ml
from audited import RIGHT, bilateral, blind, obedient, phantom, record
from modalens.alignment import Audit
from modalens.errors import InputError
from modalens.stored import digest_of

SCRIPT = "<script>alert('x')</script>"


def test_a_saved_audit_is_the_same(tmp_path: Path) -> None:
    audit = ml.audit(obedient, phantom(12))
    loaded = Audit.load(audit.save(tmp_path / "a.nc"))
    assert str(loaded) == str(audit)
    assert loaded.data.identical(audit.data)
    assert loaded.settings == audit.settings
    assert loaded.reasons == audit.reasons
    assert list(loaded.maps) == list(audit.maps)
    for name, maps in audit.maps.items():
        for one, other in zip(maps, loaded.maps[name], strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                np.testing.assert_array_equal(one.values, other.values)
    loaded.plot()


def test_files_that_are_no_audit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.nc").write_text("no audit")
    xr.Dataset({"x": 1}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    whole = ml.audit(obedient, bilateral(2), perturbations=[]).save(tmp_path / "whole.nc")
    with xr.open_dataset(whole, engine="h5netcdf") as opened:
        data = opened.load()
    data.drop_vars("divergence").to_netcdf(tmp_path / "less.nc", engine="h5netcdf")
    data.assign_attrs(settings="{").to_netcdf(tmp_path / "attrs.nc", engine="h5netcdf")
    lacking = data.drop_vars("divergence")
    lacking.assign_attrs(digest=digest_of({"/": lacking})).to_netcdf(tmp_path / "lacking.nc", engine="h5netcdf")
    other = shutil.copy(whole, tmp_path / "changed.nc")
    with h5py.File(other, "r+") as file:
        file["maps/values/float64"][0] += 1
    (tmp_path / "cut.nc").write_bytes(whole.read_bytes()[:4000])
    for name, said in {
        "none.nc": r"there is no file",
        "text.nc": r"no saved audit, or it is damaged",
        "other.nc": r"no saved audit of format 2",
        "less.nc": r"damaged audit: its contents differ from what was saved",
        "attrs.nc": r"damaged audit: its contents differ from what was saved",
        "changed.nc": r"damaged audit: its contents differ from what was saved",
        "lacking.nc": r"damaged audit: .*divergence",
        "cut.nc": r"no saved audit, or it is damaged",
    }.items():
        with pytest.raises(InputError, match=said):
            Audit.load(tmp_path / name)
    with pytest.raises(InputError, match=r"can't be written"):
        ml.audit(obedient, bilateral(2), perturbations=[]).save(tmp_path / "no" / "folder.nc")


def test_the_folder_holds_numbers_figures_and_a_page(tmp_path: Path) -> None:
    audit = ml.audit(blind, bilateral(5))
    written = audit.write(tmp_path / "out")
    assert sorted(path.name for path in written) == ["audit.csv", "audit.html", "audit.nc", "audit.png", "audit.svg"]
    frame = pd.read_csv(tmp_path / "out" / "audit.csv")
    assert len(frame) == audit.data.sizes["condition"] * 10
    at = frame[(frame.condition == "swap left/right") & (frame.record == 3)].iloc[0]
    assert at.auroc == pytest.approx(float(audit.data.value.sel(condition="swap left/right", score="auroc")[3]))
    page = (tmp_path / "out" / "audit.html").read_text()
    assert audit.verdict.replace("'", "&#39;") in page
    assert "data:image/svg+xml;base64," in page
    assert page.count("<table") == len(audit.tables())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"can't be written"):
        audit.write(tmp_path / "file")


def test_what_patients_and_phrases_are_called_is_text(tmp_path: Path) -> None:
    records = [
        *bilateral(5),
        record(f"Right {SCRIPT} $x_{{ opacity.", RIGHT, name=SCRIPT, number=40, study="s"),
        record("Left opacity.", (5, 2, 8, 5), name=SCRIPT, number=40, study="s"),
    ]
    baselines = {f"$1 {SCRIPT}": blind}
    audit = ml.audit(obedient, records, baselines=baselines, scores={f"{SCRIPT}$": lambda map, mask: float(map.max())})
    audit.write(tmp_path)
    page = (tmp_path / "audit.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert Audit.load(tmp_path / "audit.nc").data.identical(audit.data)
    audit.plot(records=[10, 11]).savefig(tmp_path / "maps.png")


def test_settings_are_plain_json() -> None:
    assert json.loads(json.dumps(ml.audit(obedient, bilateral(2)).settings))["perturbations"]["shuffle"]


def test_a_spreadsheet_takes_no_text_of_the_table_for_a_formula(tmp_path: Path) -> None:
    formula = "=HYPERLINK(1) opacity in the left lung."
    records = [*bilateral(2), record(formula, RIGHT, name="-1+1", number=9)]
    ml.audit(blind, records, perturbations=(), scores={"=1+1": lambda map, mask: -0.5}).write(tmp_path)
    frame = pd.read_csv(tmp_path / "audit.csv")
    assert frame.phrase[4] == f"'{formula}"
    assert frame.patient[4] == "'-1+1"
    assert frame["'=1+1"].tolist() == [-0.5] * 5
