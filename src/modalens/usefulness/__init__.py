"""What each modality is useful for, told by models that are trained with it and without it."""

from modalens.usefulness.result import Usefulness
from modalens.usefulness.run import needed, usefulness

__all__ = ["Usefulness", "needed", "usefulness"]
