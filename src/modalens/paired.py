"""Two models on the same patients: every number that both have, the difference, and its paired interval, as tables, figures and
sentences read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import xarray as xr

from modalens.explanation import Comparison, Explanation
from modalens.measures import Result
from modalens.reading import contribution_views, kind_of

INTERACTION, EVERYTHING = "interaction (InterSHAP)", "score with everything"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """By how much a number of the second model is larger than that of the first.

    what: which number, by how it was asked for, such as `hidden as a whole`; of: the modality, or the output where each is
    scored by itself, else empty. measure, array, at: where the number stands in both explanations. lower, upper: NaN without
    an interval; confidence: of the interval. metric: of a score, such as `auc`; empty for shares.
    """

    what: str
    of: str
    value: float
    lower: float
    upper: float
    measure: str
    array: str
    at: Mapping[str, str] = field(default_factory=dict)
    confidence: float | None = None
    metric: str = ""

    @property
    def is_share(self) -> bool:
        """Whether it is a difference of shares, in percentage points, and not of scores."""
        return not self.metric

    @property
    def is_bounded(self) -> bool:
        """Whether it has an interval."""
        return self.lower <= self.upper

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.lower > 0 or self.upper < 0


def differences_of(comparison: Comparison) -> list[Difference]:
    """The differences of shares of modalities, in every way to ask for them, of interaction, and of the score.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.ones((1, 1)), "b": np.ones((1, 1))}
    >>> settings = {"measures": [ml.Shapley()], "baseline": "zeros", "output": "raw", "progress": False}
    >>> one = ml.explain(lambda a, b: a[:, 0] + b[:, 0], inputs, **settings)
    >>> two = ml.explain(lambda a, b: 3 * a[:, 0] + b[:, 0], inputs, **settings)
    >>> [(found.what, found.of, found.value) for found in differences_of(ml.compare(one, two))]
    [('Shapley value', 'a', 0.25), ('Shapley value', 'b', -0.25)]
    """
    return [
        _difference(comparison, what, measure, array, at, metric)
        for what, measure, array, at, metric in _numbers(comparison.explanations[0])
        if array in comparison.differences.get(measure, {})
    ]


def multiplicity(differences: Sequence[Difference]) -> str:
    """What chance alone makes of so many intervals, in a sentence; empty where there is no interval.

    Example
    -------
    >>> multiplicity([Difference(what="Shapley value", of="a", value=0.1, lower=0.0, upper=0.2, measure="shapley", array="contribution", confidence=0.95)])
    'One difference has an interval (95 %).'
    """
    bounded = [one for one in differences if one.is_bounded]
    levels = sorted({one.confidence for one in bounded if one.confidence is not None})
    if not levels:
        return ""
    said = " or ".join(f"{100 * level:g} %" for level in levels)
    if len(bounded) == 1:
        return f"One difference has an interval ({said})."
    return (
        f"{len(bounded)} differences have an interval ({said}), which is not adjusted for how many they are: "
        f"of models that differ in nothing, about one interval in {1 / (1 - levels[0]):.0f} leaves out 0 by chance alone."
    )


Number = tuple[str, str, str, dict[str, str], str]
"""What it is called; the measure, the array and where in it; the metric of a score."""


def _numbers(explanation: Explanation) -> Iterator[Number]:
    """The numbers that are compared: shares, interaction, and the score."""
    names = {id(result): name for name, result in explanation.results.items()}
    views = [(what, names[id(result)], array) for what, result, array in contribution_views(explanation)]
    own = [(name.replace("_", " "), name, "contribution") for name, one in explanation.results.items() if _is_own(one)]
    for what, measure, array in (*views, *own):
        yield from ((what, measure, array, {"modality": name}, "") for name in explanation.modalities)
    for name, result in explanation.results.items():
        if kind_of(result) == "intershap":
            for at in _each_output(result.array("score")):
                yield INTERACTION, name, "score", at, ""
        if kind_of(result) == "reliance":
            yield EVERYTHING, name, "everything", {}, str(result.settings.get("metric", "score"))


def _is_own(result: Result) -> bool:
    """Whether it is of a user's own measure, which says how much modalities carry."""
    found = result.arrays.get("contribution")
    return kind_of(result) is None and isinstance(found, xr.DataArray) and found.dims == ("modality",)


def _each_output(array: xr.DataArray) -> list[dict[str, str]]:
    return [{"output": str(name)} for name in array.output.values] if "output" in array.dims else [{}]


def _difference(
    comparison: Comparison, what: str, measure: str, array: str, at: dict[str, str], metric: str
) -> Difference:
    intervals = comparison.interval[measure]
    bounds = intervals[array].sel(at) if array in intervals else None
    lower, upper = (float("nan") if bounds is None else float(bounds.sel(bound=end)) for end in ("lower", "upper"))
    return Difference(
        what=what,
        of=next(iter(at.values()), ""),
        value=float(comparison.differences[measure][array].sel(at)),
        lower=lower,
        upper=upper,
        measure=measure,
        array=array,
        at=at,
        confidence=intervals.attrs.get("confidence"),
        metric=metric,
    )
