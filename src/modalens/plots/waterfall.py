"""The waterfall of one sample: how modalities, and what they do together, lead from the mean output to its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise
from math import floor, fsum, isfinite, isnan, log10

import xarray as xr
from matplotlib.axes import Axes

from modalens.errors import InputError, listed, nearest
from modalens.explanation import Explanation
from modalens.plots.style import BLUE, VERMILION, axes_of, drawn, light_grid, name_rows, sentences, titled
from modalens.reading import output_words, result_of, space_of, target_words

ADD_UP = ("k-sii", "stii", "fsii")
"""The indices whose terms add up to the whole change, however large the largest set is."""

MOEBIUS, SHARED_BY_PAIRS, SHARED_BY_MODALITIES = (
    "Moebius terms: what each set adds to its subsets",
    "InterSHAP: what three or more do is shared by their pairs",
    "Shapley values: what modalities do together is shared by them",
)
"""How what modalities do together is split."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """What a set of modalities changes; the sets that are not told apart have no single name."""

    name: str
    value: float
    size: int


@drawn
def waterfall(
    explanation: Explanation,
    sample: int = 0,
    *,
    output: str | None = None,
    top: int = 12,
    ax: Axes | None = None,
) -> Axes:
    """How one sample's output comes about: from the mean over the background to its own, a bar for each modality by itself
    and a hatched one for each set of modalities together. Every bar begins where the one above it ends, and the last
    ends at the sample's output: nothing is left out, and nothing counted twice.

    The axis shows outputs, in the space that is scored: the model's output on the whole sample is in the explanation, and
    the mean is this less all terms. An explanation made by hand, which does not hold it, shows changes from 0.

    Parameters
    ----------
    output : the target unless given; where outputs are scored apart, the one that changes most.
    top : the terms that have a bar of their own, the largest; the others share one.

    The terms are those of Interactions; where it is missing those of InterSHAP, in which pairs share what larger sets do;
    else Shapley values, in which modalities do.

    Raises InputError where none of the three is there or adds up, and for a sample or output that is not there.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> from modalens import plots
    >>> inputs = {"a": np.array([[2.0]]), "b": np.array([[3.0]])}
    >>> explanation = ml.explain(lambda a, b: a[:, 0] + a[:, 0] * b[:, 0], inputs, measures=[ml.Interactions()], baseline="zeros", output="raw")
    >>> [float(bar.get_width()) for bar in plots.waterfall(explanation).patches]
    [2.0, 0.0, 6.0]
    """
    if top < 1:
        raise InputError(f"top={top!r}: expected a number of bars, at least 1.")
    output = drawn_output(explanation, sample, output)
    found = terms_of(explanation, sample, output)
    if found is None:
        raise InputError(
            f"this needs terms that add up, and the explanation holds {listed(explanation.results)}: explain(..., measures=[ml.Interactions(), ml.Shapley()]). "
            "(Those of the indices 'sii' and 'banzhaf' do not add up, and InterSHAP keeps those of the target only.)"
        )
    terms, split = found
    known = [term for term in terms if not isnan(term.value)]
    if not known:
        raise InputError(
            f"sample {sample} has too few modalities for these terms, so there is nothing to add up: give one that has more."
        )
    bars = _largest(known, top)
    prediction = _prediction(explanation, sample, output)
    first = 0.0 if prediction is None else prediction - fsum(term.value for term in bars)
    ends = list(accumulate((term.value for term in bars), initial=first))
    ax = axes_of(ax, width=5.8, height=1.4 + 0.27 * (len(bars) + 2))
    ax.barh(
        range(1, len(bars) + 1),
        [term.value for term in bars],
        left=ends[:-1],
        height=0.66,
        color=[VERMILION if term.value > 0 else BLUE for term in bars],
        hatch=["" if term.size == 1 else "/////" for term in bars],
        edgecolor="white",
        linewidth=0,
        zorder=3,
    )
    ax.vlines(ends, [place - 0.33 for place in range(len(ends))], [place + 1.33 for place in range(len(ends))], color="#333333", linewidth=0.8, zorder=4)  # fmt: skip
    _numbers(ax, ends, bars, levels=prediction is not None)
    name_rows(ax, [_start(explanation), *(term.name for term in bars), f"sample {sample}"], width=30)
    named = output is not None and len(explanation.provenance["outputs"]) > 1
    words = output_words(explanation, str(output)) if named else target_words(explanation)
    missing = [term.name for term in terms if term.size == 1 and isnan(term.value)]
    lines = [words if prediction is not None else f"change of the {words}", split]
    lines += ["hatched: modalities together"] if any(term.size > 1 for term in bars) else []
    if (
        prediction is not None
        and explanation.provenance["space"] == "probability"
        and not 0 <= min(ends) <= max(ends) <= 1
    ):
        lines.append("(sums on the way may leave 0 to 1)")
    lines += [f"not there: {', '.join(missing)}"] if missing else []
    ax.set_xlabel(sentences("\n".join(lines), 70))
    light_grid(ax)
    reach = max(ends) - min(ends) or 1.0
    ax.set_xlim(min(ends) - 0.05 * reach, max(ends) + 0.17 * reach)
    titled(ax, f"How the output of sample {sample} comes about")
    return ax


def drawn_output(explanation: Explanation, sample: int, output: str | None) -> str | None:
    """The output that is drawn: the named one, the sample's target, or the one that changes most where each is scored by
    itself. None is the target whose name is not known.
    """
    samples, names = explanation.provenance["samples"], [str(name) for name in explanation.provenance["outputs"]]
    if not 0 <= sample < samples:
        raise InputError(f"sample={sample} is not there: the explanation has {samples}, numbered from 0.")
    if output is not None:
        if output not in names:
            raise InputError(
                f"output={output!r} is no output of the explanation, which has {listed(names[:12])}{nearest(output, names)}."
            )
        return output
    if len(names) == 1:
        return names[0]
    if "target" in explanation.cohort:
        return names[int(explanation.cohort.target.isel(sample=sample))]
    for kind, array in (("interactions", "of_target"), ("shapley", "of_target"), ("intershap", "values")):
        if (result := result_of(explanation, kind)) is None:  # type: ignore[arg-type]
            continue
        target = result.array(array).isel(sample=sample)
        if "output" in target.dims:
            amounts = abs(target).sum([dim for dim in target.dims if dim != "output"])
            return names[int(amounts.argmax("output"))]
        if array == "of_target":
            values = result.array("values").isel(sample=sample)
            alike = [name for name in names if values.sel(output=name, drop=True).equals(target)]
            return alike[0] if len(alike) == 1 else None
    return None


def _prediction(explanation: Explanation, sample: int, output: str | None) -> float | None:
    """The model's output on the whole sample, in the space that is scored; None where the explanation does not hold it."""
    if output is None or "prediction" not in explanation.cohort:
        return None
    found = explanation.cohort.prediction.sel(space=space_of(explanation), output=output).isel(sample=sample).item()
    return float(found) if isfinite(found) else None


