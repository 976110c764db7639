"""Where each word of a phrase looks: attention from words to regions, as published and repaired.

S.-C. Huang et al., "GLoRIA", ICCV 2021; D. J. McInerney et al., "That's the Wrong Lung!", EMNLP 2022 (opt-out).
"""

from __future__ import annotations

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

    words (..., W, D), regions (..., N, D): arrays or tensors; leading axes are broadcast. temperature: T, 10 by default, or T1, 4
    by default. opt_out: what a word may attend to instead of any region: a vector (D,), an extra region as published, or a
    number, a logit of its own (in the default attention only). padding (..., W): True at places that are no words; they
    are left out of the softmax over words, and attend to nothing.

    Returns Attention(map, opt_out), arrays where arrays were given. Raises InputError for shapes that do not fit.

    >>> local_attention(np.eye(2), np.eye(2), temperature=np.log(3)).map
    array([[0.75, 0.25],
           [0.25, 0.75]])
    """
    if compat is not None:
        choice("compat", compat, ("gloria",))
    as_arrays = not any(isinstance(one, Tensor) for one in (words, regions))
    words, regions = (one if isinstance(one, Tensor) else torch.as_tensor(np.asarray(one)) for one in (words, regions))
    _check(words, regions)
    absent = None if padding is None else torch.as_tensor(padding, dtype=torch.bool, device=words.device)
    nowhere = None if opt_out is None else torch.as_tensor(opt_out, dtype=regions.dtype, device=regions.device)
    if compat == "gloria":
        found = _published(words, regions, SHARPNESS if temperature is None else temperature, nowhere, absent)
    else:
        found = _single(words, regions, TEMPERATURE if temperature is None else temperature, nowhere)
    if absent is not None:
        found = Attention(*(part.masked_fill(gone, 0.0) for part, gone in zip(found, (absent[..., None], absent), strict=True)))
    return Attention(*(part.numpy() for part in found)) if as_arrays else found


def phrase_map(attention: Attention, padding: Tensor | None = None) -> Attention:
    """The map (..., regions) and the opt-out (...) of a whole phrase: the mean over its words."""
    if padding is None:
        return Attention(attention.map.mean(-2), attention.opt_out.mean(-1))
    count = (~padding).sum(-1).clamp(min=1)  # padded places hold zeros
    return Attention(attention.map.sum(-2) / count[..., None], attention.opt_out.sum(-1) / count)


def _single(words: Tensor, regions: Tensor, temperature: float | Tensor, nowhere: Tensor | None) -> Attention:
    """a_ij = softmax over regions of T cos(w_i, v_j), and of one more logit."""
    directions = F.normalize(words, dim=-1)
    logits = temperature * _products(directions, F.normalize(regions, dim=-1))
    if nowhere is None:
        return _without_opt_out(logits.softmax(-1))
    if nowhere.ndim == 0:
        extra = nowhere.expand(*logits.shape[:-1], 1)
    else:
        extra = temperature * (directions @ F.normalize(nowhere, dim=-1))[..., None]
    return _with_opt_out(torch.cat([logits, extra], -1).softmax(-1))


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
        similar = torch.cat([similar, (words @ nowhere)[..., None]], -1)
    if absent is not None:
        similar = similar.masked_fill(absent[..., None], float("-inf"))
    weights = (sharpness * similar.softmax(-2)).softmax(-1)
    return _without_opt_out(weights) if nowhere is None else _with_opt_out(weights)


def _products(words: Tensor, regions: Tensor) -> Tensor:
    """<w_i, v_j>, (..., words, regions); einsum multiplies all phrases with all pictures as one matrix product."""
    return torch.einsum("...wd,...nd->...wn", words, regions)


def _without_opt_out(weights: Tensor) -> Attention:
    return Attention(weights, weights.new_zeros(weights.shape[:-1]))


def _with_opt_out(weights: Tensor) -> Attention:
    return Attention(weights[..., :-1], weights[..., -1])


def _check(words: Tensor, regions: Tensor) -> None:
    if words.ndim < 2 or regions.ndim < 2 or words.shape[-1] != regions.shape[-1] or not words.shape[-2] or not regions.shape[-2]:
        raise InputError(
            f"words must be (..., words, features) and regions (..., regions, features) of equally many features; {tuple(words.shape)} and {tuple(regions.shape)} came."
        )
