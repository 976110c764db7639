"""How it was found out: a paragraph for the methods of a paper, the settings one by one, versions, fingerprints, citations."""

from __future__ import annotations

import re
from collections.abc import Iterator

import xarray as xr

from modalens.cohort.subgroups import PERMUTATIONS
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.reading import sets_of_modalities
from modalens.report.cohort import Judged
from modalens.report.layout import Section
from modalens.summary import baselines_in_words
from modalens.summary.running import how_it_ran, rows_a_call, where_modalities_meet
from modalens.summary.wording import baseline_label, in_words, quote

PASTE = "To be pasted into a paper; the keys in brackets are those of the BibTeX entries below."

REFERENCES = "The measures used are from these papers."


NOTHING = Judged()
"""Where nothing was asked of the patients."""


def about_methods(explanation: Explanation, found: Judged = NOTHING) -> Iterator[Section]:
    """The paragraph with the settings below it, then versions and fingerprints, then BibTeX. found: what was asked of the patients."""
    yield Section(title="Methods", words=(PASTE,), quoted=methods(explanation, found))
    yield Section(title="What was evaluated", terms=_evaluated(explanation))
    yield Section(title="Versions and fingerprints", terms=_versions(explanation))
    if explanation.citation():
        yield Section(title="Citation", words=(REFERENCES,), quoted=explanation.citation())


def methods(explanation: Explanation, found: Judged = NOTHING) -> str:
    """What was done, with the exact settings, in sentences ready for a paper."""
    return " ".join(
        [
            *_who(explanation),
            *_what_stood_in(explanation),
            *_measures(explanation),
            *_intervals(explanation),
            *_patients(found),
            *_run(explanation),
        ]
    )


def keys(citation: str) -> list[str]:
    """The keys of BibTeX entries.

    >>> keys("@article{one2025, title = {One}} @book{two, title = {Two}}")
    ['one2025', 'two']
    """
    return re.findall(r"@\w+\{\s*([^,\s]+)", citation)


def _who(explanation: Explanation) -> Iterator[str]:
    about = explanation.provenance
    modalities = in_words([f"{name} ({words})" for name, words in about["modalities"].items()])
    groups = "group" in explanation.cohort and len(set(explanation.cohort["group"].values.tolist()))
    of_groups = f" of {groups:,} independent groups (patients)" if groups else ""
    yield (
        f"The model {quote(about['model'])} ({about['task']}; outputs: {', '.join(about['outputs'])}) was explained on {about['samples']:,} samples{of_groups}, "
        f"with the modalities {modalities}, using modalens {about['modalens']} (Python {about['versions'].get('python', 'unknown')}, torch {about['versions'].get('torch', 'unknown')})."
    )
    sets = sets_of_modalities(explanation)
    if sets:
        counted = ", ".join(f"{label}: {count:,}" for label, count in sets.items())
        yield f"Samples differed in the modalities that they had ({counted}); shares of a modality are among the samples that had it."
    yield f"For each set S of inputs that the model was given as they are, measured was {about['value_function']}."


def _what_stood_in(explanation: Explanation) -> Iterator[str]:
    background = explanation.provenance["background"]
    same = ", which were the explained samples themselves" if background["are_the_explained_samples"] else ""
    for label, words in baselines_in_words(explanation).items():
        yield f"Under the baseline “{label}”, {words}."
    yield f"There were {background['rows']:,} background samples{same}."


def _measures(explanation: Explanation) -> Iterator[str]:
    said = [
        f"{result.title.rstrip('.')}{_cited(result)}{f' ({settings})' if (settings := settings_words(result)) else ''}"
        for result in explanation.results.values()
    ]
    yield f"Computed {'were' if len(said) > 1 else 'was'}: {'; '.join(said)}."


def _cited(result: Result) -> str:
    found = keys(result.citation)
    return f" [{', '.join(found)}]" if found else ""


def settings_words(result: Result) -> str:
    """How a measure was set: `space probability, order 2`."""
    return ", ".join(
        f"{name.replace('_', ' ')} {baseline_label(str(value)) if name == 'baseline' else value}"
        for name, value in result.settings.items()
        if not isinstance(value, dict) and value not in (None, [], "")
    )


