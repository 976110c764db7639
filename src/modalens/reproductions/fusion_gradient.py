"""Azmat and Alessio 2022: importance by gradients at the fusion point, on eight decision functions; and where it goes wrong."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import modalens as ml
from modalens.errors import ModalensWarning
from modalens.plots.style import BLUE, GREY, LOOK, ORANGE, light_grid, titled
from modalens.reproductions.result import Number, Reproduction, Section
from modalens.validation import Leaderboard, validate
from modalens.validation.functions import BEYOND, PAPER
from modalens.validation.run import default_measures

MODALITIES = ("image_1", "image_2", "clinical_1", "clinical_2")

EXPECTED, PERMUTATION = "fusion_gradient", "perceptual_score"
"""Expected gradients, the package's default estimator; and the accuracy that is lost when a modality is another patient's, in the
paper's words block permutation.
"""

SHOWN = {
    "gradient": "gradient (the paper's)",
    "grouped": "grouped",
    "covariance": "covariance",
    "integrated": "integrated",
    EXPECTED: "expected",
    PERMUTATION: "block permutation",
    "shapley": "Shapley values",
    "lime": "LIME at the fusion point",
    "occlusion": "occlusion of parts",
    "shape": "SHAPE",
}
"""The measures, by their names in the leaderboard, as they are called here."""

COMMAND = "modalens reproduce fusion-gradient"

SEEDS = 5


def run(*, quick: bool = False, progress: bool | None = None) -> Reproduction:
    """The paper's eight cases and eight more, each taught to the hybrid network from several seeds."""
    seeds = 1 if quick else SEEDS
    sizes: dict[str, Any] = {"train": 2_000, "test": 400} if quick else {}
    paper, beyond = (
        validate(_measures(), names, seeds, progress=progress, **sizes)
        for names in ((["F0", "F4", "F6"], ["C4"]) if quick else (list(PAPER), list(BEYOND)))
    )
    said = "a small version: one seed, fewer patients and problems; its numbers are no result" if quick else ""
    return Reproduction(
        name="fusion-gradient",
        title="Gradients at the fusion point (Azmat and Alessio 2022), run again",
        paper="T. Azmat and A. Alessio, Feature Importance Estimation Using Gradient Based Method for Multimodal Fused Neural Networks, IEEE NSS/MIC 2022",
        words=(
            "Two images (textures whose ten scores are the latents, since OrganAMNIST can't be installed) through one shared encoder, two groups of ten clinical variables, a head "
            "40-100-50-10-2. Labels threshold a decision function f of the latents; the truth is the share of mean |df/dz|. The paper reports its mean over eight cases."
        ),
        sections=[
            _suite(paper, quick),
            _collapse_in_networks(paper, quick),
            _collapse_law(),
            _misordering(beyond, quick),
            _beyond(beyond),
            _best(Leaderboard(runs=paper.runs + beyond.runs)),
            _control(sizes, seeds, progress),
        ],
        seeds=range(seeds),
        command=COMMAND + (" --quick" if quick else ""),
        settings={"Version": said} if quick else {},
    )


def _measures() -> list[ml.Measure]:
    """Those of every leaderboard, and the other estimators."""
    more: list[ml.Measure] = [ml.FusionGradient(estimator=one, name=one) for one in ("grouped", "integrated")]
    return [*default_measures(), *more]


PAPERS_OWN = {
    "gradient": ".122 to .13",
    PERMUTATION: ".088 (of single features)",
    "shapley": ".100 (SHAP)",
    "lime": ".135 (of single features)",
}
"""The paper's pooled errors, and those of the authors' later code."""

BANDS = {"gradient": (0.11, 0.16), EXPECTED: (-np.inf, 0.08), PERMUTATION: (-np.inf, 0.03)}


def _suite(board: Leaderboard, quick: bool) -> Section:
    """Pooled error and RBO of every estimator against the paper's truth."""
    runs = board.scored
    numbers = []
    for name in SHOWN:
        own = runs[runs["measure"] == name]
        by_seed = own.groupby("seed")
        numbers.append(
            Number(
                experiment=SHOWN[name],
                quantity="RMSE, pooled over cases and modalities",
                ours=tuple(by_seed["paper_rmse"].apply(lambda errors: float(np.sqrt((errors**2).mean())))),
                theirs=PAPERS_OWN.get(name, ""),
                band=None if quick else BANDS.get(name),
            )
        )
    for name in ("gradient", EXPECTED):
        by_seed = runs[runs["measure"] == name].groupby("seed")
        for column, words in (
            ("paper_rbo", "RBO, p = .9, ties by rule b"),
            ("paper_above_chance", "the same above chance"),
        ):
            numbers.append(
                Number(
                    experiment=SHOWN[name],
                    quantity=words,
                    ours=tuple(by_seed[column].mean()),
                    theirs=".93" if (name, column) == ("gradient", "paper_rbo") else "",
                    note="the paper does not say its p and its rule for ties" if column == "paper_rbo" else "",
                )
            )
    return Section(
        title="The eight cases F0 to F7",
        words="The paper's number comes out. An RBO of .93 sounds better than it is: with four modalities a random order reaches .86 to .88.",
        numbers=numbers,
        figure=_shares_figure(board),
        decimals=3,
    )


