"""One plain HTML file from an explanation: the answer in words, figures, tables, and everything needed to doubt it.
It loads nothing and runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens import plots
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.plots.overview import tables_of
from modalens.reading import GRADIENTS, contribution_views, gradients_words, hides, one_output, result_of
from modalens.report.layout import Picture, Section, alt_of, filled, picture, written
from modalens.summary import baselines_in_words, caveats, title_words
from modalens.summary.headline import headline
from modalens.summary.running import how_it_ran, rows_a_call, where_modalities_meet
from modalens.summary.tables import Table, by_topic
from modalens.summary.wording import NOT_DEFINED, capital, quote


class Planted(Protocol):
    """What is known of a planted shortcut, such as `ml.plant` returns: the verdict, the tables, and the figure."""

    @property
    def verdict(self) -> str: ...

    def tables(self) -> Sequence[Table]: ...

    def plot(self) -> Any: ...


def body(explanation: Explanation) -> str:
    """The explanation as an HTML fragment, for notebooks."""
    return filled("fragment.html", **_contents(explanation))


def write_page(
    explanation: Explanation,
    path: str | Path,
    *,
    title: str | None = None,
    preface: str | None = None,
    scores: pd.DataFrame | None = None,
    notes: Sequence[str] = (),
    samples: Sequence[int] = (),
    planting: Planted | None = None,
) -> Path:
    """Write the explanation as one HTML file that needs no other file and no network, and can be printed.

    Parameters
    ----------
    title : of the page; the model's name unless given.
    preface : what the reader should know first, in plain text; an empty line begins a paragraph.
    scores : scores of models trained with and without modalities, which tell whether a modality is useful, not only
        used; a row each.
    notes : further sentences for the caveats.
    samples : positions of patients to show part by part. What is shown of them, such as the image or the words, is in
        the file: none unless asked for.
    planting : what `ml.plant` found with this model; its verdict stands before all pictures.

    Raises InputError where the file can't be written, or a sample is not there.
    """
    contents = _contents(explanation)
    if planting is not None:
        contents["sections"].insert(0, _planting_section(planting))
    if scores is not None:
        contents["sections"].append(_scores_section(scores))
    contents["sections"] += [_sample_section(explanation, sample) for sample in samples]
    contents["caveats"] = [*notes, *contents["caveats"]]
    heading = title or f"What {quote(explanation.provenance['model'])} looks at"
    return written(path, "page.html", title=heading, preface=preface, **contents)


# What stands in the page ------------------------------------------------------------------------------------------------------------


def _contents(explanation: Explanation) -> dict[str, Any]:
    about = explanation.provenance
    return {
        "about": title_words(explanation) + ".",
        "headline": headline(explanation),
        "warnings": about["warnings"],
        "sections": _sections(explanation),
        "evaluated": _evaluated(explanation),
        "caveats": caveats(explanation) + CAVEATS,
        "versions": _versions(explanation),
        "citation": explanation.citation(),
    }


CAVEATS = [
    "What the model uses is not what causes the disease, and not what a physician should use.",
    "Replacing an input makes patients that do not exist; the more unlikely they are, the less the model's answer on them means.",
]


def _sections(explanation: Explanation) -> list[Section]:
    """The questions that the explanation has an answer to, in the order in which they are asked."""
    topics = by_topic(explanation)
    intershap = result_of(explanation, "intershap")
    output = None if intershap is None else one_output(intershap.score, None, intershap.score)[1]
    found = []
    if views := contribution_views(explanation):
        shown = [_picture(plots.contributions(explanation), alt_of(topics["contribution"]))]
        for name in tables_of(explanation):
            shown.append(
                _picture(
                    plots.part_contributions(explanation, name),
                    f"Bars of the parts of {name} that carry most; the largest are in the table of parts.",
                )
            )
        found.append(
            Section(
                title="How much each modality carries",
                words=_contribution_words(views),
                figures=tuple(shown),
                tables=tuple(topics["contribution"]),
            )
        )
    if topics["gradients"]:
        pictured = _picture(plots.fusion_gradients(explanation), alt_of(topics["gradients"]))
        found.append(
            Section(
                title=capital(gradients_words(explanation)),
                words=(
                    GRADIENTS_WORDS if gradients_words(explanation) == GRADIENTS else AT_INPUTS_WORDS,
                    ESTIMATORS_WORDS,
                ),
                figures=(pictured,),
                tables=tuple(topics["gradients"]),
            )
        )
    if topics["interaction"]:
        shown = [
            _picture(
                plots.orders(explanation, output=output),
                "Stacked bars of what single modalities, pairs and larger sets do; the numbers are in the tables below.",
            )
        ]
        if intershap is not None:
            alt = f"Heat map of what each modality does by itself and with each other one{'' if output is None else f', for {output}'}; the pairs are in a table below."
            scored = _picture(plots.interaction_scores(explanation, output=output), alt_of(topics["interaction"]))
            shown = [scored, *shown, _picture(plots.interaction_matrix(explanation, output=output), alt)]
        found.append(
            Section(
                title="Whether modalities are combined",
                words=INTERACTION_WORDS,
                figures=tuple(shown),
                tables=tuple(topics["interaction"]),
            )
        )
    if topics["reliance"]:
        pictured = _picture(plots.reliance(explanation), alt_of(topics["reliance"]))
        found.append(
            Section(
                title="How well it predicts without them",
                words=RELIANCE_WORDS,
                figures=(pictured,),
                tables=tuple(topics["reliance"]),
            )
        )
    if topics["score"]:
        pictured = _picture(plots.scores(explanation), alt_of(topics["score"]))
        found.append(
            Section(
                title="What the score rests on",
                words=SCORE_WORDS,
                figures=(pictured,),
                tables=tuple(topics["score"]),
            )
        )
    if topics["other"]:
        found.append(Section(title="Other measures", words=(), figures=(), tables=tuple(topics["other"])))
    return found


HIDING_WORDS = (
    "A part of the input is hidden: it is replaced by something that says nothing about this patient. The more the model's output changes, the more that part carried. The "
    "changes of each modality are given as shares of all changes. A large share means that the model uses the modality; it does not mean that the model is right."
)

WAYS_WORDS = (
    "It is asked in up to six ways. Hidden part by part (patch, column, word): sensitive to how finely a modality is cut. Hidden as a whole: not so. Shapley value: averaged "
    "over all combinations of what else is hidden. Gradients: nothing is hidden, the output is followed along the features of each modality. LIME: a line "
    "through all combinations, near the whole input. MM-SHAP: Shapley values of the parts, added up. Where they agree, the answer does not depend on how one asks."
)

FOLLOWING_WORDS = (
    "The more the model's output follows what it is told by a modality, the more that modality carries. A large share means that the model uses the modality; it does not mean "
    "that the model is right."
)

GRADIENTS_WORDS = (
    "Each modality first goes through an encoder of its own, which turns it into features; a head combines the features of all. Where they meet is the fusion point. "
    "Here the model's output is followed while the features change, and its change is shared out among the modalities whose features bring it about. Nothing is hidden."
)

AT_INPUTS_WORDS = (
    "The model's output is followed while its inputs change, and its change is shared out among the modalities that bring it about. Nothing is hidden. This would be done where "
    "the modalities meet inside the model (the fusion point), and that was not found, or was not to be used."
)

ESTIMATORS_WORDS = "There are several ways to add gradients up (estimators). The first column counts; where the others differ much from it, the answer depends on how one adds up."

INTERACTION_WORDS = (
    "A model may just add up what each modality says by itself, or it may combine them: read one in the light of another. InterSHAP is the share of the model's behaviour that "
    "is owed to such combinations. On probabilities even a model that only adds up shows some, since probabilities flatten near 0 and 1; what counts is what lies beyond that. "
    "On the log-odds (the scale on which evidence adds up) such a model shows none.",
)

RELIANCE_WORDS = (
    "The score of this same model against the true labels, when it is given everything, one modality alone, or all but one, the others being replaced. A drop shows that this "
    "model relies on a modality; a model trained without it might do as well.",
)

SCORE_WORDS = (
    "The score of this same model against the true labels again: what is left of it if the model could only add its modalities up (EMAP), how much of it each modality brings "
    "(SHAPE), and what is lost with one modality of another patient (perceptual score). A model trained without a modality, or without combining, might do as well.",
)


def _contribution_words(views: Sequence[tuple[str, Result, str]]) -> tuple[str, ...]:
    """What a share is, and how it can be asked for, of the ways that there are."""
    hiding = any(hides(result) for _, result, _ in views)
    return (HIDING_WORDS if hiding else FOLLOWING_WORDS, *((WAYS_WORDS,) if hiding else ()))


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
        "Measures": "; ".join(f"{result.title} ({_settings(result)})" for result in explanation.results.values()),
        "Rows through the model": f"{how_it_ran(explanation)} Checked is that the model is deterministic and does not mix patients.",
        **({"Where the modalities meet (fusion point)": meeting} if meeting else {}),
    }


def _settings(result: Result) -> str:
    return ", ".join(f"{name} {value}" for name, value in result.settings.items() if not isinstance(value, dict))


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


def _scores_section(scores: pd.DataFrame) -> Section:
    rows = tuple(
        (str(index), *(_number(value) for value in row))
        for index, row in zip(scores.index, scores.to_numpy(dtype=object), strict=True)
    )
    table = Table(
        title="Scores of trained models",
        columns=(str(scores.index.name or "model"), *map(str, scores.columns)),
        rows=rows,
    )
    words = (
        "These models were trained with and without modalities. Where one without a modality scores as well, that modality is not needed, however much the model above uses it.",
    )
    return Section(title="Whether the modalities are useful", words=words, figures=(), tables=(table,))


PLANTING_WORDS = (
    "Before the measures are believed, they were put to the test on this very model: a mark that says nothing about the patient was put into a random half of the patients, and "
    "a known share of the output was made to depend on it. Measures that see such a shortcut grow with it; at 100 % nothing else counts, and the right answer is 100 %.",
    "Models that can know nothing, since their weights were drawn at random or their labels shuffled, stand apart. They are scored against shuffled labels, as random weights may follow the "
    "true ones by luck: a verdict on them would be a false one.",
)


def _planting_section(planting: Planted) -> Section:
    tables = tuple(planting.tables())
    pictured = picture(planting.plot(), alt_of(tables))
    return Section(
        title="Would a shortcut be seen?",
        words=(f"{capital(planting.verdict)}.", *PLANTING_WORDS),
        figures=(pictured,),
        tables=tables,
    )


def _number(value: Any) -> str:
    if pd.isna(value):
        return NOT_DEFINED
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _sample_section(explanation: Explanation, sample: int) -> Section:
    words: tuple[str, ...] = (
        "How much the output changes when each part of this one patient's input is hidden. The darker, the more; a part without colour changes nothing.",
    )
    counts = result_of(explanation, "occlusion")
    lacking = [
        name
        for name in explanation.modalities
        if counts is not None and 0 <= sample < counts.part_count.sizes["sample"]
        if not int(counts.part_count.sel(modality=name).isel(sample=sample))
    ]
    words += tuple(f"Sample {sample} has no {quote(name)}." for name in lacking)
    named = [
        (name, f"The parts of {name} of sample {sample}, coloured by how much each changes the output.")
        for name in explanation.modalities
        if name not in lacking
    ]
    pictures = tuple(_picture(plots.parts(explanation, name, sample), alt) for name, alt in named)
    return Section(title=f"Sample {sample}, part by part", words=words, figures=pictures, tables=())


def _picture(ax: Axes, alt: str) -> Picture:
    """The figure that these axes stand in."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return picture(figure, alt)
