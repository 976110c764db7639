"""check_measure: does a measure keep to what every measure promises?"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from modalens.errors import InputError, ModalensWarning, listed
from modalens.explanation import Explanation, load
from modalens.measures import Measure, Result
from modalens.pipeline import evaluate, explain
from modalens.problem import Gradients, Outputs, Problem, Values
from modalens.setting import prepare
from modalens.testing.alike import EQUAL, alike, arrays_of, differing
from modalens.testing.result import Finding, MeasureCheck, Verdict

if TYPE_CHECKING:
    from modalens.testing.cases import Case

NOTHING = 0.05
"""A share above this of a modality that is never read is wrong, one below it the price of an approximation: a convention."""


class Asked:
    """A measure and the standard case that it is asked about; what was asked once is kept."""

    def __init__(self, measure: Measure, case: Case) -> None:
        self.measure, self.case = measure, case
        self.check = ""

    @cached_property
    def explanation(self) -> Explanation:
        return self.of(self.case)

    @property
    def result(self) -> Result:
        return self.explanation[self.measure.key]

    @cached_property
    def evaluated(self) -> tuple[Problem, Values]:
        """The problem, and all values that the measure asked for."""
        case = self.case
        setting = prepare(case.model, case.inputs, measures=[self.measure], **case.settings)
        with setting.model.session():
            prepared, _, values = evaluate(setting.open(), progress=False)
        return prepared.problem, values

    def of(self, case: Case, **settings: Any) -> Explanation:
        """What the measure says of a case."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModalensWarning)
            return explain(
                case.model, case.inputs, measures=[self.measure], progress=False, **(dict(case.settings) | settings)
            )

    def found(self, verdict: Verdict, found: str, remedy: str = "") -> Finding:
        return Finding(check=self.check, verdict=verdict, found=found, remedy=remedy)


Check = Callable[[Asked], Iterator[Finding]]


def check_measure(measure: Measure) -> MeasureCheck:
    """Does a measure keep to what every measure of the package promises?

    It is asked about a small network with three modalities, of which one is never read, on 24 samples of 12 patients, and
    about the same patients in another order, doubled, in other batches, without a modality, and with a model that is constant.

    Parameters
    ----------
    measure : an object of your own subclass of `ml.Measure`, or one of the package's.

    Returns
    -------
    MeasureCheck: `.findings`, each with the check's name (see `CHECKS`), a verdict ("fine", "note", "obstacle", or "not checked"),
        what was found and what to do; `.obstacles`, `.ok`; `print` shows a table. In pytest: `assert check_measure(Mine()).ok`, or one
        test a check with `@pytest.mark.parametrize("finding", check_measure(Mine()).findings, ids=str)`.

    Raises InputError for what is no measure.

    Example
    -------
    >>> import modalens as ml
    >>> from modalens.testing import check_measure
    >>> check_measure(ml.Shapley()).ok
    True
    """
    if not isinstance(measure, Measure):
        raise InputError(
            f"check_measure: expected a measure, such as ml.Shapley(), came {type(measure).__name__}; a class needs its brackets."
        )
    from modalens.testing.cases import standard  # a network, and torch takes a second to import

    asked = Asked(measure, standard())
    findings = [finding for name, check in CHECKS.items() for finding in _found(name, check, asked)]
    return MeasureCheck(measure=measure.default_name, findings=tuple(findings))


def _found(name: str, check: Check, asked: Asked) -> list[Finding]:
    """What a check found; what the measure raises is a finding too."""
    asked.check = name
    try:
        findings = list(check(asked))
    except Exception as error:
        return [asked.found("obstacle", f"it raises {type(error).__name__}: {error}.")]
    return findings or [asked.found("fine", PROMISES[name])]


# What it declares and asks for -------------------------------------------------------------------------------------------------------


def declared(asked: Asked) -> Iterator[Finding]:
    measure = asked.measure
    for name in ("default_name", "title", "citation"):
        if not isinstance(getattr(measure, name, None), str):
            yield asked.found("obstacle", f"{name} is no text.", f"Set {name} in the class.")
    if not str(getattr(measure, "default_name", "")).isidentifier():
        yield asked.found(
            "obstacle",
            f"default_name {measure.default_name!r} can't be an attribute of an explanation.",
            "Choose a Python name.",
        )
    if not getattr(measure, "citation", ""):
        yield asked.found("note", "there is no citation.", "Give the BibTeX of the paper, so that users can cite it.")


