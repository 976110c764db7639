"""modalens: what a multimodal model looks at, whether it combines its modalities, and how sure one can be."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from modalens.baselines import (
    Background,
    Baseline,
    Blur,
    Conditional,
    Constant,
    MaskToken,
    Mean,
    Missing,
    Mode,
    Removed,
    SampleMean,
    Zeros,
)
from modalens.batches import from_batches
from modalens.errors import InputError, ModalensWarning
from modalens.explanation import Explanation, compare, load
from modalens.inspection import fusion_point
from modalens.measures import (
    EMAP,
    LIME,
    MMSHAP,
    SHAPE,
    FusionGradient,
    Interactions,
    InterSHAP,
    Measure,
    Occlusion,
    PartShapley,
    PerceptualScore,
    Reliance,
    Result,
    Shapley,
)
from modalens.modalities import Bag, Image, Modality, Series, Tabular, Text, Vector, Volume
from modalens.pipeline import explain, plan
from modalens.planting import Marker, Planting, plant
from modalens.sensitivity import sensitivity, sweep
from modalens.testing import ModelCheck, check_model
from modalens.usefulness import Usefulness, usefulness

if TYPE_CHECKING:
    from modalens.alignment import Audit, audit
    from modalens.models.answers import Answers
    from modalens.models.fusion import FusionPoint
    from modalens.validation import Leaderboard, validate

__all__ = [
    "EMAP",
    "LIME",
    "MMSHAP",
    "SHAPE",
    "Answers",
    "Audit",
    "Background",
    "Bag",
    "Baseline",
    "Blur",
    "Conditional",
    "Constant",
    "Explanation",
    "FusionGradient",
    "FusionPoint",
    "Image",
    "InputError",
    "InterSHAP",
    "Interactions",
    "Leaderboard",
    "Marker",
    "MaskToken",
    "Mean",
    "Measure",
    "Missing",
    "ModalensWarning",
    "Modality",
    "Mode",
    "ModelCheck",
    "Occlusion",
    "PartShapley",
    "PerceptualScore",
    "Planting",
    "Reliance",
    "Removed",
    "Result",
    "SampleMean",
    "Series",
    "Shapley",
    "Tabular",
    "Text",
    "Usefulness",
    "Vector",
    "Volume",
    "Zeros",
    "audit",
    "check_model",
    "compare",
    "explain",
    "from_batches",
    "fusion_point",
    "load",
    "plan",
    "plant",
    "sensitivity",
    "sweep",
    "usefulness",
    "validate",
]


_LATER = {
    "Answers": "modalens.models.answers",
    "Audit": "modalens.alignment",
    "FusionPoint": "modalens.models.fusion",
    "Leaderboard": "modalens.validation",
    "audit": "modalens.alignment",
    "validate": "modalens.validation",
}
"""What needs torch, which those who have none need not wait for."""


def __getattr__(name: str) -> Any:
    """What takes long to import, when it is asked for."""
    if name in ("alignment", "validation"):
        return import_module(f"modalens.{name}")
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'modalens' has no attribute {name!r}")
