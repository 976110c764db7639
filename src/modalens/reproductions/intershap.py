"""InterSHAP's experiments, run again: HD-XOR of two to four modalities, three kinds of fusion, SUM, and what the score
depends on besides the model.

L. Wenderoth et al., "Measuring Cross-Modal Interactions in Multimodal Models", AAAI 2025. The widths of its networks are not
given there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modalens.measures import InterSHAP
from modalens.reproductions.intershap_figures import beside, lines, splits
from modalens.reproductions.intershap_models import (
    FULL,
    REGULAR,
    ROWS,
    SMALL,
    SWEPT,
    UNTAUGHT,
    Answers,
    Found,
    Size,
    asked,
    collect,
)
from modalens.reproductions.result import Number, Reproduction, Section
from modalens.validation.hdxor import SUMS

SLOPES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""b of p = sigmoid(b (x1 + x2))."""

INTERSHAP, LOCAL, CORRECTED, F1 = "InterSHAP", "local", "local, corrected", "F1"

THEIRS: Mapping[tuple[str, str, str], str] = {
    ("hdxor2-uniqueness-1", "function", INTERSHAP): "0.0",
    ("hdxor2-uniqueness-1", "function", LOCAL): "1.8",
    ("hdxor2-uniqueness-1", "early", INTERSHAP): "0.2 ± 0.1",
    ("hdxor2-uniqueness-1", "early", LOCAL): "3.4 ± 5.2",
    ("hdxor2-synergy", "function", INTERSHAP): "99.7",
    ("hdxor2-synergy", "function", LOCAL): "96.9",
    ("hdxor2-synergy", "early", INTERSHAP): "98.0 ± 0.5",
    ("hdxor2-synergy", "early", LOCAL): "85.8 ± 12.1",
    ("hdxor2-redundancy", "early", INTERSHAP): "38.6 ± 0.5",
    ("hdxor2-redundancy", "early", LOCAL): "37.3 ± 25.0",
    ("hdxor2-random", "early", INTERSHAP): "57.8 ± 1.1",
    ("hdxor2-random", "early", LOCAL): "40.0 ± 13.3",
    ("hdxor2-uniqueness-1", "function", "EMAP gap"): "0",
    ("hdxor2-uniqueness-1", "early", "EMAP gap"): "0",
    ("hdxor2-synergy", "function", "EMAP gap"): "49.1",
    ("hdxor2-synergy", "early", "EMAP gap"): "43.5",
    ("hdxor2-redundancy", "early", "EMAP gap"): "1.8",
    ("hdxor2-random", "early", "EMAP gap"): "0.6",
    ("hdxor2-uniqueness-1", "function", "SHAPE"): "1.6",
    ("hdxor2-uniqueness-1", "early", "SHAPE"): "16.5",
    ("hdxor2-synergy", "function", "SHAPE"): "33.1",
    ("hdxor2-synergy", "early", "SHAPE"): "27.6",
    ("hdxor2-redundancy", "early", "SHAPE"): "-47.1",
    ("hdxor2-random", "early", "SHAPE"): "15.1",
    ("hdxor2-uniqueness-1", "function", "PID synergy (bits)"): "0.01",
    ("hdxor2-uniqueness-1", "early", "PID synergy (bits)"): "0.01",
    ("hdxor2-synergy", "function", "PID synergy (bits)"): "0.39",
    ("hdxor2-synergy", "early", "PID synergy (bits)"): "0.39",
    ("hdxor2-redundancy", "early", "PID synergy (bits)"): "0.14",
    ("hdxor2-random", "early", "PID synergy (bits)"): "0.48",
    ("hdxor3-uniqueness-1", "early", INTERSHAP): "0.6",
    ("hdxor3-synergy", "early", INTERSHAP): "88.8",
    ("hdxor3-redundancy", "early", INTERSHAP): "51.9",
    ("hdxor4-uniqueness-1", "early", INTERSHAP): "1.2",
    ("hdxor4-synergy", "early", INTERSHAP): "64.1",
    ("hdxor4-redundancy", "early", INTERSHAP): "40.2",
    ("hdxor2-uniqueness-1", f"{UNTAUGHT}intermediate", INTERSHAP): "0.6",
    ("hdxor2-synergy", f"{UNTAUGHT}intermediate", INTERSHAP): "94.8",
    ("hdxor2-redundancy", f"{UNTAUGHT}intermediate", INTERSHAP): "47.2",
    ("hdxor2-uniqueness-1", f"{UNTAUGHT}late", INTERSHAP): "0.5",
    ("hdxor2-synergy", f"{UNTAUGHT}late", INTERSHAP): "0.5",
    ("hdxor2-redundancy", f"{UNTAUGHT}late", INTERSHAP): "1.1",
    ("hdxor2-uniqueness-1", f"{UNTAUGHT}late", F1): "60.5",
    ("sum-unique-1", "early", INTERSHAP): "2.6",
    ("sum-unique-1", "early", LOCAL): "9.3",
    ("sum-unique-2", "early", INTERSHAP): "2.3",
    ("sum-unique-2", "early", LOCAL): "9.0",
    ("sum-mix-1", "early", INTERSHAP): "9.7",
    ("sum-mix-1", "early", LOCAL): "14.7",
    ("sum-mix-2", "early", INTERSHAP): "7.1",
    ("sum-mix-2", "early", LOCAL): "13.8",
    ("sum-synergy", "early", INTERSHAP): "15.1",
    ("sum-synergy", "early", LOCAL): "22.1",
    ("sum-redundancy", "early", INTERSHAP): "10.5",
    ("sum-redundancy", "early", LOCAL): "22.3",
}
"""What the paper prints, per cent: (data set, model, quantity) -> number."""

