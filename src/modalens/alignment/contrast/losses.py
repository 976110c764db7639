"""What a dual encoder is trained on: pairs that belong together should score higher than those that don't.

S.-C. Huang et al., "GLoRIA", ICCV 2021: a local loss by words and regions, a global one by whole phrases and pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from modalens.alignment.attention import Attention
from modalens.alignment.contrast.network import DualEncoder

T2, T3 = 5.0, 10.0
"""Sharpness of the sum over words, and of the comparison within a batch."""


def pair_scores(model: DualEncoder, words: Tensor, regions: Tensor, padding: Tensor) -> Tensor:
    """How well each phrase fits each picture, (phrase, picture): log sum_i exp(T2 cos(w_i, c_i)), c_i = sum_j a_ij v_j."""
    every = regions[:, None]  # (picture, 1, cells, features), beside phrases (1, phrase, words, features)
    attention = model.attend(words[None], every, padding.expand(len(regions), -1, -1))
    return fitting(words[None], attention, every, padding).T


def fitting(words: Tensor, attention: Attention, regions: Tensor, padding: Tensor) -> Tensor:
    """log sum_i exp(T2 cos(w_i, c_i)) over the words of each phrase, (...)."""
    context = torch.einsum("...wn,...nd->...wd", attention.map, regions)
    cosine = (F.normalize(words, dim=-1) * F.normalize(context, dim=-1)).sum(-1)
    return torch.logsumexp((T2 * cosine).masked_fill(padding, float("-inf")), -1)


def contrastive(scores: Tensor, same: Tensor) -> Tensor:
    """Cross-entropy of T3 times the scores (phrase, picture), both ways. same (phrase, picture): pairs of equal text, which
    are no counterexamples.
    """
    logits = (T3 * scores).masked_fill(same & ~torch.eye(len(scores), dtype=torch.bool), float("-inf"))
    own = torch.arange(len(scores))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def global_scores(model: DualEncoder, words: Tensor, regions: Tensor, padding: Tensor) -> Tensor:
    """The cosine of each whole phrase and each whole picture, (phrase, picture): projections of the mean word and region."""
    count = (~padding).sum(1, keepdim=True)
    phrases = model.whole_phrase(words.masked_fill(padding[..., None], 0.0).sum(1) / count)
    return F.normalize(phrases, dim=-1) @ F.normalize(model.whole_picture(regions.mean(1)), dim=-1).T
