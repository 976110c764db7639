"""The models of `fusions`, each with patients and with where its modalities must be found to meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import fusions
import numpy as np
import torch
from torch import Tensor, nn

WORDS = 7

Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """What one modality hands to the head: the shapes of its tensors without the patient's axis, and whose weights
    they depend on.
    """

    widths: tuple[Shape, ...]
    weights: tuple[str, ...] = ()
    """The submodules and parameters of the encoder; none where it has nothing to learn."""

    empty: bool = False
    """Whether nothing at all happens to the modality before it meets the others."""


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A model, patients for it, and what must be found."""

    build: type[nn.Module]
    words: str
    expected: Mapping[str, Crossing]
    """By modality, in the order of the inputs."""

    head: tuple[str, ...] = ("head",)
    """The submodules that lie behind the fusion point."""

    select: str | None = None
    encoders: Mapping[str, str] | None = None
    """The submodules to be named, where the model can't be exported."""

    dtype: Any = np.float32

    @property
    def fusion(self) -> str:
        """What fusion it is, in words."""
        return " ".join(str(self.build.__doc__).split())

    @property
    def tolerance(self) -> float:
        """How far two ways to the same output may lie apart, as a share of its scale."""
        return 1e-12 if self.dtype is np.float64 else 1e-5

    def model(self, seed: int = 0) -> nn.Module:
        """The model with random weights, in training mode as it is built."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.build()

    def inputs(self, patients: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Drawn patients: floating values in the model's type, words as int64."""
        generator = np.random.default_rng(seed)
        drawn = {name: FORMS[name](generator, patients) for name in self.expected}
        return {
            name: values.astype(self.dtype) if values.dtype.kind == "f" else values for name, values in drawn.items()
        }

    def output(self, model: nn.Module, inputs: Mapping[str, np.ndarray]) -> Tensor:
        """What counts of the whole model's output, in evaluation mode."""
        with torch.no_grad():
            return self.selected(model.eval()(**{name: torch.from_numpy(values) for name, values in inputs.items()}))

    def selected(self, output: Any) -> Tensor:
        return output if self.select is None else output[self.select]


def _normal(*shape: int) -> Draw:
    return lambda generator, patients: generator.normal(size=(patients, *shape))


def _words(generator: np.random.Generator, patients: int) -> np.ndarray:
    """Reports of two to seven words, padded at their end."""
    words = generator.integers(fusions.PADDING + 1, fusions.VOCABULARY, size=(patients, WORDS))
    lengths = generator.integers(2, WORDS + 1, size=patients)
    return np.where(np.arange(WORDS) < lengths[:, None], words, fusions.PADDING)


FORMS: dict[str, Draw] = {
    **dict.fromkeys(("ct", "pet", "xray", "before", "after"), _normal(1, 8, 8)),
    "slices": _normal(3, 8, 8),
    "mri": _normal(1, 6, 6, 6),
    "vitals": _normal(10, 3),
    "labs": _normal(5),
    "history": _normal(4),
    "report": _words,
}
"""One patient's form of every modality."""


def _vector(width: int, *weights: str) -> Crossing:
    return Crossing(widths=((width,),), weights=weights)


AS_IT_IS = Crossing(widths=((5,),), empty=True)
IMAGE_AND_TABLE = {"ct": _vector(8, "image"), "labs": _vector(4, "table")}
EIGHT_AND_EIGHT = {"ct": _vector(8, "image"), "labs": _vector(8, "table")}

