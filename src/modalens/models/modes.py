"""Evaluation mode, for as long as it is needed."""

from __future__ import annotations

import copy
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


def evaluation_copy(module: nn.Module) -> nn.Module:
    """The module in evaluation mode for good, whatever is done to the original; parameters and buffers are the same."""
    own = copy.copy(module)
    own.training = False
    own._modules = {name: None if one is None else evaluation_copy(one) for name, one in module._modules.items()}
    return own