def asks(asked: Asked) -> Iterator[Finding]:
    problem, values = asked.evaluated
    needs = asked.measure.needs(problem, None)
    baselines = {*problem.coalition_baselines, *problem.part_baselines}
    for need in needs:
        if not isinstance(need, Outputs | Gradients):
            yield asked.found(
                "obstacle", f"needs gives a {type(need).__name__}.", "Give Outputs or Gradients (modalens.problem)."
            )
        elif need.baseline not in baselines:
            yield asked.found(
                "obstacle",
                f"needs names the baseline {need.baseline!r}, and the problem's are {listed(sorted(baselines))}.",
                "Take it from problem.coalition_baselines or problem.part_baselines.",
            )
    if list(asked.measure.needs(problem, None)) != list(needs):
        yield asked.found(
            "obstacle",
            "needs asks for something else when it is called again.",
            "Draw from np.random.default_rng(problem.seed).",
        )
    keys = {
        values.key(mask, need.baseline, need.draws)
        for need in asked.measure.needs(problem, values)
        if isinstance(need, Outputs)
        for mask in need.masks
    }
    if keys - set(values.table):
        yield asked.found("obstacle", "needs never ends: it asks for more of values that are all there.")


def labels_only_score(asked: Asked) -> Iterator[Finding]:
    problem, _ = asked.evaluated
    assert problem.labels is not None
    other = replace(problem, labels=1 - problem.labels)
    if list(asked.measure.needs(other, None)) != list(asked.measure.needs(problem, None)):
        yield asked.found(
            "obstacle",
            "what is evaluated depends on the labels.",
            "Labels go to the score, never into a need: else the model is looked at where it is right.",
        )


# What it computes --------------------------------------------------------------------------------------------------------------------


def same_again(asked: Asked) -> Iterator[Finding]:
    problem, values = asked.evaluated
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first = asked.measure.score(problem, values)
    if not np.array_equal(np.random.get_state()[1], before):  # type: ignore[index]  # noqa: NPY002
        yield asked.found(
            "obstacle", "it draws from numpy's global random numbers.", "Use np.random.default_rng(problem.seed)."
        )
    second = asked.measure.score(problem, values)
    for name in differing(first, second, tolerance=0.0):
        yield asked.found(
            "obstacle", f"{name} differs when it is scored again.", "Draw from np.random.default_rng(problem.seed)."
        )


def values_untouched(asked: Asked) -> Iterator[Finding]:
    problem, values = asked.evaluated
    before = {key: {space: array.copy() for space, array in kept.items()} for key, kept in values.table.items()}
    asked.measure.score(problem, values)
    for key, kept in values.table.items():
        if any(not np.array_equal(array, before[key][space], equal_nan=True) for space, array in kept.items()):
            yield asked.found(
                "obstacle",
                "it changes the values that other measures read too.",
                "Work on a copy, or without `out=` and `+=`.",
            )
            return


def named_axes(asked: Asked) -> Iterator[Finding]:
    modalities, samples = list(asked.case.inputs), asked.case.samples
    for name, array in arrays_of(asked.result):
        if not isinstance(array, xr.DataArray):
            yield asked.found(
                "obstacle", f"{name} is a {type(array).__name__}.", "Give an xarray.DataArray, with names on its axes."
            )
            continue
        if "sample" in array.dims and array.sizes["sample"] != samples:
            yield asked.found("obstacle", f"{name} has {array.sizes['sample']} samples of {samples}.")
        if "modality" in array.dims and (
            "modality" not in array.coords or list(map(str, array.modality.values)) != modalities
        ):
            yield asked.found(
                "obstacle",
                f"the axis modality of {name} does not name all modalities in their order.",
                "Give coords={'modality': list(problem.modalities)}.",
            )
    if not asked.result.global_numbers:
        yield asked.found("note", "there is no global number: summarise gives nothing.", "Users read those first.")


def no_nan_without_reason(asked: Asked) -> Iterator[Finding]:
    for name, array in asked.result.global_numbers.items():
        if array.isnull().any() and name not in asked.result.reasons:
            yield asked.found("obstacle", f"{name} is NaN, and no reason is given.", "Say it in `reasons`.")


def intervals(asked: Asked) -> Iterator[Finding]:
    bounds = asked.result.interval
    for name in asked.result.global_numbers:
        if name not in bounds:
            yield asked.found("obstacle", f"{name} has no interval.")
        elif bool((bounds[name].sel(bound="lower") > bounds[name].sel(bound="upper")).any()):
            yield asked.found("obstacle", f"the interval of {name} is the wrong way round.")


def ignored_is_zero(asked: Asked) -> Iterator[Finding]:
    for name in _shares(asked):
        array = asked.result.array(name)
        given = float(abs(array.sel(modality=asked.case.ignored)).max())
        if given > EQUAL:
            yield asked.found(
                "obstacle" if given > NOTHING else "note",
                f"{name} gives {given:.2g} to a modality that the model never reads.",
            )
        if name in asked.measure.estimands and not np.allclose(array.sum("modality"), 1):
            yield asked.found("obstacle", f"{name} is declared as shares of an estimand, and does not add up to 1.")


# What must not matter ----------------------------------------------------------------------------------------------------------------


def order_of_patients(asked: Asked) -> Iterator[Finding]:
    yield from _same_numbers(asked, asked.case.reordered(), "the order of the samples")


def order_of_modalities(asked: Asked) -> Iterator[Finding]:
    yield from _same_numbers(asked, asked.case.turned(), "the order of the modalities")


