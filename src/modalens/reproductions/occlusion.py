"""Gapp et al. 2025: modality contribution by occlusion on real patients, and what it depends on: the number of parts, the
replacement, the reading of the formula, the sign of a colour map, redundancy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from modalens import datasets
from modalens.evaluation.progress import Bar
from modalens.reproductions import occlusion_figures as figures
from modalens.reproductions import occlusion_limits as limits
from modalens.reproductions import occlusion_trials as trials
from modalens.reproductions.occlusion_trials import Trained
from modalens.reproductions.result import Number, Reproduction, Section

COMMAND = "modalens reproduce occlusion"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is run: seeds of training, patients explained by problem, patients of the law."""

    seeds: tuple[int, ...]
    patients: Mapping[str, int]
    law: int


FULL = Size(seeds=(0, 1, 2), patients={"dermoscopy": 200, "openi": 60}, law=4_000)
QUICK = Size(seeds=(0,), patients={"dermoscopy": 40}, law=500)


def run(*, quick: bool = False, progress: bool | None = None) -> Reproduction:
    """Small models of real patients, trained from three seeds, and their contributions under every choice that the paper
    makes; `quick` is one seed, fewer patients, and no texts.

    Raises InputError where the packages that hold the patients are not installed.
    """
    size = QUICK if quick else FULL
    said = "a small version: one seed, fewer patients, no texts; its numbers are no result" if quick else ""
    with _one_thread():
        models = _trained(size, progress)
        sections = [
            _law(size, quick),
            _sweeps(models, quick),
            _replacements(models, quick),
            _readings(models),
            *limits.maps(models, banded=not quick),
            limits.collapse(models["dermoscopy"], banded=not quick),
            limits.redundancy(),
            limits.reported(),
        ]
    return Reproduction(
        name="occlusion",
        title="Modality contribution by occlusion (Gapp et al. 2025), run again",
        paper=(
            "C. Gapp, E. Tappeiner, M. Welk, K. Fritscher, E. R. Gizewski, R. Schubert, What are You Looking at? Modality "
            "Contribution in Multimodal Medical Deep Learning, Int J CARS 2025"
        ),
        words=(
            "The paper's patients and weights are gated, so its experiments are run on patients that install from the package index: "
            "a patch of skin beside features of another patch (dermoscopy), and the indication of a chest X-ray beside age, number of "
            "images and view (Open-I). The contribution m is the share of the change in the output when parts are hidden one at a time."
        ),
        sections=sections,
        seeds=size.seeds,
        command=COMMAND + (" --quick" if quick else ""),
        settings={
            "Explained": ", ".join(
                f"{count} held-out patients of {trials.TITLES[name]}" for name, count in size.patients.items()
            )
        }
        | ({"Version": said} if quick else {}),
    )


def _trained(size: Size, progress: bool | None) -> dict[str, list[Trained]]:
    """A fused model of each problem from each seed."""
    models: dict[str, list[Trained]] = {}
    with Bar(len(size.patients) * len(size.seeds), progress, doing="training", unit="models") as bar:
        for name, patients in size.patients.items():
            study = datasets.load(name)
            models[name] = []
            for seed in size.seeds:
                models[name].append(trials.train(study, patients=patients, seed=seed))
                bar.advance(1)
    return models


# The number of parts --------------------------------------------------------------------------------------------------


def _law(size: Size, quick: bool) -> Section:
    """Two like modalities under all pairs of numbers of parts."""
    found = xr.concat([trials.law(size.law, seed) for seed in size.seeds], dim=xr.Variable("seed", list(size.seeds)))
    margin = 0.05 if quick else 0.01
    numbers = []
    for first, second in ((64, 1), (16, 1), (4, 1), (1, 1), (64, 16), (64, 64)):
        expected = trials.expected_by_law(first, second)
        numbers.append(
            Number(
                experiment=f"h = ({first}, {second})",
                quantity="contribution of the first",
                ours=tuple(found.sel(a_parts=first, b_parts=second).values.tolist()),
                band=(expected - margin, expected + margin),
                note=f"law: {expected:.3f}",
            )
        )
    return Section(
        title="The law: more parts, more contribution",
        words=(
            "Two modalities of 64 standard normal features with weights 1, so that nothing tells them apart. Cut into h₁ and h₂ parts, "
            "their contributions are √h₁ : √h₂: changes of single features are added up after the absolute value, while within one part "
            "they cancel. A modality in 64 parts beside one in a single part gets 8/9."
        ),
        numbers=numbers,
        figure=figures.law_figure(found, trials.expected_by_law),
        decimals=3,
    )


