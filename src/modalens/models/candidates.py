"""Which submodules of a torch model look like its encoders: those that are given one modality as it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from modalens.models import rows
from modalens.models.calling import Calling
from modalens.models.fusion import FusionPoint
from modalens.models.modes import evaluation_copy
from modalens.models.named import from_names
from modalens.models.separation import compared


def likely_encoders(model: nn.Module, calling: Calling, few: Mapping[str, Any]) -> dict[str, str]:
    """Modality -> the outermost submodule that is called with its tensors and with no others, in one run of the model
    on a few rows; they may be laid out otherwise (flattened, with a channel axis). A modality that no submodule takes
    for itself has none.

    The user's model is not touched: what listens are hooks on a copy of its tree, which shares all parameters.
    """
    listening = evaluation_copy(model)
    samples = {
        name: [one for one in pytree.tree_leaves(given) if isinstance(one, Tensor)] for name, given in few.items()
    }
    found: dict[str, str] = {}

    def listen(path: str) -> Any:
        def heard(module: nn.Module, args: Any, kwargs: Any) -> None:
            given = [one for one in pytree.tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
            for name, own in samples.items():
                if given and all(any(_holds(one, part) for part in own) for one in given):
                    found.setdefault(name, path)

        return heard

    for path, module in listening.named_modules():
        if path:
            # A copied module shares its hooks with the original until it has its own.
            module._forward_pre_hooks = OrderedDict(module._forward_pre_hooks)
            module._forward_pre_hooks_with_kwargs = OrderedDict(module._forward_pre_hooks_with_kwargs)
            module.register_forward_pre_hook(listen(path), with_kwargs=True)
    calling(listening, {name: rows.copied(given) for name, given in few.items()})
    return {name: found[name] for name in few if name in found}


def tried(model: nn.Module, calling: Calling, few: Mapping[str, Any], encoders: Mapping[str, str]) -> FusionPoint:
    """The fusion point at these submodules, compared with the whole model on a few rows, and not remembered. Raises
    what the model's forward raises on the way.
    """
    return compared(from_names(model, calling, few, encoders), partial(calling, model), few)


def _holds(given: Tensor, part: Tensor) -> bool:
    """Whether a tensor has the numbers of another one, in whatever layout."""
    return (
        given.numel() == part.numel() > 1
        and given.dtype == part.dtype
        and torch.equal(given.detach().reshape(-1), part.reshape(-1))
    )


def children(model: nn.Module) -> tuple[str, ...]:
    """The direct parts of a model that have learned something, in order."""
    return tuple(name for name, child in model.named_children() if any(True for _ in child.parameters()))