BANDS: Mapping[tuple[str, str, str], tuple[float, float]] = {
    ("hdxor2-uniqueness-1", "early", INTERSHAP): (-np.inf, 1.0),
    ("hdxor2-uniqueness-1", f"{REGULAR}early", INTERSHAP): (-np.inf, 1.0),
    ("hdxor2-synergy", "early", INTERSHAP): (96.0, 99.0),
    ("hdxor2-synergy", f"{REGULAR}early", F1): (91.0, np.inf),
    ("hdxor2-synergy", "early", F1): (91.0, np.inf),
    ("hdxor2-redundancy", "early", INTERSHAP): (35.0, 45.0),
    ("hdxor2-synergy", "function", INTERSHAP): (99.3, np.inf),
}
"""What is expected of ours, where training is not made shorter."""

QUANTITIES: Mapping[str, Callable[[Found], float]] = {
    INTERSHAP: lambda found: found.score,
    LOCAL: lambda found: found.local,
    CORRECTED: lambda found: found.corrected,
    F1: lambda found: found.f1,
}

CHOSEN = {
    True: "the epoch is chosen by the loss of 3,000 other patients, and teaching ends 20 epochs after it",
    False: "the last epoch's weights are taken",
}
"""Which weights a network keeps, in the full version and in the small one."""

TWO = ("hdxor2-uniqueness-1", "hdxor2-synergy", "hdxor2-redundancy", "hdxor2-random")
FUSION = TWO[:3]


@dataclass(frozen=True, kw_only=True)
class Results:
    """What all models said, and whether the bands hold for them."""

    answers: Answers
    size: Size

    def number(self, data: str, model: str, quantity: str, note: str = "") -> Number:
        """One quantity of one model, beside the paper's."""
        found = self.answers[data, model]
        own = QUANTITIES.get(quantity)
        return Number(
            experiment=f"{named(data)}, {_model(model)}",
            quantity=quantity,
            ours=tuple(one.others[quantity] if own is None else own(one) for one in found),
            theirs=THEIRS.get((data, model, quantity), ""),
            band=BANDS.get((data, model, quantity)) if self.size is FULL else None,
            note=note,
        )

    def mean(self, data: str, model: str, own: Callable[[Found], Any]) -> Any:
        """The mean over seeds."""
        return np.mean([own(one) for one in self.answers[data, model]], axis=0)


def run(*, quick: bool = False, progress: bool | None = None) -> Reproduction:
    """The experiments; `quick` takes few patients, short training and one seed."""
    size = SMALL if quick else FULL
    return of(Results(answers=collect(size, progress), size=size))


def of(results: Results) -> Reproduction:
    """The reproduction, from what all models said."""
    size = results.size
    small = (
        ""
        if size is FULL
        else "This is a small version: its numbers show that all of it runs, and are not comparable with the paper's. "
    )
    return Reproduction(
        name="intershap",
        title="InterSHAP: how much of a model's behaviour is interaction of modalities",
        paper="L. Wenderoth, K. Hemker, N. Simidjievski, M. Jamnik, Measuring Cross-Modal Interactions in Multimodal Models, AAAI 2025, arXiv:2412.15828",
        words=f"{small}Scores are per cent. The paper's data, schedule and reading of the score: the probability of the class predicted on the whole input, "
        "|mean interaction| over all terms. Its numbers on single cells and MIMIC-III need data that are not free, and are not reproduced here.",
        sections=[
            two_modalities(results),
            neighbours(results),
            more_modalities(results),
            fusion(results),
            sums(results),
            output_space(size),
            background_rows(results),
        ],
        seeds=size.seeds,
        command="modalens reproduce intershap" + ("" if size is FULL else " --quick"),
        settings={
            "Patients": f"{size.train:,} to learn from, {size.test:,} to test on, of whom {size.explained:,} are explained ({size.of_many} of four modalities), with "
            f"{size.rows:,} background rows from those learned from",
            "Networks": "three layers, of 128, 64 and 2 units (the paper gives no widths; intermediate fusion has 64 for each modality); Adam as in the paper; "
            + CHOSEN[size is FULL],
        },
    )


