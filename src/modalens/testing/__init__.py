"""Conformance checks for other people's models: what stands in the way of an explanation, before any long run."""

from modalens.testing.model import check_model
from modalens.testing.result import Finding, ModelCheck

__all__ = ["Finding", "ModelCheck", "check_model"]
