"""check_measure: the package's measures keep every promise, and a measure that breaks one is told which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

import modalens as ml
from modalens.problem import PRESENT, Mask, Outputs, Problem, Values
from modalens.statistics import average, share
from modalens.testing import check_measure
from modalens.testing.measure import CHECKS, PROMISES

OURS = [
    ml.Occlusion(),
    ml.Shapley(),
    ml.InterSHAP(),
    ml.Interactions(),
    ml.Reliance(),
    ml.FusionGradient(),
    ml.EMAP(),
    ml.SHAPE(),
    ml.PerceptualScore(),
    ml.LIME(),
    ml.MMSHAP(),
]


class Drop(ml.Measure):
    """What is lost without each modality: the measure of the documentation, which keeps all promises."""

    default_name, title, citation = "drop", "What is lost without each modality", "@article{own}"
    estimands = {"contribution": "contribution"}  # type: ignore[assignment]  # noqa: RUF012

    def needs(self, problem: Problem, values: Values | None) -> Sequence[Outputs]:
        masks = (PRESENT, *(Mask.without(name) for name in problem.modalities))
        return [Outputs(masks=masks, baseline=problem.coalition_baselines[0])]

    def per_sample(self, problem: Problem, values: Values) -> dict[str, xr.DataArray]:
        (need,) = Drop.needs(self, problem, None)
        whole, *without = values.mean(need.masks, need.baseline)
        lost = np.abs(whole - np.stack(without)).sum(axis=-1)
        return {"lost": xr.DataArray(lost, dims=("modality", "sample"), coords={"modality": list(problem.modalities)})}

    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> dict[str, xr.DataArray]:
        return {"contribution": share(average(samples["lost"], weights))}

    def reasons(self, problem: Problem, found: Any) -> dict[str, str]:
        return {"contribution": "nothing changes"} if found["contribution"].isnull().any() else {}


@pytest.mark.parametrize("measure", OURS, ids=lambda measure: measure.default_name)
def test_the_packages_measures_keep_every_promise(measure: ml.Measure) -> None:
    found = check_measure(measure)
    assert found.ok, str(found)
    assert [one.check for one in found.findings if one.verdict == "fine"] == [
        name for name in CHECKS if measure.default_name != "lime" or name != "ignored modality"
    ]


def test_a_measure_of_ones_own_keeps_them() -> None:
    found = check_measure(Drop())
    assert found.ok, str(found)
    assert "drop: nothing stands in the way" in str(found)
    assert set(CHECKS) == set(PROMISES) == {one.check for one in found.findings}


class Unnamed(Drop):
    default_name = "my drop"


class AnotherBaseline(Drop):
    def needs(self, problem: Problem, values: Values | None) -> Any:
        return [] if values else [Outputs(masks=(PRESENT,), baseline="of my own")]


class Insatiable(Drop):
    def needs(self, problem: Problem, values: Values | None) -> Any:
        if values is None:
            return super().needs(problem, None)
        absent = Mask.part("image", len(values.table) % 4)
        return [] if len(values.table) > 4 else [*super().needs(problem, None), Outputs(masks=(absent,), baseline=problem.coalition_baselines[0])]  # fmt: skip


class Peeking(Drop):
    def needs(self, problem: Problem, values: Values | None) -> Any:
        found = super().needs(problem, values)
        assert problem.labels is not None
        more = Outputs(masks=(Mask.without("image", "table"),), baseline=problem.coalition_baselines[0])
        return [*found, more] if problem.labels[0] else found


class Drawing(Drop):
    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        found = super().summarise(problem, samples, weights)
        return {"contribution": found["contribution"] * (1 + 1e-3 * np.random.rand())}  # noqa: NPY002


class Meddling(Drop):
    def per_sample(self, problem: Problem, values: Values) -> Any:
        for spaces in values.table.values():
            for array in spaces.values():
                array[..., 0] *= 1 + 1e-12
        return super().per_sample(problem, values)


class Nameless(Drop):
    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        return {"contribution": super().summarise(problem, samples, weights)["contribution"].drop_vars("modality")}


class Silent(Drop):
    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        found = super().summarise(problem, samples, weights)
        return found | {"excess": found["contribution"] * np.nan}


class Generous(Drop):
    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        return {"contribution": share(average(samples["lost"], weights) + 0.1)}


class First(Drop):
    """What the first sample says."""

    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        own = samples["lost"].isel(sample=[0])
        return {"contribution": share(average(own, weights.isel(sample=[0])))}


class Leading(Drop):
    """More of the modality that comes first."""

    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        lost = average(samples["lost"], weights)
        factors = xr.DataArray([2.0, 1, 1], dims="modality", coords={"modality": list(problem.modalities)})
        return {"contribution": share(lost * factors)}


class Summing(Drop):
    """A sum over samples in place of their mean."""

    def details(self, problem: Problem, values: Values, samples: Any) -> Any:
        return {}

    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        found = super().summarise(problem, samples, weights)
        return found | {"total": average(samples["lost"], weights) * problem.samples}


class Thresholded(Drop):
    """Changes count above a fixed amount."""

    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        return {"contribution": share(average((samples["lost"] - 0.2).clip(min=0), weights))}


class Dividing(Drop):
    """A share without thought of a total of nothing."""

    def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
        lost = average(samples["lost"], weights)
        return {"contribution": xr.apply_ufunc(lambda one, all: one / all, lost, lost.sum("modality"))}


class Zero(Drop):
    """0 in the place of what is not there."""

    def details(self, problem: Problem, values: Values, samples: Any) -> Any:
        return {"by_patient": samples["lost"].fillna(0.0)}

    def score(self, problem: Problem, values: Values) -> Any:
        found = super().score(problem, values)
        return replace(found, arrays={name: array.fillna(0.0) for name, array in found.arrays.items()})  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("measure", "check", "says"),
    [
        (Unnamed(name="fine"), "declares itself", r"default_name 'my drop' can't be an attribute"),
        (AnotherBaseline(), "asks for values", r"KeyError|baseline 'of my own'"),
        (Peeking(), "labels only score", r"depends on the labels"),
        (Drawing(), "same again", r"numpy's global random numbers"),
        (Drawing(), "same again", r"contribution differs when it is scored again"),
        (Meddling(), "values untouched", r"changes the values that other measures read"),
        (Nameless(), "named axes", r"axis modality of contribution does not name"),
        (Silent(), "NaN has a reason", r"excess is NaN, and no reason"),
        (Generous(), "ignored modality", r"gives 0.\d+ to a modality that the model never reads"),
        (First(), "order of samples", r"contribution depends on the order of the samples"),
        (Leading(), "order of modalities", r"contribution depends on the order of the modalities"),
        (Summing(), "samples twice", r"total depends on whether every sample is there once or twice"),
        (Thresholded(), "units", r"other units"),
        (Dividing(), "constant model", r"warns of .*invalid value|NaN, and no reason"),
        (Generous(), "constant model", r"is a number, where there is nothing to share out"),
        (Zero(), "modality lacking", r"by_patient gives a number to a modality that a sample lacks"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, ml.Measure) else "",
)
def test_a_broken_promise_is_told(measure: ml.Measure, check: str, says: str) -> None:
    found = [str(one) for one in check_measure(measure).findings if one.check == check and one.verdict != "fine"]
    assert any(re.search(says, one) for one in found), found


def test_one_that_raises_is_told_and_the_other_checks_go_on() -> None:
    class Raising(Drop):
        def summarise(self, problem: Problem, samples: Any, weights: xr.DataArray) -> Any:
            raise ZeroDivisionError("by nothing")

    found = check_measure(Raising())
    assert not found.ok
    assert any("raises ZeroDivisionError: by nothing" in one.found for one in found.findings)
    assert {one.check for one in found.findings} == set(CHECKS)


def test_a_class_is_no_measure() -> None:
    with pytest.raises(ml.InputError, match=r"came ABCMeta; a class needs its brackets"):
        check_measure(ml.Shapley)  # type: ignore[arg-type]
