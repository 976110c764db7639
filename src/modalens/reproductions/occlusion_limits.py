"""What contribution by occlusion does not tell, shown: colour maps of the wrong sign, a modality that is not looked at, and
copies of one finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from modalens.datasets import training
from modalens.explanation import Explanation
from modalens.measures.reliance import COLLAPSE
from modalens.reproductions import occlusion_collapse as collapsing
from modalens.reproductions import occlusion_figures as figures
from modalens.reproductions import occlusion_trials as trials
from modalens.reproductions.occlusion_trials import Trained
from modalens.reproductions.result import Number, Section

REPORTED = """
| model | chest X-ray + report | BRSET (fundus + attributes) | HECKTOR (CT + attributes) |
|---|---|---|---|
| ResNet + LLaMA II | .18 : .82 | | |
| ViT + LLaMA II | .13 : .87 | | |
| ResNet + MLP | .59 : .41 | .92 : .08 | .65 : .35 |
| ViT + MLP | .02 : .98 | .67 : .33 | .00 : 1.00 |
"""


def maps(models: Mapping[str, Sequence[Trained]], *, banded: bool) -> Iterator[Section]:
    """For each problem: how the published map goes with the measure, and the three maps of one patient."""
    for name, trained in models.items():
        first = trained[0].first
        found = [(one.explain(), training.predict(one.model, one.cohort).argmax(1)) for one in trained]
        agreed = [trials.agreement(explanation, first, predicted) for explanation, predicted in found]
        explanation, predicted = found[0]
        sample = trials.most_telling(explanation, first, predicted, trials.SENTENCE)
        output = trained[0].study.classes[int(predicted[sample])]
        yield Section(
            title=f"The sign of a colour map: {trials.TITLES[name]}",
            words=(
                "Drawn from blue (low) to red (high), p_l − p₀ makes the decisive part the bluest, as it is in the paper's "
                "figures. Two pictures are honest: the amounts Σ |p₀ − p_l|, which add up to the measure, and p₀ − p_l of a "
                f"named output, red where the part raises it. The figure shows “{first}” of the patient whose predicted class "
                f"(“{output}”) loses most by one part, of those with at least {trials.SENTENCE} parts."
            ),
            numbers=[
                Number(
                    experiment=f"{trials.TITLES[name]}, {first}",
                    quantity="correlation of p_l − p₀ with the amounts of the measure",
                    ours=tuple(one.correlation for one in agreed),
                    band=(-1.0, 0.0) if banded else None,
                    note="mean over patients",
                ),
                Number(
                    experiment=f"{trials.TITLES[name]}, {first}",
                    quantity="patients whose decisive part is the bluest of all",
                    ours=tuple(one.bluest for one in agreed),
                    note="share of patients",
                ),
                Number(
                    experiment=f"{trials.TITLES[name]}, {first}",
                    quantity="correlation of the drawn amounts with the measure",
                    ours=(_drawn_right(explanation, first, sample),),
                    band=(0.999, 1.0 + 1e-9),
                    note="read back from the figure",
                ),
            ],
            figure=figures.maps_figure(explanation, trials.turned(explanation), first, sample, output),
        )


def _drawn_right(explanation: Explanation, modality: str, sample: int) -> float:
    """The correlation over a patient's parts of what is drawn with the amounts that the measure counts."""
    amounts = abs(trials.changes_of(explanation, modality, sample)).sum(axis=1)
    return float(np.corrcoef(figures.drawn_amounts(explanation, modality, sample), amounts)[0, 1])


