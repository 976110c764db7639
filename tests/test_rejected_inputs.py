"""What can't be explained is refused, and the message names the modality, what was expected, what came, and what to do."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import modalens as ml
from modalens.baselines import Fill

SAMPLES = 6
RANDOM = np.random.default_rng(0)
IMAGE, LAB = RANDOM.normal(size=(SAMPLES, 8, 8)), RANDOM.normal(size=(SAMPLES, 3))
OTHERS = {"image": RANDOM.normal(size=(9, 8, 8)), "lab": RANDOM.normal(size=(9, 3))}
TABLE = pd.DataFrame({"age": [61, 47, 80, 33, 52, 70], "crp": LAB[:, 0], "sex": pd.Categorical(list("fmfmfm"))})
WORDS = ["no effusion", "clear", "large effusion left", "unchanged", "clear lungs", "normal"]
CODES = np.array([[0, 1], [2, 1], [0, 0], [1, 1], [2, 2], [1, 0]])

REMEDY = re.compile(
    r"\b(?:give|use|leave|name|bring|prepare|put|say|wrap|reorder|impute|choose|pad|join|write|call|look|clip|select|must|reduce|encode|needs|cast|reshape|renumbers)\b",
    re.IGNORECASE,
)


def model(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) - lab[:, 0]))


def logits(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    return np.stack([4 * lab[:, 0] - 9, 3 * lab[:, 1], image.mean(axis=(1, 2))], axis=1)


def of_table(image: np.ndarray, lab: pd.DataFrame) -> np.ndarray:
    assert not lab.isna().any(axis=None), "the model was given NaN"
    return model(image, lab[["crp"]].to_numpy())


def of_text(image: np.ndarray, report: list[str]) -> np.ndarray:
    return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) - np.array([len(text) for text in report]) / 20))


def of_ids(image: np.ndarray, report: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) - report.sum(axis=1) / 20))


def dividing(image: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Finite on every patient, and not where the laboratory is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 / (1 + np.exp(-image.mean(axis=(1, 2)) - lab[:, 0] / lab[:, 0]))


@dataclass(frozen=True, kw_only=True)
class WrongShape(Fill):
    """A baseline of a user's own that forgets the columns."""

    name: ClassVar[str] = "wrong_shape"
    words: ClassVar[str] = "nothing that fits"

    def fill(self, modality: ml.Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return np.zeros((1, 7))


@dataclass(frozen=True, kw_only=True)
class WrongType(Fill):
    """A baseline of a user's own that turns float32 into float64."""

    name: ClassVar[str] = "wrong_type"
    words: ClassVar[str] = "another type"

    def fill(self, modality: ml.Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return np.zeros((1, *samples.shape[1:]))


@dataclass(frozen=True, kw_only=True)
class NotANumber(Fill):
    """A baseline of a user's own that divides by zero."""

    name: ClassVar[str] = "not_a_number"
    words: ClassVar[str] = "the mean of nothing"

    def fill(self, modality: ml.Modality, samples: np.ndarray, background: np.ndarray) -> np.ndarray:
        return np.full((1, *samples.shape[1:]), np.nan, dtype=samples.dtype)


class Needy(torch.nn.Module):
    """A network in float32, on whatever device it is put."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(3, 1)

    def forward(self, image: torch.Tensor, lab: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.head(lab) + image.mean(dim=(1, 2), keepdim=True)[:, 0])


def with_nan(values: np.ndarray, what: float = np.nan) -> np.ndarray:
    values = values.copy()
    values[(2,) + (1,) * (values.ndim - 1)] = what
    return values


def ids_model(report: np.ndarray) -> dict[str, Any]:
    """Token ids (pad 0, unknown 1, words 2 to 4) with their tokenizer."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models

    vocabulary = {"[PAD]": 0, "[UNK]": 1, "clear": 2, "effusion": 3, "large": 4}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]")),
        pad_token="[PAD]",
        unk_token="[UNK]",
    )
    return {
        "model": of_ids,
        "inputs": {"image": IMAGE, "report": report},
        "modalities": {"report": ml.Text(tokenizer)},
        "background": None,
        "baseline": "background",
    }


IDS = np.array([[2, 0, 0], [3, 2, 0], [4, 3, 2], [1, 0, 0], [2, 2, 0], [3, 0, 0]])


def both(**changed: Any) -> dict[str, Any]:
    return {"image": IMAGE, "lab": LAB} | changed