def two_modalities(results: Results) -> Section:
    """The paper's first table."""
    pairs = [(data, model) for data in TWO for model in ("function", "early") if (data, model) in results.answers]
    numbers = []
    for data, model in pairs:
        quantities = (INTERSHAP, LOCAL, CORRECTED) if model == "function" else QUANTITIES
        best = f"the best decision on the inputs has an accuracy of {results.mean(data, model, lambda one: one.reachable):.1f}"
        numbers += [results.number(data, model, one, best if one == F1 else "") for one in quantities]
    numbers += [results.number(data, f"{REGULAR}early", one) for data in FUSION for one in (INTERSHAP, F1)]
    return Section(
        title="Two modalities",
        words="Early fusion, and the XOR of the hidden bits as a model, for which nothing is left to chance but the background rows. "
        "The inputs show the hidden vectors in part only, so that no model reaches an F1 of 100: the accuracy of the best decision on "
        "them is known, and stands beside. Redundancy lies near 50, above the paper's: "
        "a network that adds up what "
        "both copies say of each bit, and then combines the bits, is right in a quarter of the cases with another patient's copy and undecided in the rest, so that v = (.5, .625, .625, 1) "
        "and InterSHAP is 50 %. Less comes out where a network also decides from each copy by itself, as intermediate fusion does below. "
        "A network that leans on columns that carry nothing shows interaction with them, so the uniqueness of a network with dropout stands at the end of the table.",
        numbers=numbers,
        figure=_figure(
            beside([one for one in numbers if one.quantity == INTERSHAP and one.theirs], "InterSHAP, two modalities")
        ),
        decimals=1,
    )


def neighbours(results: Results) -> Section:
    """The paper's second table."""
    pairs = [(data, model) for data in TWO for model in ("function", "early") if (data, model) in results.answers]
    return Section(
        title="Beside its neighbours",
        words="From the same evaluations. EMAP's gap: the accuracy that is lost by the best additive approximation. SHAPE: the accuracy that modalities have "
        "together and not by themselves, below 0 for copies. "
        "Perceptual score: the accuracy that is lost with another patient's modality. These three are of the score, so they say nothing where a model has none "
        "(random). PID is of the data: of the hidden bits beside "
        "the XOR function, of clusters of the inputs beside the network, which do not show a single bit in 100 dimensions; counts alone make some synergy. "
        "Where the paper differs is its normalisation of SHAPE, and its features for PID.",
        numbers=[
            results.number(data, model, one) for data, model in pairs for one in results.answers[data, model][0].others
        ],
        decimals=2,
    )


def more_modalities(results: Results) -> Section:
    """Three and four modalities, with the exact split by order."""
    kinds = ("uniqueness-1", "synergy", "parity", "redundancy")
    pairs = [
        (data, model)
        for count in (3, 4)
        for data in (f"hdxor{count}-{kind}" for kind in kinds)
        for model in ("function", "early")
        if (data, model) in results.answers
    ]
    shares = {
        f"{named(data)}, {_model(model)}": results.mean(data, model, lambda one: one.orders) for data, model in pairs
    }
    numbers = [
        results.number(
            data,
            model,
            one,
            f"orders 1, 2, 3+: {_orders(shares[f'{named(data)}, {_model(model)}'])}" if one == INTERSHAP else "",
        )
        for data, model in pairs
        for one in ((INTERSHAP,) if model == "function" else (INTERSHAP, F1))
    ]
    return Section(
        title="Three and four modalities",
        words="Synergy is read in two ways: exactly one bit is set (the paper's text), or an odd number is (its appendix). InterSHAP knows pairs only, so what k "
        "modalities do together in a pure parity comes out as "
        "k / (2 (k - 1)): 75 % for three, 66.7 % for four, and the rest is put down to single modalities. The exact split into orders, from the same "
        "evaluations, says that all of it is of order three or more. "
        "A network that does not learn the parity (F1 near 50) has no such interaction to be found.",
        numbers=numbers,
        figure=_figure(splits(shares, "The same models, split exactly by order")),
        decimals=1,
    )