def _collapse_in_networks(board: Leaderboard, quick: bool) -> Section:
    shares = board.shares()
    own = shares[(shares["problem"] == "F6") & shares["learned"]]
    numbers = [
        Number(
            experiment=f"F6, {SHOWN[name]}",
            quantity=modality,
            ours=tuple(
                own[(own["measure"] == name) & (own["modality"] == modality)].sort_values("seed")["share"].tolist()
            ),
            band=(0.10, 0.16) if name == "gradient" and modality.startswith("image") and not quick else None,
        )
        for name in ("gradient", EXPECTED)
        for modality in MODALITIES
    ]
    return Section(
        title="Images are under-counted",
        words=(
            "In F6 all four modalities count the same, .25 each. A trained encoder turns its ten features into copies of one number; each copy then carries a tenth of the "
            "weight, and the sum of absolute gradients over copies is smaller by 1/sqrt(10) than over ten independent variables: "
            "(.12, .12, .38, .38). Sums within a modality before the absolute value are right."
        ),
        numbers=numbers,
        decimals=3,
    )


WIDTHS = (1, 2, 5, 10, 20, 50, 100)


class _Copies(nn.Module):
    """A linear head on two blocks of d copies of one number and two of d independent ones, all of the same effect."""

    def __init__(self, width: int) -> None:
        super().__init__()
        by_block = [1 / width, 1 / width, width**-0.5, width**-0.5]
        self.weights = nn.Parameter(torch.tensor(by_block, dtype=torch.float64).repeat_interleave(width))

    def forward(self, copies_1: Tensor, copies_2: Tensor, free_1: Tensor, free_2: Tensor) -> Tensor:
        return torch.cat([copies_1, copies_2, free_1, free_2], dim=1) @ self.weights[:, None]


def collapsed_shares(width: int, patients: int = 400) -> dict[str, np.ndarray]:
    """The share of each of the four blocks by estimator."""
    random = np.random.default_rng(0)
    inputs = {
        name: (
            np.repeat(random.normal(size=(patients, 1)), width, axis=1)
            if name.startswith("copies")
            else random.normal(size=(patients, width))
        )
        for name in ("copies_1", "copies_2", "free_1", "free_2")
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)
        found = ml.explain(
            _Copies(width),
            inputs,
            measures=[ml.FusionGradient(estimator="gradient", name="gradient"), ml.FusionGradient(name="expected")],
            modalities=dict.fromkeys(inputs, ml.Vector()),
            background=inputs,
            output="raw",
            confidence=None,
            progress=False,
        )
    return {name: found[name].contribution.values for name in ("gradient", "expected")}


def _collapse_law() -> Section:
    """|gradient| of a linear head whose blocks all have the same effect, against 1 / (2 + 2 sqrt(d))."""
    found = {width: collapsed_shares(width) for width in WIDTHS}
    predicted = {width: 1 / (2 + 2 * np.sqrt(width)) for width in WIDTHS}
    numbers = [
        Number(
            experiment=f"d = {width}",
            quantity=f"share of a collapsed block, {name}",
            ours=(float(found[width][name][0]),),
            band=(predicted[width] - 1e-3, predicted[width] + 1e-3) if name == "gradient" else (0.2, 0.3),
        )
        for width in (1, 10, 100)
        for name in ("gradient", "expected")
    ]
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        ax = figure.subplots()
        fine = np.geomspace(1, 100, 100)
        ax.plot(fine, 100 / (2 + 2 * np.sqrt(fine)), color=GREY, linewidth=1, label="1 / (2 + 2 √d)")
        for name, colour in (("gradient", ORANGE), ("expected", BLUE)):
            ax.plot(
                WIDTHS, [100 * found[width][name][0] for width in WIDTHS], "o", color=colour, markersize=5, label=name
            )
        ax.set_xscale("log")
        ax.set_xticks([1, 10, 100], ["1", "10", "100"])
        ax.set_xlabel("features of an encoder that are copies of one number (d)")
        ax.set_ylabel("share of a block that carries 25 %")
        ax.set_ylim(0, 32)
        light_grid(ax)
        titled(ax, "Copies hide a modality", columns=3)
    return Section(
        title="The law: 1/sqrt(d)",
        words="A linear head, two blocks of d copies of one number and two blocks of d independent numbers, all with the same effect on the output. No training, so no luck.",
        numbers=numbers,
        figure=figure,
        decimals=4,
    )