REFUSED: list[Any] = [
    # 1: names, and None
    pytest.param(
        lambda: {"inputs": {"image": IMAGE, "labs": LAB}},
        ["'labs'", "did you mean 'lab'", "missing 'lab'"],
        id="near miss of a name",
    ),
    pytest.param(lambda: {"inputs": {"image": IMAGE}}, ["missing 'lab'", "'image'"], id="modality missing"),
    pytest.param(
        lambda: {"inputs": both(ecg=LAB)}, ["'ecg'", "unknown to the model"], id="modality that the model does not take"
    ),
    pytest.param(
        lambda: {"inputs": [("lab", LAB), ("lab", LAB)]}, ["expected a dict", "came list"], id="pairs with a name twice"
    ),
    pytest.param(lambda: {"inputs": None}, ["expected a dict", "came NoneType"], id="no inputs"),
    pytest.param(lambda: {"inputs": {}}, ["expected a dict", "came an empty one"], id="empty inputs"),
    pytest.param(
        lambda: {"inputs": {"image": IMAGE, "lab values": LAB}},
        ["'lab values'", "keyword"],
        id="name that is no keyword",
    ),
    pytest.param(
        lambda: {"inputs": both(lab=None)}, ["'lab' is None", "expected its samples"], id="None for a modality"
    ),
    pytest.param(
        lambda: {"inputs": both(lab=[LAB[0], None, LAB[2], LAB[3], LAB[4], LAB[5]])},
        ["'lab'", "1 of its samples are None", "zeros, its own token", "present={'lab'"],
        id="None among arrays of one shape",
    ),
    pytest.param(
        lambda: {"inputs": both(image=[IMAGE[0], IMAGE[1, :, :4], *IMAGE[2:]])},
        ["'image'", "patient 1 have the shape (4,)", "of the first (8,)", "only their number may differ"],
        id="images of different width",
    ),
    pytest.param(
        lambda: {"inputs": both(image=[IMAGE[0], IMAGE[1, :4], *IMAGE[2:]]), "modalities": {"image": ml.Image()}},
        ["'image'", "differ in shape", "pad"],
        id="named images of different sizes",
    ),
    pytest.param(lambda: {"background": OTHERS | {"lab": None}}, ["'lab' is None"], id="None in the background"),
    pytest.param(
        lambda: {"background": {"image": OTHERS["image"], "labs": OTHERS["lab"]}},
        ["missing 'lab'", "unknown 'labs'", "did you mean 'lab'"],
        id="background named otherwise",
    ),
    pytest.param(
        lambda: {"modalities": {"img": ml.Image()}}, ["'img'", "did you mean 'image'"], id="modalities named otherwise"
    ),
    pytest.param(lambda: {"modalities": [ml.Image()]}, ["expected a dict", "came list"], id="modalities as a list"),
    pytest.param(
        lambda: {"modalities": {"image": "Image"}}, ["'image'", "'Image'", "ml.Image(patch=16)"], id="kind as a word"
    ),
    pytest.param(
        lambda: {"baseline": {"image": "mean", "lap": "mean"}},
        ["Missing: 'lab'", "unknown: 'lap'"],
        id="baselines named otherwise",
    ),
    pytest.param(
        lambda: {"inputs": both(lab={"values": LAB, "missing": (LAB > 0)[:4]})},
        ["'lab'", "members 'values', 'missing' hold 6, 4 samples", "same patient"],
        id="members of unequal length",
    ),
    pytest.param(
        lambda: {"modalities": {"lab": ml.Image()}},
        ["'lab'", "Image expects (samples, height, width)", "(6, 3)"],
        id="axes of another kind",
    ),
    pytest.param(
        lambda: {"modalities": {"lab": ml.Tabular(columns=("a", "b"))}},
        ["'lab'", "expected 3", "came 2"],
        id="names of other columns",
    ),
    pytest.param(
        lambda: {"modalities": {"lab": ml.Tabular(groups={"all": [0, 3]})}},
        ["'lab'", "column 3", "0 to 2"],
        id="group of a column that is not there",
    ),
    pytest.param(
        lambda: {"modalities": {"lab": ml.Tabular(groups={"one": [0], "two": [0, 1]})}},
        ["'lab'", "'one' and 'two'", "belongs to one part"],
        id="overlapping groups",
    ),
    pytest.param(
        lambda: {"modalities": {"image": ml.Image(segments=np.ones((8, 8), int))}},
        ["'image'", "numbered [1]", "np.unique"],
        id="segments that are not numbered from 0",
    ),
    pytest.param(
        lambda: {"modalities": {"image": ml.Image(segments=np.zeros((4, 4), int))}},
        ["'image'", "shape (8, 8)", "(4, 4)"],
        id="segments of another size",
    ),
    pytest.param(
        lambda: {"modalities": {"image": ml.Image(patch=0)}},
        ["'image'", "blocks of 0", "at least 1"],
        id="patch without pixels",
    ),
    pytest.param(
        lambda: {"modalities": {"image": ml.Image(patch=2.5)}}, ["'image'", "blocks of 2.5"], id="patch of half pixels"
    ),
    pytest.param(
        lambda: {"inputs": both(lab=np.array([["a", "b", "c"]] * SAMPLES))},
        ["'lab'", "expected numbers", "<U1"],
        id="letters for numbers",
    ),
    # 2: batches
    pytest.param(
        lambda: {"inputs": both(lab=LAB[:4])}, ["'image': 6", "'lab': 4", "same patient"], id="unequal batches"
    ),
    pytest.param(
        lambda: {"inputs": {"image": IMAGE[:0], "lab": LAB[:0]}},
        ["'image', 'lab'", "no samples", "at least one"],
        id="empty batches",
    ),
    pytest.param(
        lambda: {"background": {"image": OTHERS["image"][:0], "lab": OTHERS["lab"][:0]}},
        ["background", "'image', 'lab'", "no samples"],
        id="empty background",
    ),
    pytest.param(
        lambda: {"background": OTHERS | {"lab": OTHERS["lab"][:5]}},
        ["background", "'image': 9", "'lab': 5"],
        id="unequal background",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: model(image, lab).mean()},
        ["shape ()", "4 patients", "one row each"],
        id="output averaged over the batch",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: logits(image, lab).T},
        ["shape (3, 4)", "one row each"],
        id="output transposed",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: logits(image, lab)[:, :, None]},
        ["shape (4, 3, 1)", "expected (n,) or (n, outputs)"],
        id="output with an axis too many",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: np.array(["benign"] * len(lab))},
        ["expected numbers", "not labels"],
        id="labels for outputs",
    ),
    pytest.param(lambda: {"groups": [1, 2, 3]}, ["groups", "6 samples", "(3,)"], id="groups of other length"),
    pytest.param(lambda: {"groups": [1, 2, 3, np.nan, 5, 6]}, ["groups", "NaN"], id="NaN among the groups"),
    pytest.param(
        lambda: {"labels": [0, 1], "measures": [ml.Reliance()]},
        ["labels", "6 samples", "came 2"],
        id="labels of other length",
    ),
    pytest.param(
        lambda: {"labels": ["a", "b"] * 3, "measures": [ml.Reliance()]},
        ["labels", "'0', '1'", "'a'"],
        id="labels with other names",
    ),
    pytest.param(
        lambda: {"labels": np.ones((SAMPLES, 2), bool), "measures": [ml.Reliance()]},
        ["labels", "(n,)", "(6, 2)"],
        id="labels one-hot",
    ),
    pytest.param(
        lambda: {"labels": [0, 1, 2, 0, 1, 2], "measures": [ml.Reliance()]},
        ["labels", "0 to 2", "(0 to 1)"],
        id="labels out of range",
    ),
    # 3: NaN and infinity
    pytest.param(
        lambda: {"inputs": both(lab=with_nan(LAB))}, ["'lab'", "1 of 18", "sample 2", "Impute"], id="NaN in a table"
    ),
    pytest.param(
        lambda: {"inputs": both(image=with_nan(IMAGE, -np.inf))},
        ["'image'", "infinite", "expected finite"],
        id="infinity in an image",
    ),
    pytest.param(
        lambda: {"model": of_table, "inputs": both(lab=TABLE.assign(sex=pd.Categorical([*"fmfmf", None])))},
        ["'lab'", "sample 5"],
        id="missing category in a mixed table",
    ),
    pytest.param(
        lambda: {"model": of_text, "inputs": {"image": IMAGE, "report": [*WORDS[:5], float("nan")]}},
        ["'report'", "expected a string", "float", "sample 5"],
        id="NaN among texts",
    ),
    pytest.param(
        lambda: {"model": of_text, "inputs": {"image": IMAGE, "report": pd.Series([*WORDS[:5], None], dtype=object)}},
        ["'report'", "NoneType", "sample 5"],
        id="None among texts of a column",
    ),
    pytest.param(
        lambda: {"background": OTHERS | {"lab": with_nan(OTHERS["lab"])}},
        ["'lab'", "sample 2", "finite"],
        id="NaN in the background",
    ),
    pytest.param(
        lambda: {"baseline": {"image": "mean", "lab": ml.Constant(value=np.nan)}},
        ["'lab'", "NaN", "expected finite"],
        id="NaN as a constant",
    ),
    pytest.param(
        lambda: {"baseline": {"image": "mean", "lab": ml.Constant(value=np.array([0.0, np.inf, 0.0]))}},
        ["'lab'", "infinite", "expected finite"],
        id="infinity in a constant array",
    ),
    pytest.param(
        lambda: {
            "inputs": both(lab=CODES),
            "background": None,
            "baseline": {"image": "mean", "lab": ml.Constant(value=np.nan)},
        },
        ["'lab'", "NaN", "expected finite"],
        id="NaN for whole numbers",
    ),
    pytest.param(
        lambda: {
            "model": of_table,
            "inputs": both(lab=TABLE),
            "background": None,
            "baseline": {"image": "mean", "lab": ml.Constant(value=[1.0, np.nan, "f"])},
        },
        ["'lab'", "NaN", "expected finite"],
        id="NaN in a mixed constant",
    ),
    pytest.param(
        lambda: {"baseline": {"image": "mean", "lab": NotANumber()}},
        ["'lab'", "'not_a_number'", "NaN"],
        id="NaN from a baseline of one's own",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: np.where(lab[:, 0] == LAB[3, 0], np.nan, 0.5)},
        ["1 of 4 rows", "row 3", "finite"],
        id="NaN from the model on the plain inputs",
    ),
    pytest.param(
        lambda: {"model": dividing, "baseline": {"image": "mean", "lab": "zeros"}},
        ["'lab'", "'zeros'", "finite"],
        id="NaN from the model under masks only",
    ),
    pytest.param(
        lambda: {"output": lambda raw: np.log(raw - 0.5)},
        ["output=", "NaN", "4 rows", "clip"],
        id="NaN from the output function",
    ),
    # 4: token ids
    pytest.param(
        lambda: ids_model(IDS + 1),
        ["'report'", "1 to 5", "0 to 4", "the tokenizer that these ids come from"],
        id="token ids outside the vocabulary",
    ),
    pytest.param(lambda: ids_model(IDS - 1), ["'report'", "-1 to 3", "0 to 4"], id="negative token ids"),
    pytest.param(
        lambda: ids_model(IDS) | {"modalities": {"report": ml.Text()}},
        ["'report'", "Text(tokenizer)"],
        id="token ids without a tokenizer",
    ),
    pytest.param(
        lambda: ids_model(IDS[:, 0]), ["'report'", "(samples, length)", "(6,)"], id="token ids without an axis of words"
    ),
    # 5: targets
    pytest.param(lambda: {"target": 2}, ["target=2", "out of range", "0 to 1"], id="target out of range"),
    pytest.param(lambda: {"target": -1}, ["target=-1", "0 to 1"], id="target below 0"),
    pytest.param(
        lambda: {"target": "malignent", "classes": ["benign", "malignant"]},
        ["'malignent'", "did you mean 'malignant'"],
        id="target misspelt",
    ),
    pytest.param(lambda: {"target": [0, 1, 0]}, ["6 patients", "came 3"], id="targets of other length"),
    pytest.param(lambda: {"target": None}, ["target=None", "'predicted'"], id="no target"),
    pytest.param(lambda: {"target": 0.5}, ["target=0.5", "'predicted'"], id="target as a fraction"),
    pytest.param(
        lambda: {"classes": ["benign"]},
        ["classes", "expected 2", "(1 - p, p)"],
        id="one name for the two classes of a probability",
    ),
    # 6: models that are not functions of their patient
    pytest.param(
        lambda: {"model": lambda image, lab: np.random.default_rng().random(len(lab))},
        ["same input", "random", "evaluation mode"],
        id="random model",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: 1 / (1 + np.exp(-lab[:, 0] + lab[:, 0].mean()))},
        ["other patients of the batch", "row k"],
        id="batch normalization in the model",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: 1 / (1 + np.exp(-np.cumsum(lab[:, 0])))},
        ["other patients of the batch", "batch_first"],
        id="the batch taken for time",
    ),
    pytest.param(
        lambda: {
            "model": lambda image, lab: 1 / (1 + np.exp(-np.cumsum(lab[::-1, 0])[::-1])),
            "inputs": {"image": IMAGE[:3], "lab": LAB[:3]},
        },
        ["other patients of the batch"],
        id="the batch taken for time, backwards",
    ),
    pytest.param(
        lambda: {
            "inputs": {"image": IMAGE[:1], "lab": LAB[:1]},
            "model": lambda image, lab: np.exp(lab[:, 0]) / np.exp(lab[:, 0]).sum(),
        },
        ["other patients of the batch"],
        id="softmax over a single patient",
    ),
    pytest.param(lambda: {"model": Needy}, ["the class Needy", "Needy(...)"], id="the class of a model"),
    pytest.param(
        lambda: {"model": LogisticRegression(), "inputs": {"lab": LAB}, "background": None},
        ["LogisticRegression", "not fitted"],
        id="estimator that was not fitted",
    ),
    pytest.param(lambda: {"model": "model.pt"}, ["a str", "expected a torch module"], id="a model's file"),
    # 7: which output, on which scale
    pytest.param(
        lambda: {"model": lambda image, lab: (model(image, lab), lab)}, ["tuple of 2", "select=0"], id="tuple"
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: {"loss": 0.0, "logits": logits(image, lab)}},
        ["dict", "'loss', 'logits'", "select="],
        id="dict",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: namedtuple("Output", "loss logits")(0.0, logits(image, lab))},
        ["tuple of 2", "select="],
        id="named tuple",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: {"loss": 0.0, "logits": logits(image, lab)}, "select": "logit"},
        ["select='logit'", "'loss', 'logits'"],
        id="selector of nothing",
    ),
    pytest.param(
        lambda: {"model": lambda image, lab: (model(image, lab), lab), "select": 2},
        ["select=2", "2 entries"],
        id="selector out of range",
    ),
    pytest.param(
        lambda: {"model": logits},
        ["between", "expected probabilities in [0, 1]", "link='softmax'", "task='regression'"],
        id="logits without a link",
    ),
    pytest.param(
        lambda: {
            "model": lambda image, lab: np.where(lab[:, 0] == 0, -3.0, model(image, lab)),
            "baseline": {"image": "mean", "lab": "zeros"},
        },
        ["-3", "expected probabilities in [0, 1]"],
        id="logits that look like probabilities until something is masked",
    ),
    pytest.param(lambda: {"link": "softmax"}, ["at least two", "link='sigmoid'"], id="softmax of one output"),
    pytest.param(lambda: {"link": "soft-max"}, ["link='soft-max'", "did you mean 'softmax'"], id="link misspelt"),
    pytest.param(lambda: {"output": "logits"}, ["output='logits'", "did you mean 'logit'"], id="output misspelt"),
    pytest.param(
        lambda: {"task": "multi-label"}, ["task='multi-label'", "did you mean 'multilabel'"], id="task misspelt"
    ),
    pytest.param(
        lambda: {"model": logits, "link": "sigmoid", "task": "classification"},
        ["3 outputs", "task='multilabel'"],
        id="sigmoid of exclusive classes",
    ),
    pytest.param(
        lambda: {"task": "regression", "output": "logit"}, ["regression", "log-odds"], id="log-odds of a regression"
    ),
    pytest.param(
        lambda: {"output": lambda raw: raw[:2]},
        ["output=", "4 patients", "one row each"],
        id="output function that drops rows",
    ),
    # 8: baselines
    pytest.param(lambda: {"baseline": "meam"}, ["'meam'", "did you mean 'mean'"], id="baseline misspelt"),
    pytest.param(lambda: {"baseline": "constant"}, ["Constant(value=...)"], id="constant without its value"),
    pytest.param(
        lambda: {"baseline": {"image": ml.Constant(value=np.zeros((4, 4))), "lab": "mean"}},
        ["'image'", "(4, 4)", "(8, 8)"],
        id="constant image of another size",
    ),
    pytest.param(
        lambda: {"baseline": {"image": "mean", "lab": ml.Constant(value=[0.0, 1.0])}},
        ["'lab'", "(2,)", "3 columns"],
        id="constant row of another length",
    ),
    pytest.param(
        lambda: {"baseline": {"image": "mean", "lab": WrongShape()}},
        ["'lab'", "(1, 7)", "of shape (3,)"],
        id="baseline of another shape",
    ),
    pytest.param(
        lambda: {
            "inputs": both(lab=LAB.astype(np.float32)),
            "background": None,
            "baseline": {"image": "mean", "lab": WrongType()},
        },
        ["'lab'", "float64", "float32"],
        id="baseline of another type",
    ),
    pytest.param(
        lambda: {"inputs": both(lab=np.ones((SAMPLES, 3))), "background": None, "baseline": "mean"},
        ["'lab'", "equals all 6", "'background'"],
        id="baseline equal to every input",
    ),
    pytest.param(
        lambda: {"baseline": {"image": "mean", "lab": "sample_mean"}},
        ["'lab'", "sample_mean", "'mean'"],
        id="a table's own mean",
    ),
    pytest.param(
        lambda: {"model": of_text, "inputs": {"image": IMAGE, "report": WORDS}, "background": None, "baseline": "mean"},
        ["'report'", "mean", "'mask_token'"],
        id="mean of texts",
    ),
    pytest.param(
        lambda: {
            "model": of_text,
            "inputs": {"image": IMAGE, "report": WORDS},
            "background": None,
            "baseline": {"image": "zeros", "report": "zeros"},
        },
        ["'report'", "0", "'mask_token'"],
        id="zero for a word",
    ),
    pytest.param(
        lambda: {"model": of_table, "inputs": both(lab=TABLE), "background": None, "baseline": "zeros"},
        ["'lab'", "'sex'", "0 is no value", "'mode'"],
        id="zero for a category",
    ),
    pytest.param(
        lambda: {"background": OTHERS | {"image": OTHERS["image"][:, :4]}},
        ["'image'", "(8, 8)", "(4, 8)"],
        id="background of another shape",
    ),
    pytest.param(
        lambda: {"background": OTHERS | {"lab": OTHERS["lab"].astype(np.float32)}},
        ["'lab'", "float64", "float32"],
        id="background of another type",
    ),
    pytest.param(
        lambda: {
            "model": of_table,
            "inputs": both(lab=TABLE),
            "background": both(lab=TABLE.assign(sex=pd.Categorical(list("fmxfmx")))),
        },
        ["'lab'", "'sex'", "category (f, m, x)", "category (f, m)"],
        id="background with other categories",
    ),
    pytest.param(
        lambda: {"model": of_table, "inputs": both(lab=TABLE), "background": both(lab=TABLE[["crp", "age", "sex"]])},
        ["'lab'", "'crp', 'age'", "'age', 'crp'"],
        id="background with columns in another order",
    ),
    # 9: too many modalities, and one
    pytest.param(
        lambda: {
            "model": lambda **tables: sum(tables.values())[:, 0],
            "inputs": {f"m{i}": LAB for i in range(13)},
            "background": None,
            "task": "regression",
            "measures": [ml.Shapley()],
        },
        ["at most 12", "13 were given", "8,192", "Occlusion"],
        id="more coalitions than can be run",
    ),
    pytest.param(
        lambda: {
            "model": lambda lab: model(IMAGE[:1], lab),
            "inputs": {"lab": LAB},
            "background": None,
            "measures": [ml.InterSHAP()],
        },
        ["at least two", "'lab'", "Occlusion"],
        id="one modality",
    ),
    pytest.param(
        lambda: {"measures": [ml.Interactions(order=3)]},
        ["order=3", "2 modalities"],
        id="order above the number of modalities",
    ),
    pytest.param(lambda: {"batch_size": 0}, ["batch_size=0", "at least 1"], id="no rows a batch"),
    pytest.param(lambda: {"batch_size": 2.5}, ["batch_size=2.5", "whole number"], id="half a row a batch"),
    pytest.param(
        lambda: {"baseline": ml.Background(rows=3).__class__, "measures": [ml.Occlusion]},
        ["baseline", "not known"],
        id="class of a baseline",
    ),
    pytest.param(lambda: {"measures": [ml.Occlusion]}, ["Occlusion", "brackets"], id="class of a measure"),
    pytest.param(lambda: {"measures": []}, ["empty list", "ml.Occlusion()"], id="no measures"),
    pytest.param(lambda: {"measures": "occlusion"}, ["'occlusion'", "ml.Occlusion()"], id="measure as a word"),
    pytest.param(
        lambda: {"measures": [ml.Occlusion(), ml.Occlusion(reading="mean_of_ratios")]},
        ["'occlusion'", "twice", "name="],
        id="two of a measure",
    ),
    pytest.param(
        lambda: {"measures": [ml.Occlusion(name="save")]},
        ["'save'", "attribute"],
        id="name that the explanation has itself",
    ),
    pytest.param(lambda: {"confidence": 95}, ["confidence=95", "between 0 and 1"], id="confidence in percent"),
    pytest.param(lambda: {"seed": "today"}, ["seed='today'", "whole number"], id="seed as a word"),
    # 12: texts in which nothing can be masked
    pytest.param(
        lambda: {"model": of_text, "inputs": {"image": IMAGE, "report": [*WORDS[:5], "  "]}, "background": None},
        ["'report'", "no words", "sample 5"],
        id="empty text",
    ),
    pytest.param(
        lambda: ids_model(np.where(np.arange(SAMPLES)[:, None] == 4, 0, IDS)),
        ["'report'", "no words", "sample 4"],
        id="token ids that are all padding",
    ),
    # 14: scores that need both classes
    pytest.param(
        lambda: {"labels": [1] * SAMPLES, "measures": [ml.Reliance()]},
        ["AUC", "two classes", "'accuracy'"],
        id="one class for an AUC",
    ),
    pytest.param(lambda: {"measures": [ml.Reliance()]}, ["labels", "none were given"], id="no labels for a score"),
    # 15: devices and types
    pytest.param(
        lambda: {
            "inputs": {"image": torch.from_numpy(IMAGE).float(), "lab": torch.zeros(SAMPLES, 3, device="meta")},
            "background": None,
        },
        ["devices", "'lab' meta", "'image' cpu", ".to(...)"],
        id="mixed devices",
    ),
    pytest.param(
        lambda: {
            "inputs": {"image": torch.from_numpy(IMAGE), "lab": torch.from_numpy(LAB).float()},
            "background": None,
        },
        ["types", "'lab' torch.float32", "'image' torch.float64"],
        id="mixed types of tensors",
    ),
    pytest.param(
        lambda: {
            "model": Needy(),
            "inputs": {"image": torch.from_numpy(IMAGE), "lab": torch.from_numpy(LAB)},
            "background": None,
        },
        ["'image'", "torch.float64", "torch.float32"],
        id="tensors of another type than the model",
    ),
    pytest.param(
        lambda: {
            "model": Needy().to("meta"),
            "inputs": {"image": torch.from_numpy(IMAGE).float(), "lab": torch.from_numpy(LAB).float()},
            "background": None,
        },
        ["'image'", "on cpu", "on meta"],
        id="tensors on another device than the model",
    ),
]