def patients_twice(asked: Asked) -> Iterator[Finding]:
    yield from _same_numbers(asked, asked.case.doubled(), "whether every sample is there once or twice")


def batches(asked: Asked) -> Iterator[Finding]:
    for name in differing(asked.result, asked.of(asked.case, batch_size=5)[asked.measure.key]):
        yield asked.found("obstacle", f"{name} depends on how many rows are run at a time.")


def scale(asked: Asked) -> Iterator[Finding]:
    one, scaled = (asked.of(asked.case.valued(factor, shift))[asked.measure.key] for factor, shift in ((1, 0), (3, -2)))
    for name in _shares(asked):
        if not alike(one.array(name), scaled.array(name)):
            yield asked.found(
                "note", f"{name} changes when the output is counted in other units (3 f - 2 instead of f)."
            )


def constant(asked: Asked) -> Iterator[Finding]:
    """A model that says the same of everybody."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            found = asked.of(asked.case.constant())[asked.measure.key]
        except InputError:  # refused in words
            return
        except RuntimeWarning as warning:
            yield asked.found(
                "obstacle",
                f"of a constant model it warns of {warning}.",
                "Divide with statistics.share, which knows a total of 0.",
            )
            return
    for name in _shares(asked):
        array = found.arrays.get(name)
        if isinstance(array, xr.DataArray) and not bool(array.isnull().all()):
            yield asked.found(
                "obstacle",
                f"{name} of a constant model is a number, where there is nothing to share out.",
                "Give NaN, and a reason.",
            )
        elif name not in found.reasons:
            yield asked.found(
                "obstacle", f"{name} of a constant model is NaN, and no reason is given.", "Say it in `reasons`."
            )


def lacking(asked: Asked) -> Iterator[Finding]:
    """Patients who lack a modality."""
    case = asked.case.lacking()
    try:
        found = asked.of(case)[asked.measure.key]
    except InputError:  # refused in words
        return
    lacks = case.lacks
    for name, array in arrays_of(found):
        if isinstance(array, xr.DataArray) and {"sample", "modality"} <= set(array.dims):
            theirs = array.sel(modality=case.lacked).isel(sample=np.flatnonzero(lacks))
            if theirs.dtype.kind == "f" and not bool(theirs.isnull().all()):
                yield asked.found(
                    "obstacle", f"{name} gives a number to a modality that a sample lacks.", "Give NaN, never 0."
                )


def saved(asked: Asked) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(asked.explanation.save(Path(folder) / "saved.nc"))[asked.measure.key]
    for name in differing(asked.result, loaded, tolerance=0.0):
        yield asked.found("obstacle", f"{name} is another one when it was saved and loaded.")


CHECKS: dict[str, Check] = {
    "declares itself": declared,
    "asks for values": asks,
    "labels only score": labels_only_score,
    "same again": same_again,
    "values untouched": values_untouched,
    "named axes": named_axes,
    "NaN has a reason": no_nan_without_reason,
    "intervals": intervals,
    "ignored modality": ignored_is_zero,
    "order of samples": order_of_patients,
    "order of modalities": order_of_modalities,
    "samples twice": patients_twice,
    "batches": batches,
    "units": scale,
    "constant model": constant,
    "modality lacking": lacking,
    "saved": saved,
}
"""Every check by its name."""

PROMISES = {
    "declares itself": "it has a name, a title and a citation.",
    "asks for values": "it asks for masks and baselines that there are, for the same each time, and ends.",
    "labels only score": "what it evaluates does not depend on the labels.",
    "same again": "scored again, all numbers are the same to the bit.",
    "values untouched": "the values that it reads stay as they are.",
    "named axes": "all axes have names, and modalities their order.",
    "NaN has a reason": "every global number is there, or says why not.",
    "intervals": "every global number has an interval.",
    "ignored modality": "a modality that is never read gets nothing.",
    "order of samples": "the order of the samples does not matter.",
    "order of modalities": "the order of the modalities does not matter.",
    "samples twice": "samples that are there twice change nothing.",
    "batches": "the rows a call do not matter.",
    "units": "shares are the same in other units.",
    "constant model": "of a model that is constant it gives NaN with a reason, or refuses it in words.",
    "modality lacking": "what a sample lacks gets NaN, or is refused in words.",
    "saved": "saved and loaded, all numbers are the same.",
}
"""What it means that a check found nothing."""


def _same_numbers(asked: Asked, case: Case, what: str) -> Iterator[Finding]:
    """Whether the global numbers of another case of the same patients are the same."""
    other = asked.of(case)[asked.measure.key]
    for name, array in asked.result.global_numbers.items():
        if name not in other.arrays or not alike(array, other.array(name)):
            yield asked.found("obstacle", f"{name} depends on {what}.")


def _shares(asked: Asked) -> list[str]:
    """The arrays that say what each modality's share is."""
    found = asked.result.global_numbers
    names = [*asked.measure.estimands, *(["contribution"] if "contribution" in found else [])]
    return [name for name in dict.fromkeys(names) if name in found]