def _misordering(board: Leaderboard, quick: bool) -> Section:
    """C4, where the images count most: does the order come out?"""
    runs = board.scored
    shares = board.shares()
    numbers = []
    for name in ("gradient", "covariance", EXPECTED):
        own = runs[(runs["measure"] == name) & (runs["problem"] == "C4")].sort_values("seed")
        of = shares[(shares["measure"] == name) & (shares["problem"] == "C4") & shares["learned"]]
        orders = of.pivot(index="seed", columns="modality", values="share")[list(MODALITIES)].to_numpy()
        right = np.all(np.diff(orders, axis=1) < 0, axis=1).tolist()
        limit = (-np.inf, 0.04) if name != "gradient" and not quick else None
        wanted = None if quick else ((-0.01, 0.01) if name == "gradient" else (0.99, 1.01))
        numbers += [
            Number(experiment=SHOWN[name], quantity="RMSE", ours=tuple(own["rmse"]), band=limit),
            Number(
                experiment=SHOWN[name],
                quantity="share of networks in which all four are in the right order",
                ours=tuple(map(float, right)),
                band=wanted,
            ),
            Number(experiment=SHOWN[name], quantity="RBO above chance", ours=tuple(own["above_chance"])),
            *(
                Number(experiment=SHOWN[name], quantity=modality, ours=tuple(orders[:, place]))
                for place, modality in enumerate(MODALITIES)
            ),
        ]
    return Section(
        title="C4: the ranking is wrong",
        words="f = .4 s1 + .3 s2 + .2 s3 + .1 s4, images first. The paper's estimator puts a clinical group above an image; those that sum within a modality first do not.",
        numbers=numbers,
        decimals=3,
    )


def _beyond(board: Leaderboard) -> Section:
    errors = board.scored.groupby(["problem", "measure", "seed"])["rmse"].first()
    known = {(problem, name) for problem, name, _ in errors.index}
    numbers = [
        Number(
            experiment=problem,
            quantity=f"RMSE of {words} against its own estimand",
            ours=tuple(errors.loc[problem, name]),
        )
        for problem in dict.fromkeys(errors.index.get_level_values("problem"))
        for name, words in SHOWN.items()
        if (problem, name) in known and name in ("gradient", EXPECTED, PERMUTATION, "shapley")
    ]
    missed = "; ".join(board.not_learned)
    return Section(
        title="C1 to C8",
        words="Eight more cases: single modalities, all alike, graded, an interaction (C6), a copy (C7), a bent f with noisy labels (C8)."
        + (f" Shown and not scored: {missed}." if missed else ""),
        numbers=numbers,
        decimals=3,
    )


def _best(board: Leaderboard) -> Section:
    """The leaderboard's first on every problem."""
    errors = board.scored.groupby(["problem", "measure", "seed"])["rmse"].first()
    numbers = [
        Number(experiment=problem, quantity=SHOWN.get(name, name), ours=tuple(errors.loc[problem, name]))
        for problem, name in board.best.items()
    ]
    return Section(
        title="The best measure of each problem",
        words="The smallest mean error (RMSE) against what the measure itself estimates, of all measures of the leaderboard: `modalens validate` gives the whole table.",
        numbers=numbers,
        figure=board.plot(),
        decimals=3,
    )


def _control(sizes: dict[str, Any], seeds: int, progress: bool | None) -> Section:
    """Random labels: the gradient looks uniform, the accuracy tells."""
    board = validate([ml.FusionGradient(estimator="gradient")], ["F0"], seeds, flips=0.5, progress=progress, **sizes)
    frame: pd.DataFrame = board.shares()
    first = frame[frame["modality"] == "image_1"].sort_values("seed")["share"]
    numbers = [
        Number(experiment="F0, labels by chance", quantity="share of image_1 (1 in truth)", ours=tuple(first)),
        Number(
            experiment="F0, labels by chance",
            quantity="accuracy of the network",
            ours=tuple(run.accuracy for run in board.runs),
            band=(0.4, 0.6),
        ),
    ]
    return Section(
        title="A network that learned nothing",
        words=(
            "Half of the labels are turned over, so there is nothing to learn. The shares are well-formed all the same: only the accuracy beside them says that they mean nothing. "
            "Such runs are shown and not scored."
        ),
        numbers=numbers,
        decimals=3,
    )


def _shares_figure(board: Leaderboard) -> Figure:
    """Measured share against true share, the paper's estimator beside expected gradients."""
    shares: Any = board.shares()
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        for ax, name, words in zip(
            figure.subplots(1, 2, sharey=True),
            ("gradient", EXPECTED),
            ("the paper's estimator", "expected gradients, summed first"),
            strict=True,
        ):
            own = shares[(shares["measure"] == name) & shares["learned"]]
            ax.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
            for kind, colour, marker in (("image", BLUE, "o"), ("clinical", ORANGE, "s")):
                chosen = own[own["modality"].str.startswith(kind)]
                ax.plot(100 * chosen["truth"], 100 * chosen["share"], marker, color=colour, markersize=4, alpha=0.55, markeredgewidth=0, label=kind)  # fmt: skip
            ax.set_xlabel("true share (%)")
            light_grid(ax)
            titled(ax, words, columns=2)
        figure.axes[0].set_ylabel("measured share (%)")
        return figure