@pytest.mark.parametrize(("arguments", "says"), REFUSED)
def test_refused_with_a_message_to_act_on(arguments: Callable[[], dict[str, Any]], says: list[str]) -> None:
    given = {
        "model": model,
        "inputs": both(),
        "background": OTHERS,
        "measures": [ml.Occlusion(), ml.Shapley()],
    } | arguments()
    with pytest.raises(ml.InputError) as refused:
        ml.explain(**given)
    message = str(refused.value)
    assert [words for words in says if words not in message] == [], message
    assert REMEDY.search(message), f"no remedy in: {message}"


@pytest.mark.parametrize("verb", [ml.explain, ml.plan])
def test_unknown_keywords_are_refused(verb: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=f"{verb.__name__}.*'measure'"):
        verb(model, both(), measure=[ml.Occlusion()])


def test_the_plan_says_which_keyword_was_meant() -> None:
    with pytest.raises(TypeError, match="did you mean 'measures'"):
        ml.plan(model, both(), measure=[ml.Occlusion()])


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (lambda: ml.Text(unit="token"), "tokenizer"),
        (lambda: ml.Tabular(parts=0), "at least 1"),
        (lambda: ml.Series(by="hour"), "'window'"),
        (lambda: ml.Text(unit="paragraph"), "'sentence'"),
        (lambda: ml.Series(window=0), "at least 1"),
    ],
)
def test_modalities_refuse_settings_that_mean_nothing(kind: Callable[[], ml.Modality], says: str) -> None:
    with pytest.raises(ml.InputError, match=says):
        kind()


