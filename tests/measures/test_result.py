"""Arrays of a result by name, with their type: what is not there is told, and what is of the other kind."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import modalens as ml
from modalens.measures import Result

RESULT = Result(
    measure="mine",
    title="Mine",
    arrays={"contribution": xr.DataArray(np.ones(2), dims="modality"), "parts": {"ct": xr.DataArray(np.zeros(3))}},
)


def test_arrays_are_found_by_name() -> None:
    assert RESULT.array("contribution") is RESULT.contribution
    assert RESULT.by_modality("parts")["ct"] is RESULT.parts["ct"]


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(
        ml.InputError, match=r"has no 'contributon' \(did you mean 'contribution'\?\); it has 'contribution', 'parts'"
    ):
        RESULT.array("contributon")
    with pytest.raises(ml.InputError, match="'mine' has no 'anchor'"):
        RESULT.by_modality("anchor")


def test_one_array_and_one_a_modality_are_told_apart() -> None:
    with pytest.raises(ml.InputError, match=r"an array for each modality, not one: ask by_modality\('parts'\)\['ct'\]"):
        RESULT.array("parts")
    with pytest.raises(
        ml.InputError, match=r"one array for all modalities, with the axes 'modality': ask array\('contribution'\)"
    ):
        RESULT.by_modality("contribution")
