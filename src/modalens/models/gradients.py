"""Gradients of the outputs with respect to what crosses the fusion point, through the head alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modalens.errors import InputError
from modalens.models.cached import Cached
from modalens.models.readout import TINY, Readout, Selector, selected
from modalens.models.split import Arrays


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """Outputs (row, output), and their gradients by modality: a tensor (output, row, features) for what crosses."""

    outputs: Tensor
    by_modality: Mapping[str, Tensor]


def flat(encoding: Arrays) -> Tensor:
    """The features of an encoding, (row, features): of all its tensors of real numbers."""
    found = [one.reshape(len(one), -1) for one in encoding if one.is_floating_point()]
    if not found:
        return torch.zeros((len(encoding[0]), 0))
    return torch.cat(found, dim=1) if len(found) > 1 else found[0]


def gradient(
    split: Cached, readout: Readout, select: Selector, encodings: Mapping[str, Arrays], space: str
) -> Gradient:
    """The gradients of every output in this space, at these encodings. Tensors of whole numbers and truth values are
    held as they are.
    """
    with torch.enable_grad():
        leaves = {
            name: tuple(one.detach().requires_grad_(one.is_floating_point()) for one in tensors)
            for name, tensors in encodings.items()
        }
        outputs = in_space(selected(split.head(leaves), select), readout, space)
        moved = [one for tensors in leaves.values() for one in tensors if one.requires_grad]
        if not outputs.requires_grad:
            raise InputError(
                "FusionGradient: the model's output has no gradient (it is computed with torch.no_grad, through NumPy, or is a whole number); "
                "use Shapley or Occlusion, which need none."
            )
        found = [
            torch.autograd.grad(
                outputs[:, output].sum(), moved, retain_graph=output < outputs.shape[1] - 1, allow_unused=True
            )
            for output in range(outputs.shape[1])
        ]
    by_modality = {}
    place = 0
    for name, tensors in leaves.items():
        own = [one for one in tensors if one.requires_grad]
        pieces = [
            torch.stack(
                [torch.zeros_like(one) if (each := grads[place + offset]) is None else each for grads in found]
            ).reshape(len(found), len(outputs), -1)
            for offset, one in enumerate(own)
        ]
        place += len(own)
        rows = len(outputs)
        by_modality[name] = torch.cat(pieces, dim=2) if pieces else outputs.new_zeros((outputs.shape[1], rows, 0))
    return Gradient(outputs=outputs.detach(), by_modality=by_modality)


def in_space(output: Tensor, readout: Readout, space: str) -> Tensor:
    """What `Readout` makes of raw outputs, for tensors that carry gradients: (row, output)."""
    raw = output.reshape(len(output), -1)
    if readout.custom is not None:
        raise InputError(
            "FusionGradient can't differentiate output=<a function>, which works on NumPy arrays: give output='probability', 'logit' or 'raw'."
        )
    if space == "raw":
        return raw
    logits = _logits(raw, readout)
    if space == "logit":
        return logits
    if readout.link == "softmax":
        return torch.softmax(raw, dim=1)
    if readout.link == "sigmoid":
        return torch.sigmoid(raw if readout.task == "multilabel" else torch.cat([-raw, raw], dim=1))
    return raw if readout.task == "multilabel" or raw.shape[1] > 1 else torch.cat([1 - raw, raw], dim=1)


def _logits(raw: Tensor, readout: Readout) -> Tensor:
    """Log-odds, log p_c - mean log p; of each label by itself where there are several."""
    if readout.link == "softmax":
        return raw - raw.mean(dim=1, keepdim=True)
    if readout.link == "sigmoid":
        return raw if readout.task == "multilabel" else torch.cat([-raw, raw], dim=1) / 2
    clipped = raw.clamp(TINY, 1 - TINY)
    if readout.task == "multilabel":
        return clipped.log() - (-clipped).log1p()
    both = torch.cat([1 - raw, raw], dim=1) if raw.shape[1] == 1 else raw
    logs = both.clamp(TINY, 1 - TINY).log()
    return logs - logs.mean(dim=1, keepdim=True)


def between(start: Mapping[str, Arrays], end: Mapping[str, Arrays], position: Tensor) -> dict[str, Arrays]:
    """The points start + position (end - start), row by row; what is no real number stays the end's."""
    return {
        name: tuple(
            torch.lerp(begins, ends, position.to(ends.dtype).reshape(-1, *[1] * (ends.dim() - 1)))
            if ends.is_floating_point()
            else ends
            for begins, ends in zip(start[name], end[name], strict=True)
        )
        for name in end
    }


def participation(rows: Tensor) -> tuple[int, float, float]:
    """The number of features, their root mean variance, and their participation ratio (sum of eigenvalues)^2 / sum of
    squared eigenvalues, corrected for what few rows make of independent features.
    """
    count, width = rows.shape
    if width == 0 or count < 2:
        return width, 0.0, float("nan")
    centred = rows.double() - rows.double().mean(dim=0)
    gram = centred @ centred.T / (count - 1) if count <= width else centred.T @ centred / (count - 1)
    trace, squares = float(gram.trace()), float((gram**2).sum())
    freedom = count - 1
    # E tr(S^2) = tr(C^2) (1 + 1/f) + tr(C)^2 / f for normal rows with f degrees of freedom.
    unbiased = (squares - trace**2 / freedom) * freedom**2 / ((freedom - 1) * (freedom + 2)) if freedom > 1 else squares
    spread = float(np.sqrt(trace / width))
    if trace <= 0:
        return width, 0.0, float("nan")
    return width, spread, float(np.clip(trace**2 / max(unbiased, trace**2 / width), 1.0, width))