@pytest.mark.parametrize("rows", [0, -1])
def test_background_needs_rows(rows: int) -> None:
    with pytest.raises(ml.InputError, match="at least 1 row"):
        ml.Background(rows=rows)


def test_load_refuses_what_is_no_explanation(tmp_path: Any) -> None:
    with pytest.raises(ml.InputError, match="there is no file"):
        ml.load(tmp_path / "absent.nc")
    (tmp_path / "notes.nc").write_text("not an explanation")
    with pytest.raises(ml.InputError, match="not a saved explanation"):
        ml.load(tmp_path / "notes.nc")
    pd.Series([1.0]).to_xarray().to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(ml.InputError, match="not a saved explanation"):
        ml.load(tmp_path / "other.nc")


def test_save_refuses_where_it_can_not_write(tmp_path: Any) -> None:
    explanation = ml.explain(model, both(), measures=[ml.Occlusion()], background=OTHERS)
    with pytest.raises(ml.InputError, match="can't be written"):
        explanation.save(tmp_path / "no" / "such" / "folder.nc")


def test_a_wrong_attribute_says_what_there_is() -> None:
    explanation = ml.explain(model, both(), measures=[ml.Occlusion()], background=OTHERS)
    with pytest.raises(AttributeError, match="'occlusion'"):
        explanation.shapley
    with pytest.raises(AttributeError, match="'contribution'"):
        explanation.occlusion.contributions