def _sweeps(models: Mapping[str, Sequence[Trained]], quick: bool) -> Section:
    """The journal version's sweep on trained models."""
    grids, numbers = {}, []
    for name, trained in models.items():
        seeds = xr.Variable("seed", [one.seed for one in trained])
        grid = xr.concat([trials.swept(one, trials.SWEPT[name]) for one in trained], dim=seeds)
        grids[trials.TITLES[name]] = grid
        (first, most_first), (second, most_second) = (
            (str(dim), int(grid[dim].max())) for dim in grid.dims if dim != "seed"
        )
        for words, here in (
            ("anchor: each as one part", (1, 1)),
            (f"{most_first} parts : 1", (most_first, 1)),
            (f"1 part : {most_second}", (1, most_second)),
            (f"{most_first} parts : {most_second}", (most_first, most_second)),
        ):
            shares = grid.sel({first: here[0], second: here[1]}).values.tolist()
            numbers.append(
                Number(experiment=trials.TITLES[name], quantity=f"m of {trained[0].first}, {words}", ours=tuple(shares))
            )
        ranges = (grid.max((first, second)) - grid.min((first, second))).values.tolist()
        numbers.append(
            Number(
                experiment=trials.TITLES[name],
                quantity="largest minus smallest m over the grid",
                ours=tuple(ranges),
                band=None if quick else (0.1, 1.0),
                note="of one and the same model",
            )
        )
    return Section(
        title="The number of parts on real patients",
        words=(
            "The journal version sweeps h over 1 to 256 parts of the image and 1 to 32 of the text. Here the same on trained models: "
            "every cell is the same model on the same patients, and only the cut differs. More parts need not mean more contribution, as "
            "in the law: where parts stand in for one another, as neighbouring patches of skin do, hiding one of them changes little, and "
            "the modality is seen only when it is hidden as a whole. So a contribution is to be read together with its cut, and beside the "
            "anchor, where each modality is one part; `ml.sweep` computes this for any model. An axis ends where there are no more parts: "
            "with the longest indication, and with a column each."
        ),
        numbers=numbers,
        figure=figures.sweep_figure(grids),
    )


# The replacement ------------------------------------------------------------------------------------------------------


def _replacements(models: Mapping[str, Sequence[Trained]], quick: bool) -> Section:
    """The paper's replacements beside those that are fitted on training patients."""
    numbers = []
    shown: dict[str, dict[str, list[float]]] = {}
    fitted: dict[str, set[str]] = {}
    for name, trained in models.items():
        first = trained[0].first
        title = f"{trials.TITLES[name]}: contribution of “{first}”"
        shown[title], fitted[title] = {}, set()
        for one in trials.replacements(trained[0].study):
            found = [model.explain(baseline=one.baseline) for model in trained]
            shares = [float(each["occlusion"].contribution.sel(modality=first)) for each in found]
            shown[title][one.words] = shares
            fitted[title] |= {one.words} if one.fitted else set()
            out = max(trials.outside(trained[0], each, baseline) for each, baseline in one.baseline.items())
            warned = all(map(trials.warned_of_range, found))
            numbers.append(
                Number(
                    experiment=f"{trials.TITLES[name]}: {one.words}",
                    quantity=f"m of {first}",
                    ours=tuple(shares),
                    note=("fitted" if one.fitted else "the paper's")
                    + (f"; {out:.0%} outside the training range" if out else "")
                    + ("; warned" if warned else ""),
                )
            )
        for words, chosen in (("among fitted replacements", fitted[title]), ("among all", set(shown[title]))):
            each = np.array([shown[title][one] for one in shown[title] if one in chosen])
            numbers.append(
                Number(
                    experiment=trials.TITLES[name],
                    quantity=f"largest minus smallest m, {words}",
                    ours=tuple(np.ptp(each, axis=0).tolist()),
                )
            )
    return Section(
        title="What is put in the place of a part",
        words=(
            "The paper puts 1000 in the place of z-scored attributes (BRSET), each image's own mean in the place of a patch, zeros "
            "(HECKTOR), and the rounded mean of token ids in the place of a word, which is the id of some other word. Only the first lies "
            "outside the range of the training patients, and is warned of; an image's own mean is a value that each pixel might have, and "
            "hides hardly anything from a network that averages over the image; the mean id is a word that says something."
        ),
        numbers=numbers,
        figure=figures.replacement_figure(shown, fitted),
    )


# Readings of the formula ----------------------------------------------------------------------------------------------


EXPECTED_BY_HAND = ((9.1 / 11, 0.5, 9.1 / 11), (0.4, 0.4, 0.0))
"""Problem by hand -> share of its first modality under each reading."""


def _readings(models: Mapping[str, Sequence[Trained]]) -> Section:
    """Algorithm 1, and what the authors' scripts compute instead."""
    numbers = []
    for (words, explanation), expected in zip(trials.by_hand().items(), EXPECTED_BY_HAND, strict=True):
        shares = trials.readings(explanation)
        for reading, share, right in zip(trials.READINGS, shares.isel(modality=0).values, expected, strict=True):
            numbers.append(
                Number(
                    experiment=words,
                    quantity=reading,
                    ours=(float(share),),
                    band=trials.exactly(right),
                    note="by hand",
                )
            )
    for name, trained in models.items():
        found = xr.concat([trials.readings(one.explain(*trials.BOTH_READINGS)) for one in trained], dim="seed")
        own = found.sel(modality=trained[0].first)
        numbers += [
            Number(
                experiment=trials.TITLES[name],
                quantity=f"{reading}: m of {trained[0].first}",
                ours=tuple(own.sel(reading=reading).values.tolist()),
            )
            for reading in trials.READINGS
        ]
    return Section(
        title="Three readings of one formula",
        words=(
            "Algorithm 1 of the paper is a ratio of sums. Two of the authors' scripts take shares of each patient and output first and "
            "average them, so that a patient in whom hardly anything changes counts as much as one in whom all changes; a third adds up "
            "the signed changes of the parts before the absolute value, so that parts that pull in opposite directions vanish. All three "
            "are called the contribution. `ml.Occlusion` computes the first, and the second by name "
            '(`reading="mean_of_ratios"`); every result says which.'
        ),
        numbers=numbers,
        decimals=3,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """The bits of a training depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
