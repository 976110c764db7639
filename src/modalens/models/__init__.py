"""Adapters: a torch module, a scikit-learn estimator or any callable becomes one `Model`; a readout turns its output
into named numbers.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from modalens.errors import InputError
from modalens.models.base import FunctionModel, Model, output_of
from modalens.models.calling import BY_KEYWORD, Calling, Collate, Forward
from modalens.models.readout import Readout, read

__all__ = ["Calling", "Collate", "Forward", "FunctionModel", "Model", "Readout", "adapt", "output_of", "read"]


def adapt(model: Any, calling: Calling = BY_KEYWORD) -> Model:
    """The model behind one interface, called as it wants to be. Raises InputError for what can't be called."""
    if isinstance(model, Model):
        return model
    if inspect.isclass(model):
        raise InputError(
            f"the model is the class {model.__name__}, not an object of it: give {model.__name__}(...), trained."
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from modalens.models.torch_module import TorchModel

        return TorchModel(model, calling)
    if "sklearn.base" in sys.modules and calling.forward is None:
        from modalens.models.estimator import EstimatorModel, is_estimator

        if is_estimator(model):
            return EstimatorModel(model)
    if not callable(model) and calling.forward is None:
        raise InputError(
            f"the model is a {type(model).__name__}, which can't be called: expected a torch module, a scikit-learn estimator, or a function of the modalities by keyword; "
            "load it, or wrap it in such a function."
        )
    return FunctionModel(model, calling)
