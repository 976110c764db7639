"""check_model names each obstacle and its remedy: what it calls an obstacle stands in the way of explain or makes its
answer empty, a healthy model is fine, few rows are run, and nothing of the model is changed.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from typer.testing import CliRunner

import modalens as ml
from modalens.cli import app
from modalens.testing.model import CHECKS
from modalens.testing.result import told

RANDOM = np.random.default_rng(0)
IMAGE, LAB = RANDOM.normal(size=(12, 8, 8)), RANDOM.normal(size=(12, 3))
INPUTS = {"image": IMAGE, "lab": LAB}
OTHERS = {"image": RANDOM.normal(size=(30, 8, 8)), "lab": RANDOM.normal(size=(30, 3))}
SERIES = [RANDOM.normal(size=(length, 2)).astype(np.float32) for length in (3, 5, 4, 6, 3, 7, 5, 4, 3, 6, 5, 4)]


def model(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) - lab[:, 0]))


def logits(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    return np.stack([4 * lab[:, 0] - 9, 3 * lab[:, 1], image.mean(axis=(1, 2))], axis=1)


def softmaxed(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits(image, lab))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


class Net(nn.Module):
    """An image encoder, and a head that sees the laboratory values as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Tanh())
        self.head = nn.Linear(5 + 3, 2)

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.backbone(image), lab], dim=1))


class Branching(Net):
    """One that can't be exported, because of one line."""

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        if float(image.detach().sum()) > 1e9:  # THE LINE
            image = -image
        return super().forward(image, lab)


class Early(nn.Module):
    """One that mixes its modalities at once."""

    def __init__(self) -> None:
        super().__init__()
        self.all = nn.Linear(64 + 3, 2)

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        return self.all(torch.cat([image.flatten(1), lab], dim=1))


class Cut(Net):
    """One whose head only asks whether the laboratory is below something."""

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        encoded = self.backbone(image)
        return self.head(torch.cat([encoded, (lab < encoded[:, :3]).float()], dim=1))


class OfSeries(nn.Module):
    """A padded batch of series, of which zeros change nothing, and laboratory values."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, 4, bias=False)
        self.head = nn.Linear(4 + 3, 2)

    def forward(self, vitals: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        if not isinstance(vitals, torch.Tensor):
            raise TypeError("a padded tensor is expected")
        return self.head(torch.cat([self.encoder(vitals).sum(dim=1), lab], dim=1))


def of_dict(batch: dict[str, np.ndarray]) -> np.ndarray:
    return model(**batch)


def otherwise_named(images: np.ndarray, blood: np.ndarray) -> np.ndarray:
    assert images.ndim == 3, "the image goes here"
    return model(images, blood)


def by_position(image: np.ndarray, lab: np.ndarray, /) -> np.ndarray:
    return model(image, lab)


def with_age(image: np.ndarray, lab: np.ndarray, age: np.ndarray) -> np.ndarray:
    return model(image, lab) * age


def one_patient(image: np.ndarray, lab: np.ndarray) -> float:
    if image.ndim != 2:
        raise ValueError("a single image is expected")
    return float(model(image[None], lab[None])[0])


def raising(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")  # RAISED HERE


def drawing(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    return model(image, lab) * np.random.rand(len(lab))  # noqa: NPY002


def normalised(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Over the batch, as batch normalization in training mode does; a single patient is divided by 0."""
    with np.errstate(invalid="ignore"):
        return model(image, (lab - lab.mean(axis=0)) / lab.std(axis=0))


