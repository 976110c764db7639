"""Evaluation mode, for as long as it is needed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


def with_own_containers(own: nn.Module) -> nn.Module:
    """A copy of a module whose lists and dicts are its own too, so that a forward that keeps things in them leaves those
    of the original alone; what several submodules share, they go on sharing.
    """
    copied: dict[int, Any] = {}
    for one in own.modules():
        for name, value in vars(one).items():
            if type(value) in (list, dict) and not name.startswith("_"):
                vars(one)[name] = copied.setdefault(id(value), value.copy())
    return own