@pytest.mark.parametrize(
    ("measure", "names"),
    [
        (ml.Occlusion(), ["contribution", "anchor", "by_output"]),
        (ml.Shapley(), ["contribution", "by_output"]),
        (ml.InterSHAP(), ["score", "local"]),
    ],
    ids=lambda one: getattr(one, "default_name", ""),
)
def test_a_model_that_never_changes_gives_nan_with_a_reason(measure: ml.Measure, names: list[str]) -> None:
    found = ml.explain(lambda image, lab: np.full(len(lab), 0.3), both(), measures=[measure], background=OTHERS)[
        measure.key
    ]
    for name in names:
        assert found.arrays[name].isnull().all(), name
        assert "0 / 0" in found.reasons[name]


def test_too_few_samples_give_no_interval_and_the_reason() -> None:
    found = ml.explain(
        model, {"image": IMAGE[:4], "lab": LAB[:4]}, measures=[ml.Occlusion()], background=OTHERS
    ).occlusion
    assert found.contribution.notnull().all()
    assert found.interval["contribution"].isnull().all()
    assert "too few" in found.reasons["interval"]


def test_the_same_labels_in_another_order_are_another_order() -> None:
    random = np.random.default_rng(0)
    a = pd.DataFrame(random.normal(size=(8, 2)), columns=["g", "h"])
    b = pd.DataFrame(random.normal(size=(8, 1)), columns=["k"]).iloc[::-1]

    def both(a: pd.DataFrame, b: pd.DataFrame) -> np.ndarray:
        return a["g"].to_numpy() + b["k"].to_numpy()

    with pytest.raises(ml.InputError, match=r"'a' and 'b': their row labels differ .*b\.loc\[a\.index\]"):
        ml.explain(both, {"a": a, "b": b}, baseline="zeros", output="raw")
    with pytest.raises(ml.InputError, match="'b' and 'labels': their row labels differ"):
        ml.explain(both, {"b": a, "a": a}, labels=pd.Series(range(8))[::-1], baseline="zeros", output="raw")
    ml.explain(both, {"a": a, "b": b.reset_index(drop=True)}, baseline="zeros", output="raw", progress=False)


