"""The models that InterSHAP is asked about, of its paper's data, and what it and its neighbours say of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import nn

from modalens.baselines import Background
from modalens.errors import ModalensWarning
from modalens.evaluation.progress import Bar
from modalens.explanation import Explanation
from modalens.measures import InterSHAP, Measure
from modalens.measures.emap import EMAP
from modalens.measures.perceptual_score import PerceptualScore
from modalens.measures.shape import SHAPE
from modalens.modalities import Tabular
from modalens.pipeline import explain
from modalens.validation.hdxor import SUMS, TEST, TRAIN
from modalens.validation.known import KnownProblem, Patients
from modalens.validation.learning import taught
from modalens.validation.networks import NETWORKS, Early, Intermediate, Late, Shapes
from modalens.validation.pid import pid
from modalens.validation.problems import problem

UNTAUGHT = "untaught "
"""Before the name of a network whose modality layers stay as they were drawn."""

REGULAR = "regularised "
"""Before the name of a network with dropout of a half between its layers."""

FUSED = ("early", f"{REGULAR}early", "intermediate", "late", f"{UNTAUGHT}intermediate", f"{UNTAUGHT}late")

ASKED: Mapping[str, Sequence[str]] = {
    "hdxor2-uniqueness-1": ("function", *FUSED),
    "hdxor2-synergy": ("function", *FUSED),
    "hdxor2-redundancy": FUSED,
    "hdxor2-random": ("early",),
    **{f"hdxor{count}-{kind}": ("early",) for count in (3, 4) for kind in ("uniqueness-1", "redundancy")},
    **{f"hdxor{count}-{kind}": ("function", "early") for count in (3, 4) for kind in ("synergy", "parity")},
    **dict.fromkeys(SUMS, ("early",)),
}
"""Data set -> the models that are asked about: the decision function itself, and networks taught on the data."""

SWEPT = "hdxor2-synergy", "early"
"""Of which the number of background rows is varied."""

ROWS = (10, 30, 100, 300, 1_000)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the experiments are: patients to learn from and to test on, how many of these are explained (`of_many`,
    where there are four modalities), the background rows, the seeds, and what differs from the paper's schedule.
    """

    train: int = TRAIN
    test: int = TEST
    explained: int = 1_000
    of_many: int = 300
    rows: int = 1_000
    seeds: tuple[int, ...] = (1, 42, 113)
    schedule: Mapping[str, Any] = field(default_factory=dict)
    of_four: Mapping[str, Any] = field(default_factory=lambda: {"epochs": 250})


