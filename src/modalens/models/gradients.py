"""Gradients of the outputs with respect to what crosses the fusion point, through the head alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modalens.errors import InputError, listed
from modalens.models.cached import Cached, FirstLayerSplit
from modalens.models.readout import TINY, Readout, Selector, selected
from modalens.models.split import Arrays


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """Outputs (row, output), and their gradients by modality: a tensor (output, row, features) for what crosses.

    `unreached` are the tensors, by modality and place, that no output is connected with: the model ignores them, or
    something on the way has no gradient.
    """

    outputs: Tensor
    by_modality: Mapping[str, Tensor]
    unreached: tuple[tuple[str, int], ...] = ()


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
    _require_real(encodings)
    with torch.inference_mode(False), torch.enable_grad():
        leaves = {name: tuple(map(_leaf, tensors)) for name, tensors in encodings.items()}
        outputs = in_space(selected(split.head(leaves), select), readout, space)
        moved = {
            (name, place): one
            for name, tensors in leaves.items()
            for place, one in enumerate(tensors)
            if one.requires_grad
        }
        found = [_gradients(outputs, output, list(moved.values())) for output in range(outputs.shape[1])]
    by_place = {key: [grads[place] for grads in found] for place, key in enumerate(moved)}
    by_modality = {
        name: torch.cat([_stacked(by_place[key], moved[key]) for key in moved if key[0] == name], dim=2)
        for name in leaves
    }
    return Gradient(
        outputs=outputs.detach(),
        by_modality=by_modality,
        unreached=tuple(key for key, grads in by_place.items() if all(one is None for one in grads)),
    )


def has_gradients(split: Cached, readout: Readout, select: Selector, encodings: Mapping[str, Arrays]) -> bool:
    """Whether every modality's features have a gradient here, and it is finite."""
    try:
        found = gradient(split, readout, select, encodings, readout.space)
    except (InputError, RuntimeError):
        return False
    return not found.unreached and all(bool(slope.isfinite().all()) for slope in found.by_modality.values())


def on_lines(
    split: Cached,
    readout: Readout,
    select: Selector,
    start: Mapping[str, Arrays],
    end: Mapping[str, Arrays],
    positions: Tensor,
    space: str,
) -> dict[str, Tensor]:
    """sum_j g_j (end_j - start_j) over each modality's features, with the gradients at all positions of the lines from
    start (one row, or as many as the ends) to the ends: (row, position, output) by modality.
    """
    if isinstance(split, FirstLayerSplit):
        return _on_lines_of_sums(split, readout, select, start, end, positions, space)
    rows, points = len(next(iter(end.values()))[0]), len(positions)
    ends = {name: tuple(one.repeat_interleave(points, 0) for one in tensors) for name, tensors in end.items()}
    starts = {
        name: tuple(
            one.repeat_interleave(points, 0) if len(one) == rows else one.expand(rows * points, *one.shape[1:])
            for one in tensors
        )
        for name, tensors in start.items()
    }
    found = gradient(split, readout, select, between(starts, ends, positions.repeat(rows)), space)
    return {
        name: (slope * (flat(ends[name]) - flat(starts[name]))).sum(2).T.reshape(rows, points, -1)
        for name, slope in found.by_modality.items()
    }


def _on_lines_of_sums(
    split: FirstLayerSplit,
    readout: Readout,
    select: Selector,
    start: Mapping[str, Arrays],
    end: Mapping[str, Arrays],
    positions: Tensor,
    space: str,
) -> dict[str, Tensor]:
    """The same where the head begins with a sum of W_i h_i: the gradient with respect to the sum is all that is needed,
    since sum_j g_j (end_j - start_j) = g_z' W_i (end_i - start_i).
    """
    starts, ends = split.ready(start), split.ready(end)
    names = [name for name, tensors in ends.items() if tensors]
    changes = torch.stack([ends[name][0] - starts[name][0] for name in names], dim=1)  # (row, modality, width)
    begin = torch.stack([starts[name][0] for name in names], dim=1).sum(1)
    points = begin[:, None] + positions.to(begin.dtype)[None, :, None] * changes.sum(1)[:, None]
    with torch.inference_mode(False), torch.enable_grad():
        total = _leaf(points.reshape(-1, points.shape[-1]))
        outputs = in_space(selected(split.first.output(total), select), readout, space)
        slopes = [_gradients(outputs, output, [total])[0] for output in range(outputs.shape[1])]
    found = _stacked(slopes, total).reshape(len(slopes), *points.shape)
    along = torch.einsum("crph,rmh->rpmc", found, changes)
    return {name: along[:, :, place] for place, name in enumerate(names)}