def test_two_links_are_said() -> None:
    random = np.random.default_rng(0)
    inputs = {"a": random.normal(size=(20, 1)), "b": random.normal(size=(20, 1))}

    def probability(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-a[:, 0] - b[:, 0]))

    with pytest.warns(ml.ModalensWarning, match="link='sigmoid' takes them for logits"):
        ml.explain(probability, inputs, background=inputs, link="sigmoid", measures=[ml.Occlusion()])


def test_a_background_of_another_scale_is_said() -> None:
    random = np.random.default_rng(0)
    draw = lambda scale: {"a": scale * random.normal(size=(20, 1)), "b": random.normal(size=(20, 1))}  # noqa: E731
    with pytest.warns(
        ml.ModalensWarning, match="'a': .*of the explained patients lie outside the range of the background"
    ):
        ml.explain(
            lambda a, b: a[:, 0] + b[:, 0], draw(1000), background=draw(1), output="raw", measures=[ml.Occlusion()]
        )


@pytest.mark.parametrize("forward", ["x", lambda model: model])
def test_a_forward_takes_the_model_and_its_inputs(forward: Any) -> None:
    with pytest.raises(ml.InputError, match="lambda model, inputs: model"):
        ml.explain(lambda a: a[:, 0], {"a": np.ones((3, 1))}, forward=forward, output="raw")