def collapse(fused: Sequence[Trained], *, banded: bool) -> Section:
    """A network whose image is too weak to be learned, beside the same network and a good one."""
    study, patients, seeds = fused[0].study, len(fused[0].cohort), [one.seed for one in fused]
    each = {
        "fused network": list(fused),
        "plain network": [collapsing.train_plain(study, pixels=1, patients=patients, seed=seed) for seed in seeds],
        "plain network, pixels divided by 255 once more": [
            collapsing.train_plain(study, pixels=collapsing.WEAK, patients=patients, seed=seed) for seed in seeds
        ],
    }
    weak = list(each)[-1]
    numbers = []
    for words, models in each.items():
        found = [collapsing.collapse(one) for one in models]
        held = (-np.inf, COLLAPSE) if banded else None
        numbers += [
            Number(experiment=words, quantity="accuracy", ours=tuple(one.score for one in models)),
            Number(
                experiment=words,
                quantity="m of the image",
                ours=tuple(one.contribution for one in found),
                band=held if words == weak else None,
            ),
            Number(experiment=words, quantity="the same as one part", ours=tuple(one.anchor for one in found)),
            Number(experiment=words, quantity="AUC lost without the image", ours=tuple(one.lost for one in found)),
            Number(
                experiment=words,
                quantity="verdict “ignored”",
                ours=tuple(float(one.verdict == "ignored") for one in found),
                note="share of seeds",
            ),
        ]
    alone = [collapsing.score_without(study, fused[0].first, seed) for seed in seeds]
    numbers.append(
        Number(
            experiment="trained without the image",
            quantity="accuracy",
            ours=tuple(alone),
            note="what the image is good for: the difference from the fused network",
        )
    )
    return Section(
        title="A modality that is not looked at",
        words=(
            "The paper finds a collapse (ViT + MLP on HECKTOR, .00 : 1.00) and has no rule for it. Here one is made by a mistake that "
            "happens: pixels are divided by 255 twice, so that a network without normalisation, under weight decay, never learns them. "
            f"`ml.Reliance` calls a modality ignored where the upper bound of its contribution lies below {COLLAPSE}, as it is cut and as "
            "one part, under every baseline. That says nothing about use: models trained with and without the image tell whether it is "
            "useless or merely unused."
        ),
        numbers=numbers,
        decimals=3,
    )


def redundancy() -> Section:
    """A maximum of two copies of the diagnosis, and a coin."""
    found = collapsing.redundant()
    half = 1 / 2
    expected = {
        "contribution by occlusion": (_of(found, "occlusion", "contribution"), (0.0, 0.0, 1.0)),
        "contribution by Shapley value": (_of(found, "shapley", "contribution"), (7 / 16, 7 / 16, 2 / 16)),
        "AUC with it alone": (_of(found, "reliance", "alone"), (1.0, 1.0, half)),
        "AUC lost without it": (_of(found, "reliance", "lost"), (0.0, 0.0, 0.0)),
    }
    return Section(
        title="Contribution is not usefulness",
        words=(
            "p = .1 + .7 max(scan, report) + .1 coin, where scan and report both hold the diagnosis and the coin holds nothing. Whichever "
            "copy is hidden, the other one stands in for it, so occlusion gives both 0 and the coin everything; the Shapley value gives "
            "the copies 7/16 each, and the AUC of each alone says what it is worth. The verdicts on (scan, report, coin) are "
            f"{', '.join(map(str, found['reliance'].verdict.values))}: true of each by itself, and wrong of both together. On chest X-rays "
            "the paper's ResNet + MLP gives the image .59, and predicts worse than text alone."
        ),
        numbers=[
            Number(experiment=modality, quantity=words, ours=(share,), band=trials.exactly(right), note="by hand")
            for words, (shares, rights) in expected.items()
            for modality, share, right in zip(found.modalities, shares, rights, strict=True)
        ],
        decimals=3,
    )


def _of(explanation: Explanation, measure: str, array: str) -> list[float]:
    """The numbers of the modalities, without the rounding of the last digit."""
    found = explanation[measure].array(array).sel(modality=list(explanation.modalities))
    return [round(float(value), 12) + 0.0 for value in found.values]


def reported() -> Section:
    """The paper's own table, as context."""
    return Section(
        title="What the paper reports",
        words=(
            "Contribution, vision : other. The data is gated and the weights are the authors', so none of this was run; and by the "
            "sections above a share is comparable only where cut, replacement and reading are the same, which they are not from column "
            "to column (196 patches and words; 240 patches and 7 attributes; 1 or 8 blocks and 9 attributes).\n"
            f"{REPORTED}\n"
            "High contribution is not usefulness: the .59 belongs to the worst of the paper's multimodal networks on chest X-ray. No "
            "threshold for a collapse and no intervals are given; `ml.Occlusion` gives an interval, and `ml.Reliance` a rule."
        ),
    )
