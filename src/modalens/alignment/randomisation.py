"""Agreement with boxes is plausibility, not faithfulness: what is left of it when the model's weights are drawn anew.

J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: layer by layer, from the output down.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from modalens.errors import InputError
from modalens.planting.opposites import draw_anew

MOST = 6
"""Most levels: of a deeper network they are spread evenly, and the last is always the whole network."""


def network_of(model: Any, network: nn.Module | None) -> nn.Module | None:
    """The torch module in a model: as given, the model itself, or that whose method the model is; None where none is seen.
    Raises InputError for a network that is no torch module.
    """
    if network is not None and not isinstance(network, nn.Module):
        raise InputError(f"network must be the torch.nn.Module in the model; {type(network).__name__} came.")
    if network is not None:
        return network
    owner = getattr(model, "__self__", model)
    return owner if isinstance(owner, nn.Module) else None


def levels(network: nn.Module) -> list[str]:
    """The submodules from which on weights are drawn anew, from the last (nearest to the output) down to the first, each with
    all that come after it; of many, some.

    >>> levels(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)))
    ['2', '0']
    """
    names = _with_weights(network)[::-1]
    count = min(MOST, len(names))
    return [names[round((place + 1) * len(names) / count) - 1] for place in range(count)]


@contextmanager
def randomised_from(network: nn.Module, level: str, seed: int) -> Iterator[nn.Module]:
    """The network with the weights of a submodule and of all after it drawn anew; afterwards it is as it was, to the bit."""
    names = _with_weights(network)
    before = {name: tensor.detach().clone() for name, tensor in _tensors(network)}
    modules = dict(network.named_modules())
    try:
        draw_anew([modules[name] for name in names[names.index(level) :]], seed)
        yield network
    finally:
        with torch.no_grad():
            for name, tensor in _tensors(network):
                if name in before:  # a buffer may have come while the network ran
                    tensor.copy_(before[name])


def _with_weights(network: nn.Module) -> list[str]:
    """The submodules that have parameters of their own, in the order in which the network names them."""
    return [name for name, module in network.named_modules() if any(True for _ in module.parameters(recurse=False))]


def _tensors(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()
