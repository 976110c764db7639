"""What an explanation says, in a few sentences: which modality carries most, whether modalities are combined, what is
ignored, and what makes the answer doubtful.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from modalens.explanation import DISAGREEMENT, Explanation
from modalens.measures import Result
from modalens.measures.reliance import COLLAPSE
from modalens.reading import (
    Kind,
    bounds_of,
    by_output_views,
    contribution_views,
    hides,
    lead_outputs,
    pairs,
    result_of,
    results_of,
    sets_of_modalities,
    space_of,
)
from modalens.summary.wording import (
    baseline_label,
    capital,
    in_words,
    metric_words,
    points,
    quote,
    rounded_percent,
    score,
    with_bounds,
)

MARGIN = 0.01
"""Interaction counts as shown where even the lower bound of what is beyond an additive model lies above this share, a
convention.
"""

CHANCE = {"auc": 0.5, "r2": 0.0, "concordance": 0.5}
"""What a model that knows nothing scores."""


def headline(explanation: Explanation) -> list[str]:
    """The answer in sentences, the most important first."""
    sentences = [
        *carries(explanation),
        *of_those_who_have(explanation),
        *combines(explanation),
        *ignores(explanation),
        *depends_on_baseline(explanation),
        *knows_nothing(explanation),
    ]
    return sentences or [
        "None of the measures asked for says which modality carries most or whether they are combined; the numbers are below."
    ]


# Which modality carries most ------------------------------------------------------------------------------------------------------


def carries(explanation: Explanation) -> Iterator[str]:
    asked = contribution_views(explanation)
    views = [(words, result, name) for words, result, name in asked if not bool(result.array(name).isnull().any())]
    if not asked:
        return
    if not views:
        yield _no_shares(asked)
        return
    if len(explanation.modalities) < 2:
        parts = "; its parts are below" if result_of(explanation, "occlusion") else ""
        yield f"There is one modality, {quote(explanation.modalities[0])}, and so nothing to share{parts}."
        return
    if outputs := lead_outputs(explanation):
        yield from _carries_for_each(explanation, outputs)
        return
    words, result, name = views[0]
    yield _first_answer(words, result, name) + _other_answers(result, name, views[1:])


def _carries_for_each(explanation: Explanation, outputs: Sequence[str]) -> Iterator[str]:
    """Which modality carries most of each label by itself, and where another way of asking says otherwise."""
    (words, result), *others = by_output_views(explanation)
    first: dict[str, list[str]] = {}
    unclear, constant = [], []
    for output in outputs:
        place, said, verdict = _first_of(result, output)
        match verdict:
            case "undefined":
                constant.append(output)
            case "clear":
                first.setdefault(place, []).append(f"{quote(output)} ({said})")
            case _:
                unclear.append(f"{quote(output)} ({said})")
    for place, shares in first.items():
        yield f"{quote(place)} carries most of {in_words(shares)}, {_asked(words)}: shares of the change in each output by itself."
    if unclear:
        why = (
            "Which modality carries most is not clear"
            if result.confidence
            else "Without intervals it can't be said which modality carries most"
        )
        yield f"{why} for {in_words(unclear)}, {_asked(words)}."
    if constant:
        yield f"{_quoted(constant)} {'stays' if len(constant) == 1 else 'stay'} the same {_asked(words)}, so no modality has a share of it."
    for asked, other in others:
        differ = [
            f"{quote(place)} comes first for {quote(output)}"
            for output in outputs
            for place, _, verdict in [_first_of(other, output)]
            if verdict == "clear" and place != _first_of(result, output)[0]
        ]
        if differ:
            yield f"But {_asked(asked)} {in_words(differ)}: the answer depends on how one asks."


def _first_of(result: Result, output: str) -> tuple[str, str, str]:
    """The modality that comes first for one output, its share (where that is unclear: the first two), and whether it is
    clear that it comes first.
    """
    shares = result.array("by_output").sel(output=output, drop=True)
    if bool(shares.isnull().any()):
        return "", "", "undefined"
    bounds = bounds_of(result, "by_output")
    bounds = None if bounds is None else bounds.sel(output=output)
    order = [str(name) for name in shares.modality.values[np.argsort(-shares.values, kind="stable")]]
    said = [
        with_bounds(shares.sel(modality=name), None if bounds is None else bounds.sel(modality=name), rounded_percent)
        for name in order[:2]
    ]
    draws = None if bounds is None else result.draws["by_output"].sel(output=output)
    if draws is not None and _leads(draws, order, result):
        return order[0], said[0].replace(" (", ", ").rstrip(")"), "clear"
    return order[0], " and ".join(f"{quote(name)} {one}" for name, one in zip(order, said, strict=False)), "unclear"


def _leads(draws: xr.DataArray, order: Sequence[str], result: Result) -> bool:
    """Whether the interval of the lead of the first over the second leaves out 0."""
    lead = draws.sel(modality=order[0]) - draws.sel(modality=order[1])
    return bool(lead.quantile((1 - (result.confidence or 0)) / 2, skipna=True) > 0)


def of_those_who_have(explanation: Explanation) -> Iterator[str]:
    """That shares are of different samples, where these differ in the modalities that they have."""
    sets, samples = sets_of_modalities(explanation), explanation.provenance["samples"]
    if sets:
        complete = sets.get(" + ".join(explanation.modalities), 0)
        yield f"{complete} of {samples} samples have every modality; the share of each is among the samples that have it, so shares need not sum to 100 %."


def _no_shares(asked: list[tuple[str, Result, str]]) -> str:
    """Why no way of asking gives a share."""
    words, result, name = asked[0]
    if hides(result):
        return "The output stays the same whatever is hidden, so no modality has a share of it."
    return f"By {words}, no modality has a share of the output: {result.reasons.get(name, 'their sum is not defined')}."


def _first_answer(words: str, result: Result, name: str) -> str:
    """The first place, or the first two where it is not certain which is first."""
    shares, bounds = _sorted_shares(result, name)
    quoted = [
        with_bounds(
            shares.isel(modality=place), None if bounds is None else bounds.isel(modality=place), rounded_percent
        )
        for place in range(2)
    ]
    first, second = (quote(shares.modality.item(place)) for place in range(2))
    if bounds is None:
        return f"{first} has the largest share of the change in the output, {quoted[0]}, {_asked(words)}; without intervals, whether that is chance can't be said"
    said = quoted[0].replace("(", f"({100 * (result.confidence or 0):g} % interval ", 1)
    if _clear(result, name):
        return f"{first} carries most: {said} of the change in the output {_asked(words)}"
    return f"Which modality carries most is not clear: {first} has {said} of the change in the output and {second} {quoted[1]} {_asked(words)}"


def _other_answers(result: Result, name: str, others: list[tuple[str, Result, str]]) -> str:
    """Whether the other ways of asking agree on the first place."""
    first = result.array(name).idxmax("modality").item()
    agree, differ = [], []
    for words, other, array in others:
        shares = other.array(array)
        place = shares.idxmax("modality").item()
        share = rounded_percent(float(shares.max()))
        if place == first:
            agree.append(f"{share} {_asked(words)}")
        elif _clear(other, array):
            differ.append(f"{quote(place)} comes first {_asked(words)} ({share})")
    sentence = f"; {in_words(agree)}." if agree else "."
    return sentence + (f" But {in_words(differ)}: the answer depends on how one asks." if differ else "")


def _asked(words: str) -> str:
    if words.startswith("hidden"):
        return f"when {words}"
    return f"by {words}" if words.startswith("gradients") else f"by the {words}"


def _sorted_shares(result: Result, name: str) -> tuple[xr.DataArray, xr.DataArray | None]:
    shares = result.array(name)
    order = np.argsort(-shares.values, kind="stable")
    bounds = bounds_of(result, name)
    return shares.isel(modality=order), None if bounds is None else bounds.isel(modality=order)


def _clear(result: Result, name: str) -> bool:
    """Whether the first place is certain: the interval of its lead over the second leaves out 0."""
    shares, bounds = _sorted_shares(result, name)
    if bounds is None or result.confidence is None:
        return False
    return _leads(result.draws[name], [str(one) for one in shares.modality.values], result)


# Whether they are combined ----------------------------------------------------------------------------------------------------------


def combines(explanation: Explanation) -> Iterator[str]:
    result = result_of(explanation, "intershap")
    if result is None:
        return
    if "output" not in result.score.dims:
        yield _combination(explanation, result, None)
        return
    verdicts = {str(output): _verdict(explanation, result, str(output)) for output in result.score.output.values}
    shown, not_shown = (
        [output for output, verdict in verdicts.items() if (verdict == "beyond") == wanted] for wanted in (True, False)
    )
    if shown:
        quoted = in_words(
            [
                f"{quote(output)} ({rounded_percent(float(result.score.sel(output=output)))} interaction)"
                for output in shown
            ]
        )
        yield f"Modalities are combined, beyond what an additive model would show, for {quoted}{f'; not shown for {_quoted(not_shown)}' if not_shown else ''}."
    else:
        yield "For no output is it shown that modalities are combined beyond what an additive model would show."


def _combination(explanation: Explanation, result: Result, output: str | None) -> str:
    verdict = _verdict(explanation, result, output)
    if verdict == "undefined":
        return (
            f"Whether modalities are combined can't be said: {result.reasons.get('score', 'the score is not defined')}."
        )
    found = with_bounds(result.score, bounds_of(result, "score"), rounded_percent)
    null = result.null.sel(space=space_of(explanation))
    additive = (
        "an additive model would show none"
        if bool(null.isnull()) or float(null) < 1e-6
        else f"an additive model would show {rounded_percent(float(null))} on the same patients"
    )
    evidence = f"{found} of its behaviour is interaction (InterSHAP); {additive}"
    excess, bounds = _beyond(explanation, result, output)
    if bounds is not None and not bool(null.isnull()) and float(null) >= 1e-6:
        evidence += f", which leaves {with_bounds(excess, bounds, points)} percentage points beyond it"
    match verdict:
        case "beyond":
            return f"The model combines its modalities: {evidence}."
        case "additive":
            return f"The model adds its modalities up rather than combining them: {evidence}."
        case "no interval":
            said = capital(evidence.replace("its", "the model's", 1))
            return f"{said}; without intervals nothing more can be said."
    return f"That the model combines its modalities is not shown: {evidence}{_no_pair(explanation, result, output)}."


def _beyond(explanation: Explanation, result: Result, output: str | None) -> tuple[xr.DataArray, xr.DataArray | None]:
    """The score beyond that of an additive model, which is 0 where the output itself is scored (no link), and its
    bounds.
    """
    space = space_of(explanation)
    name = "score" if bool(result.null.sel(space=space).isnull().all()) else "excess"
    at = ({"space": space} if name == "excess" else {}) | ({} if output is None else {"output": output})
    bounds = bounds_of(result, name)
    return result.array(name).sel(at), None if bounds is None else bounds.sel(at)


def _verdict(explanation: Explanation, result: Result, output: str | None) -> str:
    excess, bounds = _beyond(explanation, result, output)
    if bool(excess.isnull()):
        return "undefined"
    if bounds is None:
        return "no interval"
    lower, upper = (float(bounds.sel(bound=bound)) for bound in ("lower", "upper"))
    if upper < MARGIN:
        return "additive"
    return "beyond" if lower > MARGIN and _has_clear_pair(explanation, result, output) else "not shown"


def _has_clear_pair(explanation: Explanation, result: Result, output: str | None) -> bool:
    """Whether some pair's signed mean leaves out 0. Asked only where the score is made of means: |mean| is above 0 by
    chance alone, mean |.| of a model without noise is not.
    """
    if result.settings.get("reading") != "paper":
        return True
    bounds = bounds_of(result, "signed")
    if bounds is None:
        return False
    bounds = bounds if output is None else bounds.sel(output=output)
    clear = (bounds.sel(bound="lower") > 0) | (bounds.sel(bound="upper") < 0)
    return any(bool(clear.sel(modality=first, modality_2=second)) for first, second in pairs(explanation))


def _no_pair(explanation: Explanation, result: Result, output: str | None) -> str:
    return (
        ""
        if _has_clear_pair(explanation, result, output)
        else ", and for no pair of modalities does the interval of the signed interaction leave out 0"
    )


# What is ignored, and what makes it doubtful -------------------------------------------------------------------------------------------


def ignores(explanation: Explanation) -> Iterator[str]:
    """Modalities that count as ignored: by Reliance's verdict, else by the same rule from Occlusion, else those that
    the model does not read.
    """
    reliance, occlusion = result_of(explanation, "reliance"), result_of(explanation, "occlusion")
    if len(explanation.modalities) < 2 or (reliance is None and occlusion is None):
        yield from _not_connected(explanation)
        return
    share = float(reliance.settings.get("collapse", COLLAPSE)) if reliance is not None else COLLAPSE
    if reliance is not None:
        verdicts = {
            str(name): str(reliance.verdict.sel(modality=name).item()) for name in reliance.verdict.modality.values
        }
        ignored = [name for name, verdict in verdicts.items() if verdict == "ignored"]
        withheld = [name for name, verdict in verdicts.items() if verdict.startswith("withheld")]
    else:
        assert occlusion is not None
        array = "by_output" if lead_outputs(explanation) else "contribution"
        ignored, withheld = [name for name in explanation.modalities if _below(occlusion, name, array, share)], []
    if ignored:
        be, their = ("is", "its") if len(ignored) == 1 else ("are", "their")
        yield f"{_quoted(ignored)} {be} ignored: even the upper bound of {their} share lies below {100 * share:g} %, hidden part by part and as a whole."
    if withheld:
        assert reliance is not None
        why = str(reliance.verdict.sel(modality=withheld[0]).item()).removeprefix("withheld: ")
        yield f"Whether {_quoted(withheld)} {'is' if len(withheld) == 1 else 'are'} ignored is left open: {why}."


def _not_connected(explanation: Explanation) -> Iterator[str]:
    """Modalities of which no feature reaches the fusion point, where nothing else was asked."""
    result = result_of(explanation, "fusion_gradient")
    widths = None if result is None else result.array("width")
    unread = [] if widths is None else [str(name) for name in widths.modality.values[(widths == 0).values]]
    if unread:
        yield f"{_quoted(unread)} {'is' if len(unread) == 1 else 'are'} ignored: the model's output is not connected with {'it' if len(unread) == 1 else 'them'}."


def _below(occlusion: Result, name: str, array: str, share: float) -> bool:
    bounds = [bounds_of(occlusion, one) for one in (array, "anchor_by_baseline")]
    return all(found is not None and bool((found.sel(bound="upper", modality=name) < share).all()) for found in bounds)


def depends_on_baseline(explanation: Explanation) -> Iterator[str]:
    """Where the answer depends on what stands in for what is hidden."""
    for name, array in shown_by_baseline(explanation):
        spread = array.max("baseline") - array.min("baseline")
        if not bool((spread > DISAGREEMENT).any()):
            continue
        worst = spread.fillna(0).argmax(...) if spread.dims else {}
        at = array.isel(worst)
        where = (
            f" of {quote(at.modality.item())}"
            if "modality" in at.coords
            else f" for {quote(at.output.item())}"
            if "output" in at.coords
            else ""
        )
        each = in_words(
            [
                f"{rounded_percent(float(at.sel(baseline=one)))} with {baseline_label(str(one))} in its place"
                for one in at.baseline.values
            ]
        )
        yield f"The answer depends on what stands in for what is hidden: {name}{where} is {each}."


def shown_by_baseline(explanation: Explanation) -> Iterator[tuple[str, xr.DataArray]]:
    asked: tuple[tuple[Kind, str, str], ...] = (
        ("occlusion", "anchor_by_baseline", "the share"),
        ("shapley", "by_baseline", "the Shapley share"),
        ("intershap", "by_baseline", "interaction"),
        ("fusion_gradient", "by_baseline", "the share by gradients"),
        ("lime", "by_baseline", "the share by LIME"),
    )
    for kind, array, words in asked:
        for result in results_of(explanation, kind).values():
            yield words, result.array(array)


def knows_nothing(explanation: Explanation) -> Iterator[str]:
    """What a model looks at says little about patients where it can't tell them apart."""
    reliance = result_of(explanation, "reliance")
    if reliance is None:
        return
    metric = str(reliance.settings.get("metric", ""))
    bounds = bounds_of(reliance, "everything")
    if metric in CHANCE and bounds is not None and float(bounds.sel(bound="lower")) <= CHANCE[metric]:
        yield (
            f"The model itself is not shown to be better than chance on these patients ({metric_words(metric)} {with_bounds(reliance.everything, bounds, score)}): "
            "what it looks at then says little about the disease."
        )


def _quoted(names: list[str]) -> str:
    return in_words([quote(name) for name in names])
