"""The folder of the phantom's demonstration: its models can be audited again, and asked in the app."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

import modalens as ml
from modalens.alignment import Phantom, Record
from modalens.alignment.contrast.network import DualEncoder, small_dual_encoder
from modalens.alignment.contrast.recipes import RECIPES, VOCABULARY, keep, kept
from modalens.demo_phantom import write_study
from modalens.errors import InputError
from modalens.findings import findings_in
from modalens.studyfile.auditing import models_of, read_audit

RECIPE = "opt-out, logit"


def untrained() -> DualEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return small_dual_encoder(VOCABULARY, **RECIPES[RECIPE].network).eval()


@pytest.fixture
def records() -> list[Record]:
    return Phantom().records(5, seed=1)


def test_a_study_of_the_demonstration_gives_the_same_audit(records: list[Record], tmp_path: Path) -> None:
    training = Phantom().records(8, seed=2, prefix="training")
    model = untrained()
    audit = ml.audit(model, records, training=training, seed=5, perturbations=())
    (tmp_path / "failing").mkdir()
    audit.save(tmp_path / "failing" / "audit.nc", pictures=True)
    study = write_study(tmp_path / "failing", model, RECIPE, records, training, seed=5)
    assert RECIPES[RECIPE].words in study.read_text()
    run = read_audit(study)
    for one, other in zip(records, run.records, strict=True):
        np.testing.assert_array_equal(other.pixels(), one.pixels())
        assert (other.phrase, other.side, other.patient) == (one.phrase, one.side, one.patient)
        np.testing.assert_array_equal(other.truth, one.truth)
    xr.testing.assert_identical(
        ml.audit(run.model, run.records, **run.settings | {"perturbations": ()}).data, audit.data
    )
    models = models_of([study], findings_in(tmp_path))
    (name,) = models
    assert name == "failing/audit"
    pixels, phrases = [records[0].pixels()], ["A word that nobody knows on the left."]
    np.testing.assert_array_equal(models[name](pixels, phrases)[0].values, model.heat_maps(pixels, phrases)[0].values)


def test_weights_are_plain_numbers(tmp_path: Path) -> None:
    path = keep(untrained(), tmp_path / "weights.npz")
    again = kept(RECIPE, path)
    assert not again.training
    for name, weights in untrained().state_dict().items():
        assert torch.equal(again.state_dict()[name], weights)
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fiU" for name in file.files)


def test_other_files_of_weights_are_refused(tmp_path: Path) -> None:
    path = keep(untrained(), tmp_path / "weights.npz")
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:3000])
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "pickled.npz", words=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "wordless.npz", weights=np.ones(2))
    for name in ("cut.npz", "empty.npz", "pickled.npz", "wordless.npz", "none.npz"):
        with pytest.raises(InputError, match=r"does not hold the weights of the recipe 'opt-out, logit'"):
            kept(RECIPE, tmp_path / name)
    with pytest.raises(InputError, match=r"does not hold the weights of the recipe 'single'"):
        kept("single", path)
    with pytest.raises(InputError, match=r"recipe='singel' is not known"):
        kept("singel", path)
    with pytest.raises(InputError, match=r"can't be written"):
        keep(untrained(), tmp_path / "no" / "weights.npz")
