"""Where each word of a phrase looks: attention from words to regions, as published and repaired.

S.-C. Huang et al., "GLoRIA", ICCV 2021; D. J. McInerney et al., "That's the Wrong Lung!", EMNLP 2022 (opt-out).
"""

from __future__ import annotations

from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from modalens.errors import InputError, choice

SHARPNESS = 4.0
"""T1 of the published attention."""

TEMPERATURE = 10.0
"""What cosines are multiplied by before the single softmax."""


class Attention(NamedTuple):
    """map (..., words, regions): the share of each word's attention that each region gets. opt_out (..., words): the share
    that goes to no region; a word's shares and its opt-out add up to 1.
    """

    map: Any
    opt_out: Any


def local_attention(
    words: Any,
    regions: Any,
    compat: str | None = None,
    *,
    temperature: float | Tensor | None = None,
    opt_out: Any = None,
    padding: Any = None,
) -> Attention:
    """Where each word looks.

    By default one softmax over regions of a temperature times the cosine: a_ij = softmax_j(T cos(w_i, v_j)). With
    `compat="gloria"` as published: t_ij = softmax of <w_i, v_j> over the *words* i, a_ij = softmax over the regions j of T1 t_ij.
    The published one can hardly look anywhere: no region's weight exceeds e^T1 / (e^T1 + N - 1), a phrase of one word is spread
    evenly, and since sum_i t_ij = 1 for every region the mean over words is even to first order in T1.

    words (..., W, D), regions (..., N, D): arrays or tensors; leading axes are broadcast, whole numbers count as float64. temperature: T, 10 by default, or T1, 4
    by default. opt_out: what a word may attend to instead of any region: a vector (D,), an extra region as published, or a
    number, a logit of its own (in the default attention only). padding (..., W): True at places that are no words; they
    are left out of the softmax over words, and attend to nothing.

    Returns Attention(map, opt_out), arrays where nothing but arrays and numbers was given; else tensors, through which gradients
    reach words, regions, temperature and opt_out. Raises InputError for shapes that do not fit.

    >>> local_attention(np.eye(2), np.eye(2), temperature=np.log(3)).map
    array([[0.75, 0.25],
           [0.25, 0.75]])
    """
    if compat is not None:
        choice("compat", compat, ("gloria",))
    as_arrays = not any(isinstance(one, Tensor) for one in (words, regions, temperature, opt_out))
    words, regions = _alike(words, regions)
    absent = None if padding is None else torch.as_tensor(padding, dtype=torch.bool, device=words.device)
    nowhere = None if opt_out is None else torch.as_tensor(opt_out, dtype=regions.dtype, device=regions.device)
    _check(words, regions, nowhere, absent)
    if compat == "gloria":
        found = _published(words, regions, SHARPNESS if temperature is None else temperature, nowhere, absent)
    else:
        found = _single(words, regions, TEMPERATURE if temperature is None else temperature, nowhere)
    if absent is not None:
        found = Attention(found.map.masked_fill(absent[..., None], 0.0), found.opt_out.masked_fill(absent, 0.0))
    return Attention(*(part.numpy() for part in found)) if as_arrays else found


def phrase_map(attention: Attention, padding: Any = None) -> Attention:
    """The map (..., regions) and the opt-out (...) of a whole phrase: the mean over its words. padding (..., words): as given to
    `local_attention`, of the attention's kind, arrays or tensors.
    """
    if padding is None:
        return Attention(attention.map.mean(-2), attention.opt_out.mean(-1))
    count = (~padding).sum(-1).clip(min=1)  # padded places hold zeros
    return Attention(attention.map.sum(-2) / count[..., None], attention.opt_out.sum(-1) / count)


def _single(words: Tensor, regions: Tensor, temperature: float | Tensor, nowhere: Tensor | None) -> Attention:
    """a_ij = softmax over regions of T cos(w_i, v_j), and of one more logit."""
    directions = F.normalize(words, dim=-1)
    logits = temperature * _products(directions, F.normalize(regions, dim=-1))
    if nowhere is None:
        return _without_opt_out(logits.softmax(-1))
    extra = temperature * (directions @ F.normalize(nowhere, dim=-1))[..., None] if nowhere.ndim else nowhere
    return _with_opt_out(_beside(logits, extra).softmax(-1))


def _published(
    words: Tensor, regions: Tensor, sharpness: float | Tensor, nowhere: Tensor | None, absent: Tensor | None
) -> Attention:
    """t_ij = softmax over words of <w_i, v_j>, a_ij = softmax over regions of T1 t_ij; the opt-out is one more v."""
    if nowhere is not None and nowhere.ndim == 0:
        raise InputError(
            'the published attention (compat="gloria") has no logit to opt out with: give opt_out as a vector (D,), an extra region.'
        )
    similar = _products(words, regions)
    if nowhere is not None:
        similar = _beside(similar, (words @ nowhere)[..., None])
    if absent is not None:
        similar = similar.masked_fill(absent[..., None], float("-inf"))
    weights = (sharpness * similar.softmax(-2)).softmax(-1)
    return _without_opt_out(weights) if nowhere is None else _with_opt_out(weights)


def _products(words: Tensor, regions: Tensor) -> Tensor:
    """<w_i, v_j>, (..., words, regions); einsum multiplies all phrases with all pictures as one matrix product."""
    return torch.einsum("...wd,...nd->...wn", words, regions)


def _beside(values: Tensor, extra: Tensor) -> Tensor:
    """Values (..., words, regions) with those of one more region, for every phrase and picture."""
    return torch.cat([values, extra.expand(*values.shape[:-1], 1)], -1)


def _without_opt_out(weights: Tensor) -> Attention:
    return Attention(weights, weights.new_zeros(weights.shape[:-1]))


def _with_opt_out(weights: Tensor) -> Attention:
    return Attention(weights[..., :-1], weights[..., -1])


def _alike(*given: Any) -> tuple[Tensor, ...]:
    """Tensors of one floating dtype."""
    tensors = [one if isinstance(one, Tensor) else torch.as_tensor(np.asarray(one)) for one in given]
    common = reduce(torch.promote_types, (one.dtype for one in tensors))
    return tuple(one.to(common if common.is_floating_point else torch.float64) for one in tensors)


def _check(words: Tensor, regions: Tensor, nowhere: Tensor | None, absent: Tensor | None) -> None:
    came = f"words {tuple(words.shape)} and regions {tuple(regions.shape)} came"
    if (
        min(words.ndim, regions.ndim) < 2
        or words.shape[-1] != regions.shape[-1]
        or 0 in (*words.shape[-2:], *regions.shape[-2:])
    ):
        raise InputError(
            f"words must be (..., words, features) and regions (..., regions, features) of equally many features; {came}."
        )
    try:
        np.broadcast_shapes(words.shape[:-2], regions.shape[:-2])
    except ValueError as error:
        raise InputError(
            f"the leading axes of words and regions do not fit each other; {came}: give as many phrases as pictures, or an axis of length 1."
        ) from error
    if nowhere is not None and nowhere.shape not in ((), words.shape[-1:]):
        raise InputError(
            f"opt_out is a number or a vector ({words.shape[-1]},), as long as a region's features; {tuple(nowhere.shape)} came."
        )
    if absent is not None and absent.shape[-1:] != words.shape[-2:-1]:
        raise InputError(
            f"padding must be (..., {words.shape[-2]}), True or False for each word; {tuple(absent.shape)} came."
        )
