"""Models that can know nothing: weights drawn anew, or trained on labels that were shuffled."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from modalens.errors import InputError


def with_random_weights(module: Any, seed: int) -> Any:
    """A copy of a torch module whose parameters are drawn anew: by `reset_parameters` where a submodule has it, else
    its values in another order. The module stays as it is.

    Raises InputError where it can't be copied.
    """
    try:
        drawn = copy.deepcopy(module)
    except Exception as error:
        raise InputError(
            f"the model {type(module).__name__} can't be copied, to draw the weights of the copy anew ({error}): randomised=False leaves this check out."
        ) from error
    draw_anew(list(drawn.modules()), seed)
    return drawn


def draw_anew(modules: Sequence[Any], seed: int) -> None:
    """Draw the weights of torch modules anew, in place: by `reset_parameters` where one has it, else its own values in another
    order. torch's own random state stays as it is.
    """
    import torch

    done: set[int] = set()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for one in modules:
            reset = getattr(one, "reset_parameters", None) or getattr(one, "_reset_parameters", None)
            if callable(reset):
                reset()
                done |= {id(parameter) for parameter in one.parameters(recurse=False)}
        for parameter in (own for one in modules for own in one.parameters(recurse=False)):
            if id(parameter) not in done:
                done.add(id(parameter))
                order = torch.randperm(parameter.numel()).to(parameter.device)
                parameter.copy_(parameter.reshape(-1)[order].reshape(parameter.shape))


def shuffled(count: int, seed: int) -> np.ndarray:
    """The positions of labels in an order that has nothing to do with the patients."""
    return np.random.default_rng(np.random.SeedSequence((seed, 5))).permutation(count)