def terms_of(explanation: Explanation, sample: int, output: str | None) -> tuple[list[Term], str] | None:
    """Terms that add up to all that happens to the output, and how what modalities do together is split; those of sets
    that the sample does not have are NaN. None where the explanation holds none that add up.
    """
    finders = (_of_interactions, _of_intershap, _of_shapley)
    return next((found for find in finders if (found := find(explanation, sample, output)) is not None), None)


def _of_interactions(explanation: Explanation, sample: int, output: str | None) -> tuple[list[Term], str] | None:
    result = result_of(explanation, "interactions")
    if result is None:
        return None
    index, order, players = result.settings["index"], int(result.settings["order"]), explanation.modalities
    names = [names for size in range(1, order + 1) for names in combinations(players, size)]
    found = _of_output(result.array("values"), result.array("of_target"), sample, output)
    terms = [_term(*one) for one in zip(names, found.values, strict=True)]
    split = MOEBIUS if index == "moebius" else f"interaction index {index}"
    if index in ADD_UP or (index == "moebius" and order >= len(players)):
        return terms, split
    shapley = _of_shapley(explanation, sample, output)
    if index != "moebius" or shapley is None:
        return None
    total, told = (fsum(term.value for term in one if not isnan(term.value)) for one in (shapley[0], terms))
    name = f"all {len(players)} together" if order + 1 == len(players) else f"sets larger than {order}"
    return [*terms, Term(name=name, value=total - told, size=order + 1)], split


