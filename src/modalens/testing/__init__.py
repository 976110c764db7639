"""Conformance checks for other people's models and measures: what stands in the way, before any long run."""

from modalens.testing.measure import check_measure
from modalens.testing.model import check_model
from modalens.testing.result import Finding, MeasureCheck, ModelCheck

__all__ = ["Finding", "MeasureCheck", "ModelCheck", "check_measure", "check_model"]
