"""Single patients on the page: those whom fixed rules choose, and those whom the reader asks for."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np

from modalens import cohort, plots
from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.plots.parts import changes_of
from modalens.plots.waterfall import drawn_output, terms_of
from modalens.reading import output_words, result_of, target_words
from modalens.report.layout import Section, picture
from modalens.summary.wording import capital, change, quote

CHOSEN_WORDS = (
    "Patients chosen by fixed rules, not by hand: each rule is in the sentence. They show what the model does with one patient; they are no random sample, and prove nothing "
    "about the others."
)

HOW_TO_READ = (
    "The bars show how this patient's output comes about, from the mean with everything hidden. In the pictures below, the darker a part, the more the output changes when it is "
    "hidden; a part without colour changes nothing."
)

NO_PICTURES = "The samples were not saved with the explanation, so parts are shown without the pictures or texts that they are parts of: explanation.save(path, inputs=True) keeps them."

NEEDS_OCCLUSION = "Single patients are shown part by part by the measure Occlusion, which was not asked: explain(..., measures=[ml.Occlusion(), ...])."

LEFT_OUT = "Single patients were left out of this page, as was asked."

MOST_NAMED = 3
"""Parts named in what is read to those who can't see a figure."""


def about_patients(explanation: Explanation, samples: Sequence[int] = ()) -> Section:
    """The chosen patients, and those that are asked for, each with a figure. Raises InputError for a sample that is not there."""
    for sample in samples:
        require_sample(explanation, sample)
    if result_of(explanation, "occlusion") is None:
        return Section(title="Single patients", words=(NEEDS_OCCLUSION,))
    rules = {one.sample: (one.kind, one.words) for one in cohort.chosen(explanation)}
    asked = dict.fromkeys(samples, ("asked for", "Asked for by the author of this page."))
    each = {sample: (asked | rules)[sample] for sample in (*rules, *asked)}
    return Section(
        title="Single patients",
        words=(CHOSEN_WORDS, HOW_TO_READ, *(() if explanation.inputs else (NO_PICTURES,))),
        within=tuple(_patient(explanation, sample, kind, words) for sample, (kind, words) in each.items()),
        private=True,
    )


def require_sample(explanation: Explanation, sample: int) -> None:
    """Refuse a patient who is not there."""
    samples = explanation.provenance["samples"]
    if isinstance(sample, bool) or not isinstance(sample, int | np.integer) or not 0 <= sample < samples:
        raise InputError(
            f"sample={sample!r} is not there: the explanation has {samples}, numbered from 0; give such positions, as in samples=[0, 5]."
        )


def _patient(explanation: Explanation, sample: int, kind: str, words: str) -> Section:
    """One patient: why, who lacks what, and the figure."""
    counts = result_of(explanation, "occlusion")
    assert counts is not None
    lacking = [
        name
        for name in explanation.modalities
        if not int(counts.array("part_count").sel(modality=name).isel(sample=sample))
    ]
    return Section(
        title=f"{capital(kind)}: sample {sample}{_named(explanation, sample)}",
        words=(words, *(f"Sample {sample} has no {quote(name)}." for name in lacking)),
        figures=(picture(plots.patient(explanation, sample), _alt(explanation, sample, lacking)),),
    )


def _named(explanation: Explanation, sample: int) -> str:
    name = cohort.patients(explanation)["patient"].iloc[sample]
    return "" if name == str(sample) else f", patient {name}"


def _alt(explanation: Explanation, sample: int, lacking: Sequence[str]) -> str:
    """The figure of a patient in words: what adds up to the output, and the parts that change it most."""
    output = drawn_output(explanation, sample, None)
    words = [f"How the output of sample {sample} comes about"]
    found = terms_of(explanation, sample, output)
    if found is not None:
        terms = sorted((term for term in found[0] if not isnan(term.value)), key=lambda term: -abs(term.value))
        named = output is not None and len(explanation.provenance["outputs"]) > 1
        of = output_words(explanation, output) if named and output else target_words(explanation)
        words.append(f"changes of the {of}: " + ", ".join(f"{term.name} {change(term.value)}" for term in terms))
    words += [_largest_parts(explanation, name, sample) for name in explanation.modalities if name not in lacking]
    return f"{'; '.join(words)}."


def _largest_parts(explanation: Explanation, name: str, sample: int) -> str:
    """The parts of a modality whose hiding changes the outputs most; their texts too, where parts are words."""
    changes = changes_of(explanation, name, sample, None)
    names = changes.part.values if "part" in changes.coords else changes.word.values
    order = np.argsort(-np.nan_to_num(changes.values), kind="stable")[:MOST_NAMED]
    top = [f"{names[place]} {float(changes[place]):.3g}" for place in order if float(changes[place]) > 0]
    return f"parts of {name} that change it most: {', '.join(top)}" if top else f"no part of {name} changes it"
