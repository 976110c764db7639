"""Adapters: a torch module, a scikit-learn estimator or any callable becomes one `Model`; a readout turns its output
into named numbers.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from modalens.errors import InputError
from modalens.models.base import FunctionModel, Model, output_of
from modalens.models.readout import Readout, read

__all__ = ["FunctionModel", "Model", "Readout", "adapt", "output_of", "read"]


def adapt(model: Any) -> Model:
    """The model behind one interface. Raises InputError for what can't be called."""
    if isinstance(model, Model):
        return model
    if inspect.isclass(model):
        raise InputError(
            f"the model is the class {model.__name__}, not an object of it: give {model.__name__}(...), trained."
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from modalens.models.torch_module import TorchModel

        return TorchModel(model)
    if "sklearn.base" in sys.modules:
        from modalens.models.estimator import EstimatorModel, is_estimator

        if is_estimator(model):
            return EstimatorModel(model)
    if not callable(model):
        raise InputError(
            f"the model is a {type(model).__name__}, which can't be called: expected a torch module, a scikit-learn estimator, or a function of the modalities by keyword; "
            "load it, or wrap it in such a function."
        )
    return FunctionModel(model)