ZOO: dict[str, Specimen] = {
    "concatenation": Specimen(
        build=fusions.Concatenation, words="the features before they are joined", expected=IMAGE_AND_TABLE
    ),
    "sum": Specimen(build=fusions.Summation, words="the features before they are added", expected=EIGHT_AND_EIGHT),
    "in_place": Specimen(
        build=fusions.InPlace,
        words="the features before the sum overwrites them, so that they can be kept",
        expected=EIGHT_AND_EIGHT,
    ),
    "gated": Specimen(
        build=fusions.Gated,
        words="the features, which both the gate and the sum read; the gate is the head's",
        expected=EIGHT_AND_EIGHT,
        head=("gate", "head"),
    ),
    "bilinear": Specimen(
        build=fusions.Bilinear,
        words="the two factors",
        expected={"ct": _vector(8, "image"), "labs": _vector(5, "table")},
        head=("fusion",),
    ),
    "tensor": Specimen(
        build=fusions.TensorFusion,
        words="the factors of the outer product, each with its one, although the ones are counted off the first modality",
        expected={"ct": _vector(5, "image"), "labs": _vector(4, "table"), "vitals": _vector(3, "series")},
    ),
    "film": Specimen(
        build=fusions.Modulation,
        words="the feature maps; of the table, the scales and the shifts",
        expected={
            "ct": Crossing(widths=((4, 8, 8),), weights=("stem",)),
            "labs": Crossing(widths=((4, 1, 1), (4, 1, 1)), weights=("film",)),
        },
    ),
    "cross_attention": Specimen(
        build=fusions.CrossAttention,
        words="the words' queries, and the patches' keys and values, by attention head",
        expected={
            "ct": Crossing(widths=((2, 16, 4), (2, 16, 4)), weights=("patches", "attention.in_proj")),
            "report": Crossing(widths=((2, 7, 4),), weights=("words", "attention.in_proj")),
        },
        head=("attention.out_proj", "head"),
    ),
    "cross_attention_weights": Specimen(
        build=fusions.CrossAttentionWithWeights,
        words="patches as queries, words as keys and values, and which words are padding",
        expected={
            "ct": Crossing(widths=((16, 8),), weights=("patches", "attention.in_proj")),
            "report": Crossing(widths=((7, 8), (7, 8), (1, 1, 7)), weights=("words", "attention.in_proj")),
        },
        head=("attention.out_proj", "head"),
    ),
    "siamese": Specimen(
        build=fusions.Siamese,
        words="the features of each image; both encoders are the same one",
        expected={"before": _vector(8, "encoder"), "after": _vector(8, "encoder")},
    ),
    "early": Specimen(
        build=fusions.EarlyFusion,
        words="the inputs themselves, the image as one row",
        expected={"ct": Crossing(widths=((64,),)), "labs": AS_IT_IS},
    ),
    "channels": Specimen(
        build=fusions.StackedChannels,
        words="the inputs themselves",
        expected=dict.fromkeys(("ct", "pet"), Crossing(widths=((1, 8, 8),), empty=True)),
    ),
    "bert": Specimen(
        build=fusions.Bert,
        words="the class token and the image's features",
        expected={"xray": _vector(8, "image"), "report": _vector(16, "bert")},
    ),
    "volume": Specimen(
        build=fusions.VolumeAndTable,
        words="the volume's features, and the table as it is",
        expected={"mri": _vector(8, "volume"), "labs": AS_IT_IS},
    ),
    "slices": Specimen(
        build=fusions.Slices,
        words="the features pooled over slices; before that, patients and slices share an axis",
        expected={"slices": _vector(8, "slice"), "labs": _vector(8, "table")},
    ),
    "batch_norm": Specimen(
        build=fusions.BatchNorm,
        words="the features before they are joined",
        expected={"ct": _vector(8, "image"), "labs": _vector(8, "table")},
    ),
    "dropout": Specimen(
        build=fusions.Dropout, words="the features; dropout does nothing in evaluation mode", expected=EIGHT_AND_EIGHT
    ),
    "gru": Specimen(
        build=fusions.Series,
        words="the last state, and the table's features",
        expected={"vitals": _vector(8, "series"), "labs": _vector(8, "table")},
    ),
    "sequence_first": Specimen(
        build=fusions.SequenceFirst,
        words="the mean over time, and the table's features",
        expected={"vitals": _vector(8, "steps", "series"), "labs": _vector(8, "table")},
    ),
    "transformer": Specimen(
        build=fusions.Report,
        words="the mean over words, and the table's features",
        expected={"report": _vector(8, "words", "report"), "labs": _vector(8, "table")},
    ),
    "ignored": Specimen(
        build=fusions.Ignored,
        words="the features of two modalities, nothing of the third",
        expected={
            "ct": _vector(8, "image"),
            "history": Crossing(widths=(), empty=True),
            "labs": _vector(8, "table"),
        },
    ),
    "late": Specimen(
        build=fusions.LateFusion,
        words="the logits of each modality; the head is their sum",
        expected={"ct": _vector(3, "image"), "labs": _vector(3, "table"), "vitals": _vector(3, "series")},
        head=(),
    ),
    "modality_tokens": Specimen(
        build=fusions.ModalityTokens,
        words="a token of each modality; the class token is the head's",
        expected={"ct": _vector(8, "image"), "labs": _vector(8, "table"), "vitals": _vector(8, "series")},
        head=("token", "fusion", "head"),
    ),
    "hierarchy": Specimen(
        build=fusions.Hierarchy,
        words="the features of all three, although two of them meet first",
        expected={"ct": _vector(8, "ct"), "pet": _vector(8, "pet"), "labs": _vector(4, "table")},
        head=("images", "head"),
    ),
    "residual": Specimen(
        build=fusions.Residual,
        words="the features, and the table as it is beside its own",
        expected={"ct": _vector(8, "image"), "labs": Crossing(widths=((5,), (4,)), weights=("table",))},
        head=("fusion", "head"),
    ),
    "similarity": Specimen(
        build=fusions.Similarity,
        words="the two embeddings, of length one",
        expected={"xray": _vector(8, "image"), "report": _vector(8, "words")},
        head=("scale",),
    ),
    "dict_output": Specimen(
        build=fusions.DictOutput, words="as in concatenation", expected=IMAGE_AND_TABLE, select="logits"
    ),
    "model_output": Specimen(
        build=fusions.ModelOutput, words="as in concatenation", expected=IMAGE_AND_TABLE, select="logits"
    ),
    "keyword_only": Specimen(build=fusions.KeywordOnly, words="as in concatenation", expected=IMAGE_AND_TABLE),
    "other_order": Specimen(build=fusions.OtherOrder, words="as in concatenation", expected=IMAGE_AND_TABLE),
    "any_keyword": Specimen(build=fusions.AnyKeyword, words="as in concatenation", expected=IMAGE_AND_TABLE),
    "float64": Specimen(
        build=fusions.Double,
        words="as in gated fusion",
        expected=EIGHT_AND_EIGHT,
        head=("gate", "head"),
        dtype=np.float64,
    ),
    "routed": Specimen(
        build=fusions.Routed,
        words="nothing is found, since Python decides in the head; the encoders are named",
        expected=IMAGE_AND_TABLE,
        head=("experts",),
        encoders={"ct": "image", "labs": "table"},
    ),
}