def _of_intershap(explanation: Explanation, sample: int, output: str | None) -> tuple[list[Term], str] | None:
    result = result_of(explanation, "intershap")
    if result is None:
        return None
    phi = result.array("values").isel(sample=sample)
    if "output" in phi.dims:
        phi = phi.sel(output=output)
    elif output != drawn_output(explanation, sample, None):
        return None
    own = [_term((name,), phi.sel(modality=name, modality_2=name).item()) for name in explanation.modalities]
    pairs = [
        _term((one, two), 2 * phi.sel(modality=one, modality_2=two).item())
        for one, two in combinations(explanation.modalities, 2)
    ]
    return [*own, *pairs], SHARED_BY_PAIRS if len(explanation.modalities) > 2 else MOEBIUS


def _of_shapley(explanation: Explanation, sample: int, output: str | None) -> tuple[list[Term], str] | None:
    result = result_of(explanation, "shapley")
    if result is None:
        return None
    found = _of_output(result.array("values"), result.array("of_target"), sample, output)
    return [_term((name,), found.sel(modality=name).item()) for name in explanation.modalities], SHARED_BY_MODALITIES


def _of_output(values: xr.DataArray, of_target: xr.DataArray, sample: int, output: str | None) -> xr.DataArray:
    """The scores of one sample for an output, or for its target."""
    return of_target.isel(sample=sample) if output is None else values.isel(sample=sample).sel(output=output)


def _term(names: Sequence[str], value: float) -> Term:
    return Term(name=" × ".join(names), value=float(value), size=len(names))


def _largest(terms: Sequence[Term], top: int) -> list[Term]:
    """The largest terms, modalities by themselves first, and the sum of the others."""
    ranked = sorted(terms, key=lambda term: -abs(term.value))
    shown = sorted(ranked[:top], key=lambda term: (term.size, -abs(term.value)))
    others = ranked[top:]
    if len(others) < 2:  # a single one has a name of its own
        return sorted(ranked, key=lambda term: (term.size, -abs(term.value)))
    together = Term(name=f"{len(others)} others", value=fsum(term.value for term in others), size=max(term.size for term in others))  # fmt: skip
    return [*shown, together]


def _numbers(ax: Axes, ends: Sequence[float], bars: Sequence[Term], *, levels: bool) -> None:
    """The numbers beside the bars, all with as many decimals as tell the largest to three figures, and at both ends."""
    largest = max((abs(term.value) for term in bars), default=0.0)
    decimals = min(max(0, 2 - floor(log10(largest))), 12) if largest > 0 else 0
    total = fsum(term.value for term in bars)
    last = f"{ends[-1]:.{decimals}f}" if levels else f"{total:+.{decimals}f}"
    first = f"{ends[0]:.{decimals}f}" if levels else "0"
    changes = [f"{term.value:+.{decimals}f}" if term.value else "0" for term in bars]
    reach = [ends[0], *(max(pair) for pair in pairwise(ends)), ends[-1]]
    for place, (end, said) in enumerate(zip(reach, (first, *changes, last), strict=True)):
        ax.annotate(
            said.replace("-", "−"),
            (end, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            fontweight="bold" if place in (0, len(reach) - 1) else "normal",
        )


def _start(explanation: Explanation) -> str:
    """What the sample's output is held against: with every modality replaced."""
    shapley = result_of(explanation, "shapley")
    baselines = list(explanation.provenance["baselines"])
    baseline = baselines[0] if shapley is None else str(shapley.array("by_baseline").baseline.values[0])
    if baseline == "background":
        return "mean over background"
    return "all replaced" if ": " in baseline else f"all replaced ({baseline})"