def fusion(results: Results) -> Section:
    """Early, intermediate and late fusion, taught and with modality layers as they were drawn."""
    models = ("early", "intermediate", "late", f"{UNTAUGHT}intermediate", f"{UNTAUGHT}late")
    numbers = [results.number(data, model, one) for model in models for data in FUSION for one in (INTERSHAP, F1)]
    return Section(
        title="Early, intermediate and late fusion",
        words="The paper reports nearly no interaction for late fusion and an F1 of .605 where one modality decides alone, which its network should learn with ease. "
        "Layers that a framework is not told of (a plain list "
        "of modules) keep the weights that they were drawn with, and this is what the last rows do on purpose: only what joins the modalities is taught. They "
        "come near the paper's rows, which so very likely show "
        "untaught networks. Late fusion adds up log-odds; what is left of interaction there is the softmax.",
        numbers=numbers,
        figure=_figure(
            beside(
                [one for one in numbers if one.quantity == INTERSHAP and one.theirs and "early" not in one.experiment],
                "Modality layers that were never taught",
            )
        ),
        decimals=1,
    )


def sums(results: Results) -> Section:
    """SUM."""
    return Section(
        title="SUM",
        words="Labels threshold a sum of hidden vectors: nothing interacts on the log-odds, and what is measured is the softmax's doing (see the next section) "
        "and what the networks made of noise. The paper does not give SUM's sizes and noise, so this is another data set than its own, and most of its scores are higher.",
        numbers=[results.number(data, "early", one) for data in SUMS for one in (INTERSHAP, LOCAL, F1)],
        decimals=1,
    )


def output_space(size: Size) -> Section:
    """p = sigmoid(b (x1 + x2)) on probabilities and on log-odds."""
    found = {slope: [logistic(slope, seed, size) for seed in size.seeds] for slope in SLOPES}
    series = {
        space: {slope: [one[place] for one in each] for slope, each in found.items()}
        for place, space in enumerate(("probability", "log-odds"))
    }
    return Section(
        title="The output space",
        words="p = sigmoid(b (x1 + x2)), two standard normal modalities: a model that adds up. On the log-odds nothing interacts; on probabilities the score grows "
        "with b alone.",
        numbers=[
            Number(experiment=f"b = {slope:g}", quantity=f"InterSHAP on the {space}", ours=tuple(each))
            for space, by_slope in series.items()
            for slope, each in by_slope.items()
        ],
        figure=_figure(lines(series, "b", "InterSHAP of a model that adds up")),
        decimals=1,
    )


def logistic(slope: float, seed: int, size: Size) -> tuple[float, float]:
    """InterSHAP of sigmoid(b (x1 + x2)) on probabilities and on log-odds, in per cent."""
    generator = np.random.default_rng(np.random.SeedSequence((seed, 51)))
    inputs, background = (
        {name: generator.normal(size=(count, 1)) for name in ("x1", "x2")} for count in (size.explained, size.rows)
    )

    def model(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
        return np.asarray(slope * (x1 + x2)[:, 0])

    found = asked(model, inputs, background, [InterSHAP()], size, link="sigmoid").intershap.array("by_space")
    return 100 * found.sel(space="probability").item(), 100 * found.sel(space="logit").item()


def background_rows(results: Results) -> Section:
    """The scores of one network by the number of background rows."""
    swept = [one.swept for one in results.answers[SWEPT]]
    series = {
        name: {float(rows): [one[rows][place] for one in swept] for rows in ROWS}
        for place, name in enumerate((INTERSHAP, LOCAL, CORRECTED))
    }
    return Section(
        title="The number of background rows",
        words="Synergy, early fusion. The score of all patients is steady from a hundred rows on. Each patient's own share is a ratio of absolute values, whose "
        "small terms are never below their noise: it is too low with few "
        "rows. The corrected score takes the noise, known from the rows, out of each term.",
        numbers=[
            Number(experiment=f"{rows:g} rows", quantity=name, ours=tuple(each))
            for name, by_rows in series.items()
            for rows, each in by_rows.items()
        ],
        figure=_figure(lines(series, "background rows", "Synergy, early fusion")),
        decimals=1,
    )


def named(data: str) -> str:
    """A data set in words."""
    if data in SUMS:
        return f"SUM {data.removeprefix('sum-')}"
    kind = data.partition("-")[2].removesuffix("-1")
    count = f"{data[5]} modalities, " if data.startswith(("hdxor3", "hdxor4")) else ""
    return count + {"parity": "synergy (odd)", "synergy": "synergy (exactly one)" if count else "synergy"}.get(
        kind, kind
    )


def _model(model: str) -> str:
    return "the function" if model == "function" else model


def _orders(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.0f}" for share in shares)


def _figure(axes: Axes) -> Figure:
    return cast(Figure, axes.figure)
