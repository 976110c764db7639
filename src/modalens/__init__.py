"""modalens: what a multimodal model looks at, whether it combines its modalities, and how sure one can be."""

from typing import TYPE_CHECKING, Any

from modalens.baselines import (
    Background,
    Baseline,
    Blur,
    Conditional,
    Constant,
    MaskToken,
    Mean,
    Mode,
    Removed,
    SampleMean,
    Zeros,
)
from modalens.errors import InputError, ModalensWarning
from modalens.explanation import Explanation, compare, load
from modalens.inspection import fusion_point
from modalens.measures import FusionGradient, Interactions, InterSHAP, Measure, Occlusion, Reliance, Result, Shapley
from modalens.modalities import Bag, Image, Modality, Series, Tabular, Text, Vector, Volume
from modalens.pipeline import explain, plan
from modalens.sensitivity import sensitivity, sweep

if TYPE_CHECKING:
    from modalens.models.fusion import FusionPoint

__all__ = [
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
    "MaskToken",
    "Mean",
    "Measure",
    "ModalensWarning",
    "Modality",
    "Mode",
    "Occlusion",
    "Reliance",
    "Removed",
    "Result",
    "SampleMean",
    "Series",
    "Shapley",
    "Tabular",
    "Text",
    "Vector",
    "Volume",
    "Zeros",
    "compare",
    "explain",
    "fusion_point",
    "load",
    "plan",
    "sensitivity",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """FusionPoint when it is asked for: it is made of torch modules, which those who have none need not wait for."""
    if name == "FusionPoint":
        from modalens.models.fusion import FusionPoint

        return FusionPoint
    raise AttributeError(f"module 'modalens' has no attribute {name!r}")
