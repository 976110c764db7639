"""One plain HTML file from an explanation: the answer in words, figures, tables, and everything needed to doubt it.
It loads nothing and runs nothing.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import jinja2
import matplotlib as mpl
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from modalens import plots
from modalens.errors import InputError
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.plots.overview import tables_of
from modalens.plots.reading import GRADIENTS, contribution_views, gradients_words, hides, one_output, result_of
from modalens.summary import baselines_in_words, caveats, title_words
from modalens.summary.headline import headline
from modalens.summary.running import how_it_ran, rows_a_call, where_modalities_meet
from modalens.summary.tables import Table, by_topic
from modalens.summary.wording import NOT_DEFINED, capital, quote

FOLDER = Path(__file__).parent

PIXELS_PER_POINT = 96 / 72


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as it stands in the page: the image itself, and what it shows, for those who can't see it."""

    source: str
    alt: str
    width: int


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question: what it means in plain words, and the figures and tables that answer it."""

    title: str
    words: tuple[str, ...]
    figures: tuple[Picture, ...]
    tables: tuple[Table, ...]


class Planted(Protocol):
    """What is known of a planted shortcut, such as `ml.plant` returns: the verdict, the tables, and the figure."""

    @property
    def verdict(self) -> str: ...

    def tables(self) -> Sequence[Table]: ...

    def plot(self) -> Any: ...


def body(explanation: Explanation) -> str:
    """The explanation as an HTML fragment, for notebooks."""
    return _templates().get_template("fragment.html").render(style=_style(), **_contents(explanation))


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
    page = _templates().get_template("page.html").render(style=_style(), title=heading, preface=preface, **contents)
    target = Path(path)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"the page can't be written to {target}: {error}.") from error
    return target


@cache
def _templates() -> jinja2.Environment:
    """The templates, in which everything is escaped unless it is the style sheet, which is ours."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _style() -> Markup:
    return Markup((FOLDER / "page.css").read_text(encoding="utf-8"))


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
        shown = [_picture(plots.contributions(explanation), _alt_of(topics["contribution"]))]
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
        pictured = _picture(plots.fusion_gradients(explanation), _alt_of(topics["gradients"]))
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
            scored = _picture(plots.interaction_scores(explanation, output=output), _alt_of(topics["interaction"]))
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
        pictured = _picture(plots.reliance(explanation), _alt_of(topics["reliance"]))
        found.append(
            Section(
                title="How well it predicts without them",
                words=RELIANCE_WORDS,
                figures=(pictured,),
                tables=tuple(topics["reliance"]),
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
    "It is asked in up to four ways. Hidden part by part (patch, column, word): sensitive to how finely a modality is cut. Hidden as a whole: not so. Shapley value: averaged "
    "over all combinations of what else is hidden. Gradients: nothing is hidden, the output is followed along the features of each modality. Where they "
    "agree, the answer does not depend on how one asks."
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
    "Models that can know nothing, since their weights were drawn at random or their labels shuffled, stand apart: a verdict on them would be a false one.",
)


def _planting_section(planting: Planted) -> Section:
    tables = tuple(planting.tables())
    pictured = _picture(planting.plot().axes[0], _alt_of(tables))
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


# Figures in the page --------------------------------------------------------------------------------------------------------------------


def _picture(ax: Axes, alt: str) -> Picture:
    """A figure as a vector image within the page. As an image it can't run or load anything, and its names can't
    clash with another's.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    drawing = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "modalens"}):
        figure.savefig(
            drawing, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight", pad_inches=0.05
        )
    image = drawing.getvalue()
    points = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', image)
    assert points is not None
    return Picture(
        source=f"data:image/svg+xml;base64,{base64.b64encode(image).decode('ascii')}",
        alt=alt,
        width=round(float(points[1]) * PIXELS_PER_POINT),
    )


def _alt_of(tables: Sequence[Table]) -> str:
    """A figure in words: the rows of the table it is drawn from."""
    table = tables[0]
    rows = "; ".join(
        f"{row[0]}: "
        + ", ".join(f"{column} {cell}" for column, cell in zip(table.columns[1:], row[1:], strict=True) if cell)
        for row in table.rows
    )
    return f"{table.title}. {rows}."
