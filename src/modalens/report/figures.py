"""The questions about modalities that an explanation has an answer to: how much each carries, whether they are combined, and what
the score relies on; each with words, figures and tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from modalens import plots
from modalens.explanation import Explanation
from modalens.measures import Result
from modalens.plots.overview import tables_of
from modalens.reading import GRADIENTS, contribution_views, gradients_words, hides, one_output, result_of
from modalens.report.layout import Section, alt_of, picture
from modalens.summary.cells import TOP_PARTS, Table
from modalens.summary.contribution import by_baseline, by_output
from modalens.summary.interaction import orders
from modalens.summary.tables import by_topic
from modalens.summary.wording import capital, percent

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

BY_OUTPUT_WORDS = "The same question, asked of each output by itself. A modality that hardly counts for all outputs together may carry most of a rare one."

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


def about_modalities(explanation: Explanation) -> Iterator[Section]:
    """How much each modality carries, for each output too, and whether they are combined."""
    topics = by_topic(explanation)
    each, under = list(by_output(explanation)), list(by_baseline(explanation))
    tables = [table for table in topics["contribution"] if table not in each + under]
    if views := contribution_views(explanation):
        yield _contribution(explanation, views, tables or each)
    if each:
        drawn = plots.contributions_by_output(explanation)
        yield Section(
            title="How much each modality carries, output by output",
            words=(BY_OUTPUT_WORDS,),
            figures=(picture(drawn, alt_of(each)),),
            tables=tuple(each),
        )
    if topics["gradients"]:
        at_fusion = gradients_words(explanation) == GRADIENTS
        yield Section(
            title=capital(gradients_words(explanation)),
            words=(GRADIENTS_WORDS if at_fusion else AT_INPUTS_WORDS, ESTIMATORS_WORDS),
            figures=(picture(plots.fusion_gradients(explanation), alt_of(topics["gradients"])),),
            tables=tuple(topics["gradients"]),
        )
    if topics["interaction"]:
        yield _interaction(explanation, topics["interaction"])
    if topics["other"]:
        yield Section(title="Other measures", tables=tuple(topics["other"]))


def about_scores(explanation: Explanation) -> Iterator[Section]:
    """What a lost modality does to the performance, and what the score rests on; what is missing, where labels are."""
    topics = by_topic(explanation)
    if topics["reliance"]:
        yield Section(
            title="What a lost modality does to the performance",
            words=RELIANCE_WORDS,
            figures=(picture(plots.reliance(explanation), alt_of(topics["reliance"])),),
            tables=tuple(topics["reliance"]),
        )
    else:
        yield Section(
            title="What a lost modality does to the performance",
            words=(
                "What a lost modality does to the performance was not asked: explain(..., labels=..., measures=[ml.Reliance(), ...]) tells.",
            ),
        )
    if topics["score"]:
        yield Section(
            title="What the score rests on",
            words=SCORE_WORDS,
            figures=(picture(plots.scores(explanation), alt_of(topics["score"])),),
            tables=tuple(topics["score"]),
        )


def _contribution(
    explanation: Explanation, views: Sequence[tuple[str, Result, str]], tables: Sequence[Table]
) -> Section:
    """What a share is, how it was asked for, and the shares; the parts of tables that carry most."""
    hiding = any(hides(result) for _, result, _ in views)
    shown = [picture(plots.contributions(explanation), alt_of(tables))]
    shown += [
        picture(plots.part_contributions(explanation, name), _alt_of_parts(explanation, name))
        for name in tables_of(explanation)
    ]
    return Section(
        title="How much each modality carries",
        words=(HIDING_WORDS, WAYS_WORDS) if hiding else (FOLLOWING_WORDS,),
        figures=tuple(shown),
        tables=tuple(tables),
    )


def _alt_of_parts(explanation: Explanation, name: str) -> str:
    """The largest bars of a table's parts."""
    result = result_of(explanation, "occlusion")
    assert result is not None
    shares = result.by_modality("part_contribution")[name].to_series().sort_values(ascending=False)[:TOP_PARTS]
    return f"Bars of the parts of {name} that carry most: {', '.join(f'{part} {percent(share)}' for part, share in shares.items())} of the whole."


def _interaction(explanation: Explanation, tables: Sequence[Table]) -> Section:
    intershap = result_of(explanation, "intershap")
    output = None if intershap is None else one_output(intershap.score, None, intershap.score)[1]
    shown = [picture(plots.orders(explanation, output=output), alt_of(list(orders(explanation))))]
    if intershap is not None:
        scores = picture(plots.interaction_scores(explanation, output=output), alt_of(tables))
        matrix = picture(plots.interaction_matrix(explanation, output=output), _alt_of_matrix(intershap, output))
        shown = [scores, *shown, matrix]
    return Section(
        title="Whether modalities are combined", words=INTERACTION_WORDS, figures=tuple(shown), tables=tuple(tables)
    )


def _alt_of_matrix(intershap: Result, output: str | None) -> str:
    """What each modality does by itself, and with each other one, as numbers and as shares of all cells."""
    matrix, _ = one_output(intershap.array("matrix"), output, intershap.array("score"))
    cells = matrix.transpose("modality", "modality_2")
    total, names = float(cells.sum()), [str(name) for name in cells.modality.values]

    def said(one: str, other: str) -> str:
        value = float(cells.sel(modality=one, modality_2=other))
        return f"{value:.3g}" + (f" ({percent(value / total)})" if total > 0 else "")

    alone = [f"{name} by itself {said(name, name)}" for name in names]
    together = [f"{one} with {other} {said(one, other)}" for one, other in combinations(names, 2)]
    of = "" if output is None else f", for {output}"
    return (
        f"Heat map of what each modality does by itself and with each other one{of}: {'; '.join([*alone, *together])}."
    )