def _intervals(explanation: Explanation) -> Iterator[str]:
    drawn: dict[str, list[str]] = {}
    for result in explanation.results.values():
        if result.confidence is not None and "interval" not in result.reasons:
            drawn.setdefault(f"{100 * result.confidence:g} % percentile bootstrap intervals, from drawing {result.resampled}", []).append(result.title)  # fmt: skip
    for words, titles in drawn.items():
        of = "" if len(drawn) == 1 else f" of {in_words(titles)}"
        yield f"Intervals{of} are {words}."
    if not drawn:
        yield "No intervals were computed."


def _patients(found: Judged) -> Iterator[str]:
    """What was asked of the patients: as it was done, and nothing of what was not."""
    if found.performance is not None and "reason" not in found.performance.attrs:
        about = found.performance.attrs
        why = about["why_no_interval"]
        bounds = (
            f"without intervals ({why})"
            if why
            else f"with {100 * about['confidence']:g} % bootstrap intervals, from drawing {about['resampled']}"
        )
        yield f"Performance was measured on the same samples, {bounds}."
    if found.calibration is not None and "reason" not in found.calibration.attrs:
        yield from _calibration(found.calibration)
    if found.subgroups is not None and found.subgroups.tests:
        yield (
            f"Differences between subgroups ({found.subgroups.tests} in all) were tested by {PERMUTATIONS:,} permutations of who is in which subgroup, "
            "and p-values adjusted for all of them by Westfall and Young's step-down method."
        )


def _calibration(found: xr.Dataset) -> Iterator[str]:
    about = found.attrs
    why, level = about["why_no_interval"], f"{100 * about['confidence']:g} %"
    bins = f"in up to {found.sizes['bin']} bins of about equal size"
    if about["kind"] == "value":
        bounds = f"without intervals ({why})" if why else f"with {level} bootstrap intervals of their means"
        yield f"Observed values were held against predicted ones {bins}, {bounds}, and by a straight line."
        return
    yield f"Calibration was measured {bins} (expected calibration error), and by logistic regression of labels on predicted log-odds."
    if why:
        yield f"Calibration has no intervals ({why}); the error that chance makes is the mean of {about['simulated']:,} simulations of a calibrated model."
        return
    yield (
        f"The {level} intervals of observed shares are Wilson's, that of the calibration error by bootstrap; "
        f"the error that chance makes is from {about['simulated']:,} simulations of a calibrated model."
    )
    if "together" in about:
        yield f"{about['together']}."


def _run(explanation: Explanation) -> Iterator[str]:
    yield f"Everything random followed from the seed {explanation.provenance['seed']}. {how_it_ran(explanation)}"


def _evaluated(explanation: Explanation) -> dict[str, str]:
    about = explanation.provenance
    background = about["background"]
    meeting = where_modalities_meet(explanation)
    return {
        "Patients": f"{about['samples']:,} samples; {background['rows']:,} background samples"
        + (", the same ones" if background["are_the_explained_samples"] else ""),
        "Modalities": "; ".join(f"{name}: {words}" for name, words in about["modalities"].items()),
        "Model's task and outputs": f"{about['task']}: {', '.join(about['outputs'])}",
        "What was measured": f"For each set S of inputs that the model is given as they are: {about['value_function']}.",
        **{f"What stands in (“{label}”)": f"{words}." for label, words in baselines_in_words(explanation).items()},
        "Measures": "; ".join(f"{result.title} ({settings_words(result)})" for result in explanation.results.values()),
        "Rows through the model": f"{how_it_ran(explanation)} Checked is that the model is deterministic and does not mix patients.",
        **({"Where the modalities meet (fusion point)": meeting} if meeting else {}),
    }


def _versions(explanation: Explanation) -> dict[str, str]:
    about = explanation.provenance
    return {
        "modalens": about["modalens"],
        "Other software": ", ".join(f"{name} {version}" for name, version in about["versions"].items()),
        "Model": f"{about['model']}: {about['model_fingerprint']}",
        "Data": about["data"],
        "Background": about["background"]["data"],
        "Seed": str(about["seed"]),
        "Rows a call": rows_a_call(about["batch_size"]),
    }
