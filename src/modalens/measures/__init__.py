"""One file a published measure: what it needs, and how values become scores. Pure arithmetic, without models."""

from modalens.measures.base import Measure
from modalens.measures.emap import EMAP
from modalens.measures.fusion_gradient import FusionGradient
from modalens.measures.interactions import Interactions
from modalens.measures.intershap import InterSHAP
from modalens.measures.lime import LIME
from modalens.measures.mm_shap import MMSHAP
from modalens.measures.occlusion import Occlusion
from modalens.measures.part_shapley import PartShapley
from modalens.measures.perceptual_score import PerceptualScore
from modalens.measures.reliance import Reliance
from modalens.measures.result import Result
from modalens.measures.shape import SHAPE
from modalens.measures.shapley import Shapley

__all__ = [
    "EMAP",
    "LIME",
    "MMSHAP",
    "SHAPE",
    "FusionGradient",
    "InterSHAP",
    "Interactions",
    "Measure",
    "Occlusion",
    "PartShapley",
    "PerceptualScore",
    "Reliance",
    "Result",
    "Shapley",
]