FULL = Size()
SMALL = Size(
    train=3_000,
    test=300,
    explained=80,
    of_many=80,
    rows=100,
    seeds=(1,),
    schedule={"epochs": 15, "batch": 100, "rate": 1e-3, "patience": None},
    of_four={"epochs": 15},
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is said of one model, in per cent: InterSHAP's score, the mean of its local scores, that less the noise of the
    background, the exact split into orders, the model's F1 and that of the best decision on the inputs. `others` are
    the neighbours by name, `swept` (score, local, corrected) by number of background rows.
    """

    score: float
    local: float
    corrected: float
    orders: tuple[float, ...]
    f1: float
    reachable: float
    others: Mapping[str, float] = field(default_factory=dict)
    swept: Mapping[int, tuple[float, float, float]] = field(default_factory=dict)


Answers = Mapping[tuple[str, str], tuple[Found, ...]]
"""(data set, model) -> what was found, for each seed."""


def collect(size: Size, progress: bool | None) -> Answers:
    """Teach all networks, and ask about them."""
    found: dict[tuple[str, str], list[Found]] = {}
    models = len(size.seeds) * sum(map(len, ASKED.values()))
    with Bar(models, progress, doing="teaching and asking", unit="models") as bar:
        for seed in size.seeds:
            for name, networks in ASKED.items():
                known = data(name, seed, size)
                for network in networks:
                    found.setdefault((name, network), []).append(answer(known, network, size))
                    bar.advance(1)
    return {key: tuple(each) for key, each in found.items()}


def data(name: str, seed: int, size: Size) -> KnownProblem:
    """One data set, with the schedule of its networks."""
    known = problem(name, seed, train=size.train, test=size.test)
    return known.taught(**{**size.schedule, **(size.of_four if len(known.modalities) == 4 else {})})


def answer(known: KnownProblem, network: str, size: Size) -> Found:
    """What InterSHAP says of one model, and of two modalities its neighbours too."""
    model, link = made(known, network)
    inputs, background = (_rows(patients, network) for patients in (known.test, known.train))
    beside = len(known.modalities) == 2 and network in ("function", "early") and known.binary
    measures: list[Measure] = [InterSHAP(), *([EMAP(), SHAPE(), PerceptualScore()] if beside else [])]
    explanation = asked(model, inputs, background, measures, size, labels=known.labels, link=link)
    score, local, corrected = scores(explanation)
    return Found(
        score=score,
        local=local,
        corrected=corrected,
        orders=tuple((100 * explanation.intershap.orders.values).tolist()),
        f1=100 * f1_score(known.labels, said(model, inputs)),
        reachable=100 * known.reachable,
        others=neighbours(explanation, known, network) if beside else {},
        swept={
            many: scores(asked(model, inputs, background, [InterSHAP()], size, rows=many, link=link))
            for many in ROWS
            if (known.name, network) == SWEPT
        },
    )


def made(known: KnownProblem, network: str) -> tuple[Callable[..., Any], str | None]:
    """The model, and what makes probabilities of its outputs."""
    if network == "function":
        return known.decide, None
    model = taught(_kind(network), known.train.inputs, known.train.labels, known.schedule, known.seed, known.watched)
    return model, "softmax"


def _kind(network: str) -> Callable[[Shapes], nn.Module]:
    if network.startswith(REGULAR):
        return partial(Early, dropout=0.5)
    return untaught(network.removeprefix(UNTAUGHT)) if network.startswith(UNTAUGHT) else NETWORKS[network]


def untaught(network: str) -> Callable[[Shapes], nn.Module]:
    """The network with modality layers that keep the weights they were drawn with: only what joins modalities is taught."""

    def drawn(shapes: Shapes) -> nn.Module:
        model = NETWORKS[network](shapes)
        assert isinstance(model, Intermediate | Late)
        if isinstance(model, Intermediate):
            model.encoders.requires_grad_(False)
        else:
            for layers in model.networks.values():
                cast(nn.Sequential, layers)[:-1].requires_grad_(False)
        return model

    return drawn


def asked(
    model: Callable[..., Any],
    inputs: Mapping[str, np.ndarray],
    background: Mapping[str, np.ndarray],
    measures: Sequence[Measure],
    size: Size,
    *,
    rows: int | None = None,
    labels: np.ndarray | None = None,
    link: str | None = None,
) -> Explanation:
    """The measures of the first patients, by this many background rows."""
    explained = size.explained if len(inputs) < 4 else size.of_many
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModalensWarning)
        return explain(
            model,
            {name: values[:explained] for name, values in inputs.items()},
            measures=measures,
            modalities={name: Tabular() for name in inputs},
            background=background,
            baseline=Background(rows=size.rows if rows is None else rows),
            link=link,
            labels=None if labels is None else labels[:explained],
            confidence=None,
            progress=False,
        )


def scores(explanation: Explanation) -> tuple[float, float, float]:
    """InterSHAP, local and corrected, in per cent."""
    found = explanation.intershap
    score, local, corrected = (100 * found.array(name).item() for name in ("score", "local", "local_corrected"))
    return score, local, corrected


def said(model: Callable[..., Any], inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The class that the model gives each patient."""
    if not isinstance(model, nn.Module):
        return (np.asarray(model(**inputs)) > 0.5).astype(int)
    with torch.no_grad():
        logits = model(**{name: torch.as_tensor(values) for name, values in inputs.items()})
    return np.asarray(logits.argmax(dim=1))


def neighbours(explanation: Explanation, known: KnownProblem, network: str) -> dict[str, float]:
    """Table 2's other scores, in per cent; PID in bits, of what the model is given, whatever it makes of it."""
    found = {
        "EMAP gap": 100 * explanation.emap.gap.item(),
        "SHAPE": 100 * explanation.shape.cooperation.item(),
    }
    drops = explanation.perceptual_score.array("values")
    found |= {f"PerceptualScore, {name}": 100 * drops.sel(modality=name).item() for name in known.modalities}
    first, second = _rows(known.train, network).values()
    return found | {"PID synergy (bits)": pid(first, second, known.train.labels, seed=known.seed).synergy}


def _rows(patients: Patients, network: str) -> Mapping[str, np.ndarray]:
    return patients.latents if network == "function" else patients.inputs