def _leaf(tensor: Tensor) -> Tensor:
    """A tensor that gradients are taken with respect to, if it holds real numbers; a copy where it was made in
    inference mode, which autograd refuses.
    """
    own = tensor.clone() if tensor.is_inference() else tensor.detach()
    return own.requires_grad_(tensor.is_floating_point())


def _gradients(outputs: Tensor, output: int, moved: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Those of one output; None for what it is not connected with."""
    if not outputs.requires_grad:
        return (None,) * len(moved)
    last = output == outputs.shape[1] - 1
    return torch.autograd.grad(outputs[:, output].sum(), moved, retain_graph=not last, allow_unused=True)


def _stacked(grads: list[Tensor | None], of: Tensor) -> Tensor:
    """The gradients of all outputs with respect to one tensor, (output, row, features)."""
    each = [torch.zeros_like(of) if one is None else one for one in grads]
    return torch.stack(each).reshape(len(grads), len(of), -1)


def _require_real(encodings: Mapping[str, Arrays]) -> None:
    whole = [
        name for name, tensors in encodings.items() if tensors and not any(one.is_floating_point() for one in tensors)
    ]
    if whole:
        kinds = ", ".join(sorted({str(one.dtype) for name in whole for one in encodings[name]}))
        raise InputError(
            f"FusionGradient: modality {listed(whole)} reaches the fusion point as {kinds}, which has no gradient; expected real numbers. "
            f"Name the submodule that embeds it, such as encoders={{{whole[0]!r}: 'embedding'}}, give it as float, or use Shapley or Occlusion, which need no gradients."
        )


def require_finite_slopes(name: str, slopes: Tensor) -> None:
    """Refuse gradients that are no numbers, which averages would leave out in silence: (row, ...)."""
    finite = slopes.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        raise InputError(
            f"FusionGradient: the gradient with respect to modality {name!r} is NaN or infinite for {int((~finite).sum())} of {len(finite)} rows; expected finite numbers. "
            "Look for a root, a logarithm or a division at 0 in the model (add a small constant there), or use Shapley or Occlusion, which need no gradients."
        )


def in_space(output: Tensor, readout: Readout, space: str) -> Tensor:
    """What `Readout` makes of raw outputs, for tensors that carry gradients: (row, output)."""
    raw = output.reshape(len(output), -1).double()
    if readout.custom is not None:
        raise InputError(
            "FusionGradient can't differentiate output=<a function>, which works on NumPy arrays: give output='probability', 'logit' or 'raw'."
        )
    if space == "raw" or (readout.task == "survival" and space == "probability"):
        return raw
    if space == "log-hazard":
        return (-raw.clamp(TINY, 1 - TINY).log()).log()
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
    squared eigenvalues, corrected for what few rows make of independent features: 1 for copies of one feature, about
    the number of independent ones. NaN for fewer rows than three, or features that do not vary.
    """
    count, width = rows.shape
    if width == 0 or count < 2:
        return width, 0.0 if width == 0 else float("nan"), float("nan")
    centred = rows.double() - rows.double().mean(dim=0)
    freedom = count - 1
    gram = (centred @ centred.T if count <= width else centred.T @ centred) / freedom
    trace, squares = float(gram.trace()), float((gram**2).sum())
    spread = float(np.sqrt(trace / width))
    if trace <= 0 or freedom < 2:
        return width, spread, float("nan")
    # For normal rows, with f degrees of freedom: E tr(S^2) = tr(C^2) (1 + 1/f) + tr(C)^2 / f, and E tr(S)^2 = tr(C)^2 + 2 tr(C^2) / f.
    unbiased = (squares - trace**2 / freedom) * freedom**2 / ((freedom - 1) * (freedom + 2))
    ratio = trace**2 / max(unbiased, trace**2 / width) - 2 / freedom
    return width, spread, float(np.clip(ratio, 1.0, width))
