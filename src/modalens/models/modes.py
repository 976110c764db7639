"""Evaluation mode, for as long as it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode; every submodule gets its own mode back, also after an exception."""
    modes = [(one, one.training) for one in module.modules()]
    try:
        if any(training for _, training in modes):
            module.eval()
        yield
    finally:
        for one, training in modes:
            one.training = training