def centred(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Over the batch too, and finite for a single patient."""
    return model(image, lab - lab.mean(axis=0))


def undefined(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """NaN for the second patient."""
    return np.where(lab[:, 0] == LAB[1, 0], np.nan, model(image, lab))


def dividing(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Not finite where the laboratory is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return model(image, lab**2 / lab)


def indexing(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Raises where the laboratory is 0."""
    if not lab.any(axis=1).all():
        raise IndexError("no laboratory")
    return model(image, lab)


def blind(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    return model(image, 0 * lab)


def barely(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    return model(image, 1e-9 * lab)


def saturated(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    return np.ones(len(lab)) + 0 * model(image, lab)


def line_of(mark: str) -> str:
    """This file and the line with a mark, as one would write it."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return f"{Path(__file__).name}:{1 + next(row for row, line in enumerate(lines) if line.endswith(f'# {mark}'))}"


@dataclass(frozen=True, kw_only=True)
class Broken:
    """What is checked, the check that is to find it, words of what it says, and whether explain refuses it."""

    check: str
    words: tuple[str, ...]
    model: Any = model
    inputs: Any = None
    settings: dict[str, Any] | None = None
    refused: bool = True
    also: tuple[str, ...] = ()
    """Other checks that have an obstacle too, as they must."""

    @property
    def arguments(self) -> dict[str, Any]:
        given = {"model": self.model, "inputs": INPUTS if self.inputs is None else self.inputs, "background": OTHERS}
        return given | (self.settings or {})


def with_nan(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[2, 0] = np.nan
    return values


OBSTACLES: dict[str, Broken] = {
    # 1 inputs
    "NaN": Broken(
        check="inputs", inputs=INPUTS | {"lab": with_nan(LAB)}, words=("'lab'", "NaN or infinite", "Impute them")
    ),
    "unequal lengths": Broken(check="inputs", inputs=INPUTS | {"lab": LAB[:5]}, words=("'image': 12, 'lab': 5",)),
    "no inputs": Broken(check="inputs", inputs=[], words=("expected a dict", "came list")),
    "ids without tokenizer": Broken(
        check="inputs",
        inputs=INPUTS | {"report": {"input_ids": np.ones((12, 4), int), "attention_mask": np.ones((12, 4), int)}},
        words=("'report'", "token ids need their tokenizer", "ml.Text(tokenizer)"),
    ),
    # 2 it can be called
    "one dict": Broken(
        check="call",
        model=of_dict,
        words=("missing 'batch'", "Give forward=lambda model, inputs: model(inputs) (tried"),
    ),
    "other names": Broken(
        check="call",
        model=otherwise_named,
        inputs={"lab": LAB, "image": IMAGE},
        words=(
            "unknown to the model 'lab', 'image'",
            "forward=lambda model, inputs: model(images=inputs['image'], blood=inputs['lab']) (tried",
        ),
    ),
    "positions": Broken(
        check="call",
        model=by_position,
        words=("forward=lambda model, inputs: model(inputs['image'], inputs['lab']) (tried",),
    ),
    "an argument more": Broken(
        check="call",
        model=with_age,
        words=(
            "missing 'age'",
            "Add age to the inputs",
            "forward=lambda model, inputs: model(image=inputs['image'], lab=inputs['lab'], age=...)",
        ),
    ),
    "one patient a call": Broken(
        check="call", model=one_patient, words=("a single image is expected", "collate='patient'", "(tried")
    ),
    "a padded batch": Broken(
        check="call",
        model=OfSeries(),
        inputs={"vitals": SERIES, "lab": LAB},
        settings={"background": None, "link": "softmax"},
        words=(
            "a padded tensor is expected",
            "collate={'vitals': lambda samples: pad_sequence(samples, batch_first=True)}",
        ),
    ),
    "it raises": Broken(
        check="call",
        model=raising,
        words=("RuntimeError: mat1 and mat2", line_of("RAISED HERE"), "given image: ndarray (4, 8, 8) float64", "Mend"),
    ),
    "a class": Broken(check="call", model=Net, words=("the class Net",)),
    "a path": Broken(check="call", model="net.pt", words=("a str, which can't be called", "Load it")),
    "unknown collate": Broken(check="call", settings={"collate": "pad"}, words=("collate='pad'",)),
    # 3 the output
    "a tuple": Broken(
        check="output", model=lambda image, lab: (model(image, lab), lab), words=("a tuple of 2", "select=0")
    ),
    "the mean of the batch": Broken(
        check="output", model=lambda image, lab: model(image, lab).mean(), words=("shape ()", "one row each")
    ),
    "logits or probabilities": Broken(
        check="output", model=logits, words=("expected probabilities in [0, 1]", "link='softmax'", "link='sigmoid'")
    ),
    "a softmax twice": Broken(
        check="output",
        model=softmaxed,
        settings={"link": "softmax"},
        words=("sum to 1", "a softmax of a softmax", "Leave link= out."),
        refused=False,
    ),
    "a target that is none": Broken(check="output", settings={"target": "cat"}, words=("target='cat'", "no output")),
    "too few labels": Broken(check="output", settings={"labels": [0, 1]}, words=("each of the 12 samples, came 2",)),
    "classes that don't fit": Broken(
        check="output", settings={"classes": ["a", "b", "c"]}, words=("expected 2 different names",)
    ),
    # 4 the same again
    "random": Broken(check="same again", model=drawing, words=("it is random", "evaluation mode")),
    "mixed rows": Broken(
        check="same again",
        model=normalised,
        words=("depends on the other patients", "batch_first"),
        also=("finite",),  # all patients alike are divided by 0 too
    ),
    "mixed rows that are finite": Broken(check="same again", model=centred, words=("depends on the other patients",)),
    # 5 finite
    "NaN for a patient": Broken(check="finite", model=undefined, words=("for patient 1 of the first 4",)),
    "NaN under a baseline": Broken(
        check="finite",
        model=dividing,
        settings={"baseline": "zeros"},
        words=("with 'lab' replaced by 'zeros'", "NaN or infinite for 4 of 4"),
    ),
    "raises under a baseline": Broken(
        check="finite",
        model=indexing,
        settings={"baseline": {"image": "mean", "lab": "zeros"}},
        words=("with 'lab' replaced by 'zeros' the model raises IndexError: no laboratory",),
    ),
    "NaN without anything": Broken(
        check="finite",
        model=lambda image, lab: np.where(image.any(axis=(1, 2)) | lab.any(axis=1), model(image, lab), np.nan),
        settings={"baseline": "zeros"},
        words=("with every modality replaced by 'zeros'", "NaN or infinite for 4 of 4"),
    ),
    # 6, 7 what it follows
    "never read": Broken(check="reads", model=blind, words=("'lab' is never read", "forward"), refused=False),
    "constant": Broken(
        check="varies",
        model=saturated,
        words=("the same for", "0 or 1 for all", "trained weights"),
        refused=False,
        also=("reads",),
    ),
    # 8, 9 inside
    "no export": Broken(
        check="fusion point",
        model=Branching(),
        settings={"link": "softmax", "encoders": "graph"},
        words=(line_of("THE LINE"), "encoders={'image': 'backbone'} (tried: it agrees"),
    ),
    "encoders of a function": Broken(
        check="fusion point",
        settings={"encoders": "graph"},
        words=("no torch module", "Leave encoders= out"),
    ),
    "a submodule that is none": Broken(
        check="fusion point",
        model=Net(),
        settings={"link": "softmax", "encoders": {"image": "backbon"}},
        words=("did you mean 'backbone'",),
    ),
    "gradients of a function": Broken(
        check="gradients",
        settings={"measures": [ml.FusionGradient()]},
        words=("the model is no torch module", "Use Shapley"),
    ),
    # 11 what stands in
    "a background of another shape": Broken(
        check="background",
        settings={"background": OTHERS | {"lab": LAB[:, :2]}},
        words=("'lab'", "expected 2", "came 3"),
    ),
    "an unknown baseline": Broken(
        check="background", settings={"baseline": "zero"}, words=("did you mean 'zeros'", "Give one of")
    ),
    "a baseline equal to all": Broken(
        check="background",
        inputs=INPUTS | {"lab": np.zeros((12, 3))},
        settings={"background": None},
        words=("'lab'", "equals all 12 samples", "Use another baseline"),
    ),
    "neighbours of patients with gaps": Broken(
        check="background",
        settings={"baseline": "conditional", "present": {"lab": np.arange(12) > 2}},
        words=("'conditional'", "some lack 'lab'", "Use 'background'"),
    ),
    # the other settings
    "more modalities than can be enumerated": Broken(
        check="cost",
        model=lambda **given: 1 / (1 + np.exp(-np.mean([one[:, 0] for one in given.values()], axis=0))),
        inputs={f"m{place}": LAB for place in range(13)},
        settings={"background": None, "measures": [ml.Shapley()]},
        words=("at most 12 modalities", "Join modalities"),
    ),
    "a measure's class": Broken(
        check="settings", settings={"measures": [ml.Occlusion]}, words=("A class needs its brackets",)
    ),
    "groups of others": Broken(check="settings", settings={"groups": [1, 2]}, words=("each of the 12 samples",)),
    "a share": Broken(check="settings", settings={"confidence": 95}, words=("confidence=95",)),
}


@pytest.mark.parametrize("broken", OBSTACLES.values(), ids=OBSTACLES)
def test_each_obstacle_is_named_with_its_remedy(broken: Broken):
    found = ml.check_model(**broken.arguments)
    assert not found.ok
    assert {one.check for one in found.obstacles} == {broken.check, *broken.also}
    said = next(one for one in found.obstacles if one.check == broken.check)
    for words in broken.words:
        assert words in said.message
    assert said.remedy or "expected" in said.found
    assert found.rows < 300


@pytest.mark.parametrize("broken", OBSTACLES.values(), ids=OBSTACLES)
def test_an_obstacle_stands_in_the_way_of_explain(broken: Broken):
    """The verdict is right: explain raises, or goes through where the answer would be empty or wrong."""
    if broken.refused:
        with pytest.raises((ValueError, TypeError, RuntimeError, IndexError)):
            ml.explain(**broken.arguments, progress=False)
    else:
        ml.explain(**broken.arguments, progress=False)


# what is no obstacle ---------------------------------------------------------------------------------------------------


def frames() -> dict[str, Any]:
    """A fitted estimator and its columns."""
    table = {name: pd.DataFrame(RANDOM.normal(size=(40, 2)), columns=[f"{name}1", f"{name}2"]) for name in ("a", "b")}
    joined = pd.concat(table.values(), axis=1)
    return {
        "model": LogisticRegression().fit(joined, joined["a1"] + joined["b1"] > 0),
        "inputs": {name: frame[:12] for name, frame in table.items()},
        "background": table,
    }


HEALTHY: dict[str, Callable[[], dict[str, Any]]] = {
    "a function": lambda: {"model": model, "inputs": INPUTS, "background": OTHERS},
    "a torch module": lambda: {"model": Net(), "inputs": INPUTS, "background": OTHERS, "link": "softmax"},
    "one that runs whole": lambda: {"model": Branching(), "inputs": INPUTS, "background": OTHERS, "link": "softmax"},
    "an estimator": frames,
    "with labels": lambda: {
        "model": model,
        "inputs": INPUTS,
        "background": OTHERS,
        "labels": [0, 1] * 6,
        "groups": range(12),
    },
    "a dict of them": lambda: {
        "model": of_dict,
        "inputs": INPUTS,
        "background": OTHERS,
        "forward": lambda model, inputs: model(inputs),
    },
    "one patient a call": lambda: {
        "model": one_patient,
        "inputs": INPUTS,
        "background": OTHERS,
        "collate": "patient",
    },
    "series of any length": lambda: {
        "model": OfSeries(),
        "inputs": {"vitals": SERIES, "lab": LAB},
        "link": "softmax",
        "collate": {"vitals": lambda samples: nn.utils.rnn.pad_sequence(samples, batch_first=True)},
    },
    "gaps": lambda: {
        "model": model,
        "inputs": INPUTS,
        "background": OTHERS,
        "present": {"lab": np.arange(12) % 3 > 0},
    },
    "one patient": lambda: {
        "model": model,
        "inputs": {name: values[:1] for name, values in INPUTS.items()},
        "background": OTHERS,
    },
    "one modality": lambda: {"model": lambda lab: 1 / (1 + np.exp(-lab[:, 0])), "inputs": {"lab": LAB}},
}


@pytest.mark.parametrize("arguments", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_model_is_ok_and_can_be_explained(arguments: Callable[[], dict[str, Any]]):
    torch.manual_seed(0)
    given = arguments()
    found = ml.check_model(**given)
    assert found.ok, found
    assert list(dict.fromkeys(one.check for one in found.findings)) == list(CHECKS), "every check has something to say"
    assert {one.check for one in found.findings if one.verdict == "not checked"} <= {"varies"}
    assert ml.explain(**given, progress=False).results


def note_of(check: str, **arguments: Any) -> str:
    """The notes of one check, of a model that is ok."""
    found = ml.check_model(**({"model": model, "inputs": INPUTS, "background": OTHERS} | arguments))
    assert found.ok, found
    return " ".join(one.message for one in found.notes if one.check == check)


@pytest.mark.parametrize(
    ("check", "arguments", "words"),
    [
        pytest.param(
            "inputs",
            {"present": {"lab": np.arange(12) > 2, "image": np.arange(12) < 10}},
            ("of 12", "3 lack 'lab'", "2 lack 'image'"),
            id="who lacks what",
        ),
        pytest.param(
            "inputs",
            {
                "model": lambda image, report: model(image, report / 99),
                "inputs": {"image": IMAGE, "report": np.arange(12 * 5).reshape(12, 5)},
                "background": None,
            },
            ("'report' holds whole numbers from 0 to 59", "modalities={'report': ml.Text(tokenizer)}"),
            id="whole numbers that may be words",
        ),
        pytest.param("background", {"background": None}, ("no background was given", "Give background="), id="none given"),
        pytest.param(
            "background",
            {"inputs": {"image": IMAGE, "lab": LAB + 50}, "background": {"image": IMAGE, "lab": LAB + 50}, "baseline": "zeros", "model": lambda image, lab: model(image, lab - 50)},
            ("'lab'", "100% of the values of its baseline 'zeros' lie outside the range"),
            id="outside the range",
        ),
        pytest.param(
            "output",
            {"model": lambda image, lab: np.stack([model(image, lab), model(-image, lab)], axis=1)},
            ("task: multilabel", "link='softmax' if they are logits"),
            id="labels or logits",
        ),
        pytest.param(
            "output", {"link": "sigmoid"}, ("link='sigmoid' takes them for logits", "Leave link= out"), id="a link too many"
        ),
        pytest.param("reads", {"model": barely}, ("'lab' hardly changes the output", "scale is that"), id="hardly read"),
        pytest.param(
            "reads",
            {"inputs": {"image": IMAGE, "lab": np.ones((12, 3))}, "background": {"image": IMAGE, "lab": np.ones((12, 3))}, "baseline": "background"},
            ("'lab' is the same in all patients",),
            id="nothing to exchange",
        ),
        pytest.param(
            "varies",
            {"model": lambda image, lab: 0.5 + 1e-9 * lab[:, 0] + 1e-9 * image.sum(axis=(1, 2)), "output": "raw"},
            ("hardly different for 12 patients",),
            id="hardly different",
        ),
        pytest.param("fusion point", {}, ("no torch module", "runs whole"), id="no torch module"),
        pytest.param("fusion point", {"model": Early(), "link": "softmax"}, ("early fusion",), id="early fusion"),
        pytest.param(
            "fusion point",
            {"model": Branching(), "link": "softmax"},
            (line_of("THE LINE"), "encoders={'image': 'backbone'} (tried"),
            id="no export",
        ),
        pytest.param("gradients", {}, ("no torch module", "Use Shapley and Occlusion"), id="gradients of a function"),
        pytest.param(
            "gradients", {"model": Cut(), "link": "softmax"}, ("'lab' is cut off from the output", "detach"), id="a cut"
        ),
        pytest.param(
            "gradients", {"model": Branching(), "link": "softmax"}, ("they can be taken at the inputs",), id="at the inputs"
        ),
        pytest.param(
            "gradients",
            {"model": Net(), "link": "softmax", "present": {"lab": np.arange(12) > 2}},
            ("some patients lack 'lab'",),
            id="gradients with gaps",
        ),
    ],
)  # fmt: skip
def test_what_is_to_be_known_is_a_note(check: str, arguments: dict[str, Any], words: tuple[str, ...]):
    said = note_of(check, **arguments)
    for one in words:
        assert one in said


def test_a_run_of_hours_is_a_note(monkeypatch: pytest.MonkeyPatch):
    """The clock is set: every row takes a second, and 24 background rows stand in for each of 12 patients."""
    from modalens.evaluation import checks

    monkeypatch.setattr(checks, "time", Clock(seconds=8.0))
    settings: dict[str, Any] = {"measures": [ml.Shapley()], "baseline": ml.Background(rows=24)}
    rows = ml.plan(model, INPUTS, background=OTHERS, **settings).rows
    assert rows == 12 + 12 * 24 * 2 + 24
    assert "rows of the whole model, about 10 minutes" in str(
        ml.check_model(model, INPUTS, background=OTHERS, **settings).findings[-1]
    )
    monkeypatch.setattr(checks, "time", Clock(seconds=8 * 7.0))
    said = note_of("cost", **settings)
    assert f"{rows} rows of the whole model, about {7 * rows / 3600:.1f} hours" in said
    assert "Explain fewer patients" in said


@dataclass
class Clock:
    """Between two looks at it, so many seconds have passed; eight rows are run in between."""

    seconds: float
    now: float = 0.0

    def perf_counter(self) -> float:
        self.now += self.seconds
        return self.now


class Wrapper(nn.Module):
    """A model around a model that can't be exported, as training frameworks have them."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Branching()
        self.net.blood = nn.ModuleDict({"encoder": nn.Linear(3, 3)})

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        return self.net(image[:, None], self.net.blood["encoder"](lab))


class Told(nn.Module):
    """An image encoder that is told of the laboratory behind the scenes, so that it is none."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.heard = nn.Linear(64, 5), [torch.zeros(1)]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer(image.flatten(1)) + self.heard[0].sum()


class Telling(Branching):
    """The model that tells it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Told()
        self.heard = self.backbone.heard

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        self.heard[0] = lab[:1]
        return super().forward(image, lab)


def test_encoders_are_named_where_they_lie_and_only_those_that_agree():
    said = note_of("fusion point", model=Wrapper(), link="softmax")
    assert "encoders={'image': 'net.backbone', 'lab': 'net.blood.encoder'} (tried: it agrees" in said
    found = ml.check_model(Telling(), INPUTS, background=OTHERS, link="softmax")
    said = next(one.remedy for one in found.findings if one.check == "fusion point")
    assert "tried" not in said
    assert "the model's are 'backbone', 'head'" in said


def test_tracing_leaves_alone_what_a_model_keeps():
    """torch.export puts copies in the place of lists, and what was traced into them."""
    net = Telling()
    kept = net.heard[0]
    ml.fusion_point(net, INPUTS)
    assert net.heard is net.backbone.heard
    assert type(net.heard[0]) is torch.Tensor
    assert kept.tolist() == [0]


def test_what_enters_the_head_as_it_is_is_said():
    found = ml.check_model(Net(), INPUTS, background=OTHERS, link="softmax")
    assert "'lab' enters the head as it is" in str(found)


def test_modalities_by_themselves_are_all_told():
    found = ml.check_model(model, {"image": np.full_like(IMAGE, np.inf), "lab": with_nan(LAB)})
    assert [one.check for one in found.obstacles] == ["inputs", "inputs"]
    assert {one.verdict for one in found.findings[2:]} == {"not checked"}
    assert found.rows == 0


def test_what_rests_on_an_obstacle_is_not_checked_and_the_rest_is():
    found = ml.check_model(logits, INPUTS, background=OTHERS)
    verdicts = {one.check: one.verdict for one in found.findings}
    assert verdicts["output"] == "obstacle"
    assert verdicts["same again"] == verdicts["finite"] == verdicts["reads"] == verdicts["varies"] == "fine"
    assert verdicts["cost"] == "not checked"
    assert "“output”" in found.findings[-1].found


def test_after_another_way_to_call_it_the_other_checks_go_on():
    found = ml.check_model(lambda batch: blind(**batch), INPUTS, background=OTHERS)
    assert [one.check for one in found.obstacles] == ["call", "reads"]


def test_every_broken_model_on_every_broken_input_is_answered():
    """Never an exception, whatever is wrong together, and never more than a few rows."""
    models = [one.model for one in OBSTACLES.values() if not isinstance(one.model, nn.Module)]
    several = [{"settings": one.settings or {}, "inputs": one.arguments["inputs"]} for one in OBSTACLES.values()]
    for given, case in product(dict.fromkeys(models), several):
        found = ml.check_model(given, case["inputs"], **({"background": OTHERS} | case["settings"]))
        assert isinstance(found.ok, bool)
        assert found.rows < 300
        assert str(found)


# few rows, and nothing changed ---------------------------------------------------------------------------------------------


def test_the_rows_told_are_the_rows_run_and_they_are_few():
    seen = 0

    def counting(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen += len(image)
        return model(image, lab)

    many = {"image": RANDOM.normal(size=(500, 8, 8)), "lab": RANDOM.normal(size=(500, 3))}
    found = ml.check_model(counting, many, background=many)
    assert found.rows == seen < 100
    # Before it is said that nothing changes, more patients are asked.
    seen = 0
    found = ml.check_model(lambda image, lab: counting(image, 0 * lab), many)
    assert 100 < found.rows == seen < 300


def test_rows_through_a_torch_module_are_few():
    seen = 0

    class Counting(Branching):
        def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
            nonlocal seen
            seen += len(image) if type(image) is torch.Tensor else 0
            return super().forward(image, lab)

    many = {"image": RANDOM.normal(size=(300, 8, 8)), "lab": RANDOM.normal(size=(300, 3))}
    found = ml.check_model(Counting(), many, link="softmax")
    assert 20 < found.rows < 100
    assert found.rows < seen < 200  # copies of it, in which encoders are looked for, run some more


class Failing(Net):
    """Raises at its n-th call."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("no more")
        torch.rand(3)
        return super().forward(image, lab)


@pytest.mark.parametrize("net", [Net, Branching, lambda: Failing(0), lambda: Failing(3)])
def test_nothing_of_the_model_is_changed(net: Callable[[], Net]):
    one = net().train()
    one.head.eval()
    heard: list[str] = []
    one.backbone.register_forward_pre_hook(lambda module, args: heard.append("hook"))

    def state() -> Any:
        return (
            [(name, module.training, list(module._forward_pre_hooks)) for name, module in one.named_modules()],
            [(name, id(values), values.requires_grad, values.grad) for name, values in one.named_parameters()],
            {name: values.tolist() for name, values in one.state_dict().items()},
            torch.get_rng_state().tolist(),
            torch.is_grad_enabled(),
            random.getstate(),
            [each.tolist() if isinstance(each, np.ndarray) else each for each in np.random.get_state()],  # noqa: NPY002
        )

    before, inputs = state(), {name: values.copy() for name, values in INPUTS.items()}
    found = ml.check_model(one, inputs, background=OTHERS, link="softmax")
    assert found.ok != isinstance(one, Failing)
    assert state() == before
    assert all(np.array_equal(inputs[name], INPUTS[name]) for name in INPUTS)


def test_random_numbers_go_on_as_if_nobody_had_drawn_any():
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    ml.check_model(drawing, INPUTS)
    assert np.random.rand() == expected  # noqa: NPY002


# how it is asked and shown -----------------------------------------------------------------------------------------------------


def test_unknown_keywords_are_refused_with_the_nearest():
    with pytest.raises(TypeError, match=r"check_model\(\).*'backgroud' \(did you mean 'background'\?\)"):
        ml.check_model(model, INPUTS, backgroud=OTHERS)


def test_it_prints_as_a_table():
    printed = str(ml.check_model(logits, {"image": IMAGE, "lab": LAB}, background=OTHERS))
    assert printed.startswith("logits: 1 obstacle, 1 note, by ")
    assert all(word in printed for word in ("check", "verdict", "what was found", "what to do", *CHECKS))


def test_a_message_is_parted_where_it_says_what_to_do():
    parted = told("inputs", "obstacle", "the outputs are odd, expected others; give link='softmax' (or: use none).")
    assert parted.found == "the outputs are odd, expected others."
    assert parted.remedy == "Give link='softmax' (or: use none)."
    whole = told("inputs", "obstacle", "all is lost")
    assert (whole.found, whole.remedy) == ("all is lost.", "")
    better = told("inputs", "obstacle", "all is lost: give up.", remedy="Give hope.")
    assert better.message == "all is lost. Give hope."


NETWORK = """
import numpy as np

def network(image, clinical):
    return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) - clinical["age"].to_numpy()))

def blind(image, clinical):
    return 1 / (1 + np.exp(-image.mean(axis=(1, 2))))
"""


def study(folder: Path, name: str) -> str:
    """A study of one of the networks above."""
    (folder / "network.py").write_text(NETWORK)
    np.savez(folder / "test.npz", image=IMAGE)
    pd.DataFrame({"age": LAB[:, 0]}).to_csv(folder / "test.csv", index=False)
    (folder / "study.yaml").write_text(
        f"model: network.py:{name}\ninputs:\n  image: {{file: test.npz, key: image}}\n  clinical: {{file: test.csv, columns: [age]}}\n"
    )
    return str(folder / "study.yaml")


@pytest.mark.parametrize(("name", "code"), [("network", 0), ("blind", 1)])
def test_the_shell_ends_with_code_1_where_there_is_an_obstacle(tmp_path: Path, name: str, code: int):
    ran = CliRunner().invoke(app, ["check", study(tmp_path, name)])
    assert ran.exit_code == code, ran.output
    assert ("'clinical' is never read" in ran.output) == bool(code)


def test_the_shell_has_an_example():
    ran = CliRunner().invoke(app, ["check", "--help"])
    assert "modalens check study.yaml" in ran.output


def test_neither_torch_nor_scikit_learn_is_imported_before_it_is_needed():
    """Nor for the check of a function."""
    code = """
import sys
import modalens as ml
import numpy as np
heavy = [name for name in ("torch", "sklearn") if name in sys.modules]
inputs = {"a": np.eye(6), "b": np.eye(6)[::-1]}
assert ml.check_model(lambda a, b: a[:, 0] + b[:, 1], inputs, output="raw").ok
print(heavy, [name for name in ("torch", "sklearn") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["[]", "[]"]
