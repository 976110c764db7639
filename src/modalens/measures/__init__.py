"""One file a published measure: what it needs, and how values become scores. Pure arithmetic, without models."""

from modalens.measures.base import Measure
from modalens.measures.fusion_gradient import FusionGradient
from modalens.measures.interactions import Interactions
from modalens.measures.intershap import InterSHAP
from modalens.measures.occlusion import Occlusion
from modalens.measures.reliance import Reliance
from modalens.measures.result import Result
from modalens.measures.shapley import Shapley

__all__ = ["FusionGradient", "InterSHAP", "Interactions", "Measure", "Occlusion", "Reliance", "Result", "Shapley"]
